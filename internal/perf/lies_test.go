package perf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/meters"
	"github.com/candlefish/deploy-action/internal/perf/measuring"
	"github.com/candlefish/deploy-action/internal/toolbox"
)

const honest = "http://127.0.0.1:9401" // of the recorded reports

// A lie has what a program reports instead of what it was asked for: whole reports.
type lie struct{ empty, other string }

// liesOf are those of all programs.
func liesOf(t *testing.T) map[string]lie {
	t.Helper()
	recorded := func(name string) string {
		raw, err := os.ReadFile(filepath.Join("..", "meter", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	var report map[string]any
	if err := json.Unmarshal([]byte(recorded("lighthouse/testdata/13.5.0-mobile.json")), &report); err != nil {
		t.Fatal(err)
	}
	report["audits"], report["categories"] = map[string]any{}, map[string]any{}
	empty, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	walked := `{"version":1,"browser":"156.0","pages":%s,"steps":[],"duration":900.5,"heap":[1000],"whole":false,"lost":0,"errors":[],"screenshots":[]}`
	return map[string]lie{
		"lighthouse": {string(empty), strings.ReplaceAll(recorded("lighthouse/testdata/13.5.0-mobile.json"), honest, "https://example.com")},
		"load":       {`{"root_group":{},"metrics":{}}`, recorded("load/summary/testdata/legacy-2.2.0.json")},
		"journey": {
			fmt.Sprintf(walked, "[]"),
			fmt.Sprintf(walked, `[{"url":"https://example.com/","ttfb":10,"fcp":100,"lcp":120,"shifts":[],"tasks":[],"events":[],"interactions":0}]`),
		},
		"gobench": {
			"goos: linux\ngoarch: amd64\npkg: example.com/a\nPASS\n",
			"goos: linux\ngoarch: amd64\npkg: example.com/other\nBenchmarkOther-2   100   12.5 ns/op   0 B/op   0 allocs/op\nPASS\n",
		},
	}
}

// A liar is in place of a tool. What only prepares the measurement is answered as it
// should be, unless it lies from the start.
type liar struct {
	meter string
	ran   isolate.Ran
	start bool
}

func (l liar) Run(_ context.Context, c isolate.Command) isolate.Ran {
	if !l.start {
		switch {
		case strings.HasPrefix(filepath.Base(c.Report), "visit-"):
			return exited(`{"status":200,"url":"` + honest + `/","tries":1}`)
		case l.meter == "gobench" && c.Args[0] == "version":
			return exited("go version go1.26.0 linux/amd64\n")
		case l.meter == "gobench" && c.Args[0] == "test":
			return exited("")
		}
	}
	if l.meter == "load" && l.ran.Ending == isolate.Exited && len(l.ran.Stdout) > 0 {
		if err := os.WriteFile(filepath.Join(c.Dir, "summary.json"), l.ran.Stdout, 0o600); err != nil {
			panic(err)
		}
	}
	return l.ran
}

func exited(stdout string) isolate.Ran {
	return isolate.Ran{Ending: isolate.Exited, Stdout: []byte(stdout), Took: time.Second}
}

// A shelf has all tools, or its error instead.
type shelf struct{ err error }

func (s shelf) Find(context.Context, string) (meter.Tool, error) {
	return meter.Tool{Command: []string{"/bin/tool", "/bin/script"}, Version: "1.0.0"}, s.err
}

// Whatever a tool does instead of its work, the run is no pass, and says why.
func TestNoMeterIsGreenByAccident(t *testing.T) {
	t.Parallel()
	lies := liesOf(t)
	kinds := []struct {
		name, says string
		ran        func(lie) isolate.Ran
		tool       error
	}{
		{"crash", "segmentation fault", func(lie) isolate.Ran { return isolate.Ran{Ending: isolate.Signalled, Why: "segmentation fault"} }, nil},
		{"exit status 137", "137", func(lie) isolate.Ran { return isolate.Ran{Ending: isolate.Exited, Status: 137} }, nil},
		{"hang", "timed out", func(lie) isolate.Ran { return isolate.Ran{Ending: isolate.TimedOut} }, nil},
		{"out of memory", "more memory", func(lie) isolate.Ran { return isolate.Ran{Ending: isolate.OutOfMemory} }, nil},
		{"not started", "no such file", func(lie) isolate.Ran { return isolate.Ran{Ending: isolate.NotStarted, Why: "no such file"} }, nil},
		{"too much", "more than is read", func(l lie) isolate.Ran { ran := exited(l.other); ran.Truncated = true; return ran }, nil},
		{"nothing printed", "", func(lie) isolate.Ran { return exited("") }, nil},
		{"a blank line", "", func(lie) isolate.Ran { return exited("\n") }, nil},
		{"an empty object", "", func(lie) isolate.Ran { return exited("{}") }, nil},
		{"null", "", func(lie) isolate.Ran { return exited("null") }, nil},
		{"an empty list", "", func(lie) isolate.Ran { return exited("[]") }, nil},
		{"words", "", func(lie) isolate.Ran { return exited("OK, all is fast\n") }, nil},
		{"an empty report", "", func(l lie) isolate.Ran { return exited(l.empty) }, nil},
		{"another report", "", func(l lie) isolate.Ran { return exited(l.other) }, nil},
		{"half a report", "", func(l lie) isolate.Ran { return exited(l.other[:len(l.other)/2]) }, nil},
		{"missing", "missing", nil, errors.New("it is not installed")},
		{"wrong checksum", "wrong checksum", nil, fmt.Errorf("k6: %w", toolbox.ErrChecksum)},
		{"denied", "denied", nil, fmt.Errorf("k6: %w", toolbox.ErrDenied)},
	}
	for _, one := range meters.All(t.Context()) {
		p, ok := one.(meter.Program)
		if !ok {
			continue
		}
		name := p.About().Name
		if _, ok := lies[name]; !ok {
			t.Errorf("%s: there is no report to lie with", name)
			continue
		}
		for _, kind := range kinds {
			if kind.tool != nil && len(p.About().Tools) == 0 {
				continue // it has none to be without
			}
			for _, start := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%t", name, kind.name, start), func(t *testing.T) {
					t.Parallel()
					l := liar{meter: name, start: start}
					if kind.ran != nil {
						l.ran = kind.ran(lies[name])
					}
					checkLiar(t, p, l, shelf{kind.tool}, kind.says)
				})
			}
		}
	}
}

