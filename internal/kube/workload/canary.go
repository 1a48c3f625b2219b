package workload

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// scale sizes the canary for weight: the live replica count times the weight,
// at least one. At 100 it is the live count, so that nothing is missing when
// the canary takes over. It never scales down while it takes traffic.
func (t *Target) scale(ctx context.Context, weight int) error {
	name := t.record.CanaryDeployment()
	err := kube.Retry(ctx, func(ctx context.Context) error {
		user, err := t.deployments.get(ctx, t.record.Deployment)
		if err != nil {
			return err
		}
		want := canaryReplicas(kube.Deref(user.Spec.Replicas), weight)
		canary, err := t.deployments.get(ctx, name)
		if apierrors.IsNotFound(err) {
			canary, err = t.deployments.client().Create(ctx, t.canaryDeployment(user, want), creating)
		}
		if err != nil {
			return err
		}
		if have := kube.Deref(canary.Spec.Replicas); have < want {
			if canary, err = t.deployments.setReplicas(ctx, canary, want); err != nil {
				return err
			}
		}
		t.health.want(int(want))
		return t.noteCanary(ctx, canary)
	})
	if err != nil {
		return fmt.Errorf("size deployment %s/%s for %d %%: %w", t.record.Namespace, name, weight, err)
	}
	return nil
}

func canaryReplicas(live int32, weight int) int32 {
	return max(1, (live*int32(weight)+99)/100)
}

// canaryDeployment is the user's Deployment with another image and label.
func (t *Target) canaryDeployment(user *appsv1.Deployment, replicas int32) *appsv1.Deployment {
	side := string(rollout.SideCanary)
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Name:        t.record.CanaryDeployment(),
			Labels:      map[string]string{kube.LabelTarget: t.record.Deployment, t.record.VersionLabel: side},
			Annotations: map[string]string{kube.AnnotationRun: t.record.Run.String()},
		},
		Spec: *user.Spec.DeepCopy(),
	}
	d.Spec.Paused = false
	d.Spec.Replicas = &replicas
	d.Spec.Template.Labels = with(d.Spec.Template.Labels, t.record.VersionLabel, side)
	// A restart that the user asked for by kubectl belongs to the revision
	// it was asked for; it stays, so that the two templates differ in the
	// image alone.
	for i := range d.Spec.Template.Spec.Containers {
		if c := &d.Spec.Template.Spec.Containers[i]; c.Name == t.record.Container {
			c.Image = t.record.Image
		}
	}
	return d
}

// noteCanary records the canary's ReplicaSet as soon as it exists.
func (t *Target) noteCanary(ctx context.Context, canary *appsv1.Deployment) error {
	if t.record.Canary.ReplicaSet != "" {
		return nil
	}
	sets, err := t.cluster.Typed.AppsV1().ReplicaSets(t.record.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(canary.Spec.Selector)})
	if err != nil {
		return err
	}
	for i := range sets.Items {
		rs := &sets.Items[i]
		if metav1.IsControlledBy(rs, canary) && rs.Spec.Template.Labels[t.record.VersionLabel] == string(rollout.SideCanary) {
			t.mu.Lock()
			t.record.Canary = kube.RevisionOf(rs, t.record.Container)
			t.mu.Unlock()
			return nil
		}
	}
	return fmt.Errorf("%w: its ReplicaSet does not exist", kube.ErrNotYet)
}

// noteCanaryPods records the canary's pods, to be compared after the hand-over.
func (t *Target) noteCanaryPods() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.record.Canary.Pods) > 0 {
		return
	}
	for _, pod := range t.watch.PodsOf(t.record.Canary.UID) {
		if pod.DeletionTimestamp == nil {
			kube.NotePod(&t.record.Canary, pod, t.record.Container)
		}
	}
}
