package workload

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source/podmetrics"
)

// sized returns the sample with limits that it does not reach.
var sized = sample.Resources{
	Limits:   map[string]string{"cpu": "500m", "memory": "64Mi"},
	Requests: map[string]string{"memory": "32Mi"},
}

// usageFixture returns the sample in the sandbox with a canary of the image
// beside it.
func usageFixture(t *testing.T, resources sample.Resources, canary string) *Target {
	t.Helper()
	s := sandboxtest.Start(t)
	ns := sandboxtest.Namespace(t, s)
	sandboxtest.Deploy(t, s, sample.App{Namespace: ns, Image: sandboxtest.Website(t, s, "v1", nil), Replicas: 1, Resources: resources})
	image := sandboxtest.Website(t, s, "v2", nil)
	if canary != "" {
		image = sandboxtest.Website(t, s, "v2-crash-"+canary, map[string]string{"CRASH_AFTER": canary})
	}
	c := connect(t, s, nil)
	found, err := discover.Find(t.Context(), c, discover.Query{Namespace: ns, VersionLabel: "version", Image: image})
	if err != nil {
		t.Fatal(err)
	}
	found.Record.Plan = rollout.Plan{Steps: []rollout.Step{{Weight: 100}}}
	lease, err := c.Acquire(t.Context(), ns, found.Record.Deployment, release.Run{ID: t.Name()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := lease.Release(ctx); err != nil {
			t.Errorf("release: %v", err)
		}
	})
	target, err := New(t.Context(), c, found.Record, lease)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(target.Close)
	if err := target.prepare(t.Context(), rollout.State{}); err != nil {
		t.Fatal(err)
	}
	if err := target.canary.scale(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	return target
}

// await reads a source, after each change in the watch and at least every
// second, until ok accepts all points so far.
func await(t *testing.T, target *Target, limit time.Duration, read func(context.Context) ([]analysis.Point, error), ok func([]analysis.Point) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var points []analysis.Point
	err := target.watch.Until(ctx, func(ctx context.Context) error {
		more, err := read(ctx)
		if err != nil {
			return err
		}
		if points = append(points, more...); !ok(points) {
			return kube.ErrNotYet
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v; points so far: %+v", err, points)
	}
}

// TestUsageOfBothVersions waits for metrics-server, which measures a pod about
// 20 s after its start.
func TestUsageOfBothVersions(t *testing.T) {
	t.Parallel()
	target := usageFixture(t, sized, "")
	for _, test := range []podmetrics.Config{{Resource: podmetrics.CPU}, {Resource: podmetrics.Memory, Of: podmetrics.OfLimits}, {Resource: podmetrics.Memory, Of: podmetrics.OfRequests}} {
		source := reading(t, target, test)
		seen := map[rollout.Side]bool{}
		await(t, target, 2*time.Minute, source.Read, func(points []analysis.Point) bool {
			for _, p := range points {
				if share := float64(*p.Value); !(share > 0 && share <= 1) || p.Subject == "" || time.Since(p.At) > 2*time.Minute {
					t.Errorf("%s of %s of %s: %v at %s, want a recent share", test.Resource, test.Of, p.Subject, share, p.At)
				}
				seen[p.Side] = true
			}
			return seen[rollout.SideStable] && seen[rollout.SideCanary]
		})
		if points, err := reading(t, target, test).Read(t.Context()); err != nil || len(points) != 2 {
			t.Errorf("a new source returns %+v, %v, want both pods", points, err)
		}
	}
}

func TestUsageRefusesWhatHasNoLimit(t *testing.T) {
	t.Parallel()
	target := usageFixture(t, sample.Resources{Requests: sized.Requests}, "")
	points, err := reading(t, target, podmetrics.Config{Resource: podmetrics.Memory}).Read(t.Context())
	if want := "it has no memory limit that its usage could be a share of: set resources.limits.memory"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Read = %+v, %v, want %q", points, err, want)
	}
}

func TestACrashIsARestart(t *testing.T) {
	t.Parallel()
	target := usageFixture(t, sample.Resources{}, "1s")
	source := reading(t, target, podmetrics.Config{Resource: podmetrics.Restarts})
	await(t, target, time.Minute, source.Read, func(points []analysis.Point) bool {
		for _, p := range points {
			if p.Side == rollout.SideStable && *p.Value != 0 {
				t.Errorf("the stable pod restarted: %+v", p)
			}
			if p.Side == rollout.SideCanary && *p.Value >= 1 {
				return true
			}
		}
		return false
	})
}

func TestMissingNamesTheMetricsAPI(t *testing.T) {
	t.Parallel()
	s := sandboxtest.Start(t)
	missing, err := connect(t, s, nil).Missing(t.Context(), "default", kube.Permission{Group: "metrics.k8s.io", Resource: "pods", Verbs: []string{"get", "list"}})
	if err != nil || len(missing) != 0 {
		t.Errorf("Missing = %q, %v, want nothing for the sandbox's admin", missing, err)
	}
}
