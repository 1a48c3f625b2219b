package analysis

import (
	"math"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
)

// A Judge judges the steps of one rollout. It is not safe for concurrent use.
type Judge struct {
	config   config.Config
	steps    int // of the plan
	series   []*series
	custom   map[string]Finding   // of this step
	due      []config.CustomCheck // of this step
	final    *Result              // the Failed that ended the step
	previous Rises
}

// NewJudge returns a judge for a rollout of so many steps, the bake among them. The
// config has its defaults and is valid.
func NewJudge(c config.Config, steps int) *Judge {
	j := &Judge{config: c, steps: max(steps, 1)}
	for _, m := range c.Metrics {
		j.series = append(j.series, newSeries(m))
	}
	return j
}

// A Begin is a weight that was written, and what the last releases showed.
type Begin struct {
	Step   int       `json:"step"`
	Weight int       `json:"weight"`
	At     time.Time `json:"at"`
	Rises  Rises     `json:"rises,omitempty"`
}

// Begin says that a weight was written: what happened before no longer counts. An
// extended dwell begins nothing: its measurements go on.
func (j *Judge) Begin(b Begin) {
	j.final, j.due, j.previous = nil, nil, b.Rises
	j.custom = map[string]Finding{}
	for _, k := range j.config.Checks {
		if len(k.At) == 0 || slices.Contains(k.At, b.Weight) {
			j.due = append(j.due, k)
		}
	}
	for _, s := range j.series {
		s.begin(b.At, float64(b.Weight)/100)
	}
}

// Confirmed says that from then on answers showed the weight: latencies count from
// here, since before the two versions did not share the traffic as asked.
func (j *Judge) Confirmed(at time.Time) {
	for _, s := range j.series {
		s.confirmed = at
	}
}

// warm is when latencies begin to count in the current step. A step with more weight
// than the one before may have started new pods.
func (j *Judge) warm(s *series) time.Time {
	if s.weight <= s.last {
		return s.confirmed
	}
	return s.confirmed.Add(time.Duration(*j.config.WarmUp))
}

// Due lists the custom checks of the current step.
func (j *Judge) Due() []config.CustomCheck { return j.due }

// Add takes points of one metric. Those of a metric that the config does not have
// are dropped, which Replay with another config needs.
func (j *Judge) Add(metric string, ps ...Point) {
	if s := j.of(metric); s != nil {
		for _, p := range ps {
			s.add(p)
		}
	}
}

// Problem says that a metric's source could not be read.
func (j *Judge) Problem(metric, why string, at time.Time) {
	if s := j.of(metric); s != nil {
		s.problem, s.problemAt = why, at
	}
}

// RateBefore is how many requests a second a metric saw before the first weight; ok
// is false when it was watched for less than two seconds.
func (j *Judge) RateBefore(metric string) (perSecond float64, ok bool) {
	s := j.of(metric)
	if s == nil {
		return 0, false
	}
	return s.failures.RateBefore()
}

// Custom takes the result of a custom check of this step.
func (j *Judge) Custom(f Finding) {
	if j.custom != nil {
		j.custom[f.Metric] = f
	}
}

func (j *Judge) of(metric string) *series {
	if i := slices.IndexFunc(j.series, func(s *series) bool { return s.Name == metric }); i >= 0 {
		return j.series[i]
	}
	return nil
}

// alpha is the error probability of one step. All of them together keep the
// config's.
func (j *Judge) alpha() float64 { return j.config.Alpha / float64(j.steps) }

// Look judges what was seen so far. It may be called after every answer. Failed
// stays Failed until the next Begin, whatever is seen later.
func (j *Judge) Look(m Moment) Result {
	if j.final != nil {
		return *j.final
	}
	var ts []test
	for _, s := range j.series {
		s.look(m, j.warm(s))
		ts = append(ts, s.tests()...)
	}
	j.reject(ts)
	if m.Elapsed < m.Dwell && !slices.ContainsFunc(ts, test.decides) && !j.customFailed() {
		return Result{Verdict: rollout.VerdictPending, Reason: j.soFar()}
	}
	var r Result
	for _, t := range ts {
		r.Findings = append(r.Findings, t.finding())
	}
	for _, s := range j.series {
		r.Measured = append(r.Measured, s.measured())
	}
	for _, k := range j.due {
		if f, done := j.custom[k.Name]; done {
			r.Findings = append(r.Findings, f)
		}
	}
	if i := slices.IndexFunc(r.Findings, Finding.decides); i >= 0 {
		r.Verdict, r.Reason = rollout.VerdictFailed, r.Findings[i].Sentence
	} else {
		j.conclude(&r, m)
	}
	if r.Verdict == rollout.VerdictFailed {
		j.final = &r
	}
	return r
}

