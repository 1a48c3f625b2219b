package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// usageResource is what metrics-server, or whatever else a cluster measures
// with, serves of pods.
var usageResource = schema.GroupVersionResource{Group: "metrics.k8s.io", Version: "v1beta1", Resource: "pods"}

// usageTimeout bounds one reading. It is not repeated: the next turn of the
// analysis asks again, and what was not measured meanwhile is not made up.
const usageTimeout = 10 * time.Second

// UsagePermissions is what Usage needs in the namespace beside Permissions,
// and only where it is used.
var UsagePermissions = []kube.Permission{
	{Group: usageResource.Group, Resource: usageResource.Resource, Verbs: []string{"get", "list"}, Why: "Compare CPU and memory usage with limits"},
}

// A UsageResource is what a pod can run out of.
type UsageResource string

// The resources that the metrics API knows.
const (
	UsageCPU    UsageResource = "cpu"
	UsageMemory UsageResource = "memory"
)

// A UsageBase is what usage is a share of.
type UsageBase string

// The bases. A limit is where the kernel throttles or kills; a request is what
// the node has set aside, and its share may be above 1.
const (
	OfLimit   UsageBase = "limit"
	OfRequest UsageBase = "request"
)

// of is what the container has of the resource by this base, 0 when nothing
// is set.
func (b UsageBase) of(c corev1.Container, resource UsageResource) float64 {
	list := c.Resources.Limits
	if b == OfRequest {
		list = c.Resources.Requests
	}
	q := list[corev1.ResourceName(resource)]
	return q.AsApproximateFloat64()
}

// Usage is a source of the saturation of both versions' pods: how much of its
// limit, or of its request, the rollout's container uses, as a gauge of each
// pod. Values are as old as the cluster's metrics are, 15 s to 60 s in most
// installations, and averages over such a window: a spike of a second does not
// show.
type Usage struct {
	target   *Target
	resource UsageResource
	base     UsageBase

	mu   sync.Mutex
	last map[string]time.Time // by pod, so that each measurement is told once
}

// Usage makes a source of resource as a share of base. It asks nothing yet.
func (t *Target) Usage(resource UsageResource, of UsageBase) *Usage {
	return &Usage{target: t, resource: resource, base: of, last: map[string]time.Time{}}
}

// Read returns a point for each pod that was measured since the call before,
// its Value a share, 1 for all of the limit or request. A pod that was not
// measured yet has none. It is an error when the cluster has no metrics, or a
// container has no such limit or request: a share of nothing would be a
// guess. It is for the goroutine that runs the rollout.
func (u *Usage) Read(ctx context.Context) ([]analysis.Point, error) {
	ctx, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	measured, err := u.target.podMetrics(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the %s usage of pods in namespace %s: %w", u.resource, u.target.record.Namespace, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	var points []analysis.Point
	for _, v := range u.target.versions() {
		for _, pod := range v.pods {
			m := measured[pod.Name] // the zero value for a pod that was not measured
			share, ok, err := m.share(pod, u.target.record.Container, u.resource, u.base)
			if err != nil {
				return nil, err
			}
			if !ok || !m.Timestamp.After(u.last[pod.Name]) {
				continue
			}
			points = append(points, gauge(v.version, pod, m.Timestamp.Time, share))
		}
	}
	for _, p := range points { // only now: what an error keeps back is told by the next call
		u.last[p.Subject] = p.At
	}
	return points, nil
}

func gauge(v rollout.Side, pod *corev1.Pod, at time.Time, value float64) analysis.Point {
	n := analysis.Number(value)
	return analysis.Point{At: at, Side: v, Value: &n, Subject: pod.Name}
}

// podMetrics is a PodMetrics of the metrics API: what the containers of a pod
// used on the average of a window that ended at Timestamp.
type podMetrics struct {
	Metadata   metav1.ObjectMeta `json:"metadata"`
	Timestamp  metav1.Time       `json:"timestamp"`
	Containers []struct {
		Name  string              `json:"name"`
		Usage corev1.ResourceList `json:"usage"`
	} `json:"containers"`
}

// podMetrics asks for all measurements of the namespace, by pod.
func (t *Target) podMetrics(ctx context.Context) (map[string]podMetrics, error) {
	list, err := t.cluster.Dynamic.Resource(usageResource).Namespace(t.record.Namespace).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("the cluster serves no %s: metrics-server is not installed", usageResource.Group)
	}
	if err != nil {
		return nil, err
	}
	measured := map[string]podMetrics{}
	for _, item := range list.Items {
		raw, err := item.MarshalJSON()
		if err != nil {
			return nil, err
		}
		var m podMetrics
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, fmt.Errorf("decode the metrics of pod %s: %w", item.GetName(), err)
		}
		measured[m.Metadata.Name] = m
	}
	return measured, nil
}

