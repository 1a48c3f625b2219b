// Package check asks the user's own programs whether a release may go on: a command on
// this machine, a server by a signed webhook, or a Kubernetes Job.
//
// It owns the checks of the analysis file. An Answer is what a program said. An error
// means that it could not be asked or did not answer in time, which is never a yes.
package check

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// An Answer is what a program said.
type Answer struct {
	// Passed is nil when the program itself has no result.
	Passed *bool
	Reason string   // one sentence
	Output []string // the end of what it printed
}

// A Release is what a program is asked about. A command and a Job get it as environment
// variables, CANDLEFISH_NAMESPACE and so on, the webhook as JSON.
type Release struct {
	Namespace  string `json:"namespace"`
	Deployment string `json:"deployment"`
	Image      string `json:"image"`
	Weight     int    `json:"weight"`
	RunID      string `json:"run_id"`
	RunURL     string `json:"run_url,omitempty"`
	// EntryPoint is where users' requests come in.
	EntryPoint string `json:"entry_point"`
}

// Variables are the release as environment variables.
func (r Release) Variables() map[string]string {
	return map[string]string{
		"CANDLEFISH_NAMESPACE": r.Namespace, "CANDLEFISH_DEPLOYMENT": r.Deployment, "CANDLEFISH_IMAGE": r.Image,
		"CANDLEFISH_WEIGHT": fmt.Sprint(r.Weight), "CANDLEFISH_RUN_ID": r.RunID, "CANDLEFISH_RUN_URL": r.RunURL,
		"CANDLEFISH_ENTRY_POINT": r.EntryPoint,
	}
}

// Jobs run Kubernetes Jobs beside a rollout.
type Jobs interface {
	// RunJob runs the Job of a manifest, with env in all its containers, and
	// waits until it has succeeded or failed. log is the end of what it
	// printed. An error means that it did not come to an end.
	RunJob(ctx context.Context, manifest []byte, env map[string]string) (succeeded bool, reason string, log []string, err error)
}

// A Runner runs the checks of one release.
type Runner struct {
	Release Release // without the weight
	Getenv  func(string) string
	// Redact takes secrets out of what is reported.
	Redact func(string) string
	Jobs   Jobs
}

// Within returns Run with a context.
func (r Runner) Within(ctx context.Context) func(k config.CustomCheck, weight int) analysis.Finding {
	return func(k config.CustomCheck, weight int) analysis.Finding { return r.Run(ctx, k, weight) }
}

// Run runs a check at a weight, within its timeout, and says what it came to. What
// did not answer, or has no result, is Inconclusive with the policy on-error.
func (r Runner) Run(ctx context.Context, k config.CustomCheck, weight int) analysis.Finding {
	f := analysis.Finding{Metric: k.Name, Check: analysis.CheckCustom, Critical: true, P: 1}
	c, ok := k.Program.(Config)
	if !ok {
		f.Verdict, f.Policy, f.Sentence = rollout.VerdictInconclusive, rollout.PolicyExtend, k.Name+": it has no program"
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.Timeout))
	defer cancel()
	began := time.Now()
	answer, err := r.ask(ctx, c, weight)
	for _, line := range answer.Output {
		f.Output = append(f.Output, r.Redact(line))
	}
	took := time.Since(began).Round(100 * time.Millisecond)
	switch {
	case err != nil:
		f.Verdict, f.Policy, f.Sentence = rollout.VerdictInconclusive, c.OnError, fmt.Sprintf("%s: %v", c.Name, err)
	case answer.Passed == nil:
		f.Verdict, f.Policy, f.Sentence = rollout.VerdictInconclusive, c.OnError, fmt.Sprintf("%s had no result: %s", c.Name, answer.Reason)
	case *answer.Passed:
		f.Verdict, f.Sentence = rollout.VerdictSuccessful, fmt.Sprintf("%s passed in %v: %s", c.Name, took, answer.Reason)
	default:
		f.Verdict, f.Sentence = rollout.VerdictFailed, fmt.Sprintf("%s failed: %s", c.Name, answer.Reason)
	}
	f.Sentence = r.Redact(f.Sentence)
	return f
}

func (r Runner) ask(ctx context.Context, c Config, weight int) (Answer, error) {
	release := r.Release
	release.Weight = weight
	switch {
	case len(c.Command) > 0:
		return Command(ctx, c.Command, release, r.Getenv)
	case c.Webhook != "":
		return Webhook(ctx, http.DefaultClient, c.Webhook, r.Getenv(c.SecretEnv), release, time.Now())
	}
	manifest, err := os.ReadFile(c.Job)
	if err != nil {
		return Answer{}, err
	}
	succeeded, reason, log, err := r.Jobs.RunJob(ctx, manifest, release.Variables())
	return Answer{Passed: &succeeded, Reason: reason, Output: log}, err
}

// An Env is what checks are prepared with.
type Env struct {
	Getenv func(string) string
	// Mask keeps a secret out of all that is printed.
	Mask func(secret string)
	// ValidJob returns what is wrong with a Job's manifest.
	ValidJob func(manifest []byte) error
}

// Prepare masks the secrets of checks and returns what is wrong with them before
// anything is changed: a manifest that is not there or is none, a secret that is not
// set.
func Prepare(checks []config.CustomCheck, e Env) []string {
	var wrong []string
	for _, k := range checks {
		c, ok := k.Program.(Config)
		if !ok {
			continue
		}
		if err := c.prepare(e); err != nil {
			wrong = append(wrong, fmt.Sprintf("check %s: %v", c.Name, err))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// Misplaced returns what is wrong with the weights at which checks run: one that is no
// step of the plan, so that the check would not run there, or never.
func Misplaced(checks []config.CustomCheck, steps []int) []string {
	var wrong []string
	for _, k := range checks {
		for _, w := range k.At {
			if !slices.Contains(steps, w) {
				wrong = append(wrong, fmt.Sprintf("check %s: at: %d %% is no step of this rollout, whose weights are %s", k.Name, w, strings.Trim(fmt.Sprint(steps), "[]")))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func (c Config) prepare(e Env) error {
	if c.SecretEnv != "" {
		if secret := e.Getenv(c.SecretEnv); secret != "" {
			e.Mask(secret)
		} else if c.Webhook != "" {
			return fmt.Errorf("environment variable %s, which signs the webhook, is not set", c.SecretEnv)
		}
	}
	if c.Job == "" {
		return nil
	}
	manifest, err := os.ReadFile(c.Job)
	if err != nil {
		return err
	}
	return e.ValidJob(manifest)
}

// NeedsJobs reports whether one of the checks is a Kubernetes Job.
func NeedsJobs(checks []config.CustomCheck) bool {
	return slices.ContainsFunc(checks, func(k config.CustomCheck) bool {
		c, ok := k.Program.(Config)
		return ok && c.Job != ""
	})
}
