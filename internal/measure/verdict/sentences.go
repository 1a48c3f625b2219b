package verdict

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/quantity"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// passed says why a run passed, and what that is worth.
func (r *Result) passed(uncompared string) []Reason {
	return slices.Concat(r.limitsHold(), r.nothingWorse(uncompared), r.better(), r.assertionsHold(), r.warnings(), r.leftOpen())
}

// keysOf returns the keys of the budgets in a state.
func (r *Result) keysOf(is func(budget.Checked) bool) []measure.Key {
	var keys []measure.Key
	for _, b := range r.Budgets {
		if is(b) {
			keys = append(keys, b.Key)
		}
	}
	return keys
}

func (r *Result) limitsHold() []Reason {
	met := r.keysOf(func(b budget.Checked) bool { return b.State() == budget.Met })
	switch len(met) {
	case 0:
		return []Reason{{Text: "No limit was held against a value."}}
	case 1:
		return []Reason{{Text: "1 limit holds.", Keys: met}}
	}
	return []Reason{{Text: fmt.Sprintf("%d limits hold.", len(met)), Keys: met}}
}

// nothingWorse says which comparisons found nothing worse, and what they could have
// found.
func (r *Result) nothingWorse(uncompared string) []Reason {
	if len(r.Comparisons) == 0 {
		return []Reason{{Text: fmt.Sprintf("Nothing was compared%s.", because(uncompared))}}
	}
	var keys []measure.Key
	var saw []compare.Comparison
	for _, c := range r.Comparisons {
		if decided(c.Change) {
			saw = append(saw, c)
			if !slices.Contains(keys, c.Key) { // it may be compared with the base and with the anchor
				keys = append(keys, c.Key)
			}
		}
	}
	if len(saw) == 0 {
		return []Reason{{Text: fmt.Sprintf("None of %s had enough data to say whether something changed.", plain.Count(len(r.Comparisons), "comparison"))}}
	}
	text := fmt.Sprintf("No metric of %d got worse", len(keys))
	if len(r.Compared) > 0 {
		text += ", compared with " + strings.Join(r.Compared, " and with ")
	}
	return []Reason{{Text: text + r.couldSee(saw) + ".", Keys: keys}}
}

// couldSee says how small a change the comparisons would have found.
func (r *Result) couldSee(saw []compare.Comparison) string {
	least, most, blind := math.Inf(1), 0.0, 0
	for _, c := range saw {
		share := c.CouldSee / math.Abs(c.Base)
		switch {
		case c.Metric.Exact:
		case math.IsInf(c.CouldSee, 1) || math.IsNaN(c.CouldSee) || c.CouldSee <= 0:
			blind++
		case c.Base != 0 && !math.IsInf(share, 1):
			least, most = min(least, share), max(most, share)
		}
	}
	text := ""
	if most > 0 {
		text = fmt.Sprintf("; this run could have seen changes of %s", quantity.Percent(least))
		if quantity.Percent(least) != quantity.Percent(most) {
			text += " to " + quantity.Percent(most) + ", depending on the metric"
		}
		if p := r.Policy.Rule.Power; p > 0 && p < 1 {
			text += fmt.Sprintf(", with a probability of %s", quantity.Percent(p))
		}
	}
	if blind > 0 {
		text += fmt.Sprintf("; for %s it could not have seen any change", plain.Count(blind, "metric"))
	}
	return text
}

func (r *Result) better() []Reason {
	var reasons []Reason
	for _, c := range r.Comparisons {
		if c.Change == compare.BetterThan {
			reasons = append(reasons, Reason{Text: changeText(c, "got better"), Keys: []measure.Key{c.Key}})
		}
	}
	return reasons
}

func (r *Result) assertionsHold() []Reason {
	switch len(r.Assertions) {
	case 0:
		return nil
	case 1:
		return []Reason{{Text: "The assertion of a meter's own holds."}}
	}
	return []Reason{{Text: fmt.Sprintf("%d assertions of the meters' own hold.", len(r.Assertions))}}
}

