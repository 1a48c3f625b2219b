package gatewayapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

func parsed(t *testing.T, manifest string) router.Object {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	// Like the API's decoder: whole numbers are int64.
	refs, err := decodeRefs(json.RawMessage("[" + string(raw) + "]"))
	if err != nil {
		t.Fatal(err)
	}
	return refs[0].(map[string]any)
}

func encoded(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
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

func save(t *testing.T, route router.Object) release.Route {
	t.Helper()
	saved, ok, err := Router{}.Save(route, "web")
	if err != nil || !ok {
		t.Fatalf("Save = %v, %v", ok, err)
	}
	return saved
}

func to(weight int) router.Split {
	return router.Split{Namespace: "production", Service: "web", CanaryService: "web-canary", Weight: weight}
}

// rule returns a rule of the route; tests change it.
func rule(route router.Object, i int) map[string]any { return rules(route)[i].(map[string]any) }

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
			refs, err := splitRefs(json.RawMessage(test.refs), to(test.weight))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, encoded(refs)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := splitRefs(json.RawMessage(`[{"name":"web","weight":20000}]`), to(5)); err == nil {
		t.Error("a weight that cannot be divided by 100 within the API's limit was accepted")
	}
}

func TestAWriteTouchesOnlyOurBackends(t *testing.T) {
	t.Parallel()
	route := parsed(t, twoRules)
	patch, err := Router{}.Write(route, save(t, route), to(25))
	if err != nil {
		t.Fatal(err)
	}
	var ops []struct{ Op, Path string }
	if err := json.Unmarshal(patch.JSON(), &ops); err != nil {
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

// written returns the route after a write, as the API server would store it.
func written(t *testing.T, route router.Object, saved release.Route, split router.Split) router.Object {
	t.Helper()
	patch, err := Router{}.Write(route, saved, split)
	if err != nil {
		t.Fatalf("weight %d: %v", split.Weight, err)
	}
	var ops []struct {
		Op, Path string
		Value    json.RawMessage
	}
	if err := json.Unmarshal(patch.JSON(), &ops); err != nil || len(ops) == 0 {
		t.Fatal(err)
	}
	route = parsed(t, encoded(route))
	for _, op := range ops[1:] {
		var i int
		var field string
		if _, err := fmt.Sscanf(op.Path, "/spec/rules/%d/%s", &i, &field); err != nil || field != "backendRefs" && field != "filters" {
			t.Fatalf("path %s: %v", op.Path, err)
		}
		if op.Op == "remove" {
			delete(rule(route, i), field)
			continue
		}
		value, err := decodeRefs(op.Value)
		if err != nil {
			t.Fatal(err)
		}
		rule(route, i)[field] = value
	}
	return route
}

func TestARestoredRouteIsByteForByteAsBefore(t *testing.T) {
	t.Parallel()
	route := parsed(t, twoRules)
	before, saved := encoded(route), save(t, route)
	for _, weight := range []int{5, 100, 0, 5, router.Original} {
		route = written(t, route, saved, to(weight))
		if again, err := (Router{}).Write(route, saved, to(weight)); err != nil || !again.Empty() {
			t.Errorf("weight %d is written twice: %s, %v", weight, again.JSON(), err)
		}
	}
	if diff := cmp.Diff(before, encoded(route)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A record made from a split route is as good as the one that is lost.
func TestASplitIsUndoneWithoutItsRecord(t *testing.T) {
	t.Parallel()
	for weight := 0; weight <= 100; weight++ {
		route := parsed(t, twoRules)
		live := written(t, route, save(t, route), to(weight))
		whole, err := Router{}.Unsplit(save(t, live), to(0))
		if err != nil {
			t.Fatalf("%d %%: %v", weight, err)
		}
		if drift := (Router{}).Drift(live, whole, to(weight)); drift != "" {
			t.Fatalf("%d %%: %s is no split of what was recovered, %s", weight, drift, whole.Rules)
		}
		plain := written(t, live, whole, router.Split{Namespace: "production", Service: "web", CanaryService: "web-canary", Weight: router.Original})
		if text := encoded(plain); strings.Contains(text, "web-canary") {
			t.Fatalf("%d %%: the canary is still in %s", weight, text)
		}
		if again, err := (Router{}).Unsplit(save(t, plain), to(0)); err != nil || encoded(again) != encoded(save(t, plain)) {
			t.Fatalf("%d %%: a route without a canary became %s (%v)", weight, encoded(again), err)
		}
	}
	for name, refs := range map[string]string{
		"other weights":      `[{name: web, weight: 60}, {name: web-canary, weight: 25}]`,
		"the canary first":   `[{name: web-canary, weight: 25}, {name: web, weight: 75}]`,
		"a third, not ours":  `[{name: web, weight: 75}, {name: web-canary, weight: 25}, {name: legacy, weight: 7}]`,
		"another in between": `[{name: web, weight: 75}, {name: legacy, weight: 100}, {name: web-canary, weight: 25}]`,
	} {
		route := parsed(t, `{metadata: {name: web, namespace: production}, spec: {rules: [{backendRefs: `+refs+`}]}}`)
		if whole, err := (Router{}).Unsplit(save(t, route), to(0)); err == nil {
			t.Errorf("%s: recovered %s", name, whole.Rules)
		}
	}
}

func TestAWriteStopsAtASecondWriter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(router.Object)
		says   string
	}{
		"other backends": {func(o router.Object) {
			rule(o, 2)["backendRefs"] = []any{map[string]any{"name": "elsewhere", "port": int64(80)}}
		}, "the backends of httproute web rule 2"},
		"fewer rules": {func(o router.Object) {
			object.Child(o, "spec")["rules"] = rules(o)[:1]
		}, "rule 2 is gone"},
	} {
		route := parsed(t, twoRules)
		saved := save(t, route)
		c.change(route)
		_, err := Router{}.Write(route, saved, to(25))
		var conflict *router.ConflictError
		if !errors.As(err, &conflict) || !strings.Contains(conflict.What, c.says) {
			t.Errorf("%s: %v, want a conflict that names %q", name, err, c.says)
		}
	}
}

// Whatever weights somebody gave the two versions, an abort takes the canary's
// traffic; the way up does not overwrite them.
func TestOnlyTheWayBackOverwritesWeights(t *testing.T) {
	t.Parallel()
	saved := save(t, parsed(t, twoRules))
	edited := func(key string, value int64) router.Object {
		live := written(t, parsed(t, twoRules), saved, to(25))
		object.List(rule(live, 2), "backendRefs")[1].(map[string]any)[key] = value
		return live
	}
	var conflict *router.ConflictError
	if _, err := (Router{}).Write(edited("weight", 60), saved, to(50)); !errors.As(err, &conflict) {
		t.Errorf("to 50 %%: %v, want a conflict", err)
	}
	for _, weight := range []int{0, router.Original} {
		if back := written(t, edited("weight", 60), saved, to(weight)); (Router{}).Drift(back, saved, to(weight)) != "" {
			t.Errorf("to %d: %s", weight, encoded(rule(back, 2)))
		}
	}
	if _, err := (Router{}).Write(edited("port", 81), saved, to(0)); !errors.As(err, &conflict) {
		t.Errorf("with another port: %v, want a conflict", err)
	}
}

func TestDriftIsAboutOurRulesAlone(t *testing.T) {
	t.Parallel()
	route := parsed(t, twoRules)
	saved := save(t, route)
	if d := (Router{}).Drift(route, saved, to(router.Original)); d != "" {
		t.Errorf("drift %q on what was recorded", d)
	}
	route = written(t, route, saved, to(25))
	rule(route, 1)["backendRefs"] = []any{map[string]any{"name": "elsewhere"}}
	if d := (Router{}).Drift(route, saved, to(25)); d != "" {
		t.Errorf("drift %q on a rule that is not ours", d)
	}
	if d := (Router{}).Drift(route, saved, to(50)); !strings.Contains(d, "rule 0") {
		t.Errorf("drift = %q on another weight, want it to name rule 0", d)
	}
	rule(route, 2)["backendRefs"] = []any{map[string]any{"name": "elsewhere"}}
	if d := (Router{}).Drift(route, saved, to(25)); !strings.Contains(d, "rule 2") {
		t.Errorf("drift = %q, want it to name rule 2", d)
	}
}

func TestARouteToAnotherServiceIsNotSaved(t *testing.T) {
	t.Parallel()
	if _, ok, err := (Router{}).Save(parsed(t, twoRules), "absent"); ok || err != nil {
		t.Errorf("Save = %v, %v, want nothing to save", ok, err)
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
		{"no status", twoRules, false, "has not set its status"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ok, why := Router{}.Accepted(parsed(t, test.manifest), 3)
			if ok != test.ok || !strings.Contains(why, test.why) && !ok {
				t.Errorf("Accepted = %v, %q, want %v with %q", ok, why, test.ok, test.why)
			}
		})
	}
	if ok, _ := (Router{}).Accepted(parsed(t, status("3", "True")), 4); ok {
		t.Error("accepted although the watch has not seen the generation that was written")
	}
}

// TestSplitRefsDividesTheShare tests random splits by the user.
func TestSplitRefsDividesTheShare(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"web", "legacy", "other"}
	for range 5000 {
		refs := []any{map[string]any{"name": "web", "weight": r.IntN(maxBackendWeight / 100)}}
		for range r.IntN(4) {
			refs = append(refs, map[string]any{"name": names[r.IntN(3)], "weight": r.IntN(100)})
		}
		raw, weight := json.RawMessage(encoded(refs)), r.IntN(101)
		split, err := splitRefs(raw, to(weight))
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
		if _, err := splitRefs(json.RawMessage(bad), to(5)); err == nil {
			t.Errorf("splitRefs(%s) gave no error", bad)
		}
	}
}

