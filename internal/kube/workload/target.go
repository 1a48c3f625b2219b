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
	"github.com/candlefish/deploy-action/internal/kube/cleanup"
	"github.com/candlefish/deploy-action/internal/kube/health"
	"github.com/candlefish/deploy-action/internal/kube/jobs"
	"github.com/candlefish/deploy-action/internal/kube/replicas"
	"github.com/candlefish/deploy-action/internal/kube/routes"
	"github.com/candlefish/deploy-action/internal/kube/services"
	"github.com/candlefish/deploy-action/internal/kube/targets"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// The header of test requests and its value in their answers; see package routes.
const (
	PreflightHeader = routes.PreflightHeader
	PreflightMark   = routes.PreflightMark
	StableMark      = routes.StableMark
)

// A Target is the workload of a rollout. It implements loop.Target. Pods may
// be called from any goroutine, the other methods only from the one that runs
// the rollout.
type Target struct {
	// Health, if set, makes each weight wait until a load balancer outside of the
	// cluster sends requests to the pods that get it.
	Health targets.Health

	cluster     *kube.Cluster
	lease       *kube.Lease
	watch       *kube.Watch
	deployments *replicas.Deployments
	canary      canary
	services    services.Set
	routes      *routes.Set
	events      *health.Events
	failure     *PodFailure // read before the pods are removed
	proof       Proof       // of the hand-over, read right after it
	proofErr    error

	mu     sync.Mutex // guards record.Canary
	record *release.Record
	store  *kube.Store
}

// New watches the objects of record. Stop it with Close. Without a lease it may
// only be read.
func New(ctx context.Context, c *kube.Cluster, record *release.Record, lease *kube.Lease) (*Target, error) {
	watched, err := routes.Watched(record)
	if err != nil {
		return nil, err
	}
	w, err := c.NewWatch(ctx, record.Namespace, watched...)
	if err != nil {
		return nil, fmt.Errorf("watch namespace %s: %w", record.Namespace, err)
	}
	set, err := routes.New(c, w, record)
	if err != nil {
		return nil, err
	}
	record.Schema = release.Schema
	if lease != nil {
		record.Token = lease.Token
	}
	t := &Target{
		cluster: c, lease: lease, watch: w, record: record, store: c.Store(),
		deployments: replicas.New(c, w, record.Namespace, record.VersionLabel),
		services:    services.New(c.Typed.CoreV1().Services(record.Namespace), w, record),
		routes:      set,
		events:      health.NewEvents(c.Typed, record.Namespace),
	}
	t.canary = canary{Deployments: t.deployments, cluster: c, watch: w, health: health.New(record.Container), mu: &t.mu, record: record}
	return t, nil
}

// Continues makes the recorded state of an earlier process the reference for other
// writers of the routes. A process that ended in StageWeight may not have written
// the weight. A route as the user wrote it is no conflict: the next write splits
// it again.
func (t *Target) Continues(s rollout.State) {
	weights := []int{router.Original}
	if s.Written {
		weights = append(weights, s.Weight)
	}
	if s.Stage == rollout.StageWeight {
		for _, step := range t.record.Plan.Steps[:s.Step] {
			weights = append(weights, step.Weight)
		}
	}
	t.routes.Expect(weights...)
}

// balanced waits for the load balancer, if there is one. The way back to stable by an
// abort does not wait: its pods have been there all the time.
func balanced(ctx context.Context, t *Target, service string) error {
	if t.Health == nil {
		return nil
	}
	return targets.Await(ctx, t.cluster, t.watch, t.record.Namespace, service, t.Health, time.After)
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
	return t.store.Save(ctx, t.record)
}

// Do executes one action of a rollout.
func (t *Target) Do(ctx context.Context, a rollout.Action, s rollout.State) error {
	// Check the lease before each change: another run may have taken over.
	if err := t.lease.Check(ctx); err != nil {
		return err
	}
	switch a.Kind {
	case rollout.KindPrepare:
		return t.prepare(ctx, s)
	case rollout.KindScale:
		return t.scale(ctx, s)
	case rollout.KindWeight:
		return t.weight(ctx, a.Weight)
	case rollout.KindHandOver:
		// After it both Services have other pods.
		if err := t.routes.ClosePreflight(ctx); err != nil {
			return err
		}
		if err := t.handOver().run(ctx); err != nil {
			return err
		}
		t.proof, t.proofErr = t.prove(ctx)
		return nil
	case rollout.KindReturn:
		if err := balanced(ctx, t, t.record.Service); err != nil {
			return err
		}
		return t.routes.Write(ctx, 0)
	case rollout.KindWarm:
		return t.warm(ctx)
	case rollout.KindUnwarm:
		return t.services.AimCanary(ctx, t.services.ByHash(t.record.Canary.Hash))
	case rollout.KindRevert:
		return t.revert(ctx)
	case rollout.KindUnroute:
		return t.cleaner().Unroute(ctx)
	case rollout.KindClean:
		return t.cleaner().Clean(ctx, s)
	case rollout.KindRestore:
		t.Failure(ctx) // while its pods exist
		return t.cleaner().Restore(ctx)
	default:
		return fmt.Errorf("unknown action %d", a.Kind)
	}
}

