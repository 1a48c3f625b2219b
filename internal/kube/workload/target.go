// Package workload is one Deployment with its Services and routes under a
// rollout.
//
// A release lives in two plain Deployments. The user's keeps its name, selector
// and history; the canary runs in "<name>-canary" beside it, from a copy of the
// same pod template. Both Deployments select the same labels and are told apart
// by owner references, which makes it possible to hand a ReplicaSet with its
// running pods from one to the other (handover.go, package replicas).
//
// Services are narrowed by the version label while two versions have pods, so
// that each selects exactly one of them; the label is on the pods before a
// selector asks for it. Labels change without a roll (package replicas).
package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/replicas"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// A Target is the workload that a rollout acts on. It implements rollout.Target.
// Pods may be called from any goroutine, the other methods only
// from the one that runs the rollout.
type Target struct {
	cluster     *kube.Cluster
	lease       *kube.Lease
	watch       *kube.Watch
	deployments *replicas.Deployments
	canary      canary
	services    services
	routes      *routes
	failure     *PodFailure // as it was before the pods were removed

	mu     sync.Mutex // guards record.Canary
	record *release.Record
}

// New watches the objects of record. Stop it with Close.
func New(ctx context.Context, c *kube.Cluster, record *release.Record, lease *kube.Lease) (*Target, error) {
	r := routers.Of(record.Router)
	if r == nil {
		return nil, fmt.Errorf("the release record names the router %q, which this version does not have", record.Router)
	}
	w, err := c.NewWatch(ctx, record.Namespace, r.Kind())
	if err != nil {
		return nil, fmt.Errorf("watch namespace %s: %w", record.Namespace, err)
	}
	record.Schema, record.Token = release.Schema, lease.Token
	t := &Target{
		cluster: c, lease: lease, watch: w, record: record,
		deployments: replicas.New(c, w, record.Namespace, record.VersionLabel, record.Deployment),
		services:    services{client: c.Typed.CoreV1().Services(record.Namespace), watch: w, record: record},
		routes:      newRoutes(c, w, record, r),
	}
	t.canary = canary{Deployments: t.deployments, cluster: c, watch: w, health: newHealth(record.Container), mu: &t.mu, record: record}
	return t, nil
}

// Close ends the watches.
func (t *Target) Close() { t.watch.Stop() }

// Record is the newest record. It is not to be changed.
func (t *Target) Record() *release.Record { return t.record }

// Changed is signalled after a watched object has changed.
func (t *Target) Changed() <-chan struct{} { return t.watch.Changed() }

// Save records the state, fenced by the lease.
func (t *Target) Save(ctx context.Context, s rollout.State) error {
	t.record.State = s
	return t.cluster.SaveRecord(ctx, t.record)
}

// Do carries out one action of a rollout.
func (t *Target) Do(ctx context.Context, a rollout.Action, s rollout.State) error {
	switch a.Kind {
	case rollout.KindPrepare:
		return t.prepare(ctx)
	case rollout.KindScale:
		if err := t.canary.scale(ctx, t.record.Plan.Steps[s.Sized].Weight); err != nil || s.Sized > 0 {
			return err
		}
		return t.routes.openPreflight(ctx)
	case rollout.KindWeight:
		// The fence is looked at where it matters most: nobody may
		// change traffic under another run's feet.
		if err := t.lease.Check(ctx); err != nil {
			return err
		}
		if err := t.routes.write(ctx, a.Weight); err != nil {
			return err
		}
		return t.routes.closePreflight(ctx)
	case rollout.KindHandOver:
		if err := t.lease.Check(ctx); err != nil {
			return err
		}
		return handOver{t.canary, t.services}.run(ctx)
	case rollout.KindReturn:
		return t.routes.write(ctx, 0)
	case rollout.KindWarm:
		return t.warm(ctx)
	case rollout.KindUnwarm:
		return t.services.aimCanary(ctx, t.services.byHash(t.record.Canary.Hash))
	case rollout.KindRestore:
		return t.restore(ctx)
	default:
		return fmt.Errorf("unknown action %d", a.Kind)
	}
}

// prepare makes the user's pods tellable from the canary's before the canary
// exists: first the label on the pods, then the selectors that ask for it, then
// the canary Service. The order is what keeps every Service filled.
func (t *Target) prepare(ctx context.Context) error {
	if err := t.deployments.SetSide(ctx, t.record.Deployment, t.record.Stable.ReplicaSet, labelOf(rollout.SideStable)); err != nil {
		return err
	}
	if err := t.services.narrow(ctx, t.record.VersionLabel, string(rollout.SideStable)); err != nil {
		return err
	}
	return t.services.createCanary(ctx)
}

// warm aims the canary Service at the old revision and says until when its
// pods are kept, so that a rollback is one write of a route.
func (t *Target) warm(ctx context.Context) error {
	if t.record.WarmUntil.IsZero() {
		t.record.WarmUntil = time.Now().Add(t.record.Plan.KeepWarm).UTC().Truncate(time.Second)
	}
	if err := t.deployments.AnnotateWarm(ctx, t.record.CanaryDeployment(), t.record.WarmUntil); err != nil {
		return err
	}
	return t.services.aimCanary(ctx, t.services.bySide(rollout.SidePrevious))
}

// restore puts everything back as it was recorded. It is called when no
// answer comes from the canary any more and its drain window is over. The
// order is the reverse of prepare's.
func (t *Target) restore(ctx context.Context) error {
	t.Failure(ctx)
	if err := t.routes.closePreflight(ctx); err != nil {
		return err
	}
	if err := t.routes.write(ctx, router.Original); err != nil {
		return err
	}
	if err := t.deployments.Remove(ctx, t.record.CanaryDeployment()); err != nil {
		return err
	}
	return t.plain(ctx, t.record.Stable.ReplicaSet)
}

// plain takes away what a rollout added around the user's Deployment, once
// only one version has pods: the selectors' narrowing, the canary Service, the
// version label.
func (t *Target) plain(ctx context.Context, replicaSet string) error {
	if err := t.services.widen(ctx); err != nil {
		return err
	}
	if err := t.services.removeCanary(ctx); err != nil {
		return err
	}
	return t.deployments.SetSide(ctx, t.record.Deployment, replicaSet, t.record.VersionBefore)
}

// Cleanup ends the warm time of a promoted rollout: the old revision's pods
// stop, its ReplicaSet goes back into the history of the user's Deployment,
// and everything around it is as the user wrote it.
func (t *Target) Cleanup(ctx context.Context) error {
	if err := t.routes.write(ctx, router.Original); err != nil {
		return err
	}
	if err := (handOver{t.canary, t.services}).retirePrevious(ctx); err != nil {
		return err
	}
	if err := t.deployments.Remove(ctx, t.record.CanaryDeployment()); err != nil {
		return err
	}
	if err := t.plain(ctx, t.record.Canary.ReplicaSet); err != nil {
		return err
	}
	t.record.WarmUntil = time.Time{}
	t.record.State.Leftover = ""
	return t.cluster.SaveRecord(ctx, t.record)
}

// labelOf is a side as the value of the version label.
func labelOf(s rollout.Side) *string {
	value := string(s)
	return &value
}

// RunJob runs a Job beside the workload; see kube.Cluster.RunJob.
func (t *Target) RunJob(ctx context.Context, manifest []byte, env map[string]string) (succeeded bool, reason string, log []string, err error) {
	return t.cluster.RunJob(ctx, t.record.Namespace, t.record.Deployment, manifest, env)
}
