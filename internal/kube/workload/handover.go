package workload

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/replicas"
	"github.com/candlefish/deploy-action/internal/kube/services"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// The hand-over gives the canary's ReplicaSet, with its running pods, to the
// user's Deployment as its current one, and the old ReplicaSet to the canary
// Deployment. No pod restarts.
//
// The order makes it safe. The owners of the two ReplicaSets determine the
// remaining writes, and each write reads the cluster first, so a new process
// can continue where a dead one stopped:
//
//  1. Narrow the Services by pod-template-hash, which never changes: the
//     canary's to the same pods as before, the user's to the new ones (no
//     route uses it now). The version labels may change after that.
//  2. Pause both Deployments.
//  3. Change the labels: the new pods become stable, the old ones previous.
//  4. Free the old ReplicaSet, and before it the idle ones of the user's
//     history. A paused Deployment still scales what it owns: its old
//     ReplicaSets to 0 as soon as the current one is complete, and its newest
//     idle one up if it has no current one. It must own neither.
//  5. Give the user's Deployment the new template, then the new ReplicaSet.
//  6. Give the canary Deployment the old template, then the old ReplicaSet.
//  7. Return the history, narrow the user's Services by version label again,
//     which new pods carry, and only then resume both Deployments: a Service
//     narrowed by hash would lose its pods in the next rolling update.

// An owner is the owner of a ReplicaSet during the hand-over.
type owner int

const (
	ownerNobody owner = iota
	ownerUser         // the user's Deployment
	ownerCanary       // the canary Deployment
)

// A handOverWrite is one write of the hand-over.
type handOverWrite string

const (
	writeNarrow        handOverWrite = "narrow the services to the new pods"
	writePause         handOverWrite = "pause both deployments"
	writeSize          handOverWrite = "match the replica count"
	writeLabels        handOverWrite = "exchange the version labels"
	writeFree          handOverWrite = "free the old replicaset"
	writeGiveNew       handOverWrite = "give the new replicaset to the user's deployment"
	writeSettleUser    handOverWrite = "wait for the controller of the user's deployment"
	writeGiveOld       handOverWrite = "give the old replicaset to the canary deployment"
	writeSettleCanary  handOverWrite = "wait for the controller of the canary deployment"
	writeReturnHistory handOverWrite = "return the history"
	writeResume        handOverWrite = "resume both deployments"
	writeWiden         handOverWrite = "narrow the services by version label again"
)

// remainingWrites returns the writes that finish a hand-over, given the owners
// of the new and the old ReplicaSet. It is pure.
func remainingWrites(incoming, outgoing owner) []handOverWrite {
	writes := []handOverWrite{writeNarrow, writePause}
	if incoming == ownerCanary && outgoing == ownerUser {
		writes = append(writes, writeSize, writeLabels)
	}
	if outgoing == ownerUser {
		writes = append(writes, writeFree)
	}
	if incoming == ownerCanary {
		writes = append(writes, writeGiveNew)
	}
	writes = append(writes, writeSettleUser)
	if outgoing != ownerCanary {
		writes = append(writes, writeGiveOld)
	}
	return append(writes, writeSettleCanary, writeReturnHistory, writeWiden, writeResume)
}

// A handOver exchanges the ReplicaSets of a release between the two
// Deployments.
type handOver struct {
	canary
	services services.Set
	lease    *kube.Lease
}

// run executes the remaining writes of the hand-over.
func (h handOver) run(ctx context.Context) error {
	in, out, err := h.owners(ctx)
	if err != nil {
		return err
	}
	for _, w := range remainingWrites(in, out) {
		if err := h.lease.Check(ctx); err != nil {
			return err
		}
		if err := h.write(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", w, err)
		}
	}
	return nil
}

