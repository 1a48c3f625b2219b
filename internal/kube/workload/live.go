package workload

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
)

// A Live is what of a recorded release is still there.
type Live struct {
	// Weight is the share of the canary Service in the live routes, in percent;
	// negative if no route names it.
	Weight int
	// Warm: the canary Deployment has ready pods.
	Warm bool
	// HandOver: both recorded ReplicaSets exist, so a hand-over can be finished.
	HandOver bool
	// Image is the image that the user's Deployment has, "" if the Deployment is
	// gone.
	Image string
	// Endpoints counts the ready endpoints of the user's Services, by name.
	Endpoints map[string]int
}

// Live reads what is left of a recorded release. It returns a
// *rollout.DriftError if another writer changed a route that still names the
// canary Service.
func (t *Target) Live(ctx context.Context) (Live, error) {
	l := Live{Endpoints: map[string]int{}}
	for _, service := range t.record.Services {
		l.Endpoints[service.Name], _ = t.services.Endpoints(service.Name, nil)
	}
	if user := t.watch.Deployment(t.record.Deployment); user != nil {
		l.Image = imageOf(user, t.record.Container)
	}
	var err error
	if l.Weight, err = t.routes.LiveWeight(ctx); err != nil {
		return l, err
	}
	err = kube.Retry(ctx, func(ctx context.Context) error {
		d, err := t.deployments.Get(ctx, t.record.CanaryDeployment())
		if err == nil {
			l.Warm = d.Status.ReadyReplicas > 0
		}
		return ignoreMissing(err)
	})
	if err != nil {
		return l, fmt.Errorf("read deployment %s/%s: %w", t.record.Namespace, t.record.CanaryDeployment(), err)
	}
	l.HandOver = true
	for _, name := range []string{t.record.Stable.ReplicaSet, t.record.Canary.ReplicaSet} {
		if name == "" { // the run ended before the canary had one
			l.HandOver = false
			continue
		}
		err := kube.Retry(ctx, func(ctx context.Context) error {
			_, err := t.deployments.ReplicaSet(ctx, name)
			if apierrors.IsNotFound(err) {
				l.HandOver = false
			}
			return ignoreMissing(err)
		})
		if err != nil {
			return l, fmt.Errorf("read replicaset %s/%s: %w", t.record.Namespace, name, err)
		}
	}
	return l, nil
}

// LiveStable returns the image that the user's Deployment has now, "" if the
// Deployment is gone, and the names of its ReplicaSets.
func LiveStable(ctx context.Context, c *kube.Cluster, record *release.Record) (image string, sets []string, err error) {
	err = kube.Retry(ctx, func(ctx context.Context) error {
		d, err := c.Typed.AppsV1().Deployments(record.Namespace).Get(ctx, record.Deployment, metav1.GetOptions{})
		if err != nil {
			return ignoreMissing(err)
		}
		list, err := c.Typed.AppsV1().ReplicaSets(record.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		image, sets = imageOf(d, record.Container), nil
		for i := range list.Items {
			if metav1.IsControlledBy(&list.Items[i], d) {
				sets = append(sets, list.Items[i].Name)
			}
		}
		return nil
	})
	if err != nil {
		return "", nil, fmt.Errorf("read deployment %s/%s: %w", record.Namespace, record.Deployment, err)
	}
	return image, sets, nil
}

// Exists reports whether a Deployment exists.
func Exists(ctx context.Context, c *kube.Cluster, namespace, deployment string) (bool, error) {
	exists := false
	err := kube.Retry(ctx, func(ctx context.Context) error {
		_, err := c.Typed.AppsV1().Deployments(namespace).Get(ctx, deployment, metav1.GetOptions{})
		exists = err == nil
		return ignoreMissing(err)
	})
	if err != nil {
		return false, fmt.Errorf("read deployment %s/%s: %w", namespace, deployment, err)
	}
	return exists, nil
}

func ignoreMissing(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
