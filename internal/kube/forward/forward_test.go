package forward

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/httpstream"                 //nolint:staticcheck // portforward of this client-go takes its types
	spdystream "k8s.io/apimachinery/pkg/util/httpstream/spdy" //nolint:staticcheck // see above
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"

	"github.com/candlefish/deploy-action/internal/kube"
)

// serve forwards as a kubelet behind an API server does: to a website on port 3000 of
// a pod; nothing listens on its other ports.
func serve(t *testing.T, website http.Handler) *kube.Cluster {
	t.Helper()
	site := httptest.NewServer(website)
	t.Cleanup(site.Close)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/api/v1/namespaces/shop/pods/web-1/portforward":
			http.Error(w, `pods "web-2" not found`, http.StatusNotFound)
		case r.Header.Get("Authorization") != "Bearer secret":
			http.Error(w, "who are you", http.StatusUnauthorized)
		case r.Method != http.MethodPost:
			http.Error(w, `cannot get resource "pods/portforward"`, http.StatusForbidden) // a WebSocket
		default:
			forwardTo(t, w, r, site.Listener.Addr().String())
		}
	}))
	t.Cleanup(api.Close)
	c, err := kube.ConnectTo(&rest.Config{Host: api.URL, BearerToken: "secret"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func forwardTo(t *testing.T, w http.ResponseWriter, r *http.Request, site string) {
	t.Helper()
	if _, err := httpstream.Handshake(r, w, []string{protocol}); err != nil {
		t.Errorf("handshake: %v", err)
		return
	}
	streams := make(chan httpstream.Stream, 2)
	connection := spdystream.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if connection == nil {
		return
	}
	failures, data := <-streams, <-streams
	if kinds := failures.Headers().Get(corev1.StreamType) + data.Headers().Get(corev1.StreamType); kinds != corev1.StreamTypeError+corev1.StreamTypeData {
		t.Errorf("streams %s", kinds)
	}
	if port := data.Headers().Get(corev1.PortHeader); port != "3000" {
		_, _ = fmt.Fprintf(failures, "dial tcp4 127.0.0.1:%s: connect: connection refused", port)
		_, _ = failures.Close(), data.Close()
		return
	}
	upstream, err := new(net.Dialer).DialContext(r.Context(), "tcp", site)
	if err != nil {
		t.Error(err)
		return
	}
	go func() { _, _ = io.Copy(upstream, data) }()
	_, _ = io.Copy(data, upstream)
	_, _ = failures.Close(), data.Close()
}

func client(c *kube.Cluster, pod string, port int) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return Dial(ctx, c, "shop", pod, port)
	}}}
}

func get(t *testing.T, c *http.Client, method, body string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://pod/api/health?full=1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	return res.Status + " " + string(raw), err
}

// The bytes arrive as they were sent: an HTTP proxy would rewrite links and headers.
func TestDial(t *testing.T) {
	t.Parallel()
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<a href="/x">%s %s %s %s</a>`, r.Method, r.URL, r.Header.Get("Authorization"), body)
	}))
	for range 2 {
		got, err := get(t, client(c, "web-1", 3000), http.MethodPost, "name=value")
		if want := `200 OK <a href="/x">POST /api/health?full=1  name=value</a>`; err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestDialSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := serve(t, http.NotFoundHandler())
	_, err := get(t, client(c, "web-1", 8080), http.MethodGet, "")
	if err == nil || !strings.Contains(err.Error(), "the kubelet: dial tcp4 127.0.0.1:8080: connect: connection refused") {
		t.Errorf("a port without a listener: %v", err)
	}
	_, err = get(t, client(c, "web-2", 3000), http.MethodGet, "")
	if err == nil || !strings.Contains(err.Error(), "forward to port 3000 of pod shop/web-2") || !strings.Contains(err.Error(), "not found") {
		t.Errorf("a pod that is gone: %v", err)
	}
}

// A dial that hangs ends with its context.
func TestDialEndsWithItsContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer api.Close()
	defer close(release)
	c, err := kube.ConnectTo(&rest.Config{Host: api.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, c, "shop", "web-1", 3000); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("error %v", err)
	}
}

func TestReadyPodsAndTheirPorts(t *testing.T) {
	t.Parallel()
	yes := true
	pod := func(name, owner string, ready bool, ports ...corev1.ContainerPort) corev1.Pod {
		status := corev1.ConditionFalse
		if ready {
			status = corev1.ConditionTrue
		}
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: []metav1.OwnerReference{{Controller: &yes, UID: types.UID(owner)}}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: ports}}},
			Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}, ContainerStatuses: []corev1.ContainerStatus{{RestartCount: 2}}},
		}
	}
	named := corev1.ContainerPort{Name: "web", ContainerPort: 3000}
	all := []corev1.Pod{pod("b", "u-1", true, named), pod("c", "u-1", false, named), pod("a", "u-1", true, named), {ObjectMeta: metav1.ObjectMeta{Name: "nobody's"}}}
	for name, c := range map[string]struct {
		ports []corev1.ServicePort
		want  string
	}{
		"a number":               {[]corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}, "[{a 2 8080} {b 2 8080}] <nil>"},
		"a name":                 {[]corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("web")}}, "[{a 2 3000} {b 2 3000}] <nil>"},
		"the port itself":        {[]corev1.ServicePort{{Port: 80}}, "[{a 2 80} {b 2 80}] <nil>"},
		"the one named http":     {[]corev1.ServicePort{{Name: "metrics", Port: 9090}, {Name: "http", Port: 80}}, "[{a 2 80} {b 2 80}] <nil>"},
		"a name that no pod has": {[]corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("api")}}, `[] pod b has no port "api", which the Service leads to`},
		"no ports":               {nil, "[] service web has no ports"},
	} {
		got, err := ready(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{Ports: c.ports}}, all, "u-1")
		if text := fmt.Sprint(got, " ", err); text != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}
