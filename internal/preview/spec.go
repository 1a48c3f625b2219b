package preview

import (
	"regexp"
	"slices"

	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/preview/api"
)

// commitForm is a full commit: an abbreviated one may be ambiguous.
var commitForm = &input.Form{Want: "a commit of 40 hex digits", Pattern: regexp.MustCompile(`^[0-9a-f]{40}$`)}

// healthPath is the path of a URL, with its query.
var healthPath = &input.Form{Want: "a path that begins with a slash", Pattern: regexp.MustCompile(`^/[^\s#]*$`), Max: 2000}

// healthStatus is what api.ParseStatuses reads.
var healthStatus = &input.Form{Want: "statuses such as 200 or 200-299,401", Pattern: api.HealthForm}

// Spec defines inputs, outputs and permissions of pr-preview.
func Spec() input.Spec {
	return input.Spec{
		Name:  "pr-preview",
		Title: "Candlefish PR Preview",
		Description: "Deploys a preview of each pull request, a site on Netlify and an API stack on AWS, " +
			"and removes both when it is closed, verified.",
		Inputs:      inputs(),
		Outputs:     outputs(),
		Permissions: permissions(),
	}
}

func inputs() []input.Def {
	return slices.Concat(
		input.Group("What to do", goalInputs()),
		input.Group("Pull request", pullRequestInputs()),
		input.Group("Frontend", frontendInputs()),
		input.Group("API", apiInputs()),
		input.Group("Checks", checkInputs()),
		input.Group("Servers", serverInputs()),
	)
}

func goalInputs() []input.Def {
	return []input.Def{
		{
			Name: "goal", Kind: input.Enum, Default: "auto", Allowed: []string{"auto", "up", "down", "status", "sweep"},
			Help: "What to do: up deploys, down removes, status reports, sweep removes orphaned previews; auto chooses down when the event closed the pull request, sweep on a schedule, and up otherwise",
		},
		{
			Name: "parts", Kind: input.Enum, Default: "all", Allowed: []string{"all", "frontend", "api"},
			Help: "Parts that this run manages; with api first, the frontend can be built with the real api-url",
		},
		{
			Name: "expires", Kind: input.Duration, Default: "168h", Range: &input.Range{Min: 3600, Max: 24 * 90 * 3600}, Help: "Maximum lifetime of a preview since the last push",
		},
		{
			Name: "allow-forks", Kind: input.Bool, Default: "false",
			Help: "Publish the frontend of a fork's pull request, from a workflow_run that built it without secrets; its API code and functions are never used",
		},
		{
			Name: "environments", Kind: input.Enum, Default: environmentEach, Allowed: []string{environmentEach, environmentOne, environmentNone},
			Help: "Environments on GitHub: one per pull request, preview/pr-N, which only an administrator's token can delete; one for all, preview; or none",
		},
		{
			Name: "remove-open", Kind: input.Bool, Default: "false", Help: "With goal down: remove the preview although its pull request is open",
		},
		{
			Name: "delete", Kind: input.Bool, Default: "false", Help: "Let a sweep remove the orphaned previews instead of only listing them",
		},
		{
			Name: "report-dir", Default: ".", Help: "Folder for pr-preview-report.json; created if missing",
		},
	}
}

func pullRequestInputs() []input.Def {
	return []input.Def{
		{
			Name: "pr-number", Kind: input.Int, Env: "PR_NUMBER", Range: &input.Range{Min: 1, Max: 1e9}, Discovered: "from the event",
			Help: "Number of the pull request",
		},
		{
			Name: "repository", Env: "GITHUB_REPOSITORY", Form: input.FormRepository, Discovered: "from the event", Help: "Repository on GitHub",
		},
		{
			Name: "commit", Form: commitForm, Discovered: "the pull request's head", Help: "Commit of the build",
		},
		{
			Name: "github-token", Env: "GITHUB_TOKEN", Secret: true, Discovered: "required",
			Help: "Token for the pull request, its comment and its environment",
		},
	}
}

