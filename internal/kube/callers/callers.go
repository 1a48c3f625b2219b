// Package callers finds the requests to the pods of a release that no router of it
// sees.
package callers

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// later is what happens to requests that no router of a release sees.
const later = "stay on the stable version, and get the new one at the hand-over"

// Of says which requests to the pods of a release no route of it sees, and what happens
// to them, in sentences: services are those of the namespace, ingresses the names of
// those that lead to one of them and that the release does not write.
func Of(r *release.Record, services []corev1.Service, ingresses []string) []string {
	var found []string
	for _, saved := range r.Services {
		i := slices.IndexFunc(services, func(x corev1.Service) bool { return x.Name == saved.Name })
		if i < 0 {
			continue
		}
		service := services[i]
		if routers.Moves(r, saved.Name) {
			found = append(found, fmt.Sprintf("service %s carries the weights: its callers in the cluster follow them too, and an open connection stays with its pod", saved.Name))
			continue
		}
		if service.Spec.ClusterIP == corev1.ClusterIPNone {
			found = append(found, fmt.Sprintf("clients that look up the pods of the headless service %s %s, when they look again", saved.Name, later))
		} else {
			found = append(found, fmt.Sprintf("callers in the cluster through service %s %s", saved.Name, later))
		}
		if at := outside(service); at != "" {
			found = append(found, fmt.Sprintf("requests through %s of service %s, past the routes, %s", at, saved.Name, later))
		}
	}
	for _, alias := range aliases(r, services) {
		found = append(found, fmt.Sprintf("service %s is another name of %s: its callers fare as that one's", alias.Name, alias.Spec.ExternalName))
	}
	fate := later
	if routers.Moves(r, r.Service) {
		fate = "follow the weights of service " + r.Service + " if they lead there, else they " + later
	}
	for _, name := range ingresses {
		found = append(found, fmt.Sprintf("requests through ingress %s, which no router of this release writes, %s", name, fate))
	}
	return found
}

// outside returns the way into a Service from outside of the cluster, "" for none.
func outside(service corev1.Service) string {
	switch {
	case service.Spec.Type == corev1.ServiceTypeLoadBalancer && len(service.Status.LoadBalancer.Ingress) > 0:
		at := service.Status.LoadBalancer.Ingress[0]
		return "the load balancer " + cmp.Or(at.IP, at.Hostname)
	case service.Spec.Type == corev1.ServiceTypeLoadBalancer:
		return "the load balancer"
	case service.Spec.Type == corev1.ServiceTypeNodePort && len(service.Spec.Ports) > 0:
		return fmt.Sprintf("node port %d", service.Spec.Ports[0].NodePort)
	case len(service.Spec.ExternalIPs) > 0:
		return "the external IP " + service.Spec.ExternalIPs[0]
	}
	return ""
}

// aliases lists the Services of the namespace that are another name of one of the
// record's.
func aliases(r *release.Record, services []corev1.Service) []corev1.Service {
	var found []corev1.Service
	for _, x := range services {
		isAlias := slices.ContainsFunc(r.Services, func(saved release.Service) bool {
			name := saved.Name + "." + r.Namespace + ".svc"
			return slices.Contains([]string{name, name + ".cluster.local", name + ".cluster.local."}, x.Spec.ExternalName)
		})
		if x.Spec.Type == corev1.ServiceTypeExternalName && isAlias {
			found = append(found, x)
		}
	}
	return found
}
