package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router/gatewayapi"
)

// A guillotine passes a number of writes and then cuts the connection
// permanently, like kill -9.
type guillotine struct {
	next   http.RoundTripper
	writes *atomic.Int64 // left before the cut; counts on below 0
	die    context.CancelFunc
}

var errKilled = errors.New("killed")

func (g guillotine) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && g.writes.Add(-1) < 0 || g.writes.Load() < 0 {
		g.die() // nothing waits or tries again in a process that is gone
		return nil, errKilled
	}
	return g.next.RoundTrip(r)
}

func connect(t *testing.T, s *sandbox.Sandbox, wrap func(http.RoundTripper) http.RoundTripper) *kube.Cluster {
	t.Helper()
	c, err := kube.Connect(kube.ConnectOptions{Kubeconfig: s.Kubeconfig, Wrap: wrap})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A fixture is a namespace with two versions of the sample, ready for a
// hand-over.
type fixture struct {
	t       *testing.T
	ctx     context.Context
	sandbox *sandbox.Sandbox
	cluster *kube.Cluster
	lease   *kube.Lease
	record  *release.Record
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	ctx := t.Context()
	s, ns := onSandbox(t, 2)
	v2 := sandboxtest.Website(t, s, "v2", nil)
	c := connect(t, s, nil)
	found, err := discover.Find(ctx, c, discover.Query{Namespace: ns, VersionLabel: "version", Image: v2})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Obstacles) > 0 {
		t.Fatalf("obstacles: %q", found.Obstacles)
	}
	found.Record.Plan = rollout.Plan{Steps: []rollout.Step{{Weight: 100}}}
	lease, err := c.Acquire(ctx, ns, found.Record.Deployment, release.Run{ID: t.Name()}, nil)
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
	fx := &fixture{t: t, ctx: ctx, sandbox: s, cluster: c, lease: lease, record: found.Record}
	target := fx.target(c)
	if err := target.prepare(ctx, rollout.State{}); err != nil {
		t.Fatal(err)
	}
	if err := target.canary.scale(ctx, 100); err != nil {
		t.Fatal(err)
	}
	if err := target.handOver().matchReplicas(ctx); err != nil {
		t.Fatal(err)
	}
	return fx
}

func (fx *fixture) target(c *kube.Cluster) *Target {
	fx.t.Helper()
	target, err := New(fx.ctx, c, fx.record, fx.lease)
	if err != nil {
		fx.t.Fatal(err)
	}
	fx.t.Cleanup(target.Close)
	return target
}

func (fx *fixture) handOver(c *kube.Cluster) handOver {
	fx.t.Helper()
	target := fx.target(c)
	return target.handOver()
}

// pods lists the identity of every pod in the namespace.
func (fx *fixture) pods() []release.Pod {
	fx.t.Helper()
	list, err := fx.cluster.Typed.CoreV1().Pods(fx.record.Namespace).List(fx.ctx, metav1.ListOptions{})
	if err != nil {
		fx.t.Fatal(err)
	}
	var s release.Revision
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil { // version 0 may still be stopping
			kube.NotePod(&s, &list.Items[i], fx.record.Container)
		}
	}
	slices.SortFunc(s.Pods, func(a, b release.Pod) int { return compare(a.Name, b.Name) })
	return s.Pods
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// turn changes the record for the next hand-over, in the other direction.
func (fx *fixture) turn() {
	r := *fx.record
	r.Stable, r.Canary = r.Canary, r.Stable
	fx.record = &r
}

// handedOver fails the test unless the user's Deployment owns the incoming
// ReplicaSet, the canary's the outgoing, and both run unpaused.
func (fx *fixture) handedOver() {
	fx.t.Helper()
	target := fx.target(fx.cluster)
	in, out, err := target.handOver().owners(fx.ctx)
	if err != nil {
		fx.t.Fatal(err)
	}
	if in != ownerUser || out != ownerCanary {
		fx.t.Fatalf("owners are %d and %d, want the user's deployment (%d) and the canary's (%d)", in, out, ownerUser, ownerCanary)
	}
	for _, name := range []string{fx.record.Deployment, fx.record.CanaryDeployment()} {
		d, err := target.deployments.Get(fx.ctx, name)
		if err != nil {
			fx.t.Fatal(err)
		}
		if d.Spec.Paused || kube.Deref(d.Spec.Replicas) != 2 {
			fx.t.Errorf("deployment %s: paused %t, replicas %d", name, d.Spec.Paused, kube.Deref(d.Spec.Replicas))
		}
	}
	sets, err := fx.cluster.Typed.AppsV1().ReplicaSets(fx.record.Namespace).List(fx.ctx, metav1.ListOptions{})
	if err != nil {
		fx.t.Fatal(err)
	}
	for _, rs := range sets.Items {
		if _, freed := rs.Annotations[kube.AnnotationFreed]; freed || metav1.GetControllerOf(&rs) == nil {
			fx.t.Errorf("replicaset %s was left free", rs.Name)
		}
	}
}

func TestHandOverBothWaysWithoutARestart(t *testing.T) {
	t.Parallel()
	fx := newFixture(t)
	before := fx.pods()
	for range 2 {
		if err := fx.handOver(fx.cluster).run(fx.ctx); err != nil {
			t.Fatal(err)
		}
		fx.handedOver()
		if diff := cmp.Diff(before, fx.pods()); diff != "" {
			t.Fatalf("pods (-before +after):\n%s", diff)
		}
		fx.turn()
	}
}

