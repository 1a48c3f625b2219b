package discover

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/fit"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// A served is a router whose kind of route the cluster has, with the routes.
type served struct {
	router.Router
	routes []unstructured.Unstructured // that the router's controller reads
	all    []unstructured.Unstructured // of the kind, in the namespace
	grants []router.Object             // what lets routes of other namespaces lead here
}

// readRoutes reads the routes of every router that the cluster serves. A kind that
// this identity may not list is noted, unless it is the only one.
func (s *survey) readRoutes(ctx context.Context, c *kube.Cluster, of []router.Router) error {
	read := make([]*served, len(of))
	unseen := make([]string, len(of))
	err := kube.Each(ctx, len(of), kube.AtOnce, func(ctx context.Context, i int) error {
		kind := of[i].Kind()
		if !fit.Serves(ctx, c, kind) {
			return nil
		}
		l, err := c.Dynamic.Resource(kube.ResourceOf(kind)).Namespace(s.ns).List(ctx, metav1.ListOptions{})
		switch {
		case err == nil:
			read[i] = &served{Router: of[i], routes: ofClass(ctx, c, of[i], l.Items), all: l.Items}
		case apierrors.IsForbidden(err) && len(of) > 1:
			unseen[i] = fmt.Sprintf("the permission to list %s is missing", kind.Resource)
		case !apierrors.IsNotFound(err):
			return fmt.Errorf("list %s: %w", kind.Resource, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range of {
		_, selecting := of[i].(router.Selecting)
		switch {
		case read[i] != nil && selecting && len(of) > 1:
			s.direct = append(s.direct, *read[i])
		case read[i] != nil:
			s.routers = append(s.routers, *read[i])
		}
		if unseen[i] != "" && !slices.Contains(s.unseen, unseen[i]) {
			s.unseen = append(s.unseen, unseen[i])
		}
	}
	if len(s.routers)+len(s.direct)+len(s.unseen) == 0 {
		return fmt.Errorf("the cluster does not serve %s", fit.GroupVersion(of[0].Kind()))
	}
	return nil
}

// ofClass returns the routes that the router's controller reads.
func ofClass(ctx context.Context, c *kube.Cluster, of router.Router, routes []unstructured.Unstructured) []unstructured.Unstructured {
	classed, ok := of.(router.Classed)
	if !ok {
		return routes
	}
	var classes []router.Object
	err := kube.Retry(ctx, func(ctx context.Context) error {
		l, err := c.Dynamic.Resource(kube.ResourceOf(classed.ClassKind())).List(ctx, metav1.ListOptions{})
		if err == nil {
			classes = []router.Object{}
			for _, class := range l.Items {
				classes = append(classes, class.Object)
			}
		}
		return err
	})
	if err != nil {
		classes = nil // the permission is optional: names tell the classes too
	}
	return slices.DeleteFunc(slices.Clone(routes), func(route unstructured.Unstructured) bool { return !classed.Reads(route.Object, classes) })
}

// critics adds what routers find in the routes that speaks against a split.
func (s *survey) critics(f *Found) {
	for _, saved := range f.Record.Routes {
		of, route := s.route(f.Record, saved)
		critic, ok := of.(router.Critic)
		if !ok {
			continue
		}
		var others []router.Object
		for _, other := range s.routers[slices.IndexFunc(s.routers, func(x served) bool { return x.Name() == of.Name() })].all {
			if other.GetLabels()[kube.LabelTarget] == "" { // not ours
				others = append(others, other.Object)
			}
		}
		obstacles, warnings := critic.Criticize(route.Object, saved, s.surroundings(f.Record, others))
		f.Obstacles, f.Warnings = append(f.Obstacles, obstacles...), append(f.Warnings, warnings...)
	}
}

// readAbroad adds the routes of other namespaces that grants let lead here. It
// notes those that this identity may not list or change.
func (s *survey) readAbroad(ctx context.Context, c *kube.Cluster) error {
	for i := range s.routers {
		of := &s.routers[i]
		abroad, ok := of.Router.(router.Abroad)
		if !ok || !fit.Serves(ctx, c, abroad.GrantKind()) {
			continue
		}
		grants, err := c.Dynamic.Resource(kube.ResourceOf(abroad.GrantKind())).Namespace(s.ns).List(ctx, metav1.ListOptions{})
		if apierrors.IsForbidden(err) {
			s.unseen = append(s.unseen, fmt.Sprintf("the permission to list %s is missing, which let %ss of other namespaces in", abroad.GrantKind().Resource, of.Kind().Name))
			continue
		}
		if err != nil {
			return fmt.Errorf("list %s in %s: %w", abroad.GrantKind().Resource, s.ns, err)
		}
		for _, grant := range grants.Items {
			of.grants = append(of.grants, grant.Object)
		}
		for _, namespace := range abroad.From(of.grants) {
			if err := readFrom(ctx, s, c, of, namespace); err != nil {
				return err
			}
		}
	}
	return nil
}

// readFrom adds the routes of one other namespace.
func readFrom(ctx context.Context, s *survey, c *kube.Cluster, of *served, namespace string) error {
	if namespace == s.ns {
		return nil
	}
	missing, err := c.Missing(ctx, namespace, permissionsOf(of.Router)...)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		s.unseen = append(s.unseen, fmt.Sprintf("permissions are missing in namespace %s, whose %ss may lead here: %s", namespace, of.Kind().Name, strings.Join(missing, ", ")))
		return nil
	}
	l, err := c.Dynamic.Resource(kube.ResourceOf(of.Kind())).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list %s in %s: %w", of.Kind().Resource, namespace, err)
	}
	of.routes = append(of.routes, l.Items...)
	return nil
}

// kinds names the kinds of routes that the cluster has, for messages.
func (s *survey) kinds() string {
	var names []string
	for _, of := range s.routers {
		if name := of.Kind().Name; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return cmp.Or(strings.Join(names, " or "), "route")
}

// notSeen says what could not be read, as the end of a sentence.
func notSeen(s *survey) string {
	if len(s.unseen) == 0 {
		return ""
	}
	return "; " + strings.Join(s.unseen, "; ")
}

// routed reports whether a route points at the Service.
func (s *survey) routed(service string) bool {
	return slices.ContainsFunc(s.routers, func(of served) bool {
		return slices.ContainsFunc(of.routes, func(route unstructured.Unstructured) bool {
			_, leads, err := routers.Save(of.Router, route.Object, s.ns, service)
			return err == nil && leads
		})
	})
}

// pickRoutes returns the named route, or all of all routers that lead to the
// Service.
func (s *survey) pickRoutes(service string, q Query) ([]release.Route, error) {
	var picked []release.Route
	var named string // a route of that name that leads elsewhere
	for _, of := range s.routers {
		for _, route := range of.routes {
			if q.Route != "" && route.GetName() != q.Route || route.GetLabels()[kube.LabelTarget] != "" {
				continue // the last are ours
			}
			saved, leads, err := routers.Save(of.Router, route.Object, s.ns, service)
			switch {
			case err != nil:
				return nil, err
			case leads:
				picked = append(picked, placed(s, saved, of.Router, &route))
			case q.Route != "":
				named = of.Kind().String()
			}
		}
	}
	if len(picked) == 0 && q.Route == "" {
		if saved, ok := made(s, service, q); ok {
			return []release.Route{saved}, nil
		}
	}
	switch {
	case len(picked) > 0:
		return picked, nil
	case named != "":
		return nil, fmt.Errorf("%s %s/%s does not point at service %s", named, s.ns, q.Route, service)
	case q.Route != "":
		return nil, fmt.Errorf("%s %s/%s does not exist%s", strings.ToLower(s.kinds()), s.ns, q.Route, notSeen(s))
	}
	return nil, fmt.Errorf("no %s in namespace %s points at service %s%s", s.kinds(), s.ns, service, notSeen(s))
}

// placed says in a saved route which router has it, and where.
func placed(s *survey, saved release.Route, of router.Router, route *unstructured.Unstructured) release.Route {
	saved.Router = of.Name()
	if ns := route.GetNamespace(); ns != s.ns {
		saved.Namespace = ns
	}
	return saved
}

// made returns the route that the named router makes where the user has none.
func made(s *survey, service string, q Query) (release.Route, bool) {
	if q.Router == "" || len(s.routers) == 0 {
		return release.Route{}, false
	}
	maker, ok := s.routers[0].Router.(router.Maker)
	if !ok {
		return release.Route{}, false
	}
	route := &unstructured.Unstructured{Object: maker.Make(s.ns, service)}
	route.SetNamespace(s.ns)
	saved, leads, err := routers.Save(s.routers[0].Router, route.Object, s.ns, service)
	saved = placed(s, saved, s.routers[0].Router, route)
	saved.Created = true
	return saved, leads && err == nil
}

// route returns the router and the object of a recorded route, nil if it is not
// there.
func (s *survey) route(r *release.Record, saved release.Route) (router.Router, *unstructured.Unstructured) {
	for _, of := range s.routers {
		for i := range of.routes {
			if of.Name() == r.RouterOf(saved) && of.routes[i].GetName() == saved.Name && of.routes[i].GetNamespace() == r.NamespaceOf(saved) {
				return of.Router, &of.routes[i]
			}
		}
	}
	return nil, nil
}

// pinnedVersions is how many versions get test requests of their own.
const pinnedVersions = 2

// tests says why no test request can reach the canary before its first weight, and
// why no preflight route can lead to both versions; "" where they can.
func (s *survey) tests(r *release.Record) (untested, unpinned string) {
	for _, saved := range r.Routes {
		of := routers.Of(r.RouterOf(saved))
		if inline, ok := of.(router.Inline); ok {
			before, during := inline.Untestable(r.Extras)
			untested, unpinned = cmp.Or(untested, before), cmp.Or(unpinned, during)
			continue
		}
		preflighter, ok := of.(router.Preflighter)
		if _, selecting := of.(router.Selecting); selecting {
			why := fmt.Sprintf("the router %s has no route for them; new pods count as ready when the endpoints of service %s list them", of.Name(), r.CanaryService())
			return why, why
		}
		if !ok {
			why := fmt.Sprintf("the router %s has no routes for test requests", of.Name())
			return why, why
		}
		_, route := s.route(r, saved)
		if route != nil && !preflighter.Room(route.Object, saved, pinnedVersions) {
			unpinned = fmt.Sprintf("%s %s has too many rules or matches: a route beside it for each version would be over the limit of the API", of.Kind(), saved.Name)
		}
	}
	return untested, unpinned
}

// grantObstacles names the routes of other namespaces whose grant is for the
// user's Service alone.
func (s *survey) grantObstacles(r *release.Record) []string {
	var found []string
	for _, saved := range r.Routes {
		of, route := s.route(r, saved)
		abroad, ok := of.(router.Abroad)
		if !ok || route.GetNamespace() == s.ns {
			continue
		}
		i := slices.IndexFunc(s.routers, func(x served) bool { return x.Name() == of.Name() })
		if !abroad.Granted(route.Object, s.routers[i].grants, r.CanaryService()) {
			found = append(found, fmt.Sprintf("no %s in namespace %s lets %s %s/%s lead to service %s, which a release needs: allow all Services, or that one too",
				abroad.GrantKind().Name, s.ns, of.Kind(), route.GetNamespace(), route.GetName(), r.CanaryService()))
		}
	}
	return found
}

// maxEntries bounds the entry points that the probes share.
const maxEntries = 8

// entryPoints adds the addresses of the routes' gateways, each with each host. A
// missing address is not an error: the user can set probe-url.
func (s *survey) entryPoints(ctx context.Context, c *kube.Cluster, f *Found) {
	var entries []EntryPoint
	for _, saved := range f.Record.Routes {
		of, route := s.route(f.Record, saved)
		gatewayed, ok := of.(router.Gatewayed)
		if !ok {
			continue
		}
		for _, entry := range gatewayEntries(ctx, c, gatewayed, route.Object, f) {
			if !slices.Contains(entries, entry) {
				entries = append(entries, entry)
			}
		}
	}
	unknown := func(e EntryPoint) bool { return e.URL == "" }
	if known := slices.DeleteFunc(slices.Clone(entries), unknown); len(known) > 0 {
		entries = known // else the hosts alone, for probe-url
	}
	entries = fit.OneProtocol(entries, func(e EntryPoint) bool { return e.GRPC }, &f.Warnings)
	if len(entries) > maxEntries {
		f.Warnings = append(f.Warnings, fmt.Sprintf("the routes have %d entry points: the first %d are watched", len(entries), maxEntries))
		entries = entries[:maxEntries]
	}
	if len(entries) > 0 {
		f.EntryPoint, f.MoreEntries = entries[0], entries[1:]
	}
}

// gatewayEntries returns the entry points of one route.
func gatewayEntries(ctx context.Context, c *kube.Cluster, of router.Gatewayed, route router.Object, f *Found) []EntryPoint {
	host := of.Host(route)
	var entries []EntryPoint
	for _, ref := range of.Gateways(route) {
		gateway, err := c.Dynamic.Resource(kube.ResourceOf(of.GatewayKind())).Namespace(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil {
			f.Warnings = append(f.Warnings, fmt.Sprintf("gateway %s/%s cannot be read, so its entry point is unknown and not watched: %v", ref.Namespace, ref.Name, err))
			continue
		}
		url := fit.Address(ctx, c, of, gateway.Object, ref, &f.Warnings)
		if url == "" && len(of.Gateways(route)) > 1 {
			f.Warnings = append(f.Warnings, fmt.Sprintf("gateway %s/%s has no address in its status: it is not watched", ref.Namespace, ref.Name))
			continue
		}
		entries = append(entries, EntryPoint{URL: url, Host: host, GRPC: fit.CallsGRPC(of)})
	}
	if len(entries) == 0 {
		entries = []EntryPoint{{Host: host, GRPC: fit.CallsGRPC(of)}}
	}
	return entries
}
