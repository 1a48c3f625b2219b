package kube

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// ReachHeader is the request header that leads to the canary while it has no
// weight: a gateway learns of pods and of weights on two ways, and whether it
// knows the pods can only be seen by asking for them. Its value is a secret of
// the run, so that users cannot find the way by chance.
const ReachHeader = "X-Candlefish-Reach"

func reachName(route string) string { return route + "-reach" }

// openReach makes, beside each of the user's routes, one of ours that takes
// the requests with ReachHeader alone and leads them to the second Service. The
// more specific match wins, so the user's routes stay as they are.
func (t *Target) openReach(ctx context.Context) error {
	if t.record.Reach == "" {
		return nil
	}
	for _, saved := range t.record.Routes {
		err := steadily(ctx, func(ctx context.Context) error {
			user, err := t.routes().Get(ctx, saved.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			route, err := t.reachRoute(user, saved)
			if err != nil {
				return err
			}
			_, err = t.routes().Create(ctx, route, metav1.CreateOptions{FieldManager: FieldManager})
			if !apierrors.IsAlreadyExists(err) {
				return err
			}
			if err := t.deleteReach(ctx, saved.Name); err != nil { // an earlier run's, with its own secret
				return err
			}
			return fmt.Errorf("%w: the one of an earlier run is being removed", errNotYet)
		})
		if err != nil {
			return fmt.Errorf("create httproute %s/%s: %w", t.record.Namespace, reachName(saved.Name), err)
		}
	}
	return nil
}

// closeReach removes what openReach made.
func (t *Target) closeReach(ctx context.Context) error {
	if t.record.Reach == "" {
		return nil
	}
	for _, saved := range t.record.Routes {
		if err := steadily(ctx, func(ctx context.Context) error { return t.deleteReach(ctx, saved.Name) }); err != nil {
			return fmt.Errorf("delete httproute %s/%s: %w", t.record.Namespace, reachName(saved.Name), err)
		}
	}
	return nil
}

// deleteReach removes one route of ours and refuses to remove another's.
func (t *Target) deleteReach(ctx context.Context, user string) error {
	name := reachName(user)
	route, err := t.routes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if route.GetLabels()[labelTarget] != t.record.Deployment {
		return fmt.Errorf("httproute %s exists and is not of this rollout: rename it", name)
	}
	uid := route.GetUID()
	err = t.routes().Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// reachRoute is the user's route with its saved rules alone, each of their
// matches narrowed by ReachHeader and all their requests led to the second
// Service. Filters and timeouts stay, so that what is seen is what users get.
func (t *Target) reachRoute(user *unstructured.Unstructured, saved savedRoute) (*unstructured.Unstructured, error) {
	spec, _, err := unstructured.NestedMap(user.Object, "spec") // a deep copy
	if err != nil {
		return nil, err
	}
	all, _ := spec["rules"].([]any)
	var rules []any
	for _, r := range saved.Rules {
		if r.Index >= len(all) {
			return nil, fmt.Errorf("rule %d of httproute %s is gone", r.Index, user.GetName())
		}
		rule, _ := all[r.Index].(map[string]any)
		rule["matches"] = reachMatches(rule["matches"], t.record.Reach)
		refs, err := decodeRefs(r.BackendRefs)
		if err != nil {
			return nil, err
		}
		var ours []any
		for _, ref := range refs {
			if m, ok := ref.(map[string]any); ok && refersTo(ref, t.record.Service, t.record.Namespace) {
				ours = append(ours, withWeight(m, t.record.SecondName(), 1))
			}
		}
		rule["backendRefs"] = ours
		rules = append(rules, rule)
	}
	spec["rules"] = rules
	route := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": user.GetAPIVersion(), "kind": user.GetKind(), "spec": runtime.DeepCopyJSONValue(spec),
	}}
	route.SetName(reachName(user.GetName()))
	route.SetLabels(map[string]string{labelTarget: t.record.Deployment})
	route.SetAnnotations(map[string]string{annotationRun: t.record.Run.String()})
	return route, nil
}

// reachMatches adds the header to every match. A rule without matches takes
// all requests, as one match with the header alone takes all that carry it.
func reachMatches(matches any, value string) []any {
	header := map[string]any{"type": "Exact", "name": ReachHeader, "value": value}
	list, _ := matches.([]any)
	if len(list) == 0 {
		list = []any{map[string]any{}}
	}
	narrowed := make([]any, 0, len(list))
	for _, m := range list {
		match := map[string]any{}
		if old, ok := m.(map[string]any); ok {
			for k, v := range old {
				match[k] = v
			}
		}
		headers, _ := match["headers"].([]any)
		match["headers"] = append(append([]any{}, headers...), header)
		narrowed = append(narrowed, match)
	}
	return narrowed
}
