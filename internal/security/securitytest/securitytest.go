// Package securitytest has results of security scans for tests: of each verdict, with
// many findings, and with texts that try to be more than text.
package securitytest

import (
	"fmt"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/redact"
)

// The time and commit of the scans.
var (
	Now  = time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	Head = strings.Repeat("a1", 20)
)

// HealthyTools are what a scan at level quick has if all is well.
func HealthyTools() []verdict.Tool {
	isolated := []string{"environment", "read-only workspace", "no network", "memory", "time"}
	tool := func(name, does string, class finding.Class, version string, c verdict.Coverage, found int) verdict.Tool {
		t := verdict.Tool{Name: name, Does: does, Class: class, Version: version, Health: verdict.Healthy, Coverage: c, Found: found, Planted: "found", Took: 1500 * time.Millisecond}
		if version != "" {
			t.Isolated = isolated
		}
		return t
	}
	commits := verdict.Unknown()
	commits.Commits, commits.CommitsExpected = 42, 42
	files := verdict.Unknown()
	files.Files, files.FilesExpected = 310, 310
	packages := verdict.Unknown()
	packages.Packages, packages.PackagesExpected = 812, 812
	audit := tool("npm-audit", "known vulnerabilities of npm packages", finding.ClassDependency, "11.4.0", packages, 0)
	audit.Isolated = isolated[:2]
	osv := tool("osv-scanner", "known vulnerabilities of packages", finding.ClassDependency, "2.3.1", packages, 0)
	osv.Database = Now.Add(-5 * time.Hour)
	osv.Notes = []string{"configured by osv-scanner.toml"}
	return []verdict.Tool{
		tool("gitleaks", "secrets in commits and files", finding.ClassSecret, "8.30.1", commits, 0),
		tool("trufflehog", "secrets in commits", finding.ClassSecret, "3.97.0", commits, 0),
		tool("patterns", "secret patterns and .env files", finding.ClassSecret, "", files, 0),
		audit, osv,
		tool("inventory", "packages with suspicious names", finding.ClassDependency, "", packages, 0),
		tool("actionlint", "mistakes in workflows", finding.ClassWorkflow, "1.7.12", files, 0),
		{Name: "hadolint", Does: "Dockerfiles", Class: finding.ClassConfig, Health: verdict.NotApplicable, Why: "no Dockerfile"},
		{Name: "semgrep", Does: "patterns in code", Class: finding.ClassCode, Health: verdict.LeftOut, Why: "not in level quick"},
	}
}

// Set changes the tool of a name.
func Set(tools []verdict.Tool, name string, change func(*verdict.Tool)) {
	for i := range tools {
		if tools[i].Name == name {
			change(&tools[i])
		}
	}
}

func Secret() finding.Finding {
	at := finding.Location{Path: "config/prod.env", Line: 3, Context: "AWS_KEY=", Commit: strings.Repeat("c3", 20)}
	return finding.Finding{
		ID: "sec-77aa01", Class: finding.ClassSecret, Title: "AWS access key", Severity: finding.Critical, Why: "gitleaks rates a secret as critical", State: finding.StateNew, EPSS: -1,
		Sightings: []finding.Sighting{
			{Tool: "gitleaks", Rule: "aws-access-token", Message: "An AWS access key is in the file", Location: at, Secret: finding.Secret{Hash: "00ff"}},
			{Tool: "trufflehog", Rule: "AWS", Location: finding.Location{Path: "config/prod.env", Line: 3}, Secret: finding.Secret{Hash: "00ff", Live: finding.LiveVerified}},
		},
	}
}

func Lodash() finding.Finding {
	return finding.Finding{
		ID: "dep-10c4e2", Class: finding.ClassDependency, Title: "Command injection in lodash", Severity: finding.High, Why: "osv-scanner: CVSS 7.2", State: finding.StateNew, Exploited: true, EPSS: 0.31,
		Sightings: []finding.Sighting{
			{Tool: "npm-audit", Rule: "GHSA-35jh-r3h4-6jhm", Message: "lodash before 4.17.21", Help: "https://github.com/advisories/GHSA-35jh-r3h4-6jhm", IDs: []string{"GHSA-35jh-r3h4-6jhm"},
				Location: finding.Location{Path: "package-lock.json", Line: 120}, Package: finding.Package{Ecosystem: "npm", Name: "lodash", Version: "4.17.20", Fixed: "4.17.21"}, Known: Now.Add(-10 * time.Hour)},
			{Tool: "osv-scanner", Rule: "CVE-2021-23337", IDs: []string{"CVE-2021-23337", "GHSA-35jh-r3h4-6jhm"}, Location: finding.Location{Path: "package-lock.json"},
				Package: finding.Package{Ecosystem: "npm", Name: "lodash", Version: "4.17.20", Fixed: "4.17.21"}, Reach: finding.ReachCalled},
		},
	}
}

func Workflow(state finding.State) finding.Finding {
	return finding.Finding{
		ID: "wf-5510", Class: finding.ClassWorkflow, Title: "Untrusted input in a script", Severity: finding.Medium, State: state, EPSS: -1,
		Sightings: []finding.Sighting{{Tool: "actionlint", Rule: "expression", Message: "github.event.issue.title is untrusted", Location: finding.Location{Path: ".github/workflows/ci.yml", Line: 14, Column: 9}}},
	}
}

