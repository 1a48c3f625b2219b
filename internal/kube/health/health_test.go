package health

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// pod is a scheduled pod of the canary whose container has a status.
func pod(status corev1.ContainerStatus) *corev1.Pod {
	status.Name = "app"
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-canary-6d5f-x2x4q", Namespace: "default", UID: "pod-1"},
		Spec:       corev1.PodSpec{NodeName: "node-1"},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{status}},
	}
}

func waiting(reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
}

// crashed is a container that exited with code 3 and was restarted n times.
func crashed(state corev1.ContainerStatus, n int32) corev1.ContainerStatus {
	state.RestartCount = n
	state.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error"}
	return state
}

func running() corev1.ContainerStatus {
	return corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
}

func with(p *corev1.Pod, kind corev1.PodConditionType, status corev1.ConditionStatus, reason, message string, since time.Time) *corev1.Pod {
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(since)})
	return p
}

func pods(p ...*corev1.Pod) Objects { return Objects{Pods: p} }

// replicaSet is a ReplicaSet that has some of its 2 pods and a condition.
func replicaSet(have int32, reason, message string) Objects {
	two := int32(2)
	return Objects{ReplicaSet: &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web-canary-6d5f"},
		Spec:       appsv1.ReplicaSetSpec{Replicas: &two},
		Status: appsv1.ReplicaSetStatus{Replicas: have, Conditions: []appsv1.ReplicaSetCondition{
			{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: reason, Message: message},
		}},
	}}
}

func deployment(kind appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string) Objects {
	return Objects{Deployment: &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web-canary"},
		Status:     appsv1.DeploymentStatus{Conditions: []appsv1.DeploymentCondition{{Type: kind, Status: status, Reason: reason, Message: message}}},
	}}
}

func event(reason, message string, at time.Time) corev1.Event {
	return corev1.Event{InvolvedObject: corev1.ObjectReference{UID: "pod-1"}, Reason: reason, Message: message, LastTimestamp: metav1.NewTime(at)}
}

