package scanning

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/tree"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// A tool is a scanner whose parts a test sets.
type tool struct {
	about    scanner.About
	read     func(scanner.Job, isolate.Ran) (scanner.Report, error)
	commands []isolate.Command
	absent   string // why it does not apply
	plant    scanner.Plant
}

func (s tool) About() scanner.About                            { return s.about }
func (s tool) Applies(scanner.Job) (bool, string)              { return s.absent == "", s.absent }
func (s tool) Plant() scanner.Plant                            { return s.plant }
func (s tool) Commands(scanner.Job) ([]isolate.Command, error) { return s.commands, nil }
func (s tool) Read(j scanner.Job, _ isolate.Command, r isolate.Ran) (scanner.Report, error) {
	return s.read(j, r)
}

// finds is a tool that reports one sighting everywhere, on a fresh database.
func finds() tool {
	return tool{
		about:    scanner.About{Name: "probe", Tool: "probe", Class: finding.ClassCode, Fresh: 48 * time.Hour},
		commands: []isolate.Command{{Args: []string{"scan"}}},
		read: func(scanner.Job, isolate.Ran) (scanner.Report, error) {
			return scanner.Report{
				Sightings: []finding.Sighting{{Rule: "r1"}}, Database: now.Add(-time.Hour),
				Coverage: verdict.Coverage{Files: 3, FilesExpected: 3, Commits: -1, Packages: -1},
			}, nil
		},
		plant: scanner.Plant{Found: func(s finding.Sighting) bool { return s.Rule == "r1" }},
	}
}

type finder struct{ err error }

func (f finder) Find(context.Context, string) (Tool, error) {
	return Tool{Command: []string{"/bin/probe"}, Version: "1.2.3"}, f.err
}

type runner struct{ ran isolate.Ran }

func (r runner) Run(context.Context, isolate.Command) isolate.Ran { return r.ran }

// wrong is the error of a Finder that knows the health.
type wrong struct{}

func (wrong) Error() string          { return "the file is not the one of the lock" }
func (wrong) Health() verdict.Health { return verdict.WrongChecksum }
func (wrong) Hint() string           { return "go tool mage tools:install" }

func scanOf(t *testing.T, one scanner.Scanner) Scan {
	t.Helper()
	return Scan{
		Scanners: []scanner.Scanner{one}, Excluded: func(string) string { return "" }, Finder: finder{},
		Sandbox: func(string) Runner {
			return runner{isolate.Ran{Ending: isolate.Exited, Enforced: []string{"environment"}}}
		},
		Plant: func(_ context.Context, _ scanner.Plant, j scanner.Job) (scanner.Job, func(), error) {
			j.Planted = true
			return j, func() {}, nil
		},
		Job: scanner.Job{Scratch: t.TempDir()}, Getenv: func(string) string { return "" }, Slots: 2, Timeout: time.Minute,
		Now: func() time.Time { return now }, Progress: func(verdict.Tool) {}, After: func(time.Duration) <-chan time.Time { return nil }, Waiting: func([]Running) {}, Clean: func(s string) string { return s },
	}
}

