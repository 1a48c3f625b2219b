// Package publish tells others what a security scan says: code scanning, the pull
// request's comment, the issue about critical findings, the Slack channel.
//
// Each is told on its own: one that can't be told, as with the read-only token of a
// fork's pull request, does not stop the others and changes no verdict. What became of
// each is returned as a [publishing.Line]. What is there already is not written again, except in
// Slack, which a webhook can't read.
package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/github/issues"
	"github.com/candlefish/deploy-action/internal/github/publishing"
	"github.com/candlefish/deploy-action/internal/notify/slack"
	"github.com/candlefish/deploy-action/internal/report/plain"
	"github.com/candlefish/deploy-action/internal/security/view"
	"github.com/candlefish/deploy-action/internal/security/words"
)

// An Uploader uploads the results to code scanning. It says in a few words what
// became of them, and the URL of the page that shows them, if there is one.
type Uploader interface {
	Upload(context.Context, verdict.Result) (did, url string, err error)
}

// A Keeper keeps the issue: an issues.Tracker.
type Keeper interface {
	Keep(context.Context, issues.Want) (issues.Outcome, error)
}

// A Channel is where messages go: a slack.Webhook.
type Channel interface {
	Post(context.Context, slack.Message) error
}

// Targets are who is told. Nil is somebody whom nobody asked to tell.
//
// Issue must be nil for a scan of a pull request: the issue is about the branch that
// is delivered.
type Targets struct {
	Upload  Uploader
	Comment publishing.Commenter
	Issue   Keeper
	Channel Channel
}

// What the lines are about.
const (
	WhatUpload = "code scanning"
	WhatIssue  = "issue about critical findings"
)

// Publish tells the targets, and returns a line for each.
func Publish(ctx context.Context, r verdict.Result, p view.Page, assignees []string, to Targets) []publishing.Line {
	var lines []publishing.Line
	if to.Upload != nil {
		lines = append(lines, upload(ctx, r, to.Upload))
	}
	if to.Comment != nil {
		lines = append(lines, publishing.Comment(ctx, view.Comment(r, p), to.Comment))
	}
	if to.Issue != nil {
		lines = append(lines, issue(ctx, r, p, assignees, to.Issue))
	}
	if to.Channel != nil {
		lines = append(lines, post(ctx, r, p, to.Channel))
	}
	return lines
}

// failed is the line of a target that could not be told.
func failed(what string, err error) publishing.Line {
	l := publishing.Failed(what, err)
	if errors.Is(err, issues.ErrDisabled) {
		l.Hint = "enable issues in the repository's settings, or turn the issue of this gate off"
	}
	return l
}

func upload(ctx context.Context, r verdict.Result, to Uploader) publishing.Line {
	const what = WhatUpload
	did, url, err := to.Upload(ctx, r)
	if err != nil {
		return failed(what, err)
	}
	return publishing.Line{What: what, Did: did, URL: url}
}

// Labels are those of the issue.
func Labels() []issues.Label {
	return []issues.Label{
		{Name: "security", Colour: "d73a4a", Description: "Security findings"},
		{Name: "critical", Colour: "b60205", Description: "Critical severity"},
		{Name: "P0", Colour: "b60205", Description: "Highest priority"},
	}
}

func issue(ctx context.Context, r verdict.Result, p view.Page, assignees []string, to Keeper) publishing.Line {
	const what = WhatIssue
	want := issues.Want{
		Marker: view.IssueMarker, Title: view.IssueTitle, Body: view.Issue(r), Depth: slices.Index(verdict.Levels(), r.Level) + 1, Whole: words.Whole(r),
		Labels: Labels(), Assignees: assignees, Run: p.Run,
	}
	for _, f := range words.Criticals(r) {
		want.Problems = append(want.Problems, issues.Problem{ID: f.ID, Line: view.Line(f)})
	}
	o, err := to.Keep(ctx, want)
	if err != nil {
		return failed(what, err)
	}
	l := publishing.Line{What: what, Did: o.Did, URL: o.URL}
	for i, note := range o.Notes {
		if i > 0 {
			l.Why += "; "
		}
		l.Why += note
	}
	return l
}

// Footer is the seed's.
const footer = "Candlefish Security Pipeline"

func post(ctx context.Context, r verdict.Result, p view.Page, to Channel) publishing.Line {
	const what = publishing.WhatChannel
	if err := to.Post(ctx, Message(r, p)); err != nil {
		return failed(what, err)
	}
	return publishing.Line{What: what, Did: "posted"}
}

// Message is what the Slack channel is told.
func Message(r verdict.Result, p view.Page) slack.Message {
	m := slack.Message{
		Title: r.Band.Emoji + " Security Scan Complete", Link: p.Run, Colour: r.Band.Colour, Text: words.Headline(r), Footer: footer, At: r.At,
		Fields: []slack.Field{{Name: "Repository", Value: plain.Or(r.Place.Repository)}, {Name: "Security Score", Value: words.Score(r)}, {Name: "Status", Value: words.Status(r)}, {Name: "Scan Level", Value: string(r.Level)}},
	}
	reasons := slack.List{Name: "Why"}
	for _, reason := range r.Reasons[:min(len(r.Reasons), 10)] {
		reasons.Items = append(reasons.Items, plain.Text(reason.Text, 300))
	}
	criticals := slack.List{Name: "New critical findings"}
	for _, f := range words.Criticals(r) {
		if f.State != finding.StateExisting {
			row := words.RowOf(f)
			criticals.Items = append(criticals.Items, fmt.Sprintf("%s: %s", row.Title, plain.Or(row.Where)))
		}
		if len(criticals.Items) >= 20 {
			break
		}
	}
	sick := slack.List{Name: "Tools that can't be believed"}
	for _, t := range words.Unhealthy(r) {
		sick.Items = append(sick.Items, fmt.Sprintf("%s: %s: %s", t.Name, t.Health, plain.Or(t.Why)))
	}
	m.Lists = []slack.List{reasons, criticals, sick}
	return m
}
