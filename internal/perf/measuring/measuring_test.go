package measuring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/toolbox"
)

var latency = measure.Metric{Name: "latency", Unit: measure.Milliseconds, Better: measure.Lower, Compared: true}

// A tool is a meter whose parts a test sets. It gives the number of the round.
type tool struct {
	about  meter.About
	absent string
	read   func(meter.Job, isolate.Ran) (meter.Reading, error)
}

func (m tool) About() meter.About               { return m.about }
func (m tool) Applies(meter.Job) (bool, string) { return m.absent == "", m.absent }
func (m tool) Problems(meter.Job) []error       { return nil }
func (m tool) Commands(meter.Job) ([]isolate.Command, error) {
	return []isolate.Command{{Args: []string{"measure"}}}, nil
}
func (m tool) Read(j meter.Job, _ isolate.Command, ran isolate.Ran) (meter.Reading, error) {
	return m.read(j, ran)
}

func measures() tool {
	return tool{
		about: meter.About{Name: "probe", Tools: []string{"probe"}, ByURL: true},
		read: func(j meter.Job, _ isolate.Ran) (meter.Reading, error) {
			return meter.Reading{Values: []meter.Value{{Subject: "/", Metric: latency, Value: float64(j.Round)}}, Versions: map[string]string{"probe": "1.2.3"}}, nil
		},
	}
}

type finder struct{ err error }

func (f finder) Find(context.Context, string) (meter.Tool, error) {
	return meter.Tool{Command: []string{"/bin/probe"}, Version: "1.2.3"}, f.err
}

// A script answers each command by its next function, and the last one for ever.
type script struct{ answers []func() isolate.Ran }

func (s *script) Run(context.Context, isolate.Command) isolate.Ran {
	next := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return next()
}

func well() isolate.Ran {
	return isolate.Ran{Ending: isolate.Exited, Enforced: []string{"environment"}}
}

func plan(t *testing.T, m meter.Meter, answers ...func() isolate.Ran) Plan {
	t.Helper()
	if len(answers) == 0 {
		answers = append(answers, well)
	}
	s := &script{answers}
	return Plan{
		Meters: []meter.Meter{m}, LeftOut: func(string) string { return "" }, Finder: finder{},
		Sandbox: func(string) Runner { return s }, Head: meter.Job{URL: "http://127.0.0.1:1", Workspace: t.TempDir()},
		Rounds: 3, Work: t.TempDir(), Keep: t.TempDir(), Timeout: time.Minute, Now: time.Now,
		After: func(time.Duration) <-chan time.Time { return nil }, Say: func(string) {}, Clean: strings.ToUpper,
	}
}

// Base and head take turns, and neither is always first.
func TestSidesAreInterleaved(t *testing.T) {
	t.Parallel()
	var order, workspaces []string
	m := measures()
	m.read = func(j meter.Job, _ isolate.Ran) (meter.Reading, error) {
		workspaces = append(workspaces, j.Workspace)
		order = append(order, fmt.Sprint(j.Side, j.Round))
		return meter.Reading{Values: []meter.Value{{Subject: "/", Metric: latency, Value: float64(j.Round)}}}, nil
	}
	p := plan(t, m)
	p.Base = &meter.Job{URL: "http://127.0.0.1:2"}
	seen := p.Run(t.Context())
	if !slices.Equal(slices.Compact(workspaces), []string{p.Head.Workspace}) {
		t.Errorf("the sides ran in %q", workspaces)
	}
	want := []string{"base0", "head0", "head1", "base1", "base2", "head2"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Error(diff)
	}
	if s := seen.Series[0]; len(s.Head) != 3 || len(s.Base) != 3 || !slices.Equal(seen.Compared, []string{"probe"}) {
		t.Errorf("%+v, compared %v", s, seen.Compared)
	}
	if m := seen.Meters[0]; m.Health != verdict.Healthy || m.Rounds != 3 {
		t.Errorf("%+v", m)
	}
}

