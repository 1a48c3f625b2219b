package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
)

// A Comment is a comment of a pull request's conversation.
type Comment struct {
	ID        int64
	Author    string // the login, with [bot] for a bot
	Body      string
	URL       string
	Minimized bool // hidden by somebody; set only by Comments
	node      string
}

// Found are the comments with a marker.
type Found struct {
	Ours    []Comment // oldest first
	Foreign int       // by other authors, who may have copied the marker
	Pages   int       // read
}

// Comments reads all comments of a pull request and returns those by the Viewer that
// contain marker.
func (c *Client) Comments(ctx context.Context, repo string, n int, marker string) (Found, error) {
	owner, name, err := item(repo, n)
	if err != nil {
		return Found{}, err
	}
	if marker == "" {
		return Found{}, errors.New("no marker is given")
	}
	me, err := c.Viewer(ctx)
	if err != nil {
		return Found{}, err
	}
	var found Found
	o := read("pull-requests", "list the comments of %s#%d", repo, n)
	found.Pages, err = pages(ctx, c, o, func(page gh.ListOptions) ([]*gh.IssueComment, *gh.Response, error) {
		return c.gh.Issues.ListComments(ctx, owner, name, n, &gh.IssueListCommentsOptions{ListOptions: page})
	}, func(answer *gh.IssueComment) error {
		one, err := comment(answer)
		switch {
		case err != nil:
			return err
		case !strings.Contains(one.Body, marker):
		case !isViewer(me, answer.GetUser()):
			found.Foreign++
		default:
			found.Ours = append(found.Ours, one)
		}
		return nil
	})
	if err != nil {
		return Found{}, err
	}
	slices.SortFunc(found.Ours, func(a, b Comment) int { return cmp.Compare(a.ID, b.ID) })
	found.Ours = slices.CompactFunc(found.Ours, func(a, b Comment) bool { return a.ID == b.ID })
	return found, c.minimized(ctx, o, found.Ours)
}

