package workload

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/autoscaler"
	"github.com/candlefish/deploy-action/internal/kube/health"
	"github.com/candlefish/deploy-action/internal/kube/replicas"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router/routers"
	"github.com/candlefish/deploy-action/internal/router/service"
)

// A canary manages the canary Deployment of a rollout.
type canary struct {
	*replicas.Deployments
	cluster *kube.Cluster
	watch   *kube.Watch
	health  *health.Monitor

	mu     *sync.Mutex // guards record.Canary
	record *release.Record
}

// scale sizes the canary for weight: the live replica count times the weight,
// at least one. At 100 it is the live count, so the canary has full capacity
// when it takes over. It never scales a canary with traffic down.
func (c canary) scale(ctx context.Context, weight int) error {
	name := c.record.CanaryDeployment()
	err := kube.Retry(ctx, func(ctx context.Context) error {
		user, err := c.Get(ctx, c.record.Deployment)
		if err != nil {
			return err
		}
		capacity := c.capacity(user)
		if err := autoscaler.Hold(ctx, c.cluster, c.record.Namespace, c.record.Deployment, capacity); err != nil {
			return err
		}
		want := podsFor(c.record, capacity, weight)
		canary, err := c.Get(ctx, name)
		if apierrors.IsNotFound(err) {
			var d *appsv1.Deployment
			if d, err = c.deployment(user, want); err != nil {
				return err
			}
			canary, err = c.Create(ctx, d)
		}
		if err != nil {
			return err
		}
		if have := kube.Deref(canary.Spec.Replicas); have < want {
			if canary, err = c.SetReplicas(ctx, canary, want); err != nil {
				return err
			}
		}
		c.health.Want(int(want))
		return c.note(ctx, canary)
	})
	if err != nil {
		return fmt.Errorf("size deployment %s/%s for %d %%: %w", c.record.Namespace, name, weight, err)
	}
	return nil
}

// capacity returns the pods that all traffic needs: the largest count of the
// user's Deployment since the release began. Its autoscaler may shrink it while
// the canary has the traffic.
func (c canary) capacity(user *appsv1.Deployment) int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.record.Replicas = max(c.record.Replicas, kube.Deref(user.Spec.Replicas))
	return c.record.Replicas
}

// needed returns the pods that the canary needs for a weight, given the user's
// Deployment as the watch has it.
func (c canary) needed(weight int) int {
	user := c.watch.Deployment(c.record.Deployment)
	if user == nil {
		return 0
	}
	return int(podsFor(c.record, c.capacity(user), weight))
}

// refillLimit bounds the wait for stable's pods before an abort: a canary that
// fails must not keep its traffic for longer.
const refillLimit = 20 * time.Second

// refillStable gives the user's Deployment the pods for all traffic, if its
// autoscaler took some away, and waits for them, but not for long.
func (c canary) refillStable(ctx context.Context) error {
	want := int32(0)
	err := kube.Retry(ctx, func(ctx context.Context) error {
		user, err := c.Get(ctx, c.record.Deployment)
		if err != nil {
			return err
		}
		want = c.capacity(user)
		if kube.Deref(user.Spec.Replicas) < want {
			_, err = c.SetReplicas(ctx, user, want)
		} else {
			want = 0
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("size deployment %s/%s before the traffic returns: %w", c.record.Namespace, c.record.Deployment, err)
	}
	if want == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, refillLimit)
	defer cancel()
	_ = c.watch.Until(limited, func(ctx context.Context) error { // after the limit the traffic returns anyway
		user, err := c.Get(ctx, c.record.Deployment)
		if err == nil && user.Status.ReadyReplicas < want {
			err = fmt.Errorf("%w: %d of %d pods are ready", kube.ErrNotYet, user.Status.ReadyReplicas, want)
		}
		return err
	})
	return nil
}

// podsFor returns the pods of the canary for a weight: where they are the share, as
// many as give it.
func podsFor(record *release.Record, live int32, weight int) int32 {
	if routers.Shares(record) {
		return service.Pods(live, weight)
	}
	return canaryReplicas(live, weight)
}

func canaryReplicas(live int32, weight int) int32 {
	return max(1, (live*int32(weight)+99)/100)
}

// deployment returns the user's Deployment with the released pod template and
// another label.
func (c canary) deployment(user *appsv1.Deployment, replicas int32) (*appsv1.Deployment, error) {
	template, err := Template(c.record, user.Spec.Template)
	if err != nil {
		return nil, err
	}
	side := string(rollout.SideCanary)
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Name:        c.record.CanaryDeployment(),
			Labels:      map[string]string{kube.LabelTarget: c.record.Deployment, c.record.VersionLabel: side},
			Annotations: map[string]string{kube.AnnotationRun: c.record.Run.String()},
		},
		Spec: *user.Spec.DeepCopy(),
	}
	d.Spec.Paused = false
	d.Spec.Replicas = &replicas
	d.Spec.Template = template
	d.Spec.Template.Labels = kube.With(d.Spec.Template.Labels, c.record.VersionLabel, side)
	return d, nil
}

// note records the canary's ReplicaSet as soon as it exists. Somebody may have
// deleted the canary Deployment since the last time, and this run created it
// again.
func (c canary) note(ctx context.Context, canary *appsv1.Deployment) error {
	// The new ReplicaSet has the name of the old one: that is the template's hash.
	if rs := c.watch.ReplicaSet(c.record.Canary.ReplicaSet); rs != nil && string(rs.UID) == c.record.Canary.UID && metav1.IsControlledBy(rs, canary) {
		return nil
	}
	sets, err := c.cluster.Typed.AppsV1().ReplicaSets(c.record.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(canary.Spec.Selector)})
	if err != nil {
		return err
	}
	for i := range sets.Items {
		rs := &sets.Items[i]
		if metav1.IsControlledBy(rs, canary) && rs.Spec.Template.Labels[c.record.VersionLabel] == string(rollout.SideCanary) {
			c.mu.Lock()
			c.record.Canary = kube.RevisionOf(rs, c.record.Container)
			c.mu.Unlock()
			return nil
		}
	}
	return fmt.Errorf("%w: %s", kube.ErrNotYet, cmp.Or(health.Refused(canary), "the ReplicaSet does not exist"))
}

// revisions returns the UIDs of the two recorded ReplicaSets, "" for none.
func (c canary) revisions() (stable, canary string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record.Stable.UID, c.record.Canary.UID
}

// notePods records the canary's pods for the comparison after the hand-over.
func (c canary) notePods() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.record.Canary.Pods) > 0 {
		return
	}
	for _, pod := range c.watch.PodsOf(c.record.Canary.UID) {
		if pod.DeletionTimestamp == nil {
			kube.NotePod(&c.record.Canary, pod, c.record.Container)
		}
	}
}