func frontendInputs() []input.Def {
	return []input.Def{
		{
			Name: "dir", Default: "out", Help: "Folder with the built frontend",
		},
		{
			Name: "functions", Discovered: "no functions", Help: "Folder with the frontend's functions: .zip files or single .js, .mjs and .cjs files",
		},
		{
			Name: "functions-project", Discovered: "functions that need a bundler are refused",
			Help: "Folder whose node_modules has @netlify/zip-it-and-ship-it, to bundle functions with; it runs the project's code, and is ignored for builds of other runs",
		},
		{
			Name: "netlify-config", Discovered: "the one in dir, if any", Help: "The site's netlify.toml, for its redirects and headers",
		},
		{
			Name: "netlify-auth-token", Env: "NETLIFY_AUTH_TOKEN", Secret: true, Discovered: "no frontend", Help: "Token of the Netlify account",
		},
		{
			Name: "netlify-site-id", Env: "NETLIFY_PREVIEW_SITE_ID", Discovered: "no frontend", Help: "ID of the Netlify site that hosts the previews",
		},
		{
			Name: "site-domain", Form: input.FormName, Discovered: "Netlify's own addresses",
			Help: "Domain of the site below which Netlify serves each alias, as pr-N.DOMAIN; the run fails unless it answers with the commit",
		},
	}
}

func apiInputs() []input.Def {
	return []input.Def{
		{
			Name: "api-code", Discovered: "no API", Help: "Code of the API's function: a folder or a zip archive", Example: "api/dist",
		},
		{
			Name: "api-image", Discovered: "api-code", Help: "Image of the API's function in ECR, instead of api-code",
		},
		{
			Name: "api-runtime", Default: "nodejs22.x", Help: "Runtime of the API's function",
		},
		{
			Name: "api-handler", Default: "index.handler", Help: "Handler of the API's function",
		},
		{
			Name: "api-type", Kind: input.Enum, Default: "http", Allowed: []string{"http", "rest"},
			Help: "API in front of the function: http is an HTTP API, rest a REST API with what only that has; the function gets the same event from both",
		},
		{
			Name: "api-template", Discovered: "the built-in template",
			Help: "CloudFormation template for the API, instead of the built-in one; it has an output ApiUrl and gets only the parameters that it declares",
		},
		{
			Name: "api-parameters", Kind: input.List, Discovered: "no parameters", Example: "TableSize=5",
			Help: "Parameters of the template as NAME=value, one per line; they override the ones that this action sets",
		},
		{
			Name: "allowed-origin", Discovered: "the preview's address below site-domain, if that is set", Help: "Origin of the frontend, given to the API's function as ALLOWED_ORIGIN for its CORS headers",
			Example: "https://pr-7--candlefish.netlify.app",
		},
		{
			Name: "health-path", Default: "/health", Form: healthPath, Help: "Path of the API's health check",
		},
		{
			Name: "health-status", Default: "200", Form: healthStatus, Help: "Statuses of a healthy API, separated by commas; a range has a dash", Example: "200-299,401",
		},
		{
			Name: "aws-region", Env: "AWS_REGION", Discovered: "the AWS SDK's default", Help: "AWS region of the API",
		},
		{
			Name: "artifacts-bucket", Discovered: "candlefish-preview-artifacts-ACCOUNT-REGION, created if missing",
			Help: "S3 bucket of your own for code and large templates; it must belong to the account, gets only objects below candlefish-preview/, and is never changed or deleted",
		},
		{
			Name: "protect", Kind: input.Bool, Default: "false", Help: "Turn on the stack's termination protection; removing the preview turns it off",
		},
		{
			Name: "base-domain", Default: "preview.candlefish.ai", Form: input.FormName, Help: "Domain of the host name api-pr-N; requires certificate-arn and hosted-zone-id",
		},
		{
			Name: "certificate-arn", Discovered: "no custom domain", Help: "ARN of the certificate for the API's domain",
		},
		{
			Name: "hosted-zone-id", Discovered: "no custom domain", Help: "Route 53 hosted zone of the API's domain",
		},
	}
}

