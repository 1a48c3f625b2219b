package compare

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
)

// Amount is a value with three significant digits and its unit: "12.3 ms", "0.05 CLS".
func Amount(v float64, unit measure.Unit) string {
	return number(v) + " " + string(cmp.Or(unit, "of no unit"))
}

func number(v float64) string {
	if size := math.Abs(v); size != 0 && (size < 1e-4 || size >= 1e15) {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	}
	short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	return strconv.FormatFloat(short, 'f', -1, 64)
}

// of is an amount, relative to the base where there is one: "8 % (120 ms)".
func of(v, base float64, unit measure.Unit) string {
	if base == 0 || math.IsInf(v/base, 0) {
		return Amount(v, unit)
	}
	return fmt.Sprintf("%s %% (%s)", number(100*math.Abs(v/base)), Amount(v, unit))
}

// Sees says how small a change the run could see: "this run could have seen a change of
// 8 % (120 ms)".
func (c Comparison) Sees() string {
	if math.IsInf(c.CouldSee, 1) {
		return "this run could not have seen a change"
	}
	if c.CouldSee == 0 {
		return "this run would have seen any change"
	}
	return "this run could have seen a change of " + of(c.CouldSee, c.Base, c.Metric.Unit)
}

// by is the change itself: "8 % (120 ms) worse".
func (d *draft) by() string {
	word := "worse"
	if worseSign(d.Metric)*d.Shift < 0 {
		word = "better"
	}
	return of(math.Abs(d.Shift), d.Base, d.Metric.Unit) + " " + word
}

// floorText is the floor and whose it is: "50 ms and 5 % (default for ms)".
func (d *draft) floorText() string {
	text := ""
	if d.Floor.Absolute > 0 {
		text = Amount(d.Floor.Absolute, d.Metric.Unit)
	}
	if d.Floor.Relative > 0 && d.Base != 0 {
		if text != "" {
			text += " and "
		}
		text += number(100*d.Floor.Relative) + " %"
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
			plural(d.HeadN, "round"), d.BaseN, plural(families, "metric"), Rounds(families, strata, r.Alpha))
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
		return fmt.Sprintf("%s, with an effect of %s, below %s", d.by(), number(math.Abs(d.Effect)), number(r.Effect))
	}
	text := "no change was proven; " + d.Sees()
	if d.subjects > 1 && !math.IsInf(d.CouldSee, 1) {
		text += fmt.Sprintf(", in all %d subjects at once", d.subjects)
	}
	return text
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
