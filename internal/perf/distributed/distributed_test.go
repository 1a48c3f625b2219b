package distributed

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/kubetest"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/load"
	"github.com/candlefish/deploy-action/internal/router"
)

var kind = router.Kind{Group: "k6.io", Version: "v1alpha1", Resource: "testruns", Name: "TestRun"}

func job(t *testing.T) meter.Job {
	t.Helper()
	return meter.Job{
		URL: "http://10.0.0.1", Pages: []string{"/"}, Now: func() time.Time { return day }, Scratch: t.TempDir(), Settings: map[string]string{},
		Load: meter.Load{Scenarios: []string{"basic"}, Duration: 10 * time.Second, P95: time.Second, P99: time.Second, Errors: .01},
	}
}

var day = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func pods(s *kubetest.Server) Load {
	return Load{Connect: func(context.Context) (*kube.Cluster, error) { return s.Cluster(), nil }, Namespace: "load", Pods: 2, Image: "k6:1", Say: func(string) {}}
}

// What is missing is said before anything is made.
func TestNothingIsMadeWithoutWhatItNeeds(t *testing.T) {
	t.Parallel()
	absent := kubetest.New(t)
	_, err := pods(absent).Measure(t.Context(), job(t))
	if err == nil || !strings.Contains(err.Error(), "install k6-operator") || len(absent.Writes()) != 0 {
		t.Errorf("without the operator: %v, writes %q", err, absent.Writes())
	}
	denied := kubetest.New(t, kind)
	denied.Deny(func(_, verb, resource string) bool {
		return resource == "testruns" && verb == "delete" || resource == "configmaps"
	})
	_, err = pods(denied).Measure(t.Context(), job(t))
	if err == nil || !strings.Contains(err.Error(), "delete testruns") || !strings.Contains(err.Error(), "create configmaps") || len(denied.Writes()) != 0 {
		t.Errorf("without permissions: %v, writes %q", err, denied.Writes())
	}
}

// A run whose pods never come ends with its context, and takes away what it made.
func TestACancelledRunLeavesNothing(t *testing.T) {
	t.Parallel()
	s := kubetest.New(t, kind)
	ctx, cancel := context.WithCancelCause(t.Context())
	l := pods(s)
	l.Say = func(text string) {
		if strings.Contains(text, "waiting for k6-operator to take") {
			cancel(fmt.Errorf("received SIGTERM"))
		}
	}
	_, err := l.Measure(ctx, job(t))
	if err == nil || !strings.Contains(err.Error(), "received SIGTERM") {
		t.Errorf("error %v", err)
	}
	deleted := false
	for _, w := range s.Writes() {
		deleted = deleted || strings.HasPrefix(w, "DELETE testruns/candlefish-load-")
	}
	if !deleted {
		t.Errorf("writes %q", s.Writes())
	}
}

// left is what a run made that gave its last sign of life some time ago.
func left(ago time.Duration) string {
	return fmt.Sprintf(`apiVersion: k6.io/v1alpha1
kind: TestRun
metadata: {name: candlefish-load-old, namespace: load, labels: {%[1]s: candlefish-load-old}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: candlefish-load-old, namespace: load, annotations: {%[2]s: %[3]q}}
`, labelLoad, annotationAlive, day.Add(-ago).Format(time.RFC3339))
}

// A run beside another one measures the other: it refuses while that lives, and removes
// what a killed one left.
func TestOtherRuns(t *testing.T) {
	t.Parallel()
	s := kubetest.New(t, kind)
	s.Apply(left(10 * time.Second))
	_, err := pods(s).Measure(t.Context(), job(t))
	if err == nil || !strings.Contains(err.Error(), "kubectl -n load delete testrun candlefish-load-old") || s.Get(kind, "load", "candlefish-load-old") == nil {
		t.Errorf("beside a living run: %v", err)
	}
	s.Apply(left(2 * time.Minute))
	ctx, cancel := context.WithCancel(t.Context())
	l := pods(s)
	l.Say = func(text string) {
		if strings.Contains(text, "k6-operator runs") {
			cancel()
		}
	}
	if _, err := l.Measure(ctx, job(t)); err == nil {
		t.Error("no error of a cancelled run")
	}
	if s.Get(kind, "load", "candlefish-load-old") != nil {
		t.Error("the killed run's load is still there")
	}
}

// Each thing that waiting does not mend ends the run in words.
func TestWhatWaitingDoesNotMend(t *testing.T) {
	t.Parallel()
	pod := func(name string, status corev1.PodStatus) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"runner": "true"}}, Status: status}
	}
	waiting := func(reason, message string) corev1.PodStatus {
		return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Image: "k6:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}}
	}
	ended := func(status int32, reason string) corev1.PodStatus {
		return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: status, Reason: reason}}}}}
	}
	for want, s := range map[string]seen{
		"somebody deleted":              {gone: true},
		"cannot get its image k6:1":     {pods: []*corev1.Pod{pod("x-1", waiting("ImagePullBackOff", "not found"))}},
		"killed for its memory":         {pods: []*corev1.Pod{pod("x-1", ended(137, "OOMKilled"))}},
		"must have sh and curl":         {name: "x", pods: []*corev1.Pod{pod("x-starter-1", ended(127, "Error"))}},
		"must have sh and k6":           {name: "x", pods: []*corev1.Pod{pod("x-initializer-1", ended(127, "Error"))}},
		"was evicted":                   {pods: []*corev1.Pod{pod("x-1", corev1.PodStatus{Reason: "Evicted", Message: "disk"})}},
		"exceeded quota":                {warnings: []corev1.Event{{Reason: "FailedCreate", Message: "exceeded quota", InvolvedObject: corev1.ObjectReference{Kind: "Job", Name: "x-1"}}}},
		"did not take the TestRun":      {age: 2 * time.Minute},
		"does it watch this namespace?": {age: time.Hour},
	} {
		if _, err := s.look(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	text, err := seen{name: "x", want: 2, stage: "created", pods: []*corev1.Pod{pod("x-1", corev1.PodStatus{Phase: corev1.PodRunning})}}.look()
	if err != nil || !strings.Contains(text, "waiting for 1 of 2 pods") {
		t.Errorf("%q, %v", text, err)
	}
}

// Inputs that cannot work are refused before anything runs.
func TestProblems(t *testing.T) {
	t.Parallel()
	l := Load{Pods: 20}
	if got := fmt.Sprint(l.Problems(job(t))); !strings.Contains(got, "set load-namespace") {
		t.Error(got)
	}
	l.Namespace = "load"
	if got := fmt.Sprint(l.Problems(job(t))); !strings.Contains(got, "10 users, fewer than the 20 pods") {
		t.Error(got)
	}
	l.Pods = 2
	if got := l.Problems(job(t)); len(got) != 0 {
		t.Error(got)
	}
	if l.About().Name != load.Name {
		t.Error("limits and baselines of load do not know it")
	}
}
