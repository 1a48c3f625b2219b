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

// A guillotine lets a number of writes through and then cuts the connection
// for good, as a kill -9 does to a process.
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

// a trial is a namespace with two versions of the sample side by side, ready
// to be handed over.
type trial struct {
	t       *testing.T
	ctx     context.Context
	sandbox *sandbox.Sandbox
	cluster *kube.Cluster
	lease   *kube.Lease
	record  *release.Record
}

func newTrial(t *testing.T) *trial {
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
	tr := &trial{t: t, ctx: ctx, sandbox: s, cluster: c, lease: lease, record: found.Record}
	target := tr.target(c)
	if err := target.prepare(ctx); err != nil {
		t.Fatal(err)
	}
	if err := target.scale(ctx, 100); err != nil {
		t.Fatal(err)
	}
	if err := target.matchReplicas(ctx); err != nil {
		t.Fatal(err)
	}
	return tr
}

func (tr *trial) target(c *kube.Cluster) *Target {
	tr.t.Helper()
	target, err := New(tr.ctx, c, tr.record, tr.lease)
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.t.Cleanup(target.Close)
	return target
}

// pods lists the identity of every pod in the namespace.
func (tr *trial) pods() []release.Pod {
	tr.t.Helper()
	list, err := tr.cluster.Typed.CoreV1().Pods(tr.record.Namespace).List(tr.ctx, metav1.ListOptions{})
	if err != nil {
		tr.t.Fatal(err)
	}
	var s release.Revision
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil { // version 0 may still be stopping
			kube.NotePod(&s, &list.Items[i], tr.record.Container)
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

// turn makes the record the one of the next hand-over, in the other
// direction.
func (tr *trial) turn() {
	r := *tr.record
	r.Stable, r.Canary = r.Canary, r.Stable
	tr.record = &r
}

// handedOver fails the test unless the user's Deployment owns the incoming
// ReplicaSet, the canary's the outgoing, and both run unpaused.
func (tr *trial) handedOver() {
	tr.t.Helper()
	target := tr.target(tr.cluster)
	in, out, err := target.owners(tr.ctx)
	if err != nil {
		tr.t.Fatal(err)
	}
	if in != ownerUser || out != ownerCanary {
		tr.t.Fatalf("owners are %d and %d, want the user's deployment (%d) and the canary's (%d)", in, out, ownerUser, ownerCanary)
	}
	for _, name := range []string{tr.record.Deployment, tr.record.CanaryDeployment()} {
		d, err := target.deployments.get(tr.ctx, name)
		if err != nil {
			tr.t.Fatal(err)
		}
		if d.Spec.Paused || kube.Deref(d.Spec.Replicas) != 2 {
			tr.t.Errorf("deployment %s: paused %t, replicas %d", name, d.Spec.Paused, kube.Deref(d.Spec.Replicas))
		}
	}
	sets, err := tr.cluster.Typed.AppsV1().ReplicaSets(tr.record.Namespace).List(tr.ctx, metav1.ListOptions{})
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, rs := range sets.Items {
		if _, freed := rs.Annotations[kube.AnnotationFreed]; freed || metav1.GetControllerOf(&rs) == nil {
			tr.t.Errorf("replicaset %s was left free", rs.Name)
		}
	}
}

func TestHandOverBothWaysWithoutARestart(t *testing.T) {
	t.Parallel()
	tr := newTrial(t)
	before := tr.pods()
	for range 2 {
		if err := tr.target(tr.cluster).handOver(tr.ctx); err != nil {
			t.Fatal(err)
		}
		tr.handedOver()
		if diff := cmp.Diff(before, tr.pods()); diff != "" {
			t.Fatalf("pods (-before +after):\n%s", diff)
		}
		tr.turn()
	}
}

// TestHandOverSurvivesAKillAfterEachWrite cuts the tool off after its first,
// second, third ... write of a hand-over. Whatever was done, every pod goes on
// running, and a new process brings the hand-over to its end.
func TestHandOverSurvivesAKillAfterEachWrite(t *testing.T) {
	t.Parallel()
	tr := newTrial(t)
	before := tr.pods()
	for writes := range int64(100) {
		left := &atomic.Int64{}
		left.Store(1 << 30)
		life, die := context.WithCancel(tr.ctx)
		doomed := connect(t, tr.sandbox, func(next http.RoundTripper) http.RoundTripper { return guillotine{next, left, die} })
		target := tr.target(doomed)
		left.Store(writes)
		err := target.handOver(life)
		die()
		if err != nil && !errors.Is(err, errKilled) && !errors.Is(err, context.Canceled) {
			t.Fatalf("killed after %d writes: %v", writes, err)
		}
		if diff := cmp.Diff(before, tr.pods()); diff != "" {
			t.Fatalf("killed after %d writes: pods (-before +after):\n%s", writes, diff)
		}
		if err := tr.served(); err != nil {
			t.Fatalf("killed after %d writes: %v", writes, err)
		}
		if finish := tr.target(tr.cluster).handOver(tr.ctx); finish != nil {
			t.Fatalf("finish after a kill after %d writes: %v", writes, finish)
		}
		tr.handedOver()
		if diff := cmp.Diff(before, tr.pods()); diff != "" {
			t.Fatalf("finished after a kill after %d writes: pods (-before +after):\n%s", writes, diff)
		}
		if err == nil {
			if writes < 10 {
				t.Fatalf("a hand-over took only %d writes: the test cuts nothing", writes)
			}
			t.Logf("%d writes in a hand-over, killed after each", writes)
			return
		}
		tr.turn()
	}
	t.Fatal("no hand-over ended within 100 writes")
}

// served is nil when every Service has an endpoint that is ready.
func (tr *trial) served() error {
	for _, s := range tr.record.Services {
		endpoints, err := tr.cluster.Typed.DiscoveryV1().EndpointSlices(tr.record.Namespace).List(tr.ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + s.Name})
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
		func() error { return target.prepare(t.Context()) },
		func() error { return target.scale(t.Context(), 100) },
		func() error { return target.routes.write(t.Context(), 50) },
		func() error { return target.routes.write(t.Context(), 0) },
	} {
		if err := a(); err != nil {
			t.Fatal(err)
		}
	}
	if cmp.Equal(before, snapshot(t, c, ns)) {
		t.Fatal("nothing changed meanwhile: the test compares nothing")
	}
	if err := target.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, snapshot(t, c, ns)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

// snapshot is every object of a rollout as the user would write it: metadata
// that the server keeps, and status, left out.
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
