// Package health says why the pods of a canary are not ready, and whether
// waiting can help.
//
// A pod may be unable to appear (a quota, a limit range, an admission webhook
// or the pod security policy refuses it), to be scheduled, to start or to become
// ready. The ReplicaSet's conditions, the pod's status and its events have the
// cause. What can heal by itself is waited out for a stated time, the rest ends
// the rollout at once.
package health

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/kube"
)

const (
	// notReadyTolerance is how long a required pod may be unready before it counts
	// against the canary: longer than one missed probe of the kubelet's default
	// period.
	notReadyTolerance = 10 * time.Second
	// restartSettle is how long a pod that restarted must stay ready before it
	// counts as ready: longer than the kubelet's first back-off, so a pod in a
	// crash loop gets no traffic between two crashes.
	restartSettle = 12 * time.Second
)

// Objects is the state of a canary in the cluster at one moment. Each part may
// be missing.
type Objects struct {
	Deployment *appsv1.Deployment
	ReplicaSet *appsv1.ReplicaSet
	Pods       []*corev1.Pod
	// Events are those of the pods. Without the permission to list them, the
	// explanation has to do without.
	Events []corev1.Event
}

// A Status is the result of one check.
type Status struct {
	// Trouble is why the pods cannot serve, as one sentence. It is empty if there
	// is no problem, or one that may heal.
	Trouble string
	// Waiting is why the pods are not ready yet, as one sentence, empty if they
	// are ready or the cause is unknown.
	Waiting string
	// Recheck is the earliest time at which the status can change although no
	// object changes; zero if there is none.
	Recheck time.Time
}

// A Monitor follows the pods of one canary. Its methods may be called from any
// goroutine.
type Monitor struct {
	container string // the one that the rollout changes

	mu     sync.Mutex
	wanted int
	// wasReady has the pods that were ready before. The pods of the next step
	// start during a dwell and are not required yet.
	wasReady map[types.UID]bool
	// first is when each finding was first seen.
	first map[string]time.Time
}

// New returns a Monitor of a canary. container is the one that the rollout
// changes.
func New(container string) *Monitor {
	return &Monitor{container: container, wasReady: map[types.UID]bool{}, first: map[string]time.Time{}}
}

// Want records how many pods this run requested; the watch may be behind. The
// number never falls.
func (m *Monitor) Want(pods int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted = max(m.wanted, pods)
}

// Wanted returns how many pods this run requested.
func (m *Monitor) Wanted() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wanted
}

// Check explains the state of the canary. While the pods are required, one that
// became unready counts too.
func (m *Monitor) Check(o Objects, required bool, now time.Time) Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	var served []*corev1.Pod
	for _, pod := range o.Pods {
		if kube.PodReady(pod) {
			m.wasReady[pod.UID] = true
		}
		if m.wasReady[pod.UID] {
			served = append(served, pod)
		}
	}
	s := m.judge(findings(o, m.container, now), now)
	if s.Trouble == "" && required {
		s.Trouble = unready(served, now)
	}
	return s
}

// judge returns the status for the findings of one moment: the first one that
// cannot heal or has lasted too long is the trouble.
func (m *Monitor) judge(found []finding, now time.Time) Status {
	var s Status
	first := map[string]time.Time{}
	for _, f := range found {
		since, ok := m.first[f.key]
		if !ok {
			since = now
		}
		first[f.key] = since
		s.Waiting = cmp.Or(s.Waiting, f.sentence)
		switch end := since.Add(f.patience); {
		case f.patience == forever:
		case f.patience == 0:
			s.Trouble = cmp.Or(s.Trouble, f.sentence)
		case !now.Before(end):
			s.Trouble = cmp.Or(s.Trouble, fmt.Sprintf("%s (for %s)", f.sentence, f.patience))
		default:
			s.Recheck = earliest(s.Recheck, end)
		}
		if !f.recheck.IsZero() {
			s.Recheck = earliest(s.Recheck, f.recheck)
		}
	}
	m.first = first
	return s
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// Ready returns the number of pods that can take traffic.
func Ready(pods []*corev1.Pod, now time.Time) int {
	n := 0
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && kube.PodReady(pod) && !now.Before(settled(pod)) {
			n++
		}
	}
	return n
}

// settled returns when a ready pod counts as ready.
func settled(pod *corev1.Pod) time.Time {
	c := kube.PodCondition(pod, corev1.PodReady)
	if c == nil || restarts(pod) == 0 {
		return time.Time{}
	}
	return c.LastTransitionTime.Add(restartSettle)
}

// restarts returns the restarts of a pod's containers. Those of an init container
// were over before the pod became ready.
func restarts(pod *corev1.Pod) int32 {
	var n int32
	for _, c := range pod.Status.ContainerStatuses {
		n += c.RestartCount
	}
	return n
}

// unready names a required pod that became unready.
func unready(pods []*corev1.Pod, now time.Time) string {
	for _, pod := range pods {
		c := kube.PodCondition(pod, corev1.PodReady)
		if c != nil && c.Status == corev1.ConditionFalse && pod.DeletionTimestamp == nil && now.Sub(c.LastTransitionTime.Time) > notReadyTolerance {
			return fmt.Sprintf("pod %s has not been ready for %s: %s", pod.Name, now.Sub(c.LastTransitionTime.Time).Round(time.Second), firstLine(c.Message))
		}
	}
	return ""
}
