package preview

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
)

// A githubForge is GitHub as the reconciler's Forge.
type githubForge struct {
	client *github.Client
	// environments is the input; empty means one per pull request.
	environments string
}

var _ reconcile.Forge = githubForge{}

func (s *session) forge() (githubForge, error) {
	client, err := github.New(github.Options{Token: s.v.String("github-token"), BaseURL: s.v.URL("github-api-url").String(), Now: s.now, After: s.after})
	return githubForge{client, s.v.String("environments")}, err
}

func pullRequest(pr github.PullRequest) reconcile.PullRequest {
	return reconcile.PullRequest{Key: reconcile.Key{Repository: pr.Repo, Number: pr.Number}, Open: pr.Open(), Head: pr.HeadSHA,
		HeadRepo: pr.HeadRepo, Branch: pr.HeadRef, Fork: pr.Fork, Author: pr.Author}
}

// PullRequest implements reconcile.Forge.
func (f githubForge) PullRequest(ctx context.Context, k reconcile.Key) (reconcile.PullRequest, error) {
	pr, err := f.client.PullRequest(ctx, k.Repository, k.Number)
	if err != nil {
		return reconcile.PullRequest{}, err
	}
	p := pullRequest(pr)
	p.Key = k // a renamed repository keeps its preview
	return p, nil
}

// Open implements reconcile.Forge.
func (f githubForge) Open(ctx context.Context, repository string) ([]reconcile.PullRequest, error) {
	all, err := f.client.OpenPullRequests(ctx, repository)
	if err != nil {
		return nil, err
	}
	return pullRequests(repository, all), nil
}

// pullRequests translates a list. A renamed repository keeps the name that was asked for.
func pullRequests(repository string, all []github.PullRequest) []reconcile.PullRequest {
	list := make([]reconcile.PullRequest, len(all))
	for i, pr := range all {
		list[i] = pullRequest(pr)
		list[i].Repository = repository
	}
	return list
}

// WithHead implements reconcile.Forge.
func (f githubForge) WithHead(ctx context.Context, repository, commit string) ([]reconcile.PullRequest, error) {
	all, err := f.client.PullRequestsOf(ctx, repository, commit)
	if err != nil {
		return nil, err
	}
	return pullRequests(repository, all), nil
}

// PreviousComment implements reconcile.Forge.
func (f githubForge) PreviousComment(ctx context.Context, k reconcile.Key, marker string) (string, error) {
	found, err := f.client.Comments(ctx, k.Repository, k.Number, marker)
	if err != nil || len(found.Ours) == 0 {
		return "", err
	}
	return found.Ours[0].Body, nil
}

// RecentComments implements reconcile.Forge.
func (f githubForge) RecentComments(ctx context.Context, repository, marker string, since time.Time) (map[int]string, error) {
	found, err := f.client.RecentComments(ctx, repository, marker, since)
	if err != nil {
		return nil, err
	}
	bodies := map[int]string{}
	for n, c := range found {
		bodies[n] = c.Body
	}
	return bodies, nil
}

// Comment implements reconcile.Forge. Of several comments of ours the oldest stays.
func (f githubForge) Comment(ctx context.Context, k reconcile.Key, marker, body string) (string, bool, error) {
	c, changed, err := f.client.WriteComment(ctx, k.Repository, k.Number, marker, body)
	return c.URL, changed, err
}

// The values of the input environments.
const (
	environmentEach = "per-pull-request"
	environmentOne  = "one"
	environmentNone = "none"
)

// sharedEnvironment is the one environment of all previews, with environmentOne.
const sharedEnvironment = "preview"

// environment is where a preview's deployments are recorded; empty means nowhere.
func (f githubForge) environment(k reconcile.Key) string {
	switch f.environments {
	case environmentNone:
		return ""
	case environmentOne:
		return sharedEnvironment
	}
	return k.Environment()
}

// A payload is what a deployment says of itself.
type payload struct {
	Number int `json:"pr_number"`
}

// ofPull selects the deployments of a pull request.
func ofPull(number int) func(github.Deployment) bool {
	return func(d github.Deployment) bool {
		var p payload
		return json.Unmarshal(d.Payload, &p) == nil && p.Number == number
	}
}

// RecordDeployment implements reconcile.Forge.
func (f githubForge) RecordDeployment(ctx context.Context, o reconcile.Owner, url, logURL string, ready bool) error {
	env := f.environment(o.Key)
	if env == "" {
		return nil
	}
	id, err := f.client.Deploy(ctx, o.Repository, env, o.Commit, "Preview of the pull request", payload{o.Number})
	if err != nil {
		return err
	}
	state, text := "success", "ready"
	if !ready {
		state, text = "failure", "not ready"
	}
	if err := f.client.DeploymentStatus(ctx, o.Repository, id, state, url, logURL, text); err != nil {
		return err
	}
	ours := ofPull(o.Number)
	_, err = f.client.DeactivateDeployments(ctx, o.Repository, env, func(d github.Deployment) bool { return d.ID != id && (env != sharedEnvironment || ours(d)) })
	return err
}

// RetireEnvironment implements reconcile.Forge. An environment of the pull request's own is
// retired with environmentOne too: the input may have changed since it was made.
func (f githubForge) RetireEnvironment(ctx context.Context, k reconcile.Key) (reconcile.Retired, error) {
	if f.environments == environmentNone {
		return reconcile.Retired{}, nil
	}
	own, err := f.retireOwn(ctx, k)
	if err != nil || f.environments != environmentOne {
		return own, err
	}
	ids, err := f.client.DeactivateDeployments(ctx, k.Repository, sharedEnvironment, ofPull(k.Number))
	if err != nil {
		return own, err
	}
	for _, id := range ids {
		// Or the one environment lists the deployments of all pull requests for ever.
		if err := f.client.DeleteDeployment(ctx, k.Repository, id); err != nil {
			return own, err
		}
	}
	if own.Kept != "" {
		return own, nil
	}
	n := len(ids) + own.Deployments
	return reconcile.Retired{Name: sharedEnvironment, Deployments: n, Gone: n > 0}, nil
}

// retireOwn retires the environment of one pull request. Deleting it requires an
// administrator's token; without one it stays, with all its deployments inactive.
func (f githubForge) retireOwn(ctx context.Context, k reconcile.Key) (reconcile.Retired, error) {
	env := k.Environment()
	ids, err := f.client.DeactivateDeployments(ctx, k.Repository, env, func(github.Deployment) bool { return true })
	r := reconcile.Retired{Name: env, Deployments: len(ids)}
	if err != nil || len(ids) == 0 {
		return r, err // the first deployment makes the environment
	}
	for range 2 { // the second time proves that it is gone
		existed, err := f.client.DeleteEnvironment(ctx, k.Repository, env)
		if _, ok := errors.AsType[*github.ForbiddenError](err); ok {
			r.Kept = "the token may not delete environments (set environments to one or none)"
			return r, nil
		}
		if err != nil {
			return r, err
		}
		r.Gone = !existed
	}
	if !r.Gone {
		r.Kept = "it was deleted, and GitHub still has it"
	}
	return r, nil
}
