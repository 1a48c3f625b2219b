package preview

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
)

// A githubForge is GitHub as the reconciler's Forge.
type githubForge struct{ client *github.Client }

var _ reconcile.Forge = githubForge{}

func (s *session) forge() (githubForge, error) {
	client, err := github.New(github.Options{Token: s.v.String("github-token"), BaseURL: s.v.URL("github-api-url").String(), Now: time.Now, After: time.After})
	return githubForge{client}, err
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

// Comment implements reconcile.Forge. Of several comments of ours the oldest stays.
func (f githubForge) Comment(ctx context.Context, k reconcile.Key, marker, body string) (string, bool, error) {
	found, err := f.client.Comments(ctx, k.Repository, k.Number, marker)
	if err != nil {
		return "", false, err
	}
	if len(found.Ours) == 0 {
		c, err := f.client.CreateComment(ctx, k.Repository, k.Number, body)
		return c.URL, true, err
	}
	for _, extra := range found.Ours[1:] {
		if err := f.client.DeleteComment(ctx, k.Repository, extra.ID); err != nil {
			return "", false, fmt.Errorf("delete a second comment of ours: %w", err)
		}
	}
	c := found.Ours[0]
	if c.Body == body {
		return c.URL, false, nil
	}
	c, err = f.client.EditComment(ctx, k.Repository, c.ID, body)
	return c.URL, true, err
}

// RecordDeployment implements reconcile.Forge.
func (f githubForge) RecordDeployment(ctx context.Context, o reconcile.Owner, url, logURL string, ready bool) error {
	id, err := f.client.Deploy(ctx, o.Repository, o.Environment(), o.Commit, "Preview of the pull request", map[string]any{"pr_number": o.Number})
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
	_, err = f.client.DeactivateDeployments(ctx, o.Repository, o.Environment(), id)
	return err
}

// RetireEnvironment implements reconcile.Forge. Deleting the environment requires an
// administrator's token; without one it stays, with all its deployments inactive.
func (f githubForge) RetireEnvironment(ctx context.Context, k reconcile.Key) error {
	if _, err := f.client.DeactivateDeployments(ctx, k.Repository, k.Environment()); err != nil {
		return err
	}
	err := f.client.DeleteEnvironment(ctx, k.Repository, k.Environment())
	var forbidden *github.ForbiddenError
	if errors.As(err, &forbidden) {
		return nil
	}
	return err
}