// The pins of the tests.
var (
	toCanary = router.Pin{Value: "s3cret", Service: "web-canary"}
	toStable = router.Pin{Value: "other", Service: "web"}
	marked   = router.Pin{Value: "s3cret", Service: "web-canary", Mark: router.PreflightMark}
)

// Test requests can be sent to each version: the user's rules are there once for
// each, and a rule's name, which is unique in a route, only once.
func TestThePreflightRouteHasRulesForEachVersion(t *testing.T) {
	t.Parallel()
	user := parsed(t, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: production}
spec:
  rules:
  - name: api
    matches: [{path: {type: PathPrefix, value: /api}}]
    backendRefs: [{name: web, port: 80}, {name: legacy, port: 80, weight: 3}]
`)
	got, err := Router{}.Preflight(user, save(t, user), to(0), "X-P", toCanary, toStable)
	if err != nil {
		t.Fatal(err)
	}
	want := parsed(t, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
spec:
  rules:
  - matches: [{path: {type: PathPrefix, value: /api}, headers: [{type: Exact, name: X-P, value: s3cret}]}]
    backendRefs: [{name: web-canary, port: 80, weight: 1}]
  - matches: [{path: {type: PathPrefix, value: /api}, headers: [{type: Exact, name: X-P, value: other}]}]
    backendRefs: [{name: web, port: 80, weight: 1}]
`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Preflight (-want +got):\n%s", diff)
	}
}

