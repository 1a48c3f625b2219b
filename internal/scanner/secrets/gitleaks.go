package secrets

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/tree"
)

// Gitleaks is the scanner gitleaks, version 8.
type Gitleaks struct{}

// About describes it.
func (Gitleaks) About() scanner.About {
	return scanner.About{Name: "gitleaks", Class: "secret", Does: "secrets in commits and files", Tool: "gitleaks", Time: 10 * time.Minute}
}

// Applies reports whether there are files or commits.
func (Gitleaks) Applies(job scanner.Job) (bool, string) { return applies(job) }

// Plant returns a token of GitHub in a commit.
func (Gitleaks) Plant() scanner.Plant { return plant() }

// leaked is the exit status that gitleaks is told to have when it found something.
// Its own, 1, is that of every failure too.
const leaked = 10

// Commands returns one scan of the files and one of the commits. Gitleaks compares
// commits by git log, which shows nothing of a merge unless it is told to.
func (Gitleaks) Commands(job scanner.Job) ([]isolate.Command, error) {
	if err := os.WriteFile(ownConfig(job), []byte("[extend]\nuseDefault = true\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration of gitleaks: %w", err)
	}
	var commands []isolate.Command
	if len(job.Tree.Files) > 0 {
		commands = append(commands, gitleaks(job, "dir", "files", job.Workspace))
	}
	if r := job.Range; r.Copy != "" {
		commands = append(commands, commits(job, "commits", tree.Differences()))
		if r.Octopuses > 0 {
			commands = append(commands, commits(job, octopuses, tree.Octopuses()))
		}
	}
	return commands, nil
}

// octopuses is the name of the scan of merges of more than two branches.
const octopuses = "octopuses"

// commits returns a scan of the range's commits, with the options of git log.
func commits(job scanner.Job, name string, options []string) isolate.Command {
	r := job.Range
	c := gitleaks(job, "git", name, r.Copy, "--log-opts", strings.Join(append(options, revisions(r)...), " "))
	c.Reads = append(c.Reads, r.Copy, r.Objects)
	c.Writes = append(c.Writes, filepath.Join(r.Copy, "objects")) // git makes the merges anew there
	c.Env = []string{
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}
	return c
}

func revisions(r scanner.Range) []string {
	if r.Base == "" {
		return []string{r.Head}
	}
	return []string{r.Head, "^" + r.Base}
}

// GitleaksConfig is the setting for a configuration in the workspace. Without it the
// default rules hold: what the repository says of itself, a change could say to hide
// a secret.
const GitleaksConfig = "gitleaks-config"

func ownConfig(job scanner.Job) string { return filepath.Join(job.Scratch, "gitleaks.toml") }

func gitleaks(job scanner.Job, mode, name, target string, more ...string) isolate.Command {
	report := filepath.Join(job.Scratch, "gitleaks-"+name+".json")
	args := []string{
		mode, "--no-banner", "--no-color", "--log-level", "info", "--exit-code", strconv.Itoa(leaked),
		"--report-format", "json", "--report-path", report,
		"--ignore-gitleaks-allow", "--gitleaks-ignore-path", filepath.Join(job.Scratch, "nothing"),
	}
	config := ownConfig(job)
	if given := job.Settings[GitleaksConfig]; given != "" {
		config = filepath.Join(rules(job), given)
	}
	return isolate.Command{
		Args: append(append(append(args, "--config", config), more...), target), Dir: job.Scratch,
		Reads: []string{rules(job)}, Writes: []string{job.Scratch}, Report: report,
	}
}

// A leak is a result in gitleaks' JSON report. Its fields Author, Email, Message and
// Fingerprint are not read.
// https://github.com/gitleaks/gitleaks/blob/v8.30.1/report/finding.go
type leak struct {
	RuleID      string
	Description string
	StartLine   int
	EndLine     int
	Match       string
	Secret      string
	File        string
	Commit      string
}

