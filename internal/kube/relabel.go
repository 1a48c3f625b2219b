package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appsclient "k8s.io/client-go/kubernetes/typed/apps/v1"
)

type deploymentClient = appsclient.DeploymentInterface

// setRole gives the pods of one ReplicaSet a role label (nil takes it away)
// without restarting any of them. To the Deployment controller two templates
// that are equal but for the hash label are one revision, so changing the
// ReplicaSet's template, its pods and the Deployment's template in this order
// while the Deployment is paused is no roll. The template comes first, so that
// a pod born meanwhile has the label too.
//
// The Deployment stays paused until its controller has reported, on the newest
// generation, as many updated replicas as the ReplicaSet has: only then is it
// certain that the controller saw both templates and found them equal.
func (t *Target) setRole(ctx context.Context, deployment, replicaSet string, value *string) error {
	done, err := t.hasRole(ctx, deployment, replicaSet, value)
	if err != nil || done {
		return err
	}
	if err := t.pause(ctx, deployment, true); err != nil {
		return err
	}
	if err := t.relabel(ctx, deployment, replicaSet, value); err != nil {
		return err
	}
	if err := t.settled(ctx, deployment, replicaSet); err != nil {
		return err
	}
	return t.pause(ctx, deployment, false)
}

// hasRole reports whether there is nothing left to do, so that an adopted
// Deployment is not paused for nothing.
func (t *Target) hasRole(ctx context.Context, deployment, replicaSet string, value *string) (bool, error) {
	done := false
	err := steadily(ctx, func(ctx context.Context) error {
		d, err := t.deployments().Get(ctx, deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		rs, err := t.replicaSet(ctx, replicaSet)
		if err != nil {
			return err
		}
		pods, err := t.podsOf(ctx, rs)
		if err != nil {
			return err
		}
		key := t.record.VersionLabel
		done = !d.Spec.Paused && hasLabel(d.Spec.Template.Labels, key, value) && hasLabel(rs.Spec.Template.Labels, key, value)
		for i := range pods {
			done = done && hasLabel(pods[i].Labels, key, value)
		}
		if done {
			t.noteTemplate(d)
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("read deployment %s/%s: %w", t.record.Namespace, deployment, err)
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

// relabel changes the role on a ReplicaSet's template, its pods and the
// Deployment's template, in this order. The Deployment has to be paused.
func (t *Target) relabel(ctx context.Context, deployment, replicaSet string, value *string) error {
	key := t.record.VersionLabel
	if err := t.relabelReplicaSet(ctx, replicaSet, value); err != nil {
		return err
	}
	err := steadily(ctx, func(ctx context.Context) error {
		d, err := t.deployments().Get(ctx, deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !hasLabel(d.Spec.Template.Labels, key, value) {
			d, err = t.deployments().Patch(ctx, deployment, types.JSONPatchType,
				labelPatch(d.ResourceVersion, "/spec/template/metadata/labels", d.Spec.Template.Labels, key, value), metav1.PatchOptions{FieldManager: FieldManager})
			if err != nil {
				return err
			}
		}
		t.noteTemplate(d)
		return nil
	})
	if err != nil {
		return fmt.Errorf("label the template of deployment %s/%s: %w", t.record.Namespace, deployment, err)
	}
	return nil
}

// relabelReplicaSet changes the role on a ReplicaSet's template and its pods.
func (t *Target) relabelReplicaSet(ctx context.Context, replicaSet string, value *string) error {
	key := t.record.VersionLabel
	var rs *appsv1.ReplicaSet
	err := steadily(ctx, func(ctx context.Context) error {
		var err error
		if rs, err = t.replicaSet(ctx, replicaSet); err != nil || hasLabel(rs.Spec.Template.Labels, key, value) {
			return err
		}
		rs, err = t.cluster.typed.AppsV1().ReplicaSets(t.record.Namespace).Patch(ctx, replicaSet, types.JSONPatchType,
			labelPatch(rs.ResourceVersion, "/spec/template/metadata/labels", rs.Spec.Template.Labels, key, value), metav1.PatchOptions{FieldManager: FieldManager})
		return err
	})
	if err != nil {
		return fmt.Errorf("label the template of replicaset %s/%s: %w", t.record.Namespace, replicaSet, err)
	}
	// Pods born of the old template may still appear until the controller
	// has seen the new one. And nobody may select by a label that the
	// controllers have not seen: the one that fills endpoints reads pods and
	// Services from two watches, and a selector that arrives before the
	// labels empties the Service. FullyLabeledReplicas is counted from the
	// same cache of pods that the endpoints are made from.
	err = t.until(ctx, func(ctx context.Context) error {
		fresh, err := t.replicaSet(ctx, replicaSet)
		if err != nil {
			return err
		}
		if fresh.Status.ObservedGeneration < rs.Generation {
			return fmt.Errorf("%w: its controller has not seen the new template", errNotYet)
		}
		pods, err := t.podsOf(ctx, rs)
		if err != nil {
			return err
		}
		for i := range pods {
			if hasLabel(pods[i].Labels, key, value) {
				continue
			}
			_, err := t.cluster.typed.CoreV1().Pods(t.record.Namespace).Patch(ctx, pods[i].Name, types.JSONPatchType,
				labelPatch(pods[i].ResourceVersion, "/metadata/labels", pods[i].Labels, key, value), metav1.PatchOptions{FieldManager: FieldManager})
			if err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
		if fresh.Status.FullyLabeledReplicas < fresh.Status.Replicas {
			return fmt.Errorf("%w: its controller has seen the label on %d of %d pods", errNotYet, fresh.Status.FullyLabeledReplicas, fresh.Status.Replicas)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("label the pods of replicaset %s/%s: %w", t.record.Namespace, replicaSet, err)
	}
	return nil
}

// labelPatch sets or removes one label at path, guarded by version.
func labelPatch(version, path string, labels map[string]string, key string, value *string) []byte {
	guard := op{"replace", "/metadata/resourceVersion", version}
	switch {
	case value == nil:
		return jsonPatch(guard, op{Op: "remove", Path: path + "/" + escapePointer(key)})
	case labels == nil:
		return jsonPatch(guard, op{"add", path, map[string]string{key: *value}})
	}
	return jsonPatch(guard, op{"add", path + "/" + escapePointer(key), *value})
}

// escapePointer escapes a key for a JSON pointer (RFC 6901).
func escapePointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// pause sets spec.paused. A paused Deployment starts no roll; it still scales.
func (t *Target) pause(ctx context.Context, deployment string, paused bool) error {
	err := steadily(ctx, func(ctx context.Context) error {
		d, err := t.deployments().Get(ctx, deployment, metav1.GetOptions{})
		if err != nil || d.Spec.Paused == paused {
			return err
		}
		change := op{"add", "/spec/paused", true}
		if !paused {
			change = op{Op: "remove", Path: "/spec/paused"} // as the user wrote it: without
		}
		_, err = t.deployments().Patch(ctx, deployment, types.JSONPatchType,
			jsonPatch(op{"replace", "/metadata/resourceVersion", d.ResourceVersion}, change), metav1.PatchOptions{FieldManager: FieldManager})
		return err
	})
	if err != nil {
		return fmt.Errorf("set paused=%t on deployment %s/%s: %w", paused, t.record.Namespace, deployment, err)
	}
	return nil
}

// settled waits until the controller of a paused Deployment has seen its
// newest generation and counts the pods of replicaSet as its updated ones.
func (t *Target) settled(ctx context.Context, deployment, replicaSet string) error {
	err := t.until(ctx, func(ctx context.Context) error {
		d, err := t.deployments().Get(ctx, deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		rs, err := t.replicaSet(ctx, replicaSet)
		if err != nil {
			return err
		}
		if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas != rs.Status.Replicas {
			return fmt.Errorf("%w: its controller counts %d updated replicas of %d", errNotYet, d.Status.UpdatedReplicas, rs.Status.Replicas)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait for the controller of deployment %s/%s to take replicaset %s for its newest: %w", t.record.Namespace, deployment, replicaSet, err)
	}
	return nil
}

func (t *Target) replicaSet(ctx context.Context, name string) (*appsv1.ReplicaSet, error) {
	return t.cluster.typed.AppsV1().ReplicaSets(t.record.Namespace).Get(ctx, name, metav1.GetOptions{})
}

// podsOf lists the pods that rs owns.
func (t *Target) podsOf(ctx context.Context, rs *appsv1.ReplicaSet) ([]corev1.Pod, error) {
	list, err := t.cluster.typed.CoreV1().Pods(rs.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(rs.Spec.Selector)})
	if err != nil {
		return nil, err
	}
	var own []corev1.Pod
	for _, pod := range list.Items {
		if metav1.IsControlledBy(&pod, rs) {
			own = append(own, pod)
		}
	}
	return own, nil
}

// noteTemplate remembers what the user's template looks like after our own
// change, against which drift is judged.
func (t *Target) noteTemplate(d *appsv1.Deployment) {
	if d.Name != t.record.Deployment {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.template, t.templateGeneration = d.Spec.Template.DeepCopy(), d.Generation
}

func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("kube: encode %T: %v", v, err))
	}
	return raw
}
