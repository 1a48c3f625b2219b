// Package inputs defines the inputs and outputs of the security gate, and what a scan
// is to do by them and by the event that started it.
package inputs

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/files"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/github/change"
	"github.com/candlefish/deploy-action/internal/input"
)

// An Occasion is why a scan runs, and what follows from that.
type Occasion struct {
	Event  string // as GITHUB_EVENT_NAME; "" on a laptop
	Change change.Change
	Level  verdict.Level
	// Base and Head are the commits to scan; Base is "" for all of the history.
	Base, Head string
	Why        string // where they come from, for people
	Against    string // the commit to compare with; "" for none
	OnlyNew    bool
	Compare    string // CompareBase, CompareFile or CompareNone
	Repository string
}

// PullRequest reports whether the scan is for a pull request.
func (o Occasion) PullRequest() bool { return o.Change.Number > 0 }

// OccasionOf decides what the inputs leave to the event.
func OccasionOf(v input.Values, c change.Change, sha string, hasBaseline bool) Occasion {
	o := Occasion{
		Event: c.Name, Change: c, Repository: cmp.Or(v.String("repository"), c.Repo),
		Level: levelOf(v.String("level"), c),
	}
	o.Base, o.Head, o.Why = ends(v, c, sha, o.Level)
	o.Against = cmp.Or(v.String("base"), c.Base)
	o.OnlyNew = v.String("only-new") == Yes || v.String("only-new") == Auto && o.PullRequest()
	o.Compare = compareOf(v.String("compare"), o, hasBaseline)
	return o
}

func levelOf(given string, c change.Change) verdict.Level {
	switch {
	case given != Auto:
		return verdict.Level(given)
	case c.Name == "schedule":
		return verdict.Deep
	case c.Number > 0:
		return verdict.Quick
	}
	return verdict.Standard
}

// ends returns the commits to scan. A deep scan reads all of the history, whatever
// the event says, unless a base is given.
func ends(v input.Values, c change.Change, sha string, level verdict.Level) (base, head, why string) {
	head = cmp.Or(v.String("head"), c.Head, sha, "HEAD")
	switch base = v.String("base"); {
	case base != "":
		return base, head, "the base that was given"
	case level == verdict.Deep:
		return "", head, "all of the history, since the scan is deep"
	case c.Base != "":
		return c.Base, head, "what the " + strings.ReplaceAll(c.Name, "_", " ") + " brings"
	}
	return "", head, "all of the history"
}

func compareOf(given string, o Occasion, hasBaseline bool) string {
	switch {
	case given != Auto:
		return given
	case o.PullRequest() && o.Against != "":
		return CompareBase
	case hasBaseline:
		return CompareFile
	}
	return CompareNone
}

// Problems are inputs that contradict each other or the event.
func (o Occasion) Problems(v input.Values, hasBaseline bool) input.Problems {
	var ps input.Problems
	if o.Compare == CompareBase && o.Against == "" {
		ps = append(ps, v.Problem("compare", "there is no base: the event has none, and the input base is not set"))
	}
	if o.Compare == CompareFile && !hasBaseline {
		ps = append(ps, v.Problem("compare", fmt.Sprintf("there is no file %s; write it with the command baseline", v.String("baseline"))))
	}
	if o.OnlyNew && o.Compare == CompareNone {
		ps = append(ps, v.Problem("only-new", "nothing is compared with, so all findings are new; set compare"))
	}
	if o.Repository == "" && v.String("github-token") != "" && v.String("upload-sarif") == Yes {
		ps = append(ps, v.Problem("repository", "it is needed for the upload of findings"))
	}
	if v.IsSet("waivers") && !files.Exists(Within(v, "waivers")) {
		ps = append(ps, v.Problem("waivers", "there is no such file"))
	}
	for _, name := range []string{"epss-file", "kev-file", "tools-lock"} {
		if file := v.String(name); file != "" && !files.Exists(file) {
			ps = append(ps, v.Problem(name, "there is no such file"))
		}
	}
	for _, name := range []string{"sarif-files", "vex"} {
		for _, file := range v.List(name) {
			if !files.Exists(file) {
				ps = append(ps, v.Problem(name, fmt.Sprintf("there is no file %s", file)))
			}
		}
	}
	return ps
}

// Within returns the path of a file that is relative to the scanned folder.
func Within(v input.Values, name string) string {
	file := v.String(name)
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(v.String("dir"), file)
}

// Settings reads NAME=value lines; the names are those of known.
func Settings(v input.Values, known []string) (map[string]string, error) {
	all := map[string]string{}
	var errs []error
	for _, line := range v.List("settings") {
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("settings: %q is not NAME=value", line))
		case !slices.Contains(known, name):
			errs = append(errs, fmt.Errorf("settings: there is no setting %q; there are %s", name, strings.Join(known, ", ")))
		default:
			all[name] = strings.TrimSpace(value)
		}
	}
	return all, errors.Join(errs...)
}
