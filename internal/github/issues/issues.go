// Package issues keeps one issue about something that scans find: it creates,
// updates, reopens and closes it, and never has two.
//
// The issue is ours if it has our marker and the token's user wrote it. A hidden
// record in its body says what it is about and how much the scan behind it saw:
// only a scan that saw as much can take something off it or close it.
package issues

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/candlefish/deploy-action/internal/github"
)

// ErrDisabled is in the error for a repository without issues.
var ErrDisabled = errors.New("issues are disabled in the repository's settings")

// A Label is a label that is created if the repository has none of its name.
type Label struct {
	Name, Colour, Description string // the colour as 6 hexadecimal digits
}

// A Problem is one thing that the issue is about.
type Problem struct {
	ID   string // by which later scans know it
	Line string // Markdown, one line
}

// A Want is what a scan has to say.
type Want struct {
	Marker      string // hidden, unique to this kind of issue
	Title, Body string // Markdown; the same as long as nothing changes
	Problems    []Problem
	// Depth says how much scans of this kind look at, from 1 to MaxDepth; Whole, that
	// this one saw all of it.
	Depth     int
	Whole     bool
	Labels    []Label // the first one is what the issue is found by
	Assignees []string
	Run       string // URL of the scan, for comments; "" for none
}

// MaxDepth is the Depth of scans that look at everything.
const MaxDepth = 3

// The words of Outcome.Did.
const (
	Nothing   = "nothing to report"
	Created   = "created"
	Updated   = "updated"
	Unchanged = "unchanged"
	Added     = "commented" // new problems, by a scan that saw less than the one before
	Reopened  = "reopened"
	Closed    = "closed"
	Kept      = "left open"   // no problems, but the scan did not see enough to say so
	Left      = "left closed" // a person closed it, and nothing is new
)

// An Outcome is what became of the issue.
type Outcome struct {
	Did    string
	Number int // 0 for none
	URL    string
	Notes  []string // labels and assignees that the issue does not have, and why
}

// A Tracker keeps issues in one repository.
type Tracker struct {
	client *github.Client
	repo   string // owner/name
}

// New returns a Tracker for the repository owner/name.
func New(client *github.Client, repo string) (Tracker, error) {
	if !github.IsRepository(repo) {
		return Tracker{}, fmt.Errorf("repository %q: want owner/name", repo)
	}
	return Tracker{client, repo}, nil
}

// Keep makes the issue say what a scan found. It writes nothing that is there
// already.
func (t Tracker) Keep(ctx context.Context, w Want) (Outcome, error) {
	if w.Marker == "" || w.Title == "" || len(w.Labels) == 0 {
		return Outcome{}, errors.New("keep an issue: a marker, a title and a label are required")
	}
	f, err := t.find(ctx, w)
	if err != nil {
		return Outcome{}, err
	}
	switch d := decide(w, f); d.act {
	case Created:
		return t.create(ctx, w)
	case Updated:
		return t.outcome(ctx, Updated, *f.open, map[string]any{"body": d.body})
	case Added:
		return t.add(ctx, w, *f.open, d)
	case Reopened:
		return t.reopen(ctx, w, *f.closed, d)
	case Closed:
		return t.close(ctx, w, *f.open, d)
	default:
		one := f.open
		if one == nil {
			one = f.closed
		}
		if one == nil {
			return Outcome{Did: d.act}, nil
		}
		return Outcome{Did: d.act, Number: one.Number, URL: one.URL}, nil
	}
}

// An issue is one as GitHub sends it.
type issue struct {
	Number   int    `json:"number"`
	Body     string `json:"body"`
	State    string `json:"state"`
	URL      string `json:"html_url"`
	User     user   `json:"user"`
	ClosedBy *user  `json:"closed_by"`
	Labels   []struct {
		Name string `json:"name"`
	} `json:"labels"`
	Pull *struct{} `json:"pull_request"`
}

type user struct {
	Login string `json:"login"`
	Type  string `json:"type"`
}

const bot = "[bot]"

