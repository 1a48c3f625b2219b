package workload

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// The hand-over makes the canary's ReplicaSet, with its running pods, the
// current one of the user's Deployment, and gives the old one to the canary
// Deployment. No pod restarts.
//
// The order is what makes it safe. Which writes are left follows from the owners
// that the two ReplicaSets have, and each write looks at the cluster first, so
// that a new process goes on where a dead one stopped:
//
//  1. Services are narrowed by pod-template-hash, which never changes: the
//     canary's to the same pods as before, the user's to the new ones (no
//     route sends to it now). Version labels may then change hands.
//  2. Both Deployments are paused.
//  3. Labels change: the new pods become stable, the old ones previous.
//  4. The old ReplicaSet is set free, with the user's history before it.
//     A paused Deployment still scales what it owns: its old ReplicaSets to
//     0 as soon as the current one is complete, and its newest idle one up
//     when no current one is left. Neither may be there.
//  5. The user's Deployment gets the new template, then the new ReplicaSet.
//  6. The canary Deployment gets the old template, then the old ReplicaSet.
//  7. The history comes back, both Deployments go on, and the user's
//     Services are narrowed by version label again, which new pods carry.

// An owner is who owns a ReplicaSet during the hand-over.
type owner int

const (
	ownerNobody owner = iota
	ownerUser         // the user's Deployment
	ownerCanary       // the canary Deployment
)

// A handOverWrite is one part of the hand-over.
type handOverWrite string

const (
	writeNarrow        handOverWrite = "narrow the services to the new pods"
	writePause         handOverWrite = "pause both deployments"
	writeSize          handOverWrite = "match the replica count"
	writeLabels        handOverWrite = "exchange the version labels"
	writeFree          handOverWrite = "set the old replicaset free"
	writeGiveNew       handOverWrite = "give the new replicaset to the user's deployment"
	writeSettleUser    handOverWrite = "wait for the controller of the user's deployment"
	writeGiveOld       handOverWrite = "give the old replicaset to the canary deployment"
	writeSettleCanary  handOverWrite = "wait for the controller of the canary deployment"
	writeReturnHistory handOverWrite = "return the history"
	writeResume        handOverWrite = "resume both deployments"
	writeWiden         handOverWrite = "narrow the services by version label again"
)

// remainingWrites are the writes that finish a hand-over whose new and old
// ReplicaSet have these owners. It is pure.
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
	return append(writes, writeSettleCanary, writeReturnHistory, writeResume, writeWiden)
}

// handOver hands the ReplicaSets over, or what is left of it.
func (t *Target) handOver(ctx context.Context) error {
	in, out, err := t.owners(ctx)
	if err != nil {
		return err
	}
	for _, w := range remainingWrites(in, out) {
		if err := t.handOverWrite(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", w, err)
		}
	}
	return nil
}

func (t *Target) handOverWrite(ctx context.Context, w handOverWrite) error {
	d, user, canary := t.deployments, t.record.Deployment, t.record.CanaryDeployment()
	incoming, outgoing := t.record.Canary.ReplicaSet, t.record.Stable.ReplicaSet
	switch w {
	case writeNarrow:
		return t.services.narrowByHash(ctx, t.record.Canary.Hash)
	case writePause:
		return inOrder(func() error { return d.pause(ctx, user, true) }, func() error { return d.pause(ctx, canary, true) })
	case writeSize:
		return t.matchReplicas(ctx)
	case writeLabels:
		return t.exchangeLabels(ctx)
	case writeFree:
		return inOrder(func() error { return d.freeHistory(ctx, user, outgoing) }, func() error { return d.free(ctx, outgoing) })
	case writeGiveNew:
		return inOrder(func() error { return d.setTemplate(ctx, user, incoming, false) }, func() error { return d.give(ctx, incoming, user) })
	case writeSettleUser:
		return d.settled(ctx, user, incoming)
	case writeGiveOld:
		return inOrder(func() error { return d.setTemplate(ctx, canary, outgoing, true) }, func() error { return d.give(ctx, outgoing, canary) })
	case writeSettleCanary:
		return d.settled(ctx, canary, outgoing)
	case writeReturnHistory:
		return d.returnHistory(ctx, user)
	case writeResume:
		return inOrder(func() error { return d.pause(ctx, user, false) }, func() error { return d.pause(ctx, canary, false) })
	case writeWiden:
		return t.services.narrow(ctx, t.record.VersionLabel, string(rollout.SideStable))
	}
	return fmt.Errorf("unknown write %q", string(w))
}

// inOrder does things one after another and stops at the first error.
func inOrder(things ...func() error) error {
	for _, do := range things {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// owners are those of the new and the old ReplicaSet.
func (t *Target) owners(ctx context.Context) (incoming, outgoing owner, err error) {
	of := map[string]owner{t.record.Deployment: ownerUser, t.record.CanaryDeployment(): ownerCanary}
	read := func(ctx context.Context, name string) (owner, error) {
		rs, err := t.deployments.replicaSet(ctx, name)
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
		if incoming, err = read(ctx, t.record.Canary.ReplicaSet); err != nil {
			return err
		}
		outgoing, err = read(ctx, t.record.Stable.ReplicaSet)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("read replicasets %s and %s: %w", t.record.Canary.ReplicaSet, t.record.Stable.ReplicaSet, err)
	}
	return incoming, outgoing, nil
}

// matchReplicas grows the canary to the user's live count, which an autoscaler
// may have raised since the last step, waits for its pods and records them.
func (t *Target) matchReplicas(ctx context.Context) error {
	if err := t.scale(ctx, 100); err != nil {
		return err
	}
	name := t.record.CanaryDeployment()
	err := t.watch.Until(ctx, func(ctx context.Context) error {
		rs, err := t.deployments.replicaSet(ctx, t.record.Canary.ReplicaSet)
		if err != nil {
			return err
		}
		d, err := t.deployments.get(ctx, name)
		if err != nil {
			return err
		}
		if want := kube.Deref(d.Spec.Replicas); kube.Deref(rs.Spec.Replicas) != want || rs.Status.ReadyReplicas < want {
			return fmt.Errorf("%w: %d of %d pods are ready", kube.ErrNotYet, rs.Status.ReadyReplicas, want)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait for the pods of deployment %s/%s: %w", t.record.Namespace, name, err)
	}
	t.noteCanaryPods()
	return nil
}

// exchangeLabels makes the new pods stable and the old ones previous.
func (t *Target) exchangeLabels(ctx context.Context) error {
	d, user, canary := t.deployments, t.record.Deployment, t.record.CanaryDeployment()
	incoming, outgoing := t.record.Canary.ReplicaSet, t.record.Stable.ReplicaSet
	return inOrder(
		func() error { return d.relabel(ctx, canary, incoming, labelOf(rollout.SideStable)) },
		func() error { return d.relabel(ctx, user, outgoing, labelOf(rollout.SidePrevious)) },
		func() error { return d.settled(ctx, user, outgoing) },
		func() error { return d.settled(ctx, canary, incoming) },
	)
}
