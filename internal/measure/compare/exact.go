package compare

import (
	"fmt"
	"math"
	"slices"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/quantity"
)

// exact compares a metric that does not vary: the values themselves are the proof. If
// they do vary on a side, only a change that all pairs of values agree on counts.
func (d *draft) exact(s measure.Series) {
	head, base := measure.Values(s.Head), measure.Values(s.Base)
	d.Shift = d.Head - d.Base
	d.Low, d.High = slices.Min(head)-slices.Max(base), slices.Max(head)-slices.Min(base)
	d.Bounded, d.CouldSee = true, least(d.Floor, d.Base)
	low, high := d.Low, d.High
	if worseSign(d.Metric) < 0 {
		low, high = -high, -low
	}
	switch {
	case low > 0:
		d.Effect = 1
	case high < 0:
		d.Effect = -1
	}
	switch {
	case low > d.CouldSee:
		d.Change = Worse
	case high < -d.CouldSee:
		d.Change = BetterThan
	case max(high, -low) <= d.CouldSee:
		d.Change = Same
	default:
		d.Change, d.CouldSee = NotEnoughData, math.Inf(1)
	}
	d.doubt = varies("head", head, d.Metric.Unit) + varies("base", base, d.Metric.Unit)
}

// varies says that the values of a side are not all the same.
func varies(side string, values []float64, unit measure.Unit) string {
	low, high := slices.Min(values), slices.Max(values)
	if low == high {
		return ""
	}
	return fmt.Sprintf("; the rounds of %s differ, %s to %s, although this metric should not vary between runs of one version",
		side, quantity.Beside(unit, low, high), quantity.Beside(unit, high, low))
}

// exactly is the sentence about a metric that was compared as it is.
func (d *draft) exactly() string {
	text := "no change"
	switch {
	case d.Change == NotEnoughData:
		text = "the rounds do not agree about a change"
	case d.Change != Same:
		text = d.by()
	case d.Shift != 0:
		text = d.by() + ", not more than the floor of " + d.floorText()
	}
	return text + d.doubt
}
