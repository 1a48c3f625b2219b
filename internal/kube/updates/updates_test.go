package updates

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/candlefish/deploy-action/internal/rollout"
)

func ofKind(kind string) Settings {
	quarter := intstr.FromString("25%")
	switch kind {
	case StatefulSet:
		return Settings{StatefulSet: &appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType,
			RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: new(int32(0))}}}
	case DaemonSet:
		return Settings{DaemonSet: &appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType}}
	default:
		return Settings{Deployment: &appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType,
			RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &quarter, MaxUnavailable: &quarter}}, Deadline: new(int32(600))}
	}
}

// What a controller may do is exactly what a release asks for: with a surge of Extra and
// maxUnavailable of the rest, Pods are new and replicas - Pods + Extra old.
func TestGate(t *testing.T) {
	t.Parallel()
	s := ofKind(Deployment)
	g := s.Gate(rollout.State{Pods: 3, Extra: 1}, 4)
	if got := g.Deployment.RollingUpdate; got.MaxSurge.IntValue() != 1 || got.MaxUnavailable.IntValue() != 2 {
		t.Errorf("maxSurge %s, maxUnavailable %s", got.MaxSurge, got.MaxUnavailable)
	}
	if g.MinReady != Never || *g.Deadline <= g.MinReady {
		t.Errorf("minReadySeconds %d, progressDeadlineSeconds %d: the second has to be later", g.MinReady, *g.Deadline)
	}
	if got := ofKind(StatefulSet).Gate(rollout.State{Pods: 1}, 3).StatefulSet.RollingUpdate.Partition; *got != 2 {
		t.Errorf("partition %d, want 2", *got)
	}
	if !ofKind(DaemonSet).Gate(rollout.State{Pods: 1}, 3).OnDelete() {
		t.Error("a DaemonSet is not held back")
	}
	if diff := cmp.Diff(ofKind(Deployment), s); diff != "" {
		t.Errorf("the settings from before changed (-want +got):\n%s", diff)
	}
}

// What a person asks for stays, and nothing else.
func TestKept(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{Deployment, StatefulSet, DaemonSet} {
		r, err := ofKind(kind).Rolled(Options{})
		if err != nil || r.Kind != kind || string(r.Before) != string(r.After) {
			t.Errorf("%s: %+v, %v", kind, r, err)
		}
	}
	s := ofKind(Deployment)
	s.Deployment.RollingUpdate.MaxSurge = new(intstr.FromInt(0))
	r, err := s.Rolled(Options{MinReady: 10 * time.Second, NoUnavailable: true})
	if err != nil || r.MinReady != 10*time.Second {
		t.Fatalf("%+v, %v", r, err)
	}
	var after Settings
	if err := json.Unmarshal(r.After, &after); err != nil {
		t.Fatal(err)
	}
	got := after.Deployment.RollingUpdate
	if got.MaxUnavailable.IntValue() != 0 || got.MaxSurge.IntValue() != 1 || after.MinReady != 10 {
		t.Errorf("maxUnavailable %s, maxSurge %s, minReadySeconds %d: the first two may not both be 0", got.MaxUnavailable, got.MaxSurge, after.MinReady)
	}
	if got := s.Surge(4); got != 0 {
		t.Errorf("a maxSurge of 0 allows %d more pods", got)
	}
	if got := ofKind(Deployment).Surge(10); got != 3 {
		t.Errorf("25 %% of 10 pods are %d, want 3: a surge is rounded up", got)
	}
}

func TestSameTemplate(t *testing.T) {
	t.Parallel()
	a := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}}}
	b := *a.DeepCopy()
	b.Labels = map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: "6d4b"}
	if !SameTemplate(a, b) {
		t.Error("the controller's label makes a difference")
	}
	b.Spec.Containers[0].Image = "web:2"
	if SameTemplate(a, b) {
		t.Error("another image makes no difference")
	}
}
