package service

import (
	"cmp"
	"fmt"
	"net"
	"strconv"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// GatewayKind implements router.Gatewayed: a Service has its address itself.
func (Router) GatewayKind() router.Kind { return Kind }

// Host implements router.Gatewayed.
func (Router) Host(router.Object) string { return "" }

// Gateways implements router.Gatewayed.
func (Router) Gateways(route router.Object) []router.GatewayRef {
	metadata := object.Child(route, "metadata")
	return []router.GatewayRef{{Namespace: object.Text(metadata, "namespace"), Name: object.Text(metadata, "name")}}
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
	balancer, _ := object.Child(object.Child(service, "status"), "loadBalancer")["ingress"].([]any)
	for _, at := range balancer {
		m, _ := at.(map[string]any)
		if host := cmp.Or(object.Text(m, "ip"), object.Text(m, "hostname")); host != "" {
			return url(host)
		}
	}
	external, _ := object.Child(service, "spec")["externalIPs"].([]any)
	for _, at := range external {
		if host, _ := at.(string); host != "" {
			return url(host)
		}
	}
	return ""
}

// port returns the port that answers HTTP: the one named so, or the first.
func port(service router.Object) (number int64, scheme string) {
	ports, _ := object.Child(service, "spec")["ports"].([]any)
	for _, p := range ports {
		m, _ := p.(map[string]any)
		n, _ := m["port"].(int64)
		own := "http"
		if object.Text(m, "name") == "https" || object.Text(m, "appProtocol") == "https" || n == 443 {
			own = "https"
		}
		if number == 0 || object.Text(m, "name") == "http" {
			number, scheme = n, own
		}
	}
	return number, scheme
}
