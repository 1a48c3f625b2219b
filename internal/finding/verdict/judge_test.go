package verdict

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/finding"
)

var now = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func policy(t *testing.T, failOn string, lines ...string) Policy {
	t.Helper()
	p, err := NewPolicy(failOn, lines)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// whole is a scan of level quick that saw everything and found nothing.
func whole(t *testing.T) Input {
	in := Input{Level: Quick, Policy: policy(t, ""), Needs: NeedsOf(Quick), Place: Place{Files: 10, Commits: 3}, At: now}
	for _, name := range []string{"gitleaks", "trufflehog", "patterns", "npm-audit", "inventory", "actionlint"} {
		in.Tools = append(in.Tools, Tool{Name: name, Health: Healthy})
	}
	return in
}

func found(id string, s finding.Severity, c finding.Class) finding.Finding {
	return finding.Finding{ID: id, Title: "title " + id, Severity: s, Class: c, State: finding.StateNew, EPSS: -1,
		Sightings: []finding.Sighting{{Tool: "t", Class: c}}}
}

func works(id string) finding.Finding {
	f := found(id, finding.Medium, finding.ClassSecret)
	f.Sightings[0].Secret.Live = finding.LiveVerified
	return f
}

func existing(f finding.Finding) finding.Finding {
	f.State = finding.StateExisting
	return f
}

func waived(f finding.Finding) finding.Finding {
	f.Waived = finding.Waived{By: "security-waivers.yaml:3", Reason: "not reachable here", Owner: "web"}
	return f
}

func reached(reaches ...finding.Reach) finding.Finding {
	f := found("a1", finding.High, finding.ClassDependency)
	f.Sightings = nil
	for i, r := range reaches {
		path := "go.mod"
		if r == "elsewhere" {
			r, path = finding.ReachUnknown, "other/go.mod"
		}
		f.Sightings = append(f.Sightings, finding.Sighting{Tool: fmt.Sprint(i), Reach: r, Location: finding.Location{Path: path}})
	}
	return f
}

func TestJudge(t *testing.T) {
	t.Parallel()
	high := found("a1", finding.High, finding.ClassCode)
	tests := map[string]struct {
		change func(*Input)
		want   Verdict
		reason string // a part of the reasons
	}{
		"nothing found": {func(in *Input) {}, Pass, "No budget is exceeded: 0 of at most 0 critical, 0 of at most 0 high."},
		"one high":      {func(in *Input) { in.Findings = []finding.Finding{high} }, Refused, "1 high finding; the budget high=0 allows 0."},
		"two of at most two": {func(in *Input) {
			in.Policy = policy(t, "", "high=2")
			in.Findings = []finding.Finding{high, found("a2", finding.High, finding.ClassImage)}
		}, Pass, "2 of at most 2 high"},
		"of a class": {func(in *Input) {
			in.Policy = policy(t, "never", "code.high=0")
			in.Findings = []finding.Finding{high}
		}, Refused, "1 high code finding; the budget code.high=0 allows 0."},
		"of another class": {func(in *Input) {
			in.Policy = policy(t, "never", "image.high=0")
			in.Findings = []finding.Finding{high}
		}, Pass, "0 of at most 0 high image"},
		"never": {func(in *Input) {
			in.Policy = policy(t, "never")
			in.Findings = []finding.Finding{high}
		}, Pass, "No severity has a budget"},
		"info": {func(in *Input) {
			in.Policy = policy(t, "low")
			in.Findings = []finding.Finding{found("a1", finding.Info, finding.ClassCode)}
		}, Pass, ""},
		"waived":          {func(in *Input) { in.Findings = []finding.Finding{waived(high)} }, Pass, "Waived findings, not counted: 1."},
		"existing":        {func(in *Input) { in.Findings = []finding.Finding{existing(high)} }, Refused, "1 high"},
		"existing, PR":    {func(in *Input) { in.Policy.OnlyNew = true; in.Findings = []finding.Finding{existing(high)} }, Pass, "Findings of the baseline, not counted: 1."},
		"new, PR":         {func(in *Input) { in.Policy.OnlyNew = true; in.Findings = []finding.Finding{high} }, Refused, "1 high"},
		"live, PR":        {func(in *Input) { in.Policy.OnlyNew = true; in.Findings = []finding.Finding{existing(works("a1"))} }, Refused, "1 found credential verified as live"},
		"live and waived": {func(in *Input) { in.Findings = []finding.Finding{waived(works("a1"))} }, Refused, "1 critical finding"},
		"expired waiver": {func(in *Input) {
			in.Findings = []finding.Finding{high}
			in.Waivers.Expired = []WaiverNote{{Name: "security-waivers.yaml:7", What: "CVE-2026-1", Why: "it expired on 2026-03-09.", IDs: []string{"a1"}}}
		}, Refused, "The waiver security-waivers.yaml:7 for CVE-2026-1 does not hold: it expired on 2026-03-09."},
		"missing tool": {func(in *Input) { in.Tools[0].Health = Missing; in.Tools[0].Why = "no gitleaks in PATH" }, Inconclusive,
			"Level quick must contain secrets in commits and files, and this scan does not: gitleaks: missing, no gitleaks in PATH."},
		"missing tool and a finding": {func(in *Input) { in.Tools[0].Health = Blind; in.Findings = []finding.Finding{high} }, Refused, "gitleaks: blind."},
		"a second tool crashed": {func(in *Input) {
			in.Tools = append(in.Tools, Tool{Name: "zizmor", Health: Crashed, Why: "exit status 2"})
		}, Pass,
			"Scanners that are not believed, and without which the level is complete: zizmor: crashed, exit status 2."},
		"other tool":   {func(in *Input) { in.Tools[5].Name = "zizmor" }, Pass, ""},
		"no workflows": {func(in *Input) { in.Tools[5].Health = NotApplicable }, Inconclusive, "zizmor: not part of this scan"},
		"no workflows, for both": {func(in *Input) {
			in.Tools[5].Health = NotApplicable
			in.Tools = append(in.Tools, Tool{Name: "zizmor", Health: NotApplicable})
		}, Pass, ""},
		"not npm":             {func(in *Input) { in.Tools[3].Health = NotApplicable }, Pass, ""},
		"npm tool left out":   {func(in *Input) { in.Tools[3].Health = LeftOut }, Inconclusive, "npm-audit: left out"},
		"no health":           {func(in *Input) { in.Tools[3].Health = "" }, Inconclusive, "npm-audit: of unknown health"},
		"twice, once crashed": {func(in *Input) { in.Tools = append(in.Tools, Tool{Name: "gitleaks", Health: Crashed}) }, Inconclusive, "gitleaks: crashed"},
		"no tools":            {func(in *Input) { in.Tools = nil }, Inconclusive, "No scanner gave a result that can be believed."},
		"nothing applies": {func(in *Input) {
			in.Tools = nil
			for _, n := range in.Needs {
				for _, name := range n.Tools {
					in.Tools = append(in.Tools, Tool{Name: name, Health: NotApplicable})
				}
			}
		}, Inconclusive, "No scanner gave a result that can be believed."},
		"no needs":        {func(in *Input) { in.Needs = nil }, Inconclusive, `Nothing is known of what level "quick" must contain.`},
		"no files":        {func(in *Input) { in.Place.Files = 0 }, Inconclusive, "The workspace has no files to scan."},
		"no commits":      {func(in *Input) { in.Place.Commits = 0 }, Inconclusive, "There are no commits to scan."},
		"unknown commits": {func(in *Input) { in.Place.Commits = -1 }, Inconclusive, "There are no commits to scan."},
		"not called": {func(in *Input) {
			in.Policy.Called = true
			in.Findings = []finding.Finding{reached(finding.ReachImported, finding.ReachUnknown)}
		}, Pass, ""},
		"not called, as is": {func(in *Input) { in.Findings = []finding.Finding{reached(finding.ReachRequired)} }, Refused, "1 high"},
		"called": {func(in *Input) {
			in.Policy.Called = true
			in.Findings = []finding.Finding{reached(finding.ReachImported, finding.ReachCalled)}
		}, Refused, "1 high"},
		"reach not known": {func(in *Input) { in.Policy.Called = true; in.Findings = []finding.Finding{reached("")} }, Refused, "1 high"},
		"not called here, not known there": {func(in *Input) {
			in.Policy.Called = true
			in.Findings = []finding.Finding{reached(finding.ReachRequired, "elsewhere")}
		}, Refused, "1 high"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := whole(t)
			tt.change(&in)
			r := Judge(in)
			if r.Verdict != tt.want || !strings.Contains(reasons(r), tt.reason) {
				t.Errorf("Judge is %s for\n%swant %s for %q", r.Verdict, reasons(r), tt.want, tt.reason)
			}
			if (r.Exit() == exit.Done) != (tt.want == Pass) || r.Verdict != Pass && r.Exit() != exit.GateRefused {
				t.Errorf("the exit status of %s is %v", r.Verdict, r.Exit())
			}
		})
	}
}

