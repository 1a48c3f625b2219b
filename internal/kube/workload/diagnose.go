package workload

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
)

// A PodFailure is why a pod of the canary could not serve.
type PodFailure struct {
	Pod, Container string
	Reason         string
	Message        string
	// LastLogLines are the container's last lines, of the instance that
	// crashed if one did. They are the application's own words.
	LastLogLines []string
}

// Failure is why the canary's pods could not serve, nil when they can. It is
// read before an abort removes the pods and then remembered.
func (t *Target) Failure(ctx context.Context) *PodFailure {
	if t.failure == nil {
		t.failure = t.diagnose(ctx)
	}
	return t.failure
}

// diagnose looks at the canary's pods for the one that is worst off.
func (t *Target) diagnose(ctx context.Context) *PodFailure {
	for _, pod := range t.watch.PodsOf(t.record.Canary.UID) {
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if f := failureOf(pod, status); f != nil {
				f.LastLogLines = t.lastLog(ctx, pod.Name, status)
				return f
			}
		}
	}
	return nil
}

// failureOf is why a container could not serve, nil when it could. It is pure.
func failureOf(pod *corev1.Pod, status corev1.ContainerStatus) *PodFailure {
	done := status.State.Terminated != nil && status.State.Terminated.ExitCode == 0
	if done || status.Ready && status.LastTerminationState.Terminated == nil {
		return nil
	}
	f := &PodFailure{Pod: pod.Name, Container: status.Name, Reason: "NotReady"}
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
		f.Message = fmt.Sprintf("%s; exit code %d (%s)", cmp.Or(f.Message, "it ended"), crash.ExitCode, crash.Reason)
	}
	return f
}

// lastLog reads the end of a container's log. A log that cannot be read is
// said to be, in its place: the report is about something worse.
func (t *Target) lastLog(ctx context.Context, pod string, status corev1.ContainerStatus) []string {
	if status.ContainerID == "" && status.LastTerminationState.Terminated == nil {
		return nil // it never ran
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	tail, limit := int64(kube.LogLines), int64(16<<10)
	raw, err := t.cluster.Typed.CoreV1().Pods(t.record.Namespace).GetLogs(pod, &corev1.PodLogOptions{
		Container: status.Name, TailLines: &tail, LimitBytes: &limit,
		Previous: status.State.Running == nil && status.LastTerminationState.Terminated != nil,
	}).DoRaw(ctx)
	if err != nil {
		return []string{"(the log cannot be read: " + err.Error() + ")"}
	}
	return strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
}

// A Proof compares the promoted pods with those before the hand-over.
type Proof struct {
	Before, After []release.Pod
	// Digests are the image digests that the promoted pods run.
	Digests []string
}

// Unbroken reports whether every pod that was there before the hand-over is
// there after it, with the same identity and as many restarts.
func (p Proof) Unbroken() bool {
	for _, before := range p.Before {
		if !slices.Contains(p.After, before) {
			return false
		}
	}
	return len(p.Before) > 0
}

// Prove reads the promoted pods from the API server and compares them with
// those recorded just before the hand-over.
func (t *Target) Prove(ctx context.Context) (Proof, error) {
	p := Proof{Before: t.record.Canary.Pods}
	var after release.Revision
	err := kube.Retry(ctx, func(ctx context.Context) error {
		rs, err := t.deployments.replicaSet(ctx, t.record.Canary.ReplicaSet)
		if err != nil {
			return err
		}
		pods, err := t.deployments.podsOf(ctx, rs)
		if err != nil {
			return err
		}
		after = release.Revision{}
		for i := range pods {
			kube.NotePod(&after, &pods[i], t.record.Container)
		}
		if user, err := t.deployments.get(ctx, t.record.Deployment); err != nil {
			return err
		} else if !metav1.IsControlledBy(rs, user) {
			return fmt.Errorf("replicaset %s does not belong to deployment %s", rs.Name, user.Name)
		}
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("compare the promoted pods with those before: %w", err)
	}
	p.After, p.Digests = after.Pods, after.Digests
	return p, nil
}
