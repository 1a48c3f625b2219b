// Package routes writes the weights of a release into the user's routes, by a
// router, and creates the preflight routes beside them.
package routes

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
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

// A Set is the user's routes of a release and the preflight routes beside them.
type Set struct {
	client dynamic.ResourceInterface
	watch  *kube.Watch
	router router.Router
	record *release.Record

	mu       sync.Mutex
	written  map[string]writtenRoute // by name
	expected []int                   // weights, for the routes that this process has not written
	// untouched: nothing had to be written, because no route names the canary.
	untouched bool
	// closed: this process has deleted the preflight routes.
	closed bool
}

// A writtenRoute is this process's last write to a route, the reference for
// Drift and acceptance.
type writtenRoute struct {
	generation int64
	split      router.Split
}

// New returns the routes of a record.
func New(c *kube.Cluster, w *kube.Watch, record *release.Record, r router.Router) *Set {
	return &Set{
		client: c.Dynamic.Resource(kube.ResourceOf(r.Kind())).Namespace(record.Namespace),
		watch:  w, router: r, record: record, written: map[string]writtenRoute{},
	}
}

func (r *Set) split(weight int) router.Split {
	return router.Split{Namespace: r.record.Namespace, Service: r.record.Service, CanaryService: r.record.CanaryService(), Weight: weight}
}

