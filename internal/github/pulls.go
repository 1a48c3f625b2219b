package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	gh "github.com/google/go-github/v62/github"
)

// A PullRequest is a pull request as GitHub returns it.
type PullRequest struct {
	Repo   string // owner/name of the base repository
	Number int
	State  string // open or closed
	Merged bool
	// HeadSHA is the newest commit, HeadRef its branch and HeadRepo the branch's
	// repository, empty if it was deleted.
	HeadSHA, HeadRef, HeadRepo string
	BaseRef                    string // the branch to merge into
	Title, Author              string // untrusted text
	Fork                       bool   // its head is in another repository, or in a deleted one
	URL                        string
}

// Open reports whether it is neither closed nor merged.
func (p PullRequest) Open() bool { return p.State == "open" }

// String is owner/name#n.
func (p PullRequest) String() string { return fmt.Sprintf("%s#%d", p.Repo, p.Number) }

// PullRequest reads a pull request. It returns ErrNotFound if there is none.
func (c *Client) PullRequest(ctx context.Context, repo string, n int) (PullRequest, error) {
	owner, name, err := item(repo, n)
	if err != nil {
		return PullRequest{}, err
	}
	o := read("pull-requests", "read %s#%d", repo, n)
	answer, _, err := call(ctx, c, o, func() (*gh.PullRequest, *gh.Response, error) {
		return c.gh.PullRequests.Get(ctx, owner, name, n)
	})
	if err != nil {
		return PullRequest{}, err
	}
	p, err := pullRequest(repo, answer)
	if err == nil && p.Number != n {
		err = fmt.Errorf("the response is about #%d", p.Number)
	}
	if err != nil {
		return PullRequest{}, c.errors.wrap(o, err)
	}
	return p, nil
}

// OpenPullRequests lists all open pull requests, oldest first. One that is closed while
// the list is read can hide another: before acting on the absence of a pull request,
// read it by its number.
func (c *Client) OpenPullRequests(ctx context.Context, repo string) ([]PullRequest, error) {
	owner, name, err := split(repo)
	if err != nil {
		return nil, err
	}
	return c.listPulls(ctx, repo, read("pull-requests", "list the open pull requests of %s", repo), func(page gh.ListOptions) ([]*gh.PullRequest, *gh.Response, error) {
		return c.gh.PullRequests.List(ctx, owner, name, &gh.PullRequestListOptions{State: "open", Sort: "created", Direction: "asc", ListOptions: page})
	})
}

// PullRequestsOf lists the pull requests whose head is the commit: none after another
// push. GitHub does not find commits of forks by the base repository; without a result
// it searches the open pull requests.
func (c *Client) PullRequestsOf(ctx context.Context, repo, sha string) ([]PullRequest, error) {
	owner, name, err := split(repo)
	if err != nil {
		return nil, err
	}
	if !commitID.MatchString(sha) {
		return nil, fmt.Errorf("commit %q: want all 40 or 64 hexadecimal digits", sha)
	}
	named, err := c.listPulls(ctx, repo, read("pull-requests", "list the pull requests of commit %s of %s", sha, repo), func(page gh.ListOptions) ([]*gh.PullRequest, *gh.Response, error) {
		return c.gh.PullRequests.ListPullRequestsWithCommit(ctx, owner, name, sha, &page)
	})
	if err != nil && !unknownCommit(err) {
		return nil, err
	}
	if found := withHead(named, sha); len(found) > 0 {
		return found, nil
	}
	open, err := c.OpenPullRequests(ctx, repo)
	if err != nil {
		return nil, err
	}
	return withHead(open, sha), nil
}

// unknownCommit: GitHub answers 422 for a commit that the repository lacks.
func unknownCommit(err error) bool {
	return errors.Is(err, ErrNotFound) || strings.Contains(err.Error(), "No commit found")
}

func withHead(pulls []PullRequest, sha string) []PullRequest {
	var found []PullRequest
	for _, p := range pulls {
		if p.HeadSHA == sha {
			found = append(found, p)
		}
	}
	return found
}

// BranchExists reports whether the repository has a branch of exactly that name. A
// repository that the token may not read is an error, not a missing branch.
func (c *Client) BranchExists(ctx context.Context, repo, branch string) (bool, error) {
	owner, name, err := split(repo)
	if err != nil {
		return false, err
	}
	if branch == "" {
		return false, errors.New("the branch is empty")
	}
	o := read("contents", "read branch %q of %s", branch, repo)
	found, _, err := call(ctx, c, o, func() (*gh.Branch, *gh.Response, error) {
		req, err := c.gh.NewRequest(http.MethodGet, "repos/"+owner+"/"+name+"/branches/"+url.PathEscape(branch), nil)
		if err != nil {
			return nil, nil, err
		}
		b := &gh.Branch{}
		resp, err := c.gh.Do(ctx, req, b)
		return b, resp, err
	})
	switch {
	case errors.Is(err, ErrNotFound) && strings.Contains(err.Error(), "Branch not found"):
		return false, nil
	case err != nil:
		return false, err
	case found.GetName() == "":
		return false, fmt.Errorf("%s: the response has no branch", o.what)
	}
	return found.GetName() == branch, nil // GitHub redirects renamed branches
}

func (c *Client) listPulls(ctx context.Context, repo string, o op, list func(gh.ListOptions) ([]*gh.PullRequest, *gh.Response, error)) ([]PullRequest, error) {
	var all []PullRequest
	seen := map[int]bool{}
	_, err := pages(ctx, c, o, list, func(answer *gh.PullRequest) error {
		p, err := pullRequest(repo, answer)
		if err == nil && !seen[p.Number] {
			seen[p.Number] = true
			all = append(all, p)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func pullRequest(repo string, answer *gh.PullRequest) (PullRequest, error) {
	p := PullRequest{
		Repo: repo, Number: answer.GetNumber(), State: answer.GetState(),
		Merged:  answer.GetMerged() || answer != nil && answer.MergedAt != nil,
		HeadSHA: answer.GetHead().GetSHA(), HeadRef: answer.GetHead().GetRef(),
		HeadRepo: answer.GetHead().GetRepo().GetFullName(), BaseRef: answer.GetBase().GetRef(),
		Title: answer.GetTitle(), Author: answer.GetUser().GetLogin(), URL: answer.GetHTMLURL(),
	}
	base := answer.GetBase().GetRepo().GetFullName()
	p.Fork = !strings.EqualFold(p.HeadRepo, base)
	switch {
	case p.Number <= 0:
		return p, errors.New("a pull request without a number")
	case p.State != "open" && p.State != "closed":
		return p, fmt.Errorf("#%d: state %q", p.Number, p.State)
	case !commitID.MatchString(p.HeadSHA):
		return p, fmt.Errorf("#%d: head %q is no commit", p.Number, p.HeadSHA)
	case base == "":
		return p, fmt.Errorf("#%d: no repository to merge into", p.Number)
	}
	return p, nil
}

// item validates a repository and a pull request's number.
func item(repo string, n int) (owner, name string, err error) {
	if n <= 0 { // go-github would list those of all pull requests
		return "", "", fmt.Errorf("pull request %d of %s: want a number above 0", n, repo)
	}
	return split(repo)
}
