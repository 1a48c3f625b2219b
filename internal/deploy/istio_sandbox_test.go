package deploy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// mesh returns Istio's objects of the namespace as a person wrote them.
func (w *world) mesh() string {
	w.t.Helper()
	var list struct{ Items []map[string]any }
	if err := json.Unmarshal([]byte(w.kubectl("get", "virtualservices,destinationrules", "-o", "json")), &list); err != nil {
		w.t.Fatal(err)
	}
	var lines []string
	for _, item := range list.Items {
		spec, err := json.Marshal(item["spec"])
		if err != nil {
			w.t.Fatal(err)
		}
		meta := item["metadata"].(map[string]any)
		lines = append(lines, fmt.Sprintf("%v %v %s %v", item["kind"], meta["name"], spec, meta["labels"]))
	}
	return strings.Join(lines, "\n")
}

// No proxy follows a VirtualService here. A release by it alone is not believed: the
// answers do not show it. Beside an HTTPRoute, whose gateway shows the weights, it
// gets the same ones, and is given back.
func TestAVirtualServiceIsNotBelievedWithoutAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.sandbox.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: %s}
spec:
  hosts: [%[1]s.example.com]
  http: [{name: all, timeout: 5s, route: [{destination: {host: %[2]s.%[1]s.svc.cluster.local}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: %[1]s}
spec: {host: %[2]s, trafficPolicy: {connectionPool: {tcp: {maxConnections: 10}}}}
`, w.ns, sample.Name)); err != nil {
		t.Fatal(err)
	}
	objects, mesh := w.spec(), w.mesh()
	l := w.load(50)
	p := w.deploy("--image", w.image("v2", nil), "--router", "istio", "--route-rules", "all", "--probe-url", w.gateway.URL, "--steps", "25,100", "--propagation-timeout", "8s")
	p.reaches("test requests to reach the canary")
	if during := w.mesh(); !strings.Contains(during, `"name":"candlefish-preflight-0-0"`) || !strings.Contains(during, "DestinationRule "+sample.Name+"-canary-destination ") {
		t.Errorf("while test requests are waited for, the objects are:\n%s", during)
	}
	if out := p.ends(4); !strings.Contains(out, `got the stable version's header:X-Version "v1" for 8s`) {
		t.Errorf("the output does not say why:\n%s", out)
	}
	if after := w.mesh(); after != mesh {
		t.Errorf("after the abort:\n%s\nbefore:\n%s", after, mesh)
	}
	if after := w.spec(); after != objects {
		t.Errorf("the objects are not as before:\n%s\nbefore:\n%s", after, objects)
	}
	p = w.deploy("--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "3s")
	p.reaches(atStep(25))
	if during := w.mesh(); !strings.Contains(during, `{"destination":{"host":"`+sample.Name+"-canary."+w.ns+`.svc.cluster.local"},"weight":25}`) {
		t.Errorf("at 25 %% the objects are:\n%s", during)
	}
	p.ends(0)
	l.unhurt(t)
	if after := w.mesh(); after != mesh {
		t.Errorf("after the release:\n%s\nbefore:\n%s", after, mesh)
	}
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers after the release", got)
	}
}
