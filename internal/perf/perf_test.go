package perf

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/perf/measuring"
)

var latency = measure.Metric{
	Name: "latency", Title: "Latency", Unit: measure.Milliseconds, Better: measure.Lower, Compared: true, Floor: measure.Floor{Absolute: 1, Relative: .05},
}

// A gauge is a meter that a test reads.
type gauge struct {
	about meter.About
	read  func(meter.Job) (meter.Reading, error)
}

func (g gauge) About() meter.About { return g.about }
func (g gauge) Applies(j meter.Job) (bool, string) {
	if j.URL == "" {
		return false, "no URL"
	}
	return true, "1 page"
}
func (g gauge) Problems(meter.Job) []error { return nil }
func (g gauge) Measure(_ context.Context, j meter.Job) (meter.Reading, error) {
	return g.read(j)
}

// steady answers about 100 ms, and extra ms more on the head.
func steady(extra float64) gauge {
	return gauge{meter.About{Name: "gauge", Does: "a gauge", ByURL: true}, func(j meter.Job) (meter.Reading, error) {
		v := 100 + float64(j.Round*7%5)/10
		if j.Side == measure.Head {
			v += extra + .05
		}
		return meter.Reading{Values: []meter.Value{{Subject: "/", Metric: latency, Value: v}}, Versions: map[string]string{"gauge": "1.0.0"}}, nil
	}}
}

type nothing struct{}

func (nothing) Find(context.Context, string) (meter.Tool, error) { return meter.Tool{}, nil }

// A gate is one run with a gauge.
func gate(t *testing.T, g gauge, now time.Time, args ...string) (code int, out string, outputs map[string]string) {
	t.Helper()
	return ran(t, program{
		now: func() time.Time { return now }, after: func(time.Duration) <-chan time.Time { return nil },
		meters: func(context.Context) []meter.Meter { return []meter.Meter{g} }, cache: func() (string, error) { return t.TempDir(), nil },
		openTools: func(string, string, []string) (measuring.Finder, error) { return nothing{}, nil }, sandbox: sandbox,
	}, args...)
}

// ran is one run of a program.
func ran(t *testing.T, p program, args ...string) (code int, out string, outputs map[string]string) {
	t.Helper()
	var text bytes.Buffer
	file, summary := filepath.Join(t.TempDir(), "output"), filepath.Join(t.TempDir(), "summary")
	for _, f := range []string{file, summary} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": file, "GITHUB_STEP_SUMMARY": summary, "GITHUB_WORKSPACE": t.TempDir()}
	code = p.main(action.Env{Getenv: func(name string) string { return all[name] }, Stdout: &text, Stderr: &text}, args)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	outputs = map[string]string{}
	lines := strings.Split(string(raw), "\n")
	for i := 0; i+1 < len(lines); i++ {
		if name, mark, ok := strings.Cut(lines[i], "<<"); ok {
			var value []string
			for i++; i < len(lines) && lines[i] != mark; i++ {
				value = append(value, lines[i])
			}
			outputs[name] = strings.Join(value, "\n")
		}
	}
	return code, text.String(), outputs
}

var day = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	base := "--base-url=http://127.0.0.1:2"
	broken := steady(0)
	broken.read = func(meter.Job) (meter.Reading, error) { return meter.Reading{}, context.DeadlineExceeded }
	for name, c := range map[string]struct {
		gauge  gauge
		args   []string
		code   int
		status string
		says   string
	}{
		"nothing compared":    {steady(0), nil, 0, "pass", "Nothing was compared"},
		"the same":            {steady(0), []string{base}, 0, "pass", "could have seen"},
		"slower":              {steady(30), []string{base}, 3, "refused", "Latency of"},
		"too few runs":        {steady(30), []string{base, "--runs=2"}, 3, "inconclusive", "not enough data"},
		"too few, accepted":   {steady(0), []string{base, "--runs=2", "--require-data=false"}, 0, "pass", "not enough data"},
		"under the floor":     {steady(30), []string{base, "--floors=latency=50,1%"}, 0, "pass", ""},
		"as many as it needs": {steady(30), []string{base, "--runs=auto"}, 3, "refused", "5 runs of each version"},
		"broken":              {broken, nil, 3, "inconclusive", "context deadline exceeded"},
		"broken, optional":    {broken, []string{"--optional-meters=gauge"}, 3, "inconclusive", "othing was measured"},
	} {
		args := append([]string{"--url=http://127.0.0.1:1", "--report-dir=" + t.TempDir()}, c.args...)
		code, out, outputs := gate(t, c.gauge, day, args...)
		if code != c.code || outputs["status"] != c.status || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit status %d, status %q:\n%s", name, code, outputs["status"], out)
		}
	}
}

