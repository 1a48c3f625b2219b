package kube

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// freedValue is put into a selector label of a ReplicaSet's own metadata while
// it has no owner, so that no Deployment adopts it. The pods and the selector
// are not touched.
const freedValue = "handed-over"

// handOver makes the trial's ReplicaSet, with its running pods, the current
// one of the user's Deployment, and gives the old one to the second
// Deployment. No pod restarts.
//
// The order is what makes it safe, and each step looks at the cluster first,
// so that a new process can go on where a dead one stopped:
//
//  1. Services are narrowed by pod-template-hash, which never changes: the
//     second one to the same pods as before, the user's to the new ones (no
//     route sends to it now). Role labels may then change hands.
//  2. Both Deployments are paused.
//  3. Roles change: the new pods become stable, the old ones previous.
//  4. The old ReplicaSet is set free, with the user's history before it.
//     A paused Deployment still scales what it owns: its old ReplicaSets to
//     0 as soon as the current one is complete, and its newest idle one up
//     when no current one is left. Neither may be there.
//  5. The user's Deployment gets the new template, then the new ReplicaSet.
//  6. The second Deployment gets the old template, then the old ReplicaSet.
//  7. The history comes back, both Deployments go on, and the user's
//     Services are narrowed by role again, which new pods of any kind carry.
func (t *Target) handOver(ctx context.Context) error {
	user, second := t.record.Deployment, t.record.secondDeployment()
	incoming, outgoing := t.record.Canary.ReplicaSet, t.record.Stable.ReplicaSet

	if err := t.narrowByHash(ctx, t.record.Canary.Hash); err != nil {
		return err
	}
	for _, d := range []string{user, second} {
		if err := t.pause(ctx, d, true); err != nil {
			return err
		}
	}
	in, out, err := t.owners(ctx, incoming, outgoing)
	if err != nil {
		return err
	}
	if in == second && out == user {
		if err := t.matchReplicas(ctx); err != nil {
			return err
		}
		t.notePods()
		if err := t.relabel(ctx, second, incoming, role(rollout.SideStable)); err != nil {
			return err
		}
		if err := t.relabel(ctx, user, outgoing, role(rollout.SidePrevious)); err != nil {
			return err
		}
		if err := t.settled(ctx, user, outgoing); err != nil {
			return err
		}
		if err := t.settled(ctx, second, incoming); err != nil {
			return err
		}
	}
	if out == user {
		if err := t.freeHistory(ctx, outgoing); err != nil {
			return err
		}
		if err := t.free(ctx, outgoing); err != nil {
			return err
		}
	}
	if in == second {
		if err := t.setTemplate(ctx, user, incoming); err != nil {
			return err
		}
		if err := t.give(ctx, incoming, user); err != nil {
			return err
		}
	}
	if err := t.settled(ctx, user, incoming); err != nil {
		return err
	}
	if out != second {
		if err := t.setTemplate(ctx, second, outgoing); err != nil {
			return err
		}
		if err := t.give(ctx, outgoing, second); err != nil {
			return err
		}
	}
	if err := t.settled(ctx, second, outgoing); err != nil {
		return err
	}
	if err := t.returnHistory(ctx); err != nil {
		return err
	}
	for _, d := range []string{user, second} {
		if err := t.pause(ctx, d, false); err != nil {
			return err
		}
	}
	for _, s := range t.record.Services {
		selector := mapsWith(s.Selector, t.record.VersionLabel, string(rollout.SideStable))
		if err := t.setSelector(ctx, s.Name, selector); err != nil {
			return err
		}
	}
	return nil
}

func mapsWith(m map[string]string, key, value string) map[string]string {
	c := make(map[string]string, len(m)+1)
	for k, v := range m {
		c[k] = v
	}
	c[key] = value
	return c
}

// narrowByHash aims every Service at one ReplicaSet's pods and waits until
// their endpoints say so: the second first, whose pods stay the same.
func (t *Target) narrowByHash(ctx context.Context, hash string) error {
	if err := t.aimSecondService(ctx, t.hashSelector(hash)); err != nil {
		return err
	}
	for _, s := range t.record.Services {
		if err := t.setSelector(ctx, s.Name, mapsWith(s.Selector, appsv1.DefaultDeploymentUniqueLabelKey, hash)); err != nil {
			return err
		}
	}
	for _, s := range t.record.Services {
		err := t.until(ctx, func(context.Context) error { return t.endpointsFrom(s.Name, hash) })
		if err != nil {
			return fmt.Errorf("wait for the endpoints of service %s/%s: %w", t.record.Namespace, s.Name, err)
		}
	}
	return nil
}

// endpointsFrom is nil when the Service has ready endpoints and all of them
// are pods with hash.
func (t *Target) endpointsFrom(service, hash string) error {
	ready, strange := 0, 0
	for _, slice := range t.watch.endpointSlices(service) {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			pod := t.watch.endpointPod(e)
			if pod == nil || pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != hash {
				strange++
				continue
			}
			ready++
		}
	}
	if ready == 0 || strange > 0 {
		return fmt.Errorf("%w: %d are of the wanted pods, %d of others", errNotYet, ready, strange)
	}
	return nil
}

