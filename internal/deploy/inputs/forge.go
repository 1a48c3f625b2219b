package inputs

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/gitops"
	"github.com/candlefish/deploy-action/internal/input"
)

// A Forge is what a release tells GitHub, and where it writes its image.
type Forge struct {
	APIURL         string
	Token          string // "" for none
	Deployment     string // auto, true or false
	EnvironmentURL string // "" for none

	GitOpsRepo   string // owner/name, "" for none
	GitOpsToken  string // Token, if there is no other
	GitOpsPath   string
	GitOpsBranch string // "" for the default one
	GitOpsField  gitops.Field
	GitOpsMode   gitops.Mode
}

// The values of the input github-deployment.
const (
	DeploymentAuto = "auto"
	DeploymentYes  = "true"
	DeploymentNo   = "false"
)

// gitopsInputs configure where the image is written after the promotion.
func gitopsInputs() []input.Def {
	return []input.Def{
		{
			Name: "gitops-repo", Discovered: "nothing is written", Example: "acme/config",
			Help: "GitHub repository, owner/name, in which the image is written once its promotion is proven; see docs/gitops.md",
		},
		{
			Name: "gitops-path", Example: "apps/web/kustomization.yaml", Help: "Path of the YAML file in gitops-repo",
		},
		{
			Name: "gitops-field", Example: "kustomize:web",
			Help: "Where the image is in the file: kustomize:<name>, or a dotted path to a Helm value or a plain field",
		},
		{
			Name: "gitops-branch", Discovered: "the repository's default branch", Help: "Branch of gitops-repo",
		},
		{
			Name: "gitops-mode", Kind: input.Enum, Default: string(gitops.ModeCommit), Allowed: []string{string(gitops.ModeCommit), string(gitops.ModePullRequest)},
			Help: "Commit to the branch, or open a pull request",
		},
		{
			Name: "gitops-token", Env: "GITOPS_TOKEN", Secret: true, Discovered: "github-token",
			Help: "Token that may write to gitops-repo; the token of a workflow may only write to its own repository",
		},
	}
}

// githubInputs configure what GitHub is told of a release.
func githubInputs() []input.Def {
	return []input.Def{
		{
			Name: "github-deployment", Kind: input.Enum, Default: DeploymentAuto, Allowed: []string{DeploymentAuto, DeploymentYes, DeploymentNo},
			Help: "Record the release as a GitHub deployment to environment; auto does so in a workflow with a token, unless the job has that environment and so a deployment already",
		},
		{
			Name: "environment-url", Kind: input.URL, Discovered: "probe-url, if it is set", Example: "https://candlefish.ai",
			Help: "Page of the environment, for the GitHub deployment",
		},
		{
			Name: "github-token", Env: "GITHUB_TOKEN", Secret: true, Discovered: "GitHub is told nothing",
			Help: "Token for the GitHub deployment, with deployments: write",
		},
		{
			Name: "github-api-url", Kind: input.URL, Env: "GITHUB_API_URL", Default: "https://api.github.com", Help: "URL of GitHub's API",
		},
	}
}

// forgeOf returns the configuration that the inputs give.
func forgeOf(v input.Values) Forge {
	f := Forge{
		APIURL: v.URL("github-api-url").String(), Token: v.String("github-token"), Deployment: v.String("github-deployment"),
		GitOpsRepo: v.String("gitops-repo"), GitOpsPath: v.String("gitops-path"), GitOpsBranch: v.String("gitops-branch"),
		GitOpsMode: gitops.Mode(v.String("gitops-mode")), GitOpsToken: v.String("gitops-token"),
	}
	if f.GitOpsToken == "" {
		f.GitOpsToken = f.Token
	}
	f.GitOpsField, _ = gitops.ParseField(v.String("gitops-field")) // gitopsTogether has reported what is wrong
	for _, name := range []string{"environment-url", "probe-url"} {
		if u := v.URL(name); u != nil && f.EnvironmentURL == "" {
			f.EnvironmentURL = u.String()
		}
	}
	return f
}

// gitopsTogether returns what is wrong with the inputs of the write-back.
func gitopsTogether(v input.Values) input.Problems {
	var problems input.Problems
	silent := ""
	switch {
	case v.String("run-in") == "cluster":
		silent = "has no effect with run-in cluster: the Job has no token"
	case v.IsSet("deployments") || v.IsSet("clusters"):
		silent = "has no effect with several deployments or clusters yet"
	}
	if silent != "" && v.String("github-deployment") == DeploymentYes {
		problems = append(problems, v.Problem("github-deployment", silent))
	}
	report := func(name, format string, args ...any) {
		problems = append(problems, v.Problem(name, fmt.Sprintf(format, args...)))
	}
	missing := func(name string) {
		problems = append(problems, input.Problem{Name: name, Reason: "is required with gitops-repo"})
	}
	releases := v.String("command") == CommandDeploy && !v.Bool("dry-run")
	if releases && v.String("github-deployment") == DeploymentYes && v.Source("github-deployment").Kind != recorded && v.String("github-token") == "" {
		problems = append(problems, input.Problem{Name: "github-token", Reason: "is required with github-deployment true"})
	}
	repo := v.String("gitops-repo")
	if repo == "" {
		if releases && explicit(v, "gitops-token") {
			report("gitops-token", "has an effect only with gitops-repo; the token of GitHub deployments is github-token")
		}
		for _, name := range []string{"gitops-path", "gitops-field", "gitops-branch", "gitops-mode"} {
			if v.IsSet(name) {
				report(name, "has an effect only with gitops-repo")
			}
		}
		return problems
	}
	if !github.IsRepository(repo) {
		report("gitops-repo", "want owner/name")
	}
	for _, name := range []string{"gitops-path", "gitops-field"} {
		if v.String(name) == "" {
			missing(name)
		}
	}
	if field := v.String("gitops-field"); field != "" {
		if _, err := gitops.ParseField(field); err != nil {
			p := v.Problem("gitops-field", err.Error())
			p.Allowed = gitops.Fields
			problems = append(problems, p)
		}
	}
	if v.Source("gitops-repo").Kind == recorded || !releases {
		return problems // another process than that of the release may lack the token: a warning then says so
	}
	if silent != "" {
		report("gitops-repo", "%s", silent)
	}
	if v.String("gitops-token") == "" && v.String("github-token") == "" {
		missing("gitops-token")
	}
	return problems
}
