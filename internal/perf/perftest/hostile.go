package perftest

import (
	"fmt"
	"slices"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/redact"
)

// Hostile puts a text into every string of a refused result with a history.
func Hostile(text string) verdict.Result {
	r := Pass()
	Worse(&r, P95.Name, 0.3)
	r.Meters[2].Health, r.Meters[2].Why, r.Meters[2].Hint = verdict.Missing, "x", "x"
	r.Budgets[0].Missing = "x"
	r.Comparisons[1].Change = compare.NotEnoughData
	r.Assertions = append(r.Assertions, verdict.Assertion{Meter: "x", Subject: "x", Text: "x", Why: "x"})
	r.Reasons = append(r.Reasons, verdict.Reason{Text: "x", Keys: []measure.Key{r.Series[0].Key}})
	ours := []string{
		"", string(verdict.Pass), string(verdict.Refused), string(verdict.Inconclusive), string(measure.Lower), string(measure.Higher), string(measure.Milliseconds), string(measure.Share),
		string(budget.Error), string(budget.Warn), string(budget.Less), string(compare.Worse), string(compare.Same), string(compare.NotEnoughData), string(verdict.Healthy), string(verdict.Missing), string(verdict.Partial),
		string(verdict.NotApplicable), string(verdict.LeftOut), string(measure.Head), string(measure.Base), string(compare.AgainstBase),
	}
	return redact.Deep(r, func(s string) string {
		if slices.Contains(ours, s) { // code depends on it
			return s
		}
		return text
	})
}

// Flood is a refused result with n series that are all worse and over a limit.
func Flood(n int) verdict.Result {
	r := Pass()
	r.Verdict, r.Series, r.Budgets, r.Comparisons, r.Reasons = verdict.Refused, nil, nil, nil, nil
	for i := range n {
		s := series("lighthouse", fmt.Sprintf("/page/%d mobile", i), LCP, Points(2900, 2950, 2901, 2990, 2933), Points(2100, 2110, 2132, 2140, 2101))
		r.Series = append(r.Series, s)
		r.Budgets = append(r.Budgets, check(s, budget.Less, 2500, budget.Error, fmt.Sprintf("budget.json:%d", i+1)))
		r.Comparisons = append(r.Comparisons, compare.Comparison{Key: s.Key, Metric: s.Metric, Change: compare.Worse, Base: 2110, Head: 2933, BaseN: 5, HeadN: 5, Shift: 810, Low: 760, High: 860, Bounded: true})
		r.Reasons = append(r.Reasons, verdict.Reason{Text: fmt.Sprintf("Largest Contentful Paint of /page/%d mobile is worse.", i), Keys: []measure.Key{s.Key}})
	}
	r.History = History(r.Series[:min(n, 400)], 50)
	return r
}
