package health

import (
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/google/go-cmp/cmp"
)

func TestDiagnoseReadsTheLogOfTheCrash(t *testing.T) {
	t.Parallel()
	var asked string
	s := server(func(r *http.Request) (int, any) {
		asked = r.URL.Path + "?previous=" + r.URL.Query().Get("previous")
		return 200, "panic: no such table"
	})
	well := pod(corev1.ContainerStatus{Ready: true})
	got := Diagnose(t.Context(), s.cluster(t).Typed, []*corev1.Pod{well, pod(crashed(waiting("CrashLoopBackOff", "back-off 20s"), 2))})
	want := &Failure{
		Pod: "web-canary-6d5f-x2x4q", Container: "app", Reason: "CrashLoopBackOff", Message: "back-off 20s; exit code 3 (Error)",
		LastLogLines: []string{`"panic: no such table"`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
	if asked != "/api/v1/namespaces/default/pods/web-canary-6d5f-x2x4q/log?previous=true" {
		t.Errorf("asked for %s", asked)
	}
	if f := Diagnose(t.Context(), nil, []*corev1.Pod{well}); f != nil {
		t.Errorf("failure of a pod that serves: %+v", f)
	}
}

func TestAContainerThatNeverRanHasNoLog(t *testing.T) {
	t.Parallel()
	got := Diagnose(t.Context(), nil, []*corev1.Pod{pod(waiting("ImagePullBackOff", noImage))})
	if got == nil || got.Reason != "ImagePullBackOff" || got.LastLogLines != nil {
		t.Errorf("failure = %+v", got)
	}
}
