package github

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
)

func TestLifeOfAnEnvironment(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{Admin: true})
	ctx := t.Context()
	const env = "preview/pr-7"
	deploy := func(sha string) int64 {
		t.Helper()
		server.AddBranch(shop, "faster", sha)
		id, err := c.Deploy(ctx, shop, env, sha, "the preview", map[string]int{"pr": 7})
		if err != nil {
			t.Fatal(err)
		}
		for _, state := range []string{"in_progress", "success"} {
			if err := c.DeploymentStatus(ctx, shop, id, state, "https://pr-7.example.test", "https://github.com/acme/shop/actions/runs/1", strings.Repeat("ü", 200)); err != nil {
				t.Fatal(err)
			}
		}
		return id
	}
	first := deploy(sha1)
	second := deploy(sha2)
	want := githubtest.Deployment{
		ID: first, Environment: env, SHA: sha1, Description: "the preview", Payload: `{"pr":7}`, Transient: true,
		Statuses: []githubtest.Status{
			{State: "in_progress", EnvironmentURL: "https://pr-7.example.test", LogURL: "https://github.com/acme/shop/actions/runs/1", Description: strings.Repeat("ü", 139) + "…"},
			{State: "success", EnvironmentURL: "https://pr-7.example.test", LogURL: "https://github.com/acme/shop/actions/runs/1", Description: strings.Repeat("ü", 139) + "…"},
		},
	}
	if diff := cmp.Diff(want, server.Deployments(shop)[0]); diff != "" {
		t.Errorf("the first, which GitHub leaves as it is, (-want +got):\n%s", diff)
	}
	states := func() []string {
		var all []string
		for _, d := range server.Deployments(shop) {
			all = append(all, d.State())
		}
		return all
	}
	if n, err := c.DeactivateDeployments(ctx, shop, env, second); n != 1 || err != nil || !cmp.Equal(states(), []string{"inactive", "success"}) {
		t.Errorf("all but the second: %d, error %v, states %v", n, err, states())
	}
	for _, want := range []int{1, 0} {
		if n, err := c.DeactivateDeployments(ctx, shop, env); n != want || err != nil || !cmp.Equal(states(), []string{"inactive", "inactive"}) {
			t.Errorf("all: %d, error %v, want %d, states %v", n, err, want, states())
		}
	}
	for range 2 {
		if err := c.DeleteEnvironment(ctx, shop, env); err != nil || len(server.Environments(shop)) != 0 {
			t.Errorf("error %v, environments %v", err, server.Environments(shop))
		}
	}
}

func TestDeactivateOverManyPages(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{})
	for i := range 205 {
		env := "pr-7"
		if i == 0 {
			env = "production"
		}
		if _, err := c.Deploy(t.Context(), shop, env, sha1, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	server.Inject(githubtest.Fault{Method: "POST", Skip: 100, Times: 1, Do: githubtest.Answer(502, "")})
	n, err := c.DeactivateDeployments(t.Context(), shop, "pr-7")
	if n != 100 || err == nil || !strings.Contains(err.Error(), "to inactive: 502") {
		t.Errorf("%d, error %v, want 100 and the trouble", n, err)
	}
	if n, err := c.DeactivateDeployments(t.Context(), shop, "pr-7"); n != 104 || err != nil {
		t.Errorf("%d, error %v, want the other 104", n, err)
	}
	if got := server.Deployments(shop)[0].State(); got != "" {
		t.Errorf("that of production is %q", got)
	}
}

func TestDeleteEnvironmentWithoutTheRight(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{})
	if _, err := c.Deploy(t.Context(), shop, "pr-7", sha1, "", nil); err != nil {
		t.Fatal(err)
	}
	err := c.DeleteEnvironment(t.Context(), shop, "pr-7")
	refused, ok := errors.AsType[*ForbiddenError](err)
	if !ok || !strings.Contains(refused.Hint, "administers the repository") || refused.What != `delete environment "pr-7" of acme/shop` || len(server.Environments(shop)) != 1 {
		t.Errorf("error %v (%+v)", err, refused)
	}
}

func TestDeployRefused(t *testing.T) {
	t.Parallel()
	c, _, _ := open(t, githubtest.Options{})
	if _, err := c.Deploy(t.Context(), shop, "pr-7", sha2, "", nil); err == nil || !strings.Contains(err.Error(), "422 Unprocessable Entity: No ref found for: "+sha2) {
		t.Errorf("of an unknown commit: %v", err)
	}
	if err := c.DeploymentStatus(t.Context(), shop, 1, "success", "", "", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("status of none: %v", err)
	}
	id, err := c.Deploy(t.Context(), shop, "pr-7", sha1, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"State is not included in the list":        c.DeploymentStatus(t.Context(), shop, id, "done", "", "", ""),
		"environment_url must use http(s) scheme":  c.DeploymentStatus(t.Context(), shop, id, "success", "javascript:x", "", ""),
		"set deployment 1 of acme/shop to success": c.DeploymentStatus(t.Context(), shop, 1, "success", "", "", ""),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