// TestHandOverSurvivesAKillAfterEachWrite cuts the connection after the first,
// second, third ... write of a hand-over. Each time every pod keeps running,
// and a new process finishes the hand-over.
func TestHandOverSurvivesAKillAfterEachWrite(t *testing.T) {
	t.Parallel()
	fx := newFixture(t)
	before := fx.pods()
	for writes := range int64(100) {
		left := &atomic.Int64{}
		left.Store(1 << 30)
		life, die := context.WithCancel(fx.ctx)
		doomed := connect(t, fx.sandbox, func(next http.RoundTripper) http.RoundTripper { return guillotine{next, left, die} })
		target := fx.target(doomed)
		left.Store(writes)
		err := target.handOver().run(life)
		killed := life.Err() != nil // what a wait says then is what it waits for
		die()
		if err != nil && !killed && !errors.Is(err, errKilled) && !errors.Is(err, context.Canceled) {
			t.Fatalf("killed after %d writes: %v", writes, err)
		}
		if diff := cmp.Diff(before, fx.pods()); diff != "" {
			t.Fatalf("killed after %d writes: pods (-before +after):\n%s", writes, diff)
		}
		if err := fx.served(); err != nil {
			t.Fatalf("killed after %d writes: %v", writes, err)
		}
		if finish := fx.handOver(fx.cluster).run(fx.ctx); finish != nil {
			t.Fatalf("finish after a kill after %d writes: %v", writes, finish)
		}
		fx.handedOver()
		if diff := cmp.Diff(before, fx.pods()); diff != "" {
			t.Fatalf("finished after a kill after %d writes: pods (-before +after):\n%s", writes, diff)
		}
		if err == nil {
			if writes < 10 {
				t.Fatalf("a hand-over took only %d writes: the test cuts nothing", writes)
			}
			t.Logf("%d writes in a hand-over, killed after each", writes)
			return
		}
		fx.turn()
	}
	t.Fatal("no hand-over ended within 100 writes")
}

// served returns nil if every Service has a ready endpoint.
func (fx *fixture) served() error {
	for _, s := range fx.record.Services {
		endpoints, err := fx.cluster.Typed.DiscoveryV1().EndpointSlices(fx.record.Namespace).List(fx.ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + s.Name})
		if err != nil {
			return err
		}
		ready := 0
		for _, slice := range endpoints.Items {
			for _, e := range slice.Endpoints {
				if e.Conditions.Ready != nil && *e.Conditions.Ready {
					ready++
				}
			}
		}
		if ready == 0 {
			return fmt.Errorf("service %s has no ready endpoint", s.Name)
		}
	}
	return nil
}

func TestRestoreLeavesEverythingAsItWas(t *testing.T) {
	t.Parallel()
	s, ns := onSandbox(t, 1)
	v2 := sandboxtest.Website(t, s, "v2", nil)
	c := connect(t, s, nil)
	before := snapshot(t, c, ns)
	found, err := discover.Find(t.Context(), c, discover.Query{Namespace: ns, VersionLabel: "version", Image: v2})
	if err != nil {
		t.Fatal(err)
	}
	found.Record.Plan = rollout.Plan{Steps: []rollout.Step{{Weight: 100}}}
	lease, err := c.Acquire(t.Context(), ns, found.Record.Deployment, release.Run{ID: t.Name()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lease.Release(context.WithoutCancel(t.Context())) }()
	target, err := New(t.Context(), c, found.Record, lease)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	for _, a := range []func() error{
		func() error { return target.prepare(t.Context(), rollout.State{}) },
		func() error { return target.canary.scale(t.Context(), 100) },
		func() error { return target.routes.Write(t.Context(), 50) },
		func() error { return target.routes.Write(t.Context(), 0) },
	} {
		if err := a(); err != nil {
			t.Fatal(err)
		}
	}
	if cmp.Equal(before, snapshot(t, c, ns)) {
		t.Fatal("nothing changed meanwhile: the test compares nothing")
	}
	if err := target.cleaner().Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, snapshot(t, c, ns)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

// snapshot returns every object of a rollout as the user would write it,
// without status and the server's metadata.
func snapshot(t *testing.T, c *kube.Cluster, ns string) map[string]string {
	t.Helper()
	objects := map[string]string{}
	deployments, err := c.Typed.AppsV1().Deployments(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range deployments.Items {
		objects["deployment "+d.Name] = encoded(t, map[string]any{"labels": d.Labels, "annotations": d.Annotations, "spec": d.Spec})
	}
	services, err := c.Typed.CoreV1().Services(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services.Items {
		objects["service "+s.Name] = encoded(t, map[string]any{"labels": s.Labels, "spec": s.Spec})
	}
	routes, err := c.Dynamic.Resource(kube.ResourceOf(gatewayapi.Router{}.Kind())).Namespace(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes.Items {
		objects["httproute "+r.GetName()] = encoded(t, map[string]any{"labels": r.GetLabels(), "annotations": r.GetAnnotations(), "spec": r.Object["spec"]})
	}
	pods, err := c.Typed.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{FieldSelector: "status.phase=" + string(corev1.PodRunning)})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if p.DeletionTimestamp != nil { // version 0 may still be stopping
			continue
		}
		objects["pod "+p.Name] = encoded(t, map[string]any{"uid": p.UID, "labels": p.Labels})
	}
	return objects
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