func checkInputs() []input.Def {
	return []input.Def{
		{
			Name: "links", Kind: input.Int, Default: "200", Range: &input.Range{Min: 0, Max: 5000}, Help: "Maximum number of the sitemap's pages to check",
		},
		{
			Name: "check-headers", Kind: input.List, Secret: true, Discovered: "none",
			Help: "Headers that the checks of the frontend send, for a site that asks for a password: one NAME: value a line, from a secret; a fork's preview never gets them",
		},
		{
			Name: "accessibility", Kind: input.Bool, Default: "false", Help: "Check the pages with axe-core in Chromium, in actions/pr-preview-browser; findings are reported and fail nothing",
		},
		{
			Name: "visual", Kind: input.Bool, Default: "false", Help: "Take screenshots of the pages in Chromium, in actions/pr-preview-browser, and compare them with a baseline",
		},
		{
			Name: "pictures-dir", Default: "preview-pictures", Help: "Folder for the screenshots and axe-core's findings, to upload as an artifact",
		},
		{
			Name: "pictures-baseline", Discovered: "no baseline", Help: "Folder with the screenshots of an earlier run",
		},
		{
			Name: "max-visual-diff", Kind: input.Float, Default: "0.1", Unit: "%", Range: &input.Range{Min: 0, Max: 100}, Help: "Maximum share of a screenshot's pixels that may differ, in percent",
		},
	}
}

func serverInputs() []input.Def {
	return []input.Def{
		{
			Name: "github-api-url", Kind: input.URL, Env: "GITHUB_API_URL", Default: "https://api.github.com", Help: "URL of GitHub's API",
		},
		{
			Name: "netlify-api-url", Kind: input.URL, Env: "NETLIFY_API_URL", Default: "https://api.netlify.com/api/v1", Help: "URL of Netlify's API",
		},
		{
			Name: "aws-endpoint-url", Kind: input.URL, Env: "AWS_ENDPOINT_URL", Discovered: "AWS", Help: "URL of a test server that replaces AWS",
		},
	}
}

func outputs() []input.Output {
	return []input.Output{
		{Name: "status", Help: "Final status: ready, partial, removed, superseded, refused, nothing, swept, failed or bad-input"},
		{Name: "url", Help: "URL of the frontend, if it answered with the commit"},
		{Name: "deploy-id", Help: "ID of its deploy on Netlify; empty if there is none"},
		{Name: "api-url", Help: "URL of the API, if it answered"},
		{Name: "stack-outputs", Help: "All outputs of the API's stack, as JSON"},
		{Name: "comment-url", Help: "URL of the comment on the pull request"},
		{Name: "remaining", Help: "Parts that could not be removed, one per line"},
		{Name: "report", Help: "Path of the JSON report"},
	}
}

func permissions() []input.Permission {
	github, netlify, aws := "GitHub token", "Netlify", "AWS"
	return []input.Permission{
		{Where: github, What: "pull-requests: write", Why: "Read the pull request and write one comment"},
		{Where: github, What: "deployments: write", Why: "Record deployments and retire the environment"},
		{Where: github, What: "contents: read", Why: "List pull requests for a sweep"},
		{Where: github, What: "actions: read", Why: "Let actions/download-artifact take the build of another run; the action itself does not need it"},
		{Where: github, What: "id-token: write", Why: "Get AWS credentials by OIDC, without a stored key"},
		{Where: netlify, What: "a personal access token", Why: "Publish to, list and delete deploys of the site"},
		{Where: aws, What: "cloudformation:*ChangeSet, Describe*, List*, DeleteStack, ContinueUpdateRollback, UpdateTerminationProtection on candlefish-api-preview-pr-*", Why: "Apply and delete the API's stack"},
		{Where: aws, What: "tag:GetResources, tag:TagResources, iam:ListRoles, iam:ListRoleTags", Why: "Find what AWS did not delete, and leave alone what a template keeps"},
		{Where: aws, What: "lambda, apigateway, dynamodb, s3, logs, iam on candlefish-*-preview-* and candlefish-preview-*", Why: "CloudFormation acts with the caller's permissions"},
		{Where: aws, What: "route53:GetHostedZone, GetChange, ListResourceRecordSets, ChangeResourceRecordSets on hosted-zone-id; acm:DescribeCertificate on certificate-arn", Why: "Only with a domain for the API: its record and its certificate"},
		{Where: aws, What: "ecr:BatchGetImage, GetDownloadUrlForLayer, GetRepositoryPolicy, SetRepositoryPolicy on the repository of api-image", Why: "Only with api-image: Lambda takes the image, and lets itself do so in the repository's policy if that does not"},
	}
}
