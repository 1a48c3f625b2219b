package workload

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// measured is what metrics-server said of a pod of the sample on a sandbox.
const measured = `{"metadata":{"name":"candlefish-website-canary-5c4d488dfd-h2h7h","namespace":"t-testusageofbothversions-tcco2g","creationTimestamp":"2026-11-24T08:16:25Z",
"labels":{"app":"candlefish-website","pod-template-hash":"5c4d488dfd","version":"canary"}},
"timestamp":"2026-11-24T08:16:25Z","window":"9.998s","containers":[{"name":"website","usage":{"cpu":"409005n","memory":"1920Ki"}}]}`

func TestShare(t *testing.T) {
	t.Parallel()
	var m podMetrics
	if err := json.Unmarshal([]byte(measured), &m); err != nil {
		t.Fatal(err)
	}
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	bounded := corev1.ResourceRequirements{Limits: list("100m", "3840Ki"), Requests: list("100u", "960Ki")}
	for name, test := range map[string]struct {
		container string // of the pod
		measured  string // the container asked for
		resources corev1.ResourceRequirements
		resource  UsageResource
		base      UsageBase
		want      float64
		unknown   bool
		err       string
	}{
		"cpu of limit":      {"website", "website", bounded, UsageCPU, OfLimit, 0.00409005, false, ""},
		"cpu of request":    {"website", "website", bounded, UsageCPU, OfRequest, 4.09005, false, ""},
		"memory of limit":   {"website", "website", bounded, UsageMemory, OfLimit, 0.5, false, ""},
		"memory of request": {"website", "website", bounded, UsageMemory, OfRequest, 2, false, ""},
		"no limit": {"website", "website", corev1.ResourceRequirements{Requests: list("1m", "1Ki")}, UsageMemory, OfLimit, 0, false,
			"pod web-1, container website: it has no memory limit that its usage could be a share of: set resources.limits.memory"},
		"no request": {"website", "website", corev1.ResourceRequirements{}, UsageCPU, OfRequest, 0, false,
			"pod web-1, container website: it has no cpu request that its usage could be a share of: set resources.requests.cpu"},
		"no such container": {"website", "app", bounded, UsageCPU, OfLimit, 0, false, "pod web-1: it has no container app"},
		"not measured":      {"app", "app", bounded, UsageCPU, OfLimit, 0, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-1"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: test.container, Resources: test.resources}}}}
			got, ok, err := m.share(pod, test.measured, test.resource, test.base)
			if message(err) != test.err {
				t.Fatalf("error %q, want %q", message(err), test.err)
			}
			if diff := got - test.want; diff > 1e-9 || diff < -1e-9 || ok == (test.unknown || err != nil) {
				t.Errorf("share = %v, %t, want %v", got, ok, test.want)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// answering is a Target on an API server that answers every request alike.
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
			points, err := answering(t, test.status, test.body).Usage(UsageCPU, OfLimit).Read(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("Read = %v, %v, want error %q", points, err, test.want)
			}
		})
	}
}

// container is a status of the container website as the kubelet reports it.
type container struct {
	restarts   int32
	last, now  string // why it ended, "" for not
	id, nextID string
}

func (c container) pod(uid types.UID) *corev1.Pod {
	end := func(reason, id string) corev1.ContainerState {
		if reason == "" {
			return corev1.ContainerState{}
		}
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ContainerID: id}}
	}
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: uid}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{Name: "sidecar", RestartCount: 7},
		{Name: "website", RestartCount: c.restarts, LastTerminationState: end(c.last, c.id), State: end(c.now, c.nextID)},
	}}}
}

func TestRestartTally(t *testing.T) {
	t.Parallel()
	type counts struct{ Restarts, OOMKills int }
	for name, test := range map[string]struct {
		before *container // nil: the pod is newer than the source
		states []container
		want   []counts
	}{
		"a new pod": {nil, []container{{}, {restarts: 1, last: "Error", id: "a"}, {restarts: 2, last: "OOMKilled", id: "b"}, {restarts: 2, last: "OOMKilled", id: "b"}},
			[]counts{{0, 0}, {1, 0}, {2, 1}, {2, 1}}},
		"what was before does not count": {&container{restarts: 3, last: "OOMKilled", id: "a"},
			[]container{{restarts: 3, last: "OOMKilled", id: "a"}, {restarts: 4, last: "OOMKilled", id: "b"}},
			[]counts{{0, 0}, {1, 1}}},
		"killed and not yet started again": {nil,
			[]container{{now: "OOMKilled", nextID: "a"}, {restarts: 1, last: "OOMKilled", id: "a"}, {restarts: 1, last: "OOMKilled", id: "a", now: "OOMKilled", nextID: "b"}},
			[]counts{{0, 1}, {1, 1}, {1, 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tally := restartTally{before: map[types.UID]int32{}, ooms: map[types.UID]map[string]bool{}}
			if test.before != nil {
				tally.begin(test.before.pod("1"), "website")
			}
			var got []counts
			for _, c := range test.states {
				restarts, ok := tally.count(c.pod("1"), "website", AnyRestart)
				ooms, ok2 := tally.count(c.pod("1"), "website", OOMKill)
				if !ok || !ok2 {
					t.Fatalf("the state of %+v is not known", c)
				}
				got = append(got, counts{restarts, ooms})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, ok := tally.count(&corev1.Pod{}, "website", AnyRestart); ok {
				t.Error("a pod without a status has a count")
			}
		})
	}
}
