package alb

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/ingress"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// parsed decodes a manifest as the API's client does: whole numbers are int64.
func parsed(t *testing.T, manifest string) router.Object {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	var o any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		t.Fatal(err)
	}
	return object.WholeNumbers(o).(map[string]any)
}

const plain = `
metadata: {name: web, namespace: shop, generation: 4, resourceVersion: "9", annotations: {alb.ingress.kubernetes.io/target-type: ip}}
spec:
  ingressClassName: alb
  rules:
  - host: other.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: other, port: {number: 80}}}}]}
  - host: shop.example
    http:
      paths:
      - {path: /blog, pathType: Prefix, backend: {service: {name: blog, port: {number: 80}}}}
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
`

// ownAction splits already, with keys as old examples write them, and has conditions.
const ownAction = `
metadata:
  name: web
  namespace: shop
  annotations:
    alb.ingress.kubernetes.io/actions.mix: |
      {"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"web","ServicePort":"80","Weight":3},{"ServiceName":"legacy","ServicePort":"80","Weight":1},{"TargetGroupARN":"arn:x","Weight":1}],"TargetGroupStickinessConfig":{"Enabled":true}}}
    alb.ingress.kubernetes.io/conditions.mix: '[{"field":"query-string","queryStringConfig":{"values":[{"key":"a","value":"b"}]}}]'
spec:
  rules:
  - http: {paths: [{path: /*, pathType: ImplementationSpecific, backend: {service: {name: mix, port: {name: use-annotation}}}}]}
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

// apply applies a patch as the API server does, for the operations that are used.
func apply(t *testing.T, route router.Object, p jsonpatch.Patch) router.Object {
	t.Helper()
	var ops []struct {
		Op, Path string
		Value    any
	}
	d := json.NewDecoder(strings.NewReader(string(p.JSON())))
	d.UseNumber()
	if err := d.Decode(&ops); err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(route)
	changed := parsed(t, string(raw))
	for _, op := range ops {
		keys := strings.Split(strings.TrimPrefix(op.Path, "/"), "/")
		var at any = map[string]any(changed)
		for _, key := range keys[:len(keys)-1] {
			if list, ok := at.([]any); ok {
				i, _ := strconv.Atoi(key)
				at = list[i]
				continue
			}
			at = at.(map[string]any)[key]
		}
		m, last := at.(map[string]any), strings.ReplaceAll(keys[len(keys)-1], "~1", "/")
		_, exists := m[last]
		switch {
		case m == nil, op.Op != "add" && !exists:
			t.Fatalf("%s %s: no such member", op.Op, op.Path)
		case op.Op == "remove":
			delete(m, last)
		default:
			m[last] = object.WholeNumbers(op.Value)
		}
	}
	return changed
}

func write(t *testing.T, route router.Object, saved release.Route, s router.Split) router.Object {
	t.Helper()
	patch, err := Router{}.Write(route, saved, s)
	if err != nil {
		t.Fatalf("Write at %d: %v", s.Weight, err)
	}
	changed := apply(t, route, patch)
	if drift := (Router{}).Drift(changed, saved, s); drift != "" {
		t.Errorf("Drift after Write at %d = %q", s.Weight, drift)
	}
	return changed
}

func TestAPlainBackendBecomesAnActionAndComesBack(t *testing.T) {
	t.Parallel()
	route := parsed(t, plain)
	saved := save(t, route)
	split := write(t, route, saved, to(5))
	want := parsed(t, strings.Replace(strings.Replace(plain, "name: web, port: {number: 80}", "name: web, port: {name: use-annotation}", 1),
		"target-type: ip", `target-type: ip, alb.ingress.kubernetes.io/actions.web: '{"forwardConfig":{"targetGroups":[{"serviceName":"web","servicePort":80,"weight":95},{"serviceName":"web-canary","servicePort":80,"weight":5}]},"type":"forward"}'`, 1))
	want["metadata"].(map[string]any)["resourceVersion"] = "9"
	if diff := cmp.Diff(want, split); diff != "" {
		t.Errorf("Ingress at 5 %% (-want +got):\n%s", diff)
	}
	for _, weight := range []int{25, 100, 0} {
		split = write(t, split, saved, to(weight))
	}
	if diff := cmp.Diff(route, write(t, split, saved, to(router.Original))); diff != "" {
		t.Errorf("Ingress afterwards (-before +after):\n%s", diff)
	}
	if patch, err := (Router{}).Write(route, saved, to(router.Original)); err != nil || !patch.Empty() {
		t.Errorf("Write of what is there = %s, %v", patch.JSON(), err)
	}
}

// Proportions, conditions and target groups of a user's own action stay, and its
// annotation comes back byte for byte.
func TestTheUsersActionIsExtended(t *testing.T) {
	t.Parallel()
	route := parsed(t, ownAction)
	saved := save(t, route)
	split := write(t, route, saved, to(25))
	a, err := parseAction(ingress.Annotation(split, prefix+"actions.mix"))
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, g := range a.groups() {
		_, arn := field(g, "targetGroupARN")
		text, _ := arn.(string)
		parts = append(parts, serviceOf(g)+text+"="+strconv.FormatInt(weightOf(g), 10))
	}
	if got := strings.Join(parts, " "); got != "web=225 web-canary=75 legacy=100 arn:x=100" {
		t.Errorf("target groups %s", got)
	}
	if c := ingress.Annotation(split, prefix+"conditions.mix"); c != ingress.Annotation(route, prefix+"conditions.mix") {
		t.Errorf("conditions %s", c)
	}
	if diff := cmp.Diff(route, write(t, split, saved, to(router.Original))); diff != "" {
		t.Errorf("Ingress afterwards (-before +after):\n%s", diff)
	}
}

// Rules for test requests, a header and a cookie come before the weights, each with
// the conditions of the path. Without a weight the user's own lead nobody there.
func TestRulesBesideTheWeights(t *testing.T) {
	t.Parallel()
	route := parsed(t, ownAction)
	saved := save(t, route)
	s := to(10)
	s.PinHeader, s.Pins = "X-Test", []router.Pin{{Value: "c", Service: "web-canary"}, {Value: "s", Service: "web"}}
	s.Extras = router.Extras{Header: "canary", Value: "true", Cookie: "beta"}
	split := write(t, route, saved, s)
	if got := names(split); got != "mix-test-canary mix-test-stable mix-by-header mix-by-cookie mix" {
		t.Errorf("paths lead to %s", got)
	}
	annotation := func(key string) string { return ingress.Annotation(split, prefix+key) }
	if c := annotation("conditions.mix-by-cookie"); !strings.Contains(c, `"key":"a"`) || !strings.Contains(c, `{"httpHeaderName":"Cookie","values":["*beta=always*"]}`) {
		t.Errorf("conditions of the cookie: %s", c)
	}
	for key, service := range map[string]string{"mix-test-canary": "web-canary", "mix-test-stable": "web", "mix-by-header": "web-canary"} {
		a, err := parseAction(annotation("actions." + key))
		if err != nil || len(a.groups()) != 1 || serviceOf(a.groups()[0]) != service || strings.Contains(strings.ToLower(a.String()), "stickiness") {
			t.Errorf("action %s = %s, %v", key, a, err)
		}
	}
	s.Weight = 0
	if got := names(write(t, split, saved, s)); got != "mix-test-canary mix-test-stable mix" {
		t.Errorf("at weight 0 paths lead to %s", got)
	}
	s.Pins, s.PinHeader = nil, "" // the end of the tests
	if got := names(write(t, split, saved, s)); got != "mix" {
		t.Errorf("without tests paths lead to %s", got)
	}
	s.Weight = router.Original
	if diff := cmp.Diff(route, write(t, split, saved, s)); diff != "" {
		t.Errorf("Ingress afterwards (-before +after):\n%s", diff)
	}
}

func names(route router.Object) string {
	var list []string
	for _, p := range ingress.Paths(route) {
		list = append(list, p.Service())
	}
	return strings.Join(list, " ")
}

// Two ports need two actions, and conditions by the name of the Service go along.
func TestTwoPortsHaveTwoActions(t *testing.T) {
	t.Parallel()
	route := parsed(t, `
