package secrets

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// TruffleHog is the scanner TruffleHog, version 3.
type TruffleHog struct{}

// About describes it. It has a network only if credentials may be tried.
func (TruffleHog) About() scanner.About {
	return scanner.About{Name: "trufflehog", Class: "secret", Does: "secrets in commits and files, and whether they work", Tool: "trufflehog", Time: 15 * time.Minute}
}

// Applies reports whether there are files or commits.
func (TruffleHog) Applies(job scanner.Job) (bool, string) { return applies(job) }

// Plant returns a token of GitHub in a commit.
func (TruffleHog) Plant() scanner.Plant { return plant() }

// Commands returns one scan of the files and one of the commits. The second scans
// all of the copy's history, which is the range: with a base of its own, TruffleHog
// ends at the first sight of that commit, and what git lists after it, such as an
// older side branch, is never read.
func (TruffleHog) Commands(job scanner.Job) ([]isolate.Command, error) {
	var commands []isolate.Command
	if len(job.Tree.Files) > 0 {
		exclude := filepath.Join(job.Scratch, "exclude.txt")
		if err := os.WriteFile(exclude, []byte(excluded(job)), 0o600); err != nil {
			return nil, fmt.Errorf("write what TruffleHog leaves out: %w", err)
		}
		commands = append(commands, trufflehog(job, "filesystem", "--exclude-paths", exclude, "--", job.Workspace))
	}
	if r := job.Range; r.Copy != "" {
		// Its own clone would have the branch alone, and not where the range begins.
		at := url.URL{Scheme: "file", Path: r.Copy}
		c := trufflehog(job, "git", "--bare", "--trust-local-git-config", at.String())
		c.Reads = []string{r.Copy, r.Objects}
		commands = append(commands, c)
	}
	return commands, nil
}

func trufflehog(job scanner.Job, args ...string) isolate.Command {
	all := []string{"--json", "--no-update", "--no-color", "--log-level=1", "--fail", "--results=verified,unverified,unknown"}
	if !job.Verify || job.Planted {
		all = append(all, "--no-verification")
	}
	return isolate.Command{
		Args: append(all, args...), Dir: job.Scratch, Network: job.Verify && !job.Planted,
		Reads: []string{job.Scratch, job.Workspace}, Writes: []string{job.Scratch},
	}
}

// excluded are the paths that are not scanned, a regular expression a line: git's own
// folder, whose commits are scanned apart, folders that git ignores, and other
// repositories.
func excluded(job scanner.Job) string {
	var b strings.Builder
	for _, folder := range append([]string{".git"}, append(job.Tree.Ignored, job.Tree.Submodules...)...) {
		path := regexp.QuoteMeta(filepath.Join(job.Workspace, filepath.FromSlash(folder)))
		fmt.Fprintf(&b, "^%s(?:/|$)\n", strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(path))
	}
	return b.String()
}

// A found is a line of TruffleHog's output. The author's address is not read.
// https://github.com/trufflesecurity/trufflehog/blob/v3.97.0/pkg/output/json.go
type found struct {
	SourceMetadata struct {
		Data struct {
			Git        *where
			Filesystem *where
		}
	}
	DetectorName      string
	Verified          bool
	VerificationError string
	Raw, RawV2        string
	Redacted          string
	SecretParts       map[string]string
	ExtraData         map[string]string
}

type where struct {
	Commit string `json:"commit"`
	File   string `json:"file"`
	Line   int    `json:"line"`
}

// Read reads what one of the commands printed.
func (TruffleHog) Read(job scanner.Job, c isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	d, report := newDoor(job), scanner.Report{Coverage: verdict.Unknown()}
	n := 0
	err := lines(ran.Stdout, func(f found) error {
		n++
		h, err := f.hit(d, job.Verify && !job.Planted)
		if err != nil {
			return err
		}
		if s, ok := d.sighting(h); ok {
			report.Sightings = append(report.Sightings, s)
		}
		return nil
	})
	if err != nil {
		return scanner.Report{}, fmt.Errorf("its output is not that of TruffleHog: %w", err)
	}
	end := readEnd(ran.Stderr)
	if err := cmp.Or(whole(ran), end.fits(ran.Status, n)); err != nil {
		return scanner.Report{}, err
	}
	report.Doubts, report.Notes = end.doubts, d.notes()
	if end.Version != "dev" {
		report.Version = end.Version
	}
	git := !bytes.Contains([]byte(strings.Join(c.Args, "\x00")), []byte("\x00filesystem\x00"))
	if git || job.Range.Copy == "" {
		report.Doubts = append(report.Doubts, doubts(job.Range)...)
	}
	if git {
		report.Coverage.Commits, report.Coverage.CommitsExpected = end.commits, job.Range.Edits
		if job.Range.Texts > job.Range.Edits {
			report.Notes = append(report.Notes, "it does not read what merges change themselves")
		}
	} else if end.Bytes == 0 {
		report.Doubts = append(report.Doubts, fmt.Sprintf("it read nothing of %s", count(len(job.Tree.Files), "file", "files")))
	}
	return report, nil
}

