// Package judging combines what judges a release: the analysis file with the
// limits of the inputs, its sources and custom checks, and what the steps can
// detect with them.
package judging

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/power"
	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/check"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/judgefile"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/jobs"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
	"github.com/candlefish/deploy-action/internal/traffic"
)

const fileHint = "docs/analysis.md describes the file"

// Limits are the limits of the inputs. A metric of the analysis file without
// its own limits uses them.
type Limits struct {
	ErrorRate     float64 // percent
	SuccessRate   float64 // percent
	ResponseRatio float64 // canary to stable
	ResponseMax   time.Duration
	MinSamples    int
	WarmUp        *time.Duration // replaces that of the file, nil for no such limit
	Inconclusive  rollout.Policy
}

// metric returns the limits as those of one metric.
func (l Limits) metric() config.Metric {
	policy := l.Inconclusive
	if policy == rollout.PolicyAbort { // for one metric, abort means fail
		policy = rollout.PolicyFail
	}
	p95 := config.Duration(l.ResponseMax)
	return config.Metric{
		MinSamples: float64(l.MinSamples),
		Errors:     &config.ErrorLimits{Rate: &l.ErrorRate, Success: &l.SuccessRate},
		Latency:    &config.LatencyLimits{Ratio: l.ResponseRatio, P95: &p95},
		OnNoData:   policy, OnNaN: policy, OnFewSamples: policy,
	}
}

// Rules are the configuration of the judge.
type Rules struct{ config config.Config }

// Load reads the analysis file, "" for none. Errors have the status of bad
// input.
func Load(file string, l Limits) (Rules, error) {
	c, err := judgefile.Load(file, l.metric())
	if err != nil {
		return Rules{}, &exit.Error{Status: exit.BadInput, Err: err, Hint: fileHint}
	}
	if l.WarmUp != nil {
		c.WarmUp = new(config.Duration(*l.WarmUp))
	}
	return Rules{c}, nil
}

// MaxExtensions returns the maximum repetitions of an inconclusive step's
// dwell.
func (r Rules) MaxExtensions() int { return *r.config.MaxExtensions }

// Then returns the policy after the last extension.
func (r Rules) Then() rollout.Policy { return r.config.Then }

// Permissions returns what the sources and checks need in the cluster.
func (r Rules) Permissions() []kube.Permission {
	list := permissionsOf(source.Permissions(r.config.Metrics))
	if check.NeedsJobs(r.config.Checks) {
		list = append(list, jobs.Permissions...)
	}
	return list
}

// Permissions returns what any source or check may need in the cluster.
func Permissions() []kube.Permission {
	return slices.Concat(permissionsOf(judgefile.Permissions()), jobs.Permissions)
}

func permissionsOf(all []source.Permission) []kube.Permission {
	var list []kube.Permission
	for _, p := range all {
		list = append(list, kube.Permission(p))
	}
	return list
}

// An Env is the part of the run's environment that sources and checks may use.
type Env struct {
	Getenv func(string) string
	Mask   func(secret string)      // removes a secret from all output
	Redact func(text string) string // removes the secrets from a text
	Steps  []int                    // the weights of the plan
}

// Prepare refuses checks that cannot run, before the first change. All reasons
// are in one error; it has the status of bad input if the file does not fit the
// plan.
func (r Rules) Prepare(e Env) error {
	misplaced := check.Misplaced(r.config.Checks, e.Steps)
	wrong := slices.Concat(misplaced, check.Prepare(r.config.Checks, check.Env{Getenv: e.Getenv, Mask: e.Mask, ValidJob: jobs.Valid}))
	if len(wrong) == 0 {
		return nil
	}
	refused := exit.Refuse(fileHint, wrong...)
	if len(misplaced) > 0 {
		refused.Status = exit.BadInput
	}
	return refused
}

