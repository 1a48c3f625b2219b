// Package compare decides whether a version is slower than another one.
//
// A metric is worse only if three things hold: a one-sided exact Mann-Whitney test over
// rounds rejects "not worse" after correction for all that was tested; the shift exceeds
// the metric's floor; and the effect, Cliff's delta, is not small. What the rounds are
// too few to prove is "not enough data", never "same". It is pure.
//
// # One error probability for the run
//
// A family is a metric of a meter; its subjects, pages and devices for example, are
// its strata. Rounds are permuted as they were run: a round that was slow was slow for
// all subjects of it, so which rounds are head's is permuted for all subjects at once,
// and a subject more does not count as independent evidence. A family's statistic is
// the sum over its subjects of p^(-2/3), with the p-value p of each: one subject that is
// clearly worse carries it, and several that are a little worse do so together.
//
// Families and subjects are tested by one closed procedure (Marcus, Peritz and Gabriel:
// Biometrika 63, 1976). A set of hypotheses that spans k families is rejected if the
// permutation test of the set's subjects in one of these families is alpha/k or less,
// and a subject is proven worse if every set that contains it is rejected. With one
// subject per family that is Holm's method. So the probability that anything at all is
// named which did not change is at most alpha, whatever else changed and however the
// metrics depend on each other.
//
// A family may be rejected although none of its subjects is proven alone. Then the
// subjects of it that are worse by their own p-value are named, and Why says that it is
// so: that one of them is worse has error probability alpha, not which.
//
// Better is decided by the same procedure with an error probability of its own, and
// changes no verdict.
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
