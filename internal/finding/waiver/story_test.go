package waiver

import (
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

// A night is one scan of the story.
type night struct {
	at       string
	file     string
	findings []finding.Finding
	want     exit.Status
	says     string // a part of the reasons and notes
	silent   string // what they do not say
}

// A waiver expires between two nights, is renewed, and is no longer used after
// the fix; then the same happens once more to the next vulnerability.
func TestWaiverOverTime(t *testing.T) {
	t.Parallel()
	file := func(ends string) string {
		return entry("created: 2026-01-10\n    expires: 2026-03-31", ends)
	}
	first, renewed := file("created: 2026-01-10\n    expires: 2026-02-01"), file("created: 2026-02-02\n    expires: 2026-02-28")
	empty := "version: 1\nwaivers: []\n"
	open := []finding.Finding{lodash()}
	year := []night{
		{"2026-01-11T02:00:00Z", first, open, exit.Done, "Waived findings, not counted: 1.", "soon:"},
		{"2026-01-20T02:00:00Z", first, open, exit.Done, "soon: w.yaml:3 CVE-2021-23337 in legacy/** [aaaabbbbcccc] it ends on 2026-02-01.", "expired"},
		{"2026-02-01T23:59:59Z", first, open, exit.Done, "soon:", "expired"},
		{"2026-02-02T00:00:00Z", first, open, exit.GateRefused, "The waiver w.yaml:3 for CVE-2021-23337 in legacy/** does not hold: it expired on 2026-02-01: fix what it was for, or renew it.", "soon:"},
		{"2026-02-02T01:00:00+02:00", first, open, exit.Done, "soon:", "expired"}, // still the first of February in UTC
		{"2026-02-02T02:00:00Z", renewed, open, exit.Done, "Waived findings, not counted: 1.", "expired"},
		{"2026-02-03T02:00:00Z", renewed, nil, exit.Done, "unused: w.yaml:3", "expired"},
		{"2026-02-20T02:00:00Z", renewed, nil, exit.Done, "unused: w.yaml:3", "soon:"},
		{"2026-03-01T02:00:00Z", renewed, nil, exit.Done, "expired: w.yaml:3 CVE-2021-23337 in legacy/** [] it expired on 2026-02-28 and matches no finding", "unused"},
		{"2026-03-02T02:00:00Z", empty, nil, exit.Done, "No budget is exceeded", "w.yaml"},
		{"2026-03-03T02:00:00Z", empty, open, exit.GateRefused, "1 high finding", "w.yaml"}, // it comes back
		{"2026-03-03T03:00:00Z", renewed, open, exit.GateRefused, "expired on 2026-02-28", "unused"},
		{"2026-03-03T04:00:00Z", file("created: 2026-03-03\n    expires: 2026-04-01"), open, exit.Done, "Waived findings, not counted: 1.", "expired"},
		{"2026-04-02T02:00:00Z", file("created: 2026-03-03\n    expires: 2026-04-01"), open, exit.GateRefused, "expired on 2026-04-01", "unused"},
	}
	for _, n := range year {
		r := n.scan(t)
		var text strings.Builder
		for _, reason := range r.Reasons {
			text.WriteString(reason.Text + "\n")
		}
		text.WriteString(said(r.Waivers))
		if r.Exit() != n.want || !strings.Contains(text.String(), n.says) || strings.Contains(text.String(), n.silent) {
			t.Errorf("%s: %v\n%swant %v, with %q, without %q", n.at, r.Exit(), text.String(), n.want, n.says, n.silent)
		}
	}
}

// scan is what the command does: read the file, apply it, judge.
func (n night) scan(t *testing.T) verdict.Result {
	t.Helper()
	at, err := time.Parse(time.RFC3339, n.at)
	if err != nil {
		t.Fatal(err)
	}
	waivers, err := Parse("w.yaml", []byte(n.file))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := verdict.NewPolicy("", nil)
	if err != nil {
		t.Fatal(err)
	}
	findings, notes := Policy{}.Apply(n.findings, waivers, at)
	return verdict.Judge(verdict.Input{
		Level: verdict.Quick, Policy: policy, Findings: findings, Waivers: notes, At: at,
		Tools: []verdict.Tool{{Name: "npm-audit", Health: verdict.Healthy}},
		Needs: []verdict.Need{{What: "npm dependencies", Tools: []string{"npm-audit"}}},
		Place: verdict.Place{Files: 3, Commits: 1},
	})
}
