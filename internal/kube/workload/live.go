package workload

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/candlefish/deploy-action/internal/kube"
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
}

// Live reads what is left of a recorded release. It returns a
// *rollout.DriftError if another writer changed a route that still names the
// canary Service.
func (t *Target) Live(ctx context.Context) (Live, error) {
	var l Live
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

func ignoreMissing(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
