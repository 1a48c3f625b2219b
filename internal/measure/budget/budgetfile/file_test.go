package budgetfile

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/measure/budget"
)

// lines has a line per budget.
func lines(budgets []budget.Budget) (all []string) {
	for _, b := range budgets {
		line := fmt.Sprintf("%s %s [%s%s] %s %s", b.Meter, b, b.Subject, b.URL, b.Aggregation, b.Severity)
		all = append(all, line+" "+b.From)
	}
	return all
}

func parse(t *testing.T, name string) File {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(name, raw, Options{Meters: []string{"lighthouse", "load", "bundle", "gobench", "samples"}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestBudgetJSON(t *testing.T) {
	t.Parallel()
	want := []string{
		"lighthouse resource-summary:script:size <= 128000 B [/**] median error budget.json:8",
		"lighthouse resource-summary:third-party:count <= 10 [/**] median error budget.json:9",
		"lighthouse largest-contentful-paint <= 2500 ms [/**] median error budget.json:5",
		"lighthouse cumulative-layout-shift <= 0.1 [/**] median error budget.json:6",
		"lighthouse resource-summary:total:size <= 512 B [/shop/*.html *] median error budget.json:13",
	}
	if diff := cmp.Diff(want, lines(parse(t, "budget.json").Budgets)); diff != "" {
		t.Error(diff)
	}
}

func TestOwnFile(t *testing.T) {
	t.Parallel()
	want := []string{
		"lighthouse largest-contentful-paint < 3000 ms [/checkout mobile] median error performance-budgets.yaml:3",
		"load http_req_failed <= 0.5 % [] pessimistic warn performance-budgets.yaml:7",
		"bundle brotli < 174080 B [] median error performance-budgets.yaml:12",
		"gobench allocs/op <= 12 [*BenchmarkParse] median error performance-budgets.yaml:15",
		"samples queue >= 3 widgets [] median error performance-budgets.yaml:19",
		"lighthouse seo  0 [] median off performance-budgets.yaml:22",
	}
	if diff := cmp.Diff(want, lines(parse(t, "performance-budgets.yaml").Budgets)); diff != "" {
		t.Error(diff)
	}
}

func TestLighthouserc(t *testing.T) {
	t.Parallel()
	f := parse(t, "lighthouserc.yml")
	if want := (Collect{URLs: []string{"http://localhost:3000/", "/shop"}, Runs: 5, Preset: "desktop"}); !cmp.Equal(f.Collect, want) || !f.Whole {
		t.Errorf("%+v", f.Collect)
	}
	want := []string{
		"lighthouse accessibility >= 0.9 [.*/shop] pessimistic warn lighthouserc.yml:13",
		"lighthouse performance >= 0.85 [.*/shop] pessimistic error lighthouserc.yml:12",
		"lighthouse is-on-https.score >= 0.9 [.*/shop] pessimistic off lighthouserc.yml:16",
		"lighthouse resource-summary:script:size <= 128000 [.*/shop] pessimistic error lighthouserc.yml:14",
		"lighthouse unused-javascript.length <= 0 [.*/shop] pessimistic warn lighthouserc.yml:15",
		"lighthouse unused-javascript <= 300 [.*/shop] pessimistic warn lighthouserc.yml:15",
		"lighthouse unused-javascript.score >= 0.5 [.*/shop] pessimistic warn lighthouserc.yml:15",
	}
	got := lines(f.Budgets)
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
		t.Error(diff)
	}
	rest := strings.Join(got[len(want):], "\n")
	for _, one := range []string{
		"lighthouse dom-size.score >= 0.2 [] median-run error lighthouserc.yml:19",
		"lighthouse offscreen-images.length <= 0 [] optimistic error lighthouse:no-pwa",
		"lighthouse is-on-https.score >= 0.9 [] optimistic off lighthouse:no-pwa",
		"lighthouse speed-index.score >= 0.9 [] optimistic warn lighthouse:no-pwa",
	} {
		if !strings.Contains(rest, one) {
			t.Errorf("not there: %s", one)
		}
	}
	for _, b := range f.Budgets[len(want):] {
		if b.Implied != (b.From == "lighthouse:no-pwa") {
			t.Errorf("%s: implied is %v", b, b.Implied)
		}
	}
}

func TestBudgetsFileOfLighthouserc(t *testing.T) {
	t.Parallel()
	read := func(name string) ([]byte, error) {
		if name != "b.json" {
			return nil, os.ErrNotExist
		}
		return []byte(`[{"timings": [{"metric": "interactive", "budget": 3000}]}]`), nil
	}
	f, err := Parse("lighthouserc.json", []byte(`{"ci": {"assert": {"budgetsFile": "b.json"}}}`), Options{Read: read})
	if diff := cmp.Diff([]string{"lighthouse interactive <= 3000 ms [] optimistic error b.json:1"}, lines(f.Budgets)); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, name := range []string{"other.json", ""} {
		if _, err := Parse("lighthouserc.json", fmt.Appendf(nil, `{"ci": {"assert": {"budgetsFile": %q}}}`, name), Options{Read: read}); err == nil {
			t.Errorf("%q is read", name)
		}
	}
	if _, err := Parse("lighthouserc.json", []byte(`{"ci": {"assert": {"budgetsFile": "b.json"}}}`), Options{}); err == nil {
		t.Error("it is read by nobody")
	}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	defaults := []budget.Budget{{Meter: "lighthouse", Metric: "a"}, {Meter: "load", Metric: "b"}}
	mine := File{Budgets: []budget.Budget{{Meter: "lighthouse", Metric: "c"}}}
	names := func(all []budget.Budget) (names string) {
		for _, b := range all {
			names += b.Metric
		}
		return names
	}
	if got := names(Join(defaults, mine)); got != "abc" {
		t.Error(got)
	}
	mine.Whole = true
	if got := names(Join(defaults, mine)) + names(defaults); got != "bcab" {
		t.Error(got)
	}
}

// Every wrong file is refused, with each problem, its line and what is allowed.
func TestWrongFiles(t *testing.T) {
	t.Parallel()
	const rc, yml, js = "lighthouserc.json", "performance-budgets.yaml", "budget.json"
	assert := func(text string) string { return `{"ci": {"assert": {"assertions": ` + text + `}}}` }
	for _, c := range []struct {
		file, text string
		want       []string
	}{
		{js, ``, []string{`budget.json:1: no JSON: it ends too early`}},
		{js, `{}`, []string{`budget.json:1: want a list of budgets`}},
		{js, `[]`, []string{`budget.json:1: the file has no limit`}},
		{js, "[\n{\"path\": \"/\",}]", []string{`budget.json:2: no JSON: invalid character '}'`}},
		{js, "[{}] 1", []string{`budget.json:1: there is more behind the first value`}},
		{js, "[{\"path\": \"/\",\n\"path\": \"/\"}]", []string{`budget.json:2: "path" is set twice`}},
		{js, "[\n{\"path\": \"shop\", \"size\": 1,\n\"options\": {}, \"timings\": {}}, 3]", []string{
			`budget.json:2: a budget has an unknown key "size": want one of path, resourceSizes`, `budget.json:3: options is not supported`,
			`budget.json:2: path is "shop": want a path that begins with /`, `budget.json:3: timings is keys and values: want a list`, `budget.json:3: a budget is a number: want keys and values`,
		}},
		{js, `[{"path": "/**"}, {"path": "/a$b"}, {"path": 3}, {"path": "/a b"}]`, []string{"at most one *", "$ only at the end", "path is 3", "without spaces"}},
		{js, `[{"timings": [{"metric": "speed", "budget": 1}, {"budget": 1}, {"metric": "tti"}, {"metric": "fcp", "budget": -1}, {"metric": "fcp", "budget": "1"}]}]`, []string{
			`metric is "speed": want one of first-contentful-paint, fcp`, "has no metric", "has no budget", "budget is -1: want a number of 0 or more", `budget is "1"`, "twice",
		}},
		{js, `[{"resourceSizes": [{"resourceType": "script", "budget": 1}, {"resourceType": "script", "budget": 1}, {"resourceType": "total", "budget": 1e999}, {"resourceType": "total", "budget": 1.7e308}]}]`, []string{
			`"1e999" is no number that can be a limit`,
		}},
		{js, `[{"resourceSizes": [{"resourceType": "script", "budget": 1}, {"resourceType": "script", "budget": 1}, {"resourceType": "total", "budget": 1.7e308}]}]`, []string{
			`resourceSizes limits script twice`, "budget is 1.7e308",
		}},
		{js, strings.Repeat("[", 60), []string{"nested too deep"}},
		{js, strings.Repeat(" ", 1<<20+1), []string{"want at most 1048576"}},
		{js, `{"ci": {}}`, []string{"this is a lighthouserc"}},
		{"budgets.toml", ``, []string{`the file's name ends in ".toml": want .json, .yml or .yaml`}},
		{"lighthouserc.js", `module.exports = {}`, []string{`lighthouserc.js:1: a program is not run to read limits: write them to lighthouserc.json, for instance with: node -p`}},
		{"lighthouserc.cjs", ``, []string{`a program is not run`}},

		{yml, ``, []string{"performance-budgets.yaml:1: the file is empty"}},
		{yml, "a: [", []string{"performance-budgets.yaml: yaml: line 1"}},
		{yml, "version: 1\nbudgets: []", []string{":2: budgets is empty"}},
		{yml, "version: 2\nmore: 1", []string{":1: version is 2: want 1", `:2: the file has an unknown key "more"`, "budgets is missing"}},
		{yml, "budgets:\n- 3\n- {}\n", []string{":1: version is missing", ":2: a limit is a number", ":3: meter is missing", ":3: metric is missing", ":3: limit is missing"}},
		{yml, "version: 1\nbudgets:\n- {meter: x, metric: y, limit: 3}\n- {meter: lighthouse, metric: y, limit: = 3, severity: bad, aggregation: mean}\n- {meter: lighthouse, metric: '', limit: '< -3 ms'}", []string{
			`:3: meter is "x": want one of lighthouse`, ":3: limit is 3: want <", `:4: limit is "= 3"`, `:4: severity is "bad": want one of error, warn, off`, `:4: aggregation is "mean": want one of median, optimistic`, ":5: metric is empty", `:5: limit is "< -3 ms"`,
		}},
		{yml, "version: 1\nbudgets:\n- &a {meter: lighthouse, metric: y, limit: < 3}\n- *a\n", []string{":3: anchors and aliases are not read", ":4: anchors"}},
		{yml, "version: 1\nbudgets:\n- {meter: lighthouse, metric: y, limit: < 3}\n- {meter: lighthouse, metric: y, limit: <= 4}\n", []string{":4: performance-budgets.yaml:3 has this limit already"}},
		{yml, "version: 1\n---\nversion: 1", []string{"more behind the first document"}},
		{yml, "version: 1\nbudgets:\n- {meter: lighthouse, metric: y, limit: '< " + strings.Repeat("9", 400) + "'}", []string{"the number is too large"}},
		{yml, "version: 1\nversion: 1\nbudgets: 2020-01-01\n? [a]\n: 1", []string{`:2: "version" is set twice`, ":3: values tagged !!timestamp are not read", ":4: want text as a key"}},

		{rc, `{}`, []string{"ci is missing"}},
		{rc, `{"lhci": {}, "ci": {}}`, []string{`unknown key "lhci": want one of ci`, "ci.assert is missing"}},
		{rc, `{"ci": {"assert": {}, "extends": "x", "upload": {}, "other": 1}}`, []string{"ci.extends is not supported", "ci.upload is not supported", `unknown key "other"`}},
		{rc, `{"ci": {"assert": {}}}`, []string{"ci.assert asserts nothing"}},
		{rc, `{"ci": {"assert": {"assertMatrix": [], "preset": "lighthouse:all", "lhr": "."}}}`, []string{"preset beside assertMatrix", "assertMatrix is empty", "ci.assert.lhr is not supported"}},
		{rc, `{"ci": {"assert": {"budgetsFile": "b", "assertions": {"list": "error"}}}}`, []string{"assertions beside budgetsFile", "cannot be read from here"}},
		{rc, `{"ci": {"assert": {"preset": "lighthouse:most", "aggregationMethod": "mean", "matchingUrlPattern": "(?=a)", "includePassedAssertions": 1}}}`, []string{
			`preset is "lighthouse:most": want one of lighthouse:all, lighthouse:recommended, lighthouse:no-pwa`, `aggregationMethod is "mean"`, "want a regular expression without look-around", "includePassedAssertions is 1",
		}},
		{rc, `{"ci": {"collect": {"url": "x", "numberOfRuns": 0, "settings": {"preset": "perf", "throttling": {}}, "startServerCommand": "npm start", "what": 1}, "assert": {"preset": "lighthouse:all"}}}`, []string{
			`ci.collect.url is "x"`, "numberOfRuns is 0: want a whole number from 1 to 100", `preset is "perf": want one of desktop`, `unknown key "throttling"`, "ci.collect.startServerCommand is not supported: start the site", `unknown key "what"`,
		}},
		{rc, assert(`{"firstContentfulPaint": "error", "fcp": "error", "list": "fatal", "label": ["error", {}, 1], "image-alt": [], "meta-viewport": 1}`), []string{
			`"firstContentfulPaint": lighthouse-ci leaves it out without a word`, `"fcp": no Lighthouse from 10 to 13 has this audit`, `"list" is "fatal": want off, warn or error`, `"label" is a list`, `"image-alt" is a list`, `"meta-viewport" is 1`,
		}},
		{rc, assert(`{"list": ["error", {"minScore": 90}], "label": ["error", {"maxLength": -1, "auditRan": 1, "aggregationMethod": "mean"}], "bypass": ["warn", {"max": 1}], "tabindex": ["warn", 3]}`), []string{
			"minScore is 90: want a number from 0 to 1", "maxLength is -1", "auditRan is not supported", `aggregationMethod is "mean"`, `unknown key "max"`, "the options of an assertion is a number",
		}},
		{rc, assert(`{"categories": "error", "categories:speed": "error", "categories:seo": ["error", {"maxLength": 1}], "categories.seo": "warn", "resource-summary:script": "error", "resource-summary:script:size": "error", "list:a": "error", "user-timings:a": "error", "performance-budget": "error"}`), []string{
			`"categories": want categories: and one of accessibility`, `"categories:speed": want`, "want minScore", "want resource-summary:, one of total", "want maxNumericValue, and nothing else", "only categories and resource-summary have parts", "the marks of a page", "want budgetsFile",
		}},
		{rc, assert(`{"categories:seo": "error", "categories.seo": "warn"}`), []string{`"categories.seo" is asserted twice`}},
	} {
		f, err := Parse(c.file, []byte(c.text), Options{Meters: []string{"lighthouse"}})
		var e *exit.Error
		if !errors.As(err, &e) || e.Status != exit.BadInput {
			t.Errorf("%s: %v, %v", c.text, f, err)
			continue
		}
		got := strings.Split(err.Error(), "\n")
		if len(got) != len(c.want) && len(got) > 1 {
			t.Errorf("%s %.80s: %d problems, want %d:\n%v", c.file, c.text, len(got), len(c.want), err)
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s %.80s: it does not say %q:\n%v", c.file, c.text, want, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"budget.json", "performance-budgets.yaml", "lighthouserc.yml"} {
		raw, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name, string(raw))
	}
	f.Add("lighthouserc.json", `{"ci": {"assert": {"assertions": {"list": ["error", {"minScore": 0.5}]}}}}`)
	f.Fuzz(func(t *testing.T, name, raw string) {
		file, err := Parse(name, []byte(raw), Options{})
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if strings.TrimSpace(line) == "" && !strings.Contains(name, "\n") {
					t.Fatalf("an empty line: %q", err)
				}
			}
			return
		}
		if len(file.Budgets) == 0 {
			t.Fatal("a file without a limit was read")
		}
		for _, b := range file.Budgets {
			if b.Severity != budget.Off && (b.Limit < 0 || b.Limit*0 != 0 || b.Operator == "") || b.Metric == "" || b.Meter == "" || b.From == "" || b.Aggregation == "" {
				t.Fatalf("%+v", b)
			}
		}
	})
}