// warnings says which limits that only warn do not hold or have no value.
func (r *Result) warnings() []Reason {
	var reasons []Reason
	for _, b := range r.Budgets {
		if b.Severity == budget.Warn && b.State() == budget.Failed {
			reasons = append(reasons, Reason{Text: "Warning: " + limitText(b), Keys: []measure.Key{b.Key}})
		}
	}
	unknown := r.keysOf(func(b budget.Checked) bool { return b.Severity == budget.Warn && b.State() == budget.NoValue })
	if len(unknown) > 0 {
		reasons = append(reasons, Reason{Text: fmt.Sprintf("Warning: %s no value.", plural(len(unknown), "limit that only warns has", "limits that only warn have")), Keys: unknown})
	}
	return reasons
}

// leftOpen says what does not apply, and what could not be believed without
// consequence.
func (r *Result) leftOpen() []Reason {
	var reasons []Reason
	if keys := r.keysOf(func(b budget.Checked) bool { return b.State() == budget.DoesNotConcern }); len(keys) > 0 {
		reasons = append(reasons, Reason{Text: plural(len(keys), "limit does", "limits do") + " not apply to this run.", Keys: keys})
	}
	if keys := r.keysOf(func(b budget.Checked) bool {
		return b.Severity != budget.Warn && b.State() == budget.NoValue && r.optional(b.Meter)
	}); len(keys) > 0 {
		reasons = append(reasons, Reason{Text: plural(len(keys), "limit of an optional meter has", "limits of optional meters have") + " no value.", Keys: keys})
	}
	var open []measure.Key
	for _, c := range r.Comparisons {
		if !decided(c.Change) {
			open = append(open, c.Key)
		}
	}
	if len(open) > 0 {
		reasons = append(reasons, Reason{Text: fmt.Sprintf("There is not enough data to say whether %s changed.", plain.Count(len(open), "metric")), Keys: open})
	}
	for _, m := range r.Meters {
		if r.optional(m.Name) && m.Health != Healthy && !idle(m) {
			reasons = append(reasons, Reason{Text: "A run can pass without " + m.Name + ": the values of " + healthText(m) + "."})
		}
	}
	return reasons
}

// unit is that of a limit and its value.
func unit(b budget.Checked) measure.Unit { return cmp.Or(b.Metric.Unit, b.Unit) }

// limitText says of a limit that it does not hold.
func limitText(b budget.Checked) string {
	value, limit := quantity.Beside(unit(b), b.Value, b.Limit), quantity.Beside(unit(b), b.Limit, b.Value)
	if value == limit { // the digits that decide
		value, limit = quantity.Exact(unit(b), b.Value), quantity.Exact(unit(b), b.Limit)
	}
	return fmt.Sprintf("%s%s is %s (%s of %s); the limit is %s %s, by %s.",
		cmp.Or(b.Metric.Title, b.Key.Metric), ofSubject(b.Key), value, cmp.Or(b.Aggregation, budget.Median), plain.Count(b.Rounds, "round"), b.Operator, limit, b.From)
}

// changeText says how much a metric changed.
func changeText(c compare.Comparison, what string) string {
	text := fmt.Sprintf("%s%s %s: %s instead of %s", cmp.Or(c.Metric.Title, c.Key.Metric), ofSubject(c.Key), what, quantity.Beside(c.Metric.Unit, c.Head, c.Base), quantity.Beside(c.Metric.Unit, c.Base, c.Head))
	if c.Base != 0 && !math.IsInf(c.Shift/c.Base, 0) && !math.IsNaN(c.Shift) {
		text += ", " + quantity.SignedPercent(c.Shift/c.Base)
	}
	if c.Against != "" {
		text += ", against the " + string(c.Against)
	}
	return text + "."
}

func assertionText(a Assertion) string {
	text := fmt.Sprintf("%s, %s, round %d: %s does not hold", a.Meter, a.Subject, a.Round+1, a.Text)
	return text + because(a.Why) + "."
}

// healthText is "load are not believed, partial: 132 iterations were dropped".
func healthText(m Meter) string {
	health := string(m.Health)
	if health == "" {
		health = "its health is not known"
	}
	return fmt.Sprintf("%s are not believed: %s%s", m.Name, health, because(m.Why))
}

// because is ": why" without a full stop, or "".
func because(why string) string {
	if why = strings.TrimRight(why, ". "); why == "" {
		return ""
	}
	return ": " + why
}

// ofSubject is " of / mobile", or "" without a subject.
func ofSubject(k measure.Key) string {
	if k.Subject == "" {
		return " of " + k.Meter
	}
	return " of " + k.Subject
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
