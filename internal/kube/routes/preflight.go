package routes

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
)

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

// OpenPreflight creates, beside each route whose router can, one that sends only
// the requests with PreflightHeader, each to one version.
func (r *Set) OpenPreflight(ctx context.Context) error {
	if r.record.Preflight == "" {
		return nil
	}
	r.closed, r.open = false, true
	return r.each(ctx, "create the preflight route of", func(ctx context.Context, route route) error {
		if _, ok := route.router.(router.Inline); ok {
			return r.writeOne(ctx, route, r.split(route, 0))
		}
		if p, ok := route.router.(router.Preflighter); ok {
			return r.createPreflight(ctx, p, route)
		}
		return nil
	})
}

func (r *Set) createPreflight(ctx context.Context, p router.Preflighter, route route) error {
	user, err := r.get(ctx, route, true)
	if err != nil {
		return err
	}
	if err := r.writeBeside(ctx, route, user.Object, r.split(route, 0)); err != nil { // what the pins lead to
		return err
	}
	object, err := p.Preflight(user.Object, route.Route, r.split(route, 0), PreflightHeader, r.pins()...)
	if err != nil {
		return err
	}
	preflight := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(object)}
	preflight.SetName(preflightName(route.Name))
	preflight.SetLabels(nil)
	preflight.SetAnnotations(nil)
	_, err = r.client(route.watched()).Create(ctx, r.mark(preflight, route.namespace), kube.Creating)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := r.deletePreflight(ctx, route); err != nil { // from an earlier run, with another secret
		return err
	}
	return fmt.Errorf("%w: waiting for the removal of an earlier run's route", kube.ErrNotYet)
}

// ClosePreflight deletes the routes of OpenPreflight.
func (r *Set) ClosePreflight(ctx context.Context) error {
	if r.record.Preflight == "" || r.closed {
		return nil
	}
	r.open = false
	err := r.each(ctx, "delete the preflight route of", func(ctx context.Context, route route) error {
		if _, ok := route.router.(router.Inline); ok {
			return unpin(ctx, r, route)
		}
		if _, ok := route.router.(router.Preflighter); !ok {
			return nil
		}
		return r.deletePreflight(ctx, route)
	})
	r.closed = err == nil
	return err
}

// unpin takes the test requests out of an inline split and leaves its weight as it
// is.
func unpin(ctx context.Context, r *Set, route route) error {
	live, err := r.get(ctx, route, false)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	weight, err := r.weightOf(ctx, route, live)
	var drift *rollout.DriftError
	if errors.As(err, &drift) || err == nil && weight == router.Original {
		return nil // the next write of a weight takes them out
	}
	if err != nil {
		return err
	}
	return r.writeOne(ctx, route, r.split(route, weight))
}

// deletePreflight deletes a preflight route and refuses to delete a route of
// another owner.
func (r *Set) deletePreflight(ctx context.Context, user route) error {
	name := preflightName(user.Name)
	preflight, err := r.client(user.watched()).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !r.isOurs(preflight) {
		return fmt.Errorf("%s %s exists and does not belong to this rollout: rename it", user.router.Kind(), name)
	}
	return r.remove(ctx, user.watched(), preflight)
}
