package service

import (
	"cmp"
	"fmt"
	"net"
	"strconv"

	"github.com/candlefish/deploy-action/internal/router"
)

// GatewayKind implements router.Gatewayed: a Service has its address itself.
func (Router) GatewayKind() router.Kind { return Kind }

// Host implements router.Gatewayed.
func (Router) Host(router.Object) string { return "" }

// Gateways implements router.Gatewayed.
func (Router) Gateways(route router.Object) []router.GatewayRef {
	metadata := child(route, "metadata")
	return []router.GatewayRef{{Namespace: text(metadata, "namespace"), Name: text(metadata, "name")}}
}

// URL implements router.Gatewayed: the address of a load balancer, an IP or a name, or
// an external IP. The addresses of nodes, for a node port, are not in the Service.
func (Router) URL(service router.Object, _ string) string {
	port, scheme := port(service)
	if port == 0 {
		return ""
	}
	url := func(host string) string {
		return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, strconv.FormatInt(port, 10)))
	}
	balancer, _ := child(child(service, "status"), "loadBalancer")["ingress"].([]any)
	for _, at := range balancer {
		m, _ := at.(map[string]any)
		if host := cmp.Or(text(m, "ip"), text(m, "hostname")); host != "" {
			return url(host)
		}
	}
	external, _ := child(service, "spec")["externalIPs"].([]any)
	for _, at := range external {
		if host, _ := at.(string); host != "" {
			return url(host)
		}
	}
	return ""
}

// port returns the port that answers HTTP: the one named so, or the first.
func port(service router.Object) (number int64, scheme string) {
	ports, _ := child(service, "spec")["ports"].([]any)
	for _, p := range ports {
		m, _ := p.(map[string]any)
		n, _ := m["port"].(int64)
		own := "http"
		if text(m, "name") == "https" || text(m, "appProtocol") == "https" || n == 443 {
			own = "https"
		}
		if number == 0 || text(m, "name") == "http" {
			number, scheme = n, own
		}
	}
	return number, scheme
}
