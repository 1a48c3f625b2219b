package component

import (
	"encoding/base64"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/manifest"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/network"
)

// ClusterObjects lets kube-proxy read what it needs.
func ClusterObjects() []byte {
	return manifest.Stream(manifest.Object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": manifest.Object{"name": "sandbox-kube-proxy"},
		"roleRef":  manifest.Object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-proxier"},
		"subjects": []any{manifest.Object{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:kube-proxy"}},
	})
}

// Where the API server finds metrics-server.
const (
	MetricsNamespace = "kube-system"
	MetricsService   = "metrics-server"
	metricsPort      = 4443
)

// MetricsObjects register metrics.k8s.io at the API server. Since metrics-server is no pod, its Service has no selector and its endpoint is
// written down.
func MetricsObjects(n network.Network, ca []byte) []byte {
	meta := manifest.Object{"name": MetricsService, "namespace": MetricsNamespace}
	return manifest.Stream(
		manifest.Object{"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": manifest.Object{
			"ports": []any{manifest.Object{"name": "https", "port": 443, "targetPort": metricsPort}},
		}},
		manifest.Object{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": manifest.Object{
			"name": MetricsService, "namespace": MetricsNamespace, "labels": manifest.Object{"kubernetes.io/service-name": MetricsService},
		},
			"addressType": "IPv4", "ports": []any{manifest.Object{"name": "https", "port": metricsPort, "protocol": "TCP"}},
			"endpoints": []any{manifest.Object{"addresses": []string{n.NodeIP()}, "conditions": manifest.Object{"ready": true}}},
		},
		manifest.Object{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": manifest.Object{"name": "v1beta1.metrics.k8s.io"}, "spec": manifest.Object{
			"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
			"service":  manifest.Object{"name": MetricsService, "namespace": MetricsNamespace},
			"caBundle": base64.StdEncoding.EncodeToString(ca),
		}},
	)
}

// GatewayObjects are the two Gateways with a class each, open to routes of all namespaces.
func GatewayObjects(n network.Network) []byte {
	objects := []manifest.Object{{"apiVersion": "v1", "kind": "Namespace", "metadata": manifest.Object{"name": GatewayNamespace}}}
	for _, g := range []struct {
		GatewaySpec
		port int
	}{{Normal, n.Web}, {Slow, n.Slow}} {
		objects = append(objects, manifest.Object{
			"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
			"metadata": manifest.Object{"name": g.Name, "labels": manifest.Object{g.label(): g.Name}},
			"spec":     manifest.Object{"controllerName": "traefik.io/gateway-controller"},
		}, manifest.Object{
			"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
			"metadata": manifest.Object{"name": g.Name, "namespace": GatewayNamespace},
			"spec": manifest.Object{"gatewayClassName": g.Name, "listeners": []any{manifest.Object{
				"name": "http", "protocol": "HTTP", "port": g.port, // Traefik finds its entry point by the port
				"allowedRoutes": manifest.Object{"namespaces": manifest.Object{"from": "All"}},
			}}},
		})
	}
	return manifest.Stream(objects...)
}