// A scanner is healthy only if nothing at all speaks against it.
func TestHealth(t *testing.T) {
	t.Parallel()
	ending := func(ran isolate.Ran) func(*Scan, *tool) {
		return func(s *Scan, _ *tool) { s.Sandbox = func(string) Runner { return runner{ran} } }
	}
	report := func(change func(*scanner.Report, scanner.Job)) func(*Scan, *tool) {
		return func(_ *Scan, o *tool) {
			read := o.read
			o.read = func(j scanner.Job, r isolate.Ran) (scanner.Report, error) {
				rep, err := read(j, r)
				change(&rep, j)
				return rep, err
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*Scan, *tool)
		want   verdict.Health
		why    string // a part of it
	}{
		"all is well":    {func(*Scan, *tool) {}, verdict.Healthy, ""},
		"left out":       {func(s *Scan, _ *tool) { s.Excluded = func(string) string { return "skip-tools" } }, verdict.LeftOut, "skip-tools"},
		"nothing for it": {func(_ *Scan, o *tool) { o.absent = "no Dockerfile" }, verdict.NotApplicable, "no Dockerfile"},
		"left out, with nothing for it": {func(s *Scan, o *tool) {
			s.Excluded, o.absent = func(string) string { return "skip-tools" }, "no Dockerfile"
		}, verdict.NotApplicable, "no Dockerfile"},
		"no token":      {func(_ *Scan, o *tool) { o.about.Secret = "SNYK_TOKEN" }, verdict.Missing, "SNYK_TOKEN is not set"},
		"not installed": {func(s *Scan, _ *tool) { s.Finder = finder{errors.New("not installed")} }, verdict.Missing, "not installed"},
		"another file":  {func(s *Scan, _ *tool) { s.Finder = finder{wrong{}} }, verdict.WrongChecksum, "not the one of the lock"},
		"crash":         {ending(isolate.Ran{Ending: isolate.Signalled, Why: "segmentation fault", Stderr: []byte("panic: x\n")}), verdict.Crashed, "its last words: panic: x"},
		"hang":          {ending(isolate.Ran{Ending: isolate.TimedOut}), verdict.TimedOut, "within 1m0s"},
		"its limit": {func(s *Scan, o *tool) {
			o.about.Time = time.Nanosecond // of all its commands together
			o.commands = []isolate.Command{{Dir: "/w/lab"}}
			s.Job.Workspace = "/w"
			ending(isolate.Ran{Ending: isolate.Cancelled})(s, o)
		}, verdict.TimedOut, "lab: it did not end within 1ns"},
		"out of memory":   {ending(isolate.Ran{Ending: isolate.OutOfMemory}), verdict.Crashed, "memory"},
		"not started":     {ending(isolate.Ran{Ending: isolate.NotStarted, Why: "exec format error"}), verdict.Crashed, "exec format error"},
		"an unknown end":  {ending(isolate.Ran{}), verdict.Crashed, ""},
		"too much output": {ending(isolate.Ran{Ending: isolate.Exited, Truncated: true}), verdict.Unreadable, "more than is read"},
		"no report": {func(_ *Scan, o *tool) {
			o.read = func(scanner.Job, isolate.Ran) (scanner.Report, error) { return scanner.Report{}, errors.New("empty") }
		}, verdict.Unreadable, "empty"},
		"an adapter that panics": {func(_ *Scan, o *tool) {
			o.read = func(scanner.Job, isolate.Ran) (scanner.Report, error) { panic("index out of range") }
		}, verdict.Unreadable, "index out of range"},
		"no commands":    {func(_ *Scan, o *tool) { o.commands = nil }, verdict.Partial, "nothing to run"},
		"old database":   {report(func(r *scanner.Report, _ scanner.Job) { r.Database = now.Add(-72 * time.Hour) }), verdict.Stale, "3 days old; at most 2"},
		"no age":         {report(func(r *scanner.Report, _ scanner.Job) { r.Database = time.Time{} }), verdict.Stale, "does not say"},
		"some files":     {report(func(r *scanner.Report, _ scanner.Job) { r.Coverage.Files = 2 }), verdict.Partial, "2 of 3 files"},
		"no files":       {report(func(r *scanner.Report, _ scanner.Job) { r.Coverage = verdict.Coverage{} }), verdict.Partial, "no files"},
		"some commits":   {report(func(r *scanner.Report, _ scanner.Job) { r.Coverage.Commits, r.Coverage.CommitsExpected = 30, 200 }), verdict.Partial, "30 of 200 commits"},
		"its own doubts": {report(func(r *scanner.Report, _ scanner.Job) { r.Doubts = []string{"a.js could not be parsed"} }), verdict.Partial, "a.js could"},
		"a lie":          {report(func(r *scanner.Report, _ scanner.Job) { r.Sightings = nil }), verdict.Blind, "did not report the planted problem"},
		"a plant that fails": {report(func(r *scanner.Report, j scanner.Job) {
			if j.Planted {
				r.Sightings = []finding.Sighting{{Rule: "other"}}
			}
		}), verdict.Blind, "planted"},
		"no place to plant": {func(s *Scan, _ *tool) {
			s.Plant = func(context.Context, scanner.Plant, scanner.Job) (scanner.Job, func(), error) {
				return scanner.Job{}, nil, errors.New("disk full")
			}
		}, verdict.Blind, "disk full"},
		"a scanner without plant": {func(_ *Scan, o *tool) { o.plant = scanner.Plant{Without: "its service has no such thing"} }, verdict.Healthy, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := finds()
			s := scanOf(t, one)
			test.change(&s, &one)
			s.Scanners = []scanner.Scanner{one}
			seen := s.Run(t.Context())
			if got := seen[0].Tool; got.Health != test.want || !strings.Contains(got.Why, test.why) {
				t.Errorf("health %q, why %q; want %q with %q", got.Health, got.Why, test.want, test.why)
			}
		})
	}
}