// A route has at most 16 rules and 128 matches, so not every one has room for the
// rules of two versions.
func TestRoomForPins(t *testing.T) {
	t.Parallel()
	route := func(rules, matches int) router.Object {
		list := make([]any, rules)
		for i := range list {
			list[i] = map[string]any{"matches": make([]any, matches), "backendRefs": []any{map[string]any{"name": "web"}}}
		}
		return router.Object{"metadata": map[string]any{"name": "web"}, "spec": map[string]any{"rules": list}}
	}
	for _, c := range []struct {
		rules, matches, pins int
		want                 bool
	}{{1, 0, 2, true}, {8, 8, 2, true}, {9, 1, 2, false}, {9, 1, 1, true}, {8, 9, 2, false}, {5, 3, 3, true}, {6, 1, 3, false}} {
		object := route(c.rules, c.matches)
		if got := (Router{}).Room(object, save(t, object), c.pins); got != c.want {
			t.Errorf("Room of %d rules with %d matches for %d pins = %v, want %v", c.rules, c.matches, c.pins, got, c.want)
		}
	}
}

func TestThePreflightRouteTakesTestRequestsAlone(t *testing.T) {
	t.Parallel()
	user := parsed(t, twoRules)
	before, saved := encoded(user), save(t, user)
	got, err := Router{}.Preflight(user, saved, to(0), "X-Candlefish-Preflight", toCanary)
	if err != nil {
		t.Fatal(err)
	}
	want := parsed(t, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
spec:
  parentRefs: [{name: gw, namespace: infra}]
  hostnames: [shop.example]
  rules:
  - matches: [{path: {type: PathPrefix, value: /api}, headers: [{type: Exact, name: X-Candlefish-Preflight, value: s3cret}]}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: y}]}}]
    backendRefs: [{name: web-canary, port: 80, kind: Service, group: "", weight: 1}]
  - matches: [{headers: [{type: Exact, name: X-Candlefish-Preflight, value: s3cret}]}]
    backendRefs: [{name: web-canary, port: 80, weight: 1}]
`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Preflight (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, encoded(user)); diff != "" {
		t.Errorf("the user's route changed (-before +after):\n%s", diff)
	}
}

func TestTheEntryPoint(t *testing.T) {
	t.Parallel()
	gateway := func(address string) router.Object {
		return parsed(t, `