func starting(events ...corev1.Event) Objects {
	o := pods(with(pod(waiting("ContainerCreating", "")), corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", "containers with unready status: [app]", epoch))
	o.Events = events
	return o
}

func evicted(uid string) *corev1.Pod {
	p := pod(running())
	p.Name, p.UID = uid, "uid-"+p.UID
	p.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on resource: memory."}
	return p
}

const (
	quota     = `pods "web-canary-6d5f-x2x4q" is forbidden: exceeded quota: tight, requested: pods=1, used: pods=3, limited: pods=3`
	security  = `pods "web-canary-6d5f-x2x4q" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false`
	noNode    = "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available."
	noVolume  = `MountVolume.SetUp failed for volume "tls" : secret "web-tls" not found`
	unhealthy = "Readiness probe failed: HTTP probe failed with statuscode: 503"
	noImage   = `Back-off pulling image "r/web:2": ErrImagePull: not found`
)

// never says that a cause is never terminal by itself.
const never = time.Duration(-1)

func TestCausesAndPatience(t *testing.T) {
	t.Parallel()
	sidecar := pod(running())
	sidecar.Status.ContainerStatuses = append(sidecar.Status.ContainerStatuses, crashed(waiting("CrashLoopBackOff", "back-off 20s"), 2))
	sidecar.Status.ContainerStatuses[1].Name = "proxy"
	initialized := pod(corev1.ContainerStatus{Ready: true})
	initialized.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "migrate", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}}
	deleted := pod(waiting("InvalidImageName", ""))
	deleted.DeletionTimestamp = &metav1.Time{Time: epoch}
	for name, test := range map[string]struct {
		objects  Objects
		waiting  string
		terminal time.Duration // from when it was first seen
	}{
		"quota":                     {replicaSet(0, "FailedCreate", quota), "replicaset web-canary-6d5f: " + quota, 30 * time.Second},
		"pod security":              {replicaSet(1, "FailedCreate", security), "replicaset web-canary-6d5f: " + security, 30 * time.Second},
		"refused, but no pod lacks": {replicaSet(2, "FailedCreate", quota), "", never},
		"a pod is not deleted":      {replicaSet(0, "FailedDelete", "timeout"), "", never},
		"no replicaset": {deployment(appsv1.DeploymentProgressing, corev1.ConditionFalse, "ReplicaSetCreateError", "exceeded quota: sets"),
			"deployment web-canary: exceeded quota: sets", 30 * time.Second},
		"the deployment progresses": {deployment(appsv1.DeploymentProgressing, corev1.ConditionTrue, "NewReplicaSetCreated", "created"), "", never},

		"unschedulable": {pods(with(pod(corev1.ContainerStatus{}), corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", noNode, epoch)),
			"pod web-canary-6d5f-x2x4q: Unschedulable: " + noNode, never},
		"volume": {starting(event("FailedMount", noVolume, epoch)), "pod web-canary-6d5f-x2x4q: FailedMount: " + noVolume, never},
		"the newest event": {starting(event("FailedMount", noVolume, epoch), event("Unhealthy", unhealthy+"\nbody", epoch.Add(time.Second)), event("Pulled", "x", epoch.Add(time.Minute))),
			"pod web-canary-6d5f-x2x4q: Unhealthy: " + unhealthy, never},
		"starting without events": {starting(), "pod web-canary-6d5f-x2x4q, container app: ContainerCreating", never},
		"not ready without events": {pods(with(pod(running()), corev1.PodReady, corev1.ConditionFalse, "ContainersNotReady", "containers with unready status: [app]", epoch)),
			"pod web-canary-6d5f-x2x4q: containers with unready status: [app]", never},

		"first pull error":      {pods(pod(waiting("ErrImagePull", "no such host"))), "pod web-canary-6d5f-x2x4q, container app: ErrImagePull: no such host", time.Minute},
		"pull back-off":         {pods(pod(waiting("ImagePullBackOff", noImage))), "pod web-canary-6d5f-x2x4q, container app: ImagePullBackOff: " + noImage, time.Minute},
		"invalid image name":    {pods(pod(waiting("InvalidImageName", ""))), "pod web-canary-6d5f-x2x4q, container app: InvalidImageName", 0},
		"missing config":        {pods(pod(waiting("CreateContainerConfigError", `secret "db" not found`))), `CreateContainerConfigError: secret "db" not found`, 0},
		"one crash":             {pods(pod(crashed(running(), 1))), "exited with code 3 (Error), 1 restarts", never},
		"the second crash":      {pods(pod(crashed(waiting("CrashLoopBackOff", "back-off 10s"), 1))), "exited with code 3 (Error), 1 restarts, CrashLoopBackOff", never},
		"a crash loop":          {pods(pod(crashed(waiting("CrashLoopBackOff", "back-off 20s"), 2))), "2 restarts, CrashLoopBackOff", 0},
		"running after two":     {pods(pod(crashed(running(), 2))), "2 restarts", 0},
		"a loop without a last": {pods(pod(corev1.ContainerStatus{RestartCount: 4, State: waiting("CrashLoopBackOff", "back-off").State})), "CrashLoopBackOff: back-off", 0},
		"a sidecar's loop":      {pods(sidecar), "container proxy: exited with code 3 (Error), 2 restarts", 0},
		"a migration is done":   {pods(initialized), "", never},
		"one evicted pod":       {pods(evicted("a")), "pod a: Evicted: The node was low on resource: memory.", never},
		"evicted again":         {pods(evicted("a"), evicted("b")), "pod a: Evicted", 0},
		"a pod that ends":       {pods(deleted), "", never},
		"well":                  {pods(with(pod(corev1.ContainerStatus{Ready: true}), corev1.PodReady, corev1.ConditionTrue, "", "", epoch)), "", never},
		"nothing":               {Objects{}, "", never},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := New("app")
			got := m.Check(test.objects, false, epoch)
			if (test.waiting == "") != (got.Waiting == "") || !strings.Contains(got.Waiting, test.waiting) {
				t.Errorf("waiting = %q, want %q", got.Waiting, test.waiting)
			}
			if (got.Trouble != "") != (test.terminal == 0) {
				t.Errorf("trouble at first = %q", got.Trouble)
			}
			if test.terminal > 0 {
				if !got.Recheck.Equal(epoch.Add(test.terminal)) {
					t.Errorf("recheck at %s, want %s", got.Recheck, epoch.Add(test.terminal))
				}
				if got := m.Check(test.objects, false, epoch.Add(test.terminal-time.Millisecond)); got.Trouble != "" {
					t.Errorf("trouble too early: %q", got.Trouble)
				}
				if got := m.Check(test.objects, false, epoch.Add(test.terminal)); !strings.Contains(got.Trouble, test.waiting) || !strings.HasSuffix(got.Trouble, "(for "+test.terminal.String()+")") {
					t.Errorf("trouble after %s = %q", test.terminal, got.Trouble)
				}
			}
			if got := m.Check(test.objects, false, epoch.Add(time.Hour)); test.terminal == never && got.Trouble != "" {
				t.Errorf("trouble after an hour = %q", got.Trouble)
			}
		})
	}
}

