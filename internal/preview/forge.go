package preview

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/github"
)

// hub is GitHub as the keeper's Forge.
type hub struct{ client *github.Client }

var _ Forge = hub{}

func (s *session) forge() (hub, error) {
	client, err := github.New(github.Options{Token: s.v.String("github-token"), BaseURL: s.v.URL("github-api-url").String(), Now: time.Now, After: time.After})
	return hub{client}, err
}

func pullRequest(pr github.PullRequest) PullRequest {
	return PullRequest{Key: Key{pr.Repo, pr.Number}, Open: pr.Open(), Head: pr.HeadSHA, Fork: pr.Fork, Author: pr.Author}
}

// PullRequest implements Forge.
func (h hub) PullRequest(ctx context.Context, k Key) (PullRequest, error) {
	pr, err := h.client.PullRequest(ctx, k.Repository, k.Number)
	if err != nil {
		return PullRequest{}, err
	}
	p := pullRequest(pr)
	p.Key = k // a repository that was renamed is still this one
	return p, nil
}

// Open implements Forge.
func (h hub) Open(ctx context.Context, repository string) ([]PullRequest, error) {
	all, err := h.client.OpenPullRequests(ctx, repository)
	if err != nil {
		return nil, err
	}
	list := make([]PullRequest, len(all))
	for i, pr := range all {
		list[i] = pullRequest(pr)
		list[i].Repository = repository
	}
	return list, nil
}

// Of implements Forge.
func (h hub) Of(ctx context.Context, repository, commit string) ([]PullRequest, error) {
	all, err := h.client.PullRequestsOf(ctx, repository, commit)
	if err != nil {
		return nil, err
	}
	var of []PullRequest
	for _, pr := range all {
		p := pullRequest(pr)
		p.Repository = repository
		of = append(of, p)
	}
	return of, nil
}

// Previous implements Forge.
func (h hub) Previous(ctx context.Context, k Key, marker string) (string, error) {
	found, err := h.client.Comments(ctx, k.Repository, k.Number, marker)
	if err != nil || len(found.Ours) == 0 {
		return "", err
	}
	return found.Ours[0].Body, nil
}

// Comment implements Forge. Where there are several of ours, the oldest stays.
func (h hub) Comment(ctx context.Context, k Key, marker, body string) (string, bool, error) {
	found, err := h.client.Comments(ctx, k.Repository, k.Number, marker)
	if err != nil {
		return "", false, err
	}
	if len(found.Ours) == 0 {
		c, err := h.client.CreateComment(ctx, k.Repository, k.Number, body)
		return c.URL, true, err
	}
	for _, extra := range found.Ours[1:] {
		if err := h.client.DeleteComment(ctx, k.Repository, extra.ID); err != nil {
			return "", false, fmt.Errorf("delete a second comment of ours: %w", err)
		}
	}
	c := found.Ours[0]
	if c.Body == body {
		return c.URL, false, nil
	}
	c, err = h.client.EditComment(ctx, k.Repository, c.ID, body)
	return c.URL, true, err
}

// Announce implements Forge.
func (h hub) Announce(ctx context.Context, o Owner, url, logURL string, ready bool) error {
	id, err := h.client.Deploy(ctx, o.Repository, o.Environment(), o.Commit, "Preview of the pull request", map[string]any{"pr_number": o.Number})
	if err != nil {
		return err
	}
	state, text := "success", "ready"
	if !ready {
		state, text = "failure", "not ready"
	}
	if err := h.client.DeploymentStatus(ctx, o.Repository, id, state, url, logURL, text); err != nil {
		return err
	}
	_, err = h.client.DeactivateDeployments(ctx, o.Repository, o.Environment(), id)
	return err
}

// Retire implements Forge. Deleting the environment needs an administrator's token;
// without one its deployments are inactive, and it is empty.
func (h hub) Retire(ctx context.Context, k Key) error {
	if _, err := h.client.DeactivateDeployments(ctx, k.Repository, k.Environment()); err != nil {
		return err
	}
	err := h.client.DeleteEnvironment(ctx, k.Repository, k.Environment())
	var forbidden *github.ForbiddenError
	if errors.As(err, &forbidden) {
		return nil
	}
	return err
}
