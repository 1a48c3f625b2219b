package inputs

import (
	"regexp"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/input"
)

// The values of inputs that choose by the event.
const (
	Auto = "auto"
	Yes  = "true"
	No   = "false"
)

// The commands.
const (
	CommandMeasure  = "measure"
	CommandReport   = "report"
	CommandBaseline = "baseline"
	CommandPin      = "pin"
	CommandUnpin    = "unpin"
)

// What head is compared with.
const (
	CompareBase     = "base"
	CompareBaseline = "baseline"
	CompareNone     = "none"
)

var runsForm = &input.Form{Want: "auto, or a number of runs from 1 to 50", Pattern: regexp.MustCompile(`^(auto|[1-9]|[1-4][0-9]|50)$`)}

// Spec defines inputs, outputs and permissions of perf-gate.
func Spec() input.Spec {
	return input.Spec{
		Name:  "perf-gate",
		Title: "Candlefish Performance Gate",
		Description: "Measures pages with Lighthouse, load with k6, user journeys in a browser, benchmarks and bundles, compares them with a base by statistics, and gives one verdict. " +
			"What could not be measured makes it inconclusive, never a pass.",
		Inputs:      inputs(),
		First:       []string{"url", "base-url", "pages", "meters", "scenarios", "duration", "load-hosts", "budgets", "baseline", "github-token"},
		Outputs:     outputs(),
		Permissions: permissions(),
	}
}

func inputs() []input.Def {
	return slices.Concat(
		input.Group("What to do", goalInputs()),
		input.Group("What to measure", targetInputs()),
		input.Group("Load", loadInputs()),
		input.Group("Journeys, benchmarks, bundles and samples", otherInputs()),
		input.Group("Verdict", verdictInputs()),
		input.Group("Baseline", baselineInputs()),
		input.Group("Where people see it", viewInputs()),
		input.Group("Servers", serverInputs()),
	)
}

func goalInputs() []input.Def {
	return []input.Def{
		{
			Name: "command", Kind: input.Enum, Default: CommandMeasure, Allowed: []string{CommandMeasure, CommandReport, CommandBaseline, CommandPin, CommandUnpin},
			Help: "What to do: measure; write the reports of the last run again; show the baseline; pin a run of it as the anchor against slow drift; or remove the anchor",
		},
		{
			Name: "environment", Default: "staging", Env: "TEST_ENVIRONMENT", Form: input.FormLabel, Help: "Name of the deployment environment that is measured",
		},
		{
			Name: "report-dir", Default: "performance-report", Help: "Folder for the reports; created if missing",
		},
	}
}

func targetInputs() []input.Def {
	return []input.Def{
		{
			Name: "meters", Kind: input.List, Discovered: "all that have something to measure",
			Help: "What measures, one per line: lighthouse, journey, load, gobench, bundle, samples, servertime. One that is named must measure something", Example: "lighthouse",
		},
		{
			Name: "url", Kind: input.URL, Env: "TARGET_URL", Discovered: "no pages and no load", Help: "URL of the version to measure", Example: "https://staging.example.com",
		},
		{
			Name: "base-url", Kind: input.URL, Discovered: "no base", Help: "URL of the version to compare with; both are measured in turn in this job",
		},
		{
			Name: "pages", Kind: input.List, Discovered: "/", Help: "Paths of the pages, one per line", Example: "/workshop",
		},
		{
			Name: "sitemap", Kind: input.URL, Discovered: "no sitemap", Help: "URL of a sitemap whose pages are measured too",
		},
		{
			Name: "max-pages", Kind: input.Int, Default: "20", Range: &input.Range{Min: 1, Max: 1000}, Help: "Pages of the sitemap that are measured at most",
		},
		{
			Name: "devices", Kind: input.List, Discovered: "desktop and mobile", Help: "Devices on which pages and journeys are measured, one per line: desktop, mobile",
		},
		{
			Name: "runs", Default: Auto, Form: runsForm, Help: "Runs of each page, journey and benchmark, of each version; auto is 5, and in a comparison as many more as it takes to prove that one page got worse in one metric",
		},
		{
			Name: "headers", Kind: input.List, Secret: true, Discovered: "none", Help: "Headers as NAME: value, one per line, that are sent to the URL's own origin only, such as those of a protected preview",
		},
		{
			Name: "dir", Default: ".", Env: "GITHUB_WORKSPACE", Help: "Folder of the repository, for benchmarks, bundles and files of the inputs",
		},
		{
			Name: "base-dir", Discovered: "no base", Help: "Folder with a checkout of the version to compare with, for benchmarks and bundles",
		},
		{
			Name: "chrome", Env: "CHROME_PATH", Discovered: "chromium, chromium-browser or google-chrome in PATH", Help: "Program of Chromium or Chrome",
		},
		{
			Name: "tool-timeout", Kind: input.Duration, Default: "5m", Range: &input.Range{Min: 1, Max: 6 * 3600}, Help: "Time limit of one run of one tool, beyond the duration of a load",
		},
		{
			Name: "tools-lock", Discovered: "the tools of this version", Help: "YAML file with tools of your own: path, version and sha256, see docs/security-tools.md",
		},
	}
}

