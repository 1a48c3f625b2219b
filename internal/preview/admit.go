package preview

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/preview/build"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
	"github.com/candlefish/deploy-action/internal/preview/result"
)

// workflowRun is the event of a run that uses what another run built.
const workflowRun = "workflow_run"

// admit finds the pull request of a workflow_run, and refuses what must not be published
// with secrets at hand: a fork's code, a build that is not the pull request's, and an
// artifact with more in it than files.
func (s *session) admit(ctx context.Context, k *reconcile.Reconciler) error {
	if s.key.Number == 0 {
		if err := s.findPullRequest(ctx, k); err != nil {
			return err
		}
	}
	if s.goal != result.GoalUp {
		return nil
	}
	pr, err := k.Forge.PullRequest(ctx, s.key)
	if err != nil {
		return err
	}
	if s.commit == "" {
		s.commit = pr.Head
	}
	s.untrusted = pr.Fork || s.event.Name == workflowRun
	if s.event.Name == workflowRun {
		if err := refused(otherBuild(pr, s.event, s.commit)); err != nil {
			return err
		}
	}
	if pr.Fork {
		// A stranger's redirect rule with status 200 would pass them on to any host.
		s.headers.Withhold()
		if err := refused(forkRefusal(s.key, s.event.Name, s.v.Bool("allow-forks"), k.Backend != nil || s.v.String("functions") != "")); err != nil {
			return err
		}
	}
	if s.untrusted && k.Host != nil {
		if err := build.CheckUntrusted(s.v.String("dir"), build.Untrusted); err != nil {
			return refused(err.Error())
		}
	}
	return nil
}

// findPullRequest finds the open pull request that a workflow_run built. GitHub lists a
// commit that two repositories have only for its own one, so the open ones are searched too.
func (s *session) findPullRequest(ctx context.Context, k *reconcile.Reconciler) error {
	prs, err := k.Forge.WithHead(ctx, s.key.Repository, s.commit)
	if err != nil {
		return err
	}
	found := s.built(prs)
	if len(found) == 0 {
		if prs, err = k.Forge.Open(ctx, s.key.Repository); err != nil {
			return err
		}
		found = s.built(prs)
	}
	switch len(found) {
	case 0:
		return refused(fmt.Sprintf("no open pull request of %s is at commit %s of %s", s.key.Repository, result.Short(s.commit), head(s.event.HeadRepo, s.event.HeadBranch)))
	case 1:
		s.key.Number = found[0]
		return nil
	}
	return refused(fmt.Sprintf("%s has several open pull requests of %s, %v: set pr-number", s.key.Repository, head(s.event.HeadRepo, s.event.HeadBranch), found))
}

// built lists the open pull requests whose head is what the event's run built.
func (s *session) built(prs []reconcile.PullRequest) []int {
	var numbers []int
	for _, pr := range prs {
		if pr.Open && pr.Head == s.commit && sameHead(pr, s.event) {
			numbers = append(numbers, pr.Number)
		}
	}
	return numbers
}

// sameHead reports whether a run was for the branch of a pull request. The commit alone says
// nothing: anybody can push somebody else's commit to a fork.
func sameHead(pr reconcile.PullRequest, e github.Event) bool {
	return e.HeadRepo != "" && strings.EqualFold(pr.HeadRepo, e.HeadRepo) && pr.Branch != "" && pr.Branch == e.HeadBranch
}

func head(repo, branch string) string {
	if repo == "" {
		return "a deleted repository"
	}
	return repo + ":" + branch
}

// otherBuild returns why the artifact of a workflow_run is not the build of a pull request's
// commit, empty if it is. A number or a commit that came with the artifact proves nothing.
func otherBuild(pr reconcile.PullRequest, e github.Event, commit string) string {
	switch {
	case e.Conclusion != "success":
		return fmt.Sprintf("the run that built %s did not succeed: its conclusion is %q", pr.Key, e.Conclusion)
	case commit != e.HeadSHA:
		return fmt.Sprintf("commit: the run built %s, not %s", result.Short(e.HeadSHA), result.Short(commit))
	case !sameHead(pr, e):
		return fmt.Sprintf("the run built %s, and %s is from %s", head(e.HeadRepo, e.HeadBranch), pr.Key, head(pr.HeadRepo, pr.Branch))
	}
	return ""
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
