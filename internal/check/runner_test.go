package check

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A cluster runs each Job to the end that its manifest says.
type cluster struct{}

func (cluster) RunJob(_ context.Context, manifest []byte, env map[string]string) (bool, string, []string, error) {
	if string(manifest) == "lost" {
		return false, "", nil, errors.New("it did not end in time")
	}
	return string(manifest) == "good", "job shop/x: ended", []string{"at " + env["CANDLEFISH_WEIGHT"], "s3cret"}, nil
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "job.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunnerTurnsAnswersIntoFindings(t *testing.T) {
	t.Parallel()
	r := Runner{Release: release, Jobs: cluster{}, Getenv: func(string) string { return "" }, Redact: func(s string) string { return strings.ReplaceAll(s, "s3cret", "***") }}
	shell := func(script string) []string { return []string{"/bin/sh", "-c", script} }
	for _, c := range []struct {
		name    string
		config  Config
		verdict rollout.Verdict
		policy  rollout.Policy
		says    string
		output  []string
	}{
		{"passes", Config{Command: shell("echo fine")}, rollout.VerdictSuccessful, "", "smoke passed in ", []string{"fine"}},
		{"fails", Config{Command: shell("echo s3cret; exit 3")}, rollout.VerdictFailed, "", "smoke failed: /bin/sh: exit status 3", []string{"***"}},
		{"cannot tell", Config{Command: shell("exit 75"), OnError: rollout.PolicyHold}, rollout.VerdictInconclusive, rollout.PolicyHold, "smoke had no result", nil},
		{"does not start", Config{Command: []string{"/s3cret"}}, rollout.VerdictInconclusive, rollout.PolicyExtend, "smoke: run /***", nil},
		{"does not end", Config{Command: shell("exec sleep 60"), Timeout: config.Duration(50 * time.Millisecond)}, rollout.VerdictInconclusive, rollout.PolicyExtend, "in time", nil},
		{"a good job", Config{Job: write(t, "good")}, rollout.VerdictSuccessful, "", "job shop/x: ended", []string{"at 50", "***"}},
		{"a bad job", Config{Job: write(t, "bad")}, rollout.VerdictFailed, "", "smoke failed: job shop/x: ended", []string{"at 50", "***"}},
		{"a lost job", Config{Job: write(t, "lost"), OnError: rollout.PolicyFail}, rollout.VerdictInconclusive, rollout.PolicyFail, "smoke: it did not end in time", nil},
		{"a job that is gone", Config{Job: "/no/such/job.yaml"}, rollout.VerdictInconclusive, rollout.PolicyExtend, "/no/such/job.yaml", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.config.Name = "smoke"
			f := r.Within(t.Context())(c.config.Check(), 50)
			want := analysis.Finding{Metric: "smoke", Check: analysis.CheckCustom, Verdict: c.verdict, Policy: c.policy, Critical: true, P: 1, Sentence: f.Sentence, Output: c.output}
			if diff := cmp.Diff(want, f); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !strings.Contains(f.Sentence, c.says) {
				t.Errorf("it says %q, want %q", f.Sentence, c.says)
			}
		})
	}
	if f := r.Run(t.Context(), config.CustomCheck{Name: "smoke"}, 50); f.Verdict != rollout.VerdictInconclusive {
		t.Errorf("a check without a program: %+v", f)
	}
}

func TestPrepareFindsWhatIsMissing(t *testing.T) {
	t.Parallel()
	var masked []string
	e := Env{
		Getenv:   func(name string) string { return map[string]string{"HOOK": "s3cret"}[name] },
		Mask:     func(s string) { masked = append(masked, s) },
		ValidJob: func(manifest []byte) error { return errors.New("it is a " + string(manifest)) },
	}
	got := Prepare([]config.CustomCheck{
		{Name: "bare"},
		Config{Name: "command", Command: []string{"true"}}.Check(),
		Config{Name: "hook", Webhook: "https://x", SecretEnv: "HOOK"}.Check(),
		Config{Name: "unsigned", Webhook: "https://x", SecretEnv: "NONE"}.Check(),
		Config{Name: "job", Job: write(t, "Pod")}.Check(),
		Config{Name: "gone", Job: "/no/such/job.yaml"}.Check(),
	}, e)
	want := []string{
		"check gone: open /no/such/job.yaml: no such file or directory",
		"check job: it is a Pod",
		"check unsigned: environment variable NONE, which signs the webhook, is not set",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"s3cret"}, masked); diff != "" {
		t.Errorf("masked (-want +got):\n%s", diff)
	}
}

func TestMisplacedNamesWeightsThatAreNoStep(t *testing.T) {
	t.Parallel()
	all := []config.CustomCheck{
		Config{Name: "late", Command: []string{"true"}, At: []int{25, 90, 7}}.Check(),
		Config{Name: "always", Command: []string{"true"}}.Check(),
		Config{Name: "end", Command: []string{"true"}, At: []int{100}}.Check(),
	}
	want := []string{
		"check late: at: 7 % is no step of this rollout, whose weights are 5 25 100",
		"check late: at: 90 % is no step of this rollout, whose weights are 5 25 100",
	}
	if diff := cmp.Diff(want, Misplaced(all, []int{5, 25, 100})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNeedsJobs(t *testing.T) {
	t.Parallel()
	command, job := Config{Command: []string{"true"}}.Check(), Config{Job: "job.yaml"}.Check()
	if NeedsJobs([]config.CustomCheck{{}, command}) || !NeedsJobs([]config.CustomCheck{command, job}) {
		t.Error("a job is needed where there is one, and only there")
	}
}
