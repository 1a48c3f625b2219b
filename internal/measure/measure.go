// Package measure has the words of a performance gate: metrics, the values of each
// round and side, and the environment that they come from.
//
// A round is one run of what is measured on one side, and gives one value per metric.
// It is the unit of every comparison: requests of one run depend on each other, runs
// do not.
package measure

import (
	"cmp"
	"slices"
)

// A Side is which version a value comes from.
type Side string

// The sides of a comparison. Without a base every value is of Head.
const (
	Head Side = "head"
	Base Side = "base"
)

// A Unit is the unit of a metric's values. Meters may have others: "ns/op", "widgets".
type Unit string

// Units.
const (
	Milliseconds Unit = "ms"
	Bytes        Unit = "B"
	Share        Unit = "share" // 0 to 1
	Score        Unit = "score" // 0 to 1
	PerSecond    Unit = "/s"
	Count        Unit = "count"
	Shift        Unit = "CLS" // Cumulative Layout Shift, without a dimension
)

// Better is the direction in which a metric gets better.
type Better string

// Directions.
const (
	Lower  Better = "lower"
	Higher Better = "higher"
)

// A Floor is the smallest change that matters. A change counts if it exceeds both
// parts.
type Floor struct {
	Absolute float64 // in the metric's unit
	Relative float64 // share of the base: 0.05 is 5 %
}

// A Metric is what a value means.
type Metric struct {
	Name   string // unique in its meter and stable, since baselines know it: "largest-contentful-paint"
	Title  string // for people: "Largest Contentful Paint"
	Unit   Unit
	Better Better
	Floor  Floor
	// Compared metrics are tested for changes. The others only have budgets: with
	// every metric more, each of them needs a larger change to be proven.
	Compared bool
	// Detail says that the metric matters only to those who have a limit for it, such as
	// the scores of Lighthouse's audits. Others neither see nor keep it.
	Detail bool
	// Exact metrics do not vary between rounds of one version, such as the bytes of a
	// bundle. One value on each side is enough to compare them.
	Exact bool
}

// A Key names a series: whose, of what, which metric.
type Key struct {
	Meter   string // "lighthouse"
	Subject string // "/ mobile", "load", "BenchmarkParse"
	Metric  string // Metric.Name
}

// String is the key as people read it.
func (k Key) String() string { return k.Meter + " " + k.Subject + " " + k.Metric }

// Compare orders keys.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Meter, other.Meter), cmp.Compare(k.Subject, other.Subject), cmp.Compare(k.Metric, other.Metric))
}

// A Point is the value of one round.
type Point struct {
	Round int // from 0
	Value float64
}

// A Series has all values of one key. Points are in the order of rounds; a round
// without a value is not among them.
type Series struct {
	Key    Key
	Metric Metric
	Head   []Point
	Base   []Point // none without a base
}

// Of returns the points of a side.
func (s Series) Of(side Side) []Point {
	if side == Base {
		return s.Base
	}
	return s.Head
}

// Values returns the values of points.
func Values(points []Point) []float64 {
	values := make([]float64, len(points))
	for i, p := range points {
		values[i] = p.Value
	}
	return values
}

// Median returns the median of values, the mean of the two middle ones if their
// number is even; 0 of none.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
