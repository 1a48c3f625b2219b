package perf

import (
	"context"
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/publishing"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/notify/slack"
	"github.com/candlefish/deploy-action/internal/perf/inputs"
	"github.com/candlefish/deploy-action/internal/perf/publish"
	"github.com/candlefish/deploy-action/internal/perf/view"
)

// publish tells GitHub and Slack what the run says, and returns the outputs that
// follow. Whatever fails is said, and changes no verdict.
func (s *session) publish(ctx context.Context, r verdict.Result, page view.Page) map[string]string {
	to, err := s.targets()
	if err != nil {
		s.a.Printf("nothing is published: %v", err)
		return nil
	}
	outputs := map[string]string{}
	for _, line := range publish.Publish(ctx, r, page, to) {
		if line.Failed {
			s.a.Log().Warn(line.String())
		} else {
			s.a.Print(line.String())
		}
		switch line.What {
		case publishing.WhatComment:
			outputs["comment-url"] = line.URL
		case publish.WhatCheck:
			outputs["check-url"] = line.URL
		}
	}
	return outputs
}

// targets are who is to be told.
func (s *session) targets() (publish.Targets, error) {
	var to publish.Targets
	if url := s.v.String("slack-webhook-url"); url != "" {
		channel, err := slack.New(url, slack.Options{After: s.after})
		if err != nil {
			return to, err
		}
		to.Channel = channel
	}
	client, err := s.client()
	if err != nil {
		return to, err
	}
	if client == nil {
		return to, untold(s.v)
	}
	if s.chosen("comment", s.PullRequest()) && s.PullRequest() {
		to.Comment = publishing.PullComment{Client: client, Repo: s.Repository, Number: s.Change.Number, Marker: view.Marker}
	}
	if s.commit() == "" {
		return to, nil
	}
	if s.chosen("check", s.a.OnRunner()) {
		to.Check = publish.CommitCheck{Client: client, Repository: s.Repository, Commit: s.commit(), Environment: s.v.String("environment")}
	}
	if s.chosen("deployment-status", s.a.OnRunner()) {
		to.Deployment = publish.CommitDeployment{Client: client, Repository: s.Repository, Commit: s.commit(), Environment: s.v.String("environment")}
	}
	return to, nil
}

// client talks to GitHub; nil without a token or a repository.
func (s *session) client() (*github.Client, error) {
	token := s.v.String("github-token")
	if token == "" || s.Repository == "" {
		return nil, nil
	}
	return github.New(github.Options{Token: token, BaseURL: s.v.URL("github-api-url").String(), Now: s.now, After: s.after, Log: s.a.Log()})
}

// untold says which inputs ask for something on GitHub that has no token or no
// repository.
func untold(v input.Values) error {
	var asked []string
	for _, name := range []string{"comment", "check", "deployment-status"} {
		if v.String(name) == inputs.Yes {
			asked = append(asked, name)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	what := "github-token is not set"
	if v.String("github-token") != "" {
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
