package analysis

import (
	"math"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
)

// A test is a finding in the making: its sentence costs more than its p-value and
// is made when somebody is to read it.
type test struct {
	Finding
	isTest bool // P is a p-value
	of     *series
	words  func() string
}

// finding is the test with its words.
func (t test) finding() Finding {
	f := t.Finding
	f.Sentence = t.words()
	if f.Check == CheckLatency {
		f.Shift = t.of.latencies.Shift()
	}
	return f
}

// tests are the findings of a metric that may come at any look.
func (s *series) tests() []test {
	var ts []test
	add := func(check Check, p float64, words func() string) {
		ts = append(ts, test{Finding{Metric: s.Name, Check: check, Verdict: rollout.VerdictPending, P: p, Critical: *s.Critical}, true, s, words})
	}
	against := func(check Check, evidence float64, words func() string) {
		add(check, s.strongest.p(check, evidence), words)
	}
	rule := func(check Check, failed bool, words func() string) {
		t := test{Finding{Metric: s.Name, Check: check, Verdict: rollout.VerdictPending, P: 1, Critical: *s.Critical}, false, s, words}
		if failed {
			t.Verdict = rollout.VerdictFailed
		}
		ts = append(ts, t)
	}
	if s.Errors != nil {
		against(CheckErrorRate, s.failures.PastLimit(), s.failures.LimitWords)
		against(CheckErrors, s.failures.AgainstStable(), s.failures.AgainstWords)
		if s.Name == config.ProbeMetric {
			against(CheckUnattributed, s.failures.Lost(), s.failures.LostWords)
			rule(CheckOutage, s.failures.Outage(), s.failures.OutageWords)
		}
	}
	if s.Answers != nil {
		for _, way := range evidence.Wrongs {
			against(Check(way), s.failures.Wrong(way), func() string { return s.failures.WrongWords(way) })
		}
	}
	if s.Latency != nil {
		add(CheckLatency, s.latencies.Slower(), s.latencies.ShiftWords)
		against(CheckSlow, s.latencies.MoreSlow(), s.latencies.SlowWords)
		against(CheckLatencyMax, s.latencies.PastLimit(), s.latencies.LimitWords)
	}
	if s.Limit != nil {
		_, tooLong := s.gauges.PastLimit()
		rule(CheckGauge, tooLong, s.gauges.Words)
	}
	return ts
}

// data says whether a metric can be judged at the end of a dwell, and what about it
// lets nobody go on although no test has failed.
func (j *Judge) data(s *series, m Moment) []Finding {
	f := Finding{Metric: s.Name, Check: CheckData, Verdict: rollout.VerdictInconclusive, P: 1, Critical: *s.Critical}
	if s.Limit != nil {
		f = s.gaugeData(f, m, j.config.StaleAfter(s.Metric))
		if s.Errors == nil && s.Latency == nil || f.Verdict == rollout.VerdictInconclusive {
			return []Finding{f}
		}
	}
	f = s.requestData(f, m, j.config.StaleAfter(s.Metric))
	if f.Verdict == rollout.VerdictSuccessful {
		return append([]Finding{f}, s.doubts(f, j.previous[s.Name])...)
	}
	return []Finding{f}
}

// requestData says whether there are enough fresh requests of both versions.
func (s *series) requestData(f Finding, m Moment, stale time.Duration) Finding {
	c, failed := s.failures.Of(rollout.SideCanary)
	st, _ := s.failures.Of(rollout.SideStable)
	canaryAt, stableAt := s.newest[rollout.SideCanary], s.newest[rollout.SideStable]
	newest := canaryAt
	if stableAt.After(newest) {
		newest = stableAt
	}
	canaryTimes, stableTimes := s.latencies.All()
	switch {
	case s.problem != "" && s.problemAt.After(newest):
		f.Policy, f.Sentence = s.OnNoData, s.Name+": "+s.problem
	case s.nonsense != "":
		f.Policy, f.Sentence = s.OnNaN, sentence("%s: its source yielded what cannot be: %s", s.Name, s.nonsense)
	case newest.IsZero() || s.failures.All() == 0:
		f.Policy, f.Sentence = s.OnNoData, s.Name+": no data at all in this step"
	case newest.Sub(m.Now) > stale:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: the newest data is from %v in the future: the clocks disagree", s.Name, newest.Sub(m.Now).Round(time.Second))
	case m.Now.Sub(canaryAt) > stale || s.weight < 1 && !stableAt.IsZero() && m.Now.Sub(stableAt) > stale:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: the newest data is %v old, limit %v", s.Name, m.Now.Sub(older(canaryAt, stableAt, s.weight)).Round(time.Second), stale)
	case st == 0 && s.weight < 1:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: nothing of stable at weight %.0f, so there is nothing to compare with", s.Name, 100*s.weight)
	case c < s.MinSamples:
		f.Policy, f.Sentence = s.OnFewSamples, sentence("%s: %s; that is too few to judge, at least %g are needed", s.Name, s.failures.FailedOf(rollout.SideCanary), s.MinSamples)
	case s.weight < 1 && st < s.MinSamples:
		f.Policy, f.Sentence = s.OnFewSamples, sentence("%s: %s; that is too few to compare with, at least %g are needed", s.Name, s.failures.FailedOf(rollout.SideStable), s.MinSamples)
	case s.Latency != nil && (canaryTimes < leastLatencies(c, failed, s.MinSamples) || s.weight < 1 && stableTimes < leastLatencies(st, 0, s.MinSamples)):
		f.Policy, f.Sentence = s.OnFewSamples, sentence("%s: %.0f latencies of the canary and %.0f of stable since answers showed the weight; that is too few to judge", s.Name, canaryTimes, stableTimes)
	default:
		f.Verdict, f.Sentence = rollout.VerdictSuccessful, sentence("%s: %g requests of the canary, %g of stable", s.Name, c, st)
	}
	return f
}

