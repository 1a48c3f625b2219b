package istio

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
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
	all, err := decodeList(json.RawMessage("[" + string(raw) + "]"))
	if err != nil {
		t.Fatal(err)
	}
	return all[0].(map[string]any)
}

func encoded(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func to(weight int) router.Split {
	return router.Split{Namespace: "production", Service: "web", CanaryService: "web-canary", Weight: weight, VersionLabel: "version"}
}

func save(t *testing.T, route router.Object) release.Route {
	t.Helper()
	saved, ok, err := Router{}.Save(route, "web")
	if err != nil || !ok {
		t.Fatalf("Save = %v, %v", ok, err)
	}
	return saved
}

// patched returns the route as the API server has it after a patch: it refuses to
// replace or remove what is not there.
func patched(t *testing.T, route router.Object, patch jsonpatch.Patch) router.Object {
	t.Helper()
	next := parsed(t, encoded(route))
	if patch.Empty() {
		return next
	}
	var ops []struct {
		Op, Path string
		Value    json.RawMessage
	}
	if err := json.Unmarshal(patch.JSON(), &ops); err != nil {
		t.Fatal(err)
	}
	for _, op := range ops {
		var value any
		if op.Value != nil {
			all, err := decodeList(json.RawMessage("[" + string(op.Value) + "]"))
			if err != nil {
				t.Fatal(err)
			}
			value = all[0]
		}
		if !apply(next, strings.Split(op.Path, "/")[1:], op.Op, value) {
			t.Fatalf("the API server refuses %s %s of %s", op.Op, op.Path, patch.JSON())
		}
	}
	return next
}

// apply does one operation below an object, and reports whether it could.
func apply(in map[string]any, path []string, op string, value any) bool {
	at, has := in[path[0]]
	if len(path) == 1 {
		if op == "remove" {
			delete(in, path[0])
			return has
		}
		in[path[0]] = value
		return has || op == "add"
	}
	if inner, ok := at.(map[string]any); ok {
		return apply(inner, path[1:], op, value)
	}
	items, _ := at.([]any)
	i, err := strconv.Atoi(path[1])
	if err != nil || i > len(items) || i == len(items) && op != "add" {
		return false
	}
	switch {
	case len(path) > 2:
		inner, ok := items[i].(map[string]any)
		return ok && apply(inner, path[2:], op, value)
	case op == "add":
		in[path[0]] = slices.Insert(items, i, value)
	case op == "remove":
		in[path[0]] = slices.Delete(items, i, i+1)
	default:
		items[i] = value
	}
	return true
}

func write(t *testing.T, route router.Object, saved release.Route, s router.Split) router.Object {
	t.Helper()
	patch, err := Router{}.Write(route, saved, s)
	if err != nil {
		t.Fatal(err)
	}
	next := patched(t, route, patch)
	if again, err := (Router{}).Write(next, saved, s); err != nil || !again.Empty() {
		t.Errorf("the second write of %d changes something: %s, %v", s.Weight, again.JSON(), err)
	}
	if drift := (Router{}).Drift(next, saved, s); drift != "" {
		t.Errorf("the route just written differs: %s", drift)
	}
	return next
}

const shop = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: production, generation: 3, resourceVersion: "77"}
spec:
  hosts: [shop.example]
  gateways: [infra/public, mesh]
  exportTo: ["."]
  http:
  - {name: old, match: [{uri: {prefix: /old}}], redirect: {uri: /new}}
  - {name: other, match: [{uri: {prefix: /other}}], route: [{destination: {host: other}}]}
  - name: api
    match: [{uri: {prefix: /api}, headers: {x-beta: {exact: "1"}}}, {uri: {exact: /}}]
    route: [{destination: {host: web.production.svc.cluster.local, port: {number: 80}}, weight: 75}, {destination: {host: legacy}, weight: 25}]
    retries: {attempts: 3, perTryTimeout: 2s}
    mirror: {host: shadow}
    corsPolicy: {maxAge: 24h}
  - name: all
    headers: {response: {set: {a: b}}}
    route: [{destination: {host: web, subset: v1}, headers: {request: {add: {x: z}}}}]
  - {name: child, match: [{uri: {prefix: /child}}], delegate: {name: child}}
  tls: [{match: [{port: 443, sniHosts: [shop.example]}], route: [{destination: {host: web.production}}]}]
  tcp: [{match: [{port: 5432}], route: [{destination: {host: db}}]}, {route: [{destination: {host: web}, weight: 100}]}]