// Read reads the report of one of the commands.
func (Gitleaks) Read(job scanner.Job, c isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	d, report := newDoor(job), scanner.Report{Coverage: verdict.Unknown()}
	n := 0
	err := output.List(ran.Stdout, func(l leak) error {
		if l.RuleID == "" || l.File == "" && l.Commit == "" {
			return errors.New("a result of its report has no rule or no file")
		}
		n++
		s, ok := d.sighting(hit{
			rule: l.RuleID, title: "Secret: " + l.RuleID, message: l.Description, path: d.relative(l.File),
			line: l.StartLine, end: l.EndLine, commit: l.Commit, secret: l.Secret, match: l.Match, rating: "high",
		})
		if ok {
			report.Sightings = append(report.Sightings, s)
		}
		return nil
	})
	if err != nil {
		return scanner.Report{}, err
	}
	said := readLog(ran.Stderr)
	if err := cmp.Or(whole(ran), said.fits(ran.Status, n)); err != nil {
		return scanner.Report{}, err
	}
	report.Doubts, report.Notes = said.doubts, d.notes()
	if c.Args[0] == "git" || job.Range.Copy == "" {
		report.Doubts = append(report.Doubts, doubts(job.Range)...)
	}
	switch {
	case strings.HasSuffix(c.Report, "-"+octopuses+".json"):
		if said.commits < job.Range.Octopuses {
			report.Doubts = append(report.Doubts, fmt.Sprintf("it read %d of %s of more than two branches", said.commits, count(job.Range.Octopuses, "merge", "merges")))
		}
	case c.Args[0] == "git":
		// What changes no text has nothing for it, and it does not count it.
		report.Coverage.Commits = said.commits + job.Range.Commits - job.Range.Texts
		report.Coverage.CommitsExpected = job.Range.Commits
	case said.bytes == 0:
		report.Doubts = append(report.Doubts, fmt.Sprintf("it read nothing of %s", count(len(job.Tree.Files), "file", "files")))
	}
	report.Notes = append(report.Notes, configurations(job, c)...)
	return report, nil
}

// configurations says which files of the repository hold for a scan, and which not.
func configurations(job scanner.Job, c isolate.Command) (notes []string) {
	if given := job.Settings[GitleaksConfig]; given != "" {
		notes = append(notes, "configured by "+given)
	} else if configured(job, ".gitleaks.toml") != "" {
		notes = append(notes, "the repository's .gitleaks.toml does not hold; the setting "+GitleaksConfig+" would make it hold")
	}
	// Gitleaks reads this one beside the files that it scans, and cannot be told not to.
	if c.Args[0] == "dir" && configured(job, ".gitleaksignore") != "" {
		notes = append(notes, "the repository's .gitleaksignore holds for files, and not for commits")
	}
	return notes
}

// said is what gitleaks' log says of a scan.
type said struct {
	leaks   int // -1 if it does not say
	commits int
	bytes   int
	partial bool
	doubts  []string
}

var (
	logLine     = regexp.MustCompile(`^\S+ (INF|WRN|ERR|FTL) (.*)$`)
	leaksFound  = regexp.MustCompile(`^leaks found: (\d+)`)
	commitCount = regexp.MustCompile(`^(\d+) commits scanned\.`)
	byteCount   = regexp.MustCompile(`^scanned ~(\d+) bytes`)
)

func readLog(stderr []byte) said {
	s := said{leaks: -1}
	for line := range strings.Lines(string(stderr)) {
		m := logLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		switch text := m[2]; {
		case leaksFound.MatchString(text):
			s.leaks = first(leaksFound, text)
		case text == "no leaks found":
			s.leaks = 0
		case strings.Contains(text, "partial scan"):
			s.partial = true
		case commitCount.MatchString(text):
			s.commits = first(commitCount, text)
		case byteCount.MatchString(text):
			s.bytes = first(byteCount, text)
		case unread(m[1], text) && len(s.doubts) < 5:
			s.doubts = append(s.doubts, "gitleaks says: "+hidden(text, nil))
		}
	}
	return s
}

// unread reports whether a line of the log is about something that was not scanned.
func unread(level, text string) bool {
	switch level {
	case "ERR", "FTL":
		return true
	case "WRN":
		return strings.HasPrefix(text, "skipping") && !strings.Contains(text, "unknown archive type") || strings.HasPrefix(text, "issue reading file")
	}
	return false
}

func first(r *regexp.Regexp, text string) int {
	n, _ := strconv.Atoi(r.FindStringSubmatch(text)[1])
	return n
}

// fits compares the report with what else is known of the scan.
func (s said) fits(status, n int) error {
	switch {
	case s.partial:
		return errors.New("gitleaks says that its scan is partial")
	case status != 0 && status != leaked:
		return fmt.Errorf("gitleaks ended with exit status %d", status)
	case (status == leaked) != (n > 0):
		return fmt.Errorf("gitleaks ended with exit status %d, and its report has %s", status, count(n, "result", "results"))
	case s.leaks != n:
		return fmt.Errorf("gitleaks found %d leaks, and its report has %s", s.leaks, count(n, "result", "results"))
	}
	return nil
}
