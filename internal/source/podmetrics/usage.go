package podmetrics

import (
	"context"
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/source"
)

// usageTimeout bounds one reading. It is not repeated: the next turn of the
// analysis asks again, and what was not measured meanwhile is not made up.
const usageTimeout = 10 * time.Second

// usage reads how much of its limit, or of its request, the rollout's container uses,
// as a gauge of each pod. A limit is where the kernel throttles or kills; a request is
// what the node has set aside, and its share may be above 1. Values are as old as the
// cluster's metrics are, 15 s to 60 s in most installations, and averages over such a
// window: a spike of a second does not show.
type usage struct {
	pods      source.Pods
	namespace string
	resource  string // cpu or memory
	request   bool   // a share of requests, not of limits
	last      map[string]time.Time
}

// Read returns a point for each pod that was measured since the call before, its
// Value a share, 1 for all of the limit or request. A pod that was not measured yet
// has none. It is an error when the cluster has no metrics, or a container has no such
// limit or request: a share of nothing would be a guess.
func (u *usage) Read(ctx context.Context) ([]analysis.Point, error) {
	ctx, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	measured, err := u.pods.PodUsage(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the %s usage of pods in namespace %s: %w", u.resource, u.namespace, err)
	}
	var points []analysis.Point
	for _, pod := range u.pods.RolloutPods() {
		m := measured[pod.Name] // the zero value for a pod that was not measured
		share, ok, err := u.share(pod, m)
		if err != nil {
			return nil, err
		}
		if ok && m.At.After(u.last[pod.Name]) {
			points = append(points, gauge(pod, m.At, share))
		}
	}
	for _, p := range points { // only now: what an error keeps back is told by the next call
		u.last[p.Subject] = p.At
	}
	return points, nil
}

// share is what the pod's container uses of what it has. It is not ok when the
// container or the resource was not measured.
func (u *usage) share(pod source.Pod, m source.PodUsage) (share float64, ok bool, err error) {
	if !pod.HasContainer {
		return 0, false, fmt.Errorf("pod %s: it has no container %s", pod.Name, pod.Container)
	}
	have, base := pod.Limits, "limit"
	if u.request {
		have, base = pod.Requests, "request"
	}
	if have[u.resource] <= 0 {
		return 0, false, fmt.Errorf("pod %s, container %s: it has no %s %s that its usage could be a share of: set resources.%ss.%s", pod.Name, pod.Container, u.resource, base, base, u.resource)
	}
	used, ok := m.Containers[pod.Container][u.resource]
	if ok && !(used >= 0) {
		return 0, false, fmt.Errorf("pod %s, container %s: a %s usage of %v", pod.Name, pod.Container, u.resource, used)
	}
	return used / have[u.resource], ok, nil
}

func gauge(pod source.Pod, at time.Time, value float64) analysis.Point {
	n := analysis.Number(value)
	return analysis.Point{At: at, Side: pod.Side, Value: &n, Subject: pod.Name}
}
