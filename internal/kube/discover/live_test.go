package discover

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/release"
)

func TestAStableVersionThatCrashesAgainAndAgainIsDown(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	crashed := func(restarts, exit int32, ago time.Duration) corev1.ContainerStatus {
		c := corev1.ContainerStatus{Name: "web", RestartCount: restarts}
		c.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: exit, FinishedAt: metav1.NewTime(now.Add(-ago))}
		return c
	}
	healthy, again := corev1.ContainerStatus{Name: "web"}, crashed(2, 1, time.Minute)
	for name, c := range map[string]struct {
		ready    bool
		statuses []corev1.ContainerStatus
		want     string
	}{
		"healthy":                 {true, []corev1.ContainerStatus{healthy, healthy}, ""},
		"both again and again":    {true, []corev1.ContainerStatus{again, again}, "all 2 pods crash again and again"},
		"one of two":              {true, []corev1.ContainerStatus{again, healthy}, ""},
		"both once":               {true, []corev1.ContainerStatus{crashed(1, 1, time.Minute), crashed(1, 1, time.Minute)}, ""},
		"both long ago":           {true, []corev1.ContainerStatus{crashed(9, 1, time.Hour), crashed(9, 1, time.Hour)}, ""},
		"both restarted as asked": {true, []corev1.ContainerStatus{crashed(2, 0, time.Minute), crashed(2, 0, time.Minute)}, ""},
		"not ready":               {false, []corev1.ContainerStatus{again, again}, "0 of 2 pods ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			controls := true
			by := func(uid string) []metav1.OwnerReference {
				return []metav1.OwnerReference{{UID: types.UID(uid), Controller: &controls}}
			}
			two := int32(2)
			d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "d"}}
			set := appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "web-1", UID: "rs", OwnerReferences: by("d")}}
			set.Spec.Replicas = &two
			s := &survey{ns: "shop", sets: []appsv1.ReplicaSet{set}}
			for _, status := range c.statuses {
				pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: by("rs")}}
				pod.Status.ContainerStatuses = []corev1.ContainerStatus{status}
				ready := corev1.ConditionFalse
				if c.ready {
					ready = corev1.ConditionTrue
				}
				pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
				s.pods = append(s.pods, pod)
			}
			f := &Found{Record: &release.Record{Replicas: two, Container: "web"}}
			s.describeLive(f, d, now)
			if c.want == "" && f.Down != "" || !strings.Contains(f.Down, c.want) {
				t.Errorf("Down = %q, want %q", f.Down, c.want)
			}
		})
	}
}
