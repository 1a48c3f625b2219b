// Package cleanup removes what a rollout added around the user's Deployment, and
// takes traffic away only from pods that others replace.
//
// What is removed, and from what, is read from the cluster: a person may have
// restarted, changed or rolled back the Deployment since the record was written.
// The record only says what was there before the release.
package cleanup

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/autoscaler"
	"github.com/candlefish/deploy-action/internal/kube/replicas"
	"github.com/candlefish/deploy-action/internal/kube/routes"
	"github.com/candlefish/deploy-action/internal/kube/services"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// A Cleaner removes what one rollout added. Its methods are idempotent.
type Cleaner struct {
	cluster     *kube.Cluster
	watch       *kube.Watch
	deployments *replicas.Deployments
	services    services.Set
	routes      *routes.Set
	record      *release.Record
}

// New returns the Cleaner of a recorded rollout.
func New(c *kube.Cluster, w *kube.Watch, d *replicas.Deployments, s services.Set, r *routes.Set, record *release.Record) Cleaner {
	return Cleaner{c, w, d, s, r, record}
}

// Unroute takes the canary Service out of every route, and the pods that will be
// stopped out of every user Service.
func (t Cleaner) Unroute(ctx context.Context) error {
	if err := t.routes.ClosePreflight(ctx); err != nil {
		return err
	}
	if err := t.routes.Write(ctx, router.Original); err != nil {
		return err
	}
	return t.Separate(ctx)
}

// Separate takes the pods of the canary Deployment out of the user's Services: an
// apply may have reset a selector. A Service that is named keeps them: its weight takes
// them out.
func (t Cleaner) Separate(ctx context.Context, but ...string) error {
	doomed, err := t.doomed(ctx)
	if err != nil || len(doomed) == 0 {
		return err
	}
	for _, service := range t.record.Services {
		if _, own := t.services.Endpoints(service.Name, doomed); own > 0 && !slices.Contains(but, service.Name) {
			return t.services.Narrow(ctx, t.record.VersionLabel, string(rollout.SideStable), but...)
		}
	}
	return nil
}

// StableServes returns an error if a user Service has no ready endpoints but the
// canary's: to take the traffic from the canary would fail every request. It waits
// for them until ctx ends.
func (t Cleaner) StableServes(ctx context.Context) error {
	if t.services.ReadyEndpoints() == 0 {
		return nil // nor does the canary: there is nothing to take away
	}
	if err := t.serves(ctx, func(_ int) error { return nil }); err != nil {
		return fmt.Errorf("take the traffic from the canary: %w; the route stays as it is", err)
	}
	return nil
}

// serves waits until every user Service has ready endpoints besides the canary's,
// and fits agrees with how many the canary has. The pods of a Deployment that a
// person replaced have no version label, which the Services select: they get it.
func (t Cleaner) serves(ctx context.Context, fits func(own int) error) error {
	doomed, err := t.doomed(ctx)
	if err != nil {
		return err
	}
	labelled := false
	for _, service := range t.record.Services {
		err := t.watch.Until(ctx, func(ctx context.Context) error {
			others, own := t.services.Endpoints(service.Name, doomed)
			if routers.Moves(t.record, service.Name) && t.services.SelectsCanary(service.Name) {
				others = t.services.StablePods() // that its next weight gives it
			}
			if others > 0 {
				return fits(own)
			}
			if current, err := t.current(ctx); err == nil && !labelled {
				labelled = true
				if err := t.deployments.SetSide(ctx, t.record.Deployment, current, replicas.LabelOf(rollout.SideStable)); err != nil {
					return err
				}
			}
			return fmt.Errorf("%w: it has no ready endpoints but the canary's", kube.ErrNotYet)
		})
		if err != nil {
			return fmt.Errorf("wait for the endpoints of service %s/%s: %w", t.record.Namespace, service.Name, err)
		}
	}
	return nil
}

