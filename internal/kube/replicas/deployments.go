// Package replicas changes Deployments and their ReplicaSets without a rolling
// update: it pauses, sizes and labels them, and moves a ReplicaSet with its
// running pods from one Deployment to another. Package workload decides what to
// change.
package replicas

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appsclient "k8s.io/client-go/kubernetes/typed/apps/v1"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/fields"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// Deployments changes the Deployments of a namespace, their ReplicaSets and
// pods. Its methods are idempotent: each reads the cluster first.
type Deployments struct {
	cluster *kube.Cluster
	watch   *kube.Watch
	ns      string
	label   string // the version label's key
}

// New returns the Deployments of a namespace. label is the key of the version
// label.
func New(c *kube.Cluster, w *kube.Watch, namespace, label string) *Deployments {
	return &Deployments{cluster: c, watch: w, ns: namespace, label: label}
}

// Drift returns who changed the pod template of a Deployment that should be, but
// for the version label, that of its ReplicaSet, or that it was scaled to 0; "" for
// nothing. It needs nothing
// that this process wrote: another process may have written it.
func (d *Deployments) Drift(name, replicaSet string) string {
	return drift(d.watch.Deployment(name), d.watch.ReplicaSet(replicaSet), name, d.label)
}

// drift decides what Drift reports. deployment and rs are nil if they are gone.
func drift(deployment *appsv1.Deployment, rs *appsv1.ReplicaSet, name, label string) string {
	switch {
	case deployment == nil:
		return fmt.Sprintf("deployment %s was deleted", name)
	case rs == nil || !metav1.IsControlledBy(rs, deployment):
		return fmt.Sprintf("deployment %s no longer has the replicaset from before the release", name)
	case !sameTemplate(labelled(rs.Spec.Template, label, nil), labelled(deployment.Spec.Template, label, nil)):
		return fmt.Sprintf("%s changed the pod template of deployment %s", fields.Writer(deployment, "spec", "template"), name)
	case kube.Deref(deployment.Spec.Replicas) == 0:
		return fmt.Sprintf("deployment %s was scaled to 0 by %s", name, fields.Writer(deployment, "spec", "replicas"))
	}
	return ""
}

func (d *Deployments) client() appsclient.DeploymentInterface {
	return d.cluster.Typed.AppsV1().Deployments(d.ns)
}

// Get reads a Deployment. Like the other reads here it retries: the hand-over has many,
// and must not end at one that the API server was too busy for.
func (d *Deployments) Get(ctx context.Context, name string) (deployment *appsv1.Deployment, err error) {
	err = kube.Retry(ctx, func(ctx context.Context) (err error) {
		deployment, err = d.client().Get(ctx, name, metav1.GetOptions{})
		return err
	})
	return deployment, err
}

func (d *Deployments) patch(ctx context.Context, name string, p jsonpatch.Patch) (*appsv1.Deployment, error) {
	return d.client().Patch(ctx, name, types.JSONPatchType, p.JSON(), kube.Patching)
}

// ReplicaSet reads a ReplicaSet.
func (d *Deployments) ReplicaSet(ctx context.Context, name string) (rs *appsv1.ReplicaSet, err error) {
	err = kube.Retry(ctx, func(ctx context.Context) (err error) {
		rs, err = d.cluster.Typed.AppsV1().ReplicaSets(d.ns).Get(ctx, name, metav1.GetOptions{})
		return err
	})
	return rs, err
}

// pair reads a Deployment and a ReplicaSet side by side.
func (d *Deployments) pair(ctx context.Context, name, replicaSet string) (deployment *appsv1.Deployment, rs *appsv1.ReplicaSet, err error) {
	err = kube.Together(ctx,
		func(ctx context.Context) (err error) { deployment, err = d.Get(ctx, name); return err },
		func(ctx context.Context) (err error) { rs, err = d.ReplicaSet(ctx, replicaSet); return err },
	)
	return deployment, rs, err
}

func (d *Deployments) patchReplicaSet(ctx context.Context, name string, p jsonpatch.Patch) (*appsv1.ReplicaSet, error) {
	return d.cluster.Typed.AppsV1().ReplicaSets(d.ns).Patch(ctx, name, types.JSONPatchType, p.JSON(), kube.Patching)
}

// Create creates a Deployment.
func (d *Deployments) Create(ctx context.Context, deployment *appsv1.Deployment) (*appsv1.Deployment, error) {
	return d.client().Create(ctx, deployment, kube.Creating)
}

