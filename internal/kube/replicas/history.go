package replicas

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A History is the ReplicaSets of one Deployment: the one that serves and the
// idle ones before it.
type History struct {
	*Deployments
	deployment string
}

// History returns the ReplicaSets of a Deployment.
func (d *Deployments) History(deployment string) History { return History{d, deployment} }

// read reads the Deployment and the namespace's ReplicaSets side by side.
func (h History) read(ctx context.Context) (owner *appsv1.Deployment, sets *appsv1.ReplicaSetList, err error) {
	err = kube.Together(ctx,
		func(ctx context.Context) (err error) { owner, err = h.Get(ctx, h.deployment); return err },
		func(ctx context.Context) (err error) {
			sets, err = h.cluster.Typed.AppsV1().ReplicaSets(h.ns).List(ctx, metav1.ListOptions{})
			return err
		},
	)
	return owner, sets, err
}

// idle lists the ReplicaSets without pods, freed ones included.
func (h History) idle(ctx context.Context, except string) ([]appsv1.ReplicaSet, error) {
	user, list, err := h.read(ctx)
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

// FreeIdle frees the idle ReplicaSets except one.
func (h History) FreeIdle(ctx context.Context, except string) error {
	return h.eachIdle(ctx, except, func(rs *appsv1.ReplicaSet) error { return h.Free(ctx, rs.Name) })
}

// Return returns the idle ReplicaSets to their Deployment, except those that
// DropEqual would delete.
func (h History) Return(ctx context.Context, current string) error {
	owner, err := h.Get(ctx, h.deployment)
	if err != nil {
		return fmt.Errorf("read deployment %s/%s: %w", h.ns, h.deployment, err)
	}
	if err := h.DropEqual(ctx, owner.Spec.Template, current); err != nil {
		return err
	}
	return h.eachIdle(ctx, current, func(rs *appsv1.ReplicaSet) error {
		err := h.Give(ctx, rs.Name, h.deployment)
		if apierrors.IsNotFound(err) {
			return nil // the controller deleted it, beyond the history limit
		}
		return err
	})
}

// Label sets the version label on the templates of the idle ReplicaSets, or
// removes it for nil. It leaves a value that no release writes.
func (h History) Label(ctx context.Context, current string, value *string) error {
	idle, err := h.listIdle(ctx, current)
	if err != nil {
		return err
	}
	err = kube.Each(ctx, len(idle), kube.AtOnce, func(ctx context.Context, i int) error { return h.labelIdle(ctx, idle[i].Name, value) })
	if err != nil {
		return fmt.Errorf("label the history of deployment %s/%s: %w", h.ns, h.deployment, err)
	}
	return nil
}

func (h History) labelIdle(ctx context.Context, name string, value *string) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		rs, err := h.ReplicaSet(ctx, name)
		if err != nil || hasLabel(rs.Spec.Template.Labels, h.label, value) {
			return err
		}
		if have, labelled := rs.Spec.Template.Labels[h.label]; labelled && !rollout.Side(have).Written() {
			return nil // the user's own
		}
		_, err = h.patchReplicaSet(ctx, name, labelPatch(rs.ResourceVersion, "/spec/template/metadata/labels", rs.Spec.Template.Labels, h.label, value))
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil // beyond the history limit
	}
	return err
}

// DropEqual deletes the idle ReplicaSets whose template is equal to the given
// one, except the current ReplicaSet. Of several equal ones the controller takes
// the oldest for the newest revision: it would scale up the idle one and stop
// the pods of the current one. Their revision is the current one's, so the
// history loses nothing.
func (h History) DropEqual(ctx context.Context, template corev1.PodTemplateSpec, current string) error {
	return h.eachIdle(ctx, current, func(rs *appsv1.ReplicaSet) error {
		if !sameTemplate(rs.Spec.Template, template) {
			return nil
		}
		err := kube.Retry(ctx, func(ctx context.Context) error {
			return h.cluster.Typed.AppsV1().ReplicaSets(h.ns).Delete(ctx, rs.Name, metav1.DeleteOptions{
				Preconditions: &metav1.Preconditions{UID: &rs.UID, ResourceVersion: &rs.ResourceVersion},
			})
		})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete replicaset %s/%s, whose template is that of the serving %s: %w", h.ns, rs.Name, current, err)
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

// Current returns the ReplicaSet of the Deployment's template, whatever its
// version label. Other ReplicaSets with pods are an error: a rolling update is
// going on, or stuck.
func (h History) Current(ctx context.Context) (*appsv1.ReplicaSet, error) {
	owner, list, err := h.read(ctx)
	if err != nil {
		return nil, err
	}
	var current *appsv1.ReplicaSet
	var others []string
	for i := range list.Items {
		rs := &list.Items[i]
		switch serves := kube.Deref(rs.Spec.Replicas) > 0 || rs.Status.Replicas > 0; {
		case !metav1.IsControlledBy(rs, owner):
		case sameTemplate(labelled(rs.Spec.Template, h.label, nil), labelled(owner.Spec.Template, h.label, nil)) && (current == nil || serves):
			current = rs
		case serves:
			others = append(others, rs.Name)
		}
	}
	if current == nil || len(others) > 0 {
		return nil, fmt.Errorf("%w: deployment %s is rolling out (pods of replicasets %q)", kube.ErrNotYet, h.deployment, others)
	}
	return current, nil
}

// listIdle is idle with retries.
func (h History) listIdle(ctx context.Context, except string) (idle []appsv1.ReplicaSet, err error) {
	err = kube.Retry(ctx, func(ctx context.Context) (err error) {
		idle, err = h.idle(ctx, except)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the history of deployment %s/%s: %w", h.ns, h.deployment, err)
	}
	return idle, nil
}

func (h History) eachIdle(ctx context.Context, except string, f func(*appsv1.ReplicaSet) error) error {
	idle, err := h.listIdle(ctx, except)
	if err != nil {
		return err
	}
	for i := range idle {
		if err := f(&idle[i]); err != nil {
			return err
		}
	}
	return nil
}