// decides says whether a finding fails its step, whatever else there is.
func (f Finding) decides() bool { return f.Verdict == rollout.VerdictFailed && f.Critical }

func (t test) decides() bool { return t.Finding.decides() }

func (j *Judge) customFailed() bool {
	for _, f := range j.custom {
		if f.decides() {
			return true
		}
	}
	return false
}

// reject fails the findings whose p-values fall together (Holm): one family for all
// metrics, since one that is not critical can fail a step by the score.
func (j *Judge) reject(fs []test) {
	var ps []float64
	var at []int
	for i, f := range fs {
		if f.isTest {
			ps, at = append(ps, f.P), append(at, i)
		}
	}
	for k, rejected := range stat.Holm(ps, j.alpha()) {
		if rejected {
			fs[at[k]].Verdict = rollout.VerdictFailed
		}
	}
}

// conclude judges a dwell that is over.
func (j *Judge) conclude(r *Result, m Moment) {
	for _, s := range j.series {
		if !failed(s.Name, r.Findings) {
			r.Findings = append(r.Findings, j.data(s, m)...)
		}
		j.settle(s, r.Findings)
	}
	for _, k := range j.due {
		if _, done := j.custom[k.Name]; !done {
			r.Findings = append(r.Findings, Finding{Metric: k.Name, Check: CheckCustom, Verdict: rollout.VerdictInconclusive, Policy: rollout.PolicyExtend, Critical: true, P: 1,
				Sentence: "the check " + k.Name + " has not ended yet"})
		}
	}
	r.Warnings = ignored(r.Findings)
	score := j.score(r.Findings)
	r.Score = score
	decide := func(v rollout.Verdict, f Finding) { r.Verdict, r.Reason, r.Policy = v, f.Sentence, f.Policy }
	has := func(ok func(Finding) bool) (Finding, bool) {
		i := slices.IndexFunc(r.Findings, ok)
		if i < 0 {
			return Finding{}, false
		}
		return r.Findings[i], true
	}
	policy := func(p rollout.Policy) func(Finding) bool {
		return func(f Finding) bool { return f.Verdict == rollout.VerdictInconclusive && f.Policy == p }
	}
	if f, ok := has(Finding.decides); ok {
		decide(rollout.VerdictFailed, f)
	} else if f, ok := has(policy(rollout.PolicyFail)); ok {
		decide(rollout.VerdictFailed, f)
	} else if f, ok := has(policy(rollout.PolicyHold)); ok {
		decide(rollout.VerdictInconclusive, f)
	} else if f, ok := has(policy(rollout.PolicyExtend)); ok {
		decide(rollout.VerdictInconclusive, f)
	} else if score == nil {
		r.Verdict, r.Policy, r.Reason = rollout.VerdictInconclusive, rollout.PolicyExtend, "there is nothing left to judge by"
	} else {
		j.byScore(r, *score)
	}
}

// failed says whether a metric has failed a test: one that is not critical lowers the
// score, whatever else there is to say of it.
func failed(metric string, fs []Finding) bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Metric == metric && f.Verdict == rollout.VerdictFailed })
}

// settle gives the findings of a metric that passed all its tests the verdict
// that the end of the dwell allows.
func (j *Judge) settle(s *series, fs []Finding) {
	for i := range fs {
		f := &fs[i]
		if f.Metric != s.Name || f.Verdict != rollout.VerdictPending {
			continue
		}
		f.Verdict = rollout.VerdictSuccessful
		if f.P <= doubt {
			f.Verdict, f.Policy = rollout.VerdictInconclusive, s.OnFewSamples
			f.Sentence += "; that may be chance"
		}
	}
}

// doubt is the p-value at which a step that did not fail is no success either.
const doubt = .05

// score is the weighted share of metrics that passed, by group; nil when none has
// anything to say.
func (j *Judge) score(fs []Finding) *float64 {
	sum, weights := 0.0, 0.0
	groups := map[string][2]float64{} // passed and all, by group
	for _, s := range j.series {
		speaks, passed := false, true
		for _, f := range fs {
			if f.Metric != s.Name {
				continue
			}
			if f.Verdict == rollout.VerdictInconclusive && f.Policy == rollout.PolicyIgnore {
				speaks = false
				break
			}
			speaks, passed = true, passed && f.Verdict == rollout.VerdictSuccessful
		}
		if !speaks {
			continue
		}
		g := groups[s.Group]
		if passed {
			g[0] += s.Weight
		}
		g[1] += s.Weight
		groups[s.Group] = g
	}
	for name, g := range groups {
		w := 1.0
		if given, ok := j.config.Groups[name]; ok {
			w = given
		}
		sum, weights = sum+w*g[0]/g[1], weights+w
	}
	if weights == 0 {
		return nil
	}
	rounded := math.Round(1e4*sum/weights) / 100
	return &rounded
}
