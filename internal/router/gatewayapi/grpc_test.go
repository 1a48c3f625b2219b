package gatewayapi

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/router"
)

const cart = `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: cart, namespace: production, generation: 3, resourceVersion: "77"}
spec:
  parentRefs: [{name: gw}]
  rules:
  - matches: [{method: {service: shop.Cart}}]
    backendRefs: [{name: web, port: 9000}]
  - matches: [{method: {service: shop.Other}}]
    backendRefs: [{name: other, port: 9000}]
`

func TestAGRPCRoute(t *testing.T) {
	t.Parallel()
	user, r := parsed(t, cart), GRPC()
	if got := r.Kind().Resource + " " + r.Name(); got != "grpcroutes gateway-api-grpc" {
		t.Errorf("the kind is %s", got)
	}
	saved := save(t, user)
	route := written(t, user, saved, to(25))
	want := parsed(t, cart)
	rule(want, 0)["backendRefs"] = parsed(t, `{r: [{name: web, port: 9000, weight: 75}, {name: web-canary, port: 9000, weight: 25}]}`)["r"]
	if diff := cmp.Diff(want, route); diff != "" {
		t.Errorf("split (-want +got):\n%s", diff)
	}
	if drift := r.Drift(user, saved, to(25)); drift != "the backends of grpcroute cart rule 0" {
		t.Errorf("Drift = %q", drift)
	}
	preflight, err := r.Preflight(route, saved, to(0), "X-P", router.Pin{Value: "s3cret", Service: "web-canary"})
	if err != nil {
		t.Fatal(err)
	}
	want["spec"].(map[string]any)["rules"] = parsed(t, `{r: [{matches: [{method: {service: shop.Cart}, headers: [{type: Exact, name: X-P, value: s3cret}]}], backendRefs: [{name: web-canary, port: 9000, weight: 1}]}]}`)["r"]
	delete(want, "metadata")
	if diff := cmp.Diff(want, preflight); diff != "" {
		t.Errorf("Preflight (-want +got):\n%s", diff)
	}
}

func TestWhatGRPCRoutesCannotHave(t *testing.T) {
	t.Parallel()
	user := parsed(t, cart)
	saved, r := save(t, user), GRPC()
	if err := r.Fits(user, saved, router.Extras{Header: "canary", Value: "true"}, nil); err != nil {
		t.Errorf("a header: %v", err)
	}
	for _, x := range []router.Extras{{Cookie: "a"}, {Mirror: 5}, {Affinity: "a"}} {
		if err := r.Fits(user, saved, x, nil); err == nil || !strings.Contains(err.Error(), "grpcroute cart: gRPC clients keep no cookies") {
			t.Errorf("Fits(%+v) = %v", x, err)
		}
	}
}