// RecentComments returns the comments of all issues and pull requests that were written or
// edited since a time, by the Viewer and with marker, by the number of the conversation; of
// several in one conversation the oldest.
func (c *Client) RecentComments(ctx context.Context, repo, marker string, since time.Time) (map[int]Comment, error) {
	owner, name, err := split(repo)
	if err != nil {
		return nil, err
	}
	me, err := c.Viewer(ctx)
	if err != nil {
		return nil, err
	}
	all := map[int]Comment{}
	o := read("pull-requests", "list the comments of %s since %s", repo, since.UTC().Format(time.RFC3339))
	_, err = pages(ctx, c, o, func(page gh.ListOptions) ([]*gh.IssueComment, *gh.Response, error) {
		return c.gh.Issues.ListComments(ctx, owner, name, 0, &gh.IssueListCommentsOptions{Sort: new("created"), Direction: new("asc"), Since: &since, ListOptions: page})
	}, func(answer *gh.IssueComment) error {
		one, err := comment(answer)
		if err != nil || !strings.Contains(one.Body, marker) || !isViewer(me, answer.GetUser()) {
			return err
		}
		n, err := strconv.Atoi(path.Base(answer.GetIssueURL()))
		if err != nil || n <= 0 {
			return fmt.Errorf("comment %d is of %q, want an issue's URL", one.ID, answer.GetIssueURL())
		}
		if before, ok := all[n]; !ok || one.ID < before.ID {
			all[n] = one
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// WriteComment makes body the one comment of ours with the marker: it edits the oldest,
// deletes others, and creates one if there is none. Changed reports whether anything was
// written. After a failure that may pass it looks whether the comment was created anyway,
// and otherwise creates it again.
func (c *Client) WriteComment(ctx context.Context, repo string, n int, marker, body string) (one Comment, changed bool, err error) {
	w := commentWriter{c, repo, n, marker, body}
	for failures := 0; ; failures++ {
		edited := false
		one, changed, edited, err = w.write(ctx)
		_, isTransient := errors.AsType[*transientError](err)
		deleted := edited && errors.Is(err, ErrNotFound) // by somebody, since it was listed
		pause := firstPause << failures
		if !isTransient && !deleted || failures == maxRetries || !c.fits(ctx, pause) {
			return one, changed, err
		}
		select {
		case <-c.after(pause):
		case <-ctx.Done():
			return one, changed, errors.Join(err, context.Cause(ctx))
		}
	}
}

// A commentWriter writes the one comment with a marker.
type commentWriter struct {
	*Client
	repo         string
	n            int
	marker, body string
}

// write writes the comment once; edited reports whether there was one to edit.
func (w commentWriter) write(ctx context.Context) (one Comment, changed, edited bool, err error) {
	found, err := w.Comments(ctx, w.repo, w.n, w.marker)
	if err != nil {
		return Comment{}, false, false, err
	}
	if len(found.Ours) > 0 {
		one, changed, err = w.replace(ctx, found.Ours)
		return one, changed, true, err
	}
	if one, err = w.CreateComment(ctx, w.repo, w.n, w.body); err != nil {
		return one, true, false, err
	}
	// Another run may have created one at the same moment, and deleted this one: both keep
	// the oldest.
	found, err = w.Comments(ctx, w.repo, w.n, w.marker)
	if alone := len(found.Ours) == 1 && found.Ours[0].ID == one.ID; err != nil || alone || len(found.Ours) == 0 {
		return one, true, false, err
	}
	one, _, err = w.replace(ctx, found.Ours)
	return one, true, true, err
}

// replace edits the oldest of our comments and deletes the others.
func (w commentWriter) replace(ctx context.Context, ours []Comment) (one Comment, changed bool, err error) {
	for _, extra := range ours[1:] {
		if err := w.DeleteComment(ctx, w.repo, extra.ID); err != nil {
			return Comment{}, false, fmt.Errorf("delete a second comment of ours: %w", err)
		}
	}
	if ours[0].Body == w.body {
		return ours[0], false, nil
	}
	one, err = w.EditComment(ctx, w.repo, ours[0].ID, w.body)
	return one, true, err
}

// CreateComment creates a comment. It is not retried if GitHub may have created it: call
// Comments first.
func (c *Client) CreateComment(ctx context.Context, repo string, n int, body string) (Comment, error) {
	owner, name, err := item(repo, n)
	if err != nil {
		return Comment{}, err
	}
	o := create("pull-requests", "comment on %s#%d", repo, n)
	answer, _, err := call(ctx, c, o, func() (*gh.IssueComment, *gh.Response, error) {
		return c.gh.Issues.CreateComment(ctx, owner, name, n, &gh.IssueComment{Body: &body})
	})
	return c.written(o, answer, err)
}

// EditComment replaces the body of a comment. It returns ErrNotFound if it was deleted.
func (c *Client) EditComment(ctx context.Context, repo string, id int64, body string) (Comment, error) {
	owner, name, err := split(repo)
	if err != nil {
		return Comment{}, err
	}
	o := write("pull-requests", "edit comment %d of %s", id, repo)
	answer, _, err := call(ctx, c, o, func() (*gh.IssueComment, *gh.Response, error) {
		return c.gh.Issues.EditComment(ctx, owner, name, id, &gh.IssueComment{Body: &body})
	})
	return c.written(o, answer, err)
}

// DeleteComment deletes a comment. One that does not exist is no error.
func (c *Client) DeleteComment(ctx context.Context, repo string, id int64) error {
	owner, name, err := split(repo)
	if err != nil {
		return err
	}
	_, _, err = call(ctx, c, write("pull-requests", "delete comment %d of %s", id, repo), func() (struct{}, *gh.Response, error) {
		resp, err := c.gh.Issues.DeleteComment(ctx, owner, name, id)
		return struct{}{}, resp, err
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (c *Client) written(o op, answer *gh.IssueComment, err error) (Comment, error) {
	if err != nil {
		return Comment{}, err
	}
	one, err := comment(answer)
	if err != nil {
		return Comment{}, c.errors.wrap(o, err)
	}
	return one, nil
}

func comment(answer *gh.IssueComment) (Comment, error) {
	if answer.GetID() <= 0 {
		return Comment{}, errors.New("a comment without an id")
	}
	return Comment{
		ID: answer.GetID(), Author: answer.GetUser().GetLogin(), Body: answer.GetBody(),
		URL: answer.GetHTMLURL(), node: answer.GetNodeID(),
	}, nil
}