func loadInputs() []input.Def {
	return []input.Def{
		{
			Name: "scenarios", Kind: input.List, Env: "TEST_SCENARIOS", Discovered: "basic",
			Help: "Load to make, one per line: basic, load, stress, spike, sustained, all of these, or the path of a k6 script of yours", Example: "basic",
		},
		{
			Name: "duration", Kind: input.Duration, Bare: time.Minute, Env: "TEST_DURATION", Discovered: "that of the scenario", Range: &input.Range{Min: 10, Max: 6 * 3600},
			Help: "Duration of each scenario; a comparison divides it into its runs",
		},
		{
			Name: "users", Kind: input.Int, Env: "CONCURRENT_USERS", Discovered: "those of the scenario", Range: &input.Range{Min: 1, Max: 10000}, Help: "Concurrent users of each scenario at its height",
		},
		{
			Name: "load-hosts", Kind: input.List, Discovered: "only this machine, private networks and clusters",
			Help: "Public hosts that may be put under load, one per line. A load on any other public host is refused", Example: "staging.example.com",
		},
		{
			Name: "distributed", Kind: input.Bool, Default: "false", Help: "Make the load by pods of a cluster, with k6-operator, where one machine is too small for it",
		},
		{
			Name: "load-namespace", OnlyFor: "distributed=true", Form: input.FormLabel, Discovered: "an error with distributed", Help: "Namespace of the pods that make load",
		},
		{
			Name: "load-pods", Kind: input.Int, Default: "2", OnlyFor: "distributed=true", Range: &input.Range{Min: 1, Max: 200}, Help: "Pods that share the load",
		},
		{
			Name: "load-image", Default: "grafana/k6:2.2.0", OnlyFor: "distributed=true", Form: input.FormImage, Help: "Image of the pods that make load, with k6 and sh",
		},
		{
			Name: "load-starter-image", OnlyFor: "distributed=true", Form: input.FormImage, Discovered: "that of k6-operator", Help: "Image of the pod that lets all begin at once, with curl and sh",
		},
		{
			Name: "kubeconfig", Env: "KUBECONFIG", Discovered: "the default kubeconfig, then the pod's service account", Help: "Path of the kubeconfig, for a distributed load",
		},
		{
			Name: "kube-context", Discovered: "the current context", Help: "Context in the kubeconfig",
		},
		{
			Name: "p95-threshold", Kind: input.Duration, Bare: time.Millisecond, Env: "P95_THRESHOLD", Default: "2s", Help: "Limit that the 95th percentile of response times must be below",
		},
		{
			Name: "p99-threshold", Kind: input.Duration, Bare: time.Millisecond, Env: "P99_THRESHOLD", Default: "5s", Help: "Limit that the 99th percentile of response times must be below",
		},
		{
			Name: "error-rate-threshold", Kind: input.Float, Unit: "%", Env: "ERROR_RATE_THRESHOLD", Default: "1", Range: &input.Range{Min: 0, Max: 100}, Help: "Limit that the share of failed requests must be below, in percent",
		},
		{
			Name: "throughput-threshold", Kind: input.Float, Env: "THROUGHPUT_THRESHOLD", Default: "100", Range: &input.Range{Min: 0, Max: 1e6}, Help: "Requests per second that the scenario sustained must exceed",
		},
	}
}

