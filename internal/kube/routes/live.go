package routes

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/fields"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
)

// LiveWeight returns the canary's weight as the routes and what is beside them
// have it now, the largest of several; router.Original if none leads to the
// canary. It returns a *rollout.DriftError for a route that leads there in another
// way than a rollout.
func (r *Set) LiveWeight(ctx context.Context) (int, error) {
	weight := router.Original
	for _, route := range r.routes {
		own := router.Original
		err := kube.Retry(ctx, func(ctx context.Context) error {
			live, err := r.get(ctx, route, false)
			if apierrors.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			own, err = r.weightOf(ctx, route, live)
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", route, err)
		}
		weight = max(weight, own)
	}
	return weight, nil
}

// weightOf returns the weight that a route has, given what is beside it.
func (r *Set) weightOf(ctx context.Context, route route, live *unstructured.Unstructured) (int, error) {
	beside, err := r.besideOf(ctx, route)
	if err != nil {
		return 0, err
	}
	uses := usesCanary(r, route, live)
	if !uses && len(beside) == 0 {
		return router.Original, nil
	}
	partly := router.Original
	for w := 100; w >= 0; w-- {
		if !fits(r, route, live, w) {
			continue
		}
		if uses {
			partly = max(partly, w) // a process may have ended between the two writes
		}
		for _, to := range splits(r, route, w) {
			wanted, err := r.companions(route, live.Object, to)
			if err != nil {
				return 0, err
			}
			if allAmong(wanted, beside) {
				return w, nil
			}
		}
	}
	switch {
	case partly >= 0:
		return partly, nil
	case uses:
		return 0, &rollout.DriftError{What: route.router.Drift(live.Object, route.Route, r.split(route, 0)), Who: fields.Writer(live)}
	case fits(r, route, live, router.Original) && fits(r, route, live, 1): // the weight is not in the route
		return 0, &rollout.DriftError{What: "what a release wrote beside " + route.String(), Who: fields.Writer(&beside[0])}
	}
	return router.Original, nil
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
	for _, route := range r.routes {
		w, wrote := r.written[route.String()]
		if !wrote && len(r.expected) == 0 {
			continue
		}
		live := r.watch.Object(route.watched(), route.Name)
		switch {
		case live == nil && route.Created && !wrote:
			continue // an earlier process ended before it made the route
		case live == nil:
			return fmt.Sprintf("%s %s was deleted", route.router.Kind(), route.Name)
		case wrote && w.behind(live):
			continue // unchanged, or the watch is behind
		}
		if what := differs(r, route, live, w, wrote); what != "" {
			return fmt.Sprintf("%s changed %s", fields.Writer(live, "spec"), what)
		}
	}
	return besideDrift(r)
}

// differs names what of a route is neither this process's last write nor, before
// its first, one of the expected weights; "" for nothing.
func differs(r *Set, route route, live *unstructured.Unstructured, w writtenRoute, wrote bool) string {
	if wrote {
		return route.router.Drift(live.Object, route.Route, w.split)
	}
	what := ""
	for _, weight := range r.expected {
		if fits(r, route, live, weight) {
			return ""
		}
		what = route.router.Drift(live.Object, route.Route, r.split(route, weight))
	}
	return what
}
