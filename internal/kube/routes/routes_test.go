package routes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/kubetest"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/gatewayapi"
	"github.com/candlefish/deploy-action/internal/router/nginx"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

var (
	laneKind  = router.Kind{Group: "example.com", Version: "v1", Resource: "lanes", Name: "Lane"}
	guideKind = router.Kind{Group: "example.com", Version: "v1", Resource: "guides", Name: "Guide"}
	httpKind  = gatewayapi.Router{}.Kind()
)

// lanes is a router whose routes need a Guide beside them. The weight is in the
// Lane, or with guided in the Guide alone.
type lanes struct{ guided bool }

func (lanes) Name() string      { return "lanes" }
func (lanes) Kind() router.Kind { return laneKind }

func specOf(o router.Object) map[string]any {
	spec, _ := o["spec"].(map[string]any)
	return spec
}

func (lanes) Save(o router.Object, service string) (release.Route, bool, error) {
	name, _, _ := unstructured.NestedString(o, "metadata", "name")
	raw, err := json.Marshal(specOf(o)["to"])
	_, split := specOf(o)["canary"]
	return release.Route{Name: name, Rules: raw}, specOf(o)["to"] == service || split && specOf(o)["canary"] == service, err
}

func (l lanes) wanted(to router.Split) map[string]any {
	spec := map[string]any{"to": to.Service}
	if to.Weight != router.Original && !l.guided {
		spec["canary"], spec["weight"] = to.CanaryService, int64(to.Weight)
	}
	return spec
}

func (l lanes) Write(o router.Object, _ release.Route, to router.Split) (jsonpatch.Patch, error) {
	version, _, _ := unstructured.NestedString(o, "metadata", "resourceVersion")
	patch := jsonpatch.Guarded(version)
	if l.Drift(o, release.Route{}, to) == "" {
		return patch, nil
	}
	return patch.Replace("/spec", l.wanted(to)), nil
}

func (lanes) Accepted(router.Object, int64) (bool, string) { return true, "" }

func (l lanes) Drift(o router.Object, _ release.Route, was router.Split) string {
	if within(l.wanted(was), specOf(o)) && len(specOf(o)) == len(l.wanted(was)) {
		return ""
	}
	return "the lane"
}

func (lanes) CompanionKinds() []router.Kind { return []router.Kind{guideKind} }

func (l lanes) Companions(o router.Object, saved release.Route, to router.Split) ([]router.Companion, error) {
	spec := map[string]any{"versions": []any{"stable", "canary"}}
	if l.guided {
		spec["weight"] = int64(to.Weight)
	}
	return []router.Companion{{Kind: guideKind, Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Guide", "metadata": map[string]any{"name": saved.Name + "-guide"}, "spec": spec,
	}}}, nil
}

func (lanes) Make(namespace, service string) router.Object {
	return map[string]any{
		"apiVersion": "example.com/v1", "kind": "Lane", "metadata": map[string]any{"name": service + "-made"}, "spec": map[string]any{"to": service},
	}
}

