package admission

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/candlefish/deploy-action/internal/kube"
)

// maxNodes is the largest cluster whose nodes are counted. Counting reads all
// pods of the cluster; a larger one has an autoscaler.
const maxNodes = 200

// overNodes warns if the nodes have no room for n more pods now. Without the
// permission to list nodes and all pods it says nothing.
func overNodes(ctx context.Context, c *kube.Cluster, pod *corev1.Pod, n int) []string {
	nodes, err := c.Typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: maxNodes + 1})
	if err != nil || len(nodes.Items) > maxNodes {
		return nil
	}
	// Version 0 is served from the API server's memory.
	all, err := c.Typed.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed", ResourceVersion: "0",
	})
	if err != nil {
		return nil
	}
	room := room(nodes.Items, all.Items, pod)
	if room >= n {
		return nil
	}
	return []string{fmt.Sprintf("the nodes have room for %d of %d more pods (%s each); the others wait for a node or for other pods to end", room, n, needsOf(pod))}
}

// room returns how many pods like pod fit on the nodes beside the running ones.
// It is pure. Affinities are not considered, so there may be less room.
func room(nodes []corev1.Node, running []corev1.Pod, pod *corev1.Pod) int {
	used, count := map[string]corev1.ResourceList{}, map[string]int64{}
	for i := range running {
		node := running[i].Spec.NodeName
		used[node] = sum(used[node], needsOf(&running[i]).requests)
		count[node]++
	}
	need, all := needsOf(pod).requests, int64(0)
	for i := range nodes {
		if node := &nodes[i]; suits(node, pod) {
			all += fit(node, used[node.Name], count[node.Name], need)
		}
	}
	return int(all)
}

// fit returns how many pods with these requests fit on a node.
func fit(node *corev1.Node, used corev1.ResourceList, pods int64, need corev1.ResourceList) int64 {
	n := max(node.Status.Allocatable.Pods().Value()-pods, 0)
	for name := range maps.Keys(need) {
		q := need[name]
		if q.IsZero() {
			continue
		}
		free := left(node.Status.Allocatable[name], used[name])
		n = min(n, int64(free.AsApproximateFloat64()/q.AsApproximateFloat64()+1e-9))
	}
	return n
}

// suits reports whether a node may get the pod.
func suits(node *corev1.Node, pod *corev1.Pod) bool {
	if node.Spec.Unschedulable || !labels.SelectorFromSet(pod.Spec.NodeSelector).Matches(labels.Set(node.Labels)) {
		return false
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			return false
		}
	}
	for i := range node.Spec.Taints {
		if taint := &node.Spec.Taints[i]; taint.Effect != corev1.TaintEffectPreferNoSchedule && !tolerated(taint, pod.Spec.Tolerations) {
			return false
		}
	}
	return true
}

func tolerated(taint *corev1.Taint, by []corev1.Toleration) bool {
	for _, t := range by {
		key := t.Key == "" || t.Key == taint.Key
		effect := t.Effect == "" || t.Effect == taint.Effect
		value := t.Operator != "" && t.Operator != corev1.TolerationOpEqual || t.Value == taint.Value
		if key && effect && value {
			return true
		}
	}
	return false
}
