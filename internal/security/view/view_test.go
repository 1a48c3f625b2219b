package view

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/finding/waiver"
	"github.com/candlefish/deploy-action/internal/report/plain"
	"github.com/candlefish/deploy-action/internal/security/securitytest"
	"github.com/candlefish/deploy-action/internal/security/words"
)

func everything(string, int) bool { return true }

func TestViews(t *testing.T) {
	t.Parallel()
	for name, r := range securitytest.Cases() {
		golden(t, name+".report.md", Report(r, page))
		golden(t, name+".summary.md", Summary(r, page))
		golden(t, name+".comment.md", Comment(r, page))
		golden(t, name+".issue.md", Issue(r))
		var lines []string
		for _, tool := range r.Tools {
			lines = append(lines, Ended(tool))
		}
		golden(t, name+".console.txt", strings.Join(lines, "\n")+"\n\n"+Text(r))
		shown, left := Annotations(r, everything)
		var marks []string
		for _, a := range shown {
			marks = append(marks, fmt.Sprintf("%s %s:%d %s: %s", a.Level, a.File, a.Line, a.Title, a.Message))
		}
		golden(t, name+".annotations.txt", strings.Join(append(marks, left), "\n"))
	}
}

// "None found" is a claim about what was scanned, and each way in which it can be
// false changes the words.
func TestNoneFoundNeedsEyes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*verdict.Input)
		want   string
	}{
		"all is well": {func(*verdict.Input) {}, "none found"},
		"one is blind": {func(in *verdict.Input) {
			securitytest.Set(in.Tools, "gitleaks", func(t *verdict.Tool) { t.Health, t.Coverage = verdict.Blind, verdict.Unknown() })
		}, "none seen, not all was scanned"},
		"fewer commits than there are": {func(in *verdict.Input) {
			securitytest.Set(in.Tools, "gitleaks", func(t *verdict.Tool) { t.Coverage.Commits = 30 })
		}, "none seen, not all was scanned"},
		"a need without a tool": {func(in *verdict.Input) {
			in.Needs = append(in.Needs, verdict.Need{What: "more secrets", Tools: []string{"unheard-of"}})
		}, "none seen, not all was scanned"},
		"all missing": {func(in *verdict.Input) {
			for _, name := range []string{"gitleaks", "trufflehog", "patterns"} {
				securitytest.Set(in.Tools, name, func(t *verdict.Tool) { t.Health, t.Coverage = verdict.Missing, verdict.Unknown() })
			}
		}, "not scanned"},
		"no tools at all": {func(in *verdict.Input) { in.Tools = nil }, "not scanned"},
		"one waived": {func(in *verdict.Input) {
			f := securitytest.Lodash()
			f.Class = finding.ClassSecret
			in.Findings = []finding.Finding{securitytest.Waive(f)}
		}, "none but the waived"},
		"a live one waived": {func(in *verdict.Input) {
			in.Findings = []finding.Finding{securitytest.Waive(securitytest.Secret())}
		}, "1 found"},
		"one found, one tool crashed": {func(in *verdict.Input) {
			in.Findings = []finding.Finding{securitytest.Secret()}
			securitytest.Set(in.Tools, "trufflehog", func(t *verdict.Tool) { t.Health, t.Coverage = verdict.Crashed, verdict.Unknown() })
		}, "1 found, not all was scanned"},
	}
	for name, test := range tests {
		in := securitytest.Input(securitytest.HealthyTools())
		test.change(&in)
		r := verdict.Judge(in)
		if got := words.Claims(r)[0].Found; got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		for view, text := range map[string]string{"report": Report(r, page), "summary": Summary(r, page), "comment": Comment(r, page)} {
			if !strings.Contains(text, "| Secrets | "+test.want+" |") {
				t.Errorf("%s: the %s does not say %q", name, view, test.want)
			}
		}
		if said := strings.Contains(Text(r), "secrets: "+test.want); !said {
			t.Errorf("%s: the console does not say %q", name, test.want)
		}
	}
}

