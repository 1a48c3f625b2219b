package deploy

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/check"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A checker runs the custom checks of the analysis file.
type checker struct {
	release check.Release // without the weight
	target  *kube.Target
	getenv  func(string) string
	redact  func(string) string
}

// run runs one check at a weight and says what it came to, within its time.
func (c checker) run(ctx context.Context, k config.CustomCheck, weight int) analysis.Finding {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(k.Timeout))
	defer cancel()
	began := time.Now()
	answer, err := c.ask(ctx, k, weight)
	f := analysis.Finding{Metric: k.Name, Check: analysis.CheckCustom, Critical: true, P: 1}
	for _, line := range answer.Output {
		f.Output = append(f.Output, c.redact(line))
	}
	took := time.Since(began).Round(100 * time.Millisecond)
	switch {
	case err != nil:
		f.Verdict, f.Policy, f.Sentence = rollout.VerdictInconclusive, k.OnError, fmt.Sprintf("%s: %v", k.Name, err)
	case answer.Passed == nil:
		f.Verdict, f.Policy, f.Sentence = rollout.VerdictInconclusive, k.OnError, fmt.Sprintf("%s could not tell: %s", k.Name, answer.Reason)
	case *answer.Passed:
		f.Verdict, f.Sentence = rollout.VerdictSuccessful, fmt.Sprintf("%s passed in %v: %s", k.Name, took, answer.Reason)
	default:
		f.Verdict, f.Sentence = rollout.VerdictFailed, fmt.Sprintf("%s failed: %s", k.Name, answer.Reason)
	}
	f.Sentence = c.redact(f.Sentence)
	return f
}

func (c checker) ask(ctx context.Context, k config.CustomCheck, weight int) (check.Answer, error) {
	release := c.release
	release.Weight = weight
	switch {
	case len(k.Command) > 0:
		return check.Command(ctx, k.Command, release, c.getenv)
	case k.Webhook != "":
		return check.Webhook(ctx, http.DefaultClient, k.Webhook, c.getenv(k.SecretEnv), release, time.Now())
	}
	manifest, err := os.ReadFile(k.Job)
	if err != nil {
		return check.Answer{}, err
	}
	job, err := kube.ParseJob(manifest)
	if err != nil {
		return check.Answer{}, err
	}
	result, err := c.target.RunJob(ctx, job, release.Variables())
	return check.Answer{Passed: &result.Succeeded, Reason: result.Reason, Output: result.Log}, err
}

// prepared says what is wrong with the checks before anything is changed: a file
// that is not there, a secret that is not set.
func prepared(checks []config.CustomCheck, getenv func(string) string) error {
	var wrong []string
	for _, k := range checks {
		switch {
		case k.Job != "":
			raw, err := os.ReadFile(k.Job)
			if err == nil {
				_, err = kube.ParseJob(raw)
			}
			if err != nil {
				wrong = append(wrong, fmt.Sprintf("check %s: %v", k.Name, err))
			}
		case k.Webhook != "" && getenv(k.SecretEnv) == "":
			wrong = append(wrong, fmt.Sprintf("check %s: the environment has no %s, which signs the webhook", k.Name, k.SecretEnv))
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 {
		return exit.Refuse("docs/analysis.md says what checks need", wrong...)
	}
	return nil
}

// startChecks begins the custom checks of a step in the background. Their results
// go to the judge as long as the step is the one that it judges.
func (t *traffic) startChecks(weight int) {
	if t.ask == nil {
		return
	}
	for _, k := range t.judge.Due() {
		go func() {
			f := t.ask(k, weight)
			t.mu.Lock()
			defer t.mu.Unlock()
			if t.judge != nil && t.share == weight {
				t.judge.Custom(f)
				t.notify()
			}
		}()
	}
}