func reasons(r Result) string {
	var b strings.Builder
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "%s %v\n", reason.Text, reason.IDs)
	}
	return b.String()
}

func TestScoreAndBands(t *testing.T) {
	t.Parallel()
	tests := []struct {
		critical, high, medium, waived int
		complete                       bool
		policy                         []string
		score, status                  string
	}{
		{0, 0, 9, 0, true, nil, "100 of 100", "excellent"},
		{0, 2, 0, 9, true, []string{"high=2"}, "90 of 100", "excellent"},
		{0, 3, 0, 0, true, []string{"high=3"}, "85 of 100", "good"},
		{1, 3, 0, 0, true, []string{"high=3", "critical=1"}, "75 of 100", "good"},
		{2, 2, 0, 0, true, []string{"high=3", "critical=2"}, "70 of 100", "needs-attention"},
		{5, 0, 0, 0, true, []string{"critical=none"}, "50 of 100", "needs-attention"},
		{5, 1, 0, 0, true, nil, "45 of 100", "critical"},
		{50, 1, 0, 0, true, nil, "0 of 100", "critical"},
		{0, 1, 0, 0, true, nil, "95 of 100", "needs-attention"},           // refused
		{0, 0, 0, 0, false, nil, "at most 100 of 100", "needs-attention"}, // inconclusive
		{1, 0, 0, 0, false, nil, "at most 90 of 100", "needs-attention"},  // both
	}
	for _, tt := range tests {
		in := whole(t)
		in.Policy = policy(t, "", tt.policy...)
		for s, n := range map[finding.Severity]int{finding.Critical: tt.critical, finding.High: tt.high, finding.Medium: tt.medium} {
			for i := range n {
				in.Findings = append(in.Findings, found(fmt.Sprint(s, i), s, finding.ClassCode))
			}
		}
		for i := range tt.waived {
			in.Findings = append(in.Findings, waived(found(fmt.Sprint("w", i), finding.Critical, finding.ClassCode)))
		}
		if !tt.complete {
			in.Tools = in.Tools[1:]
		}
		r := Judge(in)
		if r.ScoreText() != tt.score || r.Band.Status != tt.status {
			t.Errorf("%+v: score %q, band %+v", tt, r.ScoreText(), r.Band)
		}
	}
}

