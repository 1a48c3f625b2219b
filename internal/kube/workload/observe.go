package workload

import (
	"cmp"
	"context"
	"errors"
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

// notReadyTolerance is how long a required pod may be unready before it counts
// against the canary: longer than one missed probe of the kubelet's default
// period.
const notReadyTolerance = 10 * time.Second

// Observe returns the state of pods, routes and other writers from the watch.
// It sends no request, except to find out whether another writer is a run that
// took the lease.
func (t *Target) Observe(ctx context.Context, s rollout.State) (rollout.Observation, error) {
	var o rollout.Observation
	if t.record.Canary.UID != "" {
		pods := t.watch.PodsOf(t.record.Canary.UID)
		// A gateway uses a ready pod only once the Service lists it too.
		o.CanaryReady, o.CanaryWanted = min(countReady(pods), t.services.readyEndpoints()), t.canary.health.wanted()
		reliedOn := s.Stage == rollout.StageDwell || s.Stage == rollout.StageObserved || s.Stage == rollout.StagePause
		o.Trouble = t.canary.health.trouble(pods, reliedOn, time.Now())
		if s.Phase == rollout.PhaseProgressing && s.Sized < len(t.record.Plan.Steps) {
			o.CanaryNeeded = t.canary.needed(t.record.Plan.Steps[s.Sized].Weight)
		}
	}
	o.Accepted = t.routes.accepted()
	if o.Drift = t.drift(s); o.Drift != "" {
		if err := t.lease.Check(ctx); errors.Is(err, rollout.ErrFenced) {
			o.Drift, o.Fenced = "", err.Error()
		}
	}
	return o, nil
}

// drift names another writer of what this run has written: the route's backends
// and the user's pod template. It ignores all other fields.
func (t *Target) drift(s rollout.State) string {
	if d := t.routes.drift(); d != "" {
		return d
	}
	if s.Stage == rollout.StagePrepare || s.Phase != rollout.PhaseProgressing {
		return ""
	}
	return cmp.Or(t.deployments.Drift(), t.services.drift())
}

// health is the history of the canary's pods.
type health struct {
	container string
	// wasReady has the pods that were ready before. The pods of the next step
	// start during this dwell and are not required yet.
	wasReady map[types.UID]bool
	asked    *asked
}

// asked is the number of canary pods that this run requested; the watch may be
// behind.
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

// trouble returns why pods cannot serve, or "". While the pods are required,
// one that became unready counts too.
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

// terminalWaitReasons are the reasons of a waiting container that are not
// transient.
var terminalWaitReasons = []string{
	"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CrashLoopBackOff",
	"CreateContainerConfigError", "CreateContainerError", "RunContainerError",
}

// trouble returns why pods cannot serve, as one sentence, or "". It is pure.
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

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// A PodView is one pod for display.
type PodView struct {
	Name     string
	Side     rollout.Side
	Ready    bool
	Restarts int32
	Reason   string // why it is not ready, if known
}

// revisions returns the UIDs of the two ReplicaSets, "" for none.
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
