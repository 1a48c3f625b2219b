package distributed

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/kube"
)

// seen is what is known of a run at one moment.
type seen struct {
	name     string
	want     int // pods that make load
	stage    string
	gone     bool // the TestRun is deleted
	pods     []*corev1.Pod
	warnings []corev1.Event
	age      time.Duration
}

// runners are the pods that make load, in the order of their names.
func (s seen) runners() []*corev1.Pod {
	all := slices.DeleteFunc(slices.Clone(s.pods), func(p *corev1.Pod) bool { return p.Labels["runner"] != "true" })
	slices.SortFunc(all, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// started reports whether the operator has told the pods to begin.
func (s seen) started() bool {
	return slices.Contains([]string{"started", "stopped", "finished"}, s.stage)
}

// ended reports whether all pods have ended.
func (s seen) ended() bool {
	runners := s.runners()
	return len(runners) == s.want && !slices.ContainsFunc(runners, func(p *corev1.Pod) bool { return end(p) == nil })
}

// end is how the pod's k6 ended, nil while it runs.
func end(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Terminated != nil {
			return c.State.Terminated
		}
	}
	return nil
}

// look says in words what is waited for, or why waiting cannot help.
func (s seen) look() (waits string, trouble error) {
	if s.gone {
		return "", fmt.Errorf("somebody deleted the TestRun %s", s.name)
	}
	for _, pod := range s.pods {
		if err := s.broken(pod); err != nil {
			return "", err
		}
	}
	if err := s.refusedPods(); err != nil {
		return "", err
	}
	if s.stage == "" && s.age > takeLimit {
		return "", fmt.Errorf("k6-operator did not take the TestRun %s within %v: does k6-operator run, and does it watch this namespace?", s.name, takeLimit)
	}
	return s.waiting(), nil
}

func (s seen) waiting() string {
	runners := s.runners()
	running := len(slices.DeleteFunc(slices.Clone(runners), func(p *corev1.Pod) bool { return p.Status.Phase != corev1.PodRunning }))
	over := len(slices.DeleteFunc(slices.Clone(runners), func(p *corev1.Pod) bool { return end(p) == nil }))
	switch {
	case s.stage == "":
		return "waiting for k6-operator to take the TestRun " + s.name
	case s.started():
		return fmt.Sprintf("load is made: waiting for the end of %d of %d pods", s.want-over, s.want)
	case len(runners) == 0:
		return "waiting for the script to be checked" + s.pending(s.pods)
	case running < s.want:
		return fmt.Sprintf("waiting for %d of %d pods to run%s", s.want-running, s.want, s.pending(runners))
	}
	return fmt.Sprintf("waiting for k6-operator to begin the load in %d pods", s.want)
}

// pending says why the first pod that waits does.
func (s seen) pending(pods []*corev1.Pod) string {
	for _, pod := range pods {
		if pod.Status.Phase != corev1.PodPending {
			continue
		}
		if c := kube.PodCondition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
			return fmt.Sprintf(": no node takes pod %s: %s", pod.Name, c.Message)
		}
		for _, c := range pod.Status.ContainerStatuses {
			if c.State.Waiting != nil && c.State.Waiting.Message != "" {
				return fmt.Sprintf(": pod %s: %s: %s", pod.Name, c.State.Waiting.Reason, c.State.Waiting.Message)
			}
		}
		return fmt.Sprintf(": pod %s is pending%s", pod.Name, s.warned(pod.Name))
	}
	return ""
}

func (s seen) warned(pod string) string {
	for _, e := range slices.Backward(s.warnings) {
		if e.InvolvedObject.Name == pod {
			return ": " + e.Reason + ": " + e.Message
		}
	}
	return ""
}

// hopeless are reasons for which a container waits and that time does not mend.
var hopeless = []string{"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"}

// broken says why a pod cannot do its work, nil if it can. A runner's own exit status
// is not among the reasons.
func (s seen) broken(pod *corev1.Pod) error {
	if pod.Status.Reason == "Evicted" {
		return fmt.Errorf("pod %s was evicted: %s", pod.Name, pod.Status.Message)
	}
	for _, c := range pod.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && slices.Contains(hopeless, w.Reason) {
			if strings.Contains(w.Reason, "Image") {
				return fmt.Errorf("pod %s cannot get its image %s: %s: %s", pod.Name, c.Image, w.Reason, w.Message)
			}
			return fmt.Errorf("pod %s cannot start: %s: %s", pod.Name, w.Reason, w.Message)
		}
		t := c.State.Terminated
		switch {
		case t == nil || t.ExitCode == 0:
		case t.Reason == "OOMKilled":
			return fmt.Errorf("pod %s was killed for its memory: use more pods, fewer users, or raise the limits of the namespace", pod.Name)
		case t.Reason == "StartError":
			return fmt.Errorf("pod %s cannot start: %s", pod.Name, t.Message)
		case strings.HasPrefix(pod.Name, s.name+"-starter"):
			return fmt.Errorf("the pod %s that begins the load ended with status %d: its image must have sh and curl, see the input load-starter-image", pod.Name, t.ExitCode)
		case strings.HasPrefix(pod.Name, s.name+"-initializer") && t.ExitCode >= 126:
			return fmt.Errorf("the pod %s that checks the script ended with status %d: the image of the input load-image must have sh and k6", pod.Name, t.ExitCode)
		}
	}
	return nil
}

// refusedPods says why Jobs cannot make their pods.
func (s seen) refusedPods() error {
	for _, e := range s.warnings {
		if e.Reason == "FailedCreate" && e.InvolvedObject.Kind == "Job" {
			return fmt.Errorf("the cluster refuses the pods of %s: %s", e.InvolvedObject.Name, e.Message)
		}
	}
	return nil
}

// errLost says that a pod that made load is not there any more.
var errLost = errors.New("it is gone: somebody deleted it, or its node is lost")