// share is what pod's container uses of what it has. It is not ok when the
// container or the resource was not measured.
func (m podMetrics) share(pod *corev1.Pod, container string, resource UsageResource, base UsageBase) (share float64, ok bool, err error) {
	for _, c := range pod.Spec.Containers {
		if c.Name != container {
			continue
		}
		all := base.of(c, resource)
		if all <= 0 {
			return 0, false, fmt.Errorf("pod %s, container %s: it has no %s %s that its usage could be a share of: set resources.%ss.%s", pod.Name, container, resource, base, base, resource)
		}
		used, ok := m.used(container, resource)
		return used / all, ok, nil
	}
	return 0, false, fmt.Errorf("pod %s: it has no container %s", pod.Name, container)
}

func (m podMetrics) used(container string, resource UsageResource) (float64, bool) {
	for _, c := range m.Containers {
		if q, ok := c.Usage[corev1.ResourceName(resource)]; ok && c.Name == container {
			return q.AsApproximateFloat64(), true
		}
	}
	return 0, false
}

// versionPods is the pods of one version.
type versionPods struct {
	version rollout.Side
	pods    []*corev1.Pod
}

// versions are the pods of both slots that are not being stopped. A version
// belongs to a ReplicaSet and not to a label: labels change during a rollout.
func (t *Target) versions() []versionPods {
	stable, canary := t.revisions()
	var all []versionPods
	for _, v := range []struct {
		version rollout.Side
		uid     string
	}{{rollout.SideStable, stable}, {rollout.SideCanary, canary}} {
		if v.uid == "" {
			continue
		}
		own := versionPods{version: v.version}
		for _, pod := range t.watch.PodsOf(v.uid) {
			if pod.DeletionTimestamp == nil {
				own.pods = append(own.pods, pod)
			}
		}
		all = append(all, own)
	}
	return all
}

// A RestartKind is which ends of a container count.
type RestartKind string

// The kinds of restarts: all of them, or ends by the kernel for want of
// memory.
const (
	AnyRestart RestartKind = "restarts"
	OOMKill    RestartKind = "oom-kills"
)

// reasonOOMKilled is the kubelet's word for it.
const reasonOOMKilled = "OOMKilled"

// Restarts is a source of how often the rollout's container ended and was
// started again since the source was made. It reads from the watch and sends
// no request, so its values are as new as the kubelet's last word.
type Restarts struct {
	target *Target
	kind   RestartKind

	mu    sync.Mutex
	tally restartTally
}

// Restarts makes a source that counts from now on. Pods that start later
// count from their beginning.
func (t *Target) Restarts(kind RestartKind) *Restarts {
	r := &Restarts{target: t, kind: kind, tally: restartTally{before: map[types.UID]int32{}, ooms: map[types.UID]map[string]bool{}}}
	for _, v := range t.versions() {
		for _, pod := range v.pods {
			r.tally.begin(pod, t.record.Container)
		}
	}
	return r
}

// Read returns a point for each pod whose container's state the kubelet has
// told, its Value the number of ends so far. The number of OOM kills is a
// lower bound: the API shows only the last end of a container, so that of two
// between two calls one is seen. It never fails. It is for the goroutine that
// runs the rollout.
func (r *Restarts) Read(context.Context) ([]analysis.Point, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	var points []analysis.Point
	for _, v := range r.target.versions() {
		for _, pod := range v.pods {
			if n, ok := r.tally.count(pod, r.target.record.Container, r.kind); ok {
				points = append(points, gauge(v.version, pod, now, float64(n)))
			}
		}
	}
	return points, nil
}

// restartTally knows what was before, so that only what came after counts.
type restartTally struct {
	before map[types.UID]int32
	ooms   map[types.UID]map[string]bool // ends that were seen, by container ID; false for what was before
}

func (t restartTally) begin(pod *corev1.Pod, container string) {
	if s := containerStatus(pod, container); s != nil {
		t.before[pod.UID] = s.RestartCount
		t.note(pod.UID, s, false)
	}
}

// count is how often the container ended since begin. It is not ok when the
// kubelet has said nothing about the container.
func (t restartTally) count(pod *corev1.Pod, container string, kind RestartKind) (n int, ok bool) {
	s := containerStatus(pod, container)
	if s == nil {
		return 0, false
	}
	if kind == AnyRestart {
		return int(s.RestartCount - t.before[pod.UID]), true
	}
	t.note(pod.UID, s, true)
	for _, counts := range t.ooms[pod.UID] {
		if counts {
			n++
		}
	}
	return n, true
}

// note remembers the OOM kills that a status shows. A container that is not
// started again at once shows its end as its state, later as its last state.
func (t restartTally) note(pod types.UID, s *corev1.ContainerStatus, counts bool) {
	for _, end := range []*corev1.ContainerStateTerminated{s.State.Terminated, s.LastTerminationState.Terminated} {
		if end == nil || end.Reason != reasonOOMKilled {
			continue
		}
		if t.ooms[pod] == nil {
			t.ooms[pod] = map[string]bool{}
		}
		if _, seen := t.ooms[pod][end.ContainerID]; !seen {
			t.ooms[pod][end.ContainerID] = counts
		}
	}
}

func containerStatus(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].Name == container {
			return &pod.Status.ContainerStatuses[i]
		}
	}
	return nil
}
