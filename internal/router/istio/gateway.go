package istio

import (
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

var (
	_ router.Gatewayed = Router{}
	_ router.Fronted   = Router{}
)

// meshGateway is the reserved name for callers in the mesh.
const meshGateway = "mesh"

// GatewayKind implements router.Gatewayed.
func (Router) GatewayKind() router.Kind {
	return router.Kind{Group: group, Version: version, Resource: "gateways", Name: "Gateway"}
}

// Host implements router.Gatewayed.
func (Router) Host(route router.Object) string {
	hosts := object.List(object.Child(route, "spec"), "hosts")
	if len(hosts) == 0 {
		return ""
	}
	host, _ := hosts[0].(string)
	if host == "*" {
		return ""
	}
	return strings.Replace(host, "*", "probe", 1)
}

// Gateways implements router.Gatewayed: those of the VirtualService without the
// mesh, which has no address.
func (Router) Gateways(route router.Object) []router.GatewayRef {
	var refs []router.GatewayRef
	for _, g := range object.List(object.Child(route, "spec"), "gateways") {
		name, _ := g.(string)
		namespace, rest, dotted := strings.Cut(name, "/")
		switch {
		case name == meshGateway || name == "":
		case dotted && namespace != ".":
			refs = append(refs, router.GatewayRef{Namespace: namespace, Name: rest})
		case dotted:
			refs = append(refs, router.GatewayRef{Namespace: object.Namespace(route), Name: rest})
		default:
			refs = append(refs, router.GatewayRef{Namespace: object.Namespace(route), Name: name})
		}
	}
	return refs
}

// URL implements router.Gatewayed: Istio's Gateways have no address of their own,
// see FrontURL.
func (Router) URL(router.Object, string) string { return "" }

// Selector implements router.Fronted.
func (Router) Selector(gateway router.Object) map[string]string {
	selector := map[string]string{}
	for key := range object.Child(object.Child(gateway, "spec"), "selector") {
		selector[key] = object.Text(object.Child(object.Child(gateway, "spec"), "selector"), key)
	}
	return selector
}

// FrontNamespaces implements router.Fronted: where Istio's own charts put ingress
// gateways.
func (Router) FrontNamespaces() []string { return []string{"istio-system", "istio-ingress"} }

// FrontURL implements router.Fronted: the address of the Service in front of the
// gateway's pods, with the port of the Gateway's first HTTP or HTTPS server that the
// Service has.
func (Router) FrontURL(gateway, service router.Object) string {
	host := frontHost(service)
	if host == "" {
		return ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	for _, server := range object.List(object.Child(gateway, "spec"), "servers") {
		port := object.Child(server, "port")
		scheme := map[string]string{"HTTP": "http", "HTTP2": "http", "GRPC": "http", "HTTPS": "https"}[strings.ToUpper(object.Text(port, "protocol"))]
		if scheme == "" || scheme == "http" && object.Child(server, "tls")["httpsRedirect"] == true {
			continue
		}
		for _, p := range object.List(object.Child(service, "spec"), "ports") {
			if object.Number(p, "port") == object.Number(port, "number") {
				return fmt.Sprintf("%s://%s:%d", scheme, host, object.Number(p, "port"))
			}
		}
	}
	return ""
}

// frontHost returns the address of a Service: of its load balancer, else inside
// the cluster.
func frontHost(service router.Object) string {
	for _, ingress := range object.List(object.Child(object.Child(service, "status"), "loadBalancer"), "ingress") {
		for _, key := range []string{"ip", "hostname"} {
			if address := object.Text(ingress, key); address != "" {
				return address
			}
		}
	}
	if ip := object.Text(object.Child(service, "spec"), "clusterIP"); ip != "None" {
		return ip
	}
	return ""
}

// Accepted implements router.Router. Istiod writes a status only if its analysis is
// enabled (PILOT_ENABLE_STATUS or PILOT_ENABLE_ANALYSIS); without one nobody says
// that a proxy has the VirtualService, and only the answers show it.
func (Router) Accepted(route router.Object, generation int64) (bool, string) {
	newest := object.Number(object.Child(route, "metadata"), "generation")
	if newest < generation {
		return false, "the watch is behind"
	}
	status := object.Child(route, "status")
	if _, has := status["observedGeneration"]; has && generationOf(nil, status) < newest {
		return false, fmt.Sprintf("the status is of generation %d, not %d", generationOf(nil, status), newest)
	}
	for _, c := range object.List(status, "conditions") {
		if object.Text(c, "type") != "Reconciled" && object.Text(c, "type") != "PassedValidation" {
			continue
		}
		if seen := generationOf(c, status); seen < newest {
			return false, fmt.Sprintf("%s is of generation %d, not %d", object.Text(c, "type"), seen, newest)
		}
		if object.Text(c, "status") == "False" {
			return false, fmt.Sprintf("%s is False: %s", object.Text(c, "type"), object.Text(c, "message"))
		}
	}
	for _, m := range object.List(status, "validationMessages") {
		if object.Text(m, "level") == "ERROR" {
			return false, fmt.Sprintf("istiod refuses it: %s %s", object.Text(object.Child(m, "type"), "code"), object.Text(object.Child(m, "type"), "name"))
		}
	}
	return true, ""
}

// generationOf returns the generation that a condition is about. Istio writes it as
// a number or as text.
func generationOf(condition any, status map[string]any) int64 {
	for _, of := range []any{condition, status} {
		m, _ := of.(map[string]any)
		switch seen := m["observedGeneration"].(type) {
		case int64:
			return seen
		case string:
			var n int64
			if _, err := fmt.Sscan(seen, &n); err == nil {
				return n
			}
		}
	}
	return 0
}
