package discover

import (
	"context"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
)

// A survey is one reading of all relevant objects in the namespace.
type survey struct {
	ns          string
	router      router.Router
	deployments []appsv1.Deployment
	sets        []appsv1.ReplicaSet
	pods        []corev1.Pod
	services    []corev1.Service
	routes      []unstructured.Unstructured
}

func readSurvey(ctx context.Context, c *kube.Cluster, ns string, of []router.Router) (*survey, error) {
	s := &survey{ns: ns}
	all := metav1.ListOptions{}
	apps, core := c.Typed.AppsV1(), c.Typed.CoreV1()
	lists := []func() (what string, err error){
		func() (string, error) {
			l, err := apps.Deployments(ns).List(ctx, all)
			if err == nil {
				s.deployments = l.Items
			}
			return "deployments", err
		},
		func() (string, error) {
			l, err := apps.ReplicaSets(ns).List(ctx, all)
			if err == nil {
				s.sets = l.Items
			}
			return "replicasets", err
		},
		func() (string, error) {
			l, err := core.Pods(ns).List(ctx, all)
			if err == nil {
				s.pods = l.Items
			}
			return "pods", err
		},
		func() (string, error) {
			l, err := core.Services(ns).List(ctx, all)
			if err == nil {
				s.services = l.Items
			}
			return "services", err
		},
		func() (string, error) {
			err := s.readRoutes(ctx, c, of)
			return s.router.Kind().Resource, err
		},
	}
	errs := make([]error, len(lists)) // all of them, so a user mends them at once
	_ = kube.Each(ctx, len(lists), len(lists), func(_ context.Context, i int) error {
		if what, err := lists[i](); err != nil {
			errs[i] = fmt.Errorf("list %s in %s: %w", what, ns, err)
		}
		return nil
	})
	return s, errors.Join(errs...)
}

// readRoutes selects the first router whose kind the cluster serves, and reads
// its routes.
func (s *survey) readRoutes(ctx context.Context, c *kube.Cluster, of []router.Router) error {
	var err error
	for _, s.router = range of {
		var l *unstructured.UnstructuredList
		l, err = c.Dynamic.Resource(kube.ResourceOf(s.router.Kind())).Namespace(s.ns).List(ctx, metav1.ListOptions{})
		if err == nil {
			s.routes = l.Items
			return nil
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	kind := s.router.Kind()
	return fmt.Errorf("the cluster does not serve %s/%s: %w", kind.Group, kind.Version, err)
}

// servicesOf lists the user's Services that select the Deployment's pods.
func (s *survey) servicesOf(d *appsv1.Deployment) []corev1.Service {
	var selecting []corev1.Service
	for _, service := range s.services {
		if service.Labels[kube.LabelTarget] != "" || len(service.Spec.Selector) == 0 {
			continue
		}
		if labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(d.Spec.Template.Labels)) {
			selecting = append(selecting, service)
		}
	}
	return selecting
}

// routed reports whether a route points at the Service.
func (s *survey) routed(service string) bool {
	return slices.ContainsFunc(s.routes, func(route unstructured.Unstructured) bool {
		_, leads, err := s.router.Save(route.Object, service)
		return err == nil && leads
	})
}

// entryPoint returns the address of the route's first gateway that has one. A
// missing address is not an error: the user can set probe-url.
func (s *survey) entryPoint(ctx context.Context, c *kube.Cluster, first release.Route) (entry EntryPoint, warnings []string) {
	gatewayed, ok := s.router.(router.Gatewayed)
	if !ok {
		return entry, nil
	}
	i := slices.IndexFunc(s.routes, func(r unstructured.Unstructured) bool { return r.GetName() == first.Name })
	route := s.routes[i].Object
	entry.Host = gatewayed.Host(route)
	refs := gatewayed.Gateways(route)
	if len(refs) > 1 {
		warnings = append(warnings, fmt.Sprintf("the route has %d gateways; the probes go through the first one that has an address, so the others are not seen", len(refs)))
	}
	for _, ref := range refs {
		gateway, err := c.Dynamic.Resource(kube.ResourceOf(gatewayed.GatewayKind())).Namespace(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("gateway %s/%s cannot be read, so the entry point is unknown: %v", ref.Namespace, ref.Name, err))
			continue
		}
		if entry.URL = gatewayed.URL(gateway.Object, ref.Listener); entry.URL != "" {
			break
		}
	}
	return entry, warnings
}