// A meter is as often run as its values need.
func TestRoundsOfAMeter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		about meter.About
		base  *meter.Job
		want  [2]int // of head, base
	}{
		"each":                           {meter.About{ByURL: true}, nil, [2]int{3, 0}},
		"once":                           {meter.About{ByURL: true, Once: true}, nil, [2]int{1, 0}},
		"once, compared":                 {meter.About{ByURL: true, Once: true}, &meter.Job{URL: "http://b"}, [2]int{3, 3}},
		"single, compared":               {meter.About{Single: true}, &meter.Job{Workspace: "/b"}, [2]int{1, 1}},
		"by URL, of which base has none": {meter.About{ByURL: true}, &meter.Job{Workspace: "/b"}, [2]int{3, 0}},
		"by workspace, base has a URL":   {meter.About{}, &meter.Job{URL: "http://b"}, [2]int{3, 0}},
		"its own base":                   {meter.About{Single: true, OwnBase: true}, &meter.Job{}, [2]int{1, 1}},
	} {
		m := measures()
		m.about = c.about
		m.about.Name = "probe"
		p := plan(t, m)
		p.Base = c.base
		s := p.Run(t.Context()).Series[0]
		if got := [2]int{len(s.Head), len(s.Base)}; got != c.want {
			t.Errorf("%s: %v rounds, want %v", name, got, c.want)
		}
	}
}

// Whatever goes wrong, the meter is not healthy, and says what was observed.
func TestNothingIsHealthyByAccident(t *testing.T) {
	t.Parallel()
	ended := func(e isolate.Ending, why string) func() isolate.Ran {
		return func() isolate.Ran { return isolate.Ran{Ending: e, Why: why, Stderr: []byte("last words\n")} }
	}
	reads := func(r meter.Reading, err error) func(*Plan) {
		return func(p *Plan) {
			m := measures()
			m.read = func(meter.Job, isolate.Ran) (meter.Reading, error) { return r, err }
			p.Meters = []meter.Meter{m}
		}
	}
	answer := func(f func() isolate.Ran) func(*Plan) {
		return func(p *Plan) { s := &script{[]func() isolate.Ran{f}}; p.Sandbox = func(string) Runner { return s } }
	}
	for name, c := range map[string]struct {
		change func(*Plan)
		health verdict.Health
		why    string
	}{
		"crash":       {answer(ended(isolate.Signalled, "killed")), verdict.Crashed, "LAST WORDS"},
		"time":        {answer(ended(isolate.TimedOut, "")), verdict.TimedOut, "DID NOT END WITHIN 1M0S"},
		"memory":      {answer(ended(isolate.OutOfMemory, "")), verdict.OutOfMemory, "MORE MEMORY"},
		"not started": {answer(ended(isolate.NotStarted, "no such file")), verdict.Crashed, "NO SUCH FILE"},
		"no report":   {reads(meter.Reading{}, errors.New("no report")), verdict.Unreadable, "NO REPORT"},
		"nothing":     {reads(meter.Reading{}, nil), verdict.Partial, "MEASURED NOTHING"},
		"a doubt":     {reads(meter.Reading{Values: []meter.Value{{Metric: latency}}, Doubts: []string{"dropped"}}, nil), verdict.Partial, "HEAD, ROUND 1: DROPPED"},
		"a gap":       {reads(meter.Reading{Values: []meter.Value{{Subject: "/a", Metric: latency}}, Gaps: []meter.Gap{{Subject: "/b", Metric: "latency", Why: "no audit"}}}, nil), verdict.Partial, "NO AUDIT"},
		"not installed": {func(p *Plan) {
			p.Finder = finder{&toolbox.ToolError{Name: "probe", Err: toolbox.ErrMissing, Hint: "install it"}}
		}, verdict.Missing, "NOT INSTALLED"},
		"wrong checksum": {func(p *Plan) { p.Finder = finder{&toolbox.ToolError{Name: "probe", Err: toolbox.ErrChecksum}} }, verdict.WrongChecksum, "LOCKED"},
		"no browser": {func(p *Plan) {
			m := measures()
			m.about.Browser = true
			p.Meters, p.NoChromium = []meter.Meter{m}, errors.New("no chromium in PATH")
		}, verdict.Missing, "NO CHROMIUM"},
		"a panic": {func(p *Plan) {
			m := measures()
			m.read = func(meter.Job, isolate.Ran) (meter.Reading, error) { panic("index out of range") }
			p.Meters = []meter.Meter{m}
		}, verdict.Unreadable, "INDEX OUT OF RANGE"},
		"not for here": {func(p *Plan) { m := measures(); m.absent = "no URL"; p.Meters = []meter.Meter{m} }, verdict.NotApplicable, "no URL"},
		"left out":     {func(p *Plan) { p.LeftOut = func(string) string { return "meters leaves it out" } }, verdict.LeftOut, "meters leaves it out"},
	} {
		p := plan(t, measures())
		c.change(&p)
		got := p.Run(t.Context()).Meters[0]
		if got.Health != c.health || !strings.Contains(strings.ToUpper(got.Why), strings.ToUpper(c.why)) {
			t.Errorf("%s: %s, %q", name, got.Health, got.Why)
		}
		if left, _ := filepath.Glob(p.Work + "/*"); len(left) > 0 {
			t.Errorf("%s: left in the work folder: %v", name, left)
		}
	}
}

