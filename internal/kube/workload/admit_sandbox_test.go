package workload

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// apply applies an object to a namespace.
func apply(t *testing.T, s *sandbox.Sandbox, ns, manifest string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", "--kubeconfig", s.Kubeconfig, "-n", ns, "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
}

// quota is a ResourceQuota for a number of pods.
func quota(pods int) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: tight}\nspec: {hard: {pods: %d}}", pods)
}

// The API server of the sandbox refuses in a dry run what it would refuse in
// earnest, and stores nothing.
func TestAdmitOnSandbox(t *testing.T) {
	t.Parallel()
	s, ns := onSandbox(t, 2)
	c := connect(t, s, nil)
	query := discover.Query{Namespace: ns, VersionLabel: "version", Image: sandboxtest.Website(t, s, "v2", nil)}
	before, err := discover.Find(t.Context(), c, query)
	if err != nil {
		t.Fatal(err)
	}
	// The API server learns of quotas and limits from a watch, so the answer may
	// come later.
	admit := func(want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := kube.Retry(ctx, func(ctx context.Context) error {
			refusals, warnings, err := Admit(ctx, c, before.Record, 100)
			switch {
			case err != nil:
				return err
			case want == "" && len(refusals)+len(warnings) > 0:
				return fmt.Errorf("%w: refusals %q, warnings %q, want none", kube.ErrNotYet, refusals, warnings)
			case want != "" && (len(refusals) != 1 || !strings.Contains(refusals[0], want)):
				return fmt.Errorf("%w: refusals %q, want one with %q", kube.ErrNotYet, refusals, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	admit("")
	apply(t, s, ns, quota(2))
	admit("exceeded quota: tight")
	apply(t, s, ns, quota(3)) // the first pod fits, the second does not
	admit("quota tight in namespace " + ns + ": 2 more pods need pods 2, and 1 of 3 is free")
	apply(t, s, ns, quota(9))
	apply(t, s, ns, "apiVersion: v1\nkind: LimitRange\nmetadata: {name: least}\nspec: {limits: [{type: Pod, min: {memory: 2Gi}}]}")
	admit("minimum memory usage per Pod is 2Gi")
	apply(t, s, ns, "apiVersion: v1\nkind: LimitRange\nmetadata: {name: least}\nspec: {limits: []}")
	apply(t, s, ns, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+", labels: {pod-security.kubernetes.io/enforce: restricted}}")
	admit("violates PodSecurity")
	apply(t, s, ns, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+", labels: {pod-security.kubernetes.io/enforce: privileged}}")
	admit("")
	after, err := discover.Find(t.Context(), c, query)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.Record, after.Record); diff != "" || len(after.Obstacles) > 0 {
		t.Errorf("after the dry runs: obstacles %q (-before +after):\n%s", after.Obstacles, diff)
	}
}

// A canary whose pods a quota refuses says so while it waits.
func TestAQuotaIsNamedWhileTheCanaryWaits(t *testing.T) {
	t.Parallel()
	s, ns := onSandbox(t, 2)
	c := connect(t, s, nil)
	found, err := discover.Find(t.Context(), c, discover.Query{Namespace: ns, VersionLabel: "version", Image: sandboxtest.Website(t, s, "v2", nil)})
	if err != nil {
		t.Fatal(err)
	}
	found.Record.Plan = rollout.Plan{Steps: []rollout.Step{{Weight: 100}}}
	lease, err := c.Acquire(t.Context(), ns, found.Record.Deployment, release.Run{ID: t.Name()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	target, err := New(t.Context(), c, found.Record, lease)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	apply(t, s, ns, quota(2))
	state := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageReady}
	for _, kind := range []rollout.Kind{rollout.KindPrepare, rollout.KindScale} {
		if err := target.Do(t.Context(), rollout.Action{Kind: kind}, state); err != nil {
			t.Fatal(err)
		}
	}
	o, err := target.Observe(t.Context(), state)
	for ; err == nil && !strings.Contains(o.Waiting, "exceeded quota: tight"); o, err = target.Observe(t.Context(), state) {
		select {
		case <-target.Changed():
		case <-t.Context().Done():
			t.Fatalf("waiting = %q", o.Waiting)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(o.Waiting, "replicaset ") || o.Trouble != "" || o.Recheck.IsZero() || o.CanaryReady != 0 || o.CanaryWanted != 2 {
		t.Errorf("observation = %+v", o)
	}
}
