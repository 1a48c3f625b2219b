package istio

import (
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/router"
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
	hosts := list(child(route, "spec"), "hosts")
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
	for _, g := range list(child(route, "spec"), "gateways") {
		name, _ := g.(string)
		namespace, rest, dotted := strings.Cut(name, "/")
		switch {
		case name == meshGateway || name == "":
		case dotted && namespace != ".":
			refs = append(refs, router.GatewayRef{Namespace: namespace, Name: rest})
		case dotted:
			refs = append(refs, router.GatewayRef{Namespace: namespaceOf(route), Name: rest})
		default:
			refs = append(refs, router.GatewayRef{Namespace: namespaceOf(route), Name: name})
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
	for key := range child(child(gateway, "spec"), "selector") {
		selector[key] = text(child(child(gateway, "spec"), "selector"), key)
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
	for _, server := range list(child(gateway, "spec"), "servers") {
		port := child(server, "port")
		scheme := map[string]string{"HTTP": "http", "HTTP2": "http", "GRPC": "http", "HTTPS": "https"}[strings.ToUpper(text(port, "protocol"))]
		if scheme == "" || scheme == "http" && child(server, "tls")["httpsRedirect"] == true {
			continue
		}
		for _, p := range list(child(service, "spec"), "ports") {
			if number(p, "port") == number(port, "number") {
				return fmt.Sprintf("%s://%s:%d", scheme, host, number(p, "port"))
			}
		}
	}
	return ""
}

// frontHost returns the address of a Service: of its load balancer, else inside
// the cluster.
func frontHost(service router.Object) string {
	for _, ingress := range list(child(child(service, "status"), "loadBalancer"), "ingress") {
		for _, key := range []string{"ip", "hostname"} {
			if address := text(ingress, key); address != "" {
				return address
			}
		}
	}
	if ip := text(child(service, "spec"), "clusterIP"); ip != "None" {
		return ip
	}
	return ""
}

// Accepted implements router.Router. Istiod writes a status only if its analysis is
// enabled (PILOT_ENABLE_STATUS or PILOT_ENABLE_ANALYSIS); without one nobody says
// that a proxy has the VirtualService, and only the answers show it.
func (Router) Accepted(route router.Object, generation int64) (bool, string) {
	newest := number(child(route, "metadata"), "generation")
	if newest < generation {
		return false, "the watch is behind"
	}
	status := child(route, "status")
	if _, has := status["observedGeneration"]; has && generationOf(nil, status) < newest {
		return false, fmt.Sprintf("the status is of generation %d, not %d", generationOf(nil, status), newest)
	}
	for _, c := range list(status, "conditions") {
		if text(c, "type") != "Reconciled" && text(c, "type") != "PassedValidation" {
			continue
		}
		if seen := generationOf(c, status); seen < newest {
			return false, fmt.Sprintf("%s is of generation %d, not %d", text(c, "type"), seen, newest)
		}
		if text(c, "status") == "False" {
			return false, fmt.Sprintf("%s is False: %s", text(c, "type"), text(c, "message"))
		}
	}
	for _, m := range list(status, "validationMessages") {
		if text(m, "level") == "ERROR" {
			return false, fmt.Sprintf("istiod refuses it: %s %s", text(child(m, "type"), "code"), text(child(m, "type"), "name"))
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
