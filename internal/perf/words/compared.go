package words

import (
	"cmp"
	"fmt"
	"math"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/quantity"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// Title is a metric for people.
func Title(m measure.Metric, k measure.Key) string {
	return plain.Text(cmp.Or(m.Title, m.Name, k.Metric), 100)
}

// Subject is whose value it is: "lighthouse / mobile".
func Subject(k measure.Key) string {
	return plain.Text(k.Meter+" "+k.Subject, SubjectLength)
}

// Change is a comparison in a word or two.
func Change(c compare.Comparison) string {
	switch {
	case c.Change == compare.Worse:
		return "worse"
	case c.Change == compare.BetterThan:
		return "better"
	case c.Change == compare.Same && c.Metric.Exact && c.Shift == 0:
		return "the same"
	case c.Change == compare.Same && c.Metric.Exact:
		return "below the floor"
	case c.Change == compare.Same && finite(c.CouldSee):
		return "no change seen"
	}
	return "not enough data" // also where no change at all could have been seen
}

// Delta is the shift with its interval: "+180 ms (+8 %), 95 % between +120 ms and +260
// ms". Alpha is that of the rule.
func Delta(c compare.Comparison, alpha float64) string {
	if c.BaseN == 0 || c.HeadN == 0 || !finite(c.Shift) {
		return "–"
	}
	text := quantity.Signed(c.Metric.Unit, c.Shift)
	if c.Base > 0 && c.Shift != 0 {
		text += " (" + quantity.SignedPercent(c.Shift/c.Base) + ")"
	}
	switch {
	case c.Metric.Exact:
		return text
	case !c.Bounded || !finite(c.Low) || !finite(c.High):
		return text + ", too few rounds for an interval"
	}
	return text + ", " + Interval(c, alpha)
}

// Interval is the interval of a bounded comparison.
func Interval(c compare.Comparison, alpha float64) string {
	if !(alpha > 0 && alpha < 1) {
		return fmt.Sprintf("between %s and %s", quantity.Signed(c.Metric.Unit, c.Low), quantity.Signed(c.Metric.Unit, c.High))
	}
	return fmt.Sprintf("%s between %s and %s", quantity.Percent(1-alpha), quantity.Signed(c.Metric.Unit, c.Low), quantity.Signed(c.Metric.Unit, c.High))
}

// CouldSee says how small a change the run would have reported, "" if that is not known
// or none.
func CouldSee(c compare.Comparison) string {
	if !finite(c.CouldSee) || c.CouldSee <= 0 || c.Metric.Exact {
		return ""
	}
	return c.Sees()
}

// Finding is what a comparison found: its change, why, and what it could have seen.
func Finding(c compare.Comparison) string {
	text := Change(c)
	see := CouldSee(c)
	switch {
	case c.Change == compare.Worse, c.Change == compare.BetterThan, c.Change == compare.Same && c.Metric.Exact:
		return text
	case c.Change == compare.Same && see != "":
		return text + "; " + see
	}
	if c.Why != "" {
		text += ": " + plain.Text(c.Why, WhyLength)
	}
	if see != "" {
		text += "; " + see
	}
	return text
}

// With says what head was compared with.
func With(a compare.Against) string {
	switch a {
	case compare.AgainstBaseline:
		return "earlier runs"
	case compare.AgainstAnchor:
		return "the anchor"
	case compare.AgainstBase:
	}
	return "base"
}

// Compared is a comparison in a sentence.
func Compared(c compare.Comparison, alpha float64) string {
	of := Title(c.Metric, c.Key) + " of " + Subject(c.Key)
	values := fmt.Sprintf("%s to %s, %s", quantity.Beside(c.Metric.Unit, c.Base, c.Head), quantity.Beside(c.Metric.Unit, c.Head, c.Base), Delta(c, alpha))
	switch c.Change {
	case compare.Worse, compare.BetterThan:
		return fmt.Sprintf("%s is %s than %s: %s", of, Change(c), With(c.Against), values)
	case compare.Same, compare.NotEnoughData:
	}
	return fmt.Sprintf("%s against %s: %s", of, With(c.Against), Finding(c))
}

// unit is that of a budget's value and limit.
func unit(c budget.Checked) measure.Unit { return cmp.Or(c.Metric.Unit, c.Unit) }

// Limit is a budget's limit: "< 2.5 s".
func Limit(c budget.Checked) string {
	return plain.Text(string(c.Operator), 4) + " " + quantity.Beside(unit(c), c.Limit, c.Value)
}

// Measurement is a budget's value, "not measured" if there is none.
func Measurement(c budget.Checked) string {
	if !hasValue(c) || !finite(c.Value) || c.Rounds == 0 {
		return "not measured"
	}
	return quantity.Beside(unit(c), c.Value, c.Limit)
}

func hasValue(c budget.Checked) bool {
	s := c.State()
	return s == budget.Met || s == budget.Failed
}

// Kept says what became of a budget, in a word or two.
func Kept(c budget.Checked) string {
	switch s := c.State(); {
	case s == budget.DoesNotConcern:
		return "limit not applicable"
	case s == budget.NoValue && !Refuses(c):
		return "not measured, changes nothing"
	case s == budget.NoValue:
		return "not measured"
	case s == budget.Met:
		return "limit kept"
	case !Refuses(c):
		return "warning: limit not kept"
	}
	return "limit not kept"
}

// Checked is a budget in a sentence.
func Checked(c budget.Checked) string {
	of := Title(c.Metric, measure.Key{Metric: cmp.Or(c.Key.Metric, c.Budget.Metric)}) + " of " + Subject(c.Key)
	note := ""
	if c.Note != "" {
		note = "; " + plain.Text(c.Note, WhyLength)
	}
	switch {
	case c.NotApplicable != "":
		return fmt.Sprintf("%s has the limit %s, which does not apply: %s%s", of, Limit(c), plain.Text(c.NotApplicable, WhyLength), note)
	case c.Missing != "":
		return fmt.Sprintf("%s has the limit %s and was not measured: %s%s", of, Limit(c), plain.Text(c.Missing, WhyLength), note)
	}
	how := "1 round"
	if c.Rounds != 1 {
		how = fmt.Sprintf("%s of %s", plain.Text(string(c.Aggregation), 20), plain.Count(c.Rounds, "round"))
	}
	return fmt.Sprintf("%s is %s, the limit is %s (%s)%s", of, Measurement(c), Limit(c), how, note)
}

// Meter is a line about a meter that ended.
func Meter(m verdict.Meter) string {
	text := plain.Text(m.Name, 60) + ": " + plain.Text(string(m.Health), 40)
	if m.Health == verdict.Healthy {
		text = fmt.Sprintf("%s: %s", plain.Text(m.Name, 60), plain.Count(m.Rounds, "round"))
	} else if m.Why != "" {
		text += ": " + plain.Text(m.Why, WhyLength)
	}
	if m.Hint != "" && !Well(m) {
		text += "; " + plain.Text(m.Hint, 300)
	}
	if m.Took > 0 {
		text += ", " + plain.Took(m.Took)
	}
	return text
}

// A Past is a median of a series in one run.
type Past struct {
	Median  float64
	Verdict verdict.Verdict
	Commit  string
	Day     string
	Now     bool // this run
}

// History has the medians of a series, oldest first, this run last, at most 50 before
// it. A run without the series is not among them.
func History(r verdict.Result, s measure.Series) []Past {
	var all []Past
	const most = 50
	runs := r.History.Runs
	for _, run := range runs[max(0, len(runs)-most):] {
		for _, v := range run.Values {
			if v.Meter == s.Key.Meter && v.Subject == s.Key.Subject && v.Metric == s.Key.Metric && v.Unit == s.Metric.Unit && finite(v.Median) {
				all = append(all, Past{Median: v.Median, Verdict: verdict.Verdict(run.Verdict), Commit: plain.Text(plain.Short(run.Commit), 12), Day: plain.Day(run.At)})
				break
			}
		}
	}
	if len(s.Head) > 0 {
		all = append(all, Past{Median: measure.Median(measure.Values(s.Head)), Verdict: Verdict(r), Commit: plain.Text(plain.Short(r.Commit), 12), Day: plain.Day(r.At), Now: true})
	}
	return all
}

// Anchor is the pinned median of a series.
func Anchor(r verdict.Result, k measure.Key) (float64, bool) {
	if r.History.Anchor != nil {
		for _, v := range r.History.Anchor.Values {
			if v.Meter == k.Meter && v.Subject == k.Subject && v.Metric == k.Metric {
				return v.Median, finite(v.Median)
			}
		}
	}
	return math.NaN(), false
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
