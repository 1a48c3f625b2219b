package preview

import (
	"regexp"

	"github.com/candlefish/deploy-action/internal/input"
)

// repository is how GitHub names one.
var repository = &input.Form{Want: "owner/name", Pattern: regexp.MustCompile(`^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$`)}

// commitForm is a commit in full: a short one may be two.
var commitForm = &input.Form{Want: "a commit of 40 hex digits", Pattern: regexp.MustCompile(`^[0-9a-f]{40}$`)}

// Spec defines what a preview takes, hands back and must be allowed to do.
func Spec() input.Spec {
	return input.Spec{
		Name:  "pr-preview",
		Title: "Candlefish PR Preview",
		Description: "Keeps one preview for each pull request, a site on Netlify and an API stack on AWS, " +
			"and removes both when it is closed, proven by looking.",
		Inputs:      inputs(),
		Outputs:     outputs(),
		Permissions: permissions(),
	}
}

func inputs() []input.Def {
	hours := func(low, high float64) *input.Range { return &input.Range{Min: low * 3600, Max: high * 3600} }
	return []input.Def{
		{
			Name: "goal", Kind: input.Enum, Default: "auto", Allowed: []string{"auto", "up", "down", "status", "sweep"},
			Help: "Where the preview is to be; auto takes it down when the event closed the pull request, and sweeps on a schedule",
		},
		{
			Name: "parts", Kind: input.Enum, Default: "all", Allowed: []string{"all", "frontend", "api"},
			Help: "Which parts this run looks after; with api first, a build can be given the real api-url",
		},
		{
			Name: "pr-number", Kind: input.Int, Env: "PR_NUMBER", Range: &input.Range{Min: 1, Max: 1e9}, Discovered: "from the event",
			Help: "The pull request",
		},
		{
			Name: "repository", Env: "GITHUB_REPOSITORY", Form: repository, Discovered: "from the event", Help: "The repository on GitHub",
		},
		{
			Name: "commit", Form: commitForm, Discovered: "the pull request's head", Help: "The commit that was built",
		},
		{
			Name: "github-token", Env: "GITHUB_TOKEN", Secret: true, Discovered: "needed, except where nothing is configured",
			Help: "The token for the pull request, its comment and its environment",
		},
		{
			Name: "dir", Default: "out", Help: "The folder with the built frontend",
		},
		{
			Name: "functions", Discovered: "no functions", Help: "The folder with the frontend's functions, zipped",
		},
		{
			Name: "netlify-config", Discovered: "no netlify.toml", Help: "The site's netlify.toml, for its redirects and headers",
		},
		{
			Name: "netlify-auth-token", Env: "NETLIFY_AUTH_TOKEN", Secret: true, Discovered: "the frontend is not used", Help: "The token of the Netlify account",
		},
		{
			Name: "netlify-site-id", Env: "NETLIFY_PREVIEW_SITE_ID", Discovered: "the frontend is not used", Help: "The Netlify site that keeps the previews",
		},
		{
			Name: "site-domain", Form: input.FormName, Discovered: "Netlify's own addresses",
			Help: "The domain below which Netlify gives each alias a name, pr-N.DOMAIN; it is used only as far as it answers with the commit",
		},
		{
			Name: "api-code", Discovered: "the API is not used", Help: "The API's code: a folder or a zip archive", Example: "api/dist",
		},
		{
			Name: "api-image", Discovered: "the API's code is in api-code", Help: "The API's function as an image in ECR, instead of api-code",
		},
		{
			Name: "api-runtime", Default: "nodejs22.x", Help: "The runtime of the API's function",
		},
		{
			Name: "api-handler", Default: "index.handler", Help: "The handler of the API's function",
		},
		{
			Name: "api-template", Discovered: "the one that comes with this action", Help: "A CloudFormation template of your own for the API",
		},
		{
			Name: "aws-region", Env: "AWS_REGION", Discovered: "the usual places", Help: "The AWS region of the API",
		},
		{
			Name: "artifacts-bucket", Discovered: "candlefish-preview-artifacts-ACCOUNT-REGION, made when it is missing",
			Help: "The bucket for code and large templates",
		},
		{
			Name: "protect", Kind: input.Bool, Default: "false", Help: "Set termination protection on the stack; it is removed when the preview is",
		},
		{
			Name: "base-domain", Default: "preview.candlefish.ai", Form: input.FormName, Help: "The domain of api-pr-N, with certificate-arn and hosted-zone-id",
		},
		{
			Name: "certificate-arn", Discovered: "the API keeps its own address", Help: "The certificate for the API's domain",
		},
		{
			Name: "hosted-zone-id", Discovered: "the API keeps its own address", Help: "The zone of the API's domain",
		},
		{
			Name: "expires", Kind: input.Duration, Default: "168h", Range: hours(1, 24*90), Help: "How long a preview stays at most; every push counts anew",
		},
		{
			Name: "links", Kind: input.Int, Default: "200", Range: &input.Range{Min: 0, Max: 5000}, Help: "How many pages of the sitemap are looked at",
		},
		{
			Name: "accessibility", Kind: input.Bool, Default: "false", Help: "Let axe-core look at the pages in Chromium, where there is one; what it finds is shown and fails nothing",
		},
		{
			Name: "visual", Kind: input.Bool, Default: "false", Help: "Take pictures of the pages in Chromium, and compare them with earlier ones",
		},
		{
			Name: "pictures-dir", Default: "preview-pictures", Help: "The folder for the pictures and what axe-core found, to be kept as an artifact",
		},
		{
			Name: "pictures-baseline", Discovered: "nothing to compare with", Help: "The folder with the pictures of an earlier run",
		},
		{
			Name: "max-visual-diff", Kind: input.Float, Default: "0.1", Unit: "%", Range: &input.Range{Min: 0, Max: 100}, Help: "How much of a picture may differ",
		},
		{
			Name: "allow-forks", Kind: input.Bool, Default: "false",
			Help: "Publish the frontend of a fork's pull request, from a workflow_run that has built it without secrets; its API code and functions are never taken",
		},
		{
			Name: "delete", Kind: input.Bool, Default: "false", Help: "Let a sweep remove what it finds; without, it only looks",
		},
		{
			Name: "report-dir", Default: ".", Help: "The folder for pr-preview-report.json",
		},
		{
			Name: "github-api-url", Kind: input.URL, Env: "GITHUB_API_URL", Default: "https://api.github.com", Help: "GitHub's API",
		},
		{
			Name: "netlify-api-url", Kind: input.URL, Env: "NETLIFY_API_URL", Default: "https://api.netlify.com/api/v1", Help: "Netlify's API",
		},
		{
			Name: "aws-endpoint-url", Kind: input.URL, Env: "AWS_ENDPOINT_URL", Discovered: "AWS itself", Help: "A server that stands in for AWS, for tests",
		},
	}
}

