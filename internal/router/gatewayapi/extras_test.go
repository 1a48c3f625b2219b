package gatewayapi

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

var allExtras = router.Extras{Header: "canary", Value: "true", Cookie: "beta", Mirror: 10, Affinity: "cf", AffinityValue: "r1"}

func with(weight int, x router.Extras) router.Split {
	s := to(weight)
	s.Extras = x
	return s
}

func TestTheExtrasOfASplit(t *testing.T) {
	t.Parallel()
	user := parsed(t, twoRules)
	saved := save(t, user)
	route := written(t, user, saved, with(20, allExtras))
	want := parsed(t, twoRules)
	mirror := parsed(t, `{f: {type: RequestMirror, requestMirror: {backendRef: {name: web-canary, port: 80}, percent: 10}}}`)["f"].(map[string]any)
	withKind := parsed(t, `{f: {type: RequestMirror, requestMirror: {backendRef: {name: web-canary, port: 80, kind: Service, group: ""}, percent: 10}}}`)["f"].(map[string]any)
	const cookie = `filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: Set-Cookie, value: "cf=r1; Path=/; HttpOnly; SameSite=Lax"}]}}]`
	rule(want, 0)["filters"] = append(object.List(rule(want, 0), "filters"), withKind)
	rule(want, 0)["backendRefs"] = parsed(t, `{r: [
		{name: web, port: 80, kind: Service, group: "", weight: 240},
		{name: web-canary, port: 80, kind: Service, group: "", weight: 60, `+cookie+`},
		{name: legacy, port: 80, weight: 100}]}`)["r"]
	rule(want, 2)["filters"] = []any{mirror}
	rule(want, 2)["backendRefs"] = parsed(t, `{r: [{name: web, port: 80, weight: 80}, {name: web-canary, port: 80, weight: 20, `+cookie+`}]}`)["r"]
	if diff := cmp.Diff(want, route); diff != "" {
		t.Errorf("split (-want +got):\n%s", diff)
	}
}

// The user's own filters and mirrors survive, whatever weights come between.
func TestExtrasLeaveARouteAsItWas(t *testing.T) {
	t.Parallel()
	user := parsed(t, strings.Replace(twoRules, "  - backendRefs: [{name: web, port: 80}]", `
  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: shadow, port: 80}}}]
    backendRefs: [{name: web, port: 80, filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: a, value: b}]}}]}]`, 1))
	before, saved := encoded(user), save(t, user)
	random := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		route, x := user, allExtras
		x.Mirror = random.IntN(3) * 50
		for range 5 {
			s := with(random.IntN(101), x)
			route = written(t, route, saved, s)
			if drift := (Router{}).Drift(route, saved, s); drift != "" {
				t.Fatalf("at %d: %s", s.Weight, drift)
			}
		}
		if back := encoded(written(t, route, saved, with(router.Original, x))); back != before {
			t.Fatalf("after the way back: %s\nbefore: %s", back, before)
		}
	}
}

func TestAMirrorThatIsGoneIsDrift(t *testing.T) {
	t.Parallel()
	user := parsed(t, twoRules)
	saved, s := save(t, user), with(20, allExtras)
	route := written(t, user, saved, s)
	delete(rule(route, 2), "filters")
	if drift := (Router{}).Drift(route, saved, s); drift != "the filters of httproute web rule 2" {
		t.Errorf("Drift = %q", drift)
	}
}

// A person's weights are taken back with the cookie of the affinity.
func TestTheWayBackTakesTheCookieWithIt(t *testing.T) {
	t.Parallel()
	user := parsed(t, twoRules)
	saved := save(t, user)
	route := written(t, user, saved, with(20, allExtras))
	refs := object.List(rule(route, 2), "backendRefs")
	refs[0].(map[string]any)["weight"] = int64(33)
	if back := written(t, route, saved, with(0, allExtras)); strings.Contains(encoded(back), "Set-Cookie") {
		t.Errorf("the way back is %s", encoded(back))
	}
}

