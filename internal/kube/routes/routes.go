// Package routes writes the weights of a release into the user's routes, each by
// its router, with the objects that a router needs beside them, and creates the
// preflight routes.
package routes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/fields"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// PreflightHeader is the request header that routes to one version alone. A gateway
// learns of pods and of weights from different watches; only a request shows whether
// it knows the canary's pods. The values are secrets of the run, so users cannot
// reach the canary by accident.
const PreflightHeader = "X-Candlefish-Preflight"

// PreflightMark and StableMark are the values of the header in the answers to marked
// test requests.
const (
	PreflightMark = router.PreflightMark
	StableMark    = router.StableMark
)

// A Set is the user's routes of a release and what the release adds beside them.
type Set struct {
	owned
	watch  *kube.Watch
	routes []route

	mu       sync.Mutex
	written  map[string]writtenRoute  // by route
	beside   map[string]writtenObject // companions
	expected []int                    // weights, for the routes that this process has not written
	// untouched: nothing had to be written, because no route names the canary.
	untouched bool
	// closed: this process has deleted the preflight routes. open: an inline split
	// leads test requests too.
	closed, open bool
}

// A route is a recorded route with its router.
type route struct {
	release.Route
	router    router.Router
	namespace string
}

// String names the route as messages do.
func (r route) String() string {
	return fmt.Sprintf("%s %s/%s", r.router.Kind(), r.namespace, r.Name)
}

func (r route) watched() kube.Watched {
	return kube.Watched{Kind: r.router.Kind(), Namespace: r.namespace}
}

// A writtenRoute is this process's last write to a route, the reference for
// Drift and acceptance.
type writtenRoute struct {
	generation int64
	version    string // the resource version after the write
	split      router.Split
}

// behind reports whether the watch has not passed this write yet. Kinds without a
// generation, such as Services, have only the version.
func (w writtenRoute) behind(live *unstructured.Unstructured) bool {
	if live.GetGeneration() > 0 {
		return live.GetGeneration() <= w.generation
	}
	return !kube.NotOlder(live.GetResourceVersion(), w.version)
}

// of resolves the routes of a record.
func of(record *release.Record, named func(string) router.Router) ([]route, error) {
	var resolved []route
	for _, saved := range record.Routes {
		r := named(record.RouterOf(saved))
		if r == nil {
			return nil, fmt.Errorf("the release record names the router %q, which this version does not have", record.RouterOf(saved))
		}
		resolved = append(resolved, route{Route: saved, router: r, namespace: record.NamespaceOf(saved)})
	}
	return resolved, nil
}

// Watched lists what New's watch must have: the kinds of the record's routes and
// of what their routers write beside them. It returns an error for a router that
// this version does not have.
func Watched(record *release.Record) ([]kube.Watched, error) {
	return watched(record, routers.Of)
}

func watched(record *release.Record, named func(string) router.Router) ([]kube.Watched, error) {
	resolved, err := of(record, named)
	var list []kube.Watched
	for _, r := range resolved {
		list = append(list, r.watched())
		for _, kind := range companionKinds(r) {
			list = append(list, kube.Watched{Kind: kind, Namespace: r.namespace})
		}
	}
	return list, err
}

// New returns the routes of a record. It returns an error for a router that this
// version does not have.
func New(c *kube.Cluster, w *kube.Watch, record *release.Record) (*Set, error) {
	return newSet(c, w, record, routers.Of)
}

func newSet(c *kube.Cluster, w *kube.Watch, record *release.Record, named func(string) router.Router) (*Set, error) {
	resolved, err := of(record, named)
	return &Set{owned: owned{c, record}, watch: w, routes: resolved, open: record.PreflightStable != "", written: map[string]writtenRoute{}, beside: map[string]writtenObject{}}, err
}

func (r *Set) split(of route, weight int) router.Split {
	to := router.Split{
		Namespace: r.record.Namespace, Service: r.record.Service, CanaryService: r.record.CanaryService(),
		Weight: weight, Extras: r.record.Extras, RouteNamespace: of.namespace, VersionLabel: r.record.VersionLabel, CanaryHash: r.record.Canary.Hash,
	}
	if r.open {
		return pinned(r, of, to)
	}
	return to
}

// pinned returns a split that leads test requests too, if the router does that by
// the split itself.
func pinned(r *Set, of route, to router.Split) router.Split {
	if _, inline := of.router.(router.Inline); inline && to.Weight != router.Original {
		to.PinHeader, to.Pins = PreflightHeader, r.pins()
	}
	return to
}

// splits returns the splits that a route may have at a weight: an earlier process
// may have ended before or after the test requests.
func splits(r *Set, of route, weight int) []router.Split {
	to := r.split(of, weight)
	to.PinHeader, to.Pins = "", nil
	return []router.Split{pinned(r, of, to), to}
}

