package compare

import (
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/stat/twosample"
)

// DefaultRule is the rule without settings. An effect of 0.33 is the bound between
// small and medium of Romano and others (2006).
func DefaultRule() Rule { return Rule{Alpha: .05, Effect: .33, Power: .8} }

// known replaces what is no probability by the default.
func (r Rule) known() Rule {
	d := DefaultRule()
	if !(r.Alpha > 0 && r.Alpha < 1) {
		r.Alpha = d.Alpha
	}
	if !(r.Effect >= 0 && r.Effect <= 1) {
		r.Effect = d.Effect
	}
	if !(r.Power > 0 && r.Power < 1) {
		r.Power = d.Power
	}
	return r
}

// atMost is p <= level but for rounding: 1/20 must be 5 %.
func atMost(p, level float64) bool { return p <= level*(1+1e-9) }

// defaultFloors are for metrics whose meter sets none: what people do not notice, and
// for units that are not here 5 %, which is what shared machines vary by.
var defaultFloors = map[measure.Unit]measure.Floor{
	measure.Milliseconds: {Absolute: 10, Relative: .05},
	measure.Bytes:        {Absolute: 1024, Relative: .01},
	measure.Share:        {Absolute: .01},
	measure.Score:        {Absolute: .02},
	measure.PerSecond:    {Relative: .05},
	measure.Count:        {Absolute: .5, Relative: .05},
	measure.Shift:        {Absolute: .01},
}

// FloorOf returns the smallest change of a metric that counts, and whose it is: "rule",
// "metric" or "default for ms".
func (r Rule) FloorOf(m measure.Metric) (measure.Floor, string) {
	if f, ok := r.Floors[m.Name]; ok {
		return f, "rule"
	}
	if m.Floor != (measure.Floor{}) {
		return m.Floor, "metric"
	}
	if f, ok := defaultFloors[m.Unit]; ok {
		return f, "default for " + string(m.Unit)
	}
	return measure.Floor{Relative: .05}, "default for other units"
}

// least returns the largest change that does not count, for a base with this median.
func least(f measure.Floor, base float64) float64 {
	if base < 0 {
		base = -base
	}
	return max(0, f.Absolute, f.Relative*base)
}

// mostRounds is where [Rounds] ends: 30 on each side prove a change among any number of
// metrics that a run can have.
const mostRounds = 30

// Rounds returns the smallest number of rounds on each side, 5 or more, with which a
// change of one subject alone can be proven, if families metrics with strata subjects
// each are compared: families * strata times the smallest p-value is alpha or less.
func Rounds(families, strata int, alpha float64) int {
	alpha = Rule{Alpha: alpha}.known().Alpha
	tests := float64(max(1, families)) * float64(max(1, strata))
	n := 5
	for n < mostRounds && !atMost(tests/twosample.Splits(n, n), alpha) {
		n++
	}
	return n
}
