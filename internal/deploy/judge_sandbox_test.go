package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// blindProbe configures the metric probe with limits that no canary exceeds, so
// another metric must detect the failure.
const blindProbe = `
- name: probe
  errors: {rate: 99, success: 1, ratio: 1000, floor: 99}
  latency: {ratio: 1000, p95: 1m}
`

// analysisFile writes an analysis file and returns its path.
func (w *world) analysisFile(metrics, rest string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "analysis.yaml")
	text := "version: 1\nmetrics:" + strings.ReplaceAll(metrics, "PROMETHEUS", w.sandbox.Prometheus) + "\n" + rest
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// report returns the JSON report of a finished run.
func (p *process) report() report.Result {
	p.t.Helper()
	raw, err := os.ReadFile(p.file(view.ReportFile))
	if err != nil {
		p.t.Fatal(err)
	}
	var r report.Result
	if err := json.Unmarshal(raw, &r); err != nil {
		p.t.Fatal(err)
	}
	return r
}

// finding returns the last step's finding of a check of a metric.
func (p *process) finding(metric string, check analysis.Check) analysis.Finding {
	p.t.Helper()
	for _, s := range p.report().StepRecords {
		for _, f := range s.Findings {
			if f.Metric == metric && f.Check == check {
				return f
			}
		}
	}
	p.t.Fatalf("no finding %s of metric %s in the report:\n%s", check, metric, p.text())
	return analysis.Finding{}
}

const users = `
- name: users
  prometheus: {url: PROMETHEUS, gateway: traefik}
  errors: {}
  latency: {}
`

func TestPrometheusFindsWhatTheProbeMayNot(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, image string
		env         map[string]string
		checks      []analysis.Check // one of them decides
	}{
		{"30 % errors", "broken", map[string]string{"ERROR_RATE": "0.3"}, []analysis.Check{analysis.CheckErrors, analysis.CheckErrorRate}},
		{"many times as slow", "slow", map[string]string{"LATENCY": "300ms"}, []analysis.Check{analysis.CheckLatency, analysis.CheckSlow}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			l := w.load(100)
			p := w.deploy("--image", w.image(test.image, test.env), "--steps", "25,100", "--step-duration", "40s", "--response-time-ratio", "1.5",
				"--analysis-file", w.analysisFile(blindProbe+users, ""))
			out := p.ends(4)
			l.stop()
			if !strings.Contains(out, "users: the canary") {
				t.Errorf("the reason is not the metric's:\n%s", out)
			}
			failed := false
			for _, check := range test.checks {
				failed = failed || p.finding("users", check).Verdict == rollout.VerdictFailed
			}
			if !failed {
				t.Errorf("none of %q failed:\n%s", test.checks, out)
			}
			if got := w.live(); got != "v1" {
				t.Errorf("version %s answers after the abort", got)
			}
			// A replay of the recording returns the same verdict.
			file, err := os.Open(p.file(view.AnalysisFile))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			_, steps, err := recording.Replay(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			if last := steps[len(steps)-1]; last.Now.Verdict != rollout.VerdictFailed || last.Now.Reason != last.Recorded.Reason {
				t.Errorf("replayed: %s: %s\nrecorded: %s: %s", last.Now.Verdict, last.Now.Reason, last.Recorded.Verdict, last.Recorded.Reason)
			}
		})
	}
}

func TestHealthyByPrometheusToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.load(100)
	p := w.deploy("--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "12s", "--analysis-file", w.analysisFile(users, ""))
	p.ends(0)
	l.unhurt(t)
	if f := p.finding("users", analysis.CheckData); f.Verdict != rollout.VerdictSuccessful {
		t.Errorf("users: %s: %s", f.Verdict, f.Sentence)
	}
}

func TestWhatCannotBeJudgedIsPaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.deploy("--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "8s",
		"--analysis-file", w.analysisFile(strings.ReplaceAll(users, "PROMETHEUS", "http://127.0.0.1:1"), "max-extensions: 1\n"))
	out := p.ends(3)
	if !strings.Contains(out, "connection refused") || !strings.Contains(out, "the extended dwell") {
		t.Errorf("the output names neither the reason nor the extension:\n%s", out)
	}
	if got := p.outputs()["status"]; got != "paused" {
		t.Errorf("status = %q, want paused", got)
	}
	if weights := w.kubectl("get", "httproute", sample.Name, "-o", "jsonpath={.spec.rules[0].backendRefs[*].weight}"); weights != "75 25" {
		t.Errorf("weights = %q, want them held at 75 25", weights)
	}
}

func TestCustomChecksDecide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := func(env, value string) string {
		path := filepath.Join(t.TempDir(), "job.yaml")
		text := fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata: {name: smoke}\nspec:\n  template:\n    spec:\n      containers:\n      - name: smoke\n        image: %s\n        env: [{name: %s, value: %q}]\n",
			w.image("v1", nil), env, value)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	p := w.deploy("--image", w.image("v2", nil), "--steps", "50,100", "--step-duration", "8s",
		"--analysis-file", w.analysisFile(" []", "checks:\n- {name: smoke, job: "+job("EXIT_AFTER", "500ms")+"}\n- {name: look, command: [sh, -c, 'echo $CANDLEFISH_WEIGHT of $CANDLEFISH_IMAGE'], at: [50]}\n"))
	out := p.ends(0)
	if f := p.finding("smoke", analysis.CheckCustom); f.Verdict != rollout.VerdictSuccessful || !strings.Contains(strings.Join(f.Output, "\n"), "website v1 listens") {
		t.Errorf("the job: %+v\n%s", f, out)
	}
	if f := p.finding("look", analysis.CheckCustom); len(f.Output) != 1 || !strings.HasPrefix(f.Output[0], "50 of ") {
		t.Errorf("the command: %+v", f)
	}
	p = w.deploy("--image", w.image("v3", nil), "--steps", "50,100", "--step-duration", "30s",
		"--analysis-file", w.analysisFile(" []", "checks:\n- {name: smoke, job: "+job("CRASH_AFTER", "500ms")+"}\n"))
	if out := p.ends(4); !strings.Contains(out, "smoke failed") {
		t.Errorf("the output does not name the check:\n%s", out)
	}
	if f := p.finding("smoke", analysis.CheckCustom); !strings.Contains(strings.Join(f.Output, "\n"), "crashing, as CRASH_AFTER says") {
		t.Errorf("the end of the job's log is missing: %+v", f)
	}
	if jobs := w.kubectl("get", "jobs", "-o", "name"); strings.TrimSpace(jobs) != "" {
		t.Errorf("jobs are left: %s", jobs)
	}
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers after the failed check", got)
	}
}

func TestABadAnalysisFileChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.spec()
	for text, want := range map[string][]string{
		"\n- {name: x, prometheus: {url: 'http://x'}, limits: {}}":                            {`metrics[0].limits is not a known key`},
		"\n- {name: 'a b'}\n- {name: y, weight: -1, http: {url: x, value: $.x}}":              {`metrics[0].name is "a b"`, "0 sources", "metrics[1].weight is -1"},
		"\n- {name: z, prometheus: {url: 'http://x', gateway: traefik}, errors: {rate: 300}}": {"errors.rate is 300"},
	} {
		out := w.deploy("--image", w.image("v2", nil), "--analysis-file", w.analysisFile(text, "")).ends(2)
		for _, part := range want {
			if !strings.Contains(out, part) {
				t.Errorf("%s\nthe output lacks %q:\n%s", text, part, out)
			}
		}
	}
	out := w.deploy("--image", w.image("v2", nil), "--analysis-file", w.analysisFile("\n- {name: mixed, prometheus: {url: PROMETHEUS, value: up}, limit: {max: 3}}", "")).ends(1)
	if !strings.Contains(out, "tell the versions apart") {
		t.Errorf("a query that mixes the versions is not refused for it:\n%s", out)
	}
	if after := w.spec(); after != before {
		t.Errorf("something changed:\n%s\nbefore:\n%s", after, before)
	}
}
