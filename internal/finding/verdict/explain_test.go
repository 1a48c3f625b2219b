package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/finding"
)

// scanned has a vulnerability, a secret that works, and a waived rule.
func scanned(t *testing.T) Result {
	in := whole(t)
	in.Compared = "the baseline of main"
	in.Findings = []finding.Finding{
		{
			ID: "3f1c9ab2e4d5", Fingerprints: []string{"3f1c9ab2e4d5", "999999999999"}, IDs: []string{"CVE-2021-23337", "GHSA-35jh-r3h4-6jhm"},
			Class: finding.ClassDependency, Title: "Command injection\x1b[31m in\nlodash", Severity: finding.High, Why: "npm-audit says high", EPSS: 0.0123, Exploited: true, State: finding.StateNew,
			Sightings: []finding.Sighting{
				{Tool: "npm-audit", Rule: "1106913", Location: finding.Location{Path: "package-lock.json", Line: 12}, Package: finding.Package{Name: "lodash", Version: "4.17.20", Fixed: "4.17.21"}, Known: now.Add(-36 * time.Hour)},
				{Tool: "trivy-image", Rule: "CVE-2021-23337", Location: finding.Location{Path: "app/package.json", Image: "app:1"}, Package: finding.Package{Name: "lodash", Version: "4.17.20", Fixed: "4.17.21"}, Reach: finding.ReachImported, Suppressed: "ignored"},
			},
		},
		{
			ID: "3f1c9a000000", Class: finding.ClassSecret, Title: "AWS key", Severity: finding.Critical, Why: "it works", EPSS: -1, State: finding.StateExisting, Commits: []string{"111111111111"},
			Sightings: []finding.Sighting{{Tool: "trufflehog", Rule: "AWS", Location: finding.Location{Path: "a.env", Commit: "abc"}, Secret: finding.Secret{Live: finding.LiveVerified}}},
		},
		{
			ID: "777777777777", Class: finding.ClassConfig, Title: "Root", Severity: finding.Medium, Why: "hadolint says warning", EPSS: -1, State: finding.StateNew,
			Sightings: []finding.Sighting{{Tool: "hadolint", Rule: "DL3002", Location: finding.Location{Path: "Dockerfile", Line: 3}, Help: "https://example.com/DL3002"}},
			Waived:    finding.Waived{By: "security-waivers.yaml:3", Reason: "for development only", Owner: "web", Kind: "not-for-release", Expires: now.AddDate(0, 0, 5)},
		},
	}
	in.Waivers.Expired = []WaiverNote{{Name: "security-waivers.yaml:9", What: "CVE-2021-23337", Why: "it expired on 2026-03-09.", IDs: []string{"3f1c9ab2e4d5"}}}
	return Judge(in)
}

func TestExplain(t *testing.T) {
	t.Parallel()
	got, err := Explain(scanned(t), "cve-2021-23337")
	if err != nil {
		t.Fatal(err)
	}
	want := `Command injection [31m in lodash
ID         3f1c9ab2e4d5
Severity   high: npm-audit says high
Class      dependency
Known as   CVE-2021-23337, GHSA-35jh-r3h4-6jhm
State      new, compared with the baseline of main
Published  2026-03-09, 1 day before this scan
Exploited  yes: it is in CISA's list of exploited vulnerabilities; within 30 days with a probability of 1.2 % (EPSS)
Counts     yes, as high. It is open. Budget high=0: 1 found.
Seen by    npm-audit (1106913); package-lock.json:12; lodash 4.17.20
           trivy-image (CVE-2021-23337); app/package.json in image app:1; lodash 4.17.20; imported; the tool itself accepts it: ignored
Fix        update lodash from 4.17.20 to 4.17.21
Waiver     security-waivers.yaml:9 does not hold: it expired on 2026-03-09.

To waive it, add this to the list of security-waivers.yaml, with a reason and an owner:

  - fingerprint: "3f1c9ab2e4d5"
    reason: ""
    owner: ""
    kind: risk-accepted
    created: 2026-03-10
    expires: 2026-04-09
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExplainOthers(t *testing.T) {
	t.Parallel()
	r := scanned(t)
	tests := []struct {
		id   string
		says []string
		not  string
	}{
		{"3f1c9a000000", []string{"yes, as critical. It is a credential that was verified as live", "the credential works", "Fix        revoke", "none holds for a credential that works", "a.env in commit abc"}, "To waive"},
		{"777777777777", []string{"no. It is waived by security-waivers.yaml:3.", "Waiver     security-waivers.yaml:3 holds: for development only (web), until 2026-03-15", "see https://example.com/DL3002"}, "To waive"},
		{"7777777", []string{"ID         777777777777"}, "3f1c"},
		{"999999999999", []string{"ID         3f1c9ab2e4d5"}, "7777"},
	}
	for _, tt := range tests {
		text, err := Explain(r, tt.id)
		if err != nil {
			t.Errorf("%s: %v", tt.id, err)
		}
		for _, part := range tt.says {
			if !strings.Contains(text, part) {
				t.Errorf("%s is explained as\n%swithout %q", tt.id, text, part)
			}
		}
		if strings.Contains(text, tt.not) {
			t.Errorf("%s is explained as\n%swith %q", tt.id, text, tt.not)
		}
	}
	r.Verdict = Pass
	if text, err := Explain(r, ""); err != nil || text != "No finding refused this scan.\n" {
		t.Errorf("without a refusal: %q, %v", text, err)
	}
	r.Verdict, r.Reasons = Refused, []Reason{{Text: "1 high finding", IDs: []string{r.Findings[0].ID}}, {Text: "not scanned"}}
	if text, err := Explain(r, ""); err != nil || strings.Count(text, "Severity ") != 1 || !strings.Contains(text, r.Findings[0].ID) {
		t.Errorf("what refused is explained as %q, %v", text, err)
	}
	for id, want := range map[string]string{"3f1c9a": "2 findings have an ID that begins with 3f1c9a", "777": `no finding of this scan is called "777"`, "CVE-2": "no finding"} {
		_, err := Explain(r, id)
		if status, _ := exit.Of(err); err == nil || status != exit.BadInput || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", id, err, want)
		}
	}
}
