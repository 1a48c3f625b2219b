package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

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
	now := time.Now()
	if t.record.Canary.UID != "" {
		pods := t.watch.podsOf(t.record.Canary.UID)
		o.CanaryReady, o.CanaryWanted = t.canaryReady(pods)
		o.Trouble = trouble(pods, t.record.Container)
		if counted := t.counted(pods); o.Trouble == "" && (s.Stage == rollout.StageDwell || s.Stage == rollout.StageObserved) {
			o.Trouble = unready(counted, now)
		}
	}
	o.Accepted = t.accepted()
	o.Drift = t.drift(s)
	return o, nil
}

// canaryReady counts pods that are ready and that the second Service's
// endpoints list as ready: a gateway sends to the latter.
func (t *Target) canaryReady(pods []*corev1.Pod) (ready, wanted int) {
	ready = countReady(pods)
	endpoints := 0
	for _, slice := range t.watch.endpointSlices(t.record.SecondName()) {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				endpoints++
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return min(ready, endpoints), t.wanted
}

// counted are the pods that were seen ready once. The pods of the next step
// start during the dwell of this one and are not yet counted on.
func (t *Target) counted(pods []*corev1.Pod) []*corev1.Pod {
	var counted []*corev1.Pod
	for _, pod := range pods {
		if ready(pod) {
			t.wasReady[pod.UID] = true
		}
		if t.wasReady[pod.UID] {
			counted = append(counted, pod)
		}
	}
	return counted
}

func ready(pod *corev1.Pod) bool {
	c := podCondition(pod, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

func countReady(pods []*corev1.Pod) int {
	n := 0
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && ready(pod) {
			n++
		}
	}
	return n
}

func podCondition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// hopeless are the reasons of a waiting container that no patience mends.
var hopeless = []string{
	"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CrashLoopBackOff",
	"CreateContainerConfigError", "CreateContainerError", "RunContainerError",
}

// trouble is why pods cannot serve, as one sentence, or "". It is pure.
func trouble(pods []*corev1.Pod, container string) string {
	for _, pod := range pods {
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if w := status.State.Waiting; w != nil && slices.Contains(hopeless, w.Reason) {
				return fmt.Sprintf("pod %s, container %s: %s: %s", pod.Name, status.Name, w.Reason, firstLine(w.Message))
			}
			crash := status.LastTerminationState.Terminated
			if status.State.Terminated != nil {
				crash = status.State.Terminated
			}
			if crash != nil && status.Name == container && pod.DeletionTimestamp == nil {
				return fmt.Sprintf("pod %s, container %s: exited with code %d (%s), %d restarts", pod.Name, status.Name, crash.ExitCode, crash.Reason, status.RestartCount)
			}
		}
		if c := podCondition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse && c.Reason == "Unschedulable" {
			continue // an autoscaler may mend it; the progress deadline decides
		}
		if pod.Status.Phase == corev1.PodFailed {
			return fmt.Sprintf("pod %s: %s: %s", pod.Name, pod.Status.Reason, firstLine(pod.Status.Message))
		}
	}
	return ""
}

// unready names a pod that stopped being ready while it was counted on.
func unready(pods []*corev1.Pod, now time.Time) string {
	for _, pod := range pods {
		c := podCondition(pod, corev1.PodReady)
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

// accepted reports whether all routes that this process wrote are accepted.
func (t *Target) accepted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.written) == 0 {
		return false
	}
	for name, w := range t.written {
		route := t.watch.route(name)
		if route == nil {
			return false
		}
		if ok, _ := routeAccepted(route, w.generation); !ok {
			return false
		}
	}
	return true
}

// drift names a second writer on what this run has written: the route's
// backends, the user's pod template. Other fields are not ours to mind.
func (t *Target) drift(s rollout.State) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, w := range t.written {
		route := t.watch.route(name)
		if route == nil {
			return fmt.Sprintf("somebody deleted httproute %s", name)
		}
		if d := routeDrift(route, w); d != "" {
			return d
		}
	}
	if t.template == nil || s.Stage == rollout.StagePrepare || s.Phase != rollout.PhaseProgressing {
		return ""
	}
	d, err := t.watch.typed.Apps().V1().Deployments().Lister().Deployments(t.record.Namespace).Get(t.record.Deployment)
	if err != nil {
		return fmt.Sprintf("somebody deleted deployment %s", t.record.Deployment)
	}
	if d.Generation > t.templateGeneration && !equality.Semantic.DeepEqual(&d.Spec.Template, t.template) {
		return fmt.Sprintf("%s changed the pod template of deployment %s", lastWriter(d), d.Name)
	}
	return ""
}

// A PodView is one pod as people want to see it.
type PodView struct {
	Name     string
	Side     rollout.Side
	Ready    bool
	Restarts int32
	Reason   string // why it is not ready, when that is known
}

// Pods lists the pods of both slots.
func (t *Target) Pods() []PodView {
	var views []PodView
	for _, uid := range []string{t.record.Stable.UID, t.record.Canary.UID} {
		if uid == "" {
			continue
		}
		for _, pod := range t.watch.podsOf(uid) {
			v := PodView{Name: pod.Name, Side: rollout.Side(pod.Labels[t.record.VersionLabel]), Ready: ready(pod)}
			for _, c := range pod.Status.ContainerStatuses {
				v.Restarts += c.RestartCount
				if c.State.Waiting != nil {
					v.Reason = c.State.Waiting.Reason
				}
			}
			if c := podCondition(pod, corev1.PodReady); v.Reason == "" && !v.Ready && c != nil {
				v.Reason = c.Reason
			}
			views = append(views, v)
		}
	}
	slices.SortFunc(views, func(a, b PodView) int { return strings.Compare(a.Name, b.Name) })
	return views
}
