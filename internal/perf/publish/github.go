package publish

import (
	"context"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/checks"
	"github.com/candlefish/deploy-action/internal/github/deployments"
	"github.com/candlefish/deploy-action/internal/perf/view"
)

// A CommitCheck is the Checker of a commit on GitHub. Each deployment environment has a
// check run of its own, which reruns update.
type CommitCheck struct {
	Client      *github.Client
	Repository  string // owner/name
	Commit      string // that was measured; of a pull request its head, not the merge
	Environment string // the deployment environment
}

// Check implements Checker. What is no pass is a failure: GitHub lets a neutral check
// through.
func (c CommitCheck) Check(ctx context.Context, v view.Check) (url string, changed bool, err error) {
	to, err := checks.New(c.Client, c.Repository)
	if err != nil {
		return "", false, err
	}
	one := checks.Check{
		Name: v.Name, Commit: c.Commit, ExternalID: "candlefish-performance/" + c.Environment, Conclusion: checks.Failure, Title: v.Title, Summary: v.Summary, Link: v.Link,
	}
	if c.Environment != "" {
		one.Name += " (" + c.Environment + ")"
	}
	if v.Passed {
		one.Conclusion = checks.Success
	}
	return to.Post(ctx, one)
}

// A CommitDeployment is the Deployer of a commit on GitHub.
type CommitDeployment struct {
	Client                          *github.Client
	Repository, Commit, Environment string
}

// Status implements Deployer. The state of the deployment stays: what was measured is
// deployed, however fast it is. Without a deployment that has ended the error is
// deployments.ErrNone.
func (d CommitDeployment) Status(ctx context.Context, v view.Check) (url string, changed bool, err error) {
	to, err := deployments.New(d.Client, d.Repository, d.Environment)
	if err != nil {
		return "", false, err
	}
	changed, err = to.Describe(ctx, d.Commit, v.Description, v.Link)
	return "", changed, err
}
