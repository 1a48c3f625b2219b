package analysis

import (
	"fmt"
	"math"
	"time"

	"github.com/candlefish/deploy-action/internal/split"
)

// maxEvidence stands for infinite, which JSON has no word for.
const maxEvidence = 1000

// A Judge judges one step. Make a new one for every step and for every extension
// of a dwell that starts its counts afresh. It is not safe for concurrent use.
type Judge struct {
	limits Limits
	look   int     // number of the last look at latency
	final  *Result // the Failed that ended the step
}

// NewJudge returns a judge for one step. l has to be valid.
func NewJudge(l Limits) *Judge { return &Judge{limits: l} }

// Look judges what was seen so far. It may be called after every answer. Failed
// stays Failed whatever is seen later.
func (j *Judge) Look(o Observation) Result {
	if j.final != nil {
		return *j.final
	}
	r := Result{Canary: numbers(o.Canary), Stable: numbers(o.Stable), Unattributed: o.Unattributed.Failed}
	r.Evidence = min(evidence(o.Canary.Total, o.Canary.Failed, j.limits.ErrorRate)/math.Log(1/j.limits.Alpha), maxEvidence)
	for _, check := range []func(Observation, *Result) bool{
		j.condition, j.errors, j.unattributed, j.latency, j.dwell, j.samples, j.measured, j.doubt,
	} {
		if check(o, &r) {
			break
		}
	}
	if r.Verdict == "" {
		r.decide(Successful, RulePassed, "%s, limit %s%s", failedOf("the canary", r.Canary), percent(j.limits.ErrorRate), medians(o, r))
	}
	r.Looks = j.look
	if r.Verdict == Failed {
		j.final = &r
	}
	return r
}

func (r *Result) decide(v Verdict, rule Rule, format string, args ...any) bool {
	r.Verdict, r.Rule, r.Reason = v, rule, fmt.Sprintf(format, args...)
	return true
}

func (j *Judge) condition(o Observation, r *Result) bool {
	if len(o.Conditions) == 0 {
		return false
	}
	c := o.Conditions[0]
	words := conditionWords[c.Kind]
	if words == "" {
		words = string(c.Kind)
	}
	if c.Detail != "" {
		words += ": " + c.Detail
	}
	return r.decide(Failed, RuleCondition, "%s", words)
}

func (j *Judge) errors(o Observation, r *Result) bool {
	if r.Evidence < 1 {
		return false
	}
	also := ""
	if r.Stable.ErrorRate > j.limits.ErrorRate {
		also = "; " + failedOf("stable", r.Stable) + " too"
	}
	return r.decide(Failed, RuleErrors, "%s, limit %s%s", failedOf("the canary", r.Canary), percent(j.limits.ErrorRate), also)
}

// unsigned returns the canary's answers and failures with every failure that
// nobody signed added, and the highest share of failures in these that a canary
// within its limit makes. Of all answers a share of weight is the canary's and a
// share of background fails unsigned as it did before.
func (j *Judge) unsigned(o Observation) (total, failed int64, limit float64) {
	u := o.Unattributed.Failed
	if u == 0 || o.Weight <= 0 {
		return 0, 0, 1
	}
	background := 0.0
	if b := o.Before; b.Total > 0 {
		// What was not seen before may still be usual; allow up to 1 % of it.
		_, high := split.ShareInterval(int(b.Failed), int(b.Total), .95)
		background = max(float64(b.Failed)/float64(b.Total), min(high, .01))
	}
	w := float64(o.Weight) / 100
	return o.Canary.Total + u, o.Canary.Failed + u, (j.limits.ErrorRate*w + background) / (w + background)
}

func (j *Judge) unattributed(o Observation, r *Result) bool {
	total, failed, limit := j.unsigned(o)
	if evidence(total, failed, limit) < math.Log(1/j.limits.Alpha) {
		return false
	}
	return r.decide(Failed, RuleUnattributed, "%d requests failed without an answer from either version, beside %d answers of the canary, at weight %d",
		o.Unattributed.Failed, o.Canary.Total, o.Weight)
}

func (j *Judge) latency(o Observation, r *Result) bool {
	look := int(o.Elapsed/time.Second) + 1
	if look <= j.look {
		return false
	}
	j.look = look
	alpha := j.limits.Alpha * 6 / (math.Pi * math.Pi * float64(look) * float64(look))
	canary, _ := bounds(o.Canary.Latency, .5, alpha/2)
	_, stable := bounds(o.stableLatency(), .5, alpha/2)
	if canary > 0 && stable > 0 && j.slower(canary, stable) {
		return r.decide(Failed, RuleLatency, "the canary's median is %v against %v of stable, allowing for chance at least %v against at most %v; limit %g times",
			round(r.Canary.P50), round(quantile(o.stableLatency(), .5)), round(canary), round(stable), j.limits.LatencyRatio)
	}
	if low, _ := bounds(o.Canary.Latency, .95, alpha); j.limits.LatencyMax > 0 && low > j.limits.LatencyMax {
		return r.decide(Failed, RuleLatencyMax, "the canary's p95 is %v, limit %v", round(r.Canary.P95), j.limits.LatencyMax)
	}
	return false
}

// slower says whether canary is past the limit relative to stable.
func (j *Judge) slower(canary, stable time.Duration) bool {
	return float64(canary) > j.limits.LatencyRatio*float64(stable) && canary-stable >= j.limits.LatencyFloor
}

func (o Observation) stableLatency() Distribution {
	if o.Weight == 100 && o.Stable.Total == 0 {
		return o.Reference
	}
	return o.Stable.Latency
}