// PodsOf lists the pods that rs owns.
func (d *Deployments) PodsOf(ctx context.Context, rs *appsv1.ReplicaSet) ([]corev1.Pod, error) {
	var list *corev1.PodList
	err := kube.Retry(ctx, func(ctx context.Context) (err error) {
		list, err = d.cluster.Typed.CoreV1().Pods(rs.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(rs.Spec.Selector)})
		return err
	})
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

// Pause sets spec.paused. A paused Deployment starts no rolling update; it
// still scales.
func (d *Deployments) Pause(ctx context.Context, name string, paused bool) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		deployment, err := d.Get(ctx, name)
		if err != nil || deployment.Spec.Paused == paused {
			return err
		}
		patch := jsonpatch.Guarded(deployment.ResourceVersion)
		if paused {
			patch = patch.Add("/spec/paused", true)
		} else {
			patch = patch.Remove("/spec/paused") // absent, as the user wrote it
		}
		_, err = d.patch(ctx, name, patch)
		return err
	})
	if err != nil {
		return fmt.Errorf("set paused=%t on deployment %s/%s: %w", paused, d.ns, name, err)
	}
	return nil
}

// SetReplicas sets the replica count of a Deployment that was just read.
func (d *Deployments) SetReplicas(ctx context.Context, deployment *appsv1.Deployment, n int32) (*appsv1.Deployment, error) {
	return d.patch(ctx, deployment.Name, jsonpatch.Guarded(deployment.ResourceVersion).Replace("/spec/replicas", n))
}

// AnnotateWarm annotates the Deployment with the time until which its pods
// stay.
func (d *Deployments) AnnotateWarm(ctx context.Context, name string, until time.Time) error {
	text := until.Format(time.RFC3339)
	merge, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"labels":      map[string]string{d.label: string(rollout.SidePrevious)},
		"annotations": map[string]string{kube.AnnotationWarm: text},
	}})
	if err != nil {
		panic("workload: encode strings: " + err.Error())
	}
	err = kube.Retry(ctx, func(ctx context.Context) error {
		deployment, err := d.Get(ctx, name)
		if err != nil || deployment.Annotations[kube.AnnotationWarm] == text {
			return err
		}
		// Both maps may be missing; a JSON patch cannot add to a missing map.
		_, err = d.client().Patch(ctx, name, types.MergePatchType, merge, kube.Patching)
		return err
	})
	if err != nil {
		return fmt.Errorf("annotate deployment %s/%s: %w", d.ns, name, err)
	}
	return nil
}

// Disown removes our field manager from a Deployment.
func (d *Deployments) Disown(ctx context.Context, name string) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		deployment, err := d.Get(ctx, name)
		if err != nil {
			return err
		}
		if patch := fields.Disown(deployment); !patch.Empty() {
			_, err = d.patch(ctx, name, patch)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("give up the fields of deployment %s/%s: %w", d.ns, name, err)
	}
	return nil
}

// Settled waits until the controller of a paused Deployment has seen its newest
// generation and counts the pods of replicaSet as updated.
func (d *Deployments) Settled(ctx context.Context, name, replicaSet string) error {
	err := d.watch.Until(ctx, func(ctx context.Context) error {
		deployment, rs, err := d.pair(ctx, name, replicaSet)
		if err != nil {
			return err
		}
		if deployment.Status.ObservedGeneration < deployment.Generation || deployment.Status.UpdatedReplicas != rs.Status.Replicas {
			return fmt.Errorf("%w: the controller counts %d updated replicas of %d", kube.ErrNotYet, deployment.Status.UpdatedReplicas, rs.Status.Replicas)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait for the controller of deployment %s/%s to treat replicaset %s as its newest: %w", d.ns, name, replicaSet, err)
	}
	return nil
}

// Remove deletes a Deployment and returns when its pods are gone.
func (d *Deployments) Remove(ctx context.Context, name string) error {
	foreground := metav1.DeletePropagationForeground
	err := kube.Retry(ctx, func(ctx context.Context) error {
		deployment, err := d.Get(ctx, name)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if deployment.DeletionTimestamp == nil {
			err := d.client().Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &foreground, Preconditions: &metav1.Preconditions{UID: &deployment.UID}})
			if err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
		return fmt.Errorf("%w: its pods are stopping", kube.ErrNotYet)
	})
	if err != nil {
		return fmt.Errorf("delete deployment %s/%s: %w", d.ns, name, err)
	}
	return nil
}