metadata: {name: web, namespace: shop, annotations: {alb.ingress.kubernetes.io/conditions.web: '[{"field":"x"}]'}}
spec:
  rules:
  - http:
      paths:
      - {path: /a, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /b, backend: {service: {name: web, port: {name: admin}}}}
`)
	saved := save(t, route)
	split := write(t, route, saved, to(50))
	if got := names(split); got != "web-80 web-admin" {
		t.Errorf("paths lead to %s", got)
	}
	if c := ingress.Annotation(split, prefix+"conditions.web-admin"); c != `[{"field":"x"}]` {
		t.Errorf("conditions %q", c)
	}
	if a := ingress.Annotation(split, prefix+"actions.web-admin"); !strings.Contains(a, `"servicePort":"admin"`) {
		t.Errorf("action %s", a)
	}
	if diff := cmp.Diff(route, write(t, split, saved, to(router.Original))); diff != "" {
		t.Errorf("Ingress afterwards (-before +after):\n%s", diff)
	}
}

// Affinity holds between the ends; at 0 and 100 % nobody stays on the other version.
func TestAffinity(t *testing.T) {
	t.Parallel()
	two := strings.Replace(ownAction, `,{"ServiceName":"legacy","ServicePort":"80","Weight":1},{"TargetGroupARN":"arn:x","Weight":1}`, "", 1)
	for name, c := range map[string]struct {
		manifest string
		affinity string
		want     map[int]string
	}{
		"none":         {plain, "", map[int]string{0: "", 50: "", 100: ""}},
		"of a release": {plain, Cookie, map[int]string{0: "", 50: `{"durationSeconds":3600,"enabled":true}`, 100: ""}},
		"of the user":  {two, "", map[int]string{0: `{"enabled":false}`, 50: `{"Enabled":true}`, 100: `{"enabled":false}`}},
	} {
		route := parsed(t, c.manifest)
		saved := save(t, route)
		for weight, want := range c.want {
			s := to(weight)
			s.Extras.Affinity = c.affinity
			split := write(t, route, saved, s)
			text := ingress.Annotation(split, prefix+"actions.web") + ingress.Annotation(split, prefix+"actions.mix")
			a, err := parseAction(text)
			if err != nil {
				t.Fatal(err)
			}
			_, config := field(a, "forwardConfig")
			_, sticky := field(config.(map[string]any), "targetGroupStickinessConfig")
			if got := map[bool]string{false: encode(sticky)}[sticky == nil]; got != want {
				t.Errorf("%s at %d %%: %s, want %s", name, weight, got, want)
			}
		}
	}
}

func TestAnotherWriterIsNotOverwritten(t *testing.T) {
	t.Parallel()
	route := parsed(t, plain)
	saved := save(t, route)
	split := write(t, route, saved, to(25))
	weights := parsed(t, strings.ReplaceAll(encode(split), `\"weight\":75`, `\"weight\":40`))
	moved := parsed(t, strings.ReplaceAll(encode(split), `"/blog"`, `"/news"`))
	for name, c := range map[string]struct {
		route    router.Object
		weight   int
		conflict bool
	}{
		"other weights, on the way up":   {weights, 50, true},
		"other weights, on the way back": {weights, 0, false},
		"another path":                   {moved, 50, true},
		"another path, on the way back":  {moved, 0, true},
	} {
		if drift := (Router{}).Drift(c.route, saved, to(25)); drift != "the paths or actions of ingress web" {
			t.Errorf("%s: drift %q", name, drift)
		}
		var conflict *router.ConflictError
		if _, err := (Router{}).Write(c.route, saved, to(c.weight)); errors.As(err, &conflict) != c.conflict || err != nil != c.conflict {
			t.Errorf("%s: Write: %v", name, err)
		}
	}
}

