// Package nginx shifts traffic of Ingresses that are read by ingress-nginx, or by
// another controller of its annotations, such as Traefik from version 3.7.
//
// The split is a second Ingress, "<name>-canary", with the annotations of a canary
// (https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary).
// The user's Ingress does not change. The controller accepts one canary for a host
// and path, so weight, the user's header and the one of test requests share it.
package nginx

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/ingress"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// A Router is the router for the Ingresses of NGINX.
type Router struct{}

var (
	_ router.Router     = Router{}
	_ router.Companied  = Router{}
	_ router.Classed    = Router{}
	_ router.Inline     = Router{}
	_ router.Critic     = Router{}
	_ router.Markless   = Router{}
	_ router.Extender   = Router{}
	_ router.Gatewayed  = Router{}
	_ router.Unsplitter = Router{}
)

const prefix = "nginx.ingress.kubernetes.io/"

// Name implements router.Router.
func (Router) Name() string { return "nginx" }

// Kind implements router.Router.
func (Router) Kind() router.Kind { return ingress.Kind }

// ClassKind implements router.Classed.
func (Router) ClassKind() router.Kind { return ingress.ClassKind }

// Reads implements router.Classed.
func (Router) Reads(route router.Object, classes []router.Object) bool {
	return ingress.ReadBy(route, classes, []string{"k8s.io/ingress-nginx"}, []string{"nginx"})
}

// A savedPath is a path that leads to the Service.
type savedPath struct {
	Host string         `json:"host,omitempty"`
	Path map[string]any `json:"path"` // the default backend's is the backend alone
}

// A savedIngress is what of an Ingress the canary Ingress follows.
type savedIngress struct {
	Class string      `json:"class,omitempty"`
	Paths []savedPath `json:"paths"`
}

func saveIngress(route router.Object, service string) savedIngress {
	saved := savedIngress{Class: ingress.Class(route)}
	for _, p := range ingress.Paths(route) {
		if p.Service() == service {
			saved.Paths = append(saved.Paths, savedPath{p.Host, p.Path})
		}
	}
	return saved
}

// Save implements router.Router. It records the paths that lead to the Service. A
// canary Ingress is no route of its own.
func (Router) Save(route router.Object, service string) (release.Route, bool, error) {
	saved := release.Route{Name: object.Text(object.Child(route, "metadata"), "name")}
	own := saveIngress(route, service)
	var err error
	if saved.Rules, err = json.Marshal(own); err != nil {
		return saved, false, fmt.Errorf("record ingress %s: %w", saved.Name, err)
	}
	return saved, len(own.Paths) > 0 && !isCanary(route), nil
}

func isCanary(route router.Object) bool { return ingress.Annotation(route, prefix+"canary") == "true" }

// Write implements router.Router. The user's Ingress stays as it is; but if its
// paths are not the recorded ones, the canary Ingress would not fit them.
func (r Router) Write(route router.Object, saved release.Route, to router.Split) (jsonpatch.Patch, error) {
	none := jsonpatch.Guarded(object.Text(object.Child(route, "metadata"), "resourceVersion"))
	if drift := r.Drift(route, saved, to); to.Weight > 0 && drift != "" {
		return none, &router.ConflictError{What: drift}
	}
	return none, nil
}

// Drift implements router.Router.
func (Router) Drift(route router.Object, saved release.Route, was router.Split) string {
	var then savedIngress
	if err := json.Unmarshal(saved.Rules, &then); err != nil {
		return fmt.Sprintf("the record of ingress %s (%v)", saved.Name, err)
	}
	raw, err := json.Marshal(saveIngress(route, was.Service))
	var now savedIngress
	if err == nil {
		err = json.Unmarshal(raw, &now)
	}
	if err != nil || !reflect.DeepEqual(now, then) {
		return fmt.Sprintf("class or paths to service %s of ingress %s", was.Service, saved.Name)
	}
	return ""
}

// Unsplit implements router.Unsplitter: a split does not change the user's Ingress.
func (Router) Unsplit(saved release.Route, _ router.Split) (release.Route, error) { return saved, nil }

// Accepted implements router.Router. The controller does not say which generation
// it has applied; the probes see when it has.
func (Router) Accepted(route router.Object, generation int64) (bool, string) {
	newest, _ := object.Child(route, "metadata")["generation"].(int64)
	return newest >= generation, "the watch is behind"
}

// GatewayKind implements router.Gatewayed: an Ingress has the address itself.
func (Router) GatewayKind() router.Kind { return ingress.Kind }

// Gateways implements router.Gatewayed.
func (Router) Gateways(route router.Object) []router.GatewayRef { return ingress.Itself(route) }

// Host implements router.Gatewayed.
func (Router) Host(route router.Object) string { return ingress.Host(route) }

// URL implements router.Gatewayed. With TLS the controller redirects HTTP.
func (Router) URL(gateway router.Object, _ string) string {
	if len(object.List(object.Child(gateway, "spec"), "tls")) > 0 && ingress.Annotation(gateway, prefix+"ssl-redirect") != "false" {
		return ingress.URL(gateway, "https")
	}
	return ingress.URL(gateway, "http")
}

// PinValues implements router.Inline: NGINX knows these two words for a header
// without a value of its own.
func (Router) PinValues() (canary, stable string) { return "always", "never" }

// Markless implements router.Markless.
func (Router) Markless() {}

// Untestable implements router.Inline: a canary Ingress has one header.
func (Router) Untestable(x router.Extras) (before, during string) {
	if x.Header != "" {
		return "", fmt.Sprintf("a canary of NGINX has one header, and the header %s takes it from the first weight on", x.Header)
	}
	return "", ""
}
