// Package ingress reads Ingresses (networking.k8s.io/v1): what the routers have in
// common whose controllers are configured by them.
package ingress

import (
	"cmp"
	"net"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// Kind is the kind of Ingresses.
var Kind = router.Kind{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses", Name: "Ingress"}

// ClassKind is the kind of their classes.
var ClassKind = router.Kind{Group: "networking.k8s.io", Version: "v1", Resource: "ingressclasses", Name: "IngressClass"}

// ClassAnnotation names the class of an Ingress that has no field for it.
const ClassAnnotation = "kubernetes.io/ingress.class"

// defaultAnnotation marks the class of Ingresses without one.
const defaultAnnotation = "ingressclass.kubernetes.io/is-default-class"

// Class returns the name of an Ingress's class, "" for the default one.
func Class(route router.Object) string {
	return cmp.Or(object.Text(object.Child(route, "spec"), "ingressClassName"), Annotation(route, ClassAnnotation))
}

// ReadBy reports whether one of the controllers reads an Ingress. The annotation
// may name the class of a controller without an IngressClass; names are those. With
// no classes, which some identities may not list, names decide alone.
func ReadBy(route router.Object, classes []router.Object, controllers, names []string) bool {
	class := Class(route)
	for _, c := range classes {
		if class == object.Name(c) || class == "" && Annotation(c, defaultAnnotation) == "true" {
			return slices.Contains(controllers, object.Text(object.Child(c, "spec"), "controller"))
		}
	}
	byAnnotation := object.Text(object.Child(route, "spec"), "ingressClassName") == ""
	return class != "" && (byAnnotation || len(classes) == 0) && slices.Contains(names, class)
}

// A Path is one path of an Ingress.
type Path struct {
	Host string
	Rule int // of the Ingress, -1 for its default backend
	At   int // in the rule
	Path map[string]any
}

// Backend returns the backend of the path.
func (p Path) Backend() map[string]any {
	if p.Rule < 0 {
		return p.Path
	}
	return object.Child(p.Path, "backend")
}

// Service returns the name of the path's Service, "" if it leads elsewhere.
func (p Path) Service() string { return object.Text(object.Child(p.Backend(), "service"), "name") }

// Paths lists the paths of an Ingress, its default backend last.
func Paths(route router.Object) []Path {
	var all []Path
	spec := object.Child(route, "spec")
	for i, rule := range object.List(spec, "rules") {
		for j, path := range object.List(object.Child(rule, "http"), "paths") {
			p, _ := path.(map[string]any)
			all = append(all, Path{Host: object.Text(rule, "host"), Rule: i, At: j, Path: p})
		}
	}
	if backend := object.Child(spec, "defaultBackend"); backend != nil {
		all = append(all, Path{Rule: -1, Path: backend})
	}
	return all
}

// Host returns the host that a request for the Ingress carries, "" for any.
func Host(route router.Object) string {
	for _, p := range Paths(route) {
		if p.Host != "" {
			return strings.Replace(p.Host, "*", "probe", 1)
		}
	}
	return ""
}

// Itself is the Ingress as its own gateway: its status has the address.
func Itself(route router.Object) []router.GatewayRef {
	return []router.GatewayRef{{Namespace: object.Text(object.Child(route, "metadata"), "namespace"), Name: object.Name(route)}}
}

// URL returns the address in the status of an Ingress, "" if there is none.
func URL(route router.Object, scheme string) string {
	for _, entry := range object.List(object.Child(object.Child(route, "status"), "loadBalancer"), "ingress") {
		host := cmp.Or(object.Text(entry, "hostname"), object.Text(entry, "ip"))
		if host == "" {
			continue
		}
		port := map[string]string{"http": "80", "https": "443"}[scheme]
		return scheme + "://" + net.JoinHostPort(host, port)
	}
	return ""
}

// Name names an Ingress in messages.
func Name(route router.Object) string { return "ingress " + object.Name(route) }

// Annotation returns an annotation, "" if there is none.
func Annotation(o router.Object, key string) string {
	return object.Text(object.Child(object.Child(o, "metadata"), "annotations"), key)
}