spec: {listeners: [{name: tcp, protocol: TCP, port: 1}, {name: web, protocol: HTTP, port: 8080}, {name: tls, protocol: HTTPS, port: 443}]}
status: {addresses: [{value: "`+address+`"}]}`)
	}
	for _, c := range []struct{ address, listener, want string }{
		{"192.0.2.1", "", "http://192.0.2.1:8080"},
		{"192.0.2.1", "tls", "https://192.0.2.1:443"},
		{"192.0.2.1", "tcp", ""},
		{"2001:db8::1", "web", "http://[2001:db8::1]:8080"},
	} {
		if got := (Router{}).URL(gateway(c.address), c.listener); got != c.want {
			t.Errorf("URL(%s, %q) = %q, want %q", c.address, c.listener, got, c.want)
		}
	}
	if got := (Router{}).URL(parsed(t, `spec: {listeners: [{protocol: HTTP, port: 80}]}`), ""); got != "" {
		t.Errorf("URL of a gateway without an address = %q", got)
	}
	route := parsed(t, twoRules)
	if got := (Router{}).Host(route); got != "shop.example" {
		t.Errorf("Host = %q", got)
	}
	if diff := cmp.Diff([]router.GatewayRef{{Namespace: "infra", Name: "gw"}}, (Router{}).Gateways(route)); diff != "" {
		t.Errorf("Gateways (-want +got):\n%s", diff)
	}
}

func FuzzRoute(f *testing.F) {
	f.Add(`{"metadata":{"name":"web"},"spec":{"rules":[{"backendRefs":[{"name":"web","weight":3}]}]}}`, 25)
	f.Add(`{"spec":{"rules":[null,{"backendRefs":[7,{"name":"web"}]}]}}`, 0)
	f.Fuzz(func(t *testing.T, manifest string, weight int) {
		refs, err := decodeRefs(json.RawMessage("[" + manifest + "]"))
		if err != nil || len(refs) != 1 {
			return
		}
		route, _ := refs[0].(map[string]any)
		saved, ok, err := Router{}.Save(route, "web")
		if err != nil || !ok {
			return
		}
		split := to(min(max(weight, 0), 100))
		if _, err := (Router{}).Write(route, saved, split); err != nil {
			return
		}
		if patch, err := (Router{}).Write(route, saved, to(router.Original)); err != nil || !patch.Empty() {
			t.Errorf("the recorded route is written over: %s, %v", patch.JSON(), err)
		}
		Router{}.Accepted(route, 1)
		Router{}.Drift(route, saved, split)
		Router{}.Gateways(route)
		_, _ = Router{}.Preflight(route, saved, split, "x", toCanary, toStable)
		_, _ = Router{}.Preflight(route, saved, split, "x", marked)
		Router{}.Room(route, saved, 2)
	})
}

// The gateway marks the answers to test requests, beside what the user's filters
// do, of which a rule has one of a kind.
func TestThePreflightRouteMarksItsAnswers(t *testing.T) {
	t.Parallel()
	user := parsed(t, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: production}
spec:
  rules:
  - backendRefs: [{name: web, port: 80}]
  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: z}]}}]
    backendRefs: [{name: web, port: 80}]
  - filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: a, value: b}], remove: [c]}}]
    backendRefs: [{name: web, port: 80}]
  - filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: a, value: b}]}}]
    backendRefs: [{name: web, port: 80}]
`)
	before := encoded(user)
	got, err := Router{}.Preflight(user, save(t, user), to(0), "X-P", marked)
	if err != nil {
		t.Fatal(err)
	}
	var filters []string
	for _, r := range rules(got) {
		filters = append(filters, encoded(r.(map[string]any)["filters"]))
	}
	const mark = `{"name":"X-P","value":"canary"}`
	want := []string{
		`[{"responseHeaderModifier":{"set":[` + mark + `]},"type":"ResponseHeaderModifier"}]`,
		`[{"requestHeaderModifier":{"set":[{"name":"x","value":"z"}]},"type":"RequestHeaderModifier"},{"responseHeaderModifier":{"set":[` + mark + `]},"type":"ResponseHeaderModifier"}]`,
		`[{"responseHeaderModifier":{"remove":["c"],"set":[{"name":"a","value":"b"},` + mark + `]},"type":"ResponseHeaderModifier"}]`,
		`[{"responseHeaderModifier":{"add":[{"name":"a","value":"b"}],"set":[` + mark + `]},"type":"ResponseHeaderModifier"}]`,
	}
	if diff := cmp.Diff(want, filters); diff != "" {
		t.Errorf("filters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, encoded(user)); diff != "" {
		t.Errorf("the user's route changed (-before +after):\n%s", diff)
	}
}
