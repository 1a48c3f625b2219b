package kube

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/rollout"
)

func route(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	var u unstructured.Unstructured
	if err := u.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return &u
}

const twoRules = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: production, generation: 3, resourceVersion: "77"}
spec:
  parentRefs: [{name: gw, namespace: infra}]
  hostnames: [shop.example]
  rules:
  - matches: [{path: {type: PathPrefix, value: /api}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: y}]}}]
    backendRefs: [{name: web, port: 80, kind: Service, group: "", weight: 3}, {name: legacy, port: 80, weight: 1}]
  - matches: [{path: {type: PathPrefix, value: /other}}]
    backendRefs: [{name: other, port: 80}]
  - backendRefs: [{name: web, port: 80}]
`

func target(t *testing.T, r *unstructured.Unstructured) *Target {
	t.Helper()
	saved, points, err := saveRoute(r, "web")
	if err != nil || !points {
		t.Fatalf("saveRoute = %v, %v", points, err)
	}
	return &Target{
		record:  &Record{Namespace: "production", Service: "web", Routes: []savedRoute{saved}},
		written: map[string]writtenRoute{},
	}
}

func TestSplitRefsKeepsTheUsersProportions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, refs string
		weight     int
		want       string
	}{
		{"one backend without a weight", `[{"name":"web","port":80}]`, 5, `[{"name":"web","port":80,"weight":95},{"name":"web-canary","port":80,"weight":5}]`},
		{"all to the canary", `[{"name":"web","port":80,"weight":1}]`, 100, `[{"name":"web","port":80,"weight":0},{"name":"web-canary","port":80,"weight":100}]`},
		{"a split of the user's own", `[{"name":"web","weight":3},{"name":"legacy","weight":1}]`, 25, `[{"name":"web","weight":225},{"name":"web-canary","weight":75},{"name":"legacy","weight":100}]`},
		{"switched off by the user", `[{"name":"web","weight":0},{"name":"legacy","weight":1}]`, 50, `[{"name":"web","weight":0},{"name":"web-canary","weight":0},{"name":"legacy","weight":100}]`},
		{"filters come along", `[{"name":"web","filters":[{"type":"X"}]}]`, 50, `[{"filters":[{"type":"X"}],"name":"web","weight":50},{"filters":[{"type":"X"}],"name":"web-canary","weight":50}]`},
		{"a namesake elsewhere", `[{"name":"web","namespace":"prod2"},{"name":"web"}]`, 50, `[{"name":"web","namespace":"prod2","weight":100},{"name":"web","weight":50},{"name":"web-canary","weight":50}]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			refs, err := splitRefs(json.RawMessage(test.refs), "web", "web-canary", "production", test.weight)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(mustJSON(refs))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := splitRefs(json.RawMessage(`[{"name":"web","weight":20000}]`), "web", "c", "production", 5); err == nil {
		t.Error("a weight that cannot be divided by 100 within the API's limit was accepted")
	}
}

func TestRoutePatchTouchesOnlyOurBackends(t *testing.T) {
	t.Parallel()
	r := route(t, twoRules)
	tg := target(t, r)
	writes, err := tg.wantedRoutes(25)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := tg.routePatch(r, writes[0])
	if err != nil {
		t.Fatal(err)
	}
	var ops []struct{ Op, Path string }
	if err := json.Unmarshal(patch, &ops); err != nil {
		t.Fatal(err)
	}
	want := []struct{ Op, Path string }{
		{"replace", "/metadata/resourceVersion"},
		{"replace", "/spec/rules/0/backendRefs"},
		{"replace", "/spec/rules/2/backendRefs"},
	}
	if diff := cmp.Diff(want, ops); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

func TestRoutePatchBackToTheOriginalIsByteForByte(t *testing.T) {
	t.Parallel()
	before := route(t, twoRules)
	tg := target(t, before)
	changed := before.DeepCopy()
	set := func(weight int) {
		writes, err := tg.wantedRoutes(weight)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tg.routePatch(changed, writes[0]); err != nil {
			t.Fatalf("weight %d: %v", weight, err)
		}
		rules, _, _ := unstructured.NestedSlice(changed.Object, "spec", "rules")
		for i, refs := range writes[0].rules {
			rules[i].(map[string]any)["backendRefs"] = refs
		}
		if err := unstructured.SetNestedSlice(changed.Object, rules, "spec", "rules"); err != nil {
			t.Fatal(err)
		}
	}
	for _, weight := range []int{5, 100, 0, original} {
		set(weight)
	}
	if diff := cmp.Diff(string(mustJSON(before.Object)), string(mustJSON(changed.Object))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRoutePatchStopsAtASecondWriter(t *testing.T) {
	t.Parallel()
	r := route(t, twoRules)
	tg := target(t, r)
	rules, _, _ := unstructured.NestedSlice(r.Object, "spec", "rules")
	rules[2].(map[string]any)["backendRefs"] = []any{map[string]any{"name": "elsewhere", "port": int64(80)}}
	_ = unstructured.SetNestedSlice(r.Object, rules, "spec", "rules")
	now := metav1.Now()
	r.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: FieldManager, Time: &now}, {Manager: "helm", Time: &now}})
	writes, err := tg.wantedRoutes(25)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tg.routePatch(r, writes[0])
	drift, ok := err.(*rollout.DriftError)
	if !ok || !strings.Contains(drift.Who, "helm") || !strings.Contains(drift.What, "rule 2") {
		t.Errorf("error = %v, want a DriftError that names helm and rule 2", err)
	}
}