func TestSpeed(t *testing.T) {
	t.Parallel()
	known := func(id string, age time.Duration, state finding.State) finding.Finding {
		f := found(id, finding.Low, finding.ClassDependency)
		f.State, f.Sightings[0].Known = state, now.Add(-age)
		f.Sightings = append(f.Sightings, finding.Sighting{Known: now}, finding.Sighting{})
		return f
	}
	in := whole(t)
	in.Findings = []finding.Finding{
		known("new in time", 24*time.Hour, finding.StateNew),
		known("new and late", 25*time.Hour, finding.StateNew),
		known("old in time", 240*time.Hour, finding.StateExisting),
		known("old, never dated", 240*time.Hour, finding.StateExisting),
		found("not dated", finding.Low, finding.ClassCode),
	}
	in.First = map[string]time.Time{"old in time": now.Add(-239 * time.Hour)}
	if got, want := Judge(in).Speed, (Speed{Within: 2, Dated: 3, Undated: 2}); got != want {
		t.Errorf("speed %+v, want %+v", got, want)
	}
}

// A random scan: any findings, waivers, health, policy.
func random(t *testing.T, r *rand.Rand) Input {
	in := whole(t)
	healths := []Health{Healthy, Healthy, Healthy, Healthy, Healthy, Healthy, NotApplicable, LeftOut, Missing, Crashed, Blind, ""}
	for i := range in.Tools {
		in.Tools[i].Health = healths[r.IntN(len(healths))]
	}
	for _, line := range []string{"critical=1", "high=2", "medium=3", "secret.low=0", "low=none"} {
		if r.IntN(3) == 0 {
			in.Policy = policy(t, "", line)
		}
	}
	in.Policy.OnlyNew, in.Policy.Called = r.IntN(2) == 0, r.IntN(2) == 0
	for i := range r.IntN(6) {
		in.Findings = append(in.Findings, randomFinding(r, fmt.Sprint("f", i)))
	}
	if len(in.Findings) > 0 {
		in.Waivers.Expired = []WaiverNote{{Name: "w", What: "x", Why: "y.", IDs: []string{in.Findings[0].ID, "gone"}}}
	}
	if r.IntN(10) == 0 {
		in.Place.Files = 0
	}
	return in
}