// leastLatencies is how many latencies are enough: as many as other samples, fewer
// where so many of the requests failed.
func leastLatencies(total, failed, minSamples float64) float64 {
	return max(min(minSamples, .5*(total-failed)), 1)
}

func older(canary, stable time.Time, weight float64) time.Time {
	if weight < 1 && stable.Before(canary) && !stable.IsZero() {
		return stable
	}
	return canary
}

// gaugeData says whether a gauge was there to be looked at.
func (s *series) gaugeData(f Finding, m Moment, stale time.Duration) Finding {
	subject, at, ok := s.gauges.Worst()
	nans, values, numbers := s.gauges.NaNs()
	past, tooLong := s.gauges.PastLimit()
	switch {
	case s.problem != "" && s.problemAt.After(at):
		f.Policy, f.Sentence = s.OnNoData, s.Name+": "+s.problem
	case !numbers:
		f.Policy, f.Sentence = s.OnNaN, sentence("%s: %d of %d values are not a number", s.Name, nans, values)
	case !ok:
		f.Policy, f.Sentence = s.OnNoData, s.Name+": the canary has no value"
	case m.Now.Sub(at) > stale:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: the newest value of %s is %v old, limit %v", s.Name, evidence.SubjectWords(subject), m.Now.Sub(at).Round(time.Second), stale)
	case at.Sub(m.Now) > stale:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: the newest value is from %v in the future: the clocks disagree", s.Name, at.Sub(m.Now).Round(time.Second))
	case past && !tooLong:
		f.Policy, f.Sentence = s.OnFewSamples, s.gauges.Words()+"; the dwell ended before that was long enough to fail"
	default:
		f.Verdict, f.Sentence = rollout.VerdictSuccessful, s.gauges.Words()
	}
	return f
}

// doubts are what is no proof and lets nobody go on: a measured value past its limit,
// certain or not, a canary that is slow while it warms up, answers that are too fast,
// and a rise that the last releases did not have.
func (s *series) doubts(f Finding, previous []Rise) []Finding {
	var fs []Finding
	add := func(unclear bool, check Check, words func() string, why string) {
		if unclear {
			f.Verdict, f.Policy, f.Check, f.Sentence = rollout.VerdictInconclusive, s.OnFewSamples, check, words()+why
			fs = append(fs, f)
		}
	}
	const chance = "; that is not proven: few requests, a single clump, or stable is no better"
	if s.Errors != nil {
		add(s.failures.OverLimit(), CheckErrorRate, s.failures.LimitWords, chance)
	}
	if s.Answers != nil {
		for _, way := range evidence.Wrongs {
			add(s.failures.WrongPastLimit(way), Check(way), func() string { return s.failures.WrongWords(way) }, chance)
		}
	}
	if s.Latency != nil {
		l := s.latencies
		add(l.OverLimit(), CheckLatencyMax, l.LimitWords, chance)
		why := "; that may be chance"
		if l.Warming() {
			why = "; the canary may still be warming up"
		}
		add(l.Cold(s.MinSamples) <= doubt, CheckLatency, l.ShiftWords, why)
		add(stat.PValue(l.ColdSlow()) <= doubt, CheckSlow, l.SlowWords, why)
		add(l.Faster(), CheckFaster, l.FasterWords, "")
		if p, ok := s.steep(previous); ok && p <= doubt && s.Baseline == "previous" {
			add(true, CheckRise, s.riseWords, "")
		}
	}
	return fs
}

// byScore decides when nothing critical failed and everything could be judged.
func (j *Judge) byScore(r *Result, score float64) {
	switch {
	case score < *j.config.Score.Marginal:
		r.Verdict, r.Reason = rollout.VerdictFailed, sentence("score %g of 100, less than %g fails: %s", score, *j.config.Score.Marginal, losers(r.Findings))
	case score < *j.config.Score.Pass:
		r.Verdict, r.Policy = rollout.VerdictInconclusive, rollout.PolicyHold
		r.Reason = sentence("score %g of 100, %g passes and less than %g fails: %s", score, *j.config.Score.Pass, *j.config.Score.Marginal, losers(r.Findings))
	default:
		r.Verdict, r.Reason = rollout.VerdictSuccessful, j.passed(*r)
	}
}

func evidenceShare(p, alpha float64) float64 {
	switch {
	case p >= 1:
		return 0
	case p <= 0:
		return 1000 // JSON has no infinity
	}
	return min(math.Log(p)/math.Log(alpha), 1000)
}
