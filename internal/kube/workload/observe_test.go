package workload

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func pod(state corev1.ContainerStatus) *corev1.Pod {
	state.Name = "app"
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-canary-1"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{state}}}
}

func waiting(reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
}

func TestTroubleNamesPodAndReason(t *testing.T) {
	t.Parallel()
	crashed := corev1.ContainerStatus{RestartCount: 1, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error"}}}
	tests := []struct {
		name string
		pod  *corev1.Pod
		want string
	}{
		{"starting", pod(waiting("ContainerCreating", "")), ""},
		{"first pull error may heal", pod(waiting("ErrImagePull", "")), ""},
		{"missing image", pod(waiting("ImagePullBackOff", "not found\nat registry")), "pod web-canary-1, container app: ImagePullBackOff: not found"},
		{"crash loop", pod(waiting("CrashLoopBackOff", "back-off")), "CrashLoopBackOff"},
		{"one crash, running again", pod(crashed), "exited with code 3 (Error), 1 restarts"},
		{"well", pod(corev1.ContainerStatus{Ready: true}), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := trouble([]*corev1.Pod{test.pod}, "app")
			if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
				t.Errorf("trouble = %q, want %q", got, test.want)
			}
		})
	}
}

func TestUnreadyToleratesOneMissedProbe(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := pod(corev1.ContainerStatus{})
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(now.Add(-5 * time.Second))}}
	if got := unready([]*corev1.Pod{p}, now); got != "" {
		t.Errorf("unready after 5s = %q, want nothing", got)
	}
	if got := unready([]*corev1.Pod{p}, now.Add(10*time.Second)); got == "" {
		t.Error("unready after 15s = nothing, want the pod's name")
	}
}

func TestCanaryReplicas(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		live   int32
		weight int
		want   int32
	}{{3, 5, 1}, {3, 25, 1}, {3, 50, 2}, {3, 100, 3}, {40, 5, 2}, {1, 100, 1}, {10, 25, 3}} {
		if got := canaryReplicas(test.live, test.weight); got != test.want {
			t.Errorf("canaryReplicas(%d, %d) = %d, want %d", test.live, test.weight, got, test.want)
		}
	}
}
