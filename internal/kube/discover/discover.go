// Package discover finds the objects of a rollout: the Deployment, its Services
// and routes, the entry point and the live revision, and every reason against a
// rollout. It only reads.
package discover

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/callers"
	"github.com/candlefish/deploy-action/internal/kube/fit"
	"github.com/candlefish/deploy-action/internal/kube/ownership"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// A Query names the objects. Empty names are discovered.
type Query struct {
	Namespace    string
	Deployment   string
	Service      string
	Container    string
	Route        string
	VersionLabel string
	Image        string // of the container that Container or the repository names; "" for none
	// Images are images by the names of containers and init containers.
	Images map[string]string
	Rules  []string // names of the rules of routes that carry the weights, none for all
	Extras release.Extras
	Router string // a router's name, "" for all that the cluster has
	// Weights are those of the steps, in percent: a router that needs no route is chosen
	// by them.
	Weights []int
	// DefaultDeployment, if it exists, takes precedence over Deployments behind a
	// route.
	DefaultDeployment string
	// Now tells a recent crash from an old one.
	Now time.Time
}

// Found has the objects of a rollout and the reasons against it.
type Found struct {
	Record     *release.Record // a fresh one, without plan and run
	Previous   *release.Record // the newest release's record, nil if there is none
	Lost       *Lost           // what a release without a record left, nil for nothing
	EntryPoint EntryPoint
	// MoreEntries are the entry points of the other gateways, and of routes with other
	// hosts.
	MoreEntries []EntryPoint
	// Grace is the longest termination grace period of the live pods, in
	// seconds.
	Grace int64
	// Down says why the live version cannot serve, "" if it can. It prevents a
	// rollout that compares the versions.
	Down string
	// Dead: no pod of the live version is ready, or all crash again and again.
	Dead bool
	// Untested says why no test request can reach the canary before its first weight,
	// "" if one can.
	Untested string
	// Unpinned says why test requests cannot be routed to each version during the
	// whole rollout, "" if they can.
	Unpinned string
	// Unmarked: the answers to test requests have no mark that says of which version
	// they are.
	Unmarked bool
	// Callers says which requests reach the pods past the routes of the release, and
	// what happens to them.
	Callers []string
	// Obstacles are all other problems that prevent the start.
	Obstacles []string
	// Owned are the objects that other tools write too.
	Owned []ownership.Finding
	// Warnings do not prevent the start.
	Warnings []string
}

// An EntryPoint is the public entry point of users' requests.
type EntryPoint struct {
	URL  string // scheme, address and port
	Host string // the Host header, "" if the route has none
	GRPC bool   // it takes gRPC requests
}

// Through makes one URL the way to every host of the routes.
func (f *Found) Through(url string) {
	more := f.MoreEntries
	f.EntryPoint.URL, f.MoreEntries = url, nil
	for _, entry := range more {
		entry.URL = url
		if entry != f.EntryPoint && !slices.Contains(f.MoreEntries, entry) {
			f.MoreEntries = append(f.MoreEntries, entry)
		}
	}
}

// Find finds the objects of a rollout and the live revision. An error means
// that an object does not exist or cannot be read; obstacles are in the result.
func Find(ctx context.Context, c *kube.Cluster, q Query) (*Found, error) {
	namespace, err := c.Typed.CoreV1().Namespaces().Get(ctx, q.Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("namespace %q does not exist", q.Namespace)
	} else if err != nil && !apierrors.IsForbidden(err) { // the permission to read namespaces is optional
		return nil, fmt.Errorf("read namespace %q: %w", q.Namespace, err)
	}
	s, err := readSurvey(ctx, c, q.Namespace, candidates(q.Router))
	if err != nil {
		return nil, err
	}
	if namespace != nil {
		s.labels = namespace.Labels
	}
	routed, direct := s.routers, s.direct
	withoutRoute(s, q, s.services, nil)
	d, err := s.pickDeployment(q)
	if err != nil {
		return nil, err
	}
	s.routers, s.direct = routed, direct // what the found Deployment needs comes next
	previous, err := c.LoadRecord(ctx, q.Namespace, d.Name)
	if err != nil {
		return nil, err
	}
	f := &Found{Previous: previous, Record: &release.Record{
		Schema: release.Schema, Namespace: q.Namespace, Deployment: d.Name, VersionLabel: q.VersionLabel, Replicas: kube.Deref(d.Spec.Replicas),
	}}
	if f.Record.Container, f.Record.Containers, err = pickImages(s.ns, d, q); err != nil {
		return nil, err
	}
	f.Record.Image = f.Record.Images()[f.Record.Container]
	withoutRoute(s, q, s.servicesOf(d), previous)
	if f.Record.Service, f.Record.Services, err = s.pickServices(d, q); err != nil {
		return nil, err
	}
	if err := s.readAbroad(ctx, c); err != nil {
		return nil, err
	}
	if f.Record.Routes, err = s.pickRoutes(f.Record.Service, q); err != nil {
		return nil, err
	}
	f.Record.Router, f.Record.Extras = f.Record.Routes[0].Router, q.Extras
	if err := fit.Complete(ctx, c, f.Record, q.Rules); err != nil {
		return nil, err
	}
	f.Obstacles = append(f.Obstacles, fit.Misfits(ctx, c, f.Record, s.route)...)
	f.Untested, f.Unpinned = s.tests(f.Record)
	f.Unmarked = unmarked(f.Record)
	s.entryPoints(ctx, c, f)
	s.critics(f)
	for _, what := range s.unseen {
		f.Warnings = append(f.Warnings, fmt.Sprintf("%s: what leads to service %s there is not seen, and stays on the stable version until the hand-over", what, f.Record.Service))
	}
	f.Callers = callers.Of(f.Record, s.services, ingresses(s, f.Record))
	s.describeLive(f, d, q.Now)
	f.Lost = s.lost(f, d, q.Now)
	s.obstacles(f, d)
	return f, nil
}

