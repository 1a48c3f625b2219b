package budgetfile

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
)

// own reads the gate's own file.
func (p *parser) own(root *node) {
	if !p.keysOf(root, "the file", "version", "budgets") {
		return
	}
	switch v := root.get("version"); {
	case v == nil:
		p.refuse(root.line, "version is missing: want version: 1")
	case v.text != "1":
		p.refuse(v.line, "version is %s: want 1", v.shown())
	}
	if !root.has("budgets") {
		p.refuse(root.line, "budgets is missing: want a list of limits")
	}
	items := p.itemsOf(root.get("budgets"), "budgets")
	if b := root.get("budgets"); b != nil && b.kind == list && len(items) == 0 {
		p.refuse(b.line, "budgets is empty: want a list of limits")
	}
	for _, item := range items {
		p.limit(item)
	}
}

// limit reads one limit.
func (p *parser) limit(n *node) {
	if !p.keysOf(n, "a limit", "meter", "subject", "metric", "limit", "aggregation", "severity") {
		return
	}
	b := budget.Budget{
		Meter: p.textOf(n, "meter"), Subject: p.textOf(n, "subject"), Metric: p.textOf(n, "metric"),
		Aggregation: chosen(&p.problems, n, "aggregation", budget.Median, budget.Aggregations()...),
		Severity:    chosen(&p.problems, n, "severity", budget.Error, budget.Error, budget.Warn, budget.Off),
		From:        p.at(n.line),
	}
	for _, name := range []string{"meter", "metric"} {
		if !n.has(name) {
			p.refuse(n.line, "%s is missing", name)
		}
	}
	if known := p.options.Meters; b.Meter != "" && len(known) > 0 && !slices.Contains(known, b.Meter) {
		p.refuse(n.get("meter").line, "meter is %s: want one of %s", quoted(b.Meter), strings.Join(known, ", "))
	}
	v := n.get("limit")
	switch {
	case v != nil:
		p.amount(v, &b)
	case b.Severity != budget.Off:
		p.refuse(n.line, `limit is missing: want one such as "< 2500 ms"`)
	}
	for _, other := range p.result.Budgets {
		if other.Meter == b.Meter && other.Subject == b.Subject && other.Metric == b.Metric && above(other.Operator) == above(b.Operator) && other.Aggregation == b.Aggregation && other.Severity == b.Severity {
			p.refuse(n.line, "%s has this limit already", other.From)
		}
	}
	p.result.Budgets = append(p.result.Budgets, b)
}

// above reports whether a limit is one from below.
func above(o budget.Operator) bool { return o == budget.More || o == budget.AtLeast }

var limitForm = regexp.MustCompile(`^\s*(<=|>=|<|>)\s*([0-9]+(?:\.[0-9]+)?)\s*(\S.*?)?\s*$`)

// units are those in which limits can be written, and what one of them is in a
// metric's unit. A limit in another unit is for metrics of exactly that unit.
var units = map[string]struct {
	unit   measure.Unit
	factor float64
}{
	"ms": {measure.Milliseconds, 1}, "s": {measure.Milliseconds, 1000},
	"B": {measure.Bytes, 1}, "kB": {measure.Bytes, 1000}, "MB": {measure.Bytes, 1e6},
	"KiB": {measure.Bytes, 1024}, "MiB": {measure.Bytes, 1 << 20},
	"%": {measure.Share, 0.01}, "/s": {measure.PerSecond, 1},
}

// amount reads "< 2500 ms".
func (p *parser) amount(v *node, b *budget.Budget) {
	m := limitForm.FindStringSubmatch(v.text)
	if v.kind != text || m == nil {
		p.refuse(v.line, `limit is %s: want <, <=, > or >=, a number of 0 or more and a unit, such as "< 2500 ms"; units are ms, s, B, kB, KiB, MB, MiB, %%, /s and those of the metric`, v.shown())
		return
	}
	limit, err := strconv.ParseFloat(m[2], 64)
	if err != nil || math.IsInf(limit, 0) {
		p.refuse(v.line, "limit is %s: the number is too large", v.shown())
		return
	}
	b.Operator, b.Limit, b.Unit = budget.Operator(m[1]), limit, measure.Unit(m[3])
	if u, ok := units[m[3]]; ok {
		b.Limit, b.Unit = limit*u.factor, u.unit
	}
}
