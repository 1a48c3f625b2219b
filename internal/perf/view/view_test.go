package view

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/perftest"
	"github.com/candlefish/deploy-action/internal/perf/words"
	"github.com/candlefish/deploy-action/internal/report/plain"
	"github.com/candlefish/deploy-action/internal/report/plain/plaintest"
)

var update = flag.Bool("update", false, "rewrite testdata")

var page = Page{Run: "https://github.com/acme/shop/actions/runs/7", Artifact: "https://github.com/acme/shop/actions/runs/7/artifacts/9", Command: "go tool mage perf:lighthouse"}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
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

func annotated(r verdict.Result) string {
	shown, left := Annotations(r)
	var marks []string
	for _, a := range shown {
		marks = append(marks, fmt.Sprintf("%s %s:%d %s: %s", a.Level, a.File, a.Line, a.Title, a.Message))
	}
	return strings.Join(append(marks, left), "\n")
}

// views are all that show a whole result.
func views(r verdict.Result) map[string]string {
	c := CheckOf(r, page)
	return map[string]string{"report": Report(r, page), "summary": Summary(r, page), "comment": Comment(r, page), "console": Text(r), "check": c.Title + "\n" + c.Summary}
}

func TestViews(t *testing.T) {
	t.Parallel()
	for name, r := range perftest.Cases() {
		golden(t, name+".comment.md", Comment(r, page))
		golden(t, name+".console.txt", Text(r))
		golden(t, name+".annotations.txt", annotated(r))
		if name == "worse" || name == "both" {
			golden(t, name+".report.md", Report(r, page))
			golden(t, name+".summary.md", Summary(r, page))
		}
	}
}

var success = regexp.MustCompile(`✅|🎉|👍|(?i)\bpassed\b|\bhealthy\b|all limits`)

// No view of a result that is no pass says so in its headline, every view names the
// verdict, and each key that refuses is in each view.
func TestVerdictIsInEveryView(t *testing.T) {
	t.Parallel()
	cases := perftest.Cases()
	cases["zero"] = verdict.Result{}
	lie := perftest.Cases()["limit"]
	lie.Verdict = verdict.Pass
	cases["a pass that its limits contradict"] = lie
	nothing := perftest.Pass()
	nothing.Series = nil
	cases["a pass without a value"] = nothing
	for name, r := range cases {
		want := map[verdict.Verdict]string{verdict.Pass: "passed", verdict.Refused: "refused", verdict.Inconclusive: "inconclusive"}[words.Verdict(r)]
		for view, text := range views(r) {
			if !strings.Contains(text, words.Headline(r)) || !strings.Contains(words.Headline(r), want) {
				t.Errorf("%s: the %s does not say %q", name, view, want)
			}
			at := strings.Index(text, words.Headline(r))
			line := text[strings.LastIndex(text[:at], "\n")+1 : at+len(words.Headline(r))]
			if name != "pass" && success.MatchString(line) {
				t.Errorf("%s: the %s begins with success: %q", name, view, line)
			}
			for _, k := range refused(r) {
				if !strings.Contains(text, plain.Text(k.Subject, 100)) {
					t.Errorf("%s: the %s does not name %s", name, view, k)
				}
			}
		}
		if c := CheckOf(r, page); c.Passed != (name == "pass") || (c.Status == "success") != (name == "pass") {
			t.Errorf("%s: the check is %+v", name, c)
		}
	}
}

func refused(r verdict.Result) []measure.Key {
	var all []measure.Key
	for _, c := range append(words.Unmet(r), words.NotMeasured(r)...) {
		all = append(all, c.Key)
	}
	for _, c := range words.Worse(r) {
		all = append(all, c.Key)
	}
	return all
}

