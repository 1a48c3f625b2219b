package nginx

import (
	"cmp"
	"maps"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/ingress"
	"github.com/candlefish/deploy-action/internal/router/object"
)

func canaryName(route string) string { return route + "-canary" }

// CompanionKinds implements router.Companied.
func (Router) CompanionKinds() []router.Kind { return []router.Kind{ingress.Kind} }

// Companions implements router.Companied: the canary Ingress.
func (Router) Companions(route router.Object, saved release.Route, to router.Split) ([]router.Companion, error) {
	if to.Weight == router.Original {
		return nil, nil
	}
	spec := canarySpec(route, to)
	if spec == nil {
		return nil, nil // the route does not lead to the Service any more
	}
	object := router.Object{
		"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
		"metadata": map[string]any{"name": canaryName(saved.Name), "annotations": annotations(route, to)},
		"spec":     spec,
	}
	return []router.Companion{{Kind: ingress.Kind, Object: object}}, nil
}

// canarySpec returns the spec of the user's Ingress with only the paths to the
// Service, which lead to the canary; nil for none.
func canarySpec(route router.Object, to router.Split) map[string]any {
	user := object.Child(route, "spec")
	spec := map[string]any{}
	for _, field := range []string{"ingressClassName", "tls"} {
		if v, ok := user[field]; ok {
			spec[field] = v
		}
	}
	var rules []any
	for _, rule := range object.List(user, "rules") {
		var paths []any
		for _, path := range object.List(object.Child(rule, "http"), "paths") {
			if p, _ := path.(map[string]any); serviceOf(p["backend"]) == to.Service {
				paths = append(paths, with(p, "backend", toCanary(object.Child(p, "backend"), to)))
			}
		}
		if paths != nil {
			m, _ := rule.(map[string]any)
			rules = append(rules, with(m, "http", with(object.Child(rule, "http"), "paths", paths)))
		}
	}
	if rules != nil {
		spec["rules"] = rules
	}
	if backend := object.Child(user, "defaultBackend"); serviceOf(backend) == to.Service {
		spec["defaultBackend"] = toCanary(backend, to)
	} else if rules == nil {
		return nil
	}
	return spec
}

func serviceOf(backend any) string {
	m, _ := backend.(map[string]any)
	return object.Text(object.Child(m, "service"), "name")
}

func toCanary(backend map[string]any, to router.Split) map[string]any {
	return with(backend, "service", with(object.Child(backend, "service"), "name", to.CanaryService))
}

func with(m map[string]any, key string, value any) map[string]any {
	c := map[string]any{}
	maps.Copy(c, m)
	c[key] = value
	return c
}

// heeded are the user's annotations that NGINX reads from a canary Ingress too; it
// ignores all others there. service-upstream must be the same for both upstreams.
var heeded = []string{"load-balance", "upstream-hash-by", "service-upstream"}

// NGINX takes no empty annotation, and an annotation that is there stays: what does
// not apply at weight 0 has a name then that no user sends.
const (
	testHeader   = "X-Candlefish-Preflight"
	neutralValue = "always"
	noCookie     = "candlefish-none"
)

// annotations returns those of the canary Ingress. Without a weight the user's
// header and cookie lead nobody to the canary.
func annotations(route router.Object, to router.Split) map[string]any {
	set := map[string]any{
		prefix + "canary": "true", prefix + "canary-weight": strconv.Itoa(to.Weight),
		prefix + "canary-by-header": cmp.Or(to.PinHeader, testHeader),
	}
	if class := ingress.Annotation(route, ingress.ClassAnnotation); class != "" && object.Text(object.Child(route, "spec"), "ingressClassName") == "" {
		set[ingress.ClassAnnotation] = class
	}
	all, _ := object.Child(route, "metadata")["annotations"].(map[string]any)
	for key, value := range all {
		for _, name := range heeded {
			if strings.HasPrefix(key, prefix+name) {
				set[key] = value
			}
		}
	}
	if to.Extras.Header != "" {
		set[prefix+"canary-by-header-value"] = neutralValue
		if to.Weight > 0 {
			set[prefix+"canary-by-header"], set[prefix+"canary-by-header-value"] = to.Extras.Header, cmp.Or(to.Extras.Value, neutralValue)
		}
	}
	if to.Extras.Cookie != "" {
		set[prefix+"canary-by-cookie"] = noCookie
		if to.Weight > 0 {
			set[prefix+"canary-by-cookie"] = to.Extras.Cookie
		}
	}
	if ingress.Annotation(route, prefix+"affinity") != "" {
		set[prefix+"affinity-canary-behavior"] = behavior(route, to)
	}
	return set
}

// behavior says what a canary does with the user's session affinity. At weight 0
// nobody may stay on it; see route_to_alternative_balancer in NGINX's balancer.lua.
func behavior(route router.Object, to router.Split) string {
	if to.Weight > 0 && ingress.Annotation(route, prefix+"affinity-canary-behavior") != "legacy" {
		return "sticky"
	}
	return "legacy"
}