// fits reports whether a route has a weight.
func fits(r *Set, of route, live *unstructured.Unstructured, weight int) bool {
	return slices.ContainsFunc(splits(r, of, weight), func(to router.Split) bool { return of.router.Drift(live.Object, of.Route, to) == "" })
}

// each calls f for every route with retries, side by side, and names the route in
// its error.
func (r *Set) each(ctx context.Context, what string, f func(context.Context, route) error) error {
	return kube.Each(ctx, len(r.routes), kube.AtOnce, func(ctx context.Context, i int) error {
		if err := kube.Retry(ctx, func(ctx context.Context) error { return f(ctx, r.routes[i]) }); err != nil {
			return fmt.Errorf("%s %s: %w", what, r.routes[i], err)
		}
		return nil
	})
}

// Write sets the weight of every route and changes nothing else. It does not
// overwrite the change of another writer and returns a *rollout.DriftError that
// names it.
func (r *Set) Write(ctx context.Context, weight int) error {
	err := r.each(ctx, "write weights into", func(ctx context.Context, route route) error {
		return r.writeOne(ctx, route, r.split(route, weight))
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.untouched = weight <= 0
	r.mu.Unlock()
	return nil
}

func (r *Set) writeOne(ctx context.Context, route route, to router.Split) error {
	live, err := r.get(ctx, route, to.Weight > 0 || len(to.Pins) > 0)
	if apierrors.IsNotFound(err) && to.Weight <= 0 {
		return nil // a route that is gone sends nothing to the canary
	}
	if err != nil {
		return err
	}
	if err := r.writeBeside(ctx, route, live.Object, to); err != nil {
		return err
	}
	_, selecting := route.router.(router.Selecting)
	if to.Weight <= 0 && !selecting && !usesCanary(r, route, live) && route.router.Drift(live.Object, route.Route, r.split(route, router.Original)) != "" {
		return nil // the user rewrote it without the canary
	}
	patch, err := route.router.Write(live.Object, route.Route, to)
	if err == nil && !patch.Empty() {
		if live, err = r.client(route.watched()).Patch(ctx, route.Name, types.JSONPatchType, patch.JSON(), kube.Patching); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.written[route.String()] = writtenRoute{generation: live.GetGeneration(), version: live.GetResourceVersion(), split: to}
	r.mu.Unlock()
	var conflict *router.ConflictError
	if errors.As(err, &conflict) {
		return &rollout.DriftError{What: conflict.What, Who: fields.Writer(live)}
	}
	return err
}

// get reads a route. One that the release makes is created if create is set.
func (r *Set) get(ctx context.Context, route route, create bool) (*unstructured.Unstructured, error) {
	live, err := r.client(route.watched()).Get(ctx, route.Name, metav1.GetOptions{})
	maker, makes := route.router.(router.Maker)
	if !apierrors.IsNotFound(err) || !route.Created || !makes || !create {
		return live, err
	}
	made := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(maker.Make(r.record.Namespace, r.record.Service))}
	return r.client(route.watched()).Create(ctx, r.mark(made, route.namespace), kube.Creating)
}

// usesCanary reports whether a route names the canary Service, or is a Service that
// selects the canary.
func usesCanary(r *Set, route route, live *unstructured.Unstructured) bool {
	if selecting, ok := route.router.(router.Selecting); ok {
		return selecting.Selects(live.Object, r.split(route, 100))
	}
	_, uses, err := routers.Save(route.router, live.Object, r.record.Namespace, r.record.CanaryService())
	return err == nil && uses
}

// Disown removes our field manager from the user's routes.
func (r *Set) Disown(ctx context.Context) error {
	for _, route := range r.routes {
		if _, selecting := route.router.(router.Selecting); selecting {
			continue // a Service, which is given up as one
		}
		client := r.client(route.watched())
		err := fields.GiveUp(ctx,
			func(ctx context.Context) (*unstructured.Unstructured, error) {
				return client.Get(ctx, route.Name, metav1.GetOptions{})
			},
			func(ctx context.Context, raw []byte) error {
				_, err := client.Patch(ctx, route.Name, types.JSONPatchType, raw, kube.Patching)
				return err
			})
		if err != nil {
			return fmt.Errorf("give up the fields of %s: %w", route, err)
		}
	}
	return nil
}

// Accepted reports whether all routes that this process wrote are accepted.
func (r *Set) Accepted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, route := range r.routes {
		w, wrote := r.written[route.String()]
		if !wrote {
			continue
		}
		live := r.watch.Object(route.watched(), route.Name)
		if live == nil {
			return false
		}
		if ok, _ := route.router.Accepted(live.Object, w.generation); !ok {
			return false
		}
	}
	return len(r.written) > 0 || r.untouched
}

// Missing lists the user's routes that do not exist, as kubectl names them.
func (r *Set) Missing() []string {
	var names []string
	for _, route := range r.routes {
		if !route.Created && r.watch.Object(route.watched(), route.Name) == nil {
			names = append(names, route.router.Kind().String()+"/"+route.Name)
		}
	}
	return names
}
