package deployments_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/deployments"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
)

const job = "https://github.com/acme/shop/actions/runs/9"

// A result is told in a status of the same state, and once.
func TestDescribe(t *testing.T) {
	t.Parallel()
	server, e := start(t, githubtest.Options{}, "staging")
	if _, err := e.Describe(t.Context(), commit, "pass", job); !errors.Is(err, deployments.ErrNone) {
		t.Errorf("no deployment: %v", err)
	}
	server.AddDeployment(repo, githubtest.Deployment{Environment: "staging", SHA: commit, Statuses: []githubtest.Status{{State: "in_progress"}}})
	server.AddDeployment(repo, githubtest.Deployment{Environment: "staging", SHA: commit, Statuses: []githubtest.Status{{State: "inactive"}}})
	server.AddDeployment(repo, githubtest.Deployment{Environment: "production", SHA: commit, Statuses: []githubtest.Status{{State: "success"}}})
	server.AddDeployment(repo, githubtest.Deployment{Environment: "staging", SHA: strings.Repeat("b", 40), Statuses: []githubtest.Status{{State: "success"}}})
	if _, err := e.Describe(t.Context(), commit, "pass", job); !errors.Is(err, deployments.ErrNone) {
		t.Errorf("no finished deployment of the commit to the environment: %v", err)
	}
	id := release(t, e, shop, deployments.Success)
	long := "Refused: " + strings.Repeat("é", 200)
	for n, want := range []bool{true, false} {
		if changed, err := e.Describe(t.Context(), commit, long, job); err != nil || changed != want {
			t.Errorf("%d: changed %v, %v", n, changed, err)
		}
	}
	if changed, err := e.Describe(t.Context(), commit, "Pass", ""); err != nil || !changed {
		t.Errorf("a rerun: changed %v, %v", changed, err)
	}
	all := server.Deployments(repo)
	for _, d := range all {
		if want := map[bool]int{true: 3, false: 1}[d.ID == id]; len(d.Statuses) != want {
			t.Errorf("deployment %d to %s has %d statuses, want %d", d.ID, d.Environment, len(d.Statuses), want)
		}
	}
	got := all[len(all)-1].Statuses
	if s := got[1]; s.State != "success" || s.EnvironmentURL != "https://shop.example" || s.LogURL != job || utf8.RuneCountInString(s.Description) != 140 {
		t.Errorf("%+v", s)
	}
	if s := got[2]; s.LogURL != job || s.Description != "Pass" {
		t.Errorf("a rerun without a link: %+v", s)
	}
}

func TestDescribeWithoutPermission(t *testing.T) {
	t.Parallel()
	server, e := start(t, githubtest.Options{ReadOnly: true}, "staging")
	server.AddDeployment(repo, githubtest.Deployment{Environment: "staging", SHA: commit, Statuses: []githubtest.Status{{State: "success"}}})
	changed, err := e.Describe(t.Context(), commit, "pass", job)
	if f, ok := errors.AsType[*github.ForbiddenError](err); !ok || changed || !strings.HasPrefix(f.Hint, "grant the job permissions: deployments: write") {
		t.Errorf("changed %v, %v", changed, err)
	}
}
