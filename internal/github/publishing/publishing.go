// Package publishing has what gates share when they tell others what they say: what
// became of each target, and the pull request's one comment.
package publishing

import (
	"context"
	"errors"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// A Line is what became of one target.
type Line struct {
	What   string // the target: "pull request comment"
	Did    string // "created", "unchanged"; "" if Failed
	Failed bool
	Why    string // why it failed; or notes
	Hint   string // what to do about it; "" for nothing
	URL    string
}

// String is the line for people.
func (l Line) String() string {
	text := l.What + ": " + l.Did
	if l.Failed {
		text = l.What + ": not published"
	}
	if l.Why != "" {
		text += ": " + plain.Text(l.Why, 500)
	}
	if l.Hint != "" {
		text += "; " + plain.Text(l.Hint, 300)
	}
	if l.URL != "" {
		text += ", " + l.URL
	}
	return text
}

// Targets that several gates have.
const (
	WhatComment = "pull request comment"
	WhatChannel = "Slack"
)

// Failed is the line of a target that could not be told, as with the read-only token of
// a fork's pull request.
func Failed(what string, err error) Line {
	l := Line{What: what, Failed: true, Why: err.Error()}
	_, l.Hint = exit.Of(err)
	if f, ok := errors.AsType[*github.ForbiddenError](err); ok {
		l.Hint = f.Hint
	}
	return l
}

// A Commenter has the pull request's one comment.
type Commenter interface {
	// Previous returns the comment, "" for none.
	Previous(context.Context) (string, error)
	Write(ctx context.Context, body string) (url string, changed bool, err error)
}

// Comment writes a comment, made by plain.Sticky, unless the one that is there says the
// same.
func Comment(ctx context.Context, body string, to Commenter) Line {
	before, err := to.Previous(ctx)
	if err != nil {
		return Failed(WhatComment, err)
	}
	if plain.Same(before, body) {
		body = before
	}
	url, changed, err := to.Write(ctx, body)
	switch {
	case err != nil:
		return Failed(WhatComment, err)
	case !changed:
		return Line{What: WhatComment, Did: "unchanged", URL: url}
	}
	return Line{What: WhatComment, Did: "written", URL: url}
}

// A PullComment is the comment of a pull request on GitHub. It implements Commenter.
type PullComment struct {
	Client *github.Client
	Repo   string // owner/name
	Number int
	Marker string
}

// Previous implements Commenter.
func (c PullComment) Previous(ctx context.Context) (string, error) {
	found, err := c.Client.Comments(ctx, c.Repo, c.Number, c.Marker)
	if err != nil || len(found.Ours) == 0 {
		return "", err
	}
	return found.Ours[0].Body, nil
}

// Write implements Commenter.
func (c PullComment) Write(ctx context.Context, body string) (url string, changed bool, err error) {
	one, changed, err := c.Client.WriteComment(ctx, c.Repo, c.Number, c.Marker, body)
	return one.URL, changed, err
}
