package admission

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/candlefish/deploy-action/internal/kube"
)

// needs are the resources of one pod, as the scheduler and the quotas count
// them.
type needs struct{ requests, limits corev1.ResourceList }

func needsOf(pod *corev1.Pod) needs {
	return needs{
		requests: total(pod, func(r corev1.ResourceRequirements) corev1.ResourceList { return r.Requests }),
		limits:   total(pod, func(r corev1.ResourceRequirements) corev1.ResourceList { return r.Limits }),
	}
}

// total returns what a pod needs at its peak: all containers with the sidecars,
// or one init container with the sidecars before it, and the overhead. A
// number for the whole pod takes precedence.
func total(pod *corev1.Pod, of func(corev1.ResourceRequirements) corev1.ResourceList) corev1.ResourceList {
	sidecars, peak := corev1.ResourceList{}, corev1.ResourceList{}
	for _, c := range pod.Spec.InitContainers {
		during := sum(sidecars, of(c.Resources))
		if kube.Deref(c.RestartPolicy) == corev1.ContainerRestartPolicyAlways {
			sidecars = during
		}
		peak = highest(peak, during)
	}
	all := sidecars
	for _, c := range pod.Spec.Containers {
		all = sum(all, of(c.Resources))
	}
	peak = highest(peak, all)
	if pod.Spec.Resources != nil {
		maps.Copy(peak, of(*pod.Spec.Resources))
	}
	return sum(peak, pod.Spec.Overhead)
}

func sum(a, b corev1.ResourceList) corev1.ResourceList {
	c := maps.Clone(a)
	if c == nil {
		c = corev1.ResourceList{}
	}
	for name, q := range b {
		have := c[name].DeepCopy()
		have.Add(q)
		c[name] = have
	}
	return c
}

func highest(a, b corev1.ResourceList) corev1.ResourceList {
	c := maps.Clone(a)
	for name, q := range b {
		if have := c[name]; q.Cmp(have) > 0 {
			c[name] = q
		}
	}
	return c
}

// times returns n times a quantity.
func times(q resource.Quantity, n int) resource.Quantity {
	product := q.DeepCopy()
	product.Mul(int64(n))
	return product
}

// left returns a minus b, not below 0.
func left(a, b resource.Quantity) resource.Quantity {
	rest := a.DeepCopy()
	rest.Sub(b)
	if rest.Sign() < 0 {
		return resource.Quantity{Format: a.Format}
	}
	return rest
}

// String returns the requests by name, such as "cpu 500m, memory 1Gi".
func (n needs) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(n.requests)) {
		q := n.requests[name]
		parts = append(parts, string(name)+" "+q.String())
	}
	if parts == nil {
		return "no requests"
	}
	return strings.Join(parts, ", ")
}