// A round that failed is repeated once, and the report says so.
func TestARoundIsRepeatedOnce(t *testing.T) {
	t.Parallel()
	crash := func() isolate.Ran { return isolate.Ran{Ending: isolate.Signalled, Why: "killed"} }
	seen := plan(t, measures(), well, crash, well).Run(t.Context())
	m := seen.Meters[0]
	if m.Health != verdict.Healthy || m.Rounds != 3 || !slices.ContainsFunc(m.Notes, func(n string) bool { return strings.Contains(n, "HEAD, ROUND 2 WAS REPEATED") }) {
		t.Errorf("%+v", m)
	}
	if m := plan(t, measures(), well, crash, crash).Run(t.Context()).Meters[0]; m.Health != verdict.Crashed || m.Rounds != 1 {
		t.Errorf("twice: %+v", m)
	}
	once := measures()
	once.about.Once = true
	if m := plan(t, once, crash, well).Run(t.Context()).Meters[0]; m.Health != verdict.Crashed {
		t.Errorf("a load: %+v", m)
	}
}

// A base that cannot be measured leaves head's values, and a doubt.
func TestTheBaseFails(t *testing.T) {
	t.Parallel()
	m := measures()
	good := m.read
	m.read = func(j meter.Job, ran isolate.Ran) (meter.Reading, error) {
		if j.Side == measure.Base {
			return meter.Reading{}, errors.New("the page is down")
		}
		return good(j, ran)
	}
	p := plan(t, m)
	p.Base = &meter.Job{URL: "http://b"}
	seen := p.Run(t.Context())
	if got := seen.Meters[0]; got.Health != verdict.Partial || got.Rounds != 3 || !strings.Contains(got.Why, "BASE, ROUND 1: THE PAGE IS DOWN") {
		t.Errorf("%+v", got)
	}
	if len(seen.Compared) != 0 || len(seen.Series[0].Head) != 3 {
		t.Errorf("%+v", seen)
	}
}

// What people look at is kept under names that artifacts may have; links are not
// followed.
func TestFilesAreKept(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := measures()
	m.read = func(j meter.Job, _ isolate.Ran) (meter.Reading, error) {
		report, link := filepath.Join(j.Scratch, "report.html"), filepath.Join(j.Scratch, "link.html")
		if err := errors.Join(os.WriteFile(report, []byte("<p>"), 0o600), os.Symlink(secret, link)); err != nil {
			return meter.Reading{}, err
		}
		return meter.Reading{Values: []meter.Value{{Subject: "/", Metric: latency}}, Files: []meter.File{
			{Subject: "/ mobile", What: "report", Path: report}, {Subject: "/", What: "link", Path: link}, {Subject: "/", What: "other", Path: secret},
		}}, nil
	}
	p := plan(t, m)
	p.Rounds = 1
	seen := p.Run(t.Context())
	if len(seen.Files) != 1 || seen.Files[0].Path != "probe/root-mobile-head-1-1.html" {
		t.Fatalf("%+v", seen.Files)
	}
	if raw, err := os.ReadFile(filepath.Join(p.Keep, seen.Files[0].Path)); string(raw) != "<p>" {
		t.Errorf("%q, %v", raw, err)
	}
	if len(seen.Meters[0].Notes) != 2 {
		t.Errorf("notes: %q", seen.Meters[0].Notes)
	}
}

// The number of rounds follows from what the first one measured.
func TestEnoughRounds(t *testing.T) {
	t.Parallel()
	p := plan(t, measures())
	p.Rounds, p.Enough = 0, func(all []measure.Series) int { return 6 + len(all) }
	if seen := p.Run(t.Context()); len(seen.Series[0].Head) != 7 {
		t.Errorf("%+v", seen.Series)
	}
}
