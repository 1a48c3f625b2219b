package compare

import (
	"math"
	"slices"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/stat/twosample"
)

// A unit is one run of one side: what is permuted.
type unit struct {
	side  measure.Side
	round int
}

// A sample is a series as the tests see it: greater is worse.
type sample struct {
	at         int // index of its Comparison
	head, base []float64
	units      []unit // of head's values, then of base's
	least      float64
}

func newSample(at int, s measure.Series, floor measure.Floor) *sample {
	sign := worseSign(s.Metric)
	x := &sample{at: at, least: least(floor, measure.Median(measure.Values(s.Base)))}
	for _, side := range []measure.Side{measure.Head, measure.Base} {
		for _, p := range s.Of(side) {
			x.units = append(x.units, unit{side, p.Round})
			if side == measure.Head {
				x.head = append(x.head, sign*p.Value)
			} else {
				x.base = append(x.base, sign*p.Value)
			}
		}
	}
	return x
}

// worseSign is 1 if greater values of a metric are worse, else -1.
func worseSign(m measure.Metric) float64 {
	if m.Better == measure.Higher {
		return -1
	}
	return 1
}

// reach is the smallest p-value that the sample can have.
func (x *sample) reach() float64 { return 1 / twosample.Splits(len(x.head), len(x.base)) }

// turned is the sample with better for worse.
func (x *sample) turned() *sample {
	negate := func(values []float64) []float64 {
		negated := make([]float64, len(values))
		for i, v := range values {
			negated[i] = -v
		}
		return negated
	}
	t := *x
	t.head, t.base = negate(x.head), negate(x.base)
	return &t
}

// counts reports whether head is worse by more than the floor and with an effect that
// is not small.
func (x *sample) counts(effect float64) bool {
	return shiftOf(x.head, x.base) > x.least && twosample.Cliff(x.head, x.base) >= effect
}

func shiftOf(head, base []float64) float64 {
	shift, _, _ := twosample.ShiftInterval(head, base, 0)
	return shift
}

// most bounds values so that nothing that is computed of them is infinite.
const most = 1e150

func finite(points []measure.Point) bool {
	return !slices.ContainsFunc(points, func(p measure.Point) bool { return !(math.Abs(p.Value) <= most) })
}

// twice reports whether a round is there more than once.
func twice(points []measure.Point) bool {
	seen := map[int]bool{}
	for _, p := range points {
		if seen[p.Round] {
			return true
		}
		seen[p.Round] = true
	}
	return false
}
