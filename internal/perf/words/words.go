// Package words says in plain text what a performance run says: all views use these
// sentences, and escape them for their medium.
//
// Every sentence is a claim: "no change seen" stands beside the change that would have
// been seen, and what was not measured is said to be so, never 0.
package words

import (
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// Lengths of texts, in characters.
const (
	SubjectLength = 120
	WhyLength     = 500
)

// Verdict is what a result may say. A pass that the rest of the result contradicts, or
// in which nothing was measured, is inconclusive.
func Verdict(r verdict.Result) verdict.Verdict {
	switch {
	case r.Verdict == verdict.Refused:
		return verdict.Refused
	case r.Verdict == verdict.Pass && Measured(r) && len(Unmet(r)) == 0 && len(NotMeasured(r)) == 0 && len(Doubted(r)) == 0:
		return verdict.Pass
	}
	return verdict.Inconclusive
}

// Measured reports whether there is one value of head at least.
func Measured(r verdict.Result) bool {
	return slices.ContainsFunc(r.Series, func(s measure.Series) bool { return len(s.Head) > 0 })
}

// Headline says the verdict in one line.
func Headline(r verdict.Result) string {
	switch Verdict(r) {
	case verdict.Pass:
		return "The performance gate passed."
	case verdict.Refused:
		return "The performance gate refused: " + plain.Or(strings.Join(refusals(r), ", ")) + "."
	case verdict.Inconclusive:
	}
	return "The performance gate is inconclusive: " + doubt(r) + " This is not a pass."
}

// refusals are what was seen that refuses, in a few words for each.
func refusals(r verdict.Result) []string {
	var all []string
	if n := len(Unmet(r)); n > 0 {
		all = append(all, plain.Count(n, "limit")+" not kept")
	}
	if n := len(Worse(r)); n > 0 {
		all = append(all, plain.Count(n, "measurement")+" worse than before")
	}
	if n := len(Broken(r)); n > 0 {
		all = append(all, plain.Count(n, "check")+" of the tools failed")
	}
	return all
}

func doubt(r verdict.Result) string {
	switch {
	case !Measured(r):
		return "nothing was measured."
	case len(Doubted(r)) > 0:
		return "not all measurements can be believed."
	case len(NotMeasured(r)) > 0:
		return "not all that has a limit was measured."
	}
	return "the measurements do not answer what was asked."
}

// Status is the seed's word for the verdict.
func Status(r verdict.Result) string {
	switch Verdict(r) {
	case verdict.Pass:
		return "healthy"
	case verdict.Refused:
		return "degraded"
	case verdict.Inconclusive:
	}
	return "unknown"
}

// Emoji is the seed's sign for the verdict.
func Emoji(r verdict.Result) string {
	return map[string]string{"healthy": "✅", "degraded": "⚠️", "unknown": "❓"}[Status(r)]
}

// Colour is the seed's colour of a message.
func Colour(r verdict.Result) string {
	return map[string]string{"healthy": "good", "degraded": "warning", "unknown": "danger"}[Status(r)]
}

// Unmet are the budgets that refuse, in their order.
func Unmet(r verdict.Result) []budget.Checked {
	return some(r.Budgets, func(c budget.Checked) bool { return Refuses(c) && c.State() == budget.Failed })
}

// NotMeasured are the budgets that could refuse and have no value, but those of optional
// meters.
func NotMeasured(r verdict.Result) []budget.Checked {
	return some(r.Budgets, func(c budget.Checked) bool {
		return Refuses(c) && c.State() == budget.NoValue && !slices.Contains(r.Policy.Optional, c.Meter)
	})
}

// Warned are the budgets that only warn and are not kept.
func Warned(r verdict.Result) []budget.Checked {
	return some(r.Budgets, func(c budget.Checked) bool { return !Refuses(c) && c.State() == budget.Failed })
}

// Refuses reports whether a budget changes the verdict.
func Refuses(c budget.Checked) bool { return c.Severity != budget.Warn && c.Severity != budget.Off }

// Worse are the comparisons that refuse.
func Worse(r verdict.Result) []compare.Comparison {
	return some(r.Comparisons, func(c compare.Comparison) bool { return c.Change == compare.Worse })
}

// Broken are the assertions of tools that do not hold.
func Broken(r verdict.Result) []verdict.Assertion {
	return some(r.Assertions, func(a verdict.Assertion) bool { return !a.Holds })
}

// Well reports whether a meter did what it had to do.
func Well(m verdict.Meter) bool {
	return m.Health == verdict.Healthy || m.Health == verdict.NotApplicable || m.Health == verdict.LeftOut
}

// Unhealthy are the meters that did not.
func Unhealthy(r verdict.Result) []verdict.Meter {
	return some(r.Meters, func(m verdict.Meter) bool { return !Well(m) })
}

// Doubted are the unhealthy meters without which a run can't pass.
func Doubted(r verdict.Result) []verdict.Meter {
	return some(Unhealthy(r), func(m verdict.Meter) bool { return !slices.Contains(r.Policy.Optional, m.Name) })
}

func some[T any](all []T, holds func(T) bool) []T {
	var kept []T
	for _, one := range all {
		if holds(one) {
			kept = append(kept, one)
		}
	}
	return kept
}

// Load is the meter whose subjects are load scenarios.
const Load = "load"

// Scenarios says how many load scenarios failed.
func Scenarios(r verdict.Result) string {
	failing, total := Failing(r)
	text := fmt.Sprintf("%d/%d failing", failing, total)
	if total > 0 && slices.ContainsFunc(Unhealthy(r), func(m verdict.Meter) bool { return m.Name == Load }) {
		text += ", which can't be believed"
	}
	return text
}

// Failing counts the load scenarios that have values, and those of them that failed a
// limit, became worse or broke a check of their script.
func Failing(r verdict.Result) (failing, total int) {
	bad, all := map[string]bool{}, map[string]bool{}
	for _, s := range r.Series {
		if s.Key.Meter == Load && len(s.Head) > 0 {
			all[s.Key.Subject] = true
		}
	}
	for _, c := range append(Unmet(r), NotMeasured(r)...) {
		bad[c.Key.Subject] = bad[c.Key.Subject] || c.Meter == Load
	}
	for _, c := range Worse(r) {
		bad[c.Key.Subject] = bad[c.Key.Subject] || c.Key.Meter == Load
	}
	for _, a := range Broken(r) {
		bad[a.Subject] = bad[a.Subject] || a.Meter == Load
	}
	for subject := range all {
		if bad[subject] {
			failing++
		}
	}
	return failing, len(all)
}
