package nginx

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
)

func parsed(t *testing.T, manifest string) router.Object {
	t.Helper()
	var o router.Object
	if err := yaml.Unmarshal([]byte(manifest), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

const user = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations:
    nginx.ingress.kubernetes.io/rewrite-target: /$1
    nginx.ingress.kubernetes.io/load-balance: ewma
    nginx.ingress.kubernetes.io/upstream-hash-by-subset: "true"
    cert-manager.io/cluster-issuer: letsencrypt
spec:
  ingressClassName: public
  tls: [{hosts: [shop.example], secretName: shop}]
  rules:
  - host: other.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: other, port: {number: 80}}}}]}
  - host: shop.example
    http:
      paths:
      - {path: /api, pathType: Exact, backend: {service: {name: web, port: {name: http}}}}
      - {path: /blog, pathType: Prefix, backend: {service: {name: blog, port: {number: 80}}}}
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
`

func to(weight int) router.Split {
	return router.Split{Namespace: "shop", Service: "web", CanaryService: "web-canary", Weight: weight}
}

func save(t *testing.T, route router.Object) release.Route {
	t.Helper()
	saved, ok, err := Router{}.Save(route, "web")
	if err != nil || !ok {
		t.Fatalf("Save = %v, %v", ok, err)
	}
	return saved
}

func canary(t *testing.T, route router.Object, s router.Split) router.Object {
	t.Helper()
	list, err := Router{}.Companions(route, save(t, route), s)
	if err != nil || len(list) != 1 {
		t.Fatalf("Companions = %v, %v", list, err)
	}
	return list[0].Object
}

func TestTheCanaryIngressHasTheUsersPathsToTheService(t *testing.T) {
	t.Parallel()
	route := parsed(t, user)
	before, _ := json.Marshal(route)
	want := parsed(t, `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web-canary
  annotations:
    nginx.ingress.kubernetes.io/canary: "true"
    nginx.ingress.kubernetes.io/canary-weight: "25"
    nginx.ingress.kubernetes.io/canary-by-header: X-Candlefish-Preflight
    nginx.ingress.kubernetes.io/load-balance: ewma
    nginx.ingress.kubernetes.io/upstream-hash-by-subset: "true"
spec:
  ingressClassName: public
  tls: [{hosts: [shop.example], secretName: shop}]
  rules:
  - host: shop.example
    http:
      paths:
      - {path: /api, pathType: Exact, backend: {service: {name: web-canary, port: {name: http}}}}
      - {path: /, pathType: Prefix, backend: {service: {name: web-canary, port: {number: 80}}}}
`)
	if diff := cmp.Diff(want, canary(t, route, to(25))); diff != "" {
		t.Errorf("canary Ingress (-want +got):\n%s", diff)
	}
	after, _ := json.Marshal(route)
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("the user's Ingress changed (-before +after):\n%s", diff)
	}
	if list, err := (Router{}).Companions(route, save(t, route), to(router.Original)); len(list) > 0 || err != nil {
		t.Errorf("beside an Ingress as the user wrote it: %v, %v", list, err)
	}
}

func TestTheDefaultBackendAndTheClassAnnotation(t *testing.T) {
	t.Parallel()
	route := parsed(t, `