`

const usersRule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: production}
spec:
  host: web.production.svc.cluster.local
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, outlierDetection: {consecutive5xxErrors: 5}}
  subsets: [{name: v1, labels: {app: web}}]
`

func TestASplitAddsTheCanarysHostAndNothingElse(t *testing.T) {
	t.Parallel()
	user := parsed(t, shop)
	saved, err := Router{}.SaveNeighbors(save(t, user), "web", "production", []router.Object{parsed(t, usersRule)})
	if err != nil {
		t.Fatal(err)
	}
	got := write(t, user, saved, to(20))
	want := parsed(t, shop)
	http := want["spec"].(map[string]any)["http"].([]any)
	http[2].(map[string]any)["route"] = parsed(t, `{r: [
		{destination: {host: web.production.svc.cluster.local, port: {number: 80}}, weight: 6000},
		{destination: {host: web-canary.production.svc.cluster.local, port: {number: 80}}, weight: 1500},
		{destination: {host: legacy}, weight: 2500}]}`)["r"]
	http[3].(map[string]any)["route"] = parsed(t, `{r: [
		{destination: {host: web, subset: v1}, headers: {request: {add: {x: z}}}, weight: 80},
		{destination: {host: web-canary, subset: v1}, headers: {request: {add: {x: z}}}, weight: 20}]}`)["r"]
	want["spec"].(map[string]any)["tls"].([]any)[0].(map[string]any)["route"] = parsed(t, `{r: [
		{destination: {host: web.production}, weight: 80}, {destination: {host: web-canary.production}, weight: 20}]}`)["r"]
	want["spec"].(map[string]any)["tcp"].([]any)[1].(map[string]any)["route"] = parsed(t, `{r: [
		{destination: {host: web}, weight: 80}, {destination: {host: web-canary}, weight: 20}]}`)["r"]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("split (-want +got):\n%s", diff)
	}
}

// Nobody defines the user's subset for the canary's host if the DestinationRule is
// not known, and a subset that does not exist is a 503.
func TestASubsetGoesWithItsDestinationRule(t *testing.T) {
	t.Parallel()
	user := parsed(t, `{metadata: {name: web, namespace: production}, spec: {http: [{route: [{destination: {host: web, subset: v1}}]}]}}`)
	for _, known := range []bool{true, false} {
		saved := save(t, user)
		var rules []router.Object
		if known {
			rules = append(rules, parsed(t, usersRule))
		}
		saved, err := Router{}.SaveNeighbors(saved, "web", "production", rules)
		if err != nil {
			t.Fatal(err)
		}
		got := encoded(write(t, user, saved, to(20))["spec"])
		if has := strings.Contains(got, `{"host":"web-canary","subset":"v1"}`); has != known {
			t.Errorf("with a known DestinationRule: %v, the split is %s", known, got)
		}
		companions, err := Router{}.Companions(user, saved, to(20))
		if err != nil || len(companions) != len(rules) {
			t.Fatalf("Companions = %v, %v", companions, err)
		}
		if known {
			want := parsed(t, usersRule)
			want["metadata"] = map[string]any{"name": "web-canary-destination"}
			want["spec"].(map[string]any)["host"] = "web-canary"
			if diff := cmp.Diff(want, companions[0].Object); diff != "" {
				t.Errorf("the canary's DestinationRule (-want +got):\n%s", diff)
			}
		}
	}
}

func TestEverySpellingOfAHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"web": "web-canary", "web.production": "web-canary.production", "web.production.svc": "web-canary.production.svc",
		"web.production.svc.cluster.local": "web-canary.production.svc.cluster.local", "web.production.svc.corp.internal": "web-canary.production.svc.corp.internal",
		"web.staging": "", "web.staging.svc.cluster.local": "", "web.example.com": "", "web2": "", "other": "", "": "",
	} {
		route := router.Object{"metadata": map[string]any{"name": "x", "namespace": "production"}, "spec": map[string]any{
			"http": []any{map[string]any{"route": []any{map[string]any{"destination": map[string]any{"host": host}}}}}}}
		saved, ok, err := Router{}.Save(route, "web")
		if err != nil || ok != (want != "") {
			t.Errorf("Save of host %q = %v, %v", host, ok, err)
		}
		if !ok {
			continue
		}
		got := encoded(write(t, route, saved, to(5))["spec"])
		if !strings.Contains(got, `{"destination":{"host":"`+want+`"},"weight":5}`) {
			t.Errorf("the split of host %q is %s", host, got)
		}
	}
}

