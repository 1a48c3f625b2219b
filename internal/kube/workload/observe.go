package workload

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// notReadyTolerance is how long a pod that was counted on may be not ready
// before it counts against the canary: longer than one missed probe of the
// kubelet's default period.
const notReadyTolerance = 10 * time.Second

// Observe says what the watch shows of pods, routes and other writers. It
// sends no request.
func (t *Target) Observe(_ context.Context, s rollout.State) (rollout.Observation, error) {
	var o rollout.Observation
	if t.record.Canary.UID != "" {
		pods := t.watch.PodsOf(t.record.Canary.UID)
		// A pod is ready for a gateway once the Service lists it too.
		o.CanaryReady, o.CanaryWanted = min(countReady(pods), t.services.readyEndpoints()), t.health.wanted()
		o.Trouble = t.health.trouble(pods, s.Stage == rollout.StageDwell || s.Stage == rollout.StageObserved, time.Now())
	}
	o.Accepted = t.routes.accepted()
	o.Drift = t.drift(s)
	return o, nil
}

// drift names a second writer on what this run has written: the route's
// backends, the user's pod template. Other fields are not ours to mind.
func (t *Target) drift(s rollout.State) string {
	if d := t.routes.drift(); d != "" {
		return d
	}
	if s.Stage == rollout.StagePrepare || s.Phase != rollout.PhaseProgressing {
		return ""
	}
	return t.deployments.template.drift(t.watch.Deployment(t.record.Deployment))
}

// health is what is known of the canary's pods beyond their present state.
type health struct {
	container string
	// wasReady are the pods that were seen ready once. The pods of the next
	// step start during the dwell of this one and are not yet counted on.
	wasReady map[types.UID]bool
	asked    *asked
}

// asked is how many canary pods this run asked for; the watch may lag behind.
type asked struct {
	mu   sync.Mutex
	pods int
}

func newHealth(container string) health {
	return health{container: container, wasReady: map[types.UID]bool{}, asked: &asked{}}
}

func (h health) want(pods int) {
	h.asked.mu.Lock()
	defer h.asked.mu.Unlock()
	h.asked.pods = max(h.asked.pods, pods)
}

func (h health) wanted() int {
	h.asked.mu.Lock()
	defer h.asked.mu.Unlock()
	return h.asked.pods
}

// trouble is why pods cannot serve, or "". While they are relied on, a pod that
// stopped being ready is trouble too.
func (h health) trouble(pods []*corev1.Pod, reliedOn bool, now time.Time) string {
	var counted []*corev1.Pod
	for _, pod := range pods {
		if kube.PodReady(pod) {
			h.wasReady[pod.UID] = true
		}
		if h.wasReady[pod.UID] {
			counted = append(counted, pod)
		}
	}
	if why := trouble(pods, h.container); why != "" || !reliedOn {
		return why
	}
	return unready(counted, now)
}

func countReady(pods []*corev1.Pod) int {
	n := 0
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && kube.PodReady(pod) {
			n++
		}
	}
	return n
}

// terminalWaitReasons are the reasons of a waiting container that do not pass by
// themselves.
var terminalWaitReasons = []string{
	"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CrashLoopBackOff",
	"CreateContainerConfigError", "CreateContainerError", "RunContainerError",
}

// trouble is why pods cannot serve, as one sentence, or "". It is pure.
func trouble(pods []*corev1.Pod, container string) string {
	for _, pod := range pods {
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if why := containerTrouble(pod, status, container); why != "" {
				return why
			}
		}
		if c := kube.PodCondition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse && c.Reason == "Unschedulable" {
			continue // an autoscaler may add a node; the progress deadline decides
		}
		if pod.Status.Phase == corev1.PodFailed {
			return fmt.Sprintf("pod %s: %s: %s", pod.Name, pod.Status.Reason, firstLine(pod.Status.Message))
		}
	}
	return ""
}

func containerTrouble(pod *corev1.Pod, status corev1.ContainerStatus, container string) string {
	if w := status.State.Waiting; w != nil && slices.Contains(terminalWaitReasons, w.Reason) {
		return fmt.Sprintf("pod %s, container %s: %s: %s", pod.Name, status.Name, w.Reason, firstLine(w.Message))
	}
	crash := status.LastTerminationState.Terminated
	if status.State.Terminated != nil {
		crash = status.State.Terminated
	}
	if crash == nil || status.Name != container || pod.DeletionTimestamp != nil {
		return ""
	}
	return fmt.Sprintf("pod %s, container %s: exited with code %d (%s), %d restarts", pod.Name, status.Name, crash.ExitCode, crash.Reason, status.RestartCount)
}

// unready names a pod that stopped being ready while it was counted on.
func unready(pods []*corev1.Pod, now time.Time) string {
	for _, pod := range pods {
		c := kube.PodCondition(pod, corev1.PodReady)
		if c != nil && c.Status == corev1.ConditionFalse && pod.DeletionTimestamp == nil && now.Sub(c.LastTransitionTime.Time) > notReadyTolerance {
			return fmt.Sprintf("pod %s has not been ready for %s: %s", pod.Name, now.Sub(c.LastTransitionTime.Time).Round(time.Second), firstLine(c.Message))
		}
	}
	return ""
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// A PodView is one pod as people want to see it.
type PodView struct {
	Name     string
	Side     rollout.Side
	Ready    bool
	Restarts int32
	Reason   string // why it is not ready, when that is known
}

// revisions are the UIDs of the two ReplicaSets, by side; "" for none.
func (t *Target) revisions() (stable, canary string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.record.Stable.UID, t.record.Canary.UID
}

// Pods lists the pods of both versions, by name.
func (t *Target) Pods() []PodView {
	var views []PodView
	stable, canary := t.revisions()
	for _, uid := range []string{stable, canary} {
		if uid == "" {
			continue
		}
		for _, pod := range t.watch.PodsOf(uid) {
			views = append(views, viewOf(pod, t.record.VersionLabel))
		}
	}
	slices.SortFunc(views, func(a, b PodView) int { return strings.Compare(a.Name, b.Name) })
	return views
}

func viewOf(pod *corev1.Pod, label string) PodView {
	v := PodView{Name: pod.Name, Side: rollout.Side(pod.Labels[label]), Ready: kube.PodReady(pod)}
	for _, c := range pod.Status.ContainerStatuses {
		v.Restarts += c.RestartCount
		if c.State.Waiting != nil {
			v.Reason = c.State.Waiting.Reason
		}
	}
	if c := kube.PodCondition(pod, corev1.PodReady); v.Reason == "" && !v.Ready && c != nil {
		v.Reason = c.Reason
	}
	return v
}