metadata: {name: web, namespace: shop, annotations: {kubernetes.io/ingress.class: nginx}}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
`)
	got := canary(t, route, to(5))
	if diff := cmp.Diff(parsed(t, `defaultBackend: {service: {name: web-canary, port: {number: 80}}}`), got["spec"]); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if class := got["metadata"].(map[string]any)["annotations"].(map[string]any)["kubernetes.io/ingress.class"]; class != "nginx" {
		t.Errorf("class %v", class)
	}
}

// A canary Ingress has one header, one cookie and one weight. At weight 0 nobody but
// a test may get to the canary: neither by the user's header and cookie, nor by a
// session from before an abort.
func TestWhatLeadsToTheCanary(t *testing.T) {
	t.Parallel()
	pins := []router.Pin{{Value: "always", Service: "web-canary"}, {Value: "never", Service: "web"}}
	for name, c := range map[string]struct {
		annotations string // of the user's Ingress
		weight      int
		extras      router.Extras
		want        string // header, its value, cookie, affinity
	}{
		"tests alone":               {"", 0, router.Extras{}, "X-Test,,,"},
		"tests and weight":          {"", 50, router.Extras{}, "X-Test,,,"},
		"the user's header":         {"", 50, router.Extras{Header: "canary", Value: "true"}, "canary,true,,"},
		"the user's header, at 0":   {"", 0, router.Extras{Header: "canary", Value: "true"}, "X-Test,always,,"},
		"a cookie":                  {"", 5, router.Extras{Cookie: "beta"}, "X-Test,,beta,"},
		"a cookie, at 0":            {"", 0, router.Extras{Cookie: "beta"}, "X-Test,,candlefish-none,"},
		"session affinity":          {"affinity", 5, router.Extras{}, "X-Test,,,sticky"},
		"session affinity, at 0":    {"affinity", 0, router.Extras{}, "X-Test,,,legacy"},
		"legacy affinity of a user": {"affinity legacy", 5, router.Extras{}, "X-Test,,,legacy"},
	} {
		route := parsed(t, user)
		own := route["metadata"].(map[string]any)["annotations"].(map[string]any)
		if strings.Contains(c.annotations, "affinity") {
			own[prefix+"affinity"] = "cookie"
		}
		if strings.Contains(c.annotations, "legacy") {
			own[prefix+"affinity-canary-behavior"] = "legacy"
		}
		s := to(c.weight)
		s.Extras, s.Pins, s.PinHeader = c.extras, pins, "X-Test"
		got := canary(t, route, s)["metadata"].(map[string]any)["annotations"].(map[string]any)
		var parts []string
		for _, key := range []string{"canary-by-header", "canary-by-header-value", "canary-by-cookie", "affinity-canary-behavior"} {
			value, _ := got[prefix+key].(string)
			parts = append(parts, value)
		}
		if line := strings.Join(parts, ","); line != c.want {
			t.Errorf("%s: %s, want %s", name, line, c.want)
		}
		for key, value := range got {
			if value == "" {
				t.Errorf("%s: annotation %s is empty, which NGINX refuses", name, key)
			}
		}
	}
}

func TestTheUsersIngressIsNotWritten(t *testing.T) {
	t.Parallel()
	route := parsed(t, user)
	saved := save(t, route)
	for _, weight := range []int{router.Original, 0, 25, 100} {
		if patch, err := (Router{}).Write(route, saved, to(weight)); err != nil || !patch.Empty() {
			t.Errorf("Write at %d = %s, %v", weight, patch.JSON(), err)
		}
		if drift := (Router{}).Drift(route, saved, to(weight)); drift != "" {
			t.Errorf("Drift at %d = %q", weight, drift)
		}
	}
	if whole, err := (Router{}).Unsplit(saved, to(25)); err != nil || cmp.Diff(saved, whole) != "" {
		t.Errorf("Unsplit = %v, %v", whole, err)
	}
}

// The canary Ingress fits the paths that were recorded.
func TestAChangeOfThePathsIsDrift(t *testing.T) {
	t.Parallel()
	saved := save(t, parsed(t, user))
	for name, change := range map[string]func(string) string{
		"a host":  func(s string) string { return strings.ReplaceAll(s, "shop.example", "new.example") },
		"a path":  func(s string) string { return strings.ReplaceAll(s, "/api", "/v2") },
		"a class": func(s string) string { return strings.ReplaceAll(s, "public", "internal") },
		"the Service": func(s string) string {
			return strings.ReplaceAll(s, "{name: web, port: {number: 80}}", "{name: else, port: {number: 80}}")
		},
	} {
		route := parsed(t, change(user))
		if drift := (Router{}).Drift(route, saved, to(5)); drift != "class or paths to service web of ingress web" {
			t.Errorf("%s: drift %q", name, drift)
		}
		var conflict *router.ConflictError
		if _, err := (Router{}).Write(route, saved, to(5)); !errors.As(err, &conflict) {
			t.Errorf("%s: Write: %v", name, err)
		}
		if _, err := (Router{}).Write(route, saved, to(0)); err != nil {
			t.Errorf("%s: Write of the way back: %v", name, err)
		}
	}
	other := parsed(t, strings.ReplaceAll(user, "/blog", "/news"))
	if drift := (Router{}).Drift(other, saved, to(5)); drift != "" {
		t.Errorf("a path of another Service: drift %q", drift)
	}
}

func TestACanaryIngressIsNoRoute(t *testing.T) {
	t.Parallel()
	beside := canary(t, parsed(t, user), to(5))
	if _, ok, err := (Router{}).Save(beside, "web-canary"); ok || err != nil {
		t.Errorf("Save = %v, %v", ok, err)
	}
}

func TestCriticize(t *testing.T) {
	t.Parallel()
	route := parsed(t, user)
	with := func(key, value string) router.Object {
		o := parsed(t, user)
		o["metadata"].(map[string]any)["annotations"].(map[string]any)[prefix+key] = value
		return o
	}
	foreign := func(name, host, path, canary string) router.Object {
		return parsed(t, `
