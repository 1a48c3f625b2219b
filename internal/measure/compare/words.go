package compare

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure/quantity"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// Sees says how small a change the run could see: "this run could have seen a change of
// 8 % (120 ms)".
func (c Comparison) Sees() string {
	if math.IsInf(c.CouldSee, 1) {
		return "this run could not have seen a change"
	}
	if c.CouldSee == 0 {
		return "this run would have seen any change"
	}
	return "this run could have seen a change of " + quantity.Relative(c.Metric.Unit, c.CouldSee, c.Base)
}

// by is the change itself: "8 % (120 ms) worse".
func (d *draft) by() string {
	word := "worse"
	if worseSign(d.Metric)*d.Shift < 0 {
		word = "better"
	}
	return quantity.Relative(d.Metric.Unit, d.Shift, d.Base) + " " + word
}

// floorText is the floor and whose it is: "50 ms and 5 % (default for ms)".
func (d *draft) floorText() string {
	text := ""
	if d.Floor.Absolute > 0 {
		text = quantity.Size(d.Metric.Unit, d.Floor.Absolute)
	}
	if d.Floor.Relative > 0 && d.Base != 0 {
		if text != "" {
			text += " and "
		}
		text += quantity.Percent(d.Floor.Relative)
	}
	if d.floorOf != "metric" {
		text += " (" + d.floorOf + ")"
	}
	return cmp.Or(text, "0")
}

// sentence is Why, with a capital letter and a full stop.
func (d *draft) sentence(families, strata int, r Rule) string {
	text := d.text(families, strata, r)
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

func (d *draft) text(families, strata int, r Rule) string {
	switch {
	case d.Why != "":
		return d.Why
	case d.Metric.Exact && d.Against == AgainstBase:
		return d.exactly()
	case d.Change == NotEnoughData:
		return fmt.Sprintf("%s of head and %d of base: with %s compared, a change is proven by %d of each at least",
			plain.Count(d.HeadN, "round"), d.BaseN, plain.Count(families, "metric"), Rounds(families, strata, r.Alpha))
	case d.Change == Worse:
		return d.by() + ": " + d.proof(d.Adjusted, d.together, d.subjects)
	case d.Change == BetterThan:
		return d.by() + ": " + d.proof(d.betterP, d.togetherBetter, d.subjects)
	}
	return d.same(r)
}

func (d *draft) proof(p float64, together bool, subjects int) string {
	text := fmt.Sprintf("p = %.2g after correction for all that was compared", p)
	if together {
		text += fmt.Sprintf("; proven for the %d subjects together, not for this one alone", subjects)
	}
	return text
}

// same says why nothing is reported.
func (d *draft) same(r Rule) string {
	switch {
	case (d.proven || d.provenBetter) && math.Abs(d.Shift) <= least(d.Floor, d.Base):
		return d.by() + ", which is proven and not more than the floor of " + d.floorText()
	case d.proven || d.provenBetter:
		return fmt.Sprintf("%s, with an effect of %s, below %s", d.by(), quantity.Value("", math.Abs(d.Effect)), quantity.Value("", r.Effect))
	}
	text := "no change was proven; " + d.Sees()
	if d.subjects > 1 && !math.IsInf(d.CouldSee, 1) {
		text += fmt.Sprintf(", in all %d subjects at once", d.subjects)
	}
	return text
}
