package security

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/codescanning"
	"github.com/candlefish/deploy-action/internal/github/issues"
	"github.com/candlefish/deploy-action/internal/github/publishing"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/notify/slack"
	"github.com/candlefish/deploy-action/internal/sarif/emit"
	"github.com/candlefish/deploy-action/internal/security/inputs"
	"github.com/candlefish/deploy-action/internal/security/publish"
	"github.com/candlefish/deploy-action/internal/security/scope"
	"github.com/candlefish/deploy-action/internal/security/view"
)

// publish tells GitHub and Slack what the scan says, and returns the outputs that
// follow. Whatever fails is said, and changes no verdict.
func (s *session) publish(ctx context.Context, commit string, r verdict.Result, page view.Page) map[string]string {
	to, err := s.targets(commit)
	if err != nil {
		s.a.Printf("nothing is published: %v", err)
		return nil
	}
	outputs := map[string]string{}
	for _, line := range publish.Publish(ctx, r, page, s.v.List("issue-assignees"), to) {
		if line.Failed {
			s.a.Log().Warn(line.String())
		} else {
			s.a.Print(line.String())
		}
		switch line.What {
		case publishing.WhatComment:
			outputs["comment-url"] = line.URL
		case publish.WhatIssue:
			outputs["issue-url"] = line.URL
		}
	}
	return outputs
}

// targets are who is to be told.
func (s *session) targets(commit string) (publish.Targets, error) {
	var to publish.Targets
	if url := s.v.String("slack-webhook-url"); url != "" {
		channel, err := slack.New(url, slack.Options{After: s.after})
		if err != nil {
			return to, err
		}
		to.Channel = channel
	}
	token := s.v.String("github-token")
	if token == "" || s.Repository == "" {
		return to, untold(s.v, token)
	}
	client, err := github.New(github.Options{Token: token, BaseURL: s.v.URL("github-api-url").String(), Now: s.now, After: s.after, Log: s.a.Log()})
	if err != nil {
		return to, err
	}
	if s.chosen("comment", s.PullRequest()) && s.PullRequest() {
		to.Comment = publishing.PullComment{Client: client, Repo: s.Repository, Number: s.Change.Number, Marker: view.Marker}
	}
	if s.chosen("issue", s.Event == "schedule") && !s.PullRequest() {
		tracker, err := issues.New(client, s.Repository)
		if err != nil {
			return to, err
		}
		to.Issue = tracker
	}
	if s.chosen("upload-sarif", s.a.OnRunner()) {
		uploader, err := codescanning.New(codescanning.Options{Client: client, Repository: s.Repository, After: s.after})
		if err != nil {
			return to, err
		}
		to.Upload = upload{s, uploader, commit}
	}
	return to, nil
}

// untold says which inputs ask for something on GitHub that has no token or no
// repository.
func untold(v input.Values, token string) error {
	var asked []string
	for _, name := range []string{"comment", "issue", "upload-sarif"} {
		if v.String(name) == inputs.Yes {
			asked = append(asked, name)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	what := "github-token is not set"
	if token != "" {
		what = "the repository is not known"
	}
	return fmt.Errorf("%s, which %s would need", what, strings.Join(asked, " and "))
}

// chosen is an input of true, false and auto.
func (s *session) chosen(name string, byItself bool) bool {
	switch s.v.String(name) {
	case inputs.Yes:
		return true
	case inputs.No:
		return false
	}
	return byItself
}

// An upload brings the findings to code scanning.
type upload struct {
	s  *session
	to *codescanning.Uploader
	// commit is the one that is checked out: of a pull request the merge, which is what
	// its ref means.
	commit string
}

// Upload implements publish.Uploader. It says what of the findings is not there, too.
func (u upload) Upload(ctx context.Context, r verdict.Result) (did, url string, err error) {
	document, left := emit.Of(shownOn(r, u.s.PullRequest()), u.s.emitOptions(true))
	files, more, err := document.Pack(emit.GitHub)
	if err != nil {
		return "", "", err
	}
	var errs []error
	done, pending := 0, 0
	for _, f := range files {
		up, err := u.to.Upload(ctx, codescanning.Scan{Commit: u.commit, Ref: r.Place.Ref, Gzip: f.Gzip, Tool: "security-gate"})
		switch {
		case err != nil:
			errs = append(errs, err)
		case up.State == codescanning.Pending:
			pending++
		default:
			done++
		}
	}
	said := []string{fmt.Sprintf("%d of %d files processed", done, len(files))}
	if pending > 0 {
		said = append(said, fmt.Sprintf("%d taken, and GitHub may still refuse them", pending))
	}
	for _, l := range slices.Concat(left, more) {
		said = append(said, l.String())
	}
	return strings.Join(said, "; "), "", errors.Join(errs...)
}

// shownOn is the result as a branch's alerts may have it. What was looked for in some
// commits only says nothing of the others: uploaded for a branch, it would close their
// alerts. Nor does a scan that was given no host close what one of all hosts found.
func shownOn(r verdict.Result, pullRequest bool) verdict.Result {
	r.Tools = slices.Clone(r.Tools)
	for i, t := range r.Tools {
		if slices.Contains(scope.ByInput, t.Name) && t.Health == verdict.NotApplicable {
			r.Tools[i].Health = verdict.LeftOut
		}
		if pullRequest || r.Place.AllCommits {
			continue
		}
		if slices.Contains(scope.ByRange, t.Name) && t.Health == verdict.Healthy {
			r.Tools[i].Health, r.Tools[i].Why = verdict.Partial, "it scanned the commits of this push, and no others"
		}
	}
	return r
}