func TestAHiccupOfTheRegistryStartsAgain(t *testing.T) {
	t.Parallel()
	m := New("app")
	m.Check(pods(pod(waiting("ErrImagePull", ""))), false, epoch)
	m.Check(pods(pod(waiting("ImagePullBackOff", ""))), false, epoch.Add(10*time.Second)) // the same cause
	m.Check(pods(pod(waiting("ContainerCreating", ""))), false, epoch.Add(30*time.Second))
	if got := m.Check(pods(pod(waiting("ErrImagePull", ""))), false, epoch.Add(70*time.Second)); got.Trouble != "" {
		t.Errorf("trouble = %q, want the time to start again", got.Trouble)
	}
}

func TestARequiredPodMayMissOneProbe(t *testing.T) {
	t.Parallel()
	m := New("app")
	ready := func(status corev1.ConditionStatus) Objects {
		return pods(with(pod(running()), corev1.PodReady, status, "ContainersNotReady", "containers with unready status: [app]", epoch))
	}
	if got := m.Check(ready(corev1.ConditionFalse), true, epoch.Add(time.Hour)); got.Trouble != "" {
		t.Errorf("a pod that was never ready: %q", got.Trouble)
	}
	m.Check(ready(corev1.ConditionTrue), true, epoch)
	if got := m.Check(ready(corev1.ConditionFalse), true, epoch.Add(10*time.Second)); got.Trouble != "" {
		t.Errorf("after 10s: %q", got.Trouble)
	}
	if got := m.Check(ready(corev1.ConditionFalse), true, epoch.Add(11*time.Second)); got.Trouble != "pod web-canary-6d5f-x2x4q has not been ready for 11s: containers with unready status: [app]" {
		t.Errorf("after 11s: %q", got.Trouble)
	}
	if got := m.Check(ready(corev1.ConditionFalse), false, epoch.Add(11*time.Second)); got.Trouble != "" {
		t.Errorf("not required: %q", got.Trouble)
	}
}

func TestARestartedPodMustStayReady(t *testing.T) {
	t.Parallel()
	status := crashed(running(), 1)
	status.Ready = true
	p := with(pod(status), corev1.PodReady, corev1.ConditionTrue, "", "", epoch)
	fresh := with(pod(corev1.ContainerStatus{Ready: true}), corev1.PodReady, corev1.ConditionTrue, "", "", epoch)
	both := []*corev1.Pod{p, fresh}
	if got := Ready(both, epoch.Add(11*time.Second)); got != 1 {
		t.Errorf("%d pods ready after 11s, want 1", got)
	}
	got := New("app").Check(pods(p), false, epoch.Add(time.Second))
	if !strings.Contains(got.Waiting, "restarted and must stay ready for 12s") || !got.Recheck.Equal(epoch.Add(12*time.Second)) {
		t.Errorf("waiting = %q until %s", got.Waiting, got.Recheck)
	}
	if got := Ready(both, epoch.Add(12*time.Second)); got != 2 {
		t.Errorf("%d pods ready after 12s, want 2", got)
	}
}

func TestWantedNeverFalls(t *testing.T) {
	t.Parallel()
	m := New("app")
	m.Want(3)
	m.Want(1)
	if got := m.Wanted(); got != 3 {
		t.Errorf("wanted = %d, want 3", got)
	}
}
