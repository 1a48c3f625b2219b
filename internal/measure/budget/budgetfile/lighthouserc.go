package budgetfile

import (
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure/budget"
)

// lighthouserc reads a configuration file of lighthouse-ci.
func (p *parser) lighthouserc(root *node) {
	if !p.keysOf(root, "the file", "ci") {
		return
	}
	ci := root.get("ci")
	if ci == nil {
		p.refuse(root.line, "ci is missing: want ci with assert")
		return
	}
	if !p.supported(ci, "ci", []string{"assert", "collect"}, map[string]string{
		"upload":  "this gate uploads nothing to other servers: it keeps the reports with the job; remove it, or name a copy of the file without it",
		"server":  "this gate has no server; remove it, or name a copy of the file without it",
		"wizard":  "this gate has no server; remove it, or name a copy of the file without it",
		"extends": "write the other file's content into this one",
	}) {
		return
	}
	p.result.Whole = true
	if c := ci.get("collect"); c != nil {
		p.collect(c)
	}
	a := ci.get("assert")
	if a == nil {
		p.refuse(ci.line, "ci.assert is missing: want assertions, assertMatrix, preset or budgetsFile")
		return
	}
	p.assert(a)
}

// supported refuses keys that are not read, with what to do instead.
func (p *parser) supported(n *node, what string, known []string, others map[string]string) bool {
	if n.kind != object {
		p.refuse(n.line, "%s is %s: want keys and values: %s", what, n.kind, strings.Join(known, ", "))
		return false
	}
	for _, k := range n.keys {
		instead, ok := others[k.name]
		switch {
		case slices.Contains(known, k.name):
		case ok:
			p.refuse(k.line, "%s.%s is not supported: %s", what, k.name, instead)
		default:
			p.refuse(k.line, "%s has an unknown key %s: want one of %s", what, quoted(k.name), strings.Join(known, ", "))
		}
	}
	return true
}

const (
	ownServer  = "start the site in a step before, and give its URL"
	ownBrowser = "the input chrome names the browser"
	ownPages   = "name the pages in url, or by the input pages"
)

func (p *parser) collect(c *node) {
	if !p.supported(c, "ci.collect", []string{"url", "numberOfRuns", "settings"}, map[string]string{
		"startServerCommand": ownServer, "startServerReadyPattern": ownServer, "startServerReadyTimeout": ownServer, "staticDistDir": ownServer, "isSinglePageApplication": ownServer,
		"chromePath": ownBrowser, "puppeteerScript": "a page behind a login is not measured by Lighthouse here; the journeys can log in", "puppeteerLaunchOptions": ownBrowser, "headful": ownBrowser,
		"autodiscoverUrlBlocklist": ownPages, "maxAutodiscoverUrls": ownPages, "staticDirFileDiscoveryDepth": ownPages,
		"method": "Lighthouse runs here, never as a service of others; remove it", "psiApiKey": "Lighthouse runs here, never as a service of others; remove it", "psiStrategy": "Lighthouse runs here, never as a service of others; remove it",
		"additive": "each run begins with no report; remove it",
	}) {
		return
	}
	if v := c.get("url"); v != nil {
		urls := []*node{v}
		if v.kind == list {
			urls = v.items
		}
		for _, u := range urls {
			if parsed, err := url.Parse(u.text); u.kind != text || err != nil || u.text == "" || parsed.Host == "" && !strings.HasPrefix(u.text, "/") {
				p.refuse(u.line, "ci.collect.url is %s: want a URL or a path that begins with /, or a list of them", u.shown())
				continue
			}
			p.result.Collect.URLs = append(p.result.Collect.URLs, u.text)
		}
	}
	if v := c.get("numberOfRuns"); v != nil {
		const most = 100
		if n, ok := p.numberOf(v, "ci.collect.numberOfRuns", most); ok && n >= 1 && n == math.Trunc(n) {
			p.result.Collect.Runs = int(n)
		} else if ok {
			p.refuse(v.line, "ci.collect.numberOfRuns is %s: want a whole number from 1 to %d", v.text, most)
		}
	}
	if v := c.get("settings"); v != nil && p.supported(v, "ci.collect.settings", []string{"preset"}, nil) {
		p.result.Collect.Preset = chosen(&p.problems, v, "preset", "", "desktop")
	}
}