// all are the extras together.
var all = router.Extras{Header: "canary", Value: "true", Cookie: "beta", Affinity: "cf", AffinityValue: "r1"}

func TestARestoredVirtualServiceIsByteForByteAsBefore(t *testing.T) {
	t.Parallel()
	user := parsed(t, strings.ReplaceAll(shop, "mirror: {host: shadow}", "timeout: 5s"))
	before, saved := encoded(user), save(t, user)
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		route, extras := user, router.Extras{}
		if random.IntN(2) == 0 {
			extras = all
			extras.Mirror = random.IntN(3) * 50
		}
		for range 6 {
			s := to(random.IntN(101))
			s.Extras = extras
			route = write(t, route, saved, pinned(s, random.IntN(3)))
			if drift := (Router{}).Drift(route, saved, s); drift != "" {
				t.Errorf("the pins are drift: %s", drift)
			}
		}
		end := to(router.Original)
		end.Extras = extras
		route = write(t, route, saved, end)
		if diff := cmp.Diff(before, encoded(route)); diff != "" {
			t.Fatalf("after the way back (-before +after):\n%s", diff)
		}
	}
}

// pinned returns a split with some of two pins.
func pinned(s router.Split, pins int) router.Split {
	both := []router.Pin{{Value: "s3cret", Service: "web-canary", Mark: "canary"}, {Value: "other", Service: "web"}}
	s.PinHeader, s.Pins = "X-P", both[:pins]
	return s
}

