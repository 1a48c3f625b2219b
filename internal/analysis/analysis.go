// Package analysis judges one step of a rollout: may the canary go on?
//
// A judge that looks again and again at growing data and stops at the first bad
// sight will, with an ordinary test, stop nearly every healthy rollout in the end:
// each look is one more chance to be wrong. A judge that waits for the end of the
// dwell lets a broken canary serve all that time. The tests here are valid at
// every look at once, so a Judge can be asked after every answer:
//
//   - errors: a betting martingale. Start with 1 and bet, fairly, on the canary
//     failing more often than the limit allows. If it does not, the stake grows
//     200-fold with a probability of at most 1/200, ever, however often one
//     looks (Ville). If it fails every third time it does so in some 25 answers;
//   - latency: bounds on a quantile from order statistics, whatever the
//     distribution, at one look per second. Look j may be wrong with a share
//     6/(π·j)² of the whole, and these shares add up to one.
//
// Order of the checks; the first that applies decides:
//
//  1. a fact from the cluster (a crash, a pull that fails): Failed;
//  2. errors of the canary, by the martingale: Failed;
//  3. failures that nobody signed, by the martingale: Failed. No marker came
//     with them, so they are not known to be the canary's; but the canary is
//     what changed. They are held against it beyond what was usual before;
//  4. latency, at looks: median against stable's at the same time, and p95
//     against an absolute limit: Failed;
//  5. the dwell is not over: Pending;
//  6. no answers, old answers, none of stable while it has weight, or too few of
//     the canary: Inconclusive. Fewer answers than asked for are not judged by
//     their rate; one failure in ten says little;
//  7. the measured error rate, success rate or p95 is past its limit: Failed;
//  8. the median or the unsigned failures are past theirs, but it may be chance:
//     Inconclusive;
//  9. Successful.
//
// The package has no clock and no I/O. It is fed with counts from the start of the
// step, of both versions over the same time.
package analysis

import (
	"errors"
	"fmt"
	"time"
)

// A Verdict is what the judge says of a step.
type Verdict string

// The verdicts. Only Pending may be followed by another.
const (
	Pending      Verdict = "Pending"
	Successful   Verdict = "Successful"
	Failed       Verdict = "Failed"
	Inconclusive Verdict = "Inconclusive"
)

// A Rule names the check that decided.
type Rule string

// The rules in the order in which they are checked.
const (
	RuleCondition    Rule = "condition"
	RuleErrors       Rule = "errors"
	RuleUnattributed Rule = "unattributed"
	RuleLatency      Rule = "latency" // against stable
	RuleLatencyMax   Rule = "latency-max"
	RuleDwell        Rule = "dwell"
	RuleNoData       Rule = "no-data"
	RuleStale        Rule = "stale"
	RuleNoStable     Rule = "no-stable"
	RuleSamples      Rule = "samples"
	RulePassed       Rule = "passed"
)

// Limits are what a canary has to keep. Begin with DefaultLimits: a zero here is
// a limit of zero.
type Limits struct {
	// ErrorRate is the highest share of the canary's answers that may fail.
	ErrorRate float64 `json:"error_rate"`
	// SuccessRate is the lowest share that has to succeed.
	SuccessRate float64 `json:"success_rate"`
	// MinSamples is the fewest answers of the canary to call it successful.
	MinSamples int64 `json:"min_samples"`
	// LatencyRatio is how many times stable's median the canary's may be.
	LatencyRatio float64 `json:"latency_ratio"`
	// LatencyFloor is the least difference of the medians that matters.
	LatencyFloor time.Duration `json:"latency_floor"`
	// LatencyMax is the highest p95 of the canary; 0 means no such limit.
	LatencyMax time.Duration `json:"latency_max"`
	// Stale is the age from which the newest answer is too old to judge by.
	Stale time.Duration `json:"stale"`
	// Alpha is the probability with which each of the sequential checks may
	// stop a canary that keeps its limit, over the whole step.
	Alpha float64 `json:"alpha"`
}

// DefaultLimits returns: at most 5 % errors, at least 95 % success, 100 answers,
// twice stable's median but not under 5 ms more, p95 2 s, 10 s, alpha 0.005.
func DefaultLimits() Limits {
	return Limits{ErrorRate: .05, SuccessRate: .95, MinSamples: 100, LatencyRatio: 2, LatencyFloor: 5 * time.Millisecond,
		LatencyMax: 2 * time.Second, Stale: 10 * time.Second, Alpha: .005}
}

