package discover

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
)

// Behind returns the name of the Deployment that a canary release of the query would
// find: the default one if it exists, else the only one behind a route, through the
// Service if the query names one. It only reads.
func Behind(ctx context.Context, c *kube.Cluster, q Query) (string, error) {
	s, err := readSurvey(ctx, c, q.Namespace, candidates(q.Router))
	if err != nil {
		return "", err
	}
	withoutRoute(s, q, s.services, nil)
	d, err := s.pickDeployment(q)
	if err != nil {
		return "", err
	}
	return d.Name, nil
}

// pickDeployment returns the named Deployment, or the only one behind a route.
func (s *survey) pickDeployment(q Query) (*appsv1.Deployment, error) {
	byName := func(name string) *appsv1.Deployment {
		i := slices.IndexFunc(s.deployments, func(d appsv1.Deployment) bool { return d.Name == name })
		if i < 0 {
			return nil
		}
		return &s.deployments[i]
	}
	if q.Deployment != "" {
		if d := byName(q.Deployment); d != nil {
			return d, nil
		}
		return nil, fmt.Errorf("deployment %s/%s does not exist; %s", s.ns, q.Deployment, present(s.deploymentNames()))
	}
	if q.Service != "" {
		if _, err := s.namedService(q.Service); err != nil {
			return nil, err
		}
	}
	if d := byName(q.DefaultDeployment); d != nil && q.Service == "" {
		return d, nil
	}
	switch candidates := s.routedDeployments(q.Service); len(candidates) {
	case 1:
		return candidates[0], nil
	case 0:
		through := ""
		if q.Service != "" {
			through = " through service " + q.Service
		}
		return nil, fmt.Errorf("no deployment in namespace %s gets traffic from an %s%s; name one with deployment-name (%s)", s.ns, s.kinds(), through, present(s.deploymentNames()))
	default:
		var names []string
		for _, d := range candidates {
			names = append(names, d.Name)
		}
		return nil, fmt.Errorf("several deployments in namespace %s get traffic from routes: %s; name one with deployment-name", s.ns, strings.Join(names, ", "))
	}
}

// routedDeployments returns the user's Deployments behind a route, through the
// Service if one is named.
func (s *survey) routedDeployments(service string) []*appsv1.Deployment {
	var candidates []*appsv1.Deployment
	for i := range s.deployments {
		d := &s.deployments[i]
		if d.Labels[kube.LabelTarget] != "" {
			continue // ours, not the user's
		}
		if slices.ContainsFunc(s.servicesOf(d), func(x corev1.Service) bool {
			return (service == "" || service == x.Name) && s.routed(x.Name)
		}) {
			candidates = append(candidates, d)
		}
	}
	return candidates
}

// namedService returns the Service of that name.
func (s *survey) namedService(name string) (corev1.Service, error) {
	i := slices.IndexFunc(s.services, func(x corev1.Service) bool { return x.Name == name })
	if i >= 0 {
		return s.services[i], nil
	}
	var names []string
	for _, service := range s.services {
		if service.Labels[kube.LabelTarget] == "" { // the user's, not ours
			names = append(names, service.Name)
		}
	}
	return corev1.Service{}, fmt.Errorf("service %s/%s does not exist; %s", s.ns, name, present(names))
}

func (s *survey) deploymentNames() []string {
	var names []string
	for _, d := range s.deployments {
		names = append(names, d.Name)
	}
	return names
}

func present(names []string) string {
	if len(names) == 0 {
		return "the namespace has none"
	}
	return "the namespace has " + strings.Join(names, ", ")
}

// pickServices returns the Service behind the route and all that select the
// pods. A rollout narrows all of them, also those without a route: otherwise
// internal callers would reach the canary.
func (s *survey) pickServices(d *appsv1.Deployment, q Query) (routed string, all []release.Service, err error) {
	selecting := s.servicesOf(d)
	if routed, err = s.pickService(d, selecting, q); err != nil {
		return "", nil, err
	}
	for _, service := range selecting {
		all = append(all, release.Service{Name: service.Name, Selector: service.Spec.Selector})
	}
	return routed, all, nil
}

func (s *survey) pickService(d *appsv1.Deployment, selecting []corev1.Service, q Query) (string, error) {
	if q.Service != "" {
		service, err := s.namedService(q.Service)
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(selecting, func(x corev1.Service) bool { return x.Name == q.Service }) {
			return "", fmt.Errorf("service %s/%s selects %s, which the pods of deployment %s do not have", s.ns, q.Service, labels.FormatLabels(service.Spec.Selector), d.Name)
		}
		return q.Service, nil
	}
	var routed []string
	for _, service := range selecting {
		if s.routed(service.Name) {
			routed = append(routed, service.Name)
		}
	}
	switch len(routed) {
	case 1:
		return routed[0], nil
	case 0:
		return "", fmt.Errorf("no %s in namespace %s points at a service of deployment %s%s", s.kinds(), s.ns, d.Name, notSeen(s))
	default:
		return "", fmt.Errorf("routes point at several services of deployment %s: %s; name one with service-name", d.Name, strings.Join(routed, ", "))
	}
}
