package replicas

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// LabelOf returns the value of the version label for a side.
func LabelOf(s rollout.Side) *string {
	value := string(s)
	return &value
}

// SetSide sets the version label on the pods of one ReplicaSet (nil removes it)
// without restarting them. To the Deployment controller, templates that differ
// only in the hash label are one revision. So SetSide changes the ReplicaSet's
// template, its pods and the Deployment's template, in this order, while the
// Deployment is paused, which starts no rolling update. The template comes
// first, so new pods have the label too.
//
// The Deployment stays paused until its controller reports, on the newest
// generation, as many updated replicas as the ReplicaSet has: only this proves
// that the controller saw both templates as equal.
func (d *Deployments) SetSide(ctx context.Context, deployment, replicaSet string, value *string) error {
	done, err := d.hasSide(ctx, deployment, replicaSet, value)
	if err != nil || done {
		return err
	}
	if err := d.Pause(ctx, deployment, true); err != nil {
		return err
	}
	if err := d.Relabel(ctx, deployment, replicaSet, value); err != nil {
		return err
	}
	if err := d.Settled(ctx, deployment, replicaSet); err != nil {
		return err
	}
	return d.Pause(ctx, deployment, false)
}

// hasSide reports whether all labels are already set; then the Deployment need
// not be paused.
func (d *Deployments) hasSide(ctx context.Context, name, replicaSet string, value *string) (bool, error) {
	done := false
	err := kube.Retry(ctx, func(ctx context.Context) error {
		deployment, rs, err := d.pair(ctx, name, replicaSet)
		if err != nil {
			return err
		}
		pods, err := d.PodsOf(ctx, rs)
		if err != nil {
			return err
		}
		done = !deployment.Spec.Paused && hasLabel(deployment.Spec.Template.Labels, d.label, value) && hasLabel(rs.Spec.Template.Labels, d.label, value)
		for i := range pods {
			done = done && hasLabel(pods[i].Labels, d.label, value)
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("read deployment %s/%s: %w", d.ns, name, err)
	}
	return done, nil
}

func hasLabel(labels map[string]string, key string, value *string) bool {
	have, ok := labels[key]
	if value == nil {
		return !ok
	}
	return ok && have == *value
}

// Relabel changes the label on a ReplicaSet's template, its pods and the
// Deployment's template, in this order. The Deployment must be paused.
func (d *Deployments) Relabel(ctx context.Context, name, replicaSet string, value *string) error {
	if err := d.RelabelReplicaSet(ctx, replicaSet, value); err != nil {
		return err
	}
	err := kube.Retry(ctx, func(ctx context.Context) error {
		deployment, err := d.Get(ctx, name)
		if err != nil {
			return err
		}
		if hasLabel(deployment.Spec.Template.Labels, d.label, value) {
			return nil
		}
		if err := d.History(name).DropEqual(ctx, labelled(deployment.Spec.Template, d.label, value), replicaSet); err != nil {
			return err
		}
		_, err = d.patch(ctx, name, labelPatch(deployment.ResourceVersion, "/spec/template/metadata/labels", deployment.Spec.Template.Labels, d.label, value))
		return err
	})
	if err != nil {
		return fmt.Errorf("label the template of deployment %s/%s: %w", d.ns, name, err)
	}
	return nil
}

// labelled returns a copy of a template with the label set, or removed for nil.
func labelled(t corev1.PodTemplateSpec, key string, value *string) corev1.PodTemplateSpec {
	t = *t.DeepCopy()
	if value == nil {
		delete(t.Labels, key)
	} else {
		t.Labels = kube.With(t.Labels, key, *value)
	}
	return t
}

// RelabelReplicaSet changes the label on a ReplicaSet's template and its pods.
func (d *Deployments) RelabelReplicaSet(ctx context.Context, name string, value *string) error {
	var rs *appsv1.ReplicaSet
	err := kube.Retry(ctx, func(ctx context.Context) error {
		var err error
		if rs, err = d.ReplicaSet(ctx, name); err != nil || hasLabel(rs.Spec.Template.Labels, d.label, value) {
			return err
		}
		rs, err = d.patchReplicaSet(ctx, name, labelPatch(rs.ResourceVersion, "/spec/template/metadata/labels", rs.Spec.Template.Labels, d.label, value))
		return err
	})
	if err != nil {
		return fmt.Errorf("label the template of replicaset %s/%s: %w", d.ns, name, err)
	}
	// The controller may still create pods from the old template until it has seen
	// the new one. Also, a selector must not require a label that the controllers
	// have not seen: the endpoints controller reads pods and Services from two
	// watches, and a selector that arrives before the labels empties the Service.
	// FullyLabeledReplicas comes from the same pod cache as the endpoints.
	err = d.watch.Until(ctx, func(ctx context.Context) error {
		fresh, err := d.ReplicaSet(ctx, name)
		if err != nil {
			return err
		}
		if fresh.Status.ObservedGeneration < rs.Generation {
			return fmt.Errorf("%w: the controller has not seen the new template", kube.ErrNotYet)
		}
		if err := d.relabelPods(ctx, rs, value); err != nil {
			return err
		}
		if fresh.Status.FullyLabeledReplicas < fresh.Status.Replicas {
			return fmt.Errorf("%w: the controller has seen the label on %d of %d pods", kube.ErrNotYet, fresh.Status.FullyLabeledReplicas, fresh.Status.Replicas)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("label the pods of replicaset %s/%s: %w", d.ns, name, err)
	}
	return nil
}

func (d *Deployments) relabelPods(ctx context.Context, rs *appsv1.ReplicaSet, value *string) error {
	pods, err := d.PodsOf(ctx, rs)
	if err != nil {
		return err
	}
	return kube.Each(ctx, len(pods), kube.AtOnce, func(ctx context.Context, i int) error {
		pod := &pods[i]
		if hasLabel(pod.Labels, d.label, value) {
			return nil
		}
		patch := labelPatch(pod.ResourceVersion, "/metadata/labels", pod.Labels, d.label, value)
		_, err := d.cluster.Typed.CoreV1().Pods(d.ns).Patch(ctx, pod.Name, types.JSONPatchType, patch.JSON(), kube.Patching)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

// labelPatch sets or removes one label at path, guarded by version.
func labelPatch(version, path string, labels map[string]string, key string, value *string) jsonpatch.Patch {
	patch, at := jsonpatch.Guarded(version), path+jsonpatch.Pointer(key)
	switch {
	case value == nil:
		return patch.Remove(at)
	case labels == nil:
		return patch.Add(path, map[string]string{key: *value})
	}
	return patch.Add(at, *value)
}