func (t *Target) cleaner() cleanup.Cleaner {
	return cleanup.New(t.cluster, t.watch, t.deployments, t.services, t.routes, t.record)
}

func (t *Target) handOver() handOver { return handOver{t.canary, t.services, t.lease} }

// scale sizes the canary for the step that the state names; while the old
// revision is warm, it sizes that one for all traffic.
func (t *Target) scale(ctx context.Context, s rollout.State) error {
	weight := 100
	if s.Phase == rollout.PhaseProgressing {
		weight = t.record.Plan.Steps[s.Sized].Weight
	}
	if err := t.canary.scale(ctx, weight); err != nil || s.Written {
		return err
	}
	return t.routes.OpenPreflight(ctx)
}

// weight writes a weight. Before stable gets all traffic back, it has the pods
// for it.
func (t *Target) weight(ctx context.Context, weight int) error {
	if weight == 0 {
		if err := t.canary.refillStable(ctx); err != nil {
			return err
		}
		if err := t.cleaner().Separate(ctx, moved(t.record, rollout.State{Written: true})...); err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, refillLimit)
		defer cancel()
		if err := t.cleaner().StableServes(limited); err != nil {
			return err
		}
	}
	if weight > 0 {
		if err := balanced(ctx, t, t.record.CanaryService()); err != nil {
			return err
		}
	}
	if err := t.routes.Write(ctx, weight); err != nil {
		return err
	}
	if weight > 0 && t.record.PreflightStable != "" {
		return nil // test requests go on until the hand-over
	}
	return t.routes.ClosePreflight(ctx)
}

// revert gives all traffic to the warm revision by one write. From here on it
// is the canary of the record, which takes the Deployment back.
func (t *Target) revert(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, refillLimit)
	defer cancel()
	err := t.watch.Until(limited, func(context.Context) error {
		if t.services.ReadyEndpoints() == 0 {
			return fmt.Errorf("%w: it has no ready endpoints", kube.ErrNotYet)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("go back to the previous version by service %s/%s: %w; the route stays as it is", t.record.Namespace, t.record.CanaryService(), err)
	}
	if !t.record.Reverted {
		t.mu.Lock()
		t.record.Swap()
		t.mu.Unlock()
	}
	return t.routes.Write(ctx, 100)
}

// prepare labels the user's pods before the canary exists: first the label on
// the pods, then the selectors that require it, then the canary Service. This
// order keeps endpoints in every Service. The earlier revisions get the label,
// too: kubectl rollout undo starts pods from them.
func (t *Target) prepare(ctx context.Context, s rollout.State) error {
	if err := t.deployments.History(t.record.Deployment).Label(ctx, t.record.Stable.ReplicaSet, replicas.LabelOf(rollout.SideStable)); err != nil {
		return err
	}
	if err := t.deployments.SetSide(ctx, t.record.Deployment, t.record.Stable.ReplicaSet, replicas.LabelOf(rollout.SideStable)); err != nil {
		return err
	}
	if err := t.services.Narrow(ctx, t.record.VersionLabel, string(rollout.SideStable), moved(t.record, s)...); err != nil {
		return err
	}
	return t.services.CreateCanary(ctx)
}

// moved names the user's Service if its selector has a weight of this release: a
// process that goes on leaves it as it is.
func moved(record *release.Record, s rollout.State) []string {
	if s.Written && routers.Moves(record, record.Service) {
		return []string{record.Service}
	}
	return nil
}

// warm points the canary Service at the old revision and annotates how long its
// pods stay; a rollback is then one route write.
func (t *Target) warm(ctx context.Context) error {
	if t.record.WarmUntil.IsZero() {
		t.record.WarmUntil = time.Now().Add(max(t.record.Plan.Bake+t.record.Plan.Hold, t.record.Plan.KeepWarm)).UTC().Truncate(time.Second)
	}
	if err := t.deployments.AnnotateWarm(ctx, t.record.CanaryDeployment(), t.record.WarmUntil); err != nil {
		return err
	}
	return t.services.AimCanary(ctx, t.services.BySide(rollout.SidePrevious))
}

// RunJob runs a Job beside the workload; see jobs.Run.
func (t *Target) RunJob(ctx context.Context, manifest []byte, env map[string]string) (succeeded bool, reason string, log []string, err error) {
	return jobs.Run(ctx, t.cluster, t.record.Namespace, t.record.Deployment, manifest, env)
}
