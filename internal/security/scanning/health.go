package scanning

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate/ending"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// planted is what verdict.Tool.Planted says of a plant that was found.
const planted = "found"

// withoutPlant is how it begins where a scanner can have no plant.
const withoutPlant = "nothing planted: "

// An observed is what was seen of one scanner.
type observed struct {
	health   verdict.Health
	why      string
	hint     string
	report   scanner.Report
	planted  string
	isolated []string
}

// endings are the healths of what ended badly.
var endings = map[ending.Kind]verdict.Health{
	ending.Crashed: verdict.Crashed, ending.OutOfMemory: verdict.Crashed, ending.TimedOut: verdict.TimedOut, ending.Unreadable: verdict.Unreadable,
}

// absent translates the error of a Finder.
func absent(err error) observed {
	o := observed{health: verdict.Missing, why: err.Error()}
	var known interface{ Health() verdict.Health }
	if errors.As(err, &known) {
		o.health = known.Health()
	}
	var helpful interface{ Hint() string }
	if errors.As(err, &helpful) {
		o.hint = helpful.Hint()
	}
	return o
}

// in adds the folder of the workspace that the command was about.
func (o observed) in(workspace, dir string) observed {
	if rel, err := filepath.Rel(workspace, dir); err == nil && filepath.IsLocal(rel) && rel != "." {
		o.why = filepath.ToSlash(rel) + ": " + o.why
	}
	return o
}

// withoutName leaves out the name of the tool that the reason begins with: people
// read it beside the name.
func withoutName(why, name string) string {
	for _, prefix := range []string{name, strings.ReplaceAll(name, "-", " ")} {
		if rest, ok := strings.CutPrefix(why, prefix+": "); ok {
			return rest
		}
	}
	return why
}

// join adds the report of a further command.
func join(a, b scanner.Report) scanner.Report {
	a.Sightings = append(a.Sightings, b.Sightings...)
	a.Doubts = append(a.Doubts, b.Doubts...)
	for _, note := range b.Notes {
		if !slices.Contains(a.Notes, note) {
			a.Notes = append(a.Notes, note)
		}
	}
	if a.Version == "" {
		a.Version = b.Version
	}
	// The oldest of several databases counts.
	if a.Database.IsZero() || !b.Database.IsZero() && b.Database.Before(a.Database) {
		a.Database = b.Database
	}
	for name, content := range b.Artifacts {
		if a.Artifacts == nil {
			a.Artifacts = map[string][]byte{}
		}
		a.Artifacts[name] = content
	}
	a.Coverage = add(a.Coverage, b.Coverage)
	return a
}

func add(a, b verdict.Coverage) verdict.Coverage {
	sum := func(x, y int) int {
		if x < 0 || y < 0 {
			return max(x, y)
		}
		return x + y
	}
	return verdict.Coverage{
		Files: sum(a.Files, b.Files), FilesExpected: sum(a.FilesExpected, b.FilesExpected),
		Commits: sum(a.Commits, b.Commits), CommitsExpected: sum(a.CommitsExpected, b.CommitsExpected),
		Packages: sum(a.Packages, b.Packages), PackagesExpected: sum(a.PackagesExpected, b.PackagesExpected),
	}
}

// into completes a tool with what was observed of it. A scan that worked is healthy
// only if its database is fresh, its coverage complete and its plant found.
func (o observed) into(t *verdict.Tool, about scanner.About, now time.Time, clean func(string) string) {
	t.Health, t.Why, t.Hint = o.health, o.why, o.hint
	t.Database, t.Coverage, t.Notes = o.report.Database, o.report.Coverage, o.report.Notes
	t.Found, t.Planted, t.Isolated = len(o.report.Sightings), o.planted, o.isolated
	if o.report.Version != "" {
		t.Version = o.report.Version
	}
	if o.health != verdict.Healthy {
		t.Coverage = verdict.Unknown()
	} else if health, why := o.doubted(about, now); health != verdict.Healthy {
		t.Health, t.Why = health, why
	}
	t.Why, t.Hint, t.Planted = clean(withoutName(t.Why, about.Name)), clean(t.Hint), clean(t.Planted)
	for i, note := range t.Notes {
		t.Notes[i] = clean(note)
	}
}

// doubted says what speaks against a scan that ended well. The gravest comes first.
func (o observed) doubted(about scanner.About, now time.Time) (verdict.Health, string) {
	if o.planted != planted && !strings.HasPrefix(o.planted, withoutPlant) {
		return verdict.Blind, o.planted
	}
	if why := stale(o.report.Database, about.Fresh, now); why != "" {
		return verdict.Stale, why
	}
	doubts := slices.Concat(short(o.report.Coverage), o.report.Doubts)
	if len(doubts) > 0 {
		return verdict.Partial, strings.Join(doubts, "; ")
	}
	return verdict.Healthy, ""
}

func stale(database time.Time, fresh time.Duration, now time.Time) string {
	switch age := now.Sub(database); {
	case fresh == 0:
		return ""
	case database.IsZero():
		return "it does not say how old its database is"
	case age > fresh:
		return fmt.Sprintf("its database is of %s, %d days old; at most %d are accepted",
			database.UTC().Format(time.DateOnly), int(age.Hours()/24), int(fresh.Hours()/24))
	}
	return ""
}

// short says what of the coverage is less than expected.
func short(c verdict.Coverage) (doubts []string) {
	for _, part := range []struct {
		what      string
		got, want int
	}{{"files", c.Files, c.FilesExpected}, {"commits", c.Commits, c.CommitsExpected}, {"packages", c.Packages, c.PackagesExpected}} {
		if part.got >= 0 && part.got < part.want {
			doubts = append(doubts, fmt.Sprintf("it scanned %d of %d %s", part.got, part.want, part.what))
		}
	}
	if c.Files == 0 && c.FilesExpected <= 0 {
		doubts = append(doubts, "it scanned no files")
	}
	return doubts
}