func otherInputs() []input.Def {
	return []input.Def{
		{
			Name: "journeys", Discovered: "each page is visited", Help: "YAML file of user journeys, see docs/performance-journeys.md", Example: "performance-journeys.yaml",
		},
		{
			Name: "journey-variables", Kind: input.List, Discovered: "none", Help: "Environment variables that the journeys may use, such as a test user's password, one per line",
		},
		{
			Name: "go-bench", Discovered: "no benchmarks", Help: "Go benchmarks to run, as go test -bench takes them", Example: "BenchmarkParse",
		},
		{
			Name: "go-benchtime", Discovered: "1s", Help: "Time or count of each Go benchmark, as go test -benchtime takes it", Example: "100x",
		},
		{
			Name: "go-packages", Kind: input.List, Discovered: "./...", Help: "Folders of the Go benchmarks, one per line",
		},
		{
			Name: "bundles", Kind: input.List, Discovered: "no bundles", Help: "Files whose sizes count, as NAME=GLOB,GLOB or the folder of a build with a manifest, one per line", Example: "app=dist/assets/*.js",
		},
		{
			Name: "queries", Discovered: "no queries", Help: "YAML file of Prometheus queries for the server's own timing, see docs/performance-samples.md",
		},
		{
			Name: "samples", Kind: input.List, Discovered: "no samples", Help: "JSON files with samples of other tools, one per line as [FORMAT:]HEAD[,BASE], see docs/performance-samples.md",
		},
	}
}

func verdictInputs() []input.Def {
	return []input.Def{
		{
			Name: "budgets", Kind: input.List, Discovered: "the limits of this version",
			Help: "Files with limits, one per line: performance-budgets.yaml, budget.json of Lighthouse, or lighthouserc.json", Example: "performance-budgets.yaml",
		},
		{
			Name: "default-budgets", Kind: input.Bool, Default: "true", Help: "Hold the limits of this version too, where your files have none for the same metric",
		},
		{
			Name: "compare", Kind: input.Enum, Default: Auto, Allowed: []string{Auto, CompareBase, CompareBaseline, CompareNone},
			Help: "What to compare with: the base in this job; earlier runs of the baseline; nothing; auto is the base if there is one, else the baseline if there is one",
		},
		{
			Name: "alpha", Kind: input.Float, Default: "0.05", Range: &input.Range{Min: 0.0001, Max: 0.5}, Help: "Probability of one or more false alarms in a run without any change",
		},
		{
			Name: "effect", Kind: input.Float, Default: "0.33", Range: &input.Range{Min: 0, Max: 1}, Help: "Smallest Cliff's delta that counts as a change, from 0 to 1",
		},
		{
			Name: "floors", Kind: input.List, Discovered: "the floors of the metrics", Help: "Smallest changes that count, as METRIC=ABSOLUTE,PERCENT, one per line", Example: "largest-contentful-paint=100,5%",
		},
		{
			Name: "optional-meters", Kind: input.List, Discovered: "none", Help: "Meters without which the verdict can be a pass, one per line: the report names what they did not measure",
		},
		{
			Name: "require-data", Kind: input.Bool, Default: "true", Help: "Be inconclusive if a comparison with the base has not enough data",
		},
		{
			Name: "require-baseline", Kind: input.Bool, Default: "false", Help: "Be inconclusive if there is no baseline, or too little of it, to compare with",
		},
	}
}

func baselineInputs() []input.Def {
	return []input.Def{
		{
			Name: "baseline", Discovered: "no baseline", Help: "Where results of earlier runs are: git:BRANCH, folder:PATH or s3:BUCKET/FOLDER", Example: "git:performance",
		},
		{
			Name: "baseline-machine", OnlyFor: "command=pin command=unpin", Discovered: "the only one", Help: "Part of the name of the machine and versions whose run is pinned or unpinned, as the command baseline shows it",
		},
		{
			Name: "baseline-commit", OnlyFor: "command=pin", Discovered: "the newest run", Help: "Commit whose run is pinned",
		},
		{
			Name: "store-baseline", Kind: input.Bool, Default: "true",
			Help: "Add this run to the baseline, if it is of a laptop, of a schedule, or of a push to one of baseline-branches; a pull request is only compared",
		},
		{
			Name: "baseline-branches", Kind: input.List, Discovered: "the default branch", Help: "Patterns of the branches whose runs are stored instead, of dispatches and deployments too, one per line", Example: "release/*",
		},
	}
}