// baseKeys are the keys of what holds for the pages that match a pattern.
var baseKeys = []string{"preset", "assertions", "aggregationMethod", "matchingUrlPattern"}

func (p *parser) assert(a *node) {
	if !p.supported(a, "ci.assert", append([]string{"assertMatrix", "budgetsFile", "includePassedAssertions"}, baseKeys...), map[string]string{
		"lhr": "the reports are those of this run; remove it",
	}) {
		return
	}
	if v := a.get("includePassedAssertions"); v != nil && v.kind != truth { // what holds is always reported
		p.refuse(v.line, "ci.assert.includePassedAssertions is %s: want true or false", v.shown())
	}
	matrix, file := a.get("assertMatrix"), a.get("budgetsFile")
	for _, alone := range []struct {
		name  string
		value *node
	}{{"assertMatrix", matrix}, {"budgetsFile", file}} {
		for _, k := range a.keys {
			if alone.value != nil && k.name != alone.name && k.name != "includePassedAssertions" && (slices.Contains(baseKeys, k.name) || k.name == "budgetsFile") {
				p.refuse(k.line, "ci.assert has %s beside %s: want one of them, as lighthouse-ci does", k.name, alone.name)
			}
		}
	}
	switch {
	case matrix != nil:
		for _, entry := range p.itemsOf(matrix, "ci.assert.assertMatrix") {
			if p.keysOf(entry, "an entry of assertMatrix", baseKeys...) {
				p.base(entry, "an entry of assertMatrix")
			}
		}
		if len(matrix.items) == 0 && matrix.kind == list {
			p.refuse(matrix.line, "ci.assert.assertMatrix is empty: want a list of assertions")
		}
	case file != nil:
		p.budgetsFile(file)
	default:
		p.base(a, "ci.assert")
	}
}

// budgetsFile reads the budget.json that a lighthouserc names. lighthouse-ci holds its
// limits against the best run.
func (p *parser) budgetsFile(v *node) {
	switch {
	case v.kind != text || strings.TrimSpace(v.text) == "":
		p.refuse(v.line, "ci.assert.budgetsFile is %s: want the path of a budget.json", v.shown())
		return
	case p.options.Read == nil:
		p.refuse(v.line, "ci.assert.budgetsFile cannot be read from here: name the file itself")
		return
	}
	raw, err := p.options.Read(v.text)
	if err != nil {
		p.refuse(v.line, "reading ci.assert.budgetsFile: %v", err)
		return
	}
	other := &parser{problems: problems{file: v.text}, options: Options{Meters: p.options.Meters}}
	if len(raw) > maxFile {
		other.refuse(1, "the file has %d bytes: want at most %d", len(raw), maxFile)
	} else if root := other.tree(raw, true); root != nil {
		other.budgets(root, budget.Optimistic)
	}
	p.wrong = append(p.wrong, other.wrong...)
	p.result.Budgets = append(p.result.Budgets, other.result.Budgets...)
}

// base reads the assertions for the pages that match a pattern.
func (p *parser) base(n *node, what string) {
	pattern := p.textOf(n, "matchingUrlPattern")
	if _, err := regexp.Compile(pattern); err != nil {
		p.refuse(n.get("matchingUrlPattern").line, "matchingUrlPattern is %s: want a regular expression without look-around and back-references: %v", quoted(pattern), err)
	}
	name := chosen(&p.problems, n, "preset", "", presetNames...)
	aggregation := chosen(&p.problems, n, "aggregationMethod", budget.Optimistic, budget.Aggregations()...) // lighthouse-ci's default
	all := preset(name)
	for key, own := range p.assertions(n.get("assertions")) {
		all[key] = own.over(all[key])
	}
	if len(all) == 0 && len(p.wrong) == 0 {
		p.refuse(n.line, "%s asserts nothing: want assertions or a preset", what)
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		a := all[key]
		b := budget.Budget{Meter: budget.Lighthouse, URL: pattern, Aggregation: aggregation, Severity: budget.Severity(a.level), From: name, Implied: a.line == 0}
		if a.aggregation != "" {
			b.Aggregation = budget.Aggregation(a.aggregation)
		}
		if a.line > 0 {
			b.From = p.at(a.line)
		}
		p.result.Budgets = append(p.result.Budgets, a.budgets(key, b)...)
	}
}
