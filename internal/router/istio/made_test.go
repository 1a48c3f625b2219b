package istio

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// The objects are those that people know and patch by hand.
func TestTheRouteThatTheUserDoesNotHave(t *testing.T) {
	t.Parallel()
	made := Router{}.Make("production", "web")
	saved := save(t, made)
	want := `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web-traffic-split, namespace: production, annotations: {candlefish.ai/made: "true"}}
spec:
  hosts: [web]
  http:
  - name: candlefish-extra-header-0
    match: [{headers: {canary: {exact: "true"}}}]
    route: [{destination: {host: web-canary, subset: canary}, weight: 100}]
  - route: [{destination: {host: web-canary, subset: canary}, weight: 25}, {destination: {host: web, subset: stable}, weight: 75}]
`
	route := write(t, made, saved, to(25))
	if diff := cmp.Diff(parsed(t, want), route); diff != "" {
		t.Errorf("at 25 %% (-want +got):\n%s", diff)
	}
	if back := write(t, route, saved, to(router.Original)); encoded(back) != encoded(made) {
		t.Errorf("at the end it is %s", encoded(back))
	}
	for _, c := range []struct {
		weight         int
		stable, canary string
	}{
		{0, `{"labels":null,"name":"stable"}`, `{"labels":null,"name":"canary"}`},
		{25, `{"labels":{"version":"stable"},"name":"stable"}`, `{"labels":{"version":"canary"},"name":"canary"}`},
		{100, `{"labels":null,"name":"stable"}`, `{"labels":null,"name":"canary"}`},
	} {
		companions, err := Router{}.Companions(route, saved, to(c.weight))
		if err != nil || len(companions) != 2 {
			t.Fatalf("Companions = %v, %v", companions, err)
		}
		for i, want := range []string{
			`{"apiVersion":"networking.istio.io/v1","kind":"DestinationRule","metadata":{"name":"web-destination"},"spec":{"host":"web","subsets":[` + c.stable + `]}}`,
			`{"apiVersion":"networking.istio.io/v1","kind":"DestinationRule","metadata":{"name":"web-canary-destination"},"spec":{"host":"web-canary","subsets":[` + c.canary + `]}}`,
		} {
			if got := encoded(companions[i].Object); got != want {
				t.Errorf("at %d the companion is %s\nwant %s", c.weight, got, want)
			}
		}
	}
	if none, err := (Router{}).Companions(route, saved, to(router.Original)); err != nil || none != nil {
		t.Errorf("a route as the user wrote it needs %v, %v", none, err)
	}
}

// Two DestinationRules for one host are one too many: with one of the user's, ours
// for the canary's host copies it, and there are no subsets.
func TestTheUsersDestinationRuleStays(t *testing.T) {
	t.Parallel()
	made := Router{}.Make("production", "web")
	rule := parsed(t, usersRule)
	saved, err := Router{}.SaveNeighbors(save(t, made), "web", "production", []router.Object{
		parsed(t, `{metadata: {name: other, namespace: production}, spec: {host: other}}`), rule})
	if err != nil {
		t.Fatal(err)
	}
	if route := encoded(write(t, made, saved, to(25))["spec"]); strings.Contains(route, "subset") {
		t.Errorf("the route has subsets that no DestinationRule has: %s", route)
	}
	companions, err := Router{}.Companions(made, saved, to(25))
	if err != nil || len(companions) != 1 || object.Name(companions[0].Object) != "web-canary-destination" {
		t.Fatalf("Companions = %v, %v", companions, err)
	}
	if _, err := (Router{}).SaveNeighbors(saved, "web", "production", []router.Object{rule, rule}); err == nil {
		t.Error("two DestinationRules for one host are accepted")
	}
}

func TestAcceptedByTheStatusThatThereIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ status, why string }{
		{`{}`, ""},
		{`{observedGeneration: 4}`, ""},
		{`{observedGeneration: 4, conditions: [{type: PassedValidation, status: "True"}]}`, ""},
		{`{observedGeneration: "4", conditions: [{type: Reconciled, status: "True"}]}`, ""},
		{`{conditions: [{type: Reconciled, status: "True", observedGeneration: 3}]}`, "Reconciled is of generation 3, not 4"},
		{`{observedGeneration: 4, conditions: [{type: PassedValidation, status: "False", message: bad host}]}`, "PassedValidation is False: bad host"},
		{`{observedGeneration: 4, validationMessages: [{level: ERROR, type: {code: IST0101, name: ReferencedResourceNotFound}}]}`, "istiod refuses it: IST0101 ReferencedResourceNotFound"},
		{`{observedGeneration: 3, validationMessages: [{level: ERROR, type: {code: IST0101, name: ReferencedResourceNotFound}}]}`, "the status is of generation 3, not 4"},
		{`{observedGeneration: 4, validationMessages: [{level: WARNING, type: {code: IST0001}}]}`, ""},
	} {
		ok, why := Router{}.Accepted(parsed(t, `{metadata: {generation: 4}, status: `+c.status+`}`), 4)
		if ok != (c.why == "") || why != c.why {
			t.Errorf("Accepted with status %s = %v, %q, want %q", c.status, ok, why, c.why)
		}
	}
	if ok, why := (Router{}).Accepted(parsed(t, `{metadata: {generation: 4}}`), 5); ok || why != "the watch is behind" {
		t.Errorf("Accepted of an older object = %v, %q", ok, why)
	}
}

func TestTheEntryPoint(t *testing.T) {
	t.Parallel()
	route := parsed(t, `{metadata: {name: x, namespace: production}, spec: {hosts: ["*.shop.example"], gateways: [mesh, public, infra/edge, ./own]}}`)
	want := []router.GatewayRef{{Namespace: "production", Name: "public"}, {Namespace: "infra", Name: "edge"}, {Namespace: "production", Name: "own"}}
	if diff := cmp.Diff(want, Router{}.Gateways(route)); diff != "" {
		t.Errorf("Gateways (-want +got):\n%s", diff)
	}
	if got := (Router{}).Host(route); got != "probe.shop.example" {
		t.Errorf("Host = %q", got)
	}
	gateway := parsed(t, `
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 9000, protocol: TCP}}
  - {port: {number: 80, protocol: HTTP}, tls: {httpsRedirect: true}}
  - {port: {number: 443, protocol: HTTPS}}
  - {port: {number: 8080, protocol: HTTP}}`)
	if got := (Router{}).Selector(gateway); got["istio"] != "ingressgateway" || len(got) != 1 {
		t.Errorf("Selector = %v", got)
	}
	for _, c := range []struct{ service, want string }{
		{`{spec: {clusterIP: 10.0.0.9, ports: [{port: 443}]}, status: {loadBalancer: {ingress: [{hostname: lb.example}]}}}`, "https://lb.example:443"},
		{`{spec: {clusterIP: 10.0.0.9, ports: [{port: 8080}]}, status: {loadBalancer: {ingress: [{ip: "2001:db8::1"}]}}}`, "http://[2001:db8::1]:8080"},
		{`{spec: {clusterIP: 10.0.0.9, ports: [{port: 443}]}}`, "https://10.0.0.9:443"},
		{`{spec: {clusterIP: 10.0.0.9, ports: [{port: 80}, {port: 15021}]}}`, ""},
		{`{spec: {clusterIP: None, ports: [{port: 443}]}}`, ""},
	} {
		if got := (Router{}).FrontURL(gateway, parsed(t, c.service)); got != c.want {
			t.Errorf("FrontURL(%s) = %q, want %q", c.service, got, c.want)
		}
	}
}