// is reports whether a user is the one of a login. A user with the name of an app is
// not that app.
func (u user) is(login string) bool {
	isBot := u.Type == "Bot" || strings.HasSuffix(u.Login, bot)
	return strings.EqualFold(strings.TrimSuffix(u.Login, bot), strings.TrimSuffix(login, bot)) && isBot == strings.HasSuffix(login, bot)
}

// found is what there is of the issue.
type found struct {
	open   *issue // the oldest
	closed *issue // the newest, if none is open
	byUs   bool   // closed by the token's user
}

// find looks for the issue by its label and, since people remove labels, among all
// issues of the token's user. Of several open ones it keeps the oldest.
func (t Tracker) find(ctx context.Context, w Want) (found, error) {
	me, err := t.client.Viewer(ctx)
	if err != nil {
		return found{}, err
	}
	var ours []issue
	for _, query := range []string{"labels=" + url.QueryEscape(w.Labels[0].Name), "creator=" + url.QueryEscape(me)} {
		if ours, err = t.list(ctx, query, w.Marker, me); err != nil || len(ours) > 0 {
			break
		}
	}
	if err != nil {
		return found{}, err
	}
	var f found
	for i := range ours { // newest first
		switch one := &ours[i]; {
		case one.State == "open":
			if f.open != nil {
				if err := t.duplicate(ctx, *f.open, one.Number); err != nil {
					return found{}, err
				}
			}
			f.open = one
		case f.closed == nil:
			f.closed = one
		}
	}
	if f.open != nil || f.closed == nil {
		f.closed = nil
		return f, nil
	}
	var whole issue
	if err := t.send(ctx, http.MethodGet, fmt.Sprintf("/issues/%d", f.closed.Number), "issues: read", nil, &whole, "read issue %d", f.closed.Number); err != nil {
		return found{}, err
	}
	f.byUs = whole.ClosedBy != nil && whole.ClosedBy.is(me)
	return f, nil
}

// list returns our issues, newest first. A list that can't be read to its end is an
// error.
func (t Tracker) list(ctx context.Context, query, marker, me string) ([]issue, error) {
	const size, most = 100, 1000
	var ours []issue
	for page := 1; page <= most; page++ {
		var some []issue
		path := fmt.Sprintf("/issues?state=all&sort=created&direction=desc&per_page=%d&page=%d&%s", size, page, query)
		if err := t.send(ctx, http.MethodGet, path, "issues: read", nil, &some, "list the issues"); err != nil {
			return nil, err
		}
		for _, one := range some {
			if one.Pull == nil && one.User.is(me) && strings.Contains(one.Body, marker) {
				ours = append(ours, one)
			}
		}
		if len(some) < size {
			return ours, nil
		}
	}
	return nil, fmt.Errorf("list the issues of %s: no end after %d pages", t.repo, most)
}

// duplicate closes a second issue of ours, which then has no marker.
func (t Tracker) duplicate(ctx context.Context, one issue, of int) error {
	body := map[string]any{"state": "closed", "state_reason": "not_planned", "body": fmt.Sprintf("Duplicate of #%d, created by two scans at the same moment.", of)}
	return t.edit(ctx, one.Number, body)
}

func (t Tracker) edit(ctx context.Context, n int, body map[string]any) error {
	return t.send(ctx, http.MethodPatch, fmt.Sprintf("/issues/%d", n), "issues: write", body, nil, "edit issue %d", n)
}

func (t Tracker) comment(ctx context.Context, n int, text string) error {
	return t.send(ctx, http.MethodPost, fmt.Sprintf("/issues/%d/comments", n), "issues: write", map[string]any{"body": text}, nil, "comment on issue %d", n)
}

// send sends a request about the repository.
func (t Tracker) send(ctx context.Context, method, path, needs string, body, answer any, format string, args ...any) error {
	err := t.client.Send(ctx, github.Request{
		What: fmt.Sprintf(format, args...) + " of " + t.repo, Needs: needs, Method: method, Path: "repos/" + t.repo + path, Body: body, Once: method == http.MethodPost,
	}, answer)
	if errors.Is(err, github.ErrNotFound) && strings.Contains(err.Error(), ": 410 ") {
		return fmt.Errorf("%w: %w", ErrDisabled, err)
	}
	return err
}

var loginForm = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:\[bot\])?$`)
