package podmetrics

import (
	"context"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/source"
)

// ends reads how often the rollout's container ended and was started again since the
// source was opened. It reads what the cluster has told already and sends no request.
type ends struct {
	pods  source.Pods
	kind  string // restarts or oom-kills
	tally tally
}

// newEnds counts from now on. Pods that start later count from their beginning.
func newEnds(pods source.Pods, kind string) *ends {
	e := &ends{pods: pods, kind: kind, tally: newTally()}
	for _, pod := range pods.RolloutPods() {
		e.tally.begin(pod)
	}
	return e
}

// Read returns a point for each pod whose container's state the kubelet has told, its
// Value the number of ends so far. The number of OOM kills is a lower bound: the API
// shows only the last end of a container, so that of two between two calls one is
// seen. It never fails.
func (e *ends) Read(context.Context) ([]analysis.Point, error) {
	now := time.Now()
	var points []analysis.Point
	for _, pod := range e.pods.RolloutPods() {
		if n, ok := e.tally.count(pod, e.kind); ok {
			points = append(points, gauge(pod, now, float64(n)))
		}
	}
	return points, nil
}

// A tally knows what was before, so that only what came after counts.
type tally struct {
	before map[string]int             // restarts by pod UID
	kills  map[string]map[string]bool // ends that were seen, by pod UID and container ID; false for what was before
}

func newTally() tally { return tally{before: map[string]int{}, kills: map[string]map[string]bool{}} }

func (t tally) begin(pod source.Pod) {
	if pod.Reported {
		t.before[pod.UID] = pod.Restarts
		t.note(pod, false)
	}
}

// count is how often the container ended since begin. It is not ok when the kubelet
// has said nothing about the container.
func (t tally) count(pod source.Pod, kind string) (n int, ok bool) {
	if !pod.Reported {
		return 0, false
	}
	if kind == Restarts {
		if pod.Restarts < t.before[pod.UID] { // the kubelet has begun to count anew
			t.before[pod.UID] = 0
		}
		return pod.Restarts - t.before[pod.UID], true
	}
	t.note(pod, true)
	for _, counts := range t.kills[pod.UID] {
		if counts {
			n++
		}
	}
	return n, true
}

// note remembers the OOM kills that a pod shows.
func (t tally) note(pod source.Pod, counts bool) {
	for _, id := range pod.OOMKills {
		if t.kills[pod.UID] == nil {
			t.kills[pod.UID] = map[string]bool{}
		}
		if _, seen := t.kills[pod.UID][id]; !seen {
			t.kills[pod.UID][id] = counts
		}
	}
}