// Write sets the weight of every route and changes nothing else. It does not
// overwrite the change of another writer and returns a *rollout.DriftError that
// names it.
func (r *Set) Write(ctx context.Context, weight int) error {
	to := r.split(weight)
	err := kube.Each(ctx, len(r.record.Routes), kube.AtOnce, func(ctx context.Context, i int) error {
		saved := r.record.Routes[i]
		err := kube.Retry(ctx, func(ctx context.Context) error { return r.writeOne(ctx, saved, to) })
		if err != nil {
			return fmt.Errorf("write weights into %s %s/%s: %w", r.router.Kind(), r.record.Namespace, saved.Name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.untouched = weight <= 0
	r.mu.Unlock()
	return nil
}

func (r *Set) writeOne(ctx context.Context, saved release.Route, to router.Split) error {
	route, err := r.client.Get(ctx, saved.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && to.Weight <= 0 {
		return nil // a route that is gone sends nothing to the canary
	}
	if err != nil {
		return err
	}
	if to.Weight <= 0 && !r.usesCanary(route) && r.router.Drift(route.Object, saved, r.split(router.Original)) != "" {
		return nil // the user rewrote it without the canary
	}
	patch, err := r.router.Write(route.Object, saved, to)
	if err == nil && !patch.Empty() {
		if route, err = r.client.Patch(ctx, saved.Name, types.JSONPatchType, patch.JSON(), kube.Patching); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.written[saved.Name] = writtenRoute{generation: route.GetGeneration(), split: to}
	r.mu.Unlock()
	var conflict *router.ConflictError
	if errors.As(err, &conflict) {
		return &rollout.DriftError{What: conflict.What, Who: kube.LastWriter(route)}
	}
	return err
}

// usesCanary reports whether a route names the canary Service.
func (r *Set) usesCanary(route *unstructured.Unstructured) bool {
	_, uses, err := r.router.Save(route.Object, r.record.CanaryService())
	return err == nil && uses
}

// LiveWeight returns the canary Service's weight as the routes have it now, the
// largest of several; router.Original if none names it. It returns a
// *rollout.DriftError for a route that names it in another way than a rollout.
func (r *Set) LiveWeight(ctx context.Context) (int, error) {
	weight := router.Original
	for _, saved := range r.record.Routes {
		err := kube.Retry(ctx, func(ctx context.Context) error {
			route, err := r.client.Get(ctx, saved.Name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) || err == nil && !r.usesCanary(route) {
				return nil
			}
			if err != nil {
				return err
			}
			for w := 100; w >= 0; w-- {
				if r.router.Drift(route.Object, saved, r.split(w)) == "" {
					weight = max(weight, w)
					return nil
				}
			}
			return &rollout.DriftError{What: r.router.Drift(route.Object, saved, r.split(0)), Who: kube.LastWriter(route)}
		})
		if err != nil {
			return 0, fmt.Errorf("read %s %s/%s: %w", r.router.Kind(), r.record.Namespace, saved.Name, err)
		}
	}
	return weight, nil
}

// Disown removes our field manager from the user's routes.
func (r *Set) Disown(ctx context.Context) error {
	for _, saved := range r.record.Routes {
		err := kube.GiveUp(ctx,
			func(ctx context.Context) (*unstructured.Unstructured, error) {
				return r.client.Get(ctx, saved.Name, metav1.GetOptions{})
			},
			func(ctx context.Context, raw []byte) error {
				_, err := r.client.Patch(ctx, saved.Name, types.JSONPatchType, raw, kube.Patching)
				return err
			})
		if err != nil {
			return fmt.Errorf("give up the fields of %s %s/%s: %w", r.router.Kind(), r.record.Namespace, saved.Name, err)
		}
	}
	return nil
}

// Accepted reports whether all routes that this process wrote are accepted.
func (r *Set) Accepted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, w := range r.written {
		route := r.watch.Route(name)
		if route == nil {
			return false
		}
		if ok, _ := r.router.Accepted(route.Object, w.generation); !ok {
			return false
		}
	}
	return len(r.written) > 0 || r.untouched
}

// Missing lists the user's routes that do not exist.
func (r *Set) Missing() []string {
	var names []string
	for _, saved := range r.record.Routes {
		if r.watch.Route(saved.Name) == nil {
			names = append(names, r.router.Kind().String()+"/"+saved.Name)
		}
	}
	return names
}

// Expect gives the weights that an earlier process may have written last. They
// are the reference for Drift until this process writes a route.
func (r *Set) Expect(weights ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expected = weights
}

// Drift returns who changed what this process or an earlier one wrote, or "".
func (r *Set) Drift() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, saved := range r.record.Routes {
		w, wrote := r.written[saved.Name]
		if !wrote && len(r.expected) == 0 {
			continue
		}
		route := r.watch.Route(saved.Name)
		switch {
		case route == nil:
			return fmt.Sprintf("%s %s was deleted", r.router.Kind(), saved.Name)
		case wrote && route.GetGeneration() <= w.generation:
			continue // unchanged, or the watch is behind
		}
		if what := r.differs(route, saved, w, wrote); what != "" {
			return fmt.Sprintf("%s changed %s", kube.LastWriter(route), what)
		}
	}
	return ""
}

// differs names what of a route is neither this process's last write nor, before
// its first, one of the expected weights; "" for nothing.
func (r *Set) differs(route *unstructured.Unstructured, saved release.Route, w writtenRoute, wrote bool) string {
	if wrote {
		return r.router.Drift(route.Object, saved, w.split)
	}
	what := ""
	for _, weight := range r.expected {
		if what = r.router.Drift(route.Object, saved, r.split(weight)); what == "" {
			return ""
		}
	}
	return what
}

// preflightName returns the name of the preflight route beside a user's route.
func preflightName(route string) string { return route + "-preflight" }

// pins returns what the preflight routes send where: the canary's test requests,
// and stable's if the record has a value for them.
func (r *Set) pins() []router.Pin {
	pins := []router.Pin{{Value: r.record.Preflight, Service: r.record.CanaryService(), Mark: PreflightMark}}
	if r.record.PreflightStable != "" {
		pins = append(pins, router.Pin{Value: r.record.PreflightStable, Service: r.record.Service, Mark: StableMark})
	}
	for i := range pins {
		if !r.record.MarkPreflight {
			pins[i].Mark = ""
		}
	}
	return pins
}

// OpenPreflight creates, beside each of the user's routes, one that sends only
// the requests with PreflightHeader, each to one version.
func (r *Set) OpenPreflight(ctx context.Context) error {
	preflighter, ok := r.router.(router.Preflighter)
	if !ok || r.record.Preflight == "" {
		return nil
	}
	r.closed = false
	for _, saved := range r.record.Routes {
		err := kube.Retry(ctx, func(ctx context.Context) error { return r.createPreflight(ctx, preflighter, saved) })
		if err != nil {
			return fmt.Errorf("create %s %s/%s: %w", r.router.Kind(), r.record.Namespace, preflightName(saved.Name), err)
		}
	}
	return nil
}

func (r *Set) createPreflight(ctx context.Context, p router.Preflighter, saved release.Route) error {
	user, err := r.client.Get(ctx, saved.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	object, err := p.Preflight(user.Object, saved, r.split(0), PreflightHeader, r.pins()...)
	if err != nil {
		return err
	}
	route := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(object)}
	route.SetName(preflightName(saved.Name))
	route.SetLabels(map[string]string{kube.LabelTarget: r.record.Deployment})
	route.SetAnnotations(map[string]string{kube.AnnotationRun: r.record.Run.String()})
	_, err = r.client.Create(ctx, route, kube.Creating)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := r.deletePreflight(ctx, saved.Name); err != nil { // from an earlier run, with another secret
		return err
	}
	return fmt.Errorf("%w: waiting for the removal of an earlier run's route", kube.ErrNotYet)
}

// ClosePreflight deletes the routes of OpenPreflight.
func (r *Set) ClosePreflight(ctx context.Context) error {
	if r.record.Preflight == "" || r.closed {
		return nil
	}
	for _, saved := range r.record.Routes {
		if err := kube.Retry(ctx, func(ctx context.Context) error { return r.deletePreflight(ctx, saved.Name) }); err != nil {
			return fmt.Errorf("delete %s %s/%s: %w", r.router.Kind(), r.record.Namespace, preflightName(saved.Name), err)
		}
	}
	r.closed = true
	return nil
}

// deletePreflight deletes a preflight route and refuses to delete a route of
// another owner.
func (r *Set) deletePreflight(ctx context.Context, user string) error {
	name := preflightName(user)
	route, err := r.client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if route.GetLabels()[kube.LabelTarget] != r.record.Deployment {
		return fmt.Errorf("%s %s exists and does not belong to this rollout: rename it", r.router.Kind(), name)
	}
	uid := route.GetUID()
	err = r.client.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