func randomFinding(r *rand.Rand, id string) finding.Finding {
	f := found(id, finding.Severity(r.IntN(5)), finding.Classes()[r.IntN(7)])
	f.Sightings[0].Reach = []finding.Reach{"", finding.ReachCalled, finding.ReachRequired}[r.IntN(3)]
	if r.IntN(2) == 0 {
		f.State = finding.StateExisting
	}
	if r.IntN(3) == 0 {
		f = waived(f)
	}
	if r.IntN(6) == 0 {
		f.Sightings[0].Secret.Live = finding.LiveVerified
	}
	return f
}

func TestJudgeProperties(t *testing.T) {
	t.Parallel()
	seen := map[Verdict]int{}
	for seed := range uint64(4_000) {
		r := rand.New(rand.NewPCG(seed, 1))
		in := random(t, r)
		before := Judge(in)
		seen[before.Verdict]++
		fail := func(property string, after Result) {
			t.Errorf("seed %d: %s: %s\n%safter\n%s", seed, property, before.Verdict, reasons(before), reasons(after))
		}
		for _, reason := range before.Reasons {
			for _, id := range reason.IDs {
				if !slices.Contains(before.IDs(), id) {
					fail("a reason names "+id+", which is no finding", before)
				}
			}
		}
		if len(before.Reasons) == 0 || before.Whole == (before.Verdict == Inconclusive) && before.Verdict != Refused {
			fail("no reason, or whole and inconclusive", before)
		}

		mixed := in
		mixed.Findings, mixed.Tools = slices.Clone(in.Findings), slices.Clone(in.Tools)
		r.Shuffle(len(mixed.Findings), func(i, j int) {
			mixed.Findings[i], mixed.Findings[j] = mixed.Findings[j], mixed.Findings[i]
		})
		r.Shuffle(len(mixed.Tools), func(i, j int) { mixed.Tools[i], mixed.Tools[j] = mixed.Tools[j], mixed.Tools[i] })
		if after := Judge(mixed); !cmp.Equal(after, before) {
			fail("another order of the input is another result: "+cmp.Diff(before, after), after)
		}

		sick := in
		sick.Tools = slices.Clone(in.Tools)
		sick.Tools[r.IntN(len(sick.Tools))].Health = []Health{LeftOut, Missing, Denied, Crashed, Stale, Blind, Partial}[r.IntN(7)]
		if after := Judge(sick); after.Verdict == Pass && before.Verdict != Pass {
			fail("a tool lost its health and the scan passes", after)
		}

		more := in
		more.Findings = append(slices.Clone(in.Findings), randomFinding(r, "more"))
		if after := Judge(more); before.Verdict == Refused && after.Verdict != Refused || after.Verdict == Pass && before.Verdict != Pass || after.Score > before.Score {
			fail("one more finding and the verdict is better", after)
		}

		if len(in.Findings) > 0 {
			held := in
			held.Findings = slices.Clone(in.Findings)
			i := r.IntN(len(held.Findings))
			held.Findings[i] = waived(held.Findings[i])
			if after := Judge(held); before.Verdict == Pass && after.Verdict != Pass || after.Verdict == Refused && before.Verdict != Refused || after.Score < before.Score {
				fail("one more waiver and the verdict is worse", after)
			}
		}
	}
	if seen[Pass] < 40 || seen[Refused] < 40 || seen[Inconclusive] < 40 {
		t.Errorf("the random scans are one-sided: %v", seen)
	}
}

