// Package compare decides whether a version is slower than another one.
//
// A metric is worse only if three things hold: an exact one-sided Mann-Whitney test
// over rounds, corrected by Holm's method over all compared metrics, rejects "not
// worse"; the shift exceeds the metric's floor; and the effect, Cliff's delta, is not
// small. What the rounds are too few to prove is "not enough data", never "same". It
// is pure.
package compare

import "github.com/candlefish/deploy-action/internal/measure"

// A Change is what a comparison says of one series.
type Change string

// Changes. Same says that no change was proven although one of size CouldSee would
// have been, probably.
const (
	Worse         Change = "worse"
	BetterThan    Change = "better"
	Same          Change = "same"
	NotEnoughData Change = "not enough data"
)

// Against is what head is compared with.
type Against string

// What head can be compared with.
const (
	AgainstBase     Against = "base"     // the other version, measured in the same job
	AgainstBaseline Against = "baseline" // earlier jobs of the same environment
	AgainstAnchor   Against = "anchor"   // the pinned job, against slow drift
)

// A Rule says when a change counts.
type Rule struct {
	Alpha  float64 // probability of one or more false alarms in a run: 0.05
	Effect float64 // smallest Cliff's delta that counts: 0.33 is a medium effect
	Power  float64 // probability with which CouldSee is seen: 0.8
	// Floors replace those of metrics, by name.
	Floors map[string]measure.Floor
}

// A Comparison is the result for one series.
type Comparison struct {
	Key     measure.Key
	Metric  measure.Metric
	Against Against
	Change  Change
	// Base and Head are medians, BaseN and HeadN the numbers of rounds or, against a
	// baseline, of jobs.
	Base, Head   float64
	BaseN, HeadN int
	// Shift is the Hodges-Lehmann estimate of head minus base, in the metric's unit,
	// Low and High its two-sided interval of confidence 1 - Rule.Alpha, without
	// correction. Low is -Inf or High +Inf where the rounds are too few to bound it:
	// then Bounded is false.
	Shift, Low, High float64
	Bounded          bool
	P                float64 // one-sided, of "worse"; 1 if it was not tested
	Adjusted         float64 // P after Holm's method
	Effect           float64 // Cliff's delta: -1 to 1, above 0 is worse
	Floor            measure.Floor
	// CouldSee is the smallest change for the worse that this run would have reported
	// with probability Rule.Power, in the metric's unit; +Inf if none, and then Why
	// says so.
	CouldSee float64
	Why      string // a sentence about the change
}