// A marked request meets the user's rules in their order: one that leads to
// another Service still does.
func TestRulesForMarkedRequestsStandBeforeTheirRule(t *testing.T) {
	t.Parallel()
	user := parsed(t, `
metadata: {name: web, namespace: production}
spec:
  http:
  - {match: [{uri: {prefix: /other}}], route: [{destination: {host: other}}]}
  - {match: [{uri: {prefix: /api}}], retries: {attempts: 2}, route: [{destination: {host: web}}, {destination: {host: legacy}, weight: 100}]}
  - {route: [{destination: {host: web}}]}
`)
	saved, s := save(t, user), to(10)
	s.Extras = all
	route := write(t, user, saved, pinned(s, 2))
	got := usersAndOurs(route)
	const canary = `[{"destination":{"host":"web-canary"},"weight":100}]`
	want := []string{
		`other`,
		`candlefish-preflight-0-1 [{"headers":{"x-p":{"exact":"s3cret"}},"uri":{"prefix":"/api"}}] ` + canary,
		`candlefish-preflight-1-1 [{"headers":{"x-p":{"exact":"other"}},"uri":{"prefix":"/api"}}] [{"destination":{"host":"web"},"weight":100}]`,
		`candlefish-extra-header-1 [{"headers":{"canary":{"exact":"true"}},"uri":{"prefix":"/api"}}] ` + canary,
		`candlefish-extra-cookie-1 [{"headers":{"cookie":{"regex":"^(.*;\\s*)?beta=always(;.*)?$"}},"uri":{"prefix":"/api"}}] ` + canary,
		`candlefish-extra-affinity-1 [{"headers":{"cookie":{"regex":"^(.*;\\s*)?cf=r1(;.*)?$"}},"uri":{"prefix":"/api"}}] ` + canary,
		`user`,
		`candlefish-preflight-0-2 [{"headers":{"x-p":{"exact":"s3cret"}}}] ` + canary,
		`candlefish-preflight-1-2 [{"headers":{"x-p":{"exact":"other"}}}] [{"destination":{"host":"web"},"weight":100}]`,
		`candlefish-extra-header-2 [{"headers":{"canary":{"exact":"true"}}}] ` + canary,
		`candlefish-extra-cookie-2 [{"headers":{"cookie":{"regex":"^(.*;\\s*)?beta=always(;.*)?$"}}}] ` + canary,
		`candlefish-extra-affinity-2 [{"headers":{"cookie":{"regex":"^(.*;\\s*)?cf=r1(;.*)?$"}}}] ` + canary,
		`user`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if last := encoded(object.List(object.Child(route, "spec"), "http")[12]); !strings.Contains(last, `"headers":{"response":{"add":{"Set-Cookie":"cf=r1; Path=/; HttpOnly; SameSite=Lax"}}}`) {
		t.Errorf("the canary's answers set no cookie: %s", last)
	}
	if marked := encoded(object.List(object.Child(route, "spec"), "http")[1]); !strings.Contains(marked, `"headers":{"response":{"set":{"X-P":"canary"}}}`) || !strings.Contains(marked, `"retries":{"attempts":2}`) {
		t.Errorf("the pinned rule is %s", marked)
	}
}

// usersAndOurs describes the rules of a route in a line each.
func usersAndOurs(route router.Object) []string {
	var lines []string
	for _, rule := range object.List(object.Child(route, "spec"), "http") {
		switch {
		case isOurs(rule):
			m := rule.(map[string]any)
			lines = append(lines, fmt.Sprintf("%s %s %s", m["name"], encoded(m["match"]), encoded(m["route"])))
		case strings.Contains(encoded(rule), `"host":"other"`):
			lines = append(lines, "other")
		default:
			lines = append(lines, "user")
		}
	}
	return lines
}

// Before the first weight and after the last there is nobody to lead: the canary
// may have no pods, or its Service is the way back.
func TestExtrasEndWithTheTraffic(t *testing.T) {
	t.Parallel()
	user := parsed(t, `{metadata: {name: web, namespace: production}, spec: {http: [{route: [{destination: {host: web}}]}]}}`)
	saved, route := save(t, user), user
	for _, c := range []struct{ weight, rules int }{{0, 1}, {5, 4}, {50, 4}, {100, 1}, {50, 4}, {0, 1}, {router.Original, 1}} {
		s := to(c.weight)
		s.Extras = all
		s.Extras.Mirror = 10
		route = write(t, route, saved, s)
		http := object.List(object.Child(route, "spec"), "http")
		mirrors := object.Child(http[len(http)-1], "mirror") != nil
		if len(http) != c.rules || mirrors != (c.rules > 1) || strings.Contains(encoded(http), "Set-Cookie") != (c.rules > 1) {
			t.Errorf("at weight %d the rules are %s", c.weight, encoded(http))
		}
	}
}

func TestWhatARouteCannotHave(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spec string
		x    router.Extras
		want string
	}{
		{`{http: [{route: [{destination: {host: web}}]}]}`, all, ""},
		{`{http: [{mirror: {host: shadow}, route: [{destination: {host: web}}]}]}`, router.Extras{Mirror: 5}, "has a mirror already"},
		{`{http: [{mirrors: [{destination: {host: shadow}}], route: [{destination: {host: web}}]}]}`, router.Extras{Mirror: 5}, "has a mirror already"},
		{`{http: [{mirror: {host: shadow}, route: [{destination: {host: web}}]}]}`, router.Extras{Cookie: "c"}, ""},
		{`{tcp: [{route: [{destination: {host: web}}]}]}`, router.Extras{Affinity: "c"}, "is a rule for tcp"},
		{`{tcp: [{route: [{destination: {host: web}}]}]}`, router.Extras{}, ""},
	} {
		user := parsed(t, `{metadata: {name: web, namespace: production}, spec: `+c.spec+`}`)
		err := Router{}.Fits(user, save(t, user), c.x, nil)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("Fits(%s, %+v) = %v, want %q", c.spec, c.x, err, c.want)
		}
	}
}

func TestAWriteStopsAtASecondWriter(t *testing.T) {
	t.Parallel()
	base := func() router.Object {
		return parsed(t, `{metadata: {name: web, namespace: production}, spec: {http: [{route: [{destination: {host: web}}]}]}}`)
	}
	saved := save(t, base())
	for name, change := range map[string]func(rule map[string]any){
		"another destination": func(r map[string]any) {
			r["route"] = parsed(t, `{r: [{destination: {host: web}}, {destination: {host: x}}]}`)["r"]
		},
		"weights of its own": func(r map[string]any) {
			r["route"] = parsed(t, `{r: [{destination: {host: web}, weight: 70}, {destination: {host: web-canary}, weight: 31}]}`)["r"]
		},
	} {
		route := write(t, base(), saved, to(25))
		change(object.List(object.Child(route, "spec"), "http")[0].(map[string]any))
		var conflict *router.ConflictError
		if _, err := (Router{}).Write(route, saved, to(50)); !errors.As(err, &conflict) {
			t.Errorf("%s: Write = %v, want a conflict", name, err)
		}
		if drift := (Router{}).Drift(route, saved, to(25)); drift == "" {
			t.Errorf("%s is no drift", name)
		}
	}
	gone := write(t, base(), saved, to(25))
	gone["spec"].(map[string]any)["http"] = []any{}
	if _, err := (Router{}).Write(gone, saved, to(50)); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("Write to a route without the rule = %v", err)
	}
}

