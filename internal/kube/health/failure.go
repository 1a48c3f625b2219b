package health

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/candlefish/deploy-action/internal/kube"
)

// A Failure is the reason why a pod of the canary could not serve.
type Failure struct {
	Pod, Container string
	Reason         string
	Message        string
	// LastLogLines is the end of the container's log, of the crashed instance if
	// there is one. The text is untrusted.
	LastLogLines []string
}

// Diagnose returns the first failure of the pods and reads the end of its log,
// nil if all of them could serve.
func Diagnose(ctx context.Context, client kubernetes.Interface, pods []*corev1.Pod) *Failure {
	for _, pod := range pods {
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if f := failureOf(pod, status); f != nil {
				f.LastLogLines = lastLog(ctx, client, pod, status)
				return f
			}
		}
	}
	return nil
}

// failureOf returns why a container could not serve, nil if it could. It is
// pure.
func failureOf(pod *corev1.Pod, status corev1.ContainerStatus) *Failure {
	done := status.State.Terminated != nil && status.State.Terminated.ExitCode == 0
	if done || status.Ready && status.LastTerminationState.Terminated == nil {
		return nil
	}
	f := &Failure{Pod: pod.Name, Container: status.Name, Reason: "NotReady"}
	if c := kube.PodCondition(pod, corev1.PodReady); c != nil {
		f.Reason, f.Message = c.Reason, c.Message
	}
	if w := status.State.Waiting; w != nil {
		f.Reason, f.Message = w.Reason, w.Message
	}
	if status.Ready {
		f.Reason, f.Message = "Restarted", fmt.Sprintf("%d restarts", status.RestartCount)
	}
	if crash := status.LastTerminationState.Terminated; crash != nil {
		f.Message = fmt.Sprintf("%s; exit code %d (%s)", cmp.Or(f.Message, "it exited"), crash.ExitCode, crash.Reason)
	}
	return f
}

// lastLog reads the end of a container's log: of the run that ended last, and of the one
// that runs now, which may have begun a moment ago. If a log cannot be read, it returns
// that error as text: the pod's failure matters more.
func lastLog(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, status corev1.ContainerStatus) []string {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	ended := status.LastTerminationState.Terminated != nil
	var lines []string
	if ended {
		lines = readLog(ctx, client, pod, status.Name, true)
	}
	if status.State.Running != nil || !ended && status.ContainerID != "" {
		lines = append(lines, readLog(ctx, client, pod, status.Name, false)...)
	}
	return lines
}

func readLog(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, container string, previous bool) []string {
	tail, limit := int64(kube.LogLines), int64(16<<10)
	raw, err := client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: container, TailLines: &tail, LimitBytes: &limit, Previous: previous,
	}).DoRaw(ctx)
	if err != nil {
		return []string{"(the log cannot be read: " + err.Error() + ")"}
	}
	return strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
}