// While the canary has traffic, marked requests go there; else to stable.
func TestTheRouteForMarkedRequests(t *testing.T) {
	t.Parallel()
	user := parsed(t, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: production}
spec:
  hostnames: [shop.example]
  rules:
  - matches: [{path: {type: PathPrefix, value: /other}}]
    backendRefs: [{name: other, port: 80}]
  - name: all
    timeouts: {request: 5s}
    backendRefs: [{name: web, port: 80}]
`)
	saved := save(t, user)
	for weight, service := range map[int]string{0: "web", 5: "web-canary", 100: "web-canary"} {
		s := with(weight, allExtras)
		companions, err := Router{}.Companions(written(t, user, saved, s), saved, s)
		if err != nil || len(companions) != 1 {
			t.Fatalf("Companions = %v, %v", companions, err)
		}
		want := parsed(t, strings.ReplaceAll(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web-marked}
spec:
  hostnames: [shop.example]
  rules:
  - {matches: [{headers: [{type: Exact, name: canary, value: "true"}]}], timeouts: {request: 5s}, backendRefs: [{name: SERVICE, port: 80, weight: 1}]}
  - {matches: [{headers: [{type: RegularExpression, name: Cookie, value: '^(.*;\s*)?beta=always(;.*)?$'}]}], timeouts: {request: 5s}, backendRefs: [{name: SERVICE, port: 80, weight: 1}]}
  - {matches: [{headers: [{type: RegularExpression, name: Cookie, value: '^(.*;\s*)?cf=r1(;.*)?$'}]}], timeouts: {request: 5s}, backendRefs: [{name: SERVICE, port: 80, weight: 1}]}
`, "SERVICE", service))
		if diff := cmp.Diff(want, companions[0].Object); diff != "" {
			t.Errorf("at %d (-want +got):\n%s", weight, diff)
		}
	}
	for _, s := range []router.Split{to(5), with(router.Original, allExtras), with(5, router.Extras{Mirror: 5})} {
		if none, err := (Router{}).Companions(user, saved, s); err != nil || none != nil {
			t.Errorf("Companions for %+v = %v, %v", s, none, err)
		}
	}
}

func TestOneCookieAmongOthers(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(cookiePattern("c.f", "r1"))
	for header, want := range map[string]bool{
		"c.f=r1": true, "a=b; c.f=r1": true, "c.f=r1; a=b": true, "a=b;c.f=r1;d=e": true,
		"c.f=r12": false, "xc.f=r1": false, "cxf=r1": false, "a=c.f=r1": false, "": false,
	} {
		if got := pattern.MatchString(header); got != want {
			t.Errorf("cookie %q matches: %v", header, got)
		}
	}
}

func TestAGatewayThatCannot(t *testing.T) {
	t.Parallel()
	user := parsed(t, twoRules)
	saved := save(t, user)
	class := func(features string) router.Object {
		return parsed(t, `{metadata: {name: edge}, status: {supportedFeatures: `+features+`}}`)
	}
	for _, c := range []struct {
		x        router.Extras
		features string
		want     string
	}{
		{router.Extras{Header: "canary", Value: "true", Cookie: "beta"}, `[]`, ""},
		{router.Extras{Mirror: 5}, `[]`, `mirror: the gateway's class "edge" does not list the feature HTTPRouteRequestMirror in its status`},
		{router.Extras{Mirror: 5}, `[{name: HTTPRouteRequestMirror}]`, `mirror 5 %: the gateway's class "edge" does not list the feature HTTPRouteRequestPercentageMirror in its status`},
		{router.Extras{Mirror: 100}, `[{name: HTTPRouteRequestMirror}]`, ""},
		{router.Extras{Mirror: 5}, `[HTTPRouteRequestMirror, HTTPRouteRequestPercentageMirror]`, ""},
		{router.Extras{Affinity: "cf"}, `[{name: HTTPRouteResponseHeaderModification}]`, `affinity: the gateway's class "edge" does not list the feature HTTPRouteBackendRequestHeaderModification in its status`},
		{router.Extras{Affinity: "cf"}, `[{name: HTTPRouteBackendRequestHeaderModification}]`, ""},
	} {
		err := Router{}.Fits(user, saved, c.x, class(c.features))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("Fits(%+v, %s) = %q, want %q", c.x, c.features, got, c.want)
		}
	}
	if err := (Router{}).Fits(user, saved, router.Extras{Affinity: "cf"}, nil); err == nil {
		t.Error("a gateway without a known class has affinity")
	}
	var many []any
	for range 9 {
		many = append(many, map[string]any{"backendRefs": []any{map[string]any{"name": "web"}}})
	}
	big := router.Object{"metadata": map[string]any{"name": "web"}, "spec": map[string]any{"rules": many}}
	if err := (Router{}).Fits(big, save(t, big), router.Extras{Header: "a", Cookie: "b"}, nil); err == nil || !strings.Contains(err.Error(), "too many rules") {
		t.Errorf("Fits of nine rules twice = %v", err)
	}
}

func FuzzExtras(f *testing.F) {
	f.Add(`{"metadata":{"name":"web"},"spec":{"rules":[{"filters":[null,{"type":"RequestMirror","requestMirror":7}],"backendRefs":[{"name":"web","filters":{}}]}]}}`, 25)
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
		s := with(min(max(weight, 0), 100), allExtras)
		_, _ = Router{}.Write(route, saved, s)
		_, _ = Router{}.Companions(route, saved, s)
		Router{}.Drift(route, saved, s)
		_ = Router{}.Fits(route, saved, allExtras, route)
	})
}
