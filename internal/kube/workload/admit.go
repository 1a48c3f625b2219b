package workload

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/admission"
	"github.com/candlefish/deploy-action/internal/release"
)

// Admit asks whether the cluster would take the canary of a record at weight, in
// percent: the highest one of the plan. It changes nothing. Refusals are the
// reasons why its pods cannot appear, warnings do not prevent a rollout; both are
// sentences.
func Admit(ctx context.Context, c *kube.Cluster, record *release.Record, weight int) (refusals, warnings []string, err error) {
	var user *appsv1.Deployment
	err = kube.Retry(ctx, func(ctx context.Context) error {
		user, err = c.Typed.AppsV1().Deployments(record.Namespace).Get(ctx, record.Deployment, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read deployment %s/%s: %w", record.Namespace, record.Deployment, err)
	}
	pods := canaryReplicas(kube.Deref(user.Spec.Replicas), weight)
	d, err := canary{record: record}.deployment(user, pods)
	if err != nil {
		return nil, nil, err
	}
	d.Namespace = record.Namespace
	refusals, warnings = admission.Admit(ctx, c, d, int(pods))
	return refusals, warnings, nil
}
