package inputs

import (
	"regexp"
	"slices"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/input"
)

// commitForm is what git takes for a commit, without options and ranges.
var commitForm = &input.Form{Want: "a commit or the name of a branch or tag", Pattern: regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./~^-]*$`), Max: 250}

// The values of inputs that choose by the event.
const (
	Auto = "auto"
	Yes  = "true"
	No   = "false"
)

// The commands.
const (
	CommandScan     = "scan"
	CommandReport   = "report"
	CommandBaseline = "baseline"
	CommandExplain  = "explain"
)

// What findings are compared with.
const (
	CompareBase = "base"
	CompareFile = "file"
	CompareNone = "none"
)

// Spec defines inputs, outputs and permissions of security-gate.
func Spec() input.Spec {
	return input.Spec{
		Name:  "security-gate",
		Title: "Candlefish Security Gate",
		Description: "Runs scanners for secrets, dependencies, code, containers, workflows and hosts, and gives one verdict over all. " +
			"A scanner that is missing, crashed, old, partial or blind makes it inconclusive, never a pass.",
		Inputs:      inputs(),
		First:       []string{"level", "fail-on", "budgets", "waivers", "images", "hosts", "github-token"},
		Outputs:     outputs(),
		Permissions: permissions(),
	}
}

func inputs() []input.Def {
	return slices.Concat(
		input.Group("What to do", goalInputs()),
		input.Group("What to scan", targetInputs()),
		input.Group("Scanners", toolInputs()),
		input.Group("Verdict", verdictInputs()),
		input.Group("Where people see it", viewInputs()),
		input.Group("Servers", serverInputs()),
	)
}

func goalInputs() []input.Def {
	return []input.Def{
		{
			Name: "command", Kind: input.Enum, Default: CommandScan, Allowed: []string{CommandScan, CommandReport, CommandBaseline, CommandExplain},
			Help: "What to do: scan; write the reports of the last scan again; record its findings as the baseline; or explain one of its findings",
		},
		{
			Name: "level", Kind: input.Enum, Default: Auto, Allowed: []string{Auto, "quick", "standard", "deep"}, Env: "SCAN_DEPTH",
			Help: "How deep to scan; auto is deep on a schedule, quick for a pull request, and else standard",
		},
		{
			Name: "finding", Positional: true, Discovered: "all findings that fail", Help: "With command explain: the finding's ID, its CVE, or the beginning of either", Example: "3f9a1c",
		},
		{
			Name: "report-dir", Default: "security-reports", Env: "SECURITY_REPORT_PATH", Help: "Folder for the reports; created if missing",
		},
		{
			Name: "sarif-dir", Default: "sarif-results", Env: "SARIF_PATH", Help: "Folder for the SARIF files; created if missing",
		},
	}
}

func targetInputs() []input.Def {
	return []input.Def{
		{
			Name: "dir", Default: ".", Env: "GITHUB_WORKSPACE", Help: "Folder of the repository to scan",
		},
		{
			Name: "base", Form: commitForm, Discovered: "the event's base, or the commit before the push", Help: "Commit from which on secrets are looked for, and with which findings are compared",
		},
		{
			Name: "head", Form: commitForm, Discovered: "the event's head, or HEAD", Help: "Commit to scan; the folder must have it checked out, or a merge of it",
		},
		{
			Name: "images", Kind: input.List, Discovered: "no images", Help: "Container images to scan: references, or archives of docker save, one per line", Example: "registry.example/website:1.4.2",
		},
		{
			Name: "hosts", Kind: input.List, Discovered: "no hosts", Help: "Hosts whose certificates, protocols and headers a deep scan looks at, one per line", Example: "www.example.com",
		},
		{
			Name: "sarif-files", Kind: input.List, Discovered: "none", Help: "SARIF files of other tools that count as well, one per line",
		},
		{
			Name: "verify-secrets", Kind: input.Bool, Default: "false",
			Help: "Try found credentials at their services, which tells live ones apart; it sends them there",
		},
	}
}

func toolInputs() []input.Def {
	return []input.Def{
		{
			Name: "skip-tools", Kind: input.List, Discovered: "none", Help: "Scanners that do not run, one per line; what only they could see makes the verdict inconclusive",
		},
		{
			Name: "optional-tools", Kind: input.List, Discovered: "none",
			Help: "Scanners without which the verdict can be a pass, one per line: the report names what they did not see",
		},
		{
			Name: "tools-lock", Discovered: "the tools of this version", Help: "YAML file with scanners of your own: path, version and sha256, see docs/security-tools.md",
		},
		{
			Name: "offline", Kind: input.Bool, Default: "false", Help: "Fetch no database; one that is too old still makes the verdict inconclusive",
		},
		{
			Name: "parallel", Kind: input.Int, Default: "0", Range: &input.Range{Min: 0, Max: 64}, Help: "Scanners that run side by side; 0 is one per core",
		},
		{
			Name: "tool-timeout", Kind: input.Duration, Default: "10m", Range: &input.Range{Min: 1, Max: 6 * 3600}, Help: "Time limit of each scanner",
		},
		{
			Name: "settings", Kind: input.List, Discovered: "none", Help: "Settings of single scanners as NAME=value, one per line, see docs/security-tools.md", Example: "semgrep-config=p/ci",
		},
		{
			Name: "snyk-token", Secret: true, Env: "SNYK_TOKEN", Discovered: "Snyk does not run", Help: "Token of a Snyk account; only Snyk gets it",
		},
	}
}

func verdictInputs() []input.Def {
	return []input.Def{
		{
			Name: "fail-on", Kind: input.Enum, Allowed: verdict.FailOns(), Discovered: "high, as far as budgets do not say otherwise", Help: "Lowest severity of which one finding fails the gate",
		},
		{
			Name: "budgets", Kind: input.List, Discovered: "none beside fail-on",
			Help: "Findings allowed per severity, or per class and severity, one per line: N, or none for any number", Example: "secret.medium=0",
		},
		{
			Name: "only-new", Kind: input.Enum, Default: Auto, Allowed: []string{Auto, Yes, No},
			Help: "Count only findings that are not in what is compared with; auto is true for a pull request. Live secrets always count",
		},
		{
			Name: "reach", Kind: input.Enum, Default: "all", Allowed: []string{"all", "called"},
			Help: "With called, a vulnerability of a dependency that the program is known not to call counts one severity lower",
		},
		{
			Name: "compare", Kind: input.Enum, Default: Auto, Allowed: []string{Auto, CompareBase, CompareFile, CompareNone},
			Help: "What findings are compared with: the base commit, which is scanned too; the baseline file; nothing; auto is the base for a pull request, else the file if there is one",
		},
		{
			Name: "baseline", Default: "security-baseline.json", Help: "File of the baseline, relative to dir",
		},
		{
			Name: "waivers", Default: "security-waivers.yaml", Help: "File of the waivers, relative to dir; it may be missing unless you name it",
		},
		{
			Name: "max-waiver-age", Kind: input.Duration, Default: "2160h", Range: &input.Range{Min: 24 * 3600, Max: 366 * 24 * 3600}, Help: "Longest time for which a waiver may hold",
		},
		{
			Name: "trust-suppressions", Kind: input.Bool, Default: "false", Help: "Take results that a tool itself suppresses, such as by a comment in the code, as waived",
		},
		{
			Name: "vex", Kind: input.List, Discovered: "none", Help: "OpenVEX files whose statements waive findings, one per line",
		},
		{
			Name: "epss-file", Discovered: "no probabilities", Help: "EPSS scores as FIRST publishes them: a CSV file, also gzipped",
		},
		{
			Name: "kev-file", Discovered: "no list", Help: "CISA's catalogue of exploited vulnerabilities: a JSON file; what is in it is critical",
		},
	}
}

func viewInputs() []input.Def {
	return []input.Def{
		{
			Name: "github-token", Secret: true, Env: "GITHUB_TOKEN", Discovered: "nothing is written to GitHub", Help: "Token for SARIF, comment and issue; no scanner gets it",
		},
		{
			Name: "repository", Env: "GITHUB_REPOSITORY", Form: input.FormRepository, Discovered: "from the event", Help: "Repository on GitHub",
		},
		{
			Name: "upload-sarif", Kind: input.Enum, Default: Auto, Allowed: []string{Auto, Yes, No}, Help: "Upload the findings to GitHub's code scanning; auto is true with a token on the runner",
		},
		{
			Name: "ref", Env: "GITHUB_REF", Discovered: "no upload", Help: "Git ref that the uploaded findings belong to", Example: "refs/heads/main",
		},
		{
			Name: "comment", Kind: input.Enum, Default: Auto, Allowed: []string{Auto, Yes, No}, Help: "Write one comment on the pull request; auto is true with a token and a pull request",
		},
		{
			Name: "annotations", Kind: input.Bool, Default: "true", Help: "Annotate findings on lines that the pull request changed",
		},
		{
			Name: "issue", Kind: input.Enum, Default: Auto, Allowed: []string{Auto, Yes, No}, Help: "Keep one issue for critical findings; auto is true with a token on a schedule",
		},
		{
			Name: "issue-assignees", Kind: input.List, Env: "ONCALL_ENGINEER_CONTACT", Discovered: "nobody", Help: "Users to whom the issue is assigned, one per line",
		},
		{
			Name: "slack-webhook-url", Secret: true, Env: "SLACK_SECURITY_WEBHOOK_URL", Discovered: "no message", Help: "Incoming webhook of the Slack channel for security",
		},
	}
}

func serverInputs() []input.Def {
	return []input.Def{
		{
			Name: "github-api-url", Kind: input.URL, Env: "GITHUB_API_URL", Default: "https://api.github.com", Help: "URL of GitHub's API",
		},
	}
}

func outputs() []input.Output {
	return []input.Output{
		{Name: "status", Help: "Verdict: pass, refused or inconclusive; failed, bad-input or abort-failed if there is none"},
		{Name: "level", Help: "Level of the scan: quick, standard or deep"},
		{Name: "score", Help: "Score out of 100, over all findings that are not waived; of an inconclusive scan it is an upper bound"},
		{Name: "score-status", Help: "Word for the score: excellent, good, needs-attention or critical; at best needs-attention without a pass"},
		{Name: "critical", Help: "Number of critical findings that are not waived"},
		{Name: "high", Help: "Number of high findings that are not waived"},
		{Name: "medium", Help: "Number of medium findings that are not waived"},
		{Name: "low", Help: "Number of low findings that are not waived"},
		{Name: "new", Help: "Number of findings that are not in what was compared with; empty if nothing was"},
		{Name: "fixed", Help: "Number of findings that only that had; empty if nothing was compared with"},
		{Name: "waived", Help: "Number of findings that a waiver holds for"},
		{Name: "unmet", Help: "What the level must contain and the scan did not, one per line"},
		{Name: "unhealthy", Help: "Scanners whose result cannot be believed, one per line"},
		{Name: "report", Help: "Path of the Markdown report"},
		{Name: "report-json", Help: "Path of the JSON report"},
		{Name: "report-html", Help: "Path of the HTML report"},
		{Name: "sarif", Help: "Paths of the SARIF files, one per line"},
		{Name: "comment-url", Help: "URL of the comment on the pull request"},
		{Name: "issue-url", Help: "URL of the issue for critical findings"},
	}
}

func permissions() []input.Permission {
	github := "GitHub token"
	return []input.Permission{
		{Where: github, What: "contents: read", Why: "Check out the repository, with fetch-depth: 0"},
		{Where: github, What: "security-events: write", Why: "Upload the findings to code scanning"},
		{Where: github, What: "pull-requests: write", Why: "Write one comment on the pull request"},
		{Where: github, What: "issues: write", Why: "Keep one issue for critical findings"},
	}
}