// T1 of the predecessor: no results were 0 of 0 failing, hence healthy.
func TestNothingMeasuredIsUnknown(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]verdict.Result{"zero": {}, "empty": perftest.Cases()["empty"], "pass": {Verdict: verdict.Pass}} {
		if words.Status(r) != "unknown" || words.Scenarios(r) != "0/0 failing" || words.Emoji(r) != "❓" || words.Colour(r) != "danger" {
			t.Errorf("%s: %s %s", name, words.Status(r), words.Scenarios(r))
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 300, 3000} {
		r := perftest.Flood(n)
		if size := len(Summary(r, page)); size > action.SummaryLimit/2 {
			t.Errorf("the summary of %d has %d bytes", n, size)
		}
		if size := utf8.RuneCountInString(Comment(r, page)); size > 65536 {
			t.Errorf("the comment of %d has %d characters", n, size)
		}
		if c := CheckOf(r, page); len(c.Summary) > 65535 || utf8.RuneCountInString(c.Description) > 140 {
			t.Errorf("the check of %d has %d bytes", n, len(c.Summary))
		}
		shown, left := Annotations(r)
		if len(shown) > 10 || n > 10 && left != fmt.Sprintf("GitHub shows 10 annotations per level; there are %s more of level error.", plain.Number(2*n-10)) {
			t.Errorf("%d annotations of %d, %q", len(shown), n, left)
		}
	}
}

var (
	fence     = regexp.MustCompile("(?ms)^```mermaid$.*?^```$")
	markup    = strings.NewReplacer("<details>", "", "</details>", "", "<summary>", "", "</summary>", "", Marker, "")
	chartLine = regexp.MustCompile(`^(xychart-beta|    title "[A-Za-z0-9 .,/()_-]*"|    x-axis (\["[A-Za-z0-9 .,/()_-]*"(, "[A-Za-z0-9 .,/()_-]*")*\]|"[a-z, ]+" 1 --> \d+)|    y-axis "[A-Za-z0-9 .,/()_-]*" -?[0-9.]+ --> -?[0-9.]+|    (bar|line) \[-?[0-9.]+(, -?[0-9.]+)*\])$`)
)

// wellFormed fails on a line of a chart that Mermaid would not read.
func wellFormed(t *testing.T, what, text string) {
	t.Helper()
	for _, block := range fence.FindAllString(text, -1) {
		lines := strings.Split(strings.TrimSpace(block), "\n")
		for _, line := range lines[1 : len(lines)-1] {
			if lines[0] != "```mermaid" || !chartLine.MatchString(line) {
				t.Errorf("%s: a chart has %q", what, line)
			}
		}
	}
}

func TestHostileText(t *testing.T) {
	t.Parallel()
	for _, h := range plaintest.Hostiles {
		r := perftest.Hostile(h)
		for view, text := range views(r) {
			name := view + " with " + plaintest.Name(h)
			if view == "console" {
				plaintest.Inert(t, name, text)
				continue
			}
			wellFormed(t, name, text)
			text = markup.Replace(plain.Undigested(fence.ReplaceAllString(text, "")))
			text = strings.ReplaceAll(text, "[the workflow run]("+page.Run+")", "")
			text = strings.ReplaceAll(text, "[charts, reports and traces]("+page.Artifact+")", "")
			plaintest.Markdown(t, name, text)
		}
		plaintest.Inert(t, "annotations with "+plaintest.Name(h), annotated(r))
	}
}

func TestChartsAreWellFormed(t *testing.T) {
	t.Parallel()
	charts := 0
	for name, r := range perftest.Cases() {
		text := Report(r, page)
		charts += strings.Count(text, "xychart-beta")
		wellFormed(t, name, text)
		if n := strings.Count(Summary(r, page), "xychart-beta"); n > 5 {
			t.Errorf("%s: %d charts in the summary", name, n)
		}
	}
	if charts < 8 {
		t.Errorf("%d charts", charts)
	}
}

func TestPlaceOfALimit(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"budget.json:12": "budget.json 12", "a/b.json:1": "a/b.json 1", "default": " 0", "../x:3": " 0", "/etc/passwd:3": " 0", "https://x/y:3": " 0", "b.json:0": " 0", "b\n.json:3": " 0", "b.json:99999999999999": " 0",
	} {
		if file, line := place(from); fmt.Sprint(file, " ", line) != want {
			t.Errorf("%q: %q %d", from, file, line)
		}
	}
}

// Another run with the same values says the same, wherever it ran; another result does
// not.
func TestSame(t *testing.T) {
	t.Parallel()
	a, again := perftest.Cases()["worse"], perftest.Cases()["worse"]
	again.At, again.Took, again.Own = again.At.Add(5e12), 7, 8
	again.Meters[2].Took = 9
	if one, two := Comment(a, page), Comment(again, Page{Run: page.Run + "8"}); one == two || !plain.Same(one, two) {
		t.Error("another run says something else")
	}
	if plain.Same(Comment(a, page), Comment(perftest.Pass(), page)) {
		t.Error("different comments are the same")
	}
}
