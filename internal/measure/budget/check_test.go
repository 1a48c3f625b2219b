package budget

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/measure"
)

var none = math.NaN() // a round without a value

func series(subject, metric string, unit measure.Unit, values ...float64) measure.Series {
	s := measure.Series{
		Key:    measure.Key{Meter: Lighthouse, Subject: subject, Metric: metric},
		Metric: measure.Metric{Name: metric, Unit: unit},
	}
	for i, v := range values {
		if !math.IsNaN(v) {
			s.Head = append(s.Head, measure.Point{Round: i, Value: v})
		}
	}
	return s
}

func limit(metric string, o Operator, limit float64) Budget {
	return Budget{Meter: Lighthouse, Metric: metric, Operator: o, Limit: limit, Severity: Error, From: "x:1"}
}

// texts has a line per result.
func texts(all []Checked) string {
	var b strings.Builder
	for _, c := range all {
		fmt.Fprintf(&b, "%s %s %s %s", c.Key.Subject, c.Key.Metric, c.Text(), c.State())
		switch c.State() {
		case NoValue:
			fmt.Fprintf(&b, ": %s", c.Missing)
		case DoesNotConcern:
			fmt.Fprintf(&b, ": %s", c.NotApplicable)
		case Met, Failed:
			fmt.Fprintf(&b, " %v of %d", c.Value, c.Rounds)
		}
		if c.Note != "" {
			fmt.Fprintf(&b, " (%s)", c.Note)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestAggregations(t *testing.T) {
	t.Parallel()
	lcp := series("/ mobile", "lcp", measure.Milliseconds, 30, 10, none, 20, 40)
	score := series("/ mobile", "score", measure.Score, 0.3, 0.1, 0.9, 0.2, 0.4)
	run := Run{Series: []measure.Series{lcp, score}, Representative: map[string]map[string]int{Lighthouse: {"/ mobile": 3}}}
	for _, c := range []struct {
		metric      string
		operator    Operator
		aggregation Aggregation
		want        string
	}{
		{"lcp", AtMost, Median, "/ mobile lcp <= 25 ms met 25 of 4\n"},
		{"lcp", Less, Median, "/ mobile lcp < 25 ms failed 25 of 4\n"},
		{"lcp", Less, "", "/ mobile lcp < 25 ms failed 25 of 4\n"},
		{"lcp", AtMost, Optimistic, "/ mobile lcp <= 25 ms met 10 of 4\n"},
		{"lcp", AtMost, Pessimistic, "/ mobile lcp <= 25 ms no value: 1 round of 5 gave no value, and pessimistic takes the worst of all\n"},
		{"lcp", AtMost, MedianRun, "/ mobile lcp <= 25 ms met 20 of 4\n"},
		{"lcp", AtMost, "mean", "/ mobile lcp <= 25 ms no value: \"mean\" is no aggregation\n"},
		{"lcp", "=", Median, "/ mobile lcp = 25 ms failed 25 of 4\n"},
		{"score", AtLeast, Median, "/ mobile score >= 25 failed 0.3 of 5\n"},
		{"score", AtLeast, Optimistic, "/ mobile score >= 25 failed 0.9 of 5\n"},
		{"score", More, Pessimistic, "/ mobile score > 25 failed 0.1 of 5\n"},
		{"score", AtMost, Pessimistic, "/ mobile score <= 25 met 0.9 of 5\n"},
	} {
		b := limit(c.metric, c.operator, 25)
		b.Aggregation = c.aggregation
		if diff := cmp.Diff(c.want, texts(Check([]Budget{b}, run))); diff != "" {
			t.Errorf("%s %s: %s", c.metric, c.aggregation, diff)
		}
	}
	run.Representative[Lighthouse]["/ mobile"] = 2
	b := limit("lcp", AtMost, 25)
	b.Aggregation = MedianRun
	if got := texts(Check([]Budget{b}, run)); !strings.Contains(got, "round 3, the representative one, gave no value") {
		t.Error(got)
	}
	run.Representative = nil
	if got := texts(Check([]Budget{b}, run)); !strings.Contains(got, "no round is known to be the representative one") {
		t.Error(got)
	}
	b = limit("score", AtLeast, 0)
	b.Aggregation = Pessimistic
	run.Rounds = map[string]int{Lighthouse: 6}
	if got := texts(Check([]Budget{b}, run)); !strings.Contains(got, "1 round of 6 gave no value") {
		t.Error(got)
	}
}

func TestWhatIsMissing(t *testing.T) {
	t.Parallel()
	fcp := series("/ mobile", "first-contentful-paint", measure.Milliseconds, 1, 2)
	infinite := series("/ mobile", "speed-index", measure.Milliseconds, 1, math.Inf(1))
	run := Run{Series: []measure.Series{fcp, infinite}, Lighthouse: "13.5.0"}
	with := func(b Budget, change func(*Budget)) Budget {
		change(&b)
		return b
	}
	for name, c := range map[string]struct {
		budget Budget
		want   string
	}{
		"gone":      {limit("viewport.score", AtLeast, 1), "no value: Lighthouse 13.5.0 has no audit viewport; viewport-insight finds the same thing"},
		"category":  {limit("pwa", AtLeast, 1), "no value: Lighthouse 13.5.0 has no category pwa"},
		"not there": {limit("interactive", AtMost, 1), "no value: Lighthouse 13.5.0 should give a value of interactive, and gave none in 2 rounds"},
		"infinite":  {limit("speed-index", AtMost, 1), "no value: a value is not a number"},
		"subject":   {with(limit("speed-index", AtMost, 1), func(b *Budget) { b.Subject = "/x *" }), `no value: nothing that was measured is "/x *": / mobile`},
		"URL":       {with(limit("speed-index", AtMost, 1), func(b *Budget) { b.URL = "shop$" }), `no value: nothing that was measured is a page whose URL matches "shop$": / mobile`},
		"unit":      {with(limit("first-contentful-paint", AtMost, 1), func(b *Budget) { b.Unit = measure.Bytes }), "no value: the limit is in B, and the metric in ms"},
		"meter":     {with(limit("p95", AtMost, 1), func(b *Budget) { b.Meter = LoadMeter }), "not applicable: the meter load took no part in this run"},
		"default, gone": {with(limit("font-size.score", AtLeast, 1), func(b *Budget) { b.Implied = true }),
			"not applicable: Lighthouse 13.5.0 has no audit font-size: no audit looks at the size of fonts any more"},
		"default, there": {with(limit("interactive", AtMost, 1), func(b *Budget) { b.Implied = true }), "no value: Lighthouse 13.5.0 should give a value"},
	} {
		got := Check([]Budget{c.budget}, run)
		if len(got) != 1 || !strings.Contains(texts(got), c.want) || got[0].Met {
			t.Errorf("%s: %swant %s", name, texts(got), c.want)
		}
	}
	if got := Check([]Budget{limit("interactive", AtMost, 1)}, Run{Meters: []string{Lighthouse}}); !strings.Contains(texts(got), "the meter lighthouse gave no value") {
		t.Error(texts(got))
	}
	run.Subjects = map[string][]string{Lighthouse: {"/ desktop"}}
	if got := texts(Check([]Budget{limit("first-contentful-paint", AtMost, 1)}, run)); got != "/ desktop first-contentful-paint <= 1 no value: no round of lighthouse / desktop gave a value\n/ mobile first-contentful-paint <= 1 ms failed 1.5 of 2\n" {
		t.Error(got)
	}
}

func TestDefaultLimits(t *testing.T) {
	t.Parallel()
	run := Run{Lighthouse: "13.5.0", Series: []measure.Series{
		series("/ mobile", "performance", measure.Score, 0.75),
		series("/ desktop", "performance", measure.Score, 0.86),
		series("/ mobile", "viewport-insight.score", measure.Score, 1),
		series("/ mobile", "largest-contentful-paint", measure.Milliseconds, 3500),
	}}
	got := texts(Check(Defaults(), run))
	for _, want := range []string{
		"/ desktop performance > 0.85 met 0.86 of 1",
		"/ mobile performance > 0.75 failed 0.75 of 1",
		"/ mobile largest-contentful-paint < 3500 ms failed 3500 of 1",
		"/ mobile viewport-insight.score >= 0.9 met 1 of 1 (viewport-insight stands in for viewport, which Lighthouse 13.5.0 does not have)",
		"/ mobile target-size.score >= 0.9 no value: Lighthouse 13.5.0 should give a value",
		"/ mobile pwa >= 0.7 not applicable: Lighthouse 13.5.0 has no category pwa",
		"/ desktop color-contrast.score >= 0.9 no value",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not there: %s", want)
		}
	}
	if strings.Contains(got, "desktop viewport") || strings.Contains(got, " inp ") {
		t.Error(got)
	}
}

// A written limit takes the place of the default one, on the pages that it is for.
func TestWrittenLimitReplacesDefault(t *testing.T) {
	t.Parallel()
	run := Run{Series: []measure.Series{
		series("/ mobile", "performance", measure.Score, 0.8), series("/shop mobile", "performance", measure.Score, 0.8), series("/x mobile", "performance", measure.Score, 0.8),
	}}
	mine, off := limit("performance", AtLeast, 0.9), limit("performance", AtLeast, 0)
	mine.Subject, mine.URL, mine.Severity = "/s* *", "^https://a.example/shop", Warn
	off.Subject, off.Severity = "/x mobile", Off
	run.URL = "https://a.example"
	all := Check([]Budget{implied(Lighthouse, "* mobile", "performance", More, 0.75, measure.Score), mine, off}, run)
	if want := "/ mobile performance > 0.75 met 0.8 of 1\n/shop mobile performance >= 0.9 failed 0.8 of 1\n"; texts(all) != want {
		t.Error(texts(all))
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	all := func(budgets []Budget) (lines []string) {
		for _, b := range budgets {
			lines = append(lines, strings.TrimSpace(b.Subject+" "+b.String()))
		}
		return lines
	}
	want := []string{"http_req_duration.p95 < 2000 ms", "http_req_duration.p99 < 5000 ms", "http_req_failed < 1 %", "sustained http_reqs > 100 /s"}
	if diff := cmp.Diff(want, all(Load(2*time.Second, 5*time.Second, 0.01, 100))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"http_req_failed <= 0 %"}, all(Load(0, 0, 0, 0))); diff != "" {
		t.Error(diff)
	}
}

// An audit that ran and lists nothing has the length 0; one that did not run has none.
func TestLengthOfWhatListsNothing(t *testing.T) {
	t.Parallel()
	run := Run{Series: []measure.Series{
		series("/ mobile", "a.score", measure.Score, 1, 0, 1), series("/ mobile", "a.length", measure.Count, none, 3),
		series("/ mobile", "b.score", measure.Score, 1, none, 1),
	}}
	all := []Budget{limit("a.length", AtMost, 0), limit("b.length", AtMost, 0), limit("c.length", AtMost, 0), limit("a.length", AtMost, 0), limit("b.length", AtMost, 0)}
	all[3].Aggregation, all[4].Aggregation = Pessimistic, Pessimistic
	want := "/ mobile a.length <= 0 count met 0 of 3\n/ mobile b.length <= 0 count met 0 of 2\n/ mobile c.length <= 0 no value: 3 rounds of lighthouse / mobile gave no value of c.length\n" +
		"/ mobile a.length <= 0 count failed 3 of 3\n/ mobile b.length <= 0 count no value: 1 round of 3 gave no value, and pessimistic takes the worst of all\n"
	if diff := cmp.Diff(strings.ReplaceAll(want, " count", ""), texts(Check(all, run))); diff != "" {
		t.Error(diff)
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"/ mobile", "/ mobile", true}, {"/ mobile", "/x mobile", false}, {"*", "", true}, {"* mobile", "/a mobile", true},
		{"/a*b*c", "/aXbYc", true}, {"/a*b*c", "/aXcYb", false}, {"/a*a", "/a", false}, {"a*a", "aa", true}, {"a*a", "a", false}, {"**", "x", true},
	} {
		if got := matches(c.pattern, c.text); got != c.want {
			t.Errorf("matches(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to measure.Unit
		want     float64
		ok       bool
	}{
		{"", "widgets", 500, true}, {"ms", "ms", 500, true}, {"ms", "sec/op", 0.5, true}, {"B", "B/op", 500, true},
		{"share", "score", 500, true}, {"ms", "B", 0, false}, {"B", "B", 500, true},
	} {
		got, err := convert(500, c.from, c.to)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%s to %s: %v, %v", c.from, c.to, got, err)
		}
	}
}