func (h handOver) write(ctx context.Context, w handOverWrite) error {
	d, user, canary := h.Deployments, h.record.Deployment, h.record.CanaryDeployment()
	incoming, outgoing := h.record.Canary.ReplicaSet, h.record.Stable.ReplicaSet
	switch w {
	case writeNarrow:
		return h.services.NarrowByHash(ctx, h.record.Canary.Hash)
	case writePause:
		return h.pause(ctx, true)
	case writeSize:
		return h.matchReplicas(ctx)
	case writeLabels:
		return h.exchangeLabels(ctx)
	case writeFree:
		return inOrder(func() error { return d.History(user).FreeIdle(ctx, outgoing) }, func() error { return d.Free(ctx, outgoing) })
	case writeGiveNew:
		return inOrder(func() error { return d.SetTemplate(ctx, user, incoming, true) }, func() error { return d.Give(ctx, incoming, user) })
	case writeSettleUser:
		return d.Settled(ctx, user, incoming)
	case writeGiveOld:
		return inOrder(func() error { return d.SetTemplate(ctx, canary, outgoing, false) }, func() error { return d.Give(ctx, outgoing, canary) })
	case writeSettleCanary:
		return d.Settled(ctx, canary, outgoing)
	case writeReturnHistory:
		return d.History(user).Return(ctx, incoming)
	case writeResume:
		return h.pause(ctx, false)
	case writeWiden:
		return h.services.Narrow(ctx, h.record.VersionLabel, string(rollout.SideStable))
	}
	return fmt.Errorf("unknown write %q", string(w))
}

// pause pauses or resumes both Deployments.
func (h handOver) pause(ctx context.Context, paused bool) error {
	return kube.Together(ctx,
		func(ctx context.Context) error { return h.Pause(ctx, h.record.Deployment, paused) },
		func(ctx context.Context) error { return h.Pause(ctx, h.record.CanaryDeployment(), paused) },
	)
}

// inOrder calls functions in order and stops at the first error.
func inOrder(things ...func() error) error {
	for _, do := range things {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// owners returns the owners of the new and the old ReplicaSet.
func (h handOver) owners(ctx context.Context) (incoming, outgoing owner, err error) {
	of := map[string]owner{h.record.Deployment: ownerUser, h.record.CanaryDeployment(): ownerCanary}
	read := func(ctx context.Context, name string) (owner, error) {
		rs, err := h.ReplicaSet(ctx, name)
		if err != nil {
			return ownerNobody, err
		}
		ref := metav1.GetControllerOf(rs)
		if ref == nil {
			return ownerNobody, nil
		}
		return of[ref.Name], nil
	}
	err = kube.Retry(ctx, func(ctx context.Context) error {
		return kube.Together(ctx,
			func(ctx context.Context) (err error) {
				incoming, err = read(ctx, h.record.Canary.ReplicaSet)
				return err
			},
			func(ctx context.Context) (err error) {
				outgoing, err = read(ctx, h.record.Stable.ReplicaSet)
				return err
			},
		)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("read replicasets %s and %s: %w", h.record.Canary.ReplicaSet, h.record.Stable.ReplicaSet, err)
	}
	return incoming, outgoing, nil
}

// matchReplicas scales the canary to the user's live replica count, which an
// autoscaler may have raised since the last step, waits for its pods and
// records them.
func (h handOver) matchReplicas(ctx context.Context) error {
	if err := h.scale(ctx, 100); err != nil {
		return err
	}
	name := h.record.CanaryDeployment()
	err := h.watch.Until(ctx, func(ctx context.Context) error {
		rs, err := h.ReplicaSet(ctx, h.record.Canary.ReplicaSet)
		if err != nil {
			return err
		}
		d, err := h.Get(ctx, name)
		if err != nil {
			return err
		}
		if want := kube.Deref(d.Spec.Replicas); kube.Deref(rs.Spec.Replicas) != want || rs.Status.ReadyReplicas < want {
			return fmt.Errorf("%w: %d of %d pods are ready", kube.ErrNotYet, rs.Status.ReadyReplicas, want)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait for the pods of deployment %s/%s: %w", h.record.Namespace, name, err)
	}
	h.notePods()
	return nil
}

// exchangeLabels labels the new pods stable and the old ones previous. The
// Services select by hash meanwhile, so the order does not matter.
func (h handOver) exchangeLabels(ctx context.Context) error {
	d, user, canary := h.Deployments, h.record.Deployment, h.record.CanaryDeployment()
	incoming, outgoing := h.record.Canary.ReplicaSet, h.record.Stable.ReplicaSet
	relabel := func(deployment, replicaSet string, side rollout.Side) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := d.Relabel(ctx, deployment, replicaSet, replicas.LabelOf(side)); err != nil {
				return err
			}
			return d.Settled(ctx, deployment, replicaSet)
		}
	}
	return kube.Together(ctx, relabel(canary, incoming, rollout.SideStable), relabel(user, outgoing, rollout.SidePrevious))
}
