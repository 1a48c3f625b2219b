package publish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/github/githubtest/checkstest"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/publish"
	"github.com/candlefish/deploy-action/internal/perf/view"
)

// A result on GitHub: an inconclusive run is a failed check, a rerun updates it, and the
// deployment keeps its state. Missing permissions are lines.
func TestCheckAndDeploymentOnGitHub(t *testing.T) {
	t.Parallel()
	const repo = "acme/shop"
	commit := strings.Repeat("a", 40)
	start := func(o githubtest.Options) (*githubtest.Server, *checkstest.Checks, publish.Targets) {
		server := githubtest.Start(t, o)
		server.AddBranch(repo, "main", commit)
		fake := checkstest.New(server, commit)
		client, err := github.New(github.Options{Token: "token-of-a-test", BaseURL: server.URL(), After: func(time.Duration) <-chan time.Time { c := make(chan time.Time); close(c); return c }})
		if err != nil {
			t.Fatal(err)
		}
		return server, fake, publish.Targets{
			Check:      publish.CommitCheck{Client: client, Repository: repo, Commit: commit, Environment: "staging"},
			Deployment: publish.CommitDeployment{Client: client, Repository: repo, Commit: commit, Environment: "staging"},
		}
	}
	lines := func(r verdict.Result, to publish.Targets) []string {
		var all []string
		for _, l := range publish.Publish(t.Context(), r, view.Page{Run: "https://github.com/acme/shop/actions/runs/1"}, to) {
			all = append(all, l.String())
		}
		return all
	}
	unsure := verdict.Result{Verdict: verdict.Inconclusive, Reasons: []verdict.Reason{{Text: "k6 crashed."}}, Target: "staging"}

	server, fake, to := start(githubtest.Options{})
	want := []string{"check run: written, https://github.com/acme/shop/runs/1", "deployment status: left out: the commit has no finished deployment to the environment"}
	if diff := cmp.Diff(want, lines(unsure, to)); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	server.AddDeployment(repo, githubtest.Deployment{Environment: "staging", SHA: commit, Statuses: []githubtest.Status{{State: "success"}}})
	want = []string{"check run: unchanged, https://github.com/acme/shop/runs/1", "deployment status: written"}
	if diff := cmp.Diff(want, lines(unsure, to)); diff != "" {
		t.Errorf("again (-want +got):\n%s", diff)
	}
	if r := fake.Runs(commit); len(r) != 1 || r[0].Conclusion != "failure" || r[0].Name != "Performance (staging)" || r[0].Title == "" {
		t.Errorf("%+v", r)
	}
	if d := server.Deployments(repo)[0]; d.State() != "success" || d.Statuses[1].Description == "" {
		t.Errorf("%+v", d)
	}

	server, _, to = start(githubtest.Options{ReadOnly: true})
	server.AddDeployment(repo, githubtest.Deployment{Environment: "staging", SHA: commit, Statuses: []githubtest.Status{{State: "success"}}})
	for i, permission := range []string{"checks: write", "deployments: write"} {
		if got := lines(unsure, to)[i]; !strings.Contains(got, ": not published: ") || !strings.Contains(got, "; grant the job permissions: "+permission) {
			t.Error(got)
		}
	}
}
