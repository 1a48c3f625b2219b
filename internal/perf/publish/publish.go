// Package publish tells others what a performance run says: the pull request's comment,
// a check run of the commit, the status of a deployment, the Slack channel.
//
// Each is told on its own: one that can't be told, as with the read-only token of a
// fork's pull request, does not stop the others and changes no verdict. What became of
// each is returned as a [publishing.Line].
package publish

import (
	"context"
	"errors"

	"github.com/candlefish/deploy-action/internal/github/deployments"
	"github.com/candlefish/deploy-action/internal/github/publishing"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/notify/slack"
	"github.com/candlefish/deploy-action/internal/perf/view"
	"github.com/candlefish/deploy-action/internal/perf/words"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// A Checker has the check run of a commit. What says the same already is not written
// again.
type Checker interface {
	Check(context.Context, view.Check) (url string, changed bool, err error)
}

// A Deployer has the deployment that was measured.
type Deployer interface {
	// Status sets its description, see view.Check.
	Status(context.Context, view.Check) (url string, changed bool, err error)
}

// A Channel is where messages go: a slack.Webhook.
type Channel interface {
	Post(context.Context, slack.Message) error
}

// Targets are who is told. Nil is somebody whom nobody asked to tell.
type Targets struct {
	Comment    publishing.Commenter
	Check      Checker
	Deployment Deployer
	Channel    Channel
}

// What the lines are about, beside those of publishing.
const (
	WhatCheck      = "check run"
	WhatDeployment = "deployment status"
)

// Publish tells the targets, and returns a line for each.
func Publish(ctx context.Context, r verdict.Result, p view.Page, to Targets) []publishing.Line {
	var lines []publishing.Line
	if to.Comment != nil {
		lines = append(lines, publishing.Comment(ctx, view.Comment(r, p), to.Comment))
	}
	if to.Check != nil {
		url, changed, err := to.Check.Check(ctx, view.CheckOf(r, p))
		lines = append(lines, line(WhatCheck, url, changed, err))
	}
	if to.Deployment != nil {
		url, changed, err := to.Deployment.Status(ctx, view.CheckOf(r, p))
		lines = append(lines, line(WhatDeployment, url, changed, err))
	}
	if to.Channel != nil {
		lines = append(lines, post(ctx, r, p, to.Channel))
	}
	return lines
}

func line(what, url string, changed bool, err error) publishing.Line {
	switch {
	case errors.Is(err, deployments.ErrNone):
		return publishing.Line{What: what, Did: "left out", Why: deployments.ErrNone.Error()}
	case err != nil:
		return publishing.Failed(what, err)
	case !changed:
		return publishing.Line{What: what, Did: "unchanged", URL: url}
	}
	return publishing.Line{What: what, Did: "written", URL: url}
}

func post(ctx context.Context, r verdict.Result, p view.Page, to Channel) publishing.Line {
	if err := to.Post(ctx, Message(r, p)); err != nil {
		return publishing.Failed(publishing.WhatChannel, err)
	}
	return publishing.Line{What: publishing.WhatChannel, Did: "posted"}
}

// Footer is that of the pipeline's messages before.
const footer = "Candlefish Performance Pipeline"

// Message is what the Slack channel is told. Its title is the link to the run.
func Message(r verdict.Result, p view.Page) slack.Message {
	m := slack.Message{
		Title: words.Emoji(r) + " Performance Test Results", Link: p.Run, Colour: words.Colour(r), Text: words.Headline(r), Footer: footer, At: r.At,
		Fields: []slack.Field{{Name: "Environment", Value: plain.Or(r.Target)}, {Name: "Status", Value: words.Status(r)}, {Name: "Scenarios", Value: words.Scenarios(r)}, {Name: "Target URL", Value: plain.Or(r.URL)}},
	}
	const most = 20 // lines of a list
	reasons := slack.List{Name: "Why"}
	for _, reason := range r.Reasons[:min(len(r.Reasons), 10)] {
		reasons.Items = append(reasons.Items, plain.Text(reason.Text, 300))
	}
	limits := slack.List{Name: "Limits"}
	for _, c := range append(words.Unmet(r), words.NotMeasured(r)...) {
		limits.Items = append(limits.Items, words.Checked(c))
	}
	changes := slack.List{Name: "Worse than before"}
	for _, c := range words.Worse(r) {
		changes.Items = append(changes.Items, words.Compared(c, r.Policy.Rule.Alpha))
	}
	sick := slack.List{Name: "Meters that can't be believed"}
	for _, one := range words.Unhealthy(r) {
		one.Took = 0
		sick.Items = append(sick.Items, words.Meter(one))
	}
	for _, l := range []slack.List{reasons, limits, changes, sick} {
		if left := len(l.Items) - most; left > 0 {
			l.Items = append(l.Items[:most], plain.Number(left)+" more")
		}
		m.Lists = append(m.Lists, l)
	}
	return m
}