// Validate names everything that is wrong with l.
func (l Limits) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(l.ErrorRate >= 0 && l.ErrorRate < 1, "error rate %v: want 0 to less than 1", l.ErrorRate)
	check(l.SuccessRate >= 0 && l.SuccessRate <= 1, "success rate %v: want 0 to 1", l.SuccessRate)
	check(l.MinSamples >= 1, "min samples %d: want at least 1", l.MinSamples)
	check(l.LatencyRatio >= 1, "latency ratio %v: want at least 1", l.LatencyRatio)
	check(l.LatencyFloor >= 0, "latency floor %v: want 0 or more", l.LatencyFloor)
	check(l.LatencyMax >= 0, "latency max %v: want 0 or more", l.LatencyMax)
	check(l.Stale > 0, "stale %v: want more than 0", l.Stale)
	check(l.Alpha > 0 && l.Alpha < .5, "alpha %v: want between 0 and 0.5", l.Alpha)
	return errors.Join(errs...)
}

// A Distribution is a set of latencies in order. probe.Latencies is one.
type Distribution interface {
	Len() int64
	// At returns the latency of a rank, 1 being the lowest.
	At(rank int64) time.Duration
}

// Counts is what one version did since the step began.
type Counts struct {
	Total, Failed int64
	Latency       Distribution // of the answers that did not fail; may be nil
}

// A ConditionKind is a fact about the canary's pods that ends the step.
type ConditionKind string

// The kinds of condition.
const (
	PodNotReady      ConditionKind = "PodNotReady"
	CrashLoop        ConditionKind = "CrashLoop"
	ImagePull        ConditionKind = "ImagePull"
	ProgressDeadline ConditionKind = "ProgressDeadline"
	Restarted        ConditionKind = "Restarted"
)

var conditionWords = map[ConditionKind]string{
	PodNotReady:      "a pod of the canary is not ready",
	CrashLoop:        "a pod of the canary crashes again and again",
	ImagePull:        "the canary's image cannot be pulled",
	ProgressDeadline: "the canary's pods did not get ready in time",
	Restarted:        "a container of the canary restarted",
}

// A Condition is one such fact, with the pod and what the cluster says of it.
type Condition struct {
	Kind   ConditionKind
	Detail string
}

// An Observation is all that was seen of a step so far.
type Observation struct {
	Elapsed time.Duration // since the step's weight was confirmed
	Dwell   time.Duration // how long the step is held
	Age     time.Duration // of the newest answer
	Weight  int           // whole percent of traffic to the canary
	Canary  Counts
	Stable  Counts
	// Unattributed counts answers whose version is not known.
	Unattributed Counts
	// Before counts answers of any version before the change, and, as
	// failed, those of them that nobody signed.
	Before Counts
	// Reference stands in for stable's latency at weight 100, when stable
	// answers nothing: its latency in the steps before. It may be nil.
	Reference  Distribution
	Conditions []Condition
}

// Numbers are the measurements of one version that belong to a Result.
type Numbers struct {
	Total     int64         `json:"total"`
	Failed    int64         `json:"failed"`
	ErrorRate float64       `json:"error_rate"`
	ErrorLow  float64       `json:"error_low"`  // 95 % interval of the error rate
	ErrorHigh float64       `json:"error_high"` // 1 when there are no answers
	P50       time.Duration `json:"p50"`
	P95       time.Duration `json:"p95"`
	P99       time.Duration `json:"p99"`
}

// A Result is a verdict with what led to it.
type Result struct {
	Verdict Verdict `json:"verdict"`
	Rule    Rule    `json:"rule"`
	Reason  string  `json:"reason"` // one sentence for people
	Canary  Numbers `json:"canary"`
	Stable  Numbers `json:"stable"`
	// Unattributed failures: no version signed them.
	Unattributed int64 `json:"unattributed_failed"`
	// Evidence is what the stake against the canary's error rate has grown
	// to, as a share (in logarithms) of what fails it: under 0 it has lost,
	// 1 fails.
	Evidence float64 `json:"evidence"`
	Looks    int     `json:"looks"` // at latency so far
}
