package sandbox

import (
	"bytes"
	"encoding/base64"
)

// clusterObjects lets kube-proxy read what it needs.
func clusterObjects() []byte {
	return manifest(object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": "sandbox-kube-proxy"},
		"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-proxier"},
		"subjects": []any{object{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:kube-proxy"}},
	})
}

// Where the API server finds metrics-server.
const (
	metricsNamespace = "kube-system"
	metricsService   = "metrics-server"
	metricsPort      = 4443
)

// metricsObjects register metrics.k8s.io at the API server. Since metrics-server is no pod, its Service has no selector and its endpoint is
// written down.
func metricsObjects(n network, ca []byte) []byte {
	meta := object{"name": metricsService, "namespace": metricsNamespace}
	return manifest(
		object{"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": object{
			"ports": []any{object{"name": "https", "port": 443, "targetPort": metricsPort}},
		}},
		object{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": object{
			"name": metricsService, "namespace": metricsNamespace, "labels": object{"kubernetes.io/service-name": metricsService},
		},
			"addressType": "IPv4", "ports": []any{object{"name": "https", "port": metricsPort, "protocol": "TCP"}},
			"endpoints": []any{object{"addresses": []string{n.nodeIP()}, "conditions": object{"ready": true}}},
		},
		object{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": object{"name": "v1beta1.metrics.k8s.io"}, "spec": object{
			"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
			"service":  object{"name": metricsService, "namespace": metricsNamespace},
			"caBundle": base64.StdEncoding.EncodeToString(ca),
		}},
	)
}

// gatewayObjects are the two Gateways with a class each, open to routes of all namespaces.
func gatewayObjects(n network) []byte {
	objects := []object{{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": gatewayNamespace}}}
	for _, g := range []struct {
		gatewaySpec
		port int
	}{{normalGateway, n.Web}, {slowGateway, n.Slow}} {
		objects = append(objects, object{
			"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
			"metadata": object{"name": g.name, "labels": object{g.label(): g.name}},
			"spec":     object{"controllerName": "traefik.io/gateway-controller"},
		}, object{
			"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
			"metadata": object{"name": g.name, "namespace": gatewayNamespace},
			"spec": object{"gatewayClassName": g.name, "listeners": []any{object{
				"name": "http", "protocol": "HTTP", "port": g.port, // Traefik finds its entry point by the port
				"allowedRoutes": object{"namespaces": object{"from": "All"}},
			}}},
		})
	}
	return manifest(objects...)
}

// manifest is a YAML stream of objects; JSON is YAML.
func manifest(objects ...object) []byte {
	var docs [][]byte
	for _, o := range objects {
		docs = append(docs, render(o))
	}
	return bytes.Join(docs, []byte("---\n"))
}
