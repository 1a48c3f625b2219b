package routes

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/istio"
)

// A mesh is a namespace of a cluster with Istio's kinds, where nobody follows them.
type mesh struct {
	*testing.T
	sandbox *sandbox.Sandbox
	ns      string
	record  *release.Record
	set     *Set
}

// newMesh returns a mesh with a route, the user's or one that the release makes.
func newMesh(t *testing.T, users string) *mesh {
	t.Helper()
	m := &mesh{T: t, sandbox: sandboxtest.Start(t)}
	m.ns = sandboxtest.Namespace(t, m.sandbox)
	c, err := kube.Connect(kube.ConnectOptions{Kubeconfig: m.sandbox.Kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	m.record = &release.Record{Namespace: m.ns, Deployment: "web", Service: "web", Router: "istio", VersionLabel: "version", Run: release.Run{ID: "7"}, Preflight: "s3cret"}
	route := istio.Router{}.Make(m.ns, "web")
	if users != "" {
		if err := m.sandbox.Apply(t.Context(), []byte(strings.ReplaceAll(users, "NAMESPACE", m.ns))); err != nil {
			t.Fatal(err)
		}
		route = m.get("virtualservice", "web")
	}
	saved, ok, err := istio.Router{}.Save(route, "web")
	if err == nil && users != "" {
		saved, err = istio.Router{}.SaveNeighbors(saved, "web", m.ns, []router.Object{m.get("destinationrule", "web")})
	}
	if !ok || err != nil {
		t.Fatalf("Save = %v, %v", ok, err)
	}
	saved.Created = users == ""
	m.record.Routes = []release.Route{saved}
	list, err := Watched(m.record)
	if err != nil {
		t.Fatal(err)
	}
	watch, err := c.NewWatch(t.Context(), m.ns, list...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watch.Stop)
	if m.set, err = New(c, watch, m.record); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mesh) try(args ...string) (string, error) {
	out, err := exec.CommandContext(m.Context(), "kubectl", append([]string{"--kubeconfig", m.sandbox.Kubeconfig, "-n", m.ns}, args...)...).CombinedOutput()
	return string(out), err
}

func (m *mesh) kubectl(args ...string) string {
	m.Helper()
	out, err := m.try(args...)
	if err != nil {
		m.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// get returns an object as the API server has it.
func (m *mesh) get(kind, name string) router.Object {
	m.Helper()
	return decode(m.T, m.kubectl("get", kind+".networking.istio.io", name, "-o", "json"))
}

// decode returns an object with whole numbers as the API's clients have them.
func decode(t *testing.T, manifest string) router.Object {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{Object: router.Object{}}
	if err := utiljson.Unmarshal(raw, &o.Object); err != nil {
		t.Fatal(err)
	}
	return o.Object
}

// names lists the objects of Istio's that exist.
func (m *mesh) names() string {
	m.Helper()
	return strings.Join(strings.Fields(m.kubectl("get", "virtualservices,destinationrules", "-o", "name")), " ")
}

func (m *mesh) write(weight int) {
	m.Helper()
	if err := m.set.Write(m.Context(), weight); err != nil {
		m.Fatalf("write %d: %v", weight, err)
	}
	if d := m.set.Drift(); d != "" {
		m.Errorf("at %d: drift %q", weight, d)
	}
}

// has fails the test unless an object's spec is this one.
func (m *mesh) has(kind, name, spec string) {
	m.Helper()
	if diff := cmp.Diff(decode(m.T, spec), m.get(kind, name)["spec"]); diff != "" {
		m.Errorf("%s %s (-want +got):\n%s", kind, name, diff)
	}
}

// manual is the way back of people who type it: the canary's weight to 0.
const manual = `{"spec":{"http":[{"route":[{"destination":{"host":"web-canary","subset":"canary"},"weight":0},{"destination":{"host":"web","subset":"stable"},"weight":100}]}]}}`

// The objects that a release makes, under Istio's own definitions, before, during and
// after it; and the way back that somebody types meanwhile.
func TestTheMeshObjectsOfARelease(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "")
	if err := m.set.OpenPreflight(t.Context()); err != nil {
		t.Fatal(err)
	}
	const all = "virtualservice.networking.istio.io/web-traffic-split destinationrule.networking.istio.io/web-canary-destination destinationrule.networking.istio.io/web-destination"
	if names := m.names(); names != all {
		t.Errorf("the objects are %s", names)
	}
	m.has("virtualservice", "web-traffic-split", `{hosts: [web], http: [
		{name: candlefish-preflight-0-0, match: [{headers: {x-candlefish-preflight: {exact: s3cret}}}], route: [{destination: {host: web-canary, subset: canary}, weight: 100}]},
		{route: [{destination: {host: web-canary, subset: canary}, weight: 0}, {destination: {host: web, subset: stable}, weight: 100}]}]}`)
	m.has("destinationrule", "web-destination", `{host: web, subsets: [{name: stable}]}`)
	m.write(25)
	if err := m.set.ClosePreflight(t.Context()); err != nil {
		t.Fatal(err)
	}
	const at25 = `{hosts: [web], http: [
		{name: candlefish-extra-header-0, match: [{headers: {canary: {exact: "true"}}}], route: [{destination: {host: web-canary, subset: canary}, weight: 100}]},
		{route: [{destination: {host: web-canary, subset: canary}, weight: 25}, {destination: {host: web, subset: stable}, weight: 75}]}]}`
	m.has("virtualservice", "web-traffic-split", at25)
	m.has("destinationrule", "web-destination", `{host: web, subsets: [{name: stable, labels: {version: stable}}]}`)
	m.has("destinationrule", "web-canary-destination", `{host: web-canary, subsets: [{name: canary, labels: {version: canary}}]}`)
	m.write(100)
	m.has("destinationrule", "web-canary-destination", `{host: web-canary, subsets: [{name: canary}]}`) // the hand-over labels pods anew
	m.write(25)

	out, err := m.try("patch", "virtualservice", "web-traffic-split", "--type", "merge", "--patch", strings.NewReplacer(`"host":"web-canary",`, "", `"host":"web",`, "").Replace(manual))
	if err == nil || !strings.Contains(out, "destination.host: Required value") {
		t.Errorf("a destination without a host: %v, %s", err, out)
	}
	m.kubectl("patch", "virtualservice", "web-traffic-split", "--type", "merge", "--patch", manual)
	m.notices("kubectl-patch", "virtualservice web-traffic-split")
	m.write(0)
	m.has("virtualservice", "web-traffic-split", `{hosts: [web], http: [{route: [{destination: {host: web-canary, subset: canary}, weight: 0}, {destination: {host: web, subset: stable}, weight: 100}]}]}`)
	m.write(router.Original)
	m.has("virtualservice", "web-traffic-split", `{hosts: [web], http: [{route: [{destination: {host: web}}]}]}`)
	if err := m.set.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names := m.names(); names != "" {
		t.Errorf("at the end there are %s", names)
	}
}

// notices waits for the watch to see a change, and fails the test unless it is drift
// by this writer.
func (m *mesh) notices(who, what string) {
	m.Helper()
	err := m.set.watch.Until(m.Context(), func(context.Context) error {
		if m.set.Drift() == "" {
			return fmt.Errorf("%w: no drift is seen", kube.ErrNotYet)
		}
		return nil
	})
	if d := m.set.Drift(); err != nil || !strings.Contains(d, who) || !strings.Contains(d, what) {
		m.Errorf("drift is %q, %v; want %s and %s", d, err, who, what)
	}
}

// A user's own objects are given back as they were: the DestinationRule was never
// written to.
func TestTheUsersMeshObjectsAreGivenBack(t *testing.T) {
	t.Parallel()
	m := newMesh(t, `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: NAMESPACE}
spec:
  hosts: [shop.example]
  gateways: [infra/public]
  http:
  - name: checkout
    match: [{uri: {prefix: /checkout}}]
    retries: {attempts: 2}
    mirrors: [{destination: {host: shadow}, percentage: {value: 1.5}}]
    route: [{destination: {host: web.NAMESPACE.svc.cluster.local, subset: v1}}]
  - {route: [{destination: {host: legacy}}]}
  tls: [{match: [{port: 443, sniHosts: [shop.example]}], route: [{destination: {host: web}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: NAMESPACE}
spec:
  host: web
  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 5}}
  subsets: [{name: v1, labels: {app: web}}]
`)
	before, rule := m.get("virtualservice", "web"), m.get("destinationrule", "web")
	m.record.Extras = release.Extras{Cookie: "beta", Affinity: "cf", AffinityValue: "r1"}
	m.record.Preflight = ""
	for range 2 { // a release after the release
		for _, weight := range []int{0, 25, 100, 0} {
			m.write(weight)
		}
		m.write(25)
		m.has("destinationrule", "web-canary-destination", `{host: web-canary, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 5}}, subsets: [{name: v1, labels: {app: web}}]}`)
		m.write(router.Original)
		if err := m.set.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before["spec"], m.get("virtualservice", "web")["spec"]); diff != "" {
		t.Errorf("the VirtualService (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(rule, m.get("destinationrule", "web")); diff != "" {
		t.Errorf("the DestinationRule (-before +after):\n%s", diff)
	}
	if names := m.names(); names != "virtualservice.networking.istio.io/web destinationrule.networking.istio.io/web" {
		t.Errorf("at the end there are %s", names)
	}
}
