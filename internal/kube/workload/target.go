// Package workload changes one Deployment with its Services and routes during a
// rollout.
//
// A release uses two plain Deployments. The user's keeps its name, selector and
// history; the canary runs in "<name>-canary" beside it, from a copy of the
// same pod template. Both Deployments select the same labels, and owner
// references separate their ReplicaSets. A ReplicaSet with its running pods can
// therefore change its owner (handover.go, package replicas).
//
// While two versions have pods, the selectors include the version label, so
// each Service selects exactly one version. The pods get the label before a
// selector requires it. Labels change without a rolling update (package
// replicas).
package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/health"
	"github.com/candlefish/deploy-action/internal/kube/replicas"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// A Target is the workload of a rollout. It implements rollout.Target. Pods may
// be called from any goroutine, the other methods only from the one that runs
// the rollout.
type Target struct {
	cluster     *kube.Cluster
	lease       *kube.Lease
	watch       *kube.Watch
	deployments *replicas.Deployments
	canary      canary
	services    services
	routes      *routes
	events      *health.Events
	failure     *PodFailure // read before the pods are removed

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
		events:      health.NewEvents(c.Typed, record.Namespace),
	}
	t.canary = canary{Deployments: t.deployments, cluster: c, watch: w, health: health.New(record.Container), mu: &t.mu, record: record}
	return t, nil
}

// Close ends the watches.
func (t *Target) Close() { t.watch.Stop() }

// Record returns the newest record. Callers must not change it.
func (t *Target) Record() *release.Record { return t.record }

// Changed returns a channel that signals a change of a watched object.
func (t *Target) Changed() <-chan struct{} { return t.watch.Changed() }

// Save records the state, fenced by the lease.
func (t *Target) Save(ctx context.Context, s rollout.State) error {
	t.record.State = s
	return t.cluster.SaveRecord(ctx, t.record)
}

// Do executes one action of a rollout.
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
		// Check the lease before a traffic change: another run may have taken over.
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

// prepare labels the user's pods before the canary exists: first the label on
// the pods, then the selectors that require it, then the canary Service. This
// order keeps endpoints in every Service.
func (t *Target) prepare(ctx context.Context) error {
	if err := t.deployments.SetSide(ctx, t.record.Deployment, t.record.Stable.ReplicaSet, labelOf(rollout.SideStable)); err != nil {
		return err
	}
	if err := t.services.narrow(ctx, t.record.VersionLabel, string(rollout.SideStable)); err != nil {
		return err
	}
	return t.services.createCanary(ctx)
}

// warm points the canary Service at the old revision and annotates how long its
// pods stay; a rollback is then one route write.
func (t *Target) warm(ctx context.Context) error {
	if t.record.WarmUntil.IsZero() {
		t.record.WarmUntil = time.Now().Add(t.record.Plan.KeepWarm).UTC().Truncate(time.Second)
	}
	if err := t.deployments.AnnotateWarm(ctx, t.record.CanaryDeployment(), t.record.WarmUntil); err != nil {
		return err
	}
	return t.services.aimCanary(ctx, t.services.bySide(rollout.SidePrevious))
}

// restore restores the recorded state, in the reverse order of prepare. It runs
// after the canary no longer answers and its drain window is over.
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

// plain removes what a rollout added around the user's Deployment, once only
// one version has pods: the narrowed selectors, the canary Service, the version
// label.
func (t *Target) plain(ctx context.Context, replicaSet string) error {
	if err := t.services.widen(ctx); err != nil {
		return err
	}
	if err := t.services.removeCanary(ctx); err != nil {
		return err
	}
	return t.deployments.SetSide(ctx, t.record.Deployment, replicaSet, t.record.VersionBefore)
}

// Cleanup ends the warm time of a promoted rollout. It stops the old revision's
// pods, returns its ReplicaSet to the history of the user's Deployment and
// restores everything else as the user wrote it.
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

// labelOf returns the value of the version label for a side.
func labelOf(s rollout.Side) *string {
	value := string(s)
	return &value
}

// RunJob runs a Job beside the workload; see kube.Cluster.RunJob.
func (t *Target) RunJob(ctx context.Context, manifest []byte, env map[string]string) (succeeded bool, reason string, log []string, err error) {
	return t.cluster.RunJob(ctx, t.record.Namespace, t.record.Deployment, manifest, env)
}