func TestNewPolicy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		failOn string
		lines  []string
		want   string
	}{
		{"", nil, "critical=0 high=0"},
		{"critical", nil, "critical=0"},
		{"medium", nil, "critical=0 high=0 medium=0"},
		{"low", []string{"low=5"}, "critical=0 high=0 medium=0 low=0"},
		{"never", nil, ""},
		{"never", []string{"medium=20", ""}, "medium=20"},
		{"", []string{"medium=20"}, "critical=0 high=0 medium=20"},
		{"", []string{"high=5"}, "critical=0 high=5"},
		{"", []string{"high=none"}, "critical=0"},
		{"high", []string{"high=5", "high=none"}, "critical=0 high=0"},
		{"", []string{" secret.medium = 0", "medium=3", "medium=2", "medium=none", "code.low=7"}, "critical=0 high=0 medium=2 secret.medium=0 code.low=7"},
	}
	for _, tt := range tests {
		var got []string
		for _, b := range policy(t, tt.failOn, tt.lines...).Budgets {
			got = append(got, b.String())
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("NewPolicy(%q, %q) = %q, want %q", tt.failOn, tt.lines, got, tt.want)
		}
	}
	_, err := NewPolicy("always", []string{"high", "high=-1", "high=1.5", "info=0", "error=0", "secrets.high=0", "=", "high=99999999999", "a.b.high=0"})
	if err == nil || strings.Count(err.Error(), "\n") != 9 {
		t.Errorf("NewPolicy of 10 wrong words: %v", err)
	}
}

func FuzzNewPolicy(f *testing.F) {
	f.Add("high", "high=0\nsecret.medium=3\nlow=none")
	f.Fuzz(func(t *testing.T, failOn, lines string) {
		p, err := NewPolicy(failOn, strings.Split(lines, "\n"))
		if err != nil {
			return
		}
		var again []string
		for _, b := range p.Budgets {
			if b.Max < 0 || b.Severity == finding.Info {
				t.Fatalf("%q %q: budget %s", failOn, lines, b)
			}
			again = append(again, b.String())
		}
		if q, err := NewPolicy("never", again); err != nil || !cmp.Equal(p, q) {
			t.Fatalf("%q %q is %v, and that is %v, %v", failOn, lines, p, q, err)
		}
	})
}
