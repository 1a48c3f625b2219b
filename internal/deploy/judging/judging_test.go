package judging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/rollout"
)

var limits = Limits{ErrorRate: 5, SuccessRate: 95, ResponseRatio: 1.5, ResponseMax: 2 * time.Second, MinSamples: 20, Inconclusive: rollout.PolicyAbort}

func load(t *testing.T, text string) (Rules, error) {
	t.Helper()
	if text == "" {
		return Load("", limits)
	}
	file := filepath.Join(t.TempDir(), "analysis.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(file, limits)
}

func TestTheInputsLimitsCountWithoutAFile(t *testing.T) {
	t.Parallel()
	r, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	m := r.config.Metrics[0]
	if m.Name != config.ProbeMetric || *m.Errors.Rate != 5 || *m.Errors.Success != 95 || m.Latency.Ratio != 1.5 || time.Duration(*m.Latency.P95) != 2*time.Second || m.MinSamples != 20 {
		t.Errorf("the probe stream is judged by %+v", m)
	}
	// To abort is for the whole rollout; one metric has failed.
	if m.OnNoData != rollout.PolicyFail || m.OnFewSamples != rollout.PolicyFail || m.OnNaN != rollout.PolicyFail {
		t.Errorf("policies %q, %q, %q, want fail", m.OnNoData, m.OnFewSamples, m.OnNaN)
	}
	if r.MaxExtensions() != 2 || r.Then() != rollout.PolicyHold || len(r.Permissions()) != 0 {
		t.Errorf("%d extensions, then %q, permissions %v", r.MaxExtensions(), r.Then(), r.Permissions())
	}
}

// The input replaces the file's warm-up only if somebody gave it.
func TestTheWarmUpOfTheInputs(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "analysis.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nwarm-up: 20s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	given := limits
	given.WarmUp = new(5 * time.Second)
	for _, c := range []struct {
		file string
		l    Limits
		want time.Duration
	}{{"", limits, 45 * time.Second}, {file, limits, 20 * time.Second}, {file, given, 5 * time.Second}, {"", given, 5 * time.Second}} {
		r, err := Load(c.file, c.l)
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Duration(*r.config.WarmUp); got != c.want {
			t.Errorf("with the file %q and the input %v: %s, want %s", c.file, c.l.WarmUp, got, c.want)
		}
	}
}

func TestABadFileIsBadInput(t *testing.T) {
	t.Parallel()
	_, err := load(t, "version: 1\nalpha: 2\n")
	if status, hint := exit.Of(err); status != exit.BadInput || hint == "" || !strings.Contains(err.Error(), "alpha is 2") {
		t.Errorf("%v, status %s, hint %q", err, status, hint)
	}
}

func TestPermissionsFollowTheFile(t *testing.T) {
	t.Parallel()
	r, err := load(t, "version: 1\nmetrics: [{name: cpu, kubernetes: {resource: cpu}, limit: {max: 0.9}}]\nchecks: [{name: smoke, job: smoke.yaml}]\n")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range r.Permissions() {
		got = append(got, p.Resource+"."+p.Group)
	}
	if want := "pods.metrics.k8s.io jobs.batch"; strings.Join(got, " ") != want {
		t.Errorf("permissions %q, want %q", got, want)
	}
	if all := len(Permissions()); all < len(got) {
		t.Errorf("a file may need %d permissions, and this one needs %d", all, len(got))
	}
}

func TestPrepareRefusesChecksThatCannotRun(t *testing.T) {
	t.Parallel()
	r, err := load(t, "version: 1\nchecks: [{name: gate, webhook: https://gate.example, secret-env: GATE_SECRET}, {name: smoke, job: /does/not/exist.yaml}]\n")
	if err != nil {
		t.Fatal(err)
	}
	err = r.Prepare(Env{Getenv: func(string) string { return "" }, Mask: func(string) {}, Redact: func(s string) string { return s }})
	if err == nil || !strings.Contains(err.Error(), "GATE_SECRET") || !strings.Contains(err.Error(), "smoke") {
		t.Errorf("Prepare = %v, want both checks refused", err)
	}
}

// A file that does not fit the plan is bad input, whatever else is missing.
func TestPrepareRefusesChecksAtNoStep(t *testing.T) {
	t.Parallel()
	r, err := load(t, "version: 1\nchecks: [{name: gate, webhook: https://gate.example, secret-env: GATE_SECRET, at: [25, 30]}]\n")
	if err != nil {
		t.Fatal(err)
	}
	env := func(secret string, steps ...int) Env {
		return Env{Getenv: func(string) string { return secret }, Mask: func(string) {}, Redact: func(s string) string { return s }, Steps: steps}
	}
	for _, c := range []struct {
		env    Env
		status exit.Status
		says   []string
	}{
		{env("s3cret", 5, 25, 30, 100), exit.Done, nil},
		{env("s3cret", 5, 25, 100), exit.BadInput, []string{"30 % is no step", "5 25 100"}},
		{env("", 5, 25, 100), exit.BadInput, []string{"30 % is no step", "GATE_SECRET"}},
		{env("", 5, 25, 30, 100), exit.CouldNotRun, []string{"GATE_SECRET"}},
	} {
		err := r.Prepare(c.env)
		if status, _ := exit.Of(err); status != c.status {
			t.Errorf("steps %v: %v, status %s, want %s", c.env.Steps, err, status, c.status)
		}
		for _, part := range c.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%v does not say %q", err, part)
			}
		}
	}
}

func TestSightIsPerStep(t *testing.T) {
	t.Parallel()
	r, err := load(t, "version: 1\nmetrics: [{name: users, http: {url: 'http://x/${version}', total: $.t, failed: $.f}, errors: {}}]\n")
	if err != nil {
		t.Fatal(err)
	}
	plan := rollout.Plan{Steps: []rollout.Step{{Weight: 5, Dwell: time.Second}, {Weight: 100, Dwell: time.Hour}}}
	probes := r.ProbeSight(plan, 50, 0)
	if len(probes) != 2 || probes[0].Enough || !probes[1].Enough || probes[0].Sentence == "" {
		t.Errorf("the probe stream sees %+v, want too little in a second at 5 %%, enough in an hour at 100 %%", probes)
	}
	asked := 0
	others := r.Sight(plan, func(metric string) (float64, bool) { asked++; return 100, metric == "users" })
	if len(others) != 1 || len(others[0]) != 2 || asked != 2 {
		t.Errorf("the other metrics see %+v", others)
	}
	if more := r.ProbeSight(plan, 50, .2); more[0].Sentence == probes[0].Sentence {
		t.Errorf("with requests to the canary alone it sees the same: %q", more[0].Sentence)
	}
	plan.Steps[0].Dwell = 0 // no dwell, so nothing to judge
	if sight := r.ProbeSight(plan, 50, 0); !sight[0].Enough {
		t.Error("a step without a dwell is warned of")
	}
}
