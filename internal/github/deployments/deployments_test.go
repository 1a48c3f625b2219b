package deployments_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/deployments"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
)

const repo = "acme/shop"

var (
	commit = strings.Repeat("a", 40)
	shop   = deployments.Payload{Target: "shop/web", Run: "1.1", Image: "web:2"}
)

func start(t *testing.T, o githubtest.Options, env string) (*githubtest.Server, deployments.Environment) {
	t.Helper()
	server := githubtest.Start(t, o)
	server.AddBranch(repo, "main", commit)
	client, err := github.New(github.Options{Token: "token-of-a-test", BaseURL: server.URL(), After: func(time.Duration) <-chan time.Time {
		c := make(chan time.Time)
		close(c)
		return c
	}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := deployments.New(client, repo, env)
	if err != nil {
		t.Fatal(err)
	}
	return server, e
}

// release records a deployment with one status.
func release(t *testing.T, e deployments.Environment, p deployments.Payload, state deployments.State) int64 {
	t.Helper()
	id, err := e.Create(t.Context(), commit, "web:2", p)
	if err == nil {
		err = e.SetStatus(t.Context(), id, deployments.Status{State: state, EnvironmentURL: "https://shop.example"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func states(server *githubtest.Server) []string {
	var all []string
	for _, d := range server.Deployments(repo) {
		all = append(all, d.State())
	}
	return all
}

// A success makes the earlier ones inactive, of production too. Those of another target in the same environment stay.
func TestOneIsActive(t *testing.T) {
	t.Parallel()
	for _, env := range []string{"production", "staging"} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			server, e := start(t, githubtest.Options{}, env)
			release(t, e, shop, deployments.Success)
			other := shop
			other.Target = "shop/api"
			release(t, e, shop, deployments.Failure)
			for range 2 {
				id := release(t, e, shop, deployments.Success)
				if err := e.Supersede(t.Context(), id, shop.Target); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff([]string{"inactive", "failure", "inactive", "success"}, states(server)); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
			id := release(t, e, other, deployments.Success)
			if err := e.Supersede(t.Context(), id, other.Target); err != nil {
				t.Fatal(err)
			}
			if got := states(server); got[3] != "success" {
				t.Errorf("the release of another target made it %s", got[3])
			}
			if d := server.Deployments(repo)[0]; d.Production != (env == "production") || d.Transient || d.Statuses[0].EnvironmentURL != "https://shop.example" {
				t.Errorf("deployment %+v", d)
			}
		})
	}
}

func TestOfJob(t *testing.T) {
	t.Parallel()
	server, e := start(t, githubtest.Options{}, "production")
	of := func(env, log, state string) githubtest.Deployment {
		return githubtest.Deployment{Environment: env, SHA: commit, Payload: "{}", Statuses: []githubtest.Status{{State: state, LogURL: "https://github.com/acme/shop" + log}}}
	}
	check := func(what string, want bool) {
		t.Helper()
		if got, err := e.OfJob(t.Context(), commit, "77"); err != nil || got != want {
			t.Errorf("%s: OfJob = %v, %v, want %v", what, got, err, want)
		}
	}
	check("none", false)
	server.AddDeployment(repo, of("staging", "/actions/runs/77/job/1", "in_progress"))
	check("of another environment", false)
	server.AddDeployment(repo, of("production", "/actions/runs/7/job/1", "in_progress"))
	server.AddDeployment(repo, of("production", "/actions/runs/770/job/1", "in_progress"))
	check("of another run", false)
	server.AddDeployment(repo, of("production", "/actions/runs/77/job/1", "success"))
	check("of a job that has ended", false)
	release(t, e, shop, deployments.InProgress)
	check("of a release", false)
	server.AddDeployment(repo, of("production", "/actions/runs/77/job/2", "in_progress"))
	check("of this job", true)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	_, e := start(t, githubtest.Options{ReadOnly: true}, "production")
	_, err := e.Create(t.Context(), commit, "x", shop)
	if f, ok := errors.AsType[*github.ForbiddenError](err); !ok || !strings.Contains(f.Hint, "deployments: write") {
		t.Errorf("a token that may only read: %v", err)
	}
	server, e := start(t, githubtest.Options{}, "production")
	if _, err := e.Create(t.Context(), strings.Repeat("b", 40), "x", shop); err == nil || !strings.Contains(err.Error(), "No ref found") {
		t.Errorf("an unknown commit: %v", err)
	}
	id, err := e.Create(t.Context(), commit, strings.Repeat("ä", 200), shop)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.SetStatus(t.Context(), id, deployments.Status{State: deployments.Queued, Description: strings.Repeat("ä", 200)}); err != nil {
		t.Errorf("a long description: %v", err)
	}
	if all, err := e.Newest(t.Context(), ""); err != nil || len(all) != 1 || all[0].Payload != shop || all[0].ID != id {
		t.Errorf("Newest = %+v, %v", all, err)
	}
	server.Close()
	if _, err := deployments.New(nil, "shop", "production"); err == nil {
		t.Error("a repository without an owner is accepted")
	}
}
