package htmlreport

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/perftest"
	"github.com/candlefish/deploy-action/internal/perf/words"
	"github.com/candlefish/deploy-action/internal/report/plain/plaintest"
)

var update = flag.Bool("update", false, "rewrite testdata")

const run = "https://github.com/acme/shop/actions/runs/7"

func render(t *testing.T, r verdict.Result) string {
	t.Helper()
	raw, err := Render(r, run)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// small is a result with one series and few runs.
func small() verdict.Result {
	r := perftest.Cases()["limit"]
	s := *perftest.Find(r.Series, perftest.LCP.Name)
	r.Series = []measure.Series{s}
	r.Budgets, r.Comparisons, r.Meters, r.Files = r.Budgets[:1], r.Comparisons[2:3], r.Meters[2:3], r.Files[:1]
	r.History = perftest.History(r.Series, 3)
	return r
}

func TestRender(t *testing.T) {
	t.Parallel()
	got := render(t, small())
	got = got[strings.Index(got, "<main>"):strings.Index(got, "</main>")]
	path := filepath.Join("testdata", "limit.main.html")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update rewrites:\n%s", path, diff)
	}
}

var number = regexp.MustCompile(`NaN|Inf|e\+\d`)

// wellFormed reads the page as XML would be read: every tag is closed, and no chart has a
// number that is none.
func wellFormed(t *testing.T, name, text string) {
	t.Helper()
	body := text[strings.Index(text, "<main>") : strings.Index(text, "</main>")+len("</main>")]
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(body, -1) {
		if m := number.FindString(regexp.MustCompile(`(?s)<(title|desc|text).*?</(title|desc|text)>`).ReplaceAllString(svg, "")); m != "" {
			t.Errorf("%s: a chart has %s", name, m)
		}
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v in %.300s", name, err, svg)
			}
		}
	}
}

// Every metric has a chart, every view its verdict, and nothing but a pass says so.
func TestEveryMetricHasAChart(t *testing.T) {
	t.Parallel()
	for name, r := range perftest.Cases() {
		text := render(t, r)
		wellFormed(t, name, text)
		if n := strings.Count(text, `-history-t">`); n != len(r.Series) {
			t.Errorf("%s: %d charts of %d series", name, n, len(r.Series))
		}
		if !strings.Contains(text, strings.ReplaceAll(words.Headline(r), "'", "&#39;")) || name != "pass" && strings.Contains(text, "passed") {
			t.Errorf("%s: the headline is not %q", name, words.Headline(r))
		}
	}
	text := render(t, verdict.Result{})
	if !strings.Contains(text, "inconclusive: nothing was measured.") || strings.Contains(text, "passed") {
		t.Error("nothing measured is shown as something else")
	}
}

func TestOddValues(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]float64{
		"one": {5}, "zeros": {0, 0, 0}, "huge": {math.MaxFloat64, -math.MaxFloat64}, "tiny": {5e-324, 0}, "equal": {7, 7, 7}, "negative": {-3, -2, -9},
	} {
		r := perftest.Pass()
		for i := range r.Series {
			r.Series[i].Head, r.Series[i].Base = perftest.Points(values...), perftest.Points(values...)
		}
		wellFormed(t, name, render(t, r))
		r.History.Runs, r.History.Anchor = nil, nil
		wellFormed(t, name+" without history", render(t, r))
	}
}

func TestHostileTextIsText(t *testing.T) {
	t.Parallel()
	for _, h := range plaintest.Hostiles {
		text := render(t, perftest.Hostile(h))
		wellFormed(t, plaintest.Name(h), text)
		for _, bad := range []string{"<script", "<img", "javascript:", "onerror=\"", "onload=alert(1)>", "https://evil.example\"", "\x1b", "\u202e"} {
			if strings.Contains(text, bad) && (bad != "javascript:" || regexp.MustCompile(`(href|src)="[^"]*javascript:`).MatchString(text)) {
				t.Errorf("%s: the page has %q", plaintest.Name(h), bad)
			}
		}
	}
}

func TestManySeries(t *testing.T) {
	t.Parallel()
	text := render(t, perftest.Flood(2500))
	if len(text) > 30<<20 || !strings.Contains(text, "500 more are in analysis.json") {
		t.Errorf("%d MB", len(text)>>20)
	}
}

func TestRelative(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"a/b.html": "./a/b.html", "a b/é?.html": "./a%20b/%C3%A9%3F.html", "javascript:alert(1)": "./javascript%3Aalert%281%29", "": "", "../x": "", "/etc/passwd": "", "a/../../x": "", "a//b": "", "a\\b": "", "https://x/y": "", "a\nb": "", "..": "", "#x": "./%23x",
	} {
		if got := relative(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
