package deploy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/probe"
)

// versions returns how many of 40 requests with these headers each version answers.
func (w *world) versions(header http.Header) map[string]int {
	w.t.Helper()
	seen := map[string]int{}
	client := &http.Client{Timeout: 5 * time.Second}
	for range 40 {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.gateway.URL+"/", nil)
		if err != nil {
			w.t.Fatal(err)
		}
		req.Host = w.ns + ".example.com"
		req.Header = header.Clone()
		resp, err := client.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		_ = resp.Body.Close()
		seen[resp.Header.Get("X-Version")]++
	}
	return seen
}

var (
	byHeader  = http.Header{"Canary": {"true"}}
	byCookie  = http.Header{"Cookie": {"a=b; beta=always"}}
	elsewhere = http.Header{"Cookie": {"beta=never; xbeta=always"}}
)

// Marked users see the new version while it has traffic, and after an abort all are
// on the stable one; nobody notices anything else. Then the same once more, up to the
// promotion.
func TestMarkedUsersSeeTheNewVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.spec()
	loads := []*load{w.load(50), w.loadWith(30, byHeader), w.loadWith(30, byCookie)}
	marks := []string{"--canary-header", "canary: true", "--canary-cookie", "beta"}
	p := w.deploy(append(marks, "--image", w.image("v2", nil), "--steps", "5,100", "--step-duration", "60s")...)
	p.reaches(atStep(5))
	for name, header := range map[string]http.Header{"header": byHeader, "cookie": byCookie} {
		if seen := w.versions(header); seen["v2"] != 40 {
			t.Errorf("requests with the %s are answered by %v, want v2 alone", name, seen)
		}
	}
	if seen := w.versions(elsewhere); seen["v1"] < 20 {
		t.Errorf("requests with another cookie are answered by %v, want mostly v1", seen)
	}
	w.deploy("--command", "abort").ends(0)
	p.ends(4)
	for name, header := range map[string]http.Header{"header": byHeader, "cookie": byCookie, "neither": nil} {
		if seen := w.versions(header); seen["v1"] != 40 {
			t.Errorf("after the abort, requests with the %s are answered by %v, want v1 alone", name, seen)
		}
	}
	if after := w.spec(); after != before {
		t.Errorf("the objects are not as before:\n%s\nbefore:\n%s", after, before)
	}
	w.deploy(append(marks, "--image", w.image("v3", nil), "--steps", "50,100", "--step-duration", "1s")...).ends(0)
	for name, header := range map[string]http.Header{"header": byHeader, "cookie": byCookie, "neither": nil} {
		if seen := w.versions(header); seen["v3"] != 40 {
			t.Errorf("after the promotion, requests with the %s are answered by %v, want v3 alone", name, seen)
		}
	}
	for _, l := range loads {
		l.unhurt(t)
	}
	if routes := strings.Fields(w.kubectl("get", "httproutes", "-o", "name")); len(routes) != 1 {
		t.Errorf("the routes %q remain, want the user's alone", routes)
	}
}

// This gateway's class lists neither mirrors nor filters of single backends: it would
// answer 500 to the first and ignore the others.
func TestWhatTheGatewayCannotIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, image := w.spec(), w.image("v2", nil)
	for _, c := range []struct{ flag, value, want string }{
		{"--mirror", "10", `mirror: the gateway's class "web" does not list the feature HTTPRouteRequestMirror`},
		{"--affinity", "release", `affinity: the gateway's class "web" does not list the feature HTTPRouteBackendRequestHeaderModification`},
		{"--route-rules", "checkout", "route-rules: the router gateway-api of httproute " + sample.Name + " has no rules with names"},
	} {
		if out := w.deploy("--image", image, c.flag, c.value).ends(1); !strings.Contains(out, c.want) {
			t.Errorf("%s: the output lacks %q:\n%s", c.flag, c.want, out)
		}
	}
	if after := w.spec(); after != before {
		t.Errorf("something changed:\n%s\nbefore:\n%s", after, before)
	}
}

// A gRPC server behind a GRPCRoute, with gRPC clients: two releases in a row.
func TestReleasesBehindAGRPCRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kubectl("delete", "httproute", sample.Name)
	if err := w.sandbox.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: %s, namespace: %s}
spec:
  parentRefs: [{name: %s, namespace: %s}]
  hostnames: [%[2]s.example.com]
  rules: [{backendRefs: [{name: %[1]s, port: 80}]}]
`, sample.Name, w.ns, w.gateway.Name, w.gateway.Namespace)); err != nil {
		t.Fatal(err)
	}
	target := probe.Target{URL: w.gateway.URL + "/", Host: w.ns + ".example.com", GRPC: true}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if sample, err := probe.Fetch(t.Context(), target, "test"); err == nil && sample.Status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the gateway did not apply the GRPCRoute within a minute")
		}
	}
	var failed, total int
	clients, err := probe.Start(t.Context(), probe.Config{Target: target, Rate: 100, Version: "test", Book: &probe.Book{}, OnAnswer: func(a probe.Answer) {
		if total++; a.Failed {
			failed++
			t.Logf("%+v", a)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"v2", "v3"} {
		p := w.deploy("--image", w.image(tag, nil), "--steps", "50,100", "--step-duration", "2s", "--probe-grpc-services", "shop.Cart", "--canary-header", "canary: true")
		p.ends(0)
		if got := p.outputs()["failed-requests"]; got != "0" {
			t.Errorf("%s: failed-requests = %q, want 0", tag, got)
		}
		sample, err := probe.Fetch(t.Context(), target, "test")
		if err != nil || sample.Header.Get("X-Version") != tag {
			t.Errorf("after the release of %s the answer is by %s, %v", tag, sample.Header.Get("X-Version"), err)
		}
	}
	clients.Stop()
	<-clients.Done()
	if failed > 0 || total == 0 {
		t.Errorf("%d of %d gRPC requests failed", failed, total)
	}
	if routes := strings.Fields(w.kubectl("get", "grpcroutes", "-o", "name")); len(routes) != 1 {
		t.Errorf("the routes %q remain, want the user's alone", routes)
	}
}