// All that is wrong with the inputs comes at once, and nothing is measured.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	g := steady(0)
	g.read = func(meter.Job) (meter.Reading, error) { panic("measured") }
	code, out, _ := gate(t, g, day, "--url=http://127.0.0.1:1?x=1", "--meters=lightbulb", "--pages=workshop", "--devices=watch",
		"--scenarios=rain", "--floors=latency", "--compare=base", "--baseline=cloud:9", "--budgets=none.yaml", "--journeys=none.yaml")
	for _, want := range []string{"no query", `no meter "lightbulb"`, `"workshop" is no path`, `no device "watch"`, `"rain" is neither`, `"latency" is not METRIC`, "there is no base", `"cloud:9"`, "none.yaml"} {
		if !strings.Contains(out, want) {
			t.Errorf("the errors do not say %q", want)
		}
	}
	if code != 2 {
		t.Errorf("exit status %d:\n%s", code, out)
	}
	if code, out, _ := gate(t, g, day); code != 2 || !strings.Contains(out, "nothing to measure: set url") {
		t.Errorf("without anything: exit status %d:\n%s", code, out)
	}
}

// A baseline grows by runs, is compared with from the sixth one on, and its anchor is
// pinned and removed by what the command shows.
func TestBaseline(t *testing.T) {
	t.Parallel()
	folder := "--baseline=folder:" + t.TempDir()
	run := func(i int, extra float64, args ...string) (int, string) {
		t.Helper()
		args = append([]string{"--url=http://127.0.0.1:1", "--report-dir=" + t.TempDir(), folder}, args...)
		code, out, _ := gate(t, steady(extra+float64(i%3)/10), day.Add(time.Duration(i)*time.Hour), args...)
		return code, out
	}
	for i := range 8 {
		if code, out := run(i, 0); code != 0 {
			t.Fatalf("run %d: exit status %d:\n%s", i, code, out)
		}
	}
	if code, out := run(8, 30); code != 3 || !strings.Contains(out, "Latency of") {
		t.Errorf("a slow run: exit status %d:\n%s", code, out)
	}
	if code, out := run(9, 0); code != 0 {
		t.Errorf("the run after it: exit status %d:\n%s", code, out)
	}
	if code, out := run(10, 0, "--command=baseline"); code != 0 || !strings.Contains(out, "10 runs") {
		t.Errorf("show: exit status %d:\n%s", code, out)
	}
	for _, command := range []string{"pin", "pin", "unpin"} {
		if code, out := run(11, 0, "--command="+command); code != 0 {
			t.Errorf("%s: exit status %d:\n%s", command, code, out)
		}
	}
}

// The reports are there, and can be written again from what was recorded.
func TestReports(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if code, out, _ := gate(t, steady(0), day, "--url=http://127.0.0.1:1", "--report-dir="+dir); code != 0 {
		t.Fatal(out)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "analysis.json"))
	if err != nil {
		t.Fatal(err)
	}
	var analysis struct {
		Verdict, Environment string
		Summary              struct {
			Total int `json:"total_scenarios"`
		}
	}
	if err := json.Unmarshal(raw, &analysis); err != nil || analysis.Verdict != "pass" || analysis.Environment != "staging" {
		t.Errorf("%+v, %v", analysis, err)
	}
	for _, name := range []string{"report.md", "report.html"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if code, out, _ := gate(t, steady(0), day, "--command=report", "--report-dir="+dir); code != 0 {
		t.Errorf("exit status %d:\n%s", code, out)
	}
	if page, err := os.ReadFile(filepath.Join(dir, "report.html")); err != nil || !bytes.Contains(page, []byte("Latency")) {
		t.Errorf("%v:\n%.500s", err, page)
	}
}