// doomed returns the UIDs of the ReplicaSets that the canary Deployment owns.
func (t Cleaner) doomed(ctx context.Context) ([]string, error) {
	var uids []string
	sets, err := t.setsOf(ctx, t.record.CanaryDeployment())
	for _, rs := range sets {
		uids = append(uids, string(rs.UID))
	}
	return uids, err
}

// setsOf lists the ReplicaSets of a Deployment, none if it does not exist.
func (t Cleaner) setsOf(ctx context.Context, deployment string) ([]appsv1.ReplicaSet, error) {
	var own []appsv1.ReplicaSet
	err := kube.Retry(ctx, func(ctx context.Context) error {
		own = nil
		owner, err := t.deployments.Get(ctx, deployment)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		list, err := t.cluster.Typed.AppsV1().ReplicaSets(t.record.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, rs := range list.Items {
			if metav1.IsControlledBy(&rs, owner) {
				own = append(own, rs)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the replicasets of deployment %s/%s: %w", t.record.Namespace, deployment, err)
	}
	return own, nil
}

// Clean stops the revision without traffic and leaves everything else as the
// user wrote it. The old revision of a promoted release goes to the history of
// the user's Deployment.
func (t Cleaner) Clean(ctx context.Context, s rollout.State) error {
	if err := t.unserved(ctx); err != nil {
		return err
	}
	if !s.Reverted {
		if err := t.retire(ctx); err != nil {
			return err
		}
	}
	if err := t.deployments.Remove(ctx, t.record.CanaryDeployment()); err != nil {
		return err
	}
	if err := t.plain(ctx); err != nil {
		return err
	}
	t.record.WarmUntil = time.Time{}
	return nil
}

// unserved returns an error unless every user Service has ready endpoints, none
// of them a pod that is to be stopped.
func (t Cleaner) unserved(ctx context.Context) error {
	if doomed, err := t.doomed(ctx); err != nil || len(doomed) == 0 {
		return err
	}
	err := t.serves(ctx, func(own int) error {
		if own > 0 {
			return fmt.Errorf("%w: %d of them would be stopped", kube.ErrNotYet, own)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("check that deployment %s/%s can be removed: %w", t.record.Namespace, t.record.CanaryDeployment(), err)
	}
	return nil
}

// retire stops the pods of the canary Deployment and frees its ReplicaSets, without
// our label, for the history of the user's Deployment. They get there when its
// labels are plain: until then its controller counts one revision too many, and
// would delete one at the limit of the history.
func (t Cleaner) retire(ctx context.Context) error {
	canary := t.record.CanaryDeployment()
	if err := t.watch.Until(ctx, t.stopCanary); err != nil {
		return fmt.Errorf("stop the pods of deployment %s/%s: %w", t.record.Namespace, canary, err)
	}
	if _, err := t.deployments.Get(ctx, t.record.Deployment); apierrors.IsNotFound(err) {
		return nil // nobody's history
	}
	sets, err := t.setsOf(ctx, canary)
	if err != nil || len(sets) == 0 {
		return err
	}
	if err := t.deployments.Pause(ctx, canary, true); err != nil {
		return err
	}
	for _, rs := range sets {
		err := t.deployments.RelabelReplicaSet(ctx, rs.Name, t.record.VersionBefore)
		if err == nil {
			err = t.deployments.Free(ctx, rs.Name)
		}
		if err != nil && !apierrors.IsNotFound(err) { // a person deleted it
			return err
		}
	}
	return nil
}

// stopCanary scales the canary Deployment to 0. It returns nil when no pod runs.
func (t Cleaner) stopCanary(ctx context.Context) error {
	d, err := t.deployments.Get(ctx, t.record.CanaryDeployment())
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if kube.Deref(d.Spec.Replicas) > 0 {
		if _, err := t.deployments.SetReplicas(ctx, d, 0); err != nil {
			return err
		}
	}
	sets, err := t.setsOf(ctx, d.Name)
	if err != nil {
		return err
	}
	for i := range sets {
		pods, err := t.deployments.PodsOf(ctx, &sets[i])
		if err != nil {
			return err
		}
		// Terminating pods are no longer endpoints, so there is no need to wait for
		// them.
		running := slices.DeleteFunc(pods, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
		if kube.Deref(sets[i].Spec.Replicas) > 0 || len(running) > 0 {
			return fmt.Errorf("%w: %d pods are still running", kube.ErrNotYet, len(running))
		}
	}
	return nil
}

// Restore restores the recorded state after an abort, in the reverse order of
// prepare. It runs after the canary no longer answers and its drain window is
// over.
func (t Cleaner) Restore(ctx context.Context) error {
	if err := t.unpause(ctx); err != nil {
		return err
	}
	if err := t.routes.ClosePreflight(ctx); err != nil {
		return err
	}
	if err := t.routes.Write(ctx, router.Original); err != nil {
		return err
	}
	if err := t.deployments.Remove(ctx, t.record.CanaryDeployment()); err != nil {
		return err
	}
	return t.plain(ctx)
}

// unpause finishes a preparation that a signal or a kill interrupted: while its
// labels differ, the Deployment cannot be resumed without a rolling update.
func (t Cleaner) unpause(ctx context.Context) error {
	user, err := t.deployments.Get(ctx, t.record.Deployment)
	if apierrors.IsNotFound(err) || err == nil && !user.Spec.Paused {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read deployment %s/%s: %w", t.record.Namespace, t.record.Deployment, err)
	}
	current, err := t.current(ctx)
	if err != nil {
		return err
	}
	return t.deployments.SetSide(ctx, t.record.Deployment, current, replicas.LabelOf(rollout.SideStable))
}

// current returns the ReplicaSet that serves for the user's Deployment. It waits
// for a rolling update to end.
func (t Cleaner) current(ctx context.Context) (string, error) {
	name := ""
	err := t.watch.Until(ctx, func(ctx context.Context) error {
		rs, err := t.deployments.History(t.record.Deployment).Current(ctx)
		if err == nil {
			name = rs.Name
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("find the serving replicaset of deployment %s/%s: %w", t.record.Namespace, t.record.Deployment, err)
	}
	return name, nil
}

// plain removes what a rollout added around the user's Deployment, once only
// one version has pods: the narrowed selectors, the canary Service, the version
// label and our name among the owners of its fields.
func (t Cleaner) plain(ctx context.Context) error {
	if err := t.routes.Remove(ctx); err != nil {
		return err
	}
	if err := t.services.Widen(ctx); err != nil {
		return err
	}
	if err := t.services.RemoveCanary(ctx); err != nil {
		return err
	}
	if err := autoscaler.Release(ctx, t.cluster, t.record.Namespace, t.record.Deployment); err != nil {
		return err
	}
	_, err := t.deployments.Get(ctx, t.record.Deployment)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read deployment %s/%s: %w", t.record.Namespace, t.record.Deployment, err)
	}
	current, err := t.current(ctx)
	if err != nil {
		return err
	}
	if err := t.deployments.History(t.record.Deployment).Label(ctx, current, t.record.VersionBefore); err != nil {
		return err
	}
	if err := t.deployments.SetSide(ctx, t.record.Deployment, current, t.record.VersionBefore); err != nil {
		return err
	}
	if err := t.deployments.History(t.record.Deployment).Return(ctx, current); err != nil {
		return err
	}
	return t.disown(ctx)
}

// disown gives up our ownership of the fields that now have the user's values
// again, so that their next server-side apply meets no conflict.
func (t Cleaner) disown(ctx context.Context) error {
	return kube.Together(ctx,
		func(ctx context.Context) error { return t.deployments.Disown(ctx, t.record.Deployment) },
		t.services.Disown,
		t.routes.Disown,
	)
}