// What somebody adds elsewhere is none of ours, and moves our rules.
func TestARuleOfSomebodyElsesMovesOurs(t *testing.T) {
	t.Parallel()
	user := parsed(t, shop)
	saved := save(t, user)
	route := write(t, user, saved, to(25))
	http := object.List(object.Child(route, "spec"), "http")
	http[1].(map[string]any)["timeout"] = "7s"
	if drift := (Router{}).Drift(route, saved, to(25)); drift != "" {
		t.Errorf("a change of another rule is drift: %s", drift)
	}
	if got := encoded(write(t, route, saved, to(50))["spec"]); !strings.Contains(got, `"timeout":"7s"`) {
		t.Errorf("the write lost somebody's change: %s", got)
	}
}

// The seed's way back by hand: weights of the two, in any order.
func TestOnlyTheWayBackOverwritesWeights(t *testing.T) {
	t.Parallel()
	user := parsed(t, `{metadata: {name: web, namespace: production}, spec: {http: [{route: [{destination: {host: web}}]}]}}`)
	saved := save(t, user)
	route := write(t, user, saved, to(25))
	object.List(object.Child(route, "spec"), "http")[0].(map[string]any)["route"] = parsed(t, `{r: [
		{destination: {host: web-canary}, weight: 0}, {destination: {host: web}, weight: 100}]}`)["r"]
	if _, err := (Router{}).Write(route, saved, to(50)); err == nil {
		t.Error("a rise overwrites the weights of a person")
	}
	if got := write(t, route, saved, to(0)); !strings.Contains(encoded(got), `"weight":100}`) {
		t.Errorf("the way back is %s", encoded(got))
	}
	if got := encoded(write(t, route, saved, to(router.Original))); got != encoded(user) {
		t.Errorf("the route as the user wrote it is %s", got)
	}
}

func TestASplitIsUndoneWithoutItsRecord(t *testing.T) {
	t.Parallel()
	for _, entries := range []string{
		`[{destination: {host: web}}]`,
		`[{destination: {host: web}, weight: 75}, {destination: {host: legacy}, weight: 25}]`,
		`[{destination: {host: legacy}, weight: 25}, {destination: {host: web, subset: v1}, weight: 75}]`,
		`[{destination: {host: web, subset: stable}, weight: 100}, {destination: {host: web, subset: canary}, weight: 0}]`,
	} {
		user := parsed(t, `{metadata: {name: web, namespace: production}, spec: {http: [{route: `+entries+`}]}}`)
		want := save(t, user)
		split := write(t, user, want, to(40))
		got, err := Router{}.Unsplit(save(t, split), to(40))
		if err != nil {
			t.Errorf("Unsplit of %s: %v", entries, err)
			continue
		}
		if diff := cmp.Diff(string(want.Rules), string(got.Rules)); diff != "" {
			t.Errorf("Unsplit of %s (-want +got):\n%s", entries, diff)
		}
	}
	user := parsed(t, `{metadata: {name: web, namespace: production}, spec: {http: [{route: [{destination: {host: web-canary}}, {destination: {host: x}}, {destination: {host: web}}]}]}}`)
	if _, err := (Router{}).Unsplit(save(t, user), to(0)); err == nil {
		t.Error("what is no split was undone")
	}
}

func TestNamedRulesAlone(t *testing.T) {
	t.Parallel()
	user := parsed(t, shop)
	saved, err := Router{}.Limit(save(t, user), []string{"all"})
	if err != nil {
		t.Fatal(err)
	}
	spec := encoded(write(t, user, saved, to(20))["spec"])
	if strings.Count(spec, "web-canary") != 1 || !strings.Contains(spec, `{"destination":{"host":"web-canary"},"headers":{"request":{"add":{"x":"z"}}},"weight":20}`) {
		t.Errorf("the split of the named rule is %s", spec)
	}
	if _, err := (Router{}).Limit(save(t, user), []string{"all", "other"}); err == nil || !strings.Contains(err.Error(), `no rule "other"`) {
		t.Errorf("Limit to a rule of another service = %v", err)
	}
}
