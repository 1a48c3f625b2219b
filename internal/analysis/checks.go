package analysis

import (
	"math"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A test is a finding in the making: its sentence costs more than its p-value and
// is made when somebody is to read it.
type test struct {
	Finding
	of    *series
	words func() string
}

// finding is the test with its words.
func (t test) finding() Finding {
	f := t.Finding
	f.Sentence = t.words()
	if f.Check == CheckLatency {
		f.Shift = t.of.latencies.shift()
	}
	return f
}

// tests are the findings of a metric that may come at any look.
func (s *series) tests() []test {
	var ts []test
	add := func(check Check, p float64, words func() string) {
		ts = append(ts, test{Finding{Metric: s.Name, Check: check, Verdict: rollout.VerdictPending, P: p, Critical: *s.Critical}, s, words})
	}
	against := func(check Check, evidence float64, words func() string) {
		add(check, s.evidence.p(check, evidence), words)
	}
	if s.Errors != nil {
		against(CheckErrorRate, s.counts.pastLimit(), s.counts.limitWords)
		against(CheckErrors, s.counts.againstStable(), s.counts.againstWords)
		if s.Name == config.ProbeMetric {
			against(CheckUnattributed, s.counts.ofNobody(), s.counts.ofNobodyWords)
		}
	}
	if s.Latency != nil {
		add(CheckLatency, s.latencies.pShift, s.latencies.shiftWords)
		against(CheckSlow, s.latencies.moreSlow(), s.latencies.slowWords)
		against(CheckLatencyMax, s.latencies.pastLimit(), s.latencies.limitWords)
	}
	if s.Limit != nil {
		add(CheckGauge, 1, s.gauges.words)
		if s.gauges.pastLimit() {
			ts[len(ts)-1].Verdict = rollout.VerdictFailed
		}
	}
	return ts
}

// data says whether a metric can be judged at the end of a dwell, and fails it
// where the measured value itself is past a limit, certain or not.
func (j *Judge) data(s *series, m Moment) []Finding {
	f := Finding{Metric: s.Name, Check: CheckData, Verdict: rollout.VerdictInconclusive, P: 1, Critical: *s.Critical}
	if s.Limit != nil {
		f = s.gaugeData(f, m, j.config.StaleAfter(s.Metric))
		if s.Errors == nil && s.Latency == nil {
			return []Finding{f}
		}
		if f.Verdict == rollout.VerdictInconclusive {
			return []Finding{f}
		}
	}
	f = s.requestData(f, m, j.config.StaleAfter(s.Metric))
	if f.Verdict == rollout.VerdictSuccessful {
		return append([]Finding{f}, s.past95(f)...)
	}
	return []Finding{f}
}

// requestData says whether there are enough fresh requests of both versions.
func (s *series) requestData(f Finding, m Moment, stale time.Duration) Finding {
	c, st := s.counts.canary, s.counts.stable
	canaryAt, stableAt := s.newest[rollout.SideCanary], s.newest[rollout.SideStable]
	newest := canaryAt
	if stableAt.After(newest) {
		newest = stableAt
	}
	previous := len(s.latencies.previous) > 0
	canaryTimes, stableTimes := s.latencies.canary.Total(), s.latencies.stable.Total()
	switch {
	case s.problem != "" && s.problemAt.After(newest):
		f.Policy, f.Sentence = s.OnNoData, s.Name+": "+s.problem
	case newest.IsZero() || s.counts.all() == 0:
		f.Policy, f.Sentence = s.OnNoData, s.Name+": no data at all in this step"
	case newest.Sub(m.Now) > stale:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: the newest data is from %v in the future: the clocks disagree", s.Name, newest.Sub(m.Now).Round(time.Second))
	case m.Now.Sub(canaryAt) > stale || s.weight < 1 && !stableAt.IsZero() && m.Now.Sub(stableAt) > stale:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: the newest data is %v old, limit %v", s.Name, m.Now.Sub(older(canaryAt, stableAt, s.weight)).Round(time.Second), stale)
	case st.total == 0 && s.weight < 1 && !previous:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: nothing of stable at weight %.0f, so there is nothing to compare with", s.Name, 100*s.weight)
	case c.total < s.MinSamples:
		f.Policy, f.Sentence = s.OnFewSamples, sentence("%s: %s; that is too few to judge, at least %g are needed", s.Name, s.counts.failedOf(rollout.SideCanary), s.MinSamples)
	case s.Latency != nil && (canaryTimes < leastLatencies(c, s.MinSamples) || s.weight < 1 && stableTimes == 0 && !previous):
		f.Policy, f.Sentence = s.OnFewSamples, sentence("%s: %.0f latencies of the canary and %.0f of stable since answers showed the weight; that is too few to judge", s.Name, canaryTimes, stableTimes)
	default:
		f.Verdict, f.Sentence = rollout.VerdictSuccessful, sentence("%s: %g requests of the canary, %g of stable", s.Name, c.total, st.total)
	}
	return f
}

// leastLatencies is how many latencies are enough: as many as other samples, fewer
// where so many of the requests failed.
func leastLatencies(c count, minSamples float64) float64 {
	return max(min(minSamples, .5*(c.total-c.failed)), 1)
}

func older(canary, stable time.Time, weight float64) time.Time {
	if weight < 1 && stable.Before(canary) && !stable.IsZero() {
		return stable
	}
	return canary
}

// gaugeData says whether a gauge was there to be looked at.
func (s *series) gaugeData(f Finding, m Moment, stale time.Duration) Finding {
	subject, g, ok := s.gauges.worst()
	switch {
	case s.problem != "" && s.problemAt.After(g.at):
		f.Policy, f.Sentence = s.OnNoData, s.Name+": "+s.problem
	case s.gauges.mostlyNaN():
		f.Policy, f.Sentence = s.OnNaN, sentence("%s: %d of %d values are not a number", s.Name, s.gauges.nans, s.gauges.values)
	case !ok:
		f.Policy, f.Sentence = s.OnNoData, s.Name+": the canary has no value"
	case m.Now.Sub(g.at) > stale:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: the newest value of %s is %v old, limit %v", s.Name, subjectWords(subject), m.Now.Sub(g.at).Round(time.Second), stale)
	case g.at.Sub(m.Now) > stale:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: the newest value is from %v in the future: the clocks disagree", s.Name, g.at.Sub(m.Now).Round(time.Second))
	default:
		f.Verdict, f.Sentence = rollout.VerdictSuccessful, s.gauges.words()
	}
	return f
}

// past95 fails a metric whose measured error rate or p95 is past its absolute
// limit at the end of a dwell.
func (s *series) past95(f Finding) []Finding {
	f.Verdict = rollout.VerdictFailed
	c := s.numbers(rollout.SideCanary)
	var fs []Finding
	if s.Errors != nil && c.ErrorRate > s.Errors.Limit() {
		f.Check, f.Sentence = CheckErrorRate, s.counts.limitWords()
		fs = append(fs, f)
	}
	if s.Latency != nil && time.Duration(*s.Latency.P95) > 0 && c.P95 > time.Duration(*s.Latency.P95).Seconds() {
		f.Check, f.Sentence = CheckLatencyMax, s.latencies.limitWords()
		fs = append(fs, f)
	}
	return fs
}

// byScore decides when nothing critical failed and everything could be judged.
func (j *Judge) byScore(r *Result, score float64) {
	switch {
	case score < j.config.Score.Marginal:
		r.Verdict, r.Reason = rollout.VerdictFailed, sentence("score %g of 100, less than %g fails: %s", score, j.config.Score.Marginal, losers(r.Findings))
	case score < j.config.Score.Pass:
		r.Verdict, r.Policy = rollout.VerdictInconclusive, rollout.PolicyHold
		r.Reason = sentence("score %g of 100, %g passes and less than %g fails: %s", score, j.config.Score.Pass, j.config.Score.Marginal, losers(r.Findings))
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
