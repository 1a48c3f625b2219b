// Package fit reads what is around a route: the user's objects beside it, what its
// gateways can, and where they are. It only reads.
package fit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// Complete adds to the record's routes what their routers need of other objects, and
// limits them to the named rules.
func Complete(ctx context.Context, c *kube.Cluster, r *release.Record, rules []string) error {
	for i, saved := range r.Routes {
		of := routers.Of(r.RouterOf(saved))
		var err error
		if neighbor, ok := of.(router.Neighbor); ok {
			if saved, err = neighbors(ctx, c, neighbor, saved, r); err != nil {
				return err
			}
		}
		if len(rules) > 0 {
			limiter, ok := of.(router.Limiter)
			if !ok {
				return fmt.Errorf("route-rules: the router %s of %s %s has no rules with names", of.Name(), of.Kind(), saved.Name)
			}
			if saved, err = limiter.Limit(saved, rules); err != nil {
				return fmt.Errorf("route-rules: %w", err)
			}
		}
		r.Routes[i] = saved
	}
	return nil
}

// neighbors adds to a saved route what its router needs of the user's objects beside
// it.
func neighbors(ctx context.Context, c *kube.Cluster, of router.Neighbor, saved release.Route, r *release.Record) (release.Route, error) {
	kind, namespace := of.NeighborKind(), r.NamespaceOf(saved)
	var objects []router.Object
	err := kube.Retry(ctx, func(ctx context.Context) error {
		l, err := c.Dynamic.Resource(kube.ResourceOf(kind)).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		objects = nil
		for _, item := range l.Items {
			if item.GetLabels()[kube.LabelTarget] == "" { // not ours
				objects = append(objects, item.Object)
			}
		}
		return nil
	})
	if err != nil {
		return saved, fmt.Errorf("list %s in %s: %w", kind.Resource, namespace, err)
	}
	return of.SaveNeighbors(saved, r.Service, r.Namespace, objects)
}

// Misfits says which of the record's extras a route or its gateways cannot have. find
// returns a recorded route's router and the live route, nil if there is none.
func Misfits(ctx context.Context, c *kube.Cluster, r *release.Record, find func(*release.Record, release.Route) (router.Router, *unstructured.Unstructured)) []string {
	if r.Extras == (release.Extras{}) {
		return nil
	}
	var found []string
	for _, saved := range r.Routes {
		of, route := find(r, saved)
		fitter, ok := of.(router.Fitter)
		if !ok || route == nil {
			continue // discover.Refusals says it; and a route of ours can have all
		}
		classes, err := classesOf(ctx, c, of, route.Object)
		if err != nil {
			found = append(found, fmt.Sprintf("what the gateways of %s %s can is not known: %v", of.Kind(), saved.Name, err))
			continue
		}
		for _, class := range classes {
			if err := fitter.Fits(route.Object, saved, r.Extras, class); err != nil && !slices.Contains(found, err.Error()) {
				found = append(found, err.Error())
			}
		}
	}
	return found
}

// classesOf returns the classes of a route's gateways; one that is nil if the router
// has none.
func classesOf(ctx context.Context, c *kube.Cluster, of router.Router, route router.Object) ([]router.Object, error) {
	featured, ok := of.(router.Featured)
	gatewayed, hangs := of.(router.Gatewayed)
	if !ok || !hangs {
		return []router.Object{nil}, nil
	}
	var classes []router.Object
	var errs []error
	for _, ref := range gatewayed.Gateways(route) {
		err := kube.Retry(ctx, func(ctx context.Context) error {
			gateway, err := c.Dynamic.Resource(kube.ResourceOf(gatewayed.GatewayKind())).Namespace(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			kind, name := featured.FeaturesOf(gateway.Object)
			class, err := c.Dynamic.Resource(kube.ResourceOf(kind)).Get(ctx, name, metav1.GetOptions{})
			if err == nil {
				classes = append(classes, class.Object)
			}
			return err
		})
		errs = append(errs, err)
	}
	return classes, errors.Join(errs...)
}

// Address returns the address of a gateway: its own, or that of a Service in front of
// its pods; "" if it has none.
func Address(ctx context.Context, c *kube.Cluster, of router.Gatewayed, gateway router.Object, ref router.GatewayRef, warnings *[]string) string {
	url, err := address(ctx, c, of, gateway, ref)
	if err != nil {
		*warnings = append(*warnings, fmt.Sprintf("the address of gateway %s/%s is not known: %v", ref.Namespace, ref.Name, err))
	}
	return url
}

// CallsGRPC reports whether a router's routes are for gRPC alone.
func CallsGRPC(of router.Gatewayed) bool {
	caller, ok := of.(router.Caller)
	return ok && caller.CallsGRPC()
}

// OneProtocol returns the entry points that take the same requests as the first one,
// and warns of others: a stream of probes speaks one protocol.
func OneProtocol[E any](entries []E, grpc func(E) bool, warnings *[]string) []E {
	var same []E
	for _, e := range entries {
		if grpc(e) == grpc(entries[0]) {
			same = append(same, e)
			continue
		}
		*warnings = append(*warnings, fmt.Sprintf("there are routes for gRPC and others: the entry point %v is not watched; name one router, or one route", e))
	}
	return same
}

func address(ctx context.Context, c *kube.Cluster, of router.Gatewayed, gateway router.Object, ref router.GatewayRef) (string, error) {
	fronted, ok := of.(router.Fronted)
	if url := of.URL(gateway, ref.Listener); url != "" || !ok {
		return url, nil
	}
	selector := fronted.Selector(gateway)
	if len(selector) == 0 {
		return "", nil
	}
	services := router.Kind{Version: "v1", Resource: "services", Name: "Service"}
	namespaces := append([]string{ref.Namespace}, fronted.FrontNamespaces()...)
	slices.Sort(namespaces[1:])
	for _, namespace := range slices.Compact(namespaces) {
		l, err := c.Dynamic.Resource(kube.ResourceOf(services)).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if apierrors.IsForbidden(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("list services in %s: %w", namespace, err)
		}
		for _, service := range l.Items {
			spec, _ := service.Object["spec"].(map[string]any)
			selects, _ := spec["selector"].(map[string]any)
			have := labels.Set{}
			for key, value := range selects {
				have[key], _ = value.(string)
			}
			if !labels.SelectorFromSet(selector).Matches(have) {
				continue
			}
			if url := fronted.FrontURL(gateway, service.Object); url != "" {
				return url, nil
			}
		}
	}
	return "", nil
}
