package workload

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/kube"
)

// freedValue is put into a selector label of a ReplicaSet's own metadata while
// it has no owner, so that no Deployment adopts it. The pods and the selector
// are not touched.
const freedValue = "handed-over"

// free takes the owner from a ReplicaSet and changes one of the labels it is
// selected by, in one patch: between two there would be time to adopt it.
func (d deployments) free(ctx context.Context, name string) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		rs, err := d.replicaSet(ctx, name)
		if err != nil || metav1.GetControllerOf(rs) == nil {
			return err
		}
		key, value, err := d.adoptionLabel(rs)
		if err != nil {
			return err
		}
		_, err = d.patchReplicaSet(ctx, name, jsonpatch.Guarded(rs.ResourceVersion).
			Remove("/metadata/ownerReferences").
			Replace(jsonpatch.Pointer("metadata", "labels", key), freedValue).
			Add("/metadata/annotations", with(rs.Annotations, kube.AnnotationFreed, value)))
		return err
	})
	if err != nil {
		return fmt.Errorf("set replicaset %s/%s free: %w", d.ns, name, err)
	}
	return nil
}

// adoptionLabel is the label by which the user's Deployment finds a
// ReplicaSet: the first of its selector.
func (d deployments) adoptionLabel(rs *appsv1.ReplicaSet) (key, value string, err error) {
	var keys []string
	for k := range rs.Spec.Selector.MatchLabels {
		if k != appsv1.DefaultDeploymentUniqueLabelKey && k != d.label {
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
func (d deployments) give(ctx context.Context, name, deployment string) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		owner, err := d.get(ctx, deployment)
		if err != nil {
			return err
		}
		rs, err := d.replicaSet(ctx, name)
		if err != nil || metav1.IsControlledBy(rs, owner) {
			return err
		}
		patch := jsonpatch.Guarded(rs.ResourceVersion).
			Add("/metadata/ownerReferences", []metav1.OwnerReference{*metav1.NewControllerRef(owner, appsv1.SchemeGroupVersion.WithKind("Deployment"))})
		if value, freed := rs.Annotations[kube.AnnotationFreed]; freed {
			key, _, err := d.adoptionLabel(rs)
			if err != nil {
				return err
			}
			patch = patch.Replace(jsonpatch.Pointer("metadata", "labels", key), value).
				Remove(jsonpatch.Pointer("metadata", "annotations", kube.AnnotationFreed))
		}
		_, err = d.patchReplicaSet(ctx, name, patch)
		return err
	})
	if err != nil {
		return fmt.Errorf("give replicaset %s/%s to deployment %s: %w", d.ns, name, deployment, err)
	}
	return nil
}

// history lists the ReplicaSets of a Deployment that run nothing, freed ones
// included.
func (d deployments) history(ctx context.Context, deployment, except string) ([]appsv1.ReplicaSet, error) {
	user, err := d.get(ctx, deployment)
	if err != nil {
		return nil, err
	}
	list, err := d.cluster.Typed.AppsV1().ReplicaSets(d.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var idle []appsv1.ReplicaSet
	for _, rs := range list.Items {
		_, freed := rs.Annotations[kube.AnnotationFreed]
		mine := metav1.IsControlledBy(&rs, user) || freed && sameSelector(&rs, user)
		if mine && kube.Deref(rs.Spec.Replicas) == 0 && rs.Status.Replicas == 0 && rs.Name != except {
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

func (d deployments) freeHistory(ctx context.Context, deployment, except string) error {
	return d.eachIdle(ctx, deployment, except, func(name string) error { return d.free(ctx, name) })
}

func (d deployments) returnHistory(ctx context.Context, deployment string) error {
	return d.eachIdle(ctx, deployment, "", func(name string) error { return d.give(ctx, name, deployment) })
}

func (d deployments) eachIdle(ctx context.Context, deployment, except string, f func(name string) error) error {
	var idle []appsv1.ReplicaSet
	err := kube.Retry(ctx, func(ctx context.Context) error {
		var err error
		idle, err = d.history(ctx, deployment, except)
		return err
	})
	if err != nil {
		return fmt.Errorf("list the history of deployment %s/%s: %w", d.ns, deployment, err)
	}
	for _, rs := range idle {
		if err := f(rs.Name); err != nil {
			return err
		}
	}
	return nil
}

// setTemplate makes a ReplicaSet's template the Deployment's, so that the
// controller takes the one for the newest revision of the other, and with
// replicas its count too.
func (d deployments) setTemplate(ctx context.Context, deployment, replicaSet string, replicas bool) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		rs, err := d.replicaSet(ctx, replicaSet)
		if err != nil {
			return err
		}
		owner, err := d.get(ctx, deployment)
		if err != nil {
			return err
		}
		patch := jsonpatch.Guarded(owner.ResourceVersion).Replace("/spec/template", templateOf(rs))
		if replicas {
			patch = patch.Replace("/spec/replicas", kube.Deref(rs.Spec.Replicas))
		}
		if owner, err = d.patch(ctx, deployment, patch); err == nil {
			d.template.note(owner)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("give deployment %s/%s the template of replicaset %s: %w", d.ns, deployment, replicaSet, err)
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
	canary, old := t.record.CanaryDeployment(), t.record.Stable.ReplicaSet
	if err := t.watch.Until(ctx, t.stopPrevious); err != nil {
		return fmt.Errorf("stop the pods of deployment %s/%s: %w", t.record.Namespace, canary, err)
	}
	if err := t.deployments.pause(ctx, canary, true); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if _, err := t.deployments.replicaSet(ctx, old); apierrors.IsNotFound(err) {
		return nil // the history limit took it
	}
	if err := t.deployments.relabelReplicaSet(ctx, old, t.record.VersionBefore); err != nil {
		return err
	}
	return t.deployments.give(ctx, old, t.record.Deployment)
}

// stopPrevious scales the old revision to 0; it is nil when no pod runs.
func (t *Target) stopPrevious(ctx context.Context) error {
	d, err := t.deployments.get(ctx, t.record.CanaryDeployment())
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if kube.Deref(d.Spec.Replicas) > 0 {
		if _, err := t.deployments.setReplicas(ctx, d, 0); err != nil {
			return err
		}
	}
	rs, err := t.deployments.replicaSet(ctx, t.record.Stable.ReplicaSet)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	pods, err := t.deployments.podsOf(ctx, rs)
	if err != nil {
		return err
	}
	// Pods that are stopping are no endpoints any more; how long they
	// take for it is nothing to wait for.
	running := slices.DeleteFunc(pods, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
	if kube.Deref(rs.Spec.Replicas) > 0 || len(running) > 0 {
		return fmt.Errorf("%w: %d pods are still running", kube.ErrNotYet, len(running))
	}
	return nil
}