// What a release without a record left is taken back from the actions alone.
func TestUnsplit(t *testing.T) {
	t.Parallel()
	s := to(25)
	s.PinHeader, s.Pins = "X-Test", []router.Pin{{Value: "c", Service: "web-canary"}}
	for name, manifest := range map[string]string{"plain": plain, "the user's action": ownAction} {
		route := parsed(t, manifest)
		split := write(t, route, save(t, route), s)
		whole, err := Router{}.Unsplit(save(t, split), s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := decode(whole)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := decode(save(t, route))
		if diff := cmp.Diff(want.Rules, got.Rules); diff != "" {
			t.Errorf("%s: rules (-want +got):\n%s", name, diff)
		}
		if !slices.Equal(slices.Sorted(maps.Keys(want.Annotations)), slices.Sorted(maps.Keys(got.Annotations))) {
			t.Errorf("%s: annotations %v, want %v", name, got.Annotations, want.Annotations)
		}
	}
	route := parsed(t, strings.ReplaceAll(encode(write(t, parsed(t, ownAction), save(t, parsed(t, ownAction)), s)), `\"Weight\":225`, `\"Weight\":220`))
	if _, err := (Router{}).Unsplit(save(t, route), s); err == nil || !strings.Contains(err.Error(), "not those of a release") {
		t.Errorf("weights of somebody else: %v", err)
	}
}

func TestCriticize(t *testing.T) {
	t.Parallel()
	gated := router.Surroundings{Namespace: "shop", Gated: true, Service: router.Object{}}
	five := `{"serviceName":"a","servicePort":80},{"serviceName":"b","servicePort":80},{"serviceName":"c","servicePort":80},{"serviceName":"d","servicePort":80}`
	action := func(groups string) string {
		return strings.Replace(ownAction, `{"ServiceName":"legacy","ServicePort":"80","Weight":1},{"TargetGroupARN":"arn:x","Weight":1}`, groups, 1)
	}
	for name, c := range map[string]struct {
		manifest string
		with     router.Surroundings
		obstacle string
		warning  string
	}{
		"ready":                {plain, gated, "", ""},
		"no gates":             {plain, router.Surroundings{Namespace: "shop"}, "", "kubectl label namespace shop elbv2.k8s.aws/pod-readiness-gate-inject=enabled"},
		"nodes as targets":     {strings.Replace(plain, "target-type: ip", "target-type: instance", 1), gated, "target-type: ip", ""},
		"nodes by default":     {ownAction, router.Surroundings{Gated: true, Service: router.Object{"spec": map[string]any{"type": "NodePort"}}}, "target-type: ip", ""},
		"no room":              {action(five), gated, "5 target groups and no room", ""},
		"weights too large":    {action(`{"serviceName":"a","servicePort":80,"weight":997}`), gated, "cannot be divided into percents", ""},
		"a default backend":    {plain + "  defaultBackend: {service: {name: web, port: {number: 80}}}\n", gated, "give the Ingress a path /", ""},
		"auth from a Service":  {plain, router.Surroundings{Gated: true, Service: parsed(t, `metadata: {annotations: {alb.ingress.kubernetes.io/auth-type: oidc}}`)}, "users would get in without it", ""},
		"a plain, large split": {action(`{"serviceName":"a","servicePort":80,"weight":3}`), gated, "", ""},
	} {
		route := parsed(t, c.manifest)
		obstacles, warnings := Router{}.Criticize(route, save(t, route), c.with)
		if !one(obstacles, c.obstacle) || !one(warnings, c.warning) {
			t.Errorf("%s: obstacles %q, warnings %q", name, obstacles, warnings)
		}
	}
}

func one(list []string, part string) bool {
	return len(list) == 0 && part == "" || len(list) == 1 && part != "" && strings.Contains(list[0], part)
}

func TestWhatItSupports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		extras router.Extras
		says   string
	}{
		"header, cookie, affinity": {router.Extras{Header: "h", Value: "v", Cookie: "c", Affinity: Cookie}, ""},
		"another cookie":           {router.Extras{Affinity: "mine"}, "name it AWSALBTG"},
		"mirror":                   {router.Extras{Mirror: 5}, "cannot mirror"},
	} {
		err := Router{}.Supports(c.extras)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	with := strings.Replace(plain, "target-type: ip", "certificate-arn: arn:cert", 1) + "status: {loadBalancer: {ingress: [{hostname: x.elb.amazonaws.com}]}}"
	if url := (Router{}).URL(parsed(t, with), ""); url != "https://x.elb.amazonaws.com:443" {
		t.Errorf("URL = %q", url)
	}
	long := savedIngress{Service: strings.Repeat("w", 60)}
	if name := long.actionName(long.Service, useAnnotation); len(name)+len("conditions.")+len(testCanary) > 63 {
		t.Errorf("the annotation of %q is too long", name)
	}
}