const web = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: edge}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 80}, {name: web, namespace: shop, port: 80, weight: 2}]}]}
---
apiVersion: example.com/v1
kind: Lane
metadata: {name: web, namespace: shop}
spec: {to: web}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec: {ingressClassName: nginx, rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`

// world is a Server with routes of two routers in two namespaces, and a record of
// them.
type world struct {
	*testing.T
	server *kubetest.Server
	record *release.Record
	lanes  lanes
}

func newWorld(t *testing.T, l lanes, routes ...string) *world {
	t.Helper()
	w := &world{T: t, server: kubetest.New(t, httpKind, laneKind, guideKind, nginx.Router{}.Kind()), lanes: l}
	w.server.Apply(web)
	w.record = &release.Record{Namespace: "shop", Deployment: "web", Service: "web", Router: "gateway-api", Run: release.Run{ID: "7"}, VersionLabel: "version"}
	for _, of := range routes {
		name, namespace, _ := strings.Cut(of, "@")
		r := w.named(name)
		live := w.server.Get(r.Kind(), cmpOr(namespace, "shop"), "web")
		saved, ok, err := routers.Save(r, live.Object, "shop", "web")
		if !ok || err != nil {
			t.Fatalf("%s: %v, %v", of, ok, err)
		}
		saved.Router, saved.Namespace = name, namespace
		w.record.Routes = append(w.record.Routes, saved)
	}
	return w
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func (w *world) named(name string) router.Router {
	switch name {
	case "lanes":
		return w.lanes
	case "nginx":
		return nginx.Router{}
	}
	return routers.Of(name)
}

// process returns the routes as a new process has them.
func (w *world) process() *Set {
	w.Helper()
	c := w.server.Cluster()
	list, err := watched(w.record, w.named)
	if err != nil {
		w.Fatal(err)
	}
	watch, err := c.NewWatch(w.Context(), "shop", list...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(watch.Stop)
	s, err := newSet(c, watch, w.record, w.named)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// settled waits until a process's watch has what the Server has.
func (w *world) settled(s *Set, kind router.Kind, namespace, name string) {
	w.Helper()
	err := s.watch.Until(w.Context(), func(context.Context) error {
		have, seen := w.server.Get(kind, namespace, name), s.watch.Object(kube.Watched{Kind: kind, Namespace: namespace}, name)
		if (have == nil) != (seen == nil) || have != nil && have.GetResourceVersion() != seen.GetResourceVersion() {
			return fmt.Errorf("%w: the watch is behind", kube.ErrNotYet)
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) do(what string, err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("%s: %v", what, err)
	}
}

func (w *world) spec(kind router.Kind, namespace, name string) string {
	o := w.server.Get(kind, namespace, name)
	if o == nil {
		return "none"
	}
	raw, err := json.Marshal(o.Object["spec"])
	if err != nil {
		w.Fatal(err)
	}
	return string(raw)
}

func TestRoutesOfTwoRoutersInTwoNamespacesMoveTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lanes{}, "", "gateway-api@edge", "lanes") // the first is as in a record of version 1.0
	before := w.spec(httpKind, "edge", "web")
	s := w.process()
	for _, weight := range []int{25, 100, 0, router.Original, 25} {
		w.do("write", s.Write(t.Context(), weight))
		if live, err := w.process().LiveWeight(t.Context()); err != nil || live != weight {
			t.Errorf("another process sees weight %d, %v, want %d", live, err, weight)
		}
		if d := s.Drift(); d != "" {
			t.Errorf("at %d: drift %q", weight, d)
		}
	}
	want := `"backendRefs":[{"name":"web","port":80,"weight":100},{"name":"web","namespace":"shop","port":80,"weight":150},{"name":"web-canary","namespace":"shop","port":80,"weight":50}]`
	if got := w.spec(httpKind, "edge", "web"); !strings.Contains(got, want) {
		t.Errorf("the route of another namespace is %s", got)
	}
	w.do("write", s.Write(t.Context(), router.Original))
	w.do("remove", s.Remove(t.Context()))
	if got := w.spec(httpKind, "edge", "web"); got != before {
		t.Errorf("the route is %s, was %s", got, before)
	}
	if got := w.spec(laneKind, "shop", "web") + w.spec(guideKind, "shop", "web-guide"); got != `{"to":"web"}none` {
		t.Errorf("the other router left %s", got)
	}
	w.server.Edit(httpKind, "edge", "web", "argocd-controller", func(o *unstructured.Unstructured) {
		o.Object["spec"].(map[string]any)["rules"] = []any{}
	})
	w.settled(s, httpKind, "edge", "web")
	if d := s.Drift(); !strings.Contains(d, `field manager "argocd-controller" (`) || !strings.Contains(d, "changed the backends of httproute web") {
		t.Errorf("drift = %q", d)
	}
}

func TestACompanionIsThereBeforeTheRouteLeadsToIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lanes{}, "lanes")
	var order []string
	w.server.Before(func(r *http.Request) error {
		order = append(order, r.Method+" "+r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
		return nil
	})
	s := w.process()
	w.do("write", s.Write(t.Context(), 25))
	if !slices.Equal(order, []string{"POST guides", "PATCH web"}) {
		t.Errorf("the writes are %q", order)
	}
	guide := w.server.Get(guideKind, "shop", "web-guide")
	if guide.GetLabels()[kube.LabelTarget] != "web" || guide.GetAnnotations()[kube.AnnotationRun] != "7" {
		t.Errorf("the companion does not say whose it is: %v %v", guide.GetLabels(), guide.GetAnnotations())
	}
}

// A process dies between the companion and the route; the next one goes back, and
// another release follows.
func TestAKillBetweenCompanionAndRoute(t *testing.T) {
	t.Parallel()
	for _, l := range []lanes{{}, {guided: true}} {
		w := newWorld(t, l, "lanes")
		w.do("write", w.process().Write(t.Context(), 5))
		w.server.Before(func(r *http.Request) error {
			if strings.Contains(r.URL.Path, "/lanes/") {
				return errors.New("the process is gone")
			}
			return nil
		})
		err := w.process().Write(t.Context(), 25)
		if !l.guided && err == nil {
			t.Fatal("the write succeeded")
		}
		w.server.Before(nil)
		next := w.process()
		next.Expect(5, 25, router.Original)
		live, err := next.LiveWeight(t.Context())
		if want := map[bool]int{false: 5, true: 25}[l.guided]; err != nil || live != want {
			t.Errorf("%+v: live weight %d, %v, want %d", l, live, err, want)
		}
		if d := next.Drift(); d != "" {
			t.Errorf("%+v: drift %q of an earlier process's writes", l, d)
		}
		for _, weight := range []int{0, router.Original} {
			w.do("write", next.Write(t.Context(), weight))
		}
		w.do("remove", next.Remove(t.Context()))
		if got := w.spec(guideKind, "shop", "web-guide"); got != "none" {
			t.Errorf("%+v: the companion is left: %s", l, got)
		}
		again := w.process()
		w.record.Run.ID = "8"
		w.do("write", again.Write(t.Context(), 100))
		if live, err := again.LiveWeight(t.Context()); err != nil || live != 100 {
			t.Errorf("%+v: the second release has weight %d, %v", l, live, err)
		}
	}
}

func TestWhoChangesOrDeletesACompanionIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lanes{guided: true}, "lanes")
	s := w.process()
	w.do("write", s.Write(t.Context(), 25))
	w.server.Edit(guideKind, "shop", "web-guide", "kubectl-edit", func(o *unstructured.Unstructured) { o.SetLabels(kube.With(o.GetLabels(), "team", "a")) })
	w.settled(s, guideKind, "shop", "web-guide")
	if d := s.Drift(); d != "" {
		t.Errorf("a label of somebody else is drift: %q", d)
	}
	w.server.Edit(guideKind, "shop", "web-guide", "kubectl-edit", func(o *unstructured.Unstructured) { o.Object["spec"].(map[string]any)["weight"] = int64(50) })
	w.settled(s, guideKind, "shop", "web-guide")
	if d := s.Drift(); !strings.Contains(d, `field manager "kubectl-edit" (`) || !strings.HasSuffix(d, ") changed guide shop/web-guide") {
		t.Errorf("drift = %q", d)
	}
	if live, err := w.process().LiveWeight(t.Context()); err != nil || live != 50 {
		t.Errorf("live weight %d, %v, want what is live", live, err)
	}
	w.server.Edit(guideKind, "shop", "web-guide", "kubectl-edit", func(o *unstructured.Unstructured) { o.Object["spec"].(map[string]any)["versions"] = []any{} })
	var drift *rollout.DriftError
	if _, err := w.process().LiveWeight(t.Context()); !errors.As(err, &drift) {
		t.Errorf("a companion that is no release's: %v", err)
	}
	w.server.Delete(guideKind, "shop", "web-guide")
	w.settled(s, guideKind, "shop", "web-guide")
	if d := s.Drift(); d != "guide shop/web-guide was deleted" {
		t.Errorf("drift = %q", d)
	}
	w.do("write", s.Write(t.Context(), 0)) // the way back needs no consent
	if live, err := s.LiveWeight(t.Context()); err != nil || live != 0 {
		t.Errorf("after the way back: %d, %v", live, err)
	}
}

func TestACompanionOfSomebodyElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, labels := range []string{"{}", "{deploy.candlefish.ai/deployment: other}", "{deploy.candlefish.ai/deployment: web, deploy.candlefish.ai/namespace: blog}"} {
		w := newWorld(t, lanes{}, "lanes")
		w.server.Apply("apiVersion: example.com/v1\nkind: Guide\nmetadata: {name: web-guide, namespace: shop, labels: " + labels + "}\nspec: {mine: true}\n")
		s := w.process()
		if err := s.Write(t.Context(), 25); err == nil || !strings.Contains(err.Error(), "guide shop/web-guide beside it: it exists and does not belong to this rollout") {
			t.Errorf("%s: %v", labels, err)
		}
		w.do("remove", s.Remove(t.Context()))
		if got := w.spec(guideKind, "shop", "web-guide") + w.spec(laneKind, "shop", "web"); got != `{"mine":true}{"to":"web"}` {
			t.Errorf("%s: something changed: %s", labels, got)
		}
	}
}

func TestARouteThatTheReleaseMakesIsGoneAtItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lanes{})
	saved, _, err := lanes{}.Save(lanes{}.Make("shop", "web"), "web")
	w.do("save", err)
	saved.Router, saved.Created = "lanes", true
	w.record.Routes = []release.Route{saved}
	for range 2 {
		s := w.process()
		s.Expect(router.Original)
		if missing, d := s.Missing(), s.Drift(); len(missing) > 0 || d != "" {
			t.Errorf("before it is made: missing %v, drift %q", missing, d)
		}
		w.do("write", s.Write(t.Context(), 25))
		if live, err := w.process().LiveWeight(t.Context()); err != nil || live != 25 {
			t.Errorf("live weight %d, %v", live, err)
		}
		w.do("write", s.Write(t.Context(), 0))
		w.do("write", s.Write(t.Context(), router.Original))
		w.do("remove", s.Remove(t.Context()))
		if got := w.spec(laneKind, "shop", "web-made") + w.spec(guideKind, "shop", "web-made-guide"); got != "nonenone" {
			t.Errorf("left: %s", got)
		}
	}
}

// A router that leads test requests by the split itself has them from before the
// first weight to the hand-over, whichever process writes.
func TestTestRequestsOfAnInlineSplit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lanes{}, "nginx", "")
	w.record.Preflight, w.record.PreflightStable = nginx.Router{}.PinValues()
	canary := func() map[string]string {
		if o := w.server.Get(nginx.Router{}.Kind(), "shop", "web-canary"); o != nil {
			return o.GetAnnotations()
		}
		return nil
	}
	const prefix = "nginx.ingress.kubernetes.io/canary-"
	s := w.process()
	w.do("open", s.OpenPreflight(t.Context()))
	if a := canary(); a[prefix+"by-header"] != PreflightHeader || a[prefix+"weight"] != "0" {
		t.Errorf("before the first weight: %v", a)
	}
	if w.spec(httpKind, "shop", "web-preflight") == "none" {
		t.Error("the other router has no preflight route")
	}
	w.do("write", s.Write(t.Context(), 25))
	next := w.process()
	next.Expect(25)
	if live, err := next.LiveWeight(t.Context()); err != nil || live != 25 || next.Drift() != "" {
		t.Errorf("another process sees %d, %v, drift %q", live, err, next.Drift())
	}
	for _, p := range []*Set{next, s} {
		w.do("close", p.ClosePreflight(t.Context()))
		if live, err := p.LiveWeight(t.Context()); err != nil || live != 25 {
			t.Errorf("closed at %d, %v", live, err)
		}
	}
	for _, weight := range []int{100, 0, router.Original} {
		w.do("write", s.Write(t.Context(), weight))
	}
	if a := canary(); a[prefix+"weight"] != "0" {
		t.Errorf("before it is removed: %v", a)
	}
	w.do("remove", s.Remove(t.Context()))
	if canary() != nil || w.spec(httpKind, "shop", "web-preflight") != "none" {
		t.Error("something is left")
	}
}

func TestTheRecordOfALaterVersionIsNamed(t *testing.T) {
	t.Parallel()
	record := &release.Record{Namespace: "shop", Router: "gateway-api", Routes: []release.Route{{Name: "web", Router: "future"}}}
	if _, err := Watched(record); err == nil || !strings.Contains(err.Error(), `names the router "future", which this version does not have`) {
		t.Errorf("%v", err)
	}
}
