package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	gh "github.com/google/go-github/v62/github"
)

// inactive is the state of a deployment that is gone.
const inactive = "inactive"

// maxDescription is GitHub's limit, in characters.
const maxDescription = 140

// Deploy records a deployment of a commit to an environment, which GitHub creates with its
// first deployment, marked as transient. GitHub neither merges the base branch nor waits
// for checks. Descriptions are cut at 140 characters.
func (c *Client) Deploy(ctx context.Context, repo, env, sha, description string, payload any) (int64, error) {
	owner, name, err := environment(repo, env)
	if err != nil {
		return 0, err
	}
	if !commitID.MatchString(sha) {
		return 0, fmt.Errorf("commit %q: want all 40 or 64 hexadecimal digits", sha)
	}
	o := create("deployments", "record a deployment of %s to %q of %s", sha, env, repo)
	d, _, err := call(ctx, c, o, func() (*gh.Deployment, *gh.Response, error) {
		return c.gh.Repositories.CreateDeployment(ctx, owner, name, &gh.DeploymentRequest{
			Ref: &sha, Environment: &env, Description: new(cut(description)), Payload: payload,
			AutoMerge: new(false), RequiredContexts: &[]string{},
			TransientEnvironment: new(true), ProductionEnvironment: new(false),
		})
	})
	if err != nil {
		return 0, err
	}
	if d.GetID() <= 0 {
		return 0, fmt.Errorf("%s: the response has no id", o.what)
	}
	return d.GetID(), nil
}

// DeploymentStatus sets the state of a deployment: queued, in_progress, success, failure,
// error or inactive. With success, GitHub sets the environment's earlier deployments
// inactive, except transient ones such as Deploy's: call DeactivateDeployments
// for these.
func (c *Client) DeploymentStatus(ctx context.Context, repo string, id int64, state, envURL, logURL, description string) error {
	owner, name, err := split(repo)
	if err != nil {
		return err
	}
	request := &gh.DeploymentStatusRequest{
		State: &state, EnvironmentURL: optional(envURL), LogURL: optional(logURL),
		Description: optional(cut(description)), AutoInactive: new(true),
	}
	o := write("deployments", "set deployment %d of %s to %s", id, repo, state)
	o.once = state != inactive // which is the same twice
	_, _, err = call(ctx, c, o, func() (*gh.DeploymentStatus, *gh.Response, error) {
		return c.gh.Repositories.CreateDeploymentStatus(ctx, owner, name, id, request)
	})
	return err
}

// A Deployment is a deployment as GitHub lists it.
type Deployment struct {
	ID      int64
	Payload json.RawMessage // what Deploy was given
}

// DeactivateDeployments sets the environment's deployments that match inactive, and returns
// the IDs of those that match.
func (c *Client) DeactivateDeployments(ctx context.Context, repo, env string, match func(Deployment) bool) ([]int64, error) {
	owner, name, err := environment(repo, env)
	if err != nil {
		return nil, err
	}
	var ids []int64
	_, err = pages(ctx, c, read("deployments", "list the deployments to %q of %s", env, repo), func(page gh.ListOptions) ([]*gh.Deployment, *gh.Response, error) {
		return c.gh.Repositories.ListDeployments(ctx, owner, name, &gh.DeploymentsListOptions{Environment: env, ListOptions: page})
	}, func(d *gh.Deployment) error {
		if d.GetID() <= 0 || d.GetEnvironment() != env {
			return fmt.Errorf("got deployment %d to %q", d.GetID(), d.GetEnvironment())
		}
		if match(Deployment{d.GetID(), d.Payload}) {
			ids = append(ids, d.GetID())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := c.deactivate(ctx, repo, id); err != nil {
			return ids, err
		}
	}
	return ids, nil
}

func (c *Client) deactivate(ctx context.Context, repo string, id int64) error {
	state, err := c.deploymentState(ctx, repo, id)
	if err != nil || state == inactive {
		return err
	}
	return c.DeploymentStatus(ctx, repo, id, inactive, "", "", "")
}

// DeleteDeployment deletes a deployment, which must be inactive. One that does not exist is
// no error.
func (c *Client) DeleteDeployment(ctx context.Context, repo string, id int64) error {
	owner, name, err := split(repo)
	if err != nil {
		return err
	}
	_, _, err = call(ctx, c, write("deployments", "delete deployment %d of %s", id, repo), func() (struct{}, *gh.Response, error) {
		resp, err := c.gh.Repositories.DeleteDeployment(ctx, owner, name, id)
		return struct{}{}, resp, err
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// deploymentState returns the newest state, empty if there is none.
func (c *Client) deploymentState(ctx context.Context, repo string, id int64) (string, error) {
	owner, name, err := split(repo)
	if err != nil {
		return "", err
	}
	o := read("deployments", "read the state of deployment %d of %s", id, repo)
	newest, _, err := call(ctx, c, o, func() ([]*gh.DeploymentStatus, *gh.Response, error) {
		return c.gh.Repositories.ListDeploymentStatuses(ctx, owner, name, id, &gh.ListOptions{PerPage: 1})
	})
	switch {
	case err != nil:
		return "", err
	case newest == nil:
		return "", fmt.Errorf("%s: the response is no list", o.what)
	case len(newest) == 0:
		return "", nil
	}
	return newest[0].GetState(), nil
}

// DeleteEnvironment deletes an environment with its settings, and reports whether there was
// one. With GITHUB_TOKEN, which never administers a repository, the error is always a
// *ForbiddenError.
func (c *Client) DeleteEnvironment(ctx context.Context, repo, env string) (existed bool, err error) {
	owner, name, err := environment(repo, env)
	if err != nil {
		return false, err
	}
	_, _, err = call(ctx, c, write(administrator, "delete environment %q of %s", env, repo), func() (struct{}, *gh.Response, error) {
		resp, err := c.gh.Repositories.DeleteEnvironment(ctx, owner, name, url.PathEscape(env))
		return struct{}{}, resp, err
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func environment(repo, env string) (owner, name string, err error) {
	if env == "" || env == "." || env == ".." { // an empty one would mean all
		return "", "", fmt.Errorf("environment %q of %s: want a name", env, repo)
	}
	return split(repo)
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func cut(text string) string {
	if runes := []rune(text); len(runes) > maxDescription {
		return string(runes[:maxDescription-1]) + "…"
	}
	return text
}