func Waive(f finding.Finding) finding.Finding {
	f.Waived = finding.Waived{By: "security-waivers.yaml:4", Reason: "the value is numeric | checked", Owner: "@acme/platform", Expires: Now.Add(40 * 24 * time.Hour)}
	return f
}

func Input(tools []verdict.Tool, findings ...finding.Finding) verdict.Input {
	policy, err := verdict.NewPolicy("high", nil)
	if err != nil {
		panic(err)
	}
	return verdict.Input{
		Level: verdict.Quick, Policy: policy, Findings: findings, Tools: tools, Needs: verdict.NeedsOf(verdict.Quick), At: Now, Took: 34 * time.Second,
		Place: verdict.Place{Repository: "acme/shop", Commit: Head, Ref: "refs/heads/main", Commits: 42, Files: 310},
	}
}

// Cases are the results that all views are tried on.
func Cases() map[string]verdict.Result {
	inconclusive := HealthyTools()
	Set(inconclusive, "trufflehog", func(t *verdict.Tool) {
		*t = verdict.Tool{Name: t.Name, Does: t.Does, Class: t.Class, Health: verdict.Missing, Why: "trufflehog is not in PATH", Hint: "mage tools:install", Coverage: verdict.Unknown()}
	})
	Set(inconclusive, "gitleaks", func(t *verdict.Tool) {
		t.Health, t.Why, t.Planted, t.Coverage = verdict.Blind, "it did not find the planted problem", "not found", verdict.Unknown()
	})
	both := HealthyTools()
	Set(both, "npm-audit", func(t *verdict.Tool) {
		t.Health, t.Why, t.Coverage = verdict.TimedOut, "it did not end within 2m0s", verdict.Unknown()
	})
	Set(both, "osv-scanner", func(t *verdict.Tool) {
		t.Health, t.Why, t.Database = verdict.Stale, "its database is 9 days old, more than 2 days", Now.Add(-9*24*time.Hour)
	})
	mixed := Input(both, Secret(), Lodash(), Waive(Workflow(finding.StateExisting)))
	mixed.Compared = "the base b2b2b2b2b2 of the pull request"
	mixed.Policy.OnlyNew = true
	mixed.Fixed = []finding.Finding{{ID: "dep-99", Class: finding.ClassDependency, Title: "ReDoS in minimatch", Severity: finding.High,
		Sightings: []finding.Sighting{{Tool: "npm-audit", Package: finding.Package{Name: "minimatch", Version: "3.0.4", Fixed: "3.0.5"}, Location: finding.Location{Path: "package-lock.json"}}}}}
	note := func(line int, what, why string, days int) []verdict.WaiverNote {
		return []verdict.WaiverNote{{Name: fmt.Sprintf("security-waivers.yaml:%d", line), What: what, Owner: "@acme/platform", Expires: Now.Add(time.Duration(days) * 24 * time.Hour), Why: why}}
	}
	mixed.Waivers = verdict.Waivers{Expired: note(9, "CVE-2020-1", "It expired on 2026-11-20.", -10), Soon: note(4, "wf-5510", "It ends in 5 days.", 5),
		Unused: note(20, "DL3002", "It matches no finding.", 60), Refused: note(25, "sec-77aa01", "The credential works.", 60)}
	return map[string]verdict.Result{
		"pass":         verdict.Judge(Input(HealthyTools(), Workflow(finding.StateNew))),
		"refused":      verdict.Judge(Input(HealthyTools(), Secret(), Lodash(), Workflow(finding.StateNew))),
		"inconclusive": verdict.Judge(Input(inconclusive)),
		"both":         verdict.Judge(mixed),
	}
}

// Flood is a result with n findings.
func Flood(n int) verdict.Result {
	var all []finding.Finding
	for i := range n {
		f := []finding.Finding{Secret(), Lodash(), Workflow(finding.StateNew)}[i%3]
		f.ID = fmt.Sprintf("%s-%d", f.ID, i)
		all = append(all, f)
	}
	return verdict.Judge(Input(HealthyTools(), all...))
}

// Hostile puts a text into every string of a result.
func Hostile(text string) verdict.Result {
	r := Cases()["both"]
	verdictOf, level := r.Verdict, r.Level
	r = redact.Deep(r, func(s string) string {
		switch s { // words of ours that code depends on
		case "", string(finding.StateNew), string(finding.StateExisting), string(finding.StateFixed), string(finding.LiveVerified), string(finding.ReachCalled):
			return s
		}
		for _, c := range finding.Classes() {
			if s == string(c) {
				return s
			}
		}
		for _, h := range []verdict.Health{verdict.Healthy, verdict.Missing, verdict.Stale, verdict.TimedOut, verdict.NotApplicable, verdict.LeftOut} {
			if s == string(h) {
				return s
			}
		}
		return text
	})
	r.Verdict, r.Level = verdictOf, level
	return r
}