// checkLiar runs the whole gate with one meter, without limits that would be missed.
func checkLiar(t *testing.T, p meter.Program, l liar, tools shelf, says string) {
	t.Helper()
	repository := t.TempDir()
	for file, text := range map[string]string{
		"go.mod": "module example.com/a\n\ngo 1.24\n", "a_test.go": "package a\n\nimport \"testing\"\n\nfunc BenchmarkA(b *testing.B) {}\n",
	} {
		if err := os.WriteFile(filepath.Join(repository, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, out, outputs := ran(t, program{
		now: time.Now, after: func(time.Duration) <-chan time.Time { return nil },
		meters: func(context.Context) []meter.Meter { return []meter.Meter{p} }, cache: func() (string, error) { return t.TempDir(), nil },
		openTools: func(string, string, []string) (measuring.Finder, error) { return tools, nil },
		sandbox: func(string, []string) func(string) measuring.Runner {
			return func(string) measuring.Runner { return l }
		},
	}, "--url="+honest, "--meters="+l.meter, "--chrome=/bin/sh", "--runs=2", "--devices=mobile", "--go-bench=BenchmarkA", "--duration=10s",
		"--dir="+repository, "--report-dir="+t.TempDir(), "--default-budgets=false")
	if code != 3 || outputs["status"] != "inconclusive" {
		t.Errorf("exit status %d, verdict %q:\n%s", code, outputs["status"], out)
	}
	prefix := l.meter + ": "
	if why := outputs["unmeasured"]; !strings.HasPrefix(why, prefix) || len(why) < len(prefix)+8 || !strings.Contains(why, says) {
		t.Errorf("it says %q, want %q in it", why, says)
	}
	if !strings.Contains(out, "inconclusive") || !strings.Contains(out, l.meter) {
		t.Errorf("the log does not say it:\n%s", out)
	}
}

// A limit for an audit that the report does not have is no limit that holds.
func TestMissingAuditIsInconclusive(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(filepath.Join("..", "meter", "lighthouse", "testdata", "13.5.0-mobile.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report map[string]any
	if err := json.Unmarshal(whole, &report); err != nil {
		t.Fatal(err)
	}
	delete(report["audits"].(map[string]any), "speed-index")
	cut, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	budgets := filepath.Join(t.TempDir(), "performance-budgets.yaml")
	text := "version: 1\nbudgets:\n  - meter: lighthouse\n    metric: %s\n    limit: \"< 10 s\"\n"
	for _, c := range []struct {
		report, metric, verdict, says string
	}{
		{string(whole), "speed-index", "pass", ""},
		{string(cut), "speed-index", "inconclusive", "speed-index"},
		{string(cut), "largest-contentful-paint", "inconclusive", "speed-index"}, // it is compared
		{string(whole), "speed-of-light", "inconclusive", "speed-of-light"},
	} {
		if err := os.WriteFile(budgets, fmt.Appendf(nil, text, c.metric), 0o600); err != nil {
			t.Fatal(err)
		}
		p := program{
			now: time.Now, after: func(time.Duration) <-chan time.Time { return nil },
			meters: meters.All, cache: func() (string, error) { return t.TempDir(), nil },
			openTools: func(string, string, []string) (measuring.Finder, error) { return shelf{}, nil },
			sandbox: func(string, []string) func(string) measuring.Runner {
				return func(string) measuring.Runner { return liar{meter: "lighthouse", ran: exited(c.report)} }
			},
		}
		code, out, outputs := ran(t, p, "--url="+honest, "--meters=lighthouse", "--chrome=/bin/sh", "--runs=2", "--devices=mobile", "--budgets="+budgets,
			"--report-dir="+t.TempDir(), "--default-budgets=false")
		if outputs["status"] != c.verdict || (code == 0) != (c.verdict == "pass") || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit status %d, verdict %q:\n%s", c.metric, code, outputs["status"], out)
		}
	}
}