// owners names the Deployments that own the two ReplicaSets, "" for none.
func (t *Target) owners(ctx context.Context, incoming, outgoing string) (in, out string, err error) {
	err = steadily(ctx, func(ctx context.Context) error {
		for name, owner := range map[string]*string{incoming: &in, outgoing: &out} {
			rs, err := t.replicaSet(ctx, name)
			if err != nil {
				return err
			}
			*owner = ""
			if ref := metav1.GetControllerOf(rs); ref != nil {
				*owner = ref.Name
			}
		}
		return nil
	})
	if err != nil {
		return "", "", fmt.Errorf("read replicasets %s and %s: %w", incoming, outgoing, err)
	}
	return in, out, nil
}

// matchReplicas grows the trial to the user's live count, which an autoscaler
// may have raised since the last step, and waits for its pods.
func (t *Target) matchReplicas(ctx context.Context) error {
	if err := t.scale(ctx, 100); err != nil {
		return err
	}
	err := t.until(ctx, func(ctx context.Context) error {
		rs, err := t.replicaSet(ctx, t.record.Canary.ReplicaSet)
		if err != nil {
			return err
		}
		d, err := t.deployments().Get(ctx, t.record.secondDeployment(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		if want := deref(d.Spec.Replicas); deref(rs.Spec.Replicas) != want || rs.Status.ReadyReplicas < want {
			return fmt.Errorf("%w: %d of %d pods are ready", errNotYet, rs.Status.ReadyReplicas, want)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait for the pods of deployment %s/%s: %w", t.record.Namespace, t.record.secondDeployment(), err)
	}
	return nil
}

// free takes the owner from a ReplicaSet and changes one of the labels it is
// selected by, in one patch: between two there would be time to adopt it.
func (t *Target) free(ctx context.Context, name string) error {
	err := steadily(ctx, func(ctx context.Context) error {
		rs, err := t.replicaSet(ctx, name)
		if err != nil || metav1.GetControllerOf(rs) == nil {
			return err
		}
		key, value, err := t.adoptionLabel(rs)
		if err != nil {
			return err
		}
		_, err = t.cluster.typed.AppsV1().ReplicaSets(t.record.Namespace).Patch(ctx, name, types.JSONPatchType, jsonPatch(
			op{"replace", "/metadata/resourceVersion", rs.ResourceVersion},
			op{Op: "remove", Path: "/metadata/ownerReferences"},
			op{"replace", "/metadata/labels/" + escapePointer(key), freedValue},
			op{"add", "/metadata/annotations", mapsWith(rs.Annotations, annotationFreed, value)},
		), metav1.PatchOptions{FieldManager: FieldManager})
		return err
	})
	if err != nil {
		return fmt.Errorf("set replicaset %s/%s free: %w", t.record.Namespace, name, err)
	}
	return nil
}

// adoptionLabel is the label by which the user's Deployment finds a
// ReplicaSet: the first of its selector.
func (t *Target) adoptionLabel(rs *appsv1.ReplicaSet) (key, value string, err error) {
	var keys []string
	for k := range rs.Spec.Selector.MatchLabels {
		if k != appsv1.DefaultDeploymentUniqueLabelKey && k != t.record.VersionLabel {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return "", "", fmt.Errorf("replicaset %s selects by no label", rs.Name)
	}
	slices.Sort(keys)
	return keys[0], rs.Spec.Selector.MatchLabels[keys[0]], nil
}

// give makes deployment the owner of a ReplicaSet in one patch, and undoes
// what free did to it.
func (t *Target) give(ctx context.Context, name, deployment string) error {
	err := steadily(ctx, func(ctx context.Context) error {
		owner, err := t.deployments().Get(ctx, deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		rs, err := t.replicaSet(ctx, name)
		if err != nil || metav1.IsControlledBy(rs, owner) {
			return err
		}
		ops := []op{
			{"replace", "/metadata/resourceVersion", rs.ResourceVersion},
			{"add", "/metadata/ownerReferences", []metav1.OwnerReference{*metav1.NewControllerRef(owner, appsv1.SchemeGroupVersion.WithKind("Deployment"))}},
		}
		if value, freed := rs.Annotations[annotationFreed]; freed {
			key, _, err := t.adoptionLabel(rs)
			if err != nil {
				return err
			}
			ops = append(ops, op{"replace", "/metadata/labels/" + escapePointer(key), value},
				op{Op: "remove", Path: "/metadata/annotations/" + escapePointer(annotationFreed)})
		}
		_, err = t.cluster.typed.AppsV1().ReplicaSets(t.record.Namespace).Patch(ctx, name, types.JSONPatchType, jsonPatch(ops...), metav1.PatchOptions{FieldManager: FieldManager})
		return err
	})
	if err != nil {
		return fmt.Errorf("give replicaset %s/%s to deployment %s: %w", t.record.Namespace, name, deployment, err)
	}
	return nil
}

// history lists the ReplicaSets of the user's Deployment that run nothing,
// freed ones included.
func (t *Target) history(ctx context.Context, except ...string) ([]appsv1.ReplicaSet, error) {
	user, err := t.deployments().Get(ctx, t.record.Deployment, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	list, err := t.cluster.typed.AppsV1().ReplicaSets(t.record.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var idle []appsv1.ReplicaSet
	for _, rs := range list.Items {
		_, freed := rs.Annotations[annotationFreed]
		mine := metav1.IsControlledBy(&rs, user) || freed && sameSelector(&rs, user)
		if mine && deref(rs.Spec.Replicas) == 0 && rs.Status.Replicas == 0 && !slices.Contains(except, rs.Name) {
			idle = append(idle, rs)
		}
	}
	return idle, nil
}

// sameSelector reports whether rs was made by a Deployment with d's selector.
func sameSelector(rs *appsv1.ReplicaSet, d *appsv1.Deployment) bool {
	for k, v := range d.Spec.Selector.MatchLabels {
		if rs.Spec.Selector.MatchLabels[k] != v {
			return false
		}
	}
	return true
}

func (t *Target) freeHistory(ctx context.Context, except string) error {
	return t.eachIdle(ctx, except, func(name string) error { return t.free(ctx, name) })
}

func (t *Target) returnHistory(ctx context.Context) error {
	return t.eachIdle(ctx, "", func(name string) error { return t.give(ctx, name, t.record.Deployment) })
}

func (t *Target) eachIdle(ctx context.Context, except string, f func(name string) error) error {
	var idle []appsv1.ReplicaSet
	err := steadily(ctx, func(ctx context.Context) error {
		var err error
		idle, err = t.history(ctx, except)
		return err
	})
	if err != nil {
		return fmt.Errorf("list the history of deployment %s/%s: %w", t.record.Namespace, t.record.Deployment, err)
	}
	for _, rs := range idle {
		if err := f(rs.Name); err != nil {
			return err
		}
	}
	return nil
}

// setTemplate makes a ReplicaSet's template the Deployment's, so that the
// controller takes the one for the newest revision of the other, and the
// replica count with it where the Deployment is ours.
func (t *Target) setTemplate(ctx context.Context, deployment, replicaSet string) error {
	err := steadily(ctx, func(ctx context.Context) error {
		rs, err := t.replicaSet(ctx, replicaSet)
		if err != nil {
			return err
		}
		d, err := t.deployments().Get(ctx, deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		ops := []op{
			{"replace", "/metadata/resourceVersion", d.ResourceVersion},
			{"replace", "/spec/template", templateOf(rs)},
		}
		if deployment != t.record.Deployment {
			ops = append(ops, op{"replace", "/spec/replicas", deref(rs.Spec.Replicas)})
		}
		d, err = t.deployments().Patch(ctx, deployment, types.JSONPatchType, jsonPatch(ops...), metav1.PatchOptions{FieldManager: FieldManager})
		if err == nil {
			t.noteTemplate(d)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("give deployment %s/%s the template of replicaset %s: %w", t.record.Namespace, deployment, replicaSet, err)
	}
	return nil
}

// templateOf is a ReplicaSet's pod template as its Deployment has it: without
// the hash label.
func templateOf(rs *appsv1.ReplicaSet) corev1.PodTemplateSpec {
	template := *rs.Spec.Template.DeepCopy()
	delete(template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return template
}

// retirePrevious stops the old revision's pods and returns its ReplicaSet,
// idle and without our label, to the user's Deployment, whose history then
// reaches back over the release.
func (t *Target) retirePrevious(ctx context.Context) error {
	second := t.record.secondDeployment()
	err := t.until(ctx, func(ctx context.Context) error {
		d, err := t.deployments().Get(ctx, second, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if deref(d.Spec.Replicas) > 0 {
			if _, err := t.setReplicas(ctx, d, 0); err != nil {
				return err
			}
		}
		rs, err := t.replicaSet(ctx, t.record.Stable.ReplicaSet)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		pods, err := t.podsOf(ctx, rs)
		if err != nil {
			return err
		}
		// Pods that are stopping are no endpoints any more; how long they
		// take for it is nothing to wait for.
		running := slices.DeleteFunc(pods, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
		if deref(rs.Spec.Replicas) > 0 || len(running) > 0 {
			return fmt.Errorf("%w: %d pods are still running", errNotYet, len(running))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("stop the pods of deployment %s/%s: %w", t.record.Namespace, second, err)
	}
	if err := t.pause(ctx, second, true); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if _, err := t.replicaSet(ctx, t.record.Stable.ReplicaSet); apierrors.IsNotFound(err) {
		return nil // the history limit took it
	}
	if err := t.relabelReplicaSet(ctx, t.record.Stable.ReplicaSet, t.record.VersionBefore); err != nil {
		return err
	}
	return t.give(ctx, t.record.Stable.ReplicaSet, t.record.Deployment)
}
