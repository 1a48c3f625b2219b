package replicas

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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
		owner, rs, err := d.pair(ctx, deployment, name)
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

// SetTemplate gives the Deployment a ReplicaSet's template and count, so the
// controller treats that ReplicaSet as the newest revision and keeps its pods.
// With larger a higher count of the Deployment stays: an autoscaler's.
func (d *Deployments) SetTemplate(ctx context.Context, deployment, replicaSet string, larger bool) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		owner, rs, err := d.pair(ctx, deployment, replicaSet)
		if err != nil {
			return err
		}
		count := kube.Deref(rs.Spec.Replicas)
		if larger {
			count = max(count, kube.Deref(owner.Spec.Replicas))
		}
		patch := jsonpatch.Guarded(owner.ResourceVersion).Replace("/spec/template", templateOf(rs)).Replace("/spec/replicas", count)
		_, err = d.patch(ctx, deployment, patch)
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