func TestZeroResultIsNoPass(t *testing.T) {
	t.Parallel()
	var r verdict.Result
	for view, text := range map[string]string{"report": Report(r, Page{}), "summary": Summary(r, Page{}), "comment": Comment(r, Page{}), "console": Text(r)} {
		if !strings.Contains(text, "inconclusive") || strings.Contains(text, "passed") || strings.Contains(text, "none found") || !strings.Contains(text, "at most 0/100") {
			t.Errorf("%s:\n%s", view, text)
		}
	}
	// A verdict that its own needs contradict is no pass either.
	r = verdict.Judge(securitytest.Input(securitytest.HealthyTools()))
	r.Needs[0].Met = false
	if h := words.Headline(r); !strings.Contains(h, "inconclusive") {
		t.Error(h)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	r := securitytest.Flood(30000)
	if n := len(Summary(r, page)); n > plain.MaxSummary {
		t.Errorf("the summary has %d bytes", n)
	}
	if n := utf8.RuneCountInString(Comment(r, page)); n > plain.MaxComment {
		t.Errorf("the comment has %d characters", n)
	}
	if n := utf8.RuneCountInString(Issue(r)); n > 60000 {
		t.Errorf("the issue has %d characters", n)
	}
	md := Report(r, page)
	if !strings.Contains(md, "## Findings (30,000)") || !strings.Contains(md, "29,000 more are in `security-report.json`") {
		t.Error("the report does not say how many findings it leaves out")
	}
	t.Logf("30,000 findings: report %d kB, summary %d kB, comment %d kB", len(md)>>10, len(Summary(r, page))>>10, len(Comment(r, page))>>10)
	shown, left := Annotations(r, everything)
	levels := map[action.Level]int{}
	for _, a := range shown {
		levels[a.Level]++
	}
	if levels[action.Error] != 10 || levels[action.Warning] != 10 || shown[0].Title != "Security: critical" ||
		left != "GitHub shows 10 annotations per level; on the changed lines there are 19,990 more of level error, 9,990 more of level warning." {
		t.Errorf("%v, %q, first %+v", levels, left, shown[0])
	}
}

type span struct{ first, last int }

func (s span) Has(line int) bool { return s.first <= line && line <= s.last }

func TestAnnotationsOnChangedLinesOnly(t *testing.T) {
	t.Parallel()
	long := securitytest.Workflow(finding.StateNew)
	long.Sightings[0].Location.End = 30
	r := verdict.Judge(securitytest.Input(securitytest.HealthyTools(), securitytest.Secret(), securitytest.Lodash(), long, securitytest.Waive(securitytest.Workflow(finding.StateNew))))
	for name, test := range map[string]struct {
		changed map[string][]span
		want    string
	}{
		"nothing":       {nil, ""},
		"beside":        {map[string][]span{"config/prod.env": {{1, 2}, {4, 9}}}, ""},
		"on the line":   {map[string][]span{"config/prod.env": {{9, 9}, {3, 3}}}, "config/prod.env:3"},
		"another file":  {map[string][]span{"config/prod.env.old": {{3, 3}}}, ""},
		"within a span": {map[string][]span{".github/workflows/ci.yml": {{20, 22}}}, ".github/workflows/ci.yml:20"},
		"two files":     {map[string][]span{"config/prod.env": {{3, 3}}, "package-lock.json": {{1, 500}}}, "config/prod.env:3 package-lock.json:120"},
	} {
		var got []string
		shown, left := Annotations(r, TouchedBy(test.changed))
		for _, a := range shown {
			got = append(got, fmt.Sprintf("%s:%d", a.File, a.Line))
		}
		if strings.Join(got, " ") != test.want || left != "" {
			t.Errorf("%s: %v %q, want %q", name, got, left, test.want)
		}
	}
}

// A second scan of the same commit says the same; another result does not.
func TestSame(t *testing.T) {
	t.Parallel()
	in := securitytest.Input(securitytest.HealthyTools(), securitytest.Lodash(), securitytest.Workflow(finding.StateNew))
	a := Comment(verdict.Judge(in), page)
	in.At, in.Took = in.At.Add(5e12), 7
	securitytest.Set(in.Tools, "gitleaks", func(t *verdict.Tool) { t.Took = 9 })
	in.Findings[0], in.Findings[1] = in.Findings[1], in.Findings[0]
	b := Comment(verdict.Judge(in), Page{Run: "https://github.com/acme/shop/actions/runs/8"})
	if a == b || !plain.Same(a, b) {
		t.Errorf("another run says something else:\n%s\n%s", a, b)
	}
	in.Findings = in.Findings[:1]
	if plain.Same(a, Comment(verdict.Judge(in), page)) || plain.Same("", "") || plain.Same("hello", "hello") {
		t.Error("different comments are the same")
	}
}

// What the report says to write is a file of waivers, once somebody has said why, and
// who answers for it.
func TestWaiverOfTheReport(t *testing.T) {
	t.Parallel()
	f := securitytest.Lodash()
	f.ID = "3f1c9ab2e4d5"
	text := entry(f, securitytest.Now)
	if all, err := waiver.Parse("security-waivers.yaml", []byte(text)); err == nil {
		t.Errorf("without a reason and an owner it is taken: %+v", all)
	}
	text = strings.NewReplacer(`reason: ""`, `reason: "an example of the manual"`, `owner: ""`, `owner: "@shop"`).Replace(text)
	all, err := waiver.Parse("security-waivers.yaml", []byte(text))
	if err != nil || len(all) != 1 || all[0].Fingerprint != f.ID {
		t.Errorf("%+v, %v", all, err)
	}
}
