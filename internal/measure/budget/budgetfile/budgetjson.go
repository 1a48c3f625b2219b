package budgetfile

import (
	"math"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
)

// resourceTypes are those of Lighthouse's audit resource-summary.
var resourceTypes = []string{"total", "document", "script", "stylesheet", "image", "media", "font", "other", "third-party"}

// timings are the metrics that a budget.json can limit, and other names that people
// have for them. Lighthouse itself reads only the former.
var timings = []struct{ metric, alias string }{
	{"first-contentful-paint", "fcp"},
	{"largest-contentful-paint", "lcp"},
	{"cumulative-layout-shift", "cls"},
	{"total-blocking-time", "tbt"},
	{"speed-index", "si"},
	{"interactive", "tti"},
	{"max-potential-fid", "fid"},
	{"first-meaningful-paint", "fmp"},
}

// budgets reads a budget.json. Where several entries limit the same metric of a page,
// all of them hold, as in lighthouse-ci.
func (p *parser) budgets(root *node, aggregation budget.Aggregation) {
	if root.kind != list {
		p.refuse(root.line, "the file is %s: want a list of budgets", root.kind)
		return
	}
	before := len(p.result.Budgets)
	for _, entry := range root.items {
		if !p.keysOf(entry, "a budget", "path", "resourceSizes", "resourceCounts", "timings", "options") {
			continue
		}
		if o := entry.get("options"); o != nil {
			p.refuse(o.line, "options is not supported: which hosts are one's own only a Lighthouse before 12 can be told; remove it")
		}
		base := budget.Budget{Meter: budget.Lighthouse, Operator: budget.AtMost, Aggregation: aggregation, Severity: budget.Error, Subject: p.path(entry)}
		p.resources(entry, base, "resourceSizes", "size", measure.Bytes, 1024) // they are in KiB
		p.resources(entry, base, "resourceCounts", "count", measure.Count, 1)
		p.timings(entry, base)
	}
	if len(p.result.Budgets) == before && len(p.wrong) == 0 {
		p.refuse(root.line, "the file has no limit: want resourceSizes, resourceCounts or timings")
	}
}

// path returns the pattern of subjects that the path of a budget stands for: in the
// format of robots.txt, a beginning, or the whole path before a $.
func (p *parser) path(entry *node) string {
	v := entry.get("path")
	if v == nil {
		return ""
	}
	want := ""
	switch path := v.text; {
	case v.kind != text || !strings.HasPrefix(path, "/"):
		want = "a path that begins with /"
	case strings.ContainsAny(path, " \t\r\n"):
		want = "a path without spaces, as it is in a URL"
	case strings.Count(path, "*") > 1:
		want = "at most one *"
	case strings.Contains(strings.TrimSuffix(path, "$"), "$"):
		want = "$ only at the end"
	case strings.HasSuffix(path, "$"):
		return strings.TrimSuffix(path, "$") + " *"
	default:
		return path + "*"
	}
	p.refuse(v.line, "path is %s: want %s", v.shown(), want)
	return ""
}

// resources reads the limits of resources of each type.
func (p *parser) resources(entry *node, base budget.Budget, list, what string, unit measure.Unit, factor float64) {
	seen := map[string]bool{}
	for _, item := range p.itemsOf(entry.get(list), list) {
		kind, v := p.row(item, "an entry of "+list, "resourceType", resourceTypes)
		if v == nil {
			continue
		}
		if seen[kind] {
			p.refuse(item.line, "%s limits %s twice", list, kind)
		}
		seen[kind] = true
		if limit, ok := p.numberOf(v, "budget", math.MaxFloat64/factor); ok {
			b := base
			b.Metric, b.Limit, b.Unit, b.From = "resource-summary:"+kind+":"+what, limit*factor, unit, p.at(item.line)
			p.result.Budgets = append(p.result.Budgets, b)
		}
	}
}

func (p *parser) timings(entry *node, base budget.Budget) {
	var names []string
	for _, t := range timings {
		names = append(names, t.metric, t.alias)
	}
	seen := map[string]bool{}
	for _, item := range p.itemsOf(entry.get("timings"), "timings") {
		name, v := p.row(item, "an entry of timings", "metric", names)
		if v == nil {
			continue
		}
		metric := timings[slices.Index(names, name)/2].metric
		if seen[metric] {
			p.refuse(item.line, "timings limits %s twice", metric)
		}
		seen[metric] = true
		if limit, ok := p.numberOf(v, "budget", math.MaxFloat64); ok {
			b := base
			b.Metric, b.Limit, b.From = metric, limit, p.at(item.line)
			if b.Unit = measure.Milliseconds; metric == "cumulative-layout-shift" {
				b.Unit = measure.Shift
			}
			p.result.Budgets = append(p.result.Budgets, b)
		}
	}
}

// row returns the name and the budget of an entry; nil if it is wrong.
func (p *parser) row(item *node, what, nameKey string, allowed []string) (string, *node) {
	if !p.keysOf(item, what, nameKey, "budget") {
		return "", nil
	}
	name := chosen(&p.problems, item, nameKey, "", allowed...)
	v := item.get("budget")
	switch {
	case !item.has(nameKey):
		p.refuse(item.line, "%s has no %s: want one of %s", what, nameKey, strings.Join(allowed, ", "))
	case v == nil:
		p.refuse(item.line, "%s has no budget: want a number", what)
	}
	if name == "" {
		return "", nil
	}
	return name, v
}