// candidates returns the routers to try, in order.
func candidates(name string) []router.Router {
	if r := routers.Of(name); name != "" && r != nil {
		return []router.Router{r}
	}
	return routers.All()
}

// Permissions returns what a rollout may need with the named router, "" for any.
func Permissions(name string) []kube.Permission {
	list := slices.Clone(kube.Permissions)
	for _, r := range candidates(name) {
		for _, p := range permissionsOf(r) {
			if !slices.ContainsFunc(list, func(known kube.Permission) bool { return known.Group == p.Group && known.Resource == p.Resource }) {
				list = append(list, p)
			}
		}
	}
	return list
}

// permissionsOf returns what a rollout needs on the objects of a router.
func permissionsOf(r router.Router) []kube.Permission {
	list := []kube.Permission{kube.RoutePermission(r.Kind())}
	if companied, ok := r.(router.Companied); ok {
		for _, kind := range companied.CompanionKinds() {
			if kind != r.Kind() {
				list = append(list, kube.RoutePermission(kind))
			}
		}
	}
	return list
}

// Required returns what a rollout certainly needs with the named router. With "",
// it depends on the routes that are found: RouteGaps names what is missing then.
func Required(ctx context.Context, c *kube.Cluster, namespace, name string) ([]kube.Permission, error) {
	if name != "" {
		return Permissions(name), nil
	}
	var first []kube.Permission
	for _, r := range candidates("") {
		if _, selecting := r.(router.Selecting); selecting || !fit.Serves(ctx, c, r.Kind()) {
			continue
		}
		list := permissionsOf(r)
		missing, err := c.Missing(ctx, namespace, kube.Permission{Group: r.Kind().Group, Resource: r.Kind().Resource, Verbs: []string{"list"}})
		if err != nil {
			return nil, err
		}
		if len(missing) == 0 {
			return kube.Permissions, nil
		}
		if first == nil {
			first = list
		}
	}
	return slices.Concat(kube.Permissions, first), nil
}

// RouteGaps lists the permissions that a rollout of a record lacks on its routes
// and what its routers write beside them, as "verb resource".
func RouteGaps(ctx context.Context, c *kube.Cluster, record *release.Record) ([]string, error) {
	var asked []router.Router
	var gaps []string
	for _, saved := range record.Routes {
		of := routers.Of(record.RouterOf(saved))
		if of == nil || slices.Contains(asked, of) || record.NamespaceOf(saved) != record.Namespace {
			continue
		}
		asked = append(asked, of)
		missing, err := c.Missing(ctx, record.Namespace, permissionsOf(of)...)
		if err != nil {
			return nil, err
		}
		gaps = append(gaps, missing...)
	}
	return gaps, nil
}

// RouterNames lists the available routers.
func RouterNames() []string { return routers.Names() }

// Routes returns the record's routes as arguments of kubectl: kind/name,
// separated by commas.
func Routes(r *release.Record) string {
	var names []string
	for _, saved := range r.Routes {
		name := r.RouterOf(saved)
		if of := routers.Of(name); of != nil {
			name = of.Kind().String() + "/" + saved.Name
		}
		if ns := r.NamespaceOf(saved); ns != r.Namespace {
			name += " (in " + ns + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}

// FirstRoute returns the record's first route as Kind/name.
func FirstRoute(r *release.Record) string {
	if len(r.Routes) == 0 {
		return ""
	}
	of := routers.Of(r.RouterOf(r.Routes[0]))
	if of == nil {
		return ""
	}
	return of.Kind().Name + "/" + r.Routes[0].Name
}