func viewInputs() []input.Def {
	return []input.Def{
		{
			Name: "github-token", Secret: true, Env: "GITHUB_TOKEN", Discovered: "nothing is written to GitHub", Help: "Token for comment, check, deployment status and baseline; no tool gets it",
		},
		{
			Name: "repository", Env: "GITHUB_REPOSITORY", Form: input.FormRepository, Discovered: "from the event", Help: "Repository on GitHub",
		},
		{
			Name: "comment", Kind: input.Enum, Default: Auto, Allowed: []string{Auto, Yes, No}, Help: "Write one comment on the pull request; auto is true with a token and a pull request",
		},
		{
			Name: "check", Kind: input.Enum, Default: Auto, Allowed: []string{Auto, Yes, No}, Help: "Post the numbers as a check of the commit; auto is true with a token on the runner",
		},
		{
			Name: "deployment-status", Kind: input.Enum, Default: Auto, Allowed: []string{Auto, Yes, No},
			Help: "Post the numbers as a status of the environment's deployment of the commit; auto is true with a token, if there is such a deployment",
		},
		{
			Name: "annotations", Kind: input.Bool, Default: "true", Help: "Annotate limits that do not hold and metrics that got worse",
		},
		{
			Name: "slack-webhook-url", Secret: true, Env: "SLACK_WEBHOOK_URL", Discovered: "no message", Help: "Incoming webhook of the Slack channel",
		},
	}
}

func serverInputs() []input.Def {
	return []input.Def{
		{
			Name: "github-api-url", Kind: input.URL, Env: "GITHUB_API_URL", Default: "https://api.github.com", Help: "URL of GitHub's API",
		},
		{
			Name: "aws-region", Env: "AWS_REGION", Discovered: "the AWS SDK's default", Help: "AWS region of a baseline in S3",
		},
		{
			Name: "aws-endpoint-url", Kind: input.URL, Env: "AWS_ENDPOINT_URL", Discovered: "AWS", Help: "URL of a test server that replaces AWS",
		},
		{
			Name: "prometheus-url", Secret: true, Env: "PROMETHEUS_URL", Discovered: "no queries", Help: "URL of the Prometheus server of the queries; it may hold a user and a password",
		},
	}
}

func outputs() []input.Output {
	return []input.Output{
		{Name: "status", Help: "Verdict: pass, refused or inconclusive; failed, bad-input or abort-failed if there is none"},
		{Name: "worse", Help: "Metrics that got worse, one per line"},
		{Name: "better", Help: "Metrics that got better, one per line"},
		{Name: "over-budget", Help: "Limits of severity error that do not hold, one per line"},
		{Name: "unmeasured", Help: "Meters whose values cannot be believed, and why, one per line"},
		{Name: "compared", Help: "What the values were compared with; empty if with nothing"},
		{Name: "performance-desktop", Help: "Lowest Lighthouse performance score of all pages on the desktop, out of 100"},
		{Name: "performance-mobile", Help: "Lowest Lighthouse performance score of all pages on mobile, out of 100"},
		{Name: "p95", Help: "Highest 95th percentile of response times of all scenarios, in milliseconds"},
		{Name: "p99", Help: "Highest 99th percentile of response times of all scenarios, in milliseconds"},
		{Name: "error-rate", Help: "Highest share of failed requests of all scenarios, in percent"},
		{Name: "report", Help: "Path of the Markdown report"},
		{Name: "report-json", Help: "Path of the JSON report"},
		{Name: "report-html", Help: "Path of the HTML report"},
		{Name: "comment-url", Help: "URL of the comment on the pull request"},
		{Name: "check-url", Help: "URL of the check"},
		{Name: "overhead", Help: "Time of the run in which nothing was measured, in seconds"},
	}
}

func permissions() []input.Permission {
	github := "GitHub token"
	return []input.Permission{
		{Where: github, What: "pull-requests: write", Why: "Write one comment on the pull request"},
		{Where: github, What: "checks: write", Why: "Post the numbers as a check"},
		{Where: github, What: "deployments: write", Why: "Post the numbers as a deployment status"},
		{Where: github, What: "contents: write", Why: "Keep the baseline in a git branch"},
		{Where: "Kubernetes, in load-namespace", What: "testruns.k6.io: create, get, list, watch, delete; configmaps: create, get, patch; pods: list, watch; pods/log: get", Why: "Make a distributed load by k6-operator"},
		{Where: "Kubernetes, in load-namespace", What: "secrets: create; events: list", Why: "Give k6 the headers of a protected preview, with headers only; say why pods do not start, optional"},
		{Where: "AWS", What: "s3:GetObject, s3:PutObject on the file, and s3:ListBucket on its bucket, of the baseline", Why: "Keep the baseline in S3"},
	}
}