func outputs() []input.Output {
	return []input.Output{
		{Name: "status", Help: "What became of the run in one word: ready, partial, removed, superseded, refused, nothing, swept, failed or bad-input"},
		{Name: "url", Help: "Where the frontend is, when it answered with the commit"},
		{Name: "deploy-id", Help: "Its deploy on Netlify"},
		{Name: "api-url", Help: "Where the API is, when it answered"},
		{Name: "stack-outputs", Help: "All outputs of the API's stack, as JSON"},
		{Name: "comment-url", Help: "The comment on the pull request"},
		{Name: "remaining", Help: "What should be gone and is not, one a line"},
		{Name: "report", Help: "The path of the JSON report"},
	}
}

func permissions() []input.Permission {
	github, netlify, aws := "GitHub token", "Netlify", "AWS"
	return []input.Permission{
		{Where: github, What: "pull-requests: write", Why: "Look at the pull request and keep one comment"},
		{Where: github, What: "deployments: write", Why: "Show the environment and retire it"},
		{Where: github, What: "contents: read", Why: "List branches and pull requests for a sweep"},
		{Where: github, What: "id-token: write", Why: "Get AWS credentials by OIDC, without a stored key"},
		{Where: netlify, What: "a personal access token", Why: "Publish to, list and delete deploys of the site"},
		{Where: aws, What: "cloudformation:*ChangeSet, Describe*, List*, DeleteStack, ContinueUpdateRollback, UpdateTerminationProtection on candlefish-api-preview-pr-*", Why: "Keep the API's stack"},
		{Where: aws, What: "lambda, apigateway, dynamodb, s3, logs, iam on candlefish-*-preview-* and candlefish-preview-*", Why: "CloudFormation acts with the caller's rights"},
	}
}