// A tool that is not healthy does not lose what it found before: a refusal needs no
// whole scan.
func TestDoubtfulToolsKeepTheirFindings(t *testing.T) {
	t.Parallel()
	one := finds()
	one.about.Fresh = time.Minute
	seen := scanOf(t, one).Run(t.Context())
	if got := seen[0]; got.Tool.Health != verdict.Stale || len(got.Sightings) != 1 || got.Sightings[0].Tool != "probe" || got.Sightings[0].Class != finding.ClassCode {
		t.Errorf("%+v", got)
	}
}

// What a tool says passes the redactor, since its last words are anything.
func TestLastWordsAreRedacted(t *testing.T) {
	t.Parallel()
	s := scanOf(t, finds())
	s.Sandbox = func(string) Runner {
		return runner{isolate.Ran{Ending: isolate.Signalled, Stderr: []byte("token hunter2 refused")}}
	}
	s.Clean = func(text string) string { return strings.ReplaceAll(text, "hunter2", "***") }
	if why := s.Run(t.Context())[0].Tool.Why; strings.Contains(why, "hunter2") || !strings.Contains(why, "***") {
		t.Errorf("why %q", why)
	}
}

// The hint of a missing tool arrives.
func TestHintOfAMissingTool(t *testing.T) {
	t.Parallel()
	s := scanOf(t, finds())
	s.Finder = finder{wrong{}}
	if got := s.Run(t.Context())[0].Tool; got.Hint != "go tool mage tools:install" {
		t.Errorf("hint %q", got.Hint)
	}
}

// A plant has its own files, history and server, and nothing of the workspace's.
func TestPlanterLaysAPlant(t *testing.T) {
	t.Parallel()
	stopped := false
	p := scanner.Plant{
		Files: map[string]string{"a.txt": "planted\n"}, Commit: true, Images: []string{"planted.tar"},
		Serve: func(context.Context) (string, func(), error) {
			return "127.0.0.1:1", func() { stopped = true }, nil
		},
	}
	given := scanner.Job{
		Workspace: "/the/workspace", Scratch: t.TempDir(), Tree: scanner.Tree{Files: []string{"secret.txt"}},
		Images: []string{"theirs"}, Hosts: []string{"example.com"}, SARIF: []string{"x.sarif"},
	}
	job, clean, err := Planter(tree.Local("git"))(t.Context(), p, given)
	if err != nil {
		t.Fatal(err)
	}
	if !job.Planted || !slices.Equal(job.Tree.Files, []string{"a.txt"}) || job.Range.Commits != 1 ||
		!slices.Equal(job.Images, p.Images) || !slices.Equal(job.Hosts, []string{"127.0.0.1:1"}) || job.SARIF != nil {
		t.Errorf("job %+v", job)
	}
	clean()
	if _, err := os.Stat(job.Workspace); err == nil || !stopped {
		t.Errorf("left behind: the workspace (%v), or its server (stopped: %v)", err, stopped)
	}
}
