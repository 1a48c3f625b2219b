package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/kube"
)

// How long what may heal is waited out, from when it was first seen.
const (
	// pullPatience covers a registry's restart and the kubelet's first three
	// attempts, 10 and 20 s apart. A missing image costs this time.
	pullPatience = 60 * time.Second
	// refusalPatience lets somebody raise a quota or a webhook's pods come back.
	// The controller tries again several times within it.
	refusalPatience = 30 * time.Second
	// forever leaves the decision to the progress deadline.
	forever = time.Duration(-1)
)

// maxRestarts is the number of restarts of one pod, and of replaced pods of one
// canary, that are waited out: one may be an accident.
const maxRestarts = 1

// A finding is one cause why a pod is not ready.
type finding struct {
	key      string // the same at every check, while the message may change
	sentence string
	// patience is how long it is waited out: 0 ends the rollout at once, forever
	// never does.
	patience time.Duration
	recheck  time.Time // when the finding ends by itself; zero for never
}

// findings returns all causes why a canary's pods are not ready, those that
// keep pods from appearing first. It is pure.
func findings(o Objects, container string, now time.Time) []finding {
	found := refusals(o)
	failed := 0
	for _, pod := range o.Pods {
		switch {
		case pod.DeletionTimestamp != nil:
		case pod.Status.Phase == corev1.PodFailed:
			failed++
			found = append(found, failedPod(pod, failed))
		default:
			found = append(found, podFindings(pod, o.Events, container, now)...)
		}
	}
	return found
}

// refusals returns why pods cannot be created. The ReplicaSet knows it; the
// Deployment knows why the ReplicaSet itself cannot be created.
func refusals(o Objects) []finding {
	if rs := o.ReplicaSet; rs != nil {
		for _, c := range rs.Status.Conditions {
			missing := rs.Status.Replicas < kube.Deref(rs.Spec.Replicas)
			if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue && c.Reason == "FailedCreate" && missing {
				return []finding{{key: "refused", sentence: fmt.Sprintf("replicaset %s: %s", rs.Name, firstLine(c.Message)), patience: refusalPatience}}
			}
		}
		return nil
	}
	if why := Refused(o.Deployment); why != "" {
		return []finding{{key: "refused", sentence: why, patience: refusalPatience}}
	}
	return nil
}

// Refused returns why the ReplicaSet of a Deployment cannot be created, "" if
// nothing is known against it. d may be nil.
func Refused(d *appsv1.Deployment) string {
	if d == nil {
		return ""
	}
	for _, c := range d.Status.Conditions {
		failure := c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue
		if failure || c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse && c.Reason == "ReplicaSetCreateError" {
			return fmt.Sprintf("deployment %s: %s", d.Name, firstLine(c.Message))
		}
	}
	return ""
}

// failedPod is the n-th pod that ended for good: it was evicted, or its node
// rejected it. The ReplicaSet replaces it.
func failedPod(pod *corev1.Pod, n int) finding {
	f := finding{
		key:      "failed/" + string(pod.UID),
		sentence: because("pod "+pod.Name, cmp.Or(pod.Status.Reason, "Failed"), pod.Status.Message),
		patience: forever,
	}
	if n > maxRestarts {
		f.patience = 0
	}
	return f
}

// podFindings returns why one pod is not ready: the causes in its containers,
// else its scheduling, else its events, else its condition.
func podFindings(pod *corev1.Pod, events []corev1.Event, container string, now time.Time) []finding {
	var found []finding
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if f, ok := containerFinding(pod, status, container); ok {
			found = append(found, f)
		}
	}
	if len(found) > 0 {
		return found
	}
	f := finding{key: "waiting/" + string(pod.UID), patience: forever}
	if kube.PodReady(pod) {
		if end := settled(pod); now.Before(end) {
			f.sentence, f.recheck = fmt.Sprintf("pod %s restarted and must stay ready for %s", pod.Name, restartSettle), end
			return []finding{f}
		}
		return nil
	}
	if c := kube.PodCondition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		// An autoscaler may add a node.
		f.sentence = because("pod "+pod.Name, c.Reason, c.Message)
		return []finding{f}
	}
	if e := explaining(events, pod); e != nil {
		f.sentence = because("pod "+pod.Name, e.Reason, e.Message)
		return []finding{f}
	}
	if f.sentence = waitSentence(pod); f.sentence == "" {
		return nil
	}
	return []finding{f}
}

// terminalWaitReasons are the reasons of a waiting container that need a change
// of the pod or of what it refers to.
var terminalWaitReasons = []string{"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"}

// pullWaitReasons are the reasons that a registry or the node's runtime may
// cause for a moment. The kubelet tries again.
var pullWaitReasons = []string{"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError", "CreateContainerError"}

// containerFinding returns why a container does not run, or that it crashes.
func containerFinding(pod *corev1.Pod, status corev1.ContainerStatus, container string) (finding, bool) {
	f := finding{key: "container/" + string(pod.UID) + "/" + status.Name}
	what := fmt.Sprintf("pod %s, container %s", pod.Name, status.Name)
	looping := false
	if w := status.State.Waiting; w != nil {
		f.sentence = because(what, w.Reason, w.Message)
		switch {
		case slices.Contains(terminalWaitReasons, w.Reason):
			return f, true
		case slices.Contains(pullWaitReasons, w.Reason):
			f.key, f.patience = f.key+"/pull", pullPatience
			return f, true
		}
		looping = w.Reason == "CrashLoopBackOff"
	}
	if crash := crashOf(status); crash != nil {
		f.sentence = fmt.Sprintf("%s: exited with code %d (%s), %d restarts", what, crash.ExitCode, crash.Reason, status.RestartCount)
		if looping {
			f.sentence += ", CrashLoopBackOff"
		}
	} else if !looping {
		return f, false
	}
	switch {
	case status.RestartCount > maxRestarts && (looping || status.Name == container):
		return f, true
	case !status.Ready:
		f.patience = forever
		return f, true
	}
	return f, false
}

// crashOf returns the newest end of a container that should run, nil if it
// never ended.
func crashOf(status corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	now := status.State.Terminated
	if now != nil && now.ExitCode == 0 {
		return nil // an init container that is done, or a Job's
	}
	if now != nil {
		return now
	}
	return status.LastTerminationState.Terminated
}

// waitSentence describes a pod that starts.
func waitSentence(pod *corev1.Pod) string {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if w := status.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" {
			return because(fmt.Sprintf("pod %s, container %s", pod.Name, status.Name), w.Reason, w.Message)
		}
	}
	if c := kube.PodCondition(pod, corev1.PodReady); c != nil && c.Message != "" {
		return fmt.Sprintf("pod %s: %s", pod.Name, firstLine(c.Message))
	}
	return ""
}

// because joins what is affected, the reason and the first line of the message.
func because(what, reason, message string) string {
	if message = firstLine(message); message != "" {
		reason += ": " + message
	}
	return what + ": " + reason
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
