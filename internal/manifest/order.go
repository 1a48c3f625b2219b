package manifest

import (
	"cmp"
	"slices"
)

// AnnotationPhase on an object says when a release applies it, "before" the first
// new pod or "after" the end of the release. It overrides Before.
const AnnotationPhase = "deploy.candlefish.ai/phase"

// ranks order kinds: what others need comes first.
var ranks = [][]string{
	{"Namespace"},
	{"CustomResourceDefinition"},
	{"PriorityClass", "StorageClass", "ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "NetworkPolicy", "ResourceQuota", "LimitRange"},
	{"ConfigMap", "Secret", "PersistentVolume", "PersistentVolumeClaim"},
	{"Service", "Endpoints", "EndpointSlice"},
	{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod", "Job", "CronJob"},
	{"HorizontalPodAutoscaler", "PodDisruptionBudget", "Ingress", "IngressClass"},
}

// rank returns the place of an object in the order; objects of other groups, such
// as custom resources, come last.
func (o Object) rank() int {
	i := slices.IndexFunc(ranks, func(kinds []string) bool { return slices.Contains(kinds, o.Kind()) })
	if i < 0 || !slices.Contains(append(builtin, "apiextensions.k8s.io"), o.Group()) {
		return len(ranks)
	}
	return i
}

// Order returns the objects in the order in which they are applied: namespaces,
// definitions of custom resources, accounts and roles, configuration, Services,
// workloads, what acts on workloads, and custom resources last. Objects of one
// kind keep their order.
func Order(objects []Object) []Object {
	return slices.SortedStableFunc(slices.Values(objects), func(a, b Object) int { return cmp.Compare(a.rank(), b.rank()) })
}

// routing are groups and kinds that change what the version that serves gets:
// traffic, pods, quotas. Even a new one does.
var routing = map[string][]string{
	"":                             {"ResourceQuota", "LimitRange", "Endpoints"},
	"networking.k8s.io":            {"Ingress", "NetworkPolicy"},
	"autoscaling":                  nil,
	"policy":                       nil,
	"keda.sh":                      nil,
	"autoscaling.k8s.io":           nil,
	"discovery.k8s.io":             nil,
	"gateway.networking.k8s.io":    nil,
	"networking.istio.io":          nil,
	"security.istio.io":            nil,
	"admissionregistration.k8s.io": nil,
	"traefik.io":                   nil,
}

// Before reports whether a release applies an object before its first new pod:
// what only the new version can need. That is what a cluster does not have yet,
// and accounts, roles and definitions in any case. What changes something that
// the serving version uses comes after the release's end. pods are the labels of
// the released pods: a new Service or workload that would mix with them waits,
// too.
func (o Object) Before(exists bool, pods map[string]any) bool {
	switch o.Annotation(AnnotationPhase) {
	case "before":
		return true
	case "after":
		return false
	}
	if kinds, ok := routing[o.Group()]; ok && (kinds == nil || slices.Contains(kinds, o.Kind())) {
		return false
	}
	switch o.rank() {
	case 0, 1:
		return true
	case 2:
		return o.Kind() != "ServiceAccount" || !exists
	}
	return !exists && !o.mixes(pods)
}

// mixes reports whether a Service selects the released pods, or a workload has
// pods with the same labels.
func (o Object) mixes(pods map[string]any) bool {
	selector, _ := o.Value("spec", "selector").(map[string]any)
	if labels, ok := selector["matchLabels"].(map[string]any); ok {
		selector = labels
	}
	if len(selector) == 0 {
		return false
	}
	for key, value := range selector {
		if pods[key] != value {
			return false
		}
	}
	return true
}
