package health

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/candlefish/deploy-action/internal/kube"
)

// A server answers requests without a network.
type server func(*http.Request) (int, any)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) {
	code, body := s(r)
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(raw))), Request: r}, nil
}

func (s server) cluster(t *testing.T) *kube.Cluster {
	t.Helper()
	c, err := kube.ConnectTo(&rest.Config{Host: "http://cluster.example"}, func(http.RoundTripper) http.RoundTripper { return s })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEventsAreReadWhileAPodWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		s := server(func(r *http.Request) (int, any) {
			asked = append(asked, r.URL.Path+"?"+r.URL.Query().Get("fieldSelector"))
			return 200, corev1.EventList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "EventList"}, Items: []corev1.Event{event("FailedMount", noVolume, epoch)}}
		})
		e := NewEvents(s.cluster(t).Typed, "shop")
		waits := []*corev1.Pod{pod(waiting("ContainerCreating", ""))}
		look := func() []corev1.Event {
			known, _ := e.Of(t.Context(), waits, time.Now())
			synctest.Wait()
			return known
		}
		if known := look(); len(known) != 0 {
			t.Errorf("events before the answer: %v", known)
		}
		if known := look(); len(known) != 1 || explaining(known, waits[0]) == nil {
			t.Errorf("events = %v, want the one that explains the pod", known)
		}
		time.Sleep(eventsEvery)
		look()
		want := "/api/v1/namespaces/shop/events?involvedObject.uid=pod-1"
		if len(asked) != 2 || asked[0] != want {
			t.Errorf("asked %q, want %q twice", asked, want)
		}
		ready := with(pod(running()), corev1.PodReady, corev1.ConditionTrue, "", "", epoch)
		time.Sleep(time.Minute)
		if _, again := e.Of(t.Context(), []*corev1.Pod{ready}, time.Now()); !again.IsZero() || len(asked) != 2 {
			t.Errorf("asked for the events of ready pods: %q", asked)
		}
	})
}

func TestEventsAreOptional(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s := server(func(*http.Request) (int, any) {
			asked++
			return 403, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: metav1.StatusReasonForbidden, Code: 403}
		})
		e := NewEvents(s.cluster(t).Typed, "shop")
		waits := []*corev1.Pod{pod(waiting("ContainerCreating", ""))}
		for range 3 {
			e.Of(t.Context(), waits, time.Now())
			synctest.Wait()
			time.Sleep(eventsEvery)
		}
		if _, again := e.Of(t.Context(), waits, time.Now()); asked != 1 || !again.IsZero() {
			t.Errorf("asked %d times, again at %s; want once, as the answer was no", asked, again)
		}
	})
}
