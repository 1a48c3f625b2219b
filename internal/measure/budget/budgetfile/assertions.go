package budgetfile

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
)

// assertions reads assertions by their keys, in which lighthouse-ci takes a point for
// a colon.
func (p *parser) assertions(n *node) map[string]assertion {
	all := map[string]assertion{}
	if n == nil {
		return all
	}
	if n.kind != object {
		p.refuse(n.line, "assertions is %s: want audits and what to assert of them", n.kind)
		return all
	}
	for _, k := range n.keys {
		name := strings.ReplaceAll(k.name, ".", ":")
		if _, twice := all[name]; twice {
			p.refuse(k.line, "%s is asserted twice", quoted(k.name))
		}
		a, ok := p.assertion(k)
		if !ok || !p.known(k, name, a) {
			continue
		}
		a.line = k.line
		all[name] = a
	}
	return all
}

// levels of an assertion.
var levels = []string{"off", "warn", "error"}

// assertion reads "error" or ["error", {"minScore": 0.9}].
func (p *parser) assertion(k key) (a assertion, ok bool) {
	v, problems := k.value, len(p.wrong)
	level := v
	if v.kind == list && len(v.items) > 0 {
		level = v.items[0]
	}
	if level.kind != text || !slices.Contains(levels, level.text) || v.kind == list && len(v.items) > 2 {
		p.refuse(v.line, `%s is %s: want off, warn or error, or a list of one of these and of options, such as ["error", {"minScore": 0.9}]`, quoted(k.name), v.shown())
		return a, false
	}
	a.level = level.text
	if v.kind == list && len(v.items) == 2 {
		p.assertionOptions(v.items[1], &a)
	}
	return a, len(p.wrong) == problems
}

func (p *parser) assertionOptions(n *node, a *assertion) {
	if !p.supported(n, "the options of an assertion", []string{"minScore", "maxLength", "maxNumericValue", "aggregationMethod"}, map[string]string{
		"auditRan": "lighthouse-ci does not read it, and asserts that the score is 0.9; an audit that did not run always makes this gate inconclusive, so remove it",
	}) {
		return
	}
	for _, o := range []struct {
		name string
		most float64
		to   **float64
	}{{"minScore", 1, &a.minScore}, {"maxLength", math.MaxFloat64, &a.maxLength}, {"maxNumericValue", math.MaxFloat64, &a.maxNumericValue}} {
		if v := n.get(o.name); v != nil {
			if limit, ok := p.numberOf(v, o.name, o.most); ok {
				*o.to = &limit
			}
		}
	}
	a.aggregation = string(chosen(&p.problems, n, "aggregationMethod", "", budget.Aggregations()...))
}

// over returns an assertion with what it leaves open as in another one.
func (a assertion) over(other assertion) assertion {
	a.minScore = cmp.Or(a.minScore, other.minScore)
	a.maxLength = cmp.Or(a.maxLength, other.maxLength)
	a.maxNumericValue = cmp.Or(a.maxNumericValue, other.maxNumericValue)
	a.aggregation = cmp.Or(a.aggregation, other.aggregation)
	return a
}

var capital = regexp.MustCompile(`[A-Z]`)

// known refuses a key that names nothing that can be asserted here.
func (p *parser) known(k key, name string, a assertion) bool {
	problems := len(p.wrong)
	refuse := func(format string, args ...any) {
		p.refuse(k.line, "%s: "+format, append([]any{quoted(k.name)}, args...)...)
	}
	parts := strings.Split(name, ":")
	onlyScore := a.maxLength == nil && a.maxNumericValue == nil
	onlyNumber := a.minScore == nil && a.maxLength == nil && a.maxNumericValue != nil
	switch audit := parts[0]; {
	case capital.MatchString(name):
		refuse("lighthouse-ci leaves it out without a word: write it in lower case, with hyphens between words")
	case a.level == "off":
	case audit == "categories":
		switch {
		case len(parts) != 2 || !slices.Contains(budget.Categories(), parts[1]):
			refuse("want categories: and one of %s", strings.Join(budget.Categories(), ", "))
		case !onlyScore:
			refuse("a category has only a score: want minScore")
		}
	case audit == "resource-summary" && len(parts) > 1:
		switch {
		case len(parts) != 3 || !slices.Contains(resourceTypes, parts[1]) || parts[2] != "size" && parts[2] != "count":
			refuse("want resource-summary:, one of %s, and :size or :count", strings.Join(resourceTypes, ", "))
		case !onlyNumber:
			refuse("want maxNumericValue, and nothing else: it has no score of its own")
		}
	case audit == "performance-budget" || audit == "timing-budget":
		refuse("budgets are not given to Lighthouse here, and from 12 on it reads none: want budgetsFile")
	case audit == "user-timings" && len(parts) > 1:
		refuse("the marks of a page are not measured here")
	case len(parts) > 1:
		refuse("only categories and resource-summary have parts")
	case !budget.Known(audit) && presets()[audit] == nil:
		refuse("no Lighthouse from 10 to 13 has this audit")
	}
	return len(p.wrong) == problems
}

// budgets returns the limits that an assertion is: without any limit, that the score
// is 0.9.
func (a assertion) budgets(name string, base budget.Budget) []budget.Budget {
	var all []budget.Budget
	add := func(metric string, o budget.Operator, limit float64, unit measure.Unit) {
		b := base
		b.Metric, b.Operator, b.Limit, b.Unit = metric, o, limit, unit
		all = append(all, b)
	}
	if a.maxLength != nil {
		add(name+budget.Length, budget.AtMost, *a.maxLength, measure.Count)
	}
	if a.maxNumericValue != nil {
		add(name, budget.AtMost, *a.maxNumericValue, "")
	}
	score := a.minScore
	if passing := 0.9; score == nil && len(all) == 0 {
		score = &passing
	}
	if score == nil {
		return all
	}
	if category, ok := strings.CutPrefix(name, "categories:"); ok {
		add(category, budget.AtLeast, *score, measure.Score)
	} else {
		add(name+budget.Score, budget.AtLeast, *score, measure.Score)
	}
	return all
}
