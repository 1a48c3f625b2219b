package analysis

import (
	"math"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
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
		f.Shift = t.of.shift()
	}
	return f
}

// tests are the findings of a metric that may come at any look.
func (s *series) tests() []test {
	var ts []test
	add := func(check Check, p float64, words func() string) {
		ts = append(ts, test{Finding{Metric: s.Name, Check: check, Verdict: rollout.VerdictPending, P: p, Critical: *s.Critical}, s, words})
	}
	if s.Errors != nil {
		add(CheckErrorRate, s.errorRate(), s.errorRateWords)
		add(CheckErrors, s.errorsAgainstStable(), s.errorsWords)
		if s.Name == config.ProbeMetric {
			add(CheckUnattributed, s.unattributed(), s.unattributedWords)
		}
	}
	if s.Latency != nil {
		add(CheckLatency, s.pLatency, s.latencyWords)
		add(CheckSlow, s.slowAgainstStable(), s.slowWords)
		add(CheckLatencyMax, s.latencyMax(), s.latencyMaxWords)
	}
	if s.Limit != nil {
		add(CheckGauge, 1, s.gaugeWords)
		if _, g, ok := s.worst(); ok && !g.since.IsZero() && g.at.Sub(g.since) >= time.Duration(s.Limit.For) {
			ts[len(ts)-1].Verdict = rollout.VerdictFailed
		}
	}
	return ts
}

func (s *series) errorRate() float64 {
	c := s.sides[rollout.SideCanary]
	return s.p(CheckErrorRate, stat.Evidence(c.total, c.failed, s.Errors.Limit()))
}

// errorsAgainstStable is the p-value of "the canary fails at most Ratio times as
// often as stable, or at most as often as the floor": both have to be refuted.
func (s *series) errorsAgainstStable() float64 {
	c, st := s.sides[rollout.SideCanary], s.sides[rollout.SideStable]
	if st.total == 0 || c.total == 0 {
		return s.p(CheckErrors, 0)
	}
	ratio := stat.TwoShares(c.failed, st.failed, share(s.weight, c.total, st.total), s.Errors.Ratio)
	floor := stat.Evidence(c.total, c.failed, *s.Errors.Floor/100)
	return s.p(CheckErrors, min(ratio, floor))
}

// unattributed is the p-value of "all unattributed failures would be there without the
// canary, or are within its limit". No marker came with them, so they are not known to
// be the canary's; but the canary is what changed.
func (s *series) unattributed() float64 {
	total, failed, limit := s.blamed()
	return s.p(CheckUnattributed, stat.Evidence(total, failed, limit))
}

// blamed is the canary's answers and failures with every unattributed failure added,
// and the highest share of failures in these that a canary within its limit makes. Of all answers a share of weight is the canary's and a share
// of background fails unattributed as it did before.
func (s *series) blamed() (total, failed, limit float64) {
	c, u := s.sides[rollout.SideCanary], s.sides[rollout.SideUnattributed].failed
	if u == 0 || s.weight <= 0 {
		return 0, 0, 1
	}
	background := 0.0
	if b := s.before; b.total > 0 {
		// What was not seen before may still be usual; allow up to 1 % of it.
		_, high := stat.ShareInterval(int(b.failed), int(b.total), .95)
		background = max(b.failed/b.total, min(high, .01))
	}
	return c.total + u, c.failed + u, (s.Errors.Limit()*s.weight + background) / (s.weight + background)
}

// slowAgainstStable compares how often answers are slow: over stable's 95th
// percentile there, over what that may become here. Twice as often is allowed.
func (s *series) slowAgainstStable() float64 {
	once := 1 / s.clumping()
	return s.p(CheckSlow, stat.TwoShares(s.slow[0]*once, s.slow[1]*once, share(s.weight, s.watched[0], s.watched[1]), slowRatio))
}

const slowRatio = 2

