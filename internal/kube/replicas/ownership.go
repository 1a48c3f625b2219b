package replicas

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/kube"
)

// freedValue replaces a selector label in a ReplicaSet's own metadata while it
// has no owner, so no Deployment adopts it. The pods and the selector do not
// change.
const freedValue = "handed-over"

// Free removes the owner of a ReplicaSet and changes one of the labels that
// select it, in one patch: between two patches a Deployment could adopt it.
func (d *Deployments) Free(ctx context.Context, name string) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		rs, err := d.ReplicaSet(ctx, name)
		if err != nil || metav1.GetControllerOf(rs) == nil {
			return err
		}
		key, value, err := adoptionLabel(rs, d.label)
		if err != nil {
			return err
		}
		_, err = d.patchReplicaSet(ctx, name, jsonpatch.Guarded(rs.ResourceVersion).
			Remove("/metadata/ownerReferences").
			Replace(jsonpatch.Pointer("metadata", "labels", key), freedValue).
			Add("/metadata/annotations", kube.With(rs.Annotations, kube.AnnotationFreed, value)))
		return err
	})
	if err != nil {
		return fmt.Errorf("free replicaset %s/%s: %w", d.ns, name, err)
	}
	return nil
}

// adoptionLabel returns the label by which the user's Deployment finds a
// ReplicaSet: the first of its selector.
func adoptionLabel(rs *appsv1.ReplicaSet, versionLabel string) (key, value string, err error) {
	var keys []string
	for k := range rs.Spec.Selector.MatchLabels {
		if k != appsv1.DefaultDeploymentUniqueLabelKey && k != versionLabel {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return "", "", fmt.Errorf("replicaset %s has no label in its selector", rs.Name)
	}
	slices.Sort(keys)
	return keys[0], rs.Spec.Selector.MatchLabels[keys[0]], nil
}

// Give makes deployment the owner of a ReplicaSet and reverts Free, in one
// patch.
func (d *Deployments) Give(ctx context.Context, name, deployment string) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		owner, err := d.Get(ctx, deployment)
		if err != nil {
			return err
		}
		rs, err := d.ReplicaSet(ctx, name)
		if err != nil || metav1.IsControlledBy(rs, owner) {
			return err
		}
		patch := jsonpatch.Guarded(rs.ResourceVersion).
			Add("/metadata/ownerReferences", []metav1.OwnerReference{*metav1.NewControllerRef(owner, appsv1.SchemeGroupVersion.WithKind("Deployment"))})
		if value, freed := rs.Annotations[kube.AnnotationFreed]; freed {
			key, _, err := adoptionLabel(rs, d.label)
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

// history lists the ReplicaSets of a Deployment without pods, freed ones
// included.
func (d *Deployments) history(ctx context.Context, deployment, except string) ([]appsv1.ReplicaSet, error) {
	user, err := d.Get(ctx, deployment)
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

// sameSelector reports whether a Deployment with d's selector created rs.
func sameSelector(rs *appsv1.ReplicaSet, d *appsv1.Deployment) bool {
	for k, v := range d.Spec.Selector.MatchLabels {
		if rs.Spec.Selector.MatchLabels[k] != v {
			return false
		}
	}
	return true
}

// FreeHistory frees the idle ReplicaSets of a Deployment except one.
func (d *Deployments) FreeHistory(ctx context.Context, deployment, except string) error {
	return d.eachIdle(ctx, deployment, except, func(rs *appsv1.ReplicaSet) error { return d.Free(ctx, rs.Name) })
}

// ReturnHistory returns the idle ReplicaSets to their Deployment, except those
// that DropEqual would delete.
func (d *Deployments) ReturnHistory(ctx context.Context, deployment, current string) error {
	owner, err := d.Get(ctx, deployment)
	if err != nil {
		return fmt.Errorf("read deployment %s/%s: %w", d.ns, deployment, err)
	}
	if err := d.DropEqual(ctx, owner, owner.Spec.Template, current); err != nil {
		return err
	}
	return d.eachIdle(ctx, deployment, current, func(rs *appsv1.ReplicaSet) error { return d.Give(ctx, rs.Name, deployment) })
}

// DropEqual deletes the idle ReplicaSets of a Deployment whose template is equal
// to the given one, except the current ReplicaSet. Of several equal ones the
// controller takes the oldest for the newest revision: it would scale up the
// idle one and stop the pods of the current one. Their revision is the current
// one's, so the history loses nothing.
func (d *Deployments) DropEqual(ctx context.Context, owner *appsv1.Deployment, template corev1.PodTemplateSpec, current string) error {
	return d.eachIdle(ctx, owner.Name, current, func(rs *appsv1.ReplicaSet) error {
		if !sameTemplate(rs.Spec.Template, template) {
			return nil
		}
		err := kube.Retry(ctx, func(ctx context.Context) error {
			return d.cluster.Typed.AppsV1().ReplicaSets(d.ns).Delete(ctx, rs.Name, metav1.DeleteOptions{
				Preconditions: &metav1.Preconditions{UID: &rs.UID, ResourceVersion: &rs.ResourceVersion},
			})
		})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete replicaset %s/%s, whose template is that of the serving %s: %w", d.ns, rs.Name, current, err)
		}
		return nil
	})
}

// sameTemplate compares templates as the Deployment controller does: without the
// hash label.
func sameTemplate(a, b corev1.PodTemplateSpec) bool {
	a, b = *a.DeepCopy(), *b.DeepCopy()
	delete(a.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	delete(b.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return equality.Semantic.DeepEqual(a, b)
}

// Current returns the ReplicaSet of a Deployment's template, whatever its
// version label. Other ReplicaSets with pods are an error: a rolling update is
// going on, or stuck.
func (d *Deployments) Current(ctx context.Context, deployment string) (*appsv1.ReplicaSet, error) {
	owner, err := d.Get(ctx, deployment)
	if err != nil {
		return nil, err
	}
	list, err := d.cluster.Typed.AppsV1().ReplicaSets(d.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var current *appsv1.ReplicaSet
	var others []string
	for i := range list.Items {
		rs := &list.Items[i]
		switch serves := kube.Deref(rs.Spec.Replicas) > 0 || rs.Status.Replicas > 0; {
		case !metav1.IsControlledBy(rs, owner):
		case sameTemplate(labelled(rs.Spec.Template, d.label, nil), labelled(owner.Spec.Template, d.label, nil)) && (current == nil || serves):
			current = rs
		case serves:
			others = append(others, rs.Name)
		}
	}
	if current == nil || len(others) > 0 {
		return nil, fmt.Errorf("%w: deployment %s is rolling out (pods of replicasets %q)", kube.ErrNotYet, deployment, others)
	}
	return current, nil
}

func (d *Deployments) eachIdle(ctx context.Context, deployment, except string, f func(*appsv1.ReplicaSet) error) error {
	var idle []appsv1.ReplicaSet
	err := kube.Retry(ctx, func(ctx context.Context) error {
		var err error
		idle, err = d.history(ctx, deployment, except)
		return err
	})
	if err != nil {
		return fmt.Errorf("list the history of deployment %s/%s: %w", d.ns, deployment, err)
	}
	for i := range idle {
		if err := f(&idle[i]); err != nil {
			return err
		}
	}
	return nil
}

// SetTemplate gives the Deployment a ReplicaSet's template and count, so the
// controller treats that ReplicaSet as the newest revision and keeps its pods.
// With larger a higher count of the Deployment stays: an autoscaler's.
func (d *Deployments) SetTemplate(ctx context.Context, deployment, replicaSet string, larger bool) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		rs, err := d.ReplicaSet(ctx, replicaSet)
		if err != nil {
			return err
		}
		owner, err := d.Get(ctx, deployment)
		if err != nil {
			return err
		}
		count := kube.Deref(rs.Spec.Replicas)
		if larger {
			count = max(count, kube.Deref(owner.Spec.Replicas))
		}
		patch := jsonpatch.Guarded(owner.ResourceVersion).Replace("/spec/template", templateOf(rs)).Replace("/spec/replicas", count)
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

// templateOf returns a ReplicaSet's pod template without the hash label, as in
// its Deployment.
func templateOf(rs *appsv1.ReplicaSet) corev1.PodTemplateSpec {
	template := *rs.Spec.Template.DeepCopy()
	delete(template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return template
}
