package workload

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
	"github.com/candlefish/deploy-action/internal/source/podmetrics"
)

// measured is metrics-server's answer for a pod of the sample in a sandbox.
const measured = `{"metadata":{"name":"candlefish-website-canary-5c4d488dfd-h2h7h","namespace":"t-testusageofbothversions-tcco2g","creationTimestamp":"2026-11-24T08:16:25Z",
"labels":{"app":"candlefish-website","pod-template-hash":"5c4d488dfd","version":"canary"}},
"timestamp":"2026-11-24T08:16:25Z","window":"9.998s","containers":[{"name":"website","usage":{"cpu":"409005n","memory":"1920Ki"}}]}`

func TestUsageIsRead(t *testing.T) {
	t.Parallel()
	got, err := decodeUsage([]byte(measured))
	if err != nil {
		t.Fatal(err)
	}
	want := source.PodUsage{
		At:         time.Date(2026, 11, 24, 8, 16, 25, 0, time.UTC),
		Containers: map[string]map[string]float64{"website": {"cpu": 0.000409005, "memory": 1920 << 10}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPodsAreSeenThroughTheContainer(t *testing.T) {
	t.Parallel()
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	end := func(reason, id string) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ContainerID: id}}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-1", UID: "1"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "sidecar", Resources: corev1.ResourceRequirements{Limits: list("7", "7Gi")}},
			{Name: "website", Resources: corev1.ResourceRequirements{Limits: list("100m", "3840Ki"), Requests: list("100u", "960Ki")}},
		}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "sidecar", RestartCount: 7, State: end("OOMKilled", "s")},
			{Name: "website", RestartCount: 2, LastTerminationState: end("OOMKilled", "a"), State: end("OOMKilled", "b")},
		}},
	}
	for name, test := range map[string]struct {
		container string
		change    func(*corev1.Pod)
		want      source.Pod
	}{
		"both ends": {"website", func(*corev1.Pod) {}, source.Pod{HasContainer: true, Reported: true, Restarts: 2, OOMKills: []string{"b", "a"},
			Limits: map[string]float64{"cpu": .1, "memory": 3840 << 10}, Requests: map[string]float64{"cpu": 100e-6, "memory": 960 << 10}}},
		"another end": {"website", func(p *corev1.Pod) {
			p.Spec.Containers[1].Resources = corev1.ResourceRequirements{}
			p.Status.ContainerStatuses[1].State, p.Status.ContainerStatuses[1].LastTerminationState = corev1.ContainerState{}, end("Error", "a")
		}, source.Pod{HasContainer: true, Reported: true, Restarts: 2, Limits: map[string]float64{}, Requests: map[string]float64{}}},
		"no such container": {"app", func(*corev1.Pod) {}, source.Pod{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pod.DeepCopy()
			test.change(p)
			test.want.Side, test.want.Name, test.want.UID, test.want.Container = rollout.SideCanary, "web-1", "1", test.container
			if diff := cmp.Diff(test.want, SourcePod(rollout.SideCanary, p, test.container), cmpopts.EquateApprox(1e-9, 0)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// answering returns a Target on an API server that answers every request alike.
func answering(t *testing.T, status int, body string) *Target {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	c, err := kube.ConnectTo(&rest.Config{Host: server.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Target{cluster: c, record: &release.Record{Namespace: "shop", Container: "website"}}
}

func TestUsageWithoutAnswer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"no metrics API": {404, "404 page not found\n",
			"read the cpu usage of pods in namespace shop: the cluster serves no metrics.k8s.io: metrics-server is not installed"},
		"metrics-server down": {503, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"service unavailable","reason":"ServiceUnavailable","code":503}`,
			"read the cpu usage of pods in namespace shop: service unavailable"},
		"forbidden": {403, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"pods.metrics.k8s.io is forbidden","reason":"Forbidden","code":403}`,
			"read the cpu usage of pods in namespace shop: pods.metrics.k8s.io is forbidden"},
		"nonsense": {200, `{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","items":[{"kind":"PodMetrics","apiVersion":"metrics.k8s.io/v1beta1","metadata":{"name":"a"},"timestamp":"yesterday"}]}`,
			"read the cpu usage of pods in namespace shop: decode the metrics of pod a: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader := reading(t, answering(t, test.status, test.body), podmetrics.Config{Resource: podmetrics.CPU})
			points, err := reader.Read(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("Read = %v, %v, want error %q", points, err, test.want)
			}
		})
	}
}

// reading returns a source of the target's pods.
func reading(t *testing.T, target *Target, c podmetrics.Config) source.Reader {
	t.Helper()
	r, err := c.Open(t.Context(), config.Metric{}, source.Env{Pods: target, Names: source.Names{Namespace: target.record.Namespace}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func FuzzDecodeUsage(f *testing.F) {
	f.Add(measured)
	f.Add(`{"timestamp":null,"containers":[{"usage":{"cpu":"-1"}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		if u, err := decodeUsage([]byte(text)); err == nil && u.Containers == nil {
			t.Error("an answer without a map of containers")
		}
	})
}