func (j *Judge) dwell(o Observation, r *Result) bool {
	if o.Elapsed >= o.Dwell {
		return false
	}
	if o.Canary.Total == 0 {
		return r.decide(Pending, RuleDwell, "no answer from the canary yet")
	}
	return r.decide(Pending, RuleDwell, "%s so far, limit %s", failedOf("the canary", r.Canary), percent(j.limits.ErrorRate))
}

func (j *Judge) samples(o Observation, r *Result) bool {
	switch {
	case o.Canary.Total+o.Stable.Total+o.Unattributed.Total == 0:
		return r.decide(Inconclusive, RuleNoData, "there were no answers at all")
	case o.Age > j.limits.Stale:
		return r.decide(Inconclusive, RuleStale, "the newest answer is %v old, limit %v", o.Age.Round(time.Second), j.limits.Stale)
	case o.Stable.Total == 0 && o.Weight < 100:
		return r.decide(Inconclusive, RuleNoStable, "stable answered nothing at weight %d, so there is nothing to compare with", o.Weight)
	case o.Canary.Total < j.limits.MinSamples:
		return r.decide(Inconclusive, RuleSamples, "%s; that is too few to judge, at least %d answers are needed", failedOf("the canary", r.Canary), j.limits.MinSamples)
	}
	return false
}

func (j *Judge) measured(_ Observation, r *Result) bool {
	l := j.limits
	switch c := r.Canary; {
	case c.ErrorRate > l.ErrorRate:
		return r.decide(Failed, RuleErrors, "%s, limit %s", failedOf("the canary", c), percent(l.ErrorRate))
	case float64(c.Total-c.Failed) < l.SuccessRate*float64(c.Total):
		return r.decide(Failed, RuleErrors, "%s, at least %s have to succeed", failedOf("the canary", c), percent(l.SuccessRate))
	case l.LatencyMax > 0 && c.P95 > l.LatencyMax:
		return r.decide(Failed, RuleLatencyMax, "the canary's p95 is %v, limit %v", round(c.P95), l.LatencyMax)
	}
	return false
}

func (j *Judge) doubt(o Observation, r *Result) bool {
	if s := quantile(o.stableLatency(), .5); s > 0 && j.slower(r.Canary.P50, s) {
		return r.decide(Inconclusive, RuleLatency, "the canary's median is %v against %v of stable, limit %g times, but in %d answers that may be chance",
			round(r.Canary.P50), round(s), j.limits.LatencyRatio, r.Canary.Total)
	}
	if total, failed, limit := j.unsigned(o); total > 0 && float64(failed) > limit*float64(total) {
		return r.decide(Inconclusive, RuleUnattributed, "%d requests failed without an answer from either version, beside %d answers of the canary; whose they are is not known",
			o.Unattributed.Failed, o.Canary.Total)
	}
	return false
}

// evidence returns the logarithm of what a stake of 1 has grown to by betting on
// an error rate above limit, spread evenly over the rates from limit to 1. Under
// any rate up to limit it is a supermartingale, in whatever order answers came.
func evidence(total, failed int64, limit float64) float64 {
	switch {
	case failed == 0 && limit <= 0, limit >= 1, total == 0:
		return 0
	case limit <= 0:
		return math.Inf(1) // impossible under the limit
	}
	const bets = 50
	k, n := float64(failed), float64(total)
	logs, most := [bets]float64{}, math.Inf(-1)
	for i := range logs {
		q := limit + (1-limit)*(float64(i)+.5)/bets
		logs[i] = k*math.Log(q/limit) + (n-k)*math.Log((1-q)/(1-limit))
		most = max(most, logs[i])
	}
	sum := 0.0
	for _, l := range logs {
		sum += math.Exp(l - most)
	}
	return most + math.Log(sum/bets)
}

// bounds returns latencies that the true quantile q is under, or over, with a
// probability of at most tail each, whatever the distribution: the number of
// samples under the true quantile is binomial. 0 means no such bound yet.
func bounds(d Distribution, q, tail float64) (low, high time.Duration) {
	if d == nil || d.Len() == 0 {
		return 0, 0
	}
	n := d.Len()
	lo, hi := split.Interval(int(n), q, 1-2*tail)
	if lo >= 1 {
		low = d.At(int64(lo))
	}
	if int64(hi) < n {
		high = d.At(int64(hi) + 1)
	}
	return low, high
}

func quantile(d Distribution, q float64) time.Duration {
	if d == nil || d.Len() == 0 {
		return 0
	}
	return d.At(max(1, int64(math.Ceil(q*float64(d.Len())))))
}

func numbers(c Counts) Numbers {
	n := Numbers{Total: c.Total, Failed: c.Failed,
		P50: quantile(c.Latency, .5), P95: quantile(c.Latency, .95), P99: quantile(c.Latency, .99)}
	if c.Total > 0 {
		n.ErrorRate = float64(c.Failed) / float64(c.Total)
	}
	n.ErrorLow, n.ErrorHigh = split.ShareInterval(int(c.Failed), int(c.Total), .95)
	return n
}

// failedOf says "the canary failed 3 of 40 answers (7.5 %, 95 % interval 1.6 % to 20.4 %)".
func failedOf(who string, n Numbers) string {
	return fmt.Sprintf("%s failed %d of %d answers (%s, 95 %% interval %s to %s)", who, n.Failed, n.Total, percent(n.ErrorRate), percent(n.ErrorLow), percent(n.ErrorHigh))
}

func medians(o Observation, r Result) string {
	s := quantile(o.stableLatency(), .5)
	if s == 0 {
		return fmt.Sprintf("; median %v, nothing of stable to compare it with", round(r.Canary.P50))
	}
	return fmt.Sprintf("; median %v against %v of stable", round(r.Canary.P50), round(s))
}

func percent(x float64) string { return fmt.Sprintf("%.3g %%", 100*x) }

func round(d time.Duration) time.Duration {
	switch {
	case d > 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d > 100*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}
