package discover

import (
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/kubetest"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/gatewayapi"
	"github.com/candlefish/deploy-action/internal/router/service"
)

// other is a router of another kind of route, of which nothing else is known.
type other struct{ gatewayapi.Router }

func (other) Name() string { return "other" }
func (other) Kind() router.Kind {
	return router.Kind{Group: "example.com", Version: "v1", Resource: "lanes", Name: "Lane"}
}

var gateways = router.Kind{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways", Name: "Gateway"}

const shop = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec: {hostnames: [shop.example], parentRefs: [{name: out}, {name: in}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: front, namespace: edge}
spec: {hostnames: [edge.example], parentRefs: [{name: out, namespace: shop}], rules: [{backendRefs: [{name: web, namespace: shop, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: namesake, namespace: edge}
spec: {parentRefs: [{name: out, namespace: shop}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: out, namespace: shop}
spec: {listeners: [{name: web, protocol: HTTP, port: 80}]}
status: {addresses: [{type: IPAddress, value: 192.0.2.1}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: in, namespace: shop}
spec: {listeners: [{name: web, protocol: HTTP, port: 8080}]}
status: {addresses: [{type: Hostname, value: in.example}]}
---
apiVersion: example.com/v1
kind: Lane
metadata: {name: lane, namespace: shop}
spec: {rules: [{backendRefs: [{name: web, port: 80}]}]}
`

const grant = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: edge, namespace: shop}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: edge}]
  to: [{group: "", kind: Service}]
`

// look surveys the namespace shop, as Find does.
func look(t *testing.T, c *kube.Cluster, q Query, of ...router.Router) (*survey, *Found, error) {
	t.Helper()
	s, err := readSurvey(t.Context(), c, "shop", of)
	if err != nil {
		return nil, nil, err
	}
	if err := s.readAbroad(t.Context(), c); err != nil {
		return nil, nil, err
	}
	f := &Found{Record: &release.Record{Namespace: "shop", Deployment: "web", Service: "web"}}
	if f.Record.Routes, err = s.pickRoutes("web", q); err != nil {
		return s, nil, err
	}
	f.Record.Router = f.Record.Routes[0].Router
	s.entryPoints(t.Context(), c, f)
	return s, f, nil
}

func server(t *testing.T, kinds ...router.Kind) *kubetest.Server {
	t.Helper()
	s := kubetest.New(t, append(kinds, gatewayapi.Router{}.Kind(), gatewayapi.Router{}.GrantKind(), gateways)...)
	manifests := shop
	if len(kinds) == 0 {
		manifests, _, _ = strings.Cut(shop, "\n---\napiVersion: example.com/v1")
	}
	s.Apply(manifests)
	return s
}

func TestAllRoutesThatLeadToTheServiceAreFound(t *testing.T) {
	t.Parallel()
	srv := server(t, other{}.Kind())
	srv.Apply(grant)
	_, f, err := look(t, srv.Cluster(), Query{}, gatewayapi.Router{}, other{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range f.Record.Routes {
		got = append(got, r.Router+" "+r.Namespace+"/"+r.Name)
	}
	if want := "gateway-api /web, gateway-api edge/front, other /lane"; strings.Join(got, ", ") != want {
		t.Errorf("%q, want %s", got, want)
	}
	entries := append([]EntryPoint{f.EntryPoint}, f.MoreEntries...)
	want := []EntryPoint{{URL: "http://192.0.2.1:80", Host: "shop.example"}, {URL: "http://in.example:8080", Host: "shop.example"}, {URL: "http://192.0.2.1:80", Host: "edge.example"}}
	if len(entries) != 3 || entries[0] != want[0] || entries[1] != want[1] || entries[2] != want[2] {
		t.Errorf("entry points %v, want %v", entries, want)
	}
	f.Through("http://127.0.0.1:9")
	if f.EntryPoint != (EntryPoint{URL: "http://127.0.0.1:9", Host: "shop.example"}) || f.MoreEntries[0] != (EntryPoint{URL: "http://127.0.0.1:9", Host: "edge.example"}) {
		t.Errorf("through one URL: %v and %v", f.EntryPoint, f.MoreEntries)
	}
}

func TestAKindThatTheClusterLacksOrHidesIsNoError(t *testing.T) {
	t.Parallel()
	_, f, err := look(t, server(t).Cluster(), Query{}, other{}, gatewayapi.Router{})
	if err != nil || len(f.Record.Routes) != 1 {
		t.Fatalf("without the kind: %+v, %v", f, err)
	}
	hidden := server(t, other{}.Kind())
	hidden.Deny(func(_, _, resource string) bool { return resource == "lanes" })
	s, f, err := look(t, hidden.Cluster(), Query{}, other{}, gatewayapi.Router{})
	if err != nil || len(f.Record.Routes) != 1 || len(s.unseen) != 1 || s.unseen[0] != "the permission to list lanes is missing" {
		t.Fatalf("without the permission: %+v, %+v, %v", s, f, err)
	}
	if _, _, err := look(t, hidden.Cluster(), Query{Router: "other"}, other{}); err == nil || !strings.Contains(err.Error(), "cannot list lanes") {
		t.Errorf("the named one without the permission: %v", err)
	}
	hidden.Deny(func(_, _, resource string) bool { return resource == "lanes" || resource == "httproutes" })
	if _, _, err := look(t, hidden.Cluster(), Query{}, other{}, gatewayapi.Router{}); err == nil || !strings.Contains(err.Error(), "the permission to list httproutes is missing") {
		t.Errorf("without all: %v", err)
	}
}

func TestRoutesOfOtherNamespacesNeedAGrant(t *testing.T) {
	t.Parallel()
	srv := server(t)
	if _, f, err := look(t, srv.Cluster(), Query{}, gatewayapi.Router{}); err != nil || len(f.Record.Routes) != 1 {
		t.Fatalf("without a grant: %+v, %v", f, err)
	}
	srv.Apply(strings.Replace(grant, "kind: Service}", "kind: Service, name: web}", 1))
	s, f, err := look(t, srv.Cluster(), Query{}, gatewayapi.Router{})
	if err != nil || len(f.Record.Routes) != 2 {
		t.Fatalf("with a grant: %+v, %v", f, err)
	}
	if got := s.grantObstacles(f.Record); len(got) != 1 || !strings.Contains(got[0], "lets httproute edge/front lead to service web-canary") {
		t.Errorf("a grant for one Service: %q", got)
	}
	srv.Apply(grant)
	if s, f, err = look(t, srv.Cluster(), Query{}, gatewayapi.Router{}); err != nil || len(s.grantObstacles(f.Record)) > 0 {
		t.Errorf("a grant for all Services: %v, %v", s.grantObstacles(f.Record), err)
	}
	srv.Deny(func(namespace, verb, _ string) bool { return namespace == "edge" && verb == "patch" })
	s, f, err = look(t, srv.Cluster(), Query{}, gatewayapi.Router{})
	if err != nil || len(f.Record.Routes) != 1 || len(s.unseen) != 1 || !strings.Contains(s.unseen[0], "namespace edge, whose HTTPRoutes may lead here: patch httproutes") {
		t.Errorf("without a permission there: %q, %+v, %v", s.unseen, f.Record.Routes, err)
	}
	srv.Deny(func(_, _, resource string) bool { return resource == "referencegrants" })
	if s, _, err = look(t, srv.Cluster(), Query{}, gatewayapi.Router{}); err != nil || len(s.unseen) != 1 || !strings.Contains(s.unseen[0], "list referencegrants") {
		t.Errorf("without a permission on grants: %q, %v", s.unseen, err)
	}
}

func TestWhatARunMayLack(t *testing.T) {
	t.Parallel()
	srv := server(t)
	c := srv.Cluster()
	routePermissions := func(list []kube.Permission) int {
		n := 0
		for _, p := range list {
			if p.Resource == "httproutes" {
				n++
			}
		}
		return n
	}
	required, err := Required(t.Context(), c, "shop", "")
	if err != nil || routePermissions(required) != 0 {
		t.Errorf("a router that is seen: %v, %v", required, err)
	}
	srv.Deny(func(_, _, resource string) bool { return resource == "httproutes" })
	if required, err = Required(t.Context(), c, "shop", ""); err != nil || routePermissions(required) != 1 {
		t.Errorf("none is seen: %v, %v", required, err)
	}
	srv.Deny(func(_, verb, _ string) bool { return verb == "patch" })
	gaps, err := RouteGaps(t.Context(), c, &release.Record{Namespace: "shop", Router: "gateway-api", Routes: []release.Route{{Name: "web"}}})
	if err != nil || len(gaps) != 1 || gaps[0] != "patch httproutes" {
		t.Errorf("gaps %q, %v", gaps, err)
	}
}

func TestWithoutARouteTheServiceMovesTheRequests(t *testing.T) {
	t.Parallel()
	srv := server(t)
	srv.Delete(gatewayapi.Router{}.Kind(), "shop", "web")
	srv.Apply("apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {clusterIP: 10.0.0.1, selector: {app: web}}\nstatus: {loadBalancer: {ingress: [{hostname: lb.example}]}}\n")
	c := srv.Cluster()
	of := []router.Router{gatewayapi.Router{}, service.Router{}, service.Replicas{}}
	by := &release.Record{Namespace: "shop", Service: "web", Router: "replicas", Routes: []release.Route{{Name: "web"}}}
	gone := &release.Record{Namespace: "shop", Service: "web", Router: "gateway-api", Routes: []release.Route{{Name: "web"}}}
	for name, c := range map[string]struct {
		q        Query
		previous *release.Record
		want     string
	}{
		"all at once":            {Query{Weights: []int{100}}, nil, "service"},
		"in steps":               {Query{Weights: []int{5, 50, 100}}, nil, "replicas"},
		"steps that neither can": {Query{Weights: []int{75, 100}}, nil, "replicas"}, // it says so
		"again":                  {Query{Weights: []int{100}}, by, "service"},
		"a route that is gone":   {Query{Weights: []int{100}}, gone, ""},
		"a named route":          {Query{Weights: []int{100}, Route: "web"}, nil, ""},
	} {
		s, err := readSurvey(t.Context(), srv.Cluster(), "shop", of)
		if err != nil {
			t.Fatal(err)
		}
		withoutRoute(s, c.q, s.services, c.previous)
		routes, err := s.pickRoutes("web", c.q)
		switch {
		case c.want == "":
			if err == nil || !strings.Contains(err.Error(), "no HTTPRoute in namespace shop") && !strings.Contains(err.Error(), "httproute shop/web does not exist") {
				t.Errorf("%s: %+v, %v", name, routes, err)
			}
		case err != nil || len(routes) != 1 || routes[0].Router != c.want:
			t.Errorf("%s: %+v, %v, want %s", name, routes, err, c.want)
		}
	}
	_, f, err := look(t, c, Query{Router: "service"}, service.Router{})
	if err != nil || f.EntryPoint.URL != "" || !f.Direct() || !strings.Contains(f.NoEntry(), "set probe-url") {
		t.Errorf("a Service without a port: %+v, %v", f, err)
	}
}