func TestRouteAccepted(t *testing.T) {
	t.Parallel()
	status := func(generation, condition string) string {
		return twoRules + `
status:
  parents:
  - parentRef: {name: gw, namespace: infra, group: gateway.networking.k8s.io, kind: Gateway}
    conditions:
    - {type: Accepted, status: "True", observedGeneration: ` + generation + `}
    - {type: ResolvedRefs, status: "` + condition + `", observedGeneration: ` + generation + `, message: no service}
`
	}
	tests := []struct {
		name, manifest string
		ok             bool
		why            string
	}{
		{"accepted", status("3", "True"), true, ""},
		{"an older generation", status("2", "True"), false, "generation 2"},
		{"unresolved", status("3", "False"), false, "no service"},
		{"no status", twoRules, false, "has not answered"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ok, why := routeAccepted(route(t, test.manifest), 3)
			if ok != test.ok || !strings.Contains(why, test.why) && !ok {
				t.Errorf("routeAccepted = %v, %q, want %v with %q", ok, why, test.ok, test.why)
			}
		})
	}
	if ok, _ := routeAccepted(route(t, status("3", "True")), 4); ok {
		t.Error("accepted although the watch has not seen the generation that was written")
	}
}

func TestRouteDriftIsAboutOurRulesAlone(t *testing.T) {
	t.Parallel()
	r := route(t, twoRules)
	tg := target(t, r)
	writes, _ := tg.wantedRoutes(original)
	w := writtenRoute{generation: 3, rules: writes[0].rules}
	if d := routeDrift(r, w); d != "" {
		t.Errorf("drift %q on our own generation", d)
	}
	r.SetGeneration(4)
	rules, _, _ := unstructured.NestedSlice(r.Object, "spec", "rules")
	rules[1].(map[string]any)["backendRefs"] = []any{map[string]any{"name": "elsewhere"}}
	_ = unstructured.SetNestedSlice(r.Object, rules, "spec", "rules")
	if d := routeDrift(r, w); d != "" {
		t.Errorf("drift %q on a rule that is not ours", d)
	}
	rules[0].(map[string]any)["backendRefs"] = []any{map[string]any{"name": "elsewhere"}}
	_ = unstructured.SetNestedSlice(r.Object, rules, "spec", "rules")
	if d := routeDrift(r, w); !strings.Contains(d, "rule 0") {
		t.Errorf("drift = %q, want it to name rule 0", d)
	}
}

// TestSplitRefsDividesTheShare throws random splits of the user's own at it.
func TestSplitRefsDividesTheShare(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"web", "legacy", "other"}
	for range 5000 {
		refs := []any{map[string]any{"name": "web", "weight": r.IntN(maxBackendWeight / 100)}}
		for range r.IntN(4) {
			refs = append(refs, map[string]any{"name": names[r.IntN(3)], "weight": r.IntN(100)})
		}
		raw, weight := json.RawMessage(mustJSON(refs)), r.IntN(101)
		split, err := splitRefs(raw, "web", "web-canary", "production", weight)
		if err != nil {
			t.Fatalf("split %s: %v", raw, err)
		}
		var user, canary int64
		for _, ref := range split {
			m := ref.(map[string]any)
			switch w := m["weight"].(int64); m["name"] {
			case "web-canary":
				canary += w
			case "web":
				user += w
			}
		}
		if canary*int64(100-weight) != user*int64(weight) {
			t.Fatalf("split %s by %d: %d to %d", raw, weight, user, canary)
		}
	}
	for _, bad := range []string{`[null]`, `[7]`, `{`, `[{"name":"web","weight":20000}]`} {
		if _, err := splitRefs(json.RawMessage(bad), "web", "c", "production", 5); err == nil {
			t.Errorf("splitRefs(%s) gave no error", bad)
		}
	}
}

func TestReachRouteTakesMarkedRequestsAlone(t *testing.T) {
	t.Parallel()
	user := route(t, twoRules)
	before := user.DeepCopy()
	target := target(t, user)
	target.record.Deployment, target.record.Reach = "web", "s3cret"
	got, err := target.reachRoute(user, target.record.Routes[0])
	if err != nil {
		t.Fatal(err)
	}
	want := route(t, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: web-reach
  labels: {deploy.candlefish.ai/deployment: web}
  annotations: {deploy.candlefish.ai/run: ""}
spec:
  parentRefs: [{name: gw, namespace: infra}]
  hostnames: [shop.example]
  rules:
  - matches: [{path: {type: PathPrefix, value: /api}, headers: [{type: Exact, name: X-Candlefish-Reach, value: s3cret}]}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: y}]}}]
    backendRefs: [{name: web-canary, port: 80, kind: Service, group: "", weight: 1}]
  - matches: [{headers: [{type: Exact, name: X-Candlefish-Reach, value: s3cret}]}]
    backendRefs: [{name: web-canary, port: 80, weight: 1}]
`)
	if diff := cmp.Diff(want.Object, got.Object); diff != "" {
		t.Errorf("reachRoute (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before.Object, user.Object); diff != "" {
		t.Errorf("the user's route changed (-before +after):\n%s", diff)
	}
}
