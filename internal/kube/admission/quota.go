package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
)

// overQuotas returns which quotas n more pods exceed. The dry run has tried only
// the first pod. Quotas that cannot be listed are left to it.
func overQuotas(ctx context.Context, c *kube.Cluster, pod *corev1.Pod, n int) []string {
	list, err := c.Typed.CoreV1().ResourceQuotas(pod.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	var over []string
	for i := range list.Items {
		over = append(over, overQuota(&list.Items[i], pod, n)...)
	}
	return over
}

// overQuota returns what of a quota n more pods exceed. It is pure.
func overQuota(quota *corev1.ResourceQuota, pod *corev1.Pod, n int) []string {
	need := needsOf(pod)
	if !counts(quota, need) {
		return nil
	}
	var over []string
	for _, name := range slices.Sorted(maps.Keys(quota.Status.Hard)) {
		hard, used := quota.Status.Hard[name], quota.Status.Used[name]
		one, ok := need.counted(name)
		if !ok {
			continue
		}
		all, free := times(one, n), left(hard, used)
		if all.Cmp(free) > 0 {
			over = append(over, fmt.Sprintf("quota %s in namespace %s: %d more pods need %s %s, and %s of %s is free",
				quota.Name, pod.Namespace, n, name, all.String(), free.String(), hard.String()))
		}
	}
	return over
}

// counted returns how much of a quota's resource one pod takes; ok is false if
// the resource is not one of pods.
func (n needs) counted(name corev1.ResourceName) (q resource.Quantity, ok bool) {
	if name == corev1.ResourcePods || name == "count/pods" {
		return resource.MustParse("1"), true
	}
	if of, limit := strings.CutPrefix(string(name), "limits."); limit {
		q, ok = n.limits[corev1.ResourceName(of)]
		return q, ok
	}
	q, ok = n.requests[corev1.ResourceName(strings.TrimPrefix(string(name), "requests."))]
	return q, ok
}

// counts reports whether a quota surely counts the pods. One with a scope of
// priorities or affinities may; the dry run knows.
func counts(quota *corev1.ResourceQuota, need needs) bool {
	bestEffort := len(need.requests) == 0 && len(need.limits) == 0
	for _, scope := range quota.Spec.Scopes {
		switch scope {
		case corev1.ResourceQuotaScopeNotTerminating:
		case corev1.ResourceQuotaScopeBestEffort:
			if !bestEffort {
				return false
			}
		case corev1.ResourceQuotaScopeNotBestEffort:
			if bestEffort {
				return false
			}
		default: // Terminating: the pods of a Deployment have no end
			return false
		}
	}
	return quota.Spec.ScopeSelector == nil
}
