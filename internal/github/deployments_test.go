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
	but := func(d Deployment) bool { return d.ID != second }
	if ids, err := c.DeactivateDeployments(ctx, shop, env, but); !cmp.Equal(ids, []int64{first}) || err != nil || !cmp.Equal(states(), []string{"inactive", "success"}) {
		t.Errorf("all but the second: %v, error %v, states %v", ids, err, states())
	}
	if err := c.DeleteDeployment(ctx, shop, second); err == nil || !strings.Contains(err.Error(), "cannot delete an active deployment") {
		t.Errorf("delete an active one: %v", err)
	}
	ofSeven := func(d Deployment) bool { return string(d.Payload) == `{"pr":7}` }
	for range 2 {
		if ids, err := c.DeactivateDeployments(ctx, shop, env, ofSeven); len(ids) != 2 || err != nil || !cmp.Equal(states(), []string{"inactive", "inactive"}) {
			t.Errorf("all: %v, error %v, states %v", ids, err, states())
		}
	}
	for _, existed := range []bool{true, false} {
		if got, err := c.DeleteEnvironment(ctx, shop, env); got != existed || err != nil || len(server.Environments(shop)) != 0 {
			t.Errorf("existed %t, error %v, environments %v", got, err, server.Environments(shop))
		}
	}
	for range 2 {
		if err := c.DeleteDeployment(ctx, shop, first); err != nil || len(server.Deployments(shop)) != 1 {
			t.Errorf("delete the first: %v, left %v", err, server.Deployments(shop))
		}
	}
}

// every selects all deployments.
func every(Deployment) bool { return true }

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
	server.Inject(githubtest.Fault{Method: "POST", Skip: 100, Times: 4, Do: githubtest.Answer(502, "")})
	if _, err := c.DeactivateDeployments(t.Context(), shop, "pr-7", every); err == nil || !strings.Contains(err.Error(), "to inactive: 502") {
		t.Errorf("error %v, want the trouble", err)
	}
	ids, err := c.DeactivateDeployments(t.Context(), shop, "pr-7", every)
	if len(ids) != 204 || err != nil {
		t.Errorf("%d, error %v, want all 204", len(ids), err)
	}
	if got := server.Deployments(shop)[204].State(); got != "inactive" {
		t.Errorf("the last one is %q", got)
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
	_, err := c.DeleteEnvironment(t.Context(), shop, "pr-7")
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
