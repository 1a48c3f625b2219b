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

// A PodFailure is the reason why a pod of the canary could not serve.
type PodFailure struct {
	Pod, Container string
	Reason         string
	Message        string
	// LastLogLines is the end of the container's log, of the crashed instance if
	// there is one. The text is untrusted.
	LastLogLines []string
}

// Failure returns why the canary's pods could not serve, nil if they can. An
// abort reads and stores it before it removes the pods.
func (t *Target) Failure(ctx context.Context) *PodFailure {
	if t.failure == nil {
		t.failure = t.diagnose(ctx)
	}
	return t.failure
}

// diagnose returns the most serious failure of the canary's pods.
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

// failureOf returns why a container could not serve, nil if it could. It is
// pure.
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
		f.Message = fmt.Sprintf("%s; exit code %d (%s)", cmp.Or(f.Message, "it exited"), crash.ExitCode, crash.Reason)
	}
	return f
}

// lastLog reads the end of a container's log. If the log cannot be read, it
// returns that error as text: the pod's failure matters more.
func (t *Target) lastLog(ctx context.Context, pod string, status corev1.ContainerStatus) []string {
	if status.ContainerID == "" && status.LastTerminationState.Terminated == nil {
		return nil // it never started
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

// A Proof compares the promoted pods with the same pods before the hand-over.
type Proof struct {
	Before, After []release.Pod
	// Digests are the image digests that the promoted pods run.
	Digests []string
}

// Broken names the pods of before the hand-over that restarted in it or are gone.
func (p Proof) Broken() []string {
	after := map[string]release.Pod{}
	for _, pod := range p.After {
		after[pod.UID] = pod
	}
	var names []string
	for _, pod := range p.Before {
		if now, there := after[pod.UID]; !there || now.Restarts > pod.Restarts {
			names = append(names, pod.Name)
		}
	}
	return names
}

// Proof returns the comparison of the pods from right after the hand-over. If
// another process made the hand-over, it has only the digests that run now.
func (t *Target) Proof(ctx context.Context) (Proof, error) {
	if len(t.proof.After) > 0 || t.proofErr != nil {
		return t.proof, t.proofErr
	}
	p, err := t.prove(ctx)
	p.Before = nil
	return p, err
}

// prove reads the promoted pods from the API server and compares them with the
// record from just before the hand-over.
func (t *Target) prove(ctx context.Context) (Proof, error) {
	p := Proof{Before: t.record.Canary.Pods}
	var after release.Revision
	err := kube.Retry(ctx, func(ctx context.Context) error {
		rs, err := t.deployments.ReplicaSet(ctx, t.record.Canary.ReplicaSet)
		if err != nil {
			return err
		}
		pods, err := t.deployments.PodsOf(ctx, rs)
		if err != nil {
			return err
		}
		after = release.Revision{}
		for i := range pods {
			kube.NotePod(&after, &pods[i], t.record.Container)
		}
		if user, err := t.deployments.Get(ctx, t.record.Deployment); err != nil {
			return err
		} else if !metav1.IsControlledBy(rs, user) {
			return fmt.Errorf("replicaset %s does not belong to deployment %s", rs.Name, user.Name)
		}
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("compare the promoted pods with the record: %w", err)
	}
	p.After, p.Digests = after.Pods, after.Digests
	return p, nil
}