// hit translates a line. A credential in two parts is known by the first, which
// other tools report alone; all parts are hidden.
func (f found) hit(d *door, tried bool) (hit, error) {
	at := f.SourceMetadata.Data.Git
	if at == nil {
		at = f.SourceMetadata.Data.Filesystem
	}
	if at == nil || f.DetectorName == "" || f.Raw == "" {
		return hit{}, errors.New("a result has no place, no detector or no credential")
	}
	h := hit{
		rule: f.DetectorName, title: "Secret: " + f.DetectorName, message: "A credential of the kind " + f.DetectorName + ".",
		path: at.File, line: at.Line, commit: at.Commit, secret: f.Raw, more: []string{f.RawV2, f.Redacted}, rating: "high",
		help: f.ExtraData["rotation_guide"],
	}
	for _, part := range f.SecretParts {
		h.more = append(h.more, part)
	}
	if at.Commit == "" {
		h.path = d.relative(at.File)
	}
	switch {
	case f.Verified:
		h.live, h.rating = finding.LiveVerified, "critical"
		h.message += " Its service accepts it."
	case f.VerificationError != "":
		h.live = finding.LiveError
		h.message += " Its service was asked and gave no answer."
	case tried:
		h.live = finding.LiveUnverified
		h.message += " Its service refuses it."
	}
	return h, nil
}

// lines reads NDJSON.
func lines(data []byte, each func(found) error) error {
	in := bufio.NewScanner(bytes.NewReader(data))
	in.Buffer(nil, max(len(data)+1, 1<<16))
	for n := 1; in.Scan(); n++ {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		var f found
		err := json.Unmarshal(in.Bytes(), &f)
		if err == nil {
			err = each(f)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return in.Err()
}

// An end is what TruffleHog's log says of a scan.
type end struct {
	Message    string `json:"msg"`
	Level      string `json:"level"`
	Bytes      int    `json:"bytes"`
	Verified   int    `json:"verified_secrets"`
	Unverified int    `json:"unverified_secrets"`
	Version    string `json:"trufflehog_version"`
	Commits    int    `json:"commits_scanned"`

	finished bool
	commits  int
	doubts   []string
}

func readEnd(stderr []byte) end {
	var last end
	for line := range bytes.Lines(stderr) {
		var e end
		if json.Unmarshal(line, &e) != nil {
			continue // of git, or of the Go runtime
		}
		switch {
		case e.Message == "finished scanning":
			e.finished, e.commits, e.doubts = true, last.commits, last.doubts
			last = e
		case e.Message == "scanning git repo complete":
			last.commits += e.Commits
		case e.Level == "error" && len(last.doubts) < 5:
			last.doubts = append(last.doubts, "TruffleHog says: "+hidden(e.Message, nil))
		}
	}
	return last
}

// status183 is the exit status that --fail has for results.
const status183 = 183

// fits compares the output with what else is known of the scan.
func (e end) fits(status, n int) error {
	switch {
	case status != 0 && status != status183:
		return fmt.Errorf("TruffleHog ended with exit status %d", status)
	case !e.finished:
		return errors.New("TruffleHog does not say that it finished")
	case (status == status183) != (n > 0):
		return fmt.Errorf("TruffleHog ended with exit status %d, and printed %s", status, count(n, "result", "results"))
	case e.Verified+e.Unverified != n:
		return fmt.Errorf("TruffleHog found %d, and printed %s", e.Verified+e.Unverified, count(n, "result", "results"))
	}
	return nil
}