func (s *series) latencyMax() float64 {
	limit := time.Duration(*s.Latency.P95).Seconds()
	if limit == 0 {
		return s.p(CheckLatencyMax, 0)
	}
	h := s.sides[rollout.SideCanary].latency
	return s.p(CheckLatencyMax, stat.Evidence(h.Total(), h.Above(limit), .05))
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
	c, st := s.sides[rollout.SideCanary], s.sides[rollout.SideStable]
	stale := j.config.StaleAfter(s.Metric)
	newest := c.newest
	if st.newest.After(newest) {
		newest = st.newest
	}
	switch {
	case s.problem != "" && s.problemAt.After(newest):
		f.Policy, f.Sentence = s.OnNoData, s.Name+": "+s.problem
	case newest.IsZero() || c.total+st.total+s.sides[rollout.SideUnattributed].total == 0:
		f.Policy, f.Sentence = s.OnNoData, s.Name+": no data at all in this step"
	case newest.Sub(m.Now) > stale:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: the newest data is from %v in the future: the clocks disagree", s.Name, newest.Sub(m.Now).Round(time.Second))
	case m.Now.Sub(c.newest) > stale || s.weight < 1 && !st.newest.IsZero() && m.Now.Sub(st.newest) > stale:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: the newest data is %v old, limit %v", s.Name, m.Now.Sub(older(c.newest, st.newest, s.weight)).Round(time.Second), stale)
	case st.total == 0 && s.weight < 1 && len(s.previous) == 0:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: nothing of stable at weight %.0f, so there is nothing to compare with", s.Name, 100*s.weight)
	case c.total < s.MinSamples:
		f.Policy, f.Sentence = s.OnFewSamples, sentence("%s: %s; that is too few to judge, at least %g are needed", s.Name, s.failedOf(rollout.SideCanary), s.MinSamples)
	case s.Latency != nil && (c.latency.Total() < s.leastLatencies(c) || s.weight < 1 && st.latency.Total() == 0 && len(s.previous) == 0):
		f.Policy, f.Sentence = s.OnFewSamples, sentence("%s: %.0f latencies of the canary and %.0f of stable since answers showed the weight; that is too few to judge", s.Name, c.latency.Total(), st.latency.Total())
	default:
		f.Verdict, f.Sentence = rollout.VerdictSuccessful, sentence("%s: %g requests of the canary, %g of stable", s.Name, c.total, st.total)
		return append([]Finding{f}, s.past95(f)...)
	}
	return []Finding{f}
}

// leastLatencies is how many latencies are enough: as many as other samples, fewer
// where so many of the requests failed.
func (s *series) leastLatencies(c *side) float64 {
	return max(min(s.MinSamples, .5*(c.total-c.failed)), 1)
}

func older(canary, stable time.Time, weight float64) time.Time {
	if weight < 1 && stable.Before(canary) && !stable.IsZero() {
		return stable
	}
	return canary
}

// gaugeData says whether a gauge was there to be looked at.
func (s *series) gaugeData(f Finding, m Moment, stale time.Duration) Finding {
	subject, g, ok := s.worst()
	switch {
	case s.problem != "" && s.problemAt.After(g.at):
		f.Policy, f.Sentence = s.OnNoData, s.Name+": "+s.problem
	case s.nans > 0 && (!ok || 2*s.nans > s.values):
		f.Policy, f.Sentence = s.OnNaN, sentence("%s: %d of %d values are not a number", s.Name, s.nans, s.values)
	case !ok:
		f.Policy, f.Sentence = s.OnNoData, s.Name+": the canary has no value"
	case m.Now.Sub(g.at) > stale:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: the newest value of %s is %v old, limit %v", s.Name, subjectWords(subject), m.Now.Sub(g.at).Round(time.Second), stale)
	case g.at.Sub(m.Now) > stale:
		f.Policy, f.Sentence = s.OnNoData, sentence("%s: the newest value is from %v in the future: the clocks disagree", s.Name, g.at.Sub(m.Now).Round(time.Second))
	default:
		f.Verdict, f.Sentence = rollout.VerdictSuccessful, s.gaugeWords()
	}
	return f
}

// past95 fails a metric whose measured error rate or p95 is past its absolute
// limit at the end of a dwell.
func (s *series) past95(f Finding) []Finding {
	f.Verdict = rollout.VerdictFailed
	c := numbers(s.sides[rollout.SideCanary])
	var fs []Finding
	if s.Errors != nil && c.ErrorRate > s.Errors.Limit() {
		f.Check, f.Sentence = CheckErrorRate, s.errorRateWords()
		fs = append(fs, f)
	}
	if s.Latency != nil && time.Duration(*s.Latency.P95) > 0 && c.P95 > time.Duration(*s.Latency.P95).Seconds() {
		f.Check, f.Sentence = CheckLatencyMax, s.latencyMaxWords()
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

func numbers(v *side) Numbers {
	n := Numbers{Total: v.total, Failed: v.failed, P50: v.latency.Quantile(.5), P95: v.latency.Quantile(.95), P99: v.latency.Quantile(.99)}
	if v.total > 0 {
		n.ErrorRate = v.failed / v.total
	}
	n.ErrorLow, n.ErrorHigh = stat.ShareInterval(int(math.Round(v.failed)), int(math.Round(v.total)), .95)
	return n
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
