package preview

import (
	"context"
	"errors"
	"fmt"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
)

// admit finds the pull request of a workflow_run, and refuses forks: a run of a fork's
// pull request has no secrets, and a run with secrets must not use a fork's code.
func (s *session) admit(ctx context.Context, k *reconcile.Reconciler) error {
	if s.key.Number == 0 {
		if err := s.findPullRequest(ctx, k); err != nil {
			return err
		}
	}
	if s.goal != reconcile.GoalUp {
		return nil
	}
	pr, err := k.Forge.PullRequest(ctx, s.key)
	if err != nil {
		return err
	}
	if s.commit == "" {
		s.commit = pr.Head
	}
	if !pr.Fork {
		return nil
	}
	return refused(forkRefusal(s.key, s.event.Name, s.v.Bool("allow-forks"), k.Backend != nil || s.v.String("functions") != ""))
}

// findPullRequest finds the open pull request of the commit.
func (s *session) findPullRequest(ctx context.Context, k *reconcile.Reconciler) error {
	prs, err := k.Forge.WithHead(ctx, s.key.Repository, s.commit)
	if err != nil {
		return err
	}
	for _, pr := range prs {
		if pr.Open && pr.Head == s.commit {
			s.key.Number = pr.Number
		}
	}
	if s.key.Number == 0 {
		return refused(fmt.Sprintf("no open pull request of %s is at commit %s", s.key.Repository, reconcile.Short(s.commit)))
	}
	return nil
}

// refused is the error of a refused run, nil without a reason.
func refused(reason string) error {
	if reason == "" {
		return nil
	}
	return &exit.Error{Status: exit.GateRefused, Err: errors.New(reason), Hint: "docs/preview.md shows the two workflows for forks"}
}

// forkRefusal returns why a run must not publish a fork's pull request, empty if it may.
func forkRefusal(key reconcile.Key, event string, allowed, runsCode bool) string {
	switch {
	case event == "pull_request" || event == "pull_request_target":
		return fmt.Sprintf("%s is from a fork: its own run has no secrets and no token with write access, and a run with them must not take its code", key)
	case !allowed:
		return fmt.Sprintf("%s is from a fork, and allow-forks is not set", key)
	case runsCode:
		return fmt.Sprintf("%s is from a fork: its frontend may be published, its functions and API code may not; set parts: frontend", key)
	}
	return ""
}