// Judge makes the monitor judge the release by these rules and record it in a
// file, without the secrets of e.
func (r Rules) Judge(m *traffic.Monitor, path string, record *release.Record, e Env) error {
	return m.Judge(path, recording.Start{
		Target: record.Namespace + "/" + record.Deployment, Image: record.Image, Steps: judgedSteps(record.Plan), Config: r.config, Redact: e.Redact,
	})
}

// judgedSteps returns how many steps share the error probability: those of the
// plan, and the bake time.
func judgedSteps(p rollout.Plan) int {
	if p.Bake > 0 {
		return len(p.Steps) + 1
	}
	return len(p.Steps)
}

// A Target is the workload of a release: its record, its pods, and what runs Jobs
// beside it.
type Target interface {
	source.Pods
	check.Jobs
	Record() *release.Record
}

// Measure opens the sources, reads them until ctx ends, and makes the monitor
// run the checks. Before the first change, it reports together all sources that
// mix the versions or cannot be read.
func (r Rules) Measure(ctx context.Context, m *traffic.Monitor, target Target, entry string, e Env) error {
	record := target.Record()
	runner := check.Runner{
		Release: check.Release{Namespace: record.Namespace, Deployment: record.Deployment, Image: record.Image,
			RunID: record.Run.ID, RunURL: record.Run.URL, EntryPoint: entry},
		Getenv: e.Getenv, Redact: e.Redact, Jobs: target,
	}
	m.Check(runner.Within(ctx))
	env := source.Env{
		Names:  source.Names{Namespace: record.Namespace, Service: record.Service, CanaryService: record.CanaryService()},
		Getenv: e.Getenv, Mask: e.Mask, Pods: target,
	}
	var refused []string
	readers := map[string]source.Reader{}
	for _, metric := range r.config.Metrics {
		if metric.Source == nil { // the probe stream
			continue
		}
		reader, err := source.Open(ctx, metric, env)
		if err != nil {
			refused = append(refused, fmt.Sprintf("metric %s: %v", metric.Name, err))
			continue
		}
		readers[metric.Name] = reader
	}
	if len(refused) > 0 {
		slices.Sort(refused)
		return exit.Refuse(fileHint, refused...)
	}
	// The first reading is the baseline; all sources read theirs concurrently.
	for metric, reader := range readers {
		go source.Poll(ctx, metric, reader, m.Measured)
	}
	return nil
}

// A Sight is what a step can detect with a metric.
type Sight struct {
	Sentence string
	Enough   bool // to detect a canary at twice its error limit
}

// ProbeSight returns what the steps of a plan can detect with the probe stream
// at a rate per second, one Sight per step. pinned is the share of the requests that
// goes to one version alone.
func (r Rules) ProbeSight(p rollout.Plan, perSecond, pinned float64) []Sight {
	return r.sight(p, config.ProbeMetric, power.Traffic{Rate: perSecond, Pinned: pinned})
}

// Sight returns what the steps can detect with the other metrics, one list per
// metric. rate returns a metric's requests per second so far; ok is false
// without traffic.
func (r Rules) Sight(p rollout.Plan, rate func(metric string) (perSecond float64, ok bool)) [][]Sight {
	var all [][]Sight
	for _, m := range r.config.Metrics {
		if perSecond, ok := rate(m.Name); ok && m.Name != config.ProbeMetric {
			all = append(all, r.sight(p, m.Name, power.Traffic{Rate: perSecond}))
		}
	}
	return all
}

func (r Rules) sight(p rollout.Plan, metric string, t power.Traffic) []Sight {
	i := slices.IndexFunc(r.config.Metrics, func(m config.Metric) bool { return m.Name == metric })
	var sights []Sight
	for _, step := range p.Steps {
		seen, ok := power.Of(r.config, r.config.Metrics[i], t, judgedSteps(p), step.Weight, step.Dwell)
		if ok {
			sights = append(sights, Sight{Sentence: seen.Sentence, Enough: seen.Enough || step.Dwell == 0})
		}
	}
	return sights
}
