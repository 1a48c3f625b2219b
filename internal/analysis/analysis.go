// Package analysis judges one step of a rollout: may the canary go on?
//
// A judge that looks again and again at growing data and stops at the first bad
// sight will, with an ordinary test, stop nearly every healthy rollout in the end:
// each look is one more chance to be wrong. A judge that waits for the end of the
// dwell lets a broken canary serve all that time. The tests here are valid at
// every look at once, so a Judge can be asked after every answer:
//
//   - errors, against the limit: a betting martingale (stat.Evidence). It catches
//     a canary that fails every third request in some 25 answers;
//   - errors, against stable at the same time: of all failures in a second, the
//     canary's share is compared with its share of that second's requests
//     (stat.Wager). A few failures in a row are enough where stable has none, and
//     trouble that hits both versions is nobody's fault. The same goes for lost
//     requests, for answers that are wrong without being errors, and for slow ones;
//   - latency: Mann-Whitney of the canary's answers against stable's at the same
//     time, each of which is first allowed to be as much slower as the limit says.
//     Its variance is taken between blocks of time, with the correlation that is
//     left between them (stat.Compare); looks share the error probability. The
//     canary's warm-up is left out;
//   - gauges, such as CPU or restarts: a limit that has to be exceeded for a time.
//
// All tests of all metrics, steps and looks together keep one error probability
// (Holm). What is no test with a known error probability can only make a step
// Inconclusive, but for limits that the user sets on gauges, custom checks, and an
// outage: nobody is answered for 10 s.
//
// A step ends Successful only when every metric has said so on enough fresh data
// of both versions. What cannot be judged is Inconclusive, with a policy of its
// own: fail, hold, extend or ignore, and ignoring is said aloud.
//
// The package has no clock and no I/O: it is fed with Points. Fed with the same
// points and asked at the same moments it says the same, which is what package
// recording does. Package config has the limits, package power what a step can see
// before it begins.
package analysis

import (
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Check names one thing that a metric is judged by.
type Check string

// The checks.
const (
	CheckErrorRate    Check = "error-rate"       // the canary's failures against the limit
	CheckErrors       Check = "errors-vs-stable" // against stable's at the same time
	CheckUnattributed Check = "unattributed"     // requests that no version answered
	CheckOutage       Check = "outage"           // nobody is answered
	CheckLatency      Check = "latency-vs-stable"
	CheckSlow         Check = "slow-vs-stable" // the slow end of the latencies
	CheckLatencyMax   Check = "latency-max"    // the 95th percentile against the limit
	CheckStatus       Check = Check(evidence.WrongStatus)
	CheckRedirect     Check = Check(evidence.WrongRedirect)
	CheckFaster       Check = "faster" // answers suspiciously fast
	CheckRise         Check = "rise"   // slower than in the step before, beside the last releases
	CheckGauge        Check = "limit"
	CheckData         Check = "data"   // whether there is enough to judge by
	CheckCustom       Check = "custom" // a job, a command or a webhook
	CheckScore        Check = "score"  // all metrics together
)

// A Moment is when the judge is asked.
type Moment struct {
	Now     time.Time     `json:"now"`
	Elapsed time.Duration `json:"elapsed"` // since the step's weight was confirmed; 0 before
	Dwell   time.Duration `json:"dwell"`   // how long the step is held
}

// Numbers are what was measured of one version by one metric.
type Numbers struct {
	Total     float64 `json:"total"`
	Failed    float64 `json:"failed"`
	ErrorRate float64 `json:"error_rate"`
	ErrorLow  float64 `json:"error_low"`  // 95 % interval of the error rate
	ErrorHigh float64 `json:"error_high"` // 1 when there are no requests
	P50       Seconds `json:"p50_seconds"`
	P95       Seconds `json:"p95_seconds"`
	P99       Seconds `json:"p99_seconds"`
}

// Seconds is a duration whose JSON is a number of seconds.
type Seconds = float64

// A Shift is how much slower the canary's answers are.
type Shift = evidence.Shift

// A Finding is what one check of one metric came to.
type Finding struct {
	Metric  string          `json:"metric"`
	Check   Check           `json:"check"`
	Verdict rollout.Verdict `json:"verdict"`
	// Sentence says it with its numbers, for a person.
	Sentence string `json:"sentence"`
	// P is the p-value, valid at every look so far, of "the limit is kept";
	// 1 where the check is no test.
	P float64 `json:"p"`
	// Policy is what follows when the verdict is Inconclusive.
	Policy   rollout.Policy `json:"policy,omitempty"`
	Critical bool           `json:"critical"`
	Shift    *Shift         `json:"shift,omitempty"`
	// Output is the end of what a custom check printed.
	Output []string `json:"output,omitempty"`
}

// Evidence is how far a finding is on the way to Failed: the logarithm of 1/P as
// a share of the one that alpha alone asks for.
func (f Finding) Evidence(alpha float64) float64 { return evidenceShare(f.P, alpha) }

// Measured is what one metric measured of both versions.
type Measured struct {
	Metric       string  `json:"metric"`
	Canary       Numbers `json:"canary"`
	Stable       Numbers `json:"stable"`
	Unattributed float64 `json:"unsigned_failed,omitempty"` // failed requests
}

// A Result is a verdict with what led to it.
type Result struct {
	Verdict rollout.Verdict `json:"verdict"`
	// Reason is one sentence for people: of the finding that decided.
	Reason   string         `json:"reason"`
	Policy   rollout.Policy `json:"policy,omitempty"` // when Inconclusive
	Findings []Finding      `json:"findings,omitempty"`
	Measured []Measured     `json:"measured,omitempty"`
	// Score is the weighted share of metrics that passed, 0 to 100; nil
	// unless every metric has been judged.
	Score    *float64 `json:"score,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}