metadata: {name: `+name+`, annotations: {nginx.ingress.kubernetes.io/canary: "`+canary+`"}}
spec: {rules: [{host: `+host+`, http: {paths: [{path: `+path+`, backend: {service: {name: beta, port: {number: 80}}}}]}}]}`)
	}
	for name, c := range map[string]struct {
		route    router.Object
		others   []router.Object
		obstacle string
		warning  string
	}{
		"plain":                    {route, []router.Object{route}, "", ""},
		"another canary":           {route, []router.Object{foreign("beta", "shop.example", "/api", "true")}, "ingress beta is a canary for shop.example/api already", ""},
		"a canary of another path": {route, []router.Object{foreign("beta", "shop.example", "/beta", "true")}, "", ""},
		"no canary":                {route, []router.Object{foreign("beta", "shop.example", "/api", "false")}, "", ""},
		"the name is taken":        {route, []router.Object{foreign("web-canary", "x.example", "/", "false")}, "ingress web-canary exists", ""},
		"TLS passes through":       {with("ssl-passthrough", "true"), nil, "passes TLS through", ""},
		"session affinity":         {with("affinity", "cookie"), nil, "", "stay on the stable version until the hand-over"},
	} {
		obstacles, warnings := Router{}.Criticize(c.route, save(t, c.route), router.Surroundings{Others: c.others})
		if !one(obstacles, c.obstacle) || !one(warnings, c.warning) {
			t.Errorf("%s: obstacles %q, warnings %q", name, obstacles, warnings)
		}
	}
}

func one(list []string, part string) bool {
	return len(list) == 0 && part == "" || len(list) == 1 && part != "" && strings.Contains(list[0], part)
}

func TestWhichIngressesAreOfNGINX(t *testing.T) {
	t.Parallel()
	class := func(name, controller, isDefault string) router.Object {
		return parsed(t, `
metadata: {name: `+name+`, annotations: {ingressclass.kubernetes.io/is-default-class: "`+isDefault+`"}}
spec: {controller: `+controller+`}`)
	}
	classes := []router.Object{class("public", "k8s.io/ingress-nginx", "false"), class("nginx", "nginx.org/ingress-controller", "false"), class("plain", "k8s.io/ingress-nginx", "true")}
	for name, c := range map[string]struct {
		route   string
		classes []router.Object
		want    bool
	}{
		"by its class":                    {`spec: {ingressClassName: public}`, classes, true},
		"a class of another controller":   {`spec: {ingressClassName: nginx}`, classes, false},
		"an unknown class":                {`spec: {ingressClassName: gone}`, classes, false},
		"by annotation":                   {`metadata: {annotations: {kubernetes.io/ingress.class: public}}`, classes, true},
		"by annotation without its class": {`metadata: {annotations: {kubernetes.io/ingress.class: nginx}}`, classes[:1], true},
		"the default class":               {`spec: {}`, classes, true},
		"no default class":                {`spec: {}`, classes[:2], false},
		"the classes are secret":          {`spec: {ingressClassName: nginx}`, nil, true},
		"and the name is another":         {`spec: {ingressClassName: public}`, nil, false},
	} {
		if got := (Router{}).Reads(parsed(t, c.route), c.classes); got != c.want {
			t.Errorf("%s: Reads = %v, want %v", name, got, c.want)
		}
	}
}

func TestTheEntryPoint(t *testing.T) {
	t.Parallel()
	const status = "\nstatus: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}"
	for name, c := range map[string]struct{ manifest, url, host string }{
		"with TLS":         {user + status, "https://192.0.2.1:443", "other.example"},
		"no redirect":      {strings.Replace(user, "annotations:\n", "annotations:\n    nginx.ingress.kubernetes.io/ssl-redirect: \"false\"\n", 1) + status, "http://192.0.2.1:80", "other.example"},
		"no address":       {user, "", "other.example"},
		"a name, any host": {"metadata: {name: web}\nstatus: {loadBalancer: {ingress: [{hostname: lb.example}]}}", "http://lb.example:80", ""},
	} {
		route := parsed(t, c.manifest)
		if url, host := (Router{}).URL(route, ""), (Router{}).Host(route); url != c.url || host != c.host {
			t.Errorf("%s: %q, %q", name, url, host)
		}
	}
	if diff := cmp.Diff([]router.GatewayRef{{Namespace: "shop", Name: "web"}}, (Router{}).Gateways(parsed(t, user))); diff != "" {
		t.Errorf("Gateways (-want +got):\n%s", diff)
	}
}

func TestExtras(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		extras router.Extras
		says   string
	}{
		"header and cookie": {router.Extras{Header: "canary", Value: "true", Cookie: "beta"}, ""},
		"mirror":            {router.Extras{Mirror: 10}, "mirrors no share"},
		"affinity":          {router.Extras{Affinity: "track"}, "nginx.ingress.kubernetes.io/session-cookie-name=track"},
	} {
		err := Router{}.Supports(c.extras)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if before, during := (Router{}).Untestable(router.Extras{Header: "canary"}); before != "" || !strings.Contains(during, "canary") {
		t.Errorf("Untestable = %q, %q", before, during)
	}
}
