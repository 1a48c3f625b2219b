package workload

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

var _ source.Pods = (*Target)(nil)

// usageResource is the pods resource of the metrics API, which metrics-server
// or a replacement serves.
var usageResource = schema.GroupVersionResource{Group: "metrics.k8s.io", Version: "v1beta1", Resource: "pods"}

// PodUsage returns the metrics API's measurements of the namespace, by pod.
func (t *Target) PodUsage(ctx context.Context) (map[string]source.PodUsage, error) {
	return Usage(ctx, t.cluster, t.record.Namespace)
}

// Usage returns the metrics API's measurements of a namespace, by pod.
func Usage(ctx context.Context, c *kube.Cluster, namespace string) (map[string]source.PodUsage, error) {
	list, err := c.Dynamic.Resource(usageResource).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("the cluster serves no %s: metrics-server is not installed", usageResource.Group)
	}
	if err != nil {
		return nil, err
	}
	measured := map[string]source.PodUsage{}
	for _, item := range list.Items {
		raw, err := item.MarshalJSON()
		if err != nil {
			return nil, err
		}
		if measured[item.GetName()], err = decodeUsage(raw); err != nil {
			return nil, fmt.Errorf("decode the metrics of pod %s: %w", item.GetName(), err)
		}
	}
	return measured, nil
}

// decodeUsage decodes a PodMetrics of the metrics API.
func decodeUsage(raw []byte) (source.PodUsage, error) {
	var m struct {
		Timestamp  metav1.Time `json:"timestamp"`
		Containers []struct {
			Name  string              `json:"name"`
			Usage corev1.ResourceList `json:"usage"`
		} `json:"containers"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return source.PodUsage{}, err
	}
	u := source.PodUsage{At: m.Timestamp.Time, Containers: map[string]map[string]float64{}}
	for _, c := range m.Containers {
		u.Containers[c.Name] = amounts(c.Usage)
	}
	return u, nil
}

// amounts returns quantities as numbers, in cores and bytes.
func amounts(list corev1.ResourceList) map[string]float64 {
	numbers := map[string]float64{}
	for name, q := range list {
		numbers[string(name)] = q.AsApproximateFloat64()
	}
	return numbers
}

// RolloutPods returns the pods of both versions that are not terminating. It
// identifies a version by its ReplicaSet, not by a label: labels change during
// a rollout.
func (t *Target) RolloutPods() []source.Pod {
	stable, canary := t.canary.revisions()
	var all []source.Pod
	for _, v := range []struct {
		side rollout.Side
		uid  string
	}{{rollout.SideStable, stable}, {rollout.SideCanary, canary}} {
		if v.uid == "" {
			continue
		}
		for _, pod := range t.watch.PodsOf(v.uid) {
			if pod.DeletionTimestamp == nil {
				all = append(all, SourcePod(v.side, pod, t.record.Container))
			}
		}
	}
	return all
}

// SourcePod converts a pod for the judge's sources.
func SourcePod(side rollout.Side, pod *corev1.Pod, container string) source.Pod {
	p := source.Pod{Side: side, Name: pod.Name, UID: string(pod.UID), Container: container}
	for _, c := range pod.Spec.Containers {
		if c.Name == container {
			p.HasContainer, p.Limits, p.Requests = true, amounts(c.Resources.Limits), amounts(c.Resources.Requests)
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name == container {
			p.Reported, p.Restarts, p.OOMKills = true, int(s.RestartCount), oomKills(s)
		}
	}
	return p
}

// oomKills returns the OOM kills in a status. A container that has not
// restarted yet shows its exit as its state, later as its last state.
func oomKills(s corev1.ContainerStatus) []string {
	var ids []string
	for _, end := range []*corev1.ContainerStateTerminated{s.State.Terminated, s.LastTerminationState.Terminated} {
		if end != nil && end.Reason == "OOMKilled" { // the kubelet's reason
			ids = append(ids, end.ContainerID)
		}
	}
	return ids
}
