// Package gatewayapi shifts traffic by the weights of HTTPRoutes and GRPCRoutes
// (Gateway API, gateway.networking.k8s.io/v1).
//
// Server-side apply treats the rules of a route as an atomic list:
// applying a weight would take over the whole list. The package therefore
// writes weights by a JSON patch of single backendRefs, which leaves the rest
// as it is, byte for byte.
package gatewayapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

const group, version = "gateway.networking.k8s.io", "v1"

// A Router is the router for HTTPRoutes, or for GRPCRoutes, whose rules have the
// same form in what a release changes.
type Router struct{ grpc bool }

// GRPC returns the router for GRPCRoutes.
func GRPC() Router { return Router{grpc: true} }

var (
	_ router.Router      = Router{}
	_ router.Preflighter = Router{}
	_ router.Gatewayed   = Router{}
	_ router.Unsplitter  = Router{}
)

// Name implements router.Router.
func (r Router) Name() string {
	if r.grpc {
		return GRPCName
	}
	return "gateway-api"
}

// GRPCName is the name of the router for GRPCRoutes.
const GRPCName = "gateway-api-grpc"

// Kind implements router.Router.
func (r Router) Kind() router.Kind {
	if r.grpc {
		return router.Kind{Group: group, Version: version, Resource: "grpcroutes", Name: "GRPCRoute"}
	}
	return router.Kind{Group: group, Version: version, Resource: "httproutes", Name: "HTTPRoute"}
}

// A savedRule is the part of a rule that a rollout changes, as it was before
// the first change.
type savedRule struct {
	Index       int             `json:"index"`
	BackendRefs json.RawMessage `json:"backendRefs"`
}

// Save implements router.Router: it records the backendRefs of every rule that
// points at the Service.
func (r Router) Save(route router.Object, service string) (release.Route, bool, error) {
	return r.SaveAbroad(route, object.Namespace(route), service)
}

// SaveAbroad implements router.Abroad.
func (r Router) SaveAbroad(route router.Object, namespace, service string) (release.Route, bool, error) {
	saved, at := release.Route{Name: object.Name(route)}, router.Split{Namespace: namespace, RouteNamespace: object.Namespace(route)}
	var ours []savedRule
	for i, rule := range rules(route) {
		refs := object.List(rule, "backendRefs")
		if !slices.ContainsFunc(refs, func(ref any) bool { return refersTo(ref, service, at) }) {
			continue
		}
		raw, err := json.Marshal(refs)
		if err != nil {
			return saved, false, fmt.Errorf("record %s %s: %w", r.Kind(), saved.Name, err)
		}
		ours = append(ours, savedRule{Index: i, BackendRefs: raw})
	}
	var err error
	if saved.Rules, err = json.Marshal(ours); err != nil {
		return saved, false, fmt.Errorf("record %s %s: %w", r.Kind(), saved.Name, err)
	}
	return saved, len(ours) > 0, nil
}

// Write implements router.Router. It does not change rules that another client
// changed, and names them in the error; but a way back to the Service takes the
// canary's traffic, whatever weights somebody gave the two.
func (r Router) Write(route router.Object, saved release.Route, to router.Split) (jsonpatch.Patch, error) {
	patch := jsonpatch.Guarded(object.Text(object.Child(route, "metadata"), "resourceVersion"))
	ours, err := decodeRules(saved)
	if err != nil {
		return patch, err
	}
	all := rules(route)
	for _, rule := range ours {
		want, err := rule.wanted(to)
		if err != nil {
			return patch, fmt.Errorf("%s %s rule %d: %w", r.Kind(), saved.Name, rule.Index, err)
		}
		if rule.Index >= len(all) {
			return patch, &router.ConflictError{What: fmt.Sprintf("%s %s: rule %d is gone; the list of rules", r.Kind(), saved.Name, rule.Index)}
		}
		patch = rule.mirror(patch, all[rule.Index], to)
		have := object.List(all[rule.Index], "backendRefs")
		if reflect.DeepEqual(have, want) {
			continue
		}
		if !rule.isOurs(have, to) && (to.Weight > 0 || !rule.differsInWeights(have, to)) {
			return patch, &router.ConflictError{What: fmt.Sprintf("the backends of %s %s rule %d", r.Kind(), saved.Name, rule.Index)}
		}
		patch = patch.Replace(fmt.Sprintf("/spec/rules/%d/backendRefs", rule.Index), want)
	}
	return patch, nil
}

// Drift implements router.Router.
func (r Router) Drift(route router.Object, saved release.Route, was router.Split) string {
	ours, err := decodeRules(saved)
	if err != nil {
		return err.Error()
	}
	all := rules(route)
	for _, rule := range ours {
		want, err := rule.wanted(was)
		if err != nil || rule.Index >= len(all) || !reflect.DeepEqual(object.List(all[rule.Index], "backendRefs"), want) {
			return fmt.Sprintf("the backends of %s %s rule %d", r.Kind(), saved.Name, rule.Index)
		}
		if !rule.mirror(jsonpatch.Patch{}, all[rule.Index], was).Empty() {
			return fmt.Sprintf("the filters of %s %s rule %d", r.Kind(), saved.Name, rule.Index)
		}
	}
	return ""
}

// Unsplit implements router.Unsplitter.
func (r Router) Unsplit(saved release.Route, s router.Split) (release.Route, error) {
	ours, err := decodeRules(saved)
	if err != nil {
		return saved, err
	}
	for i, rule := range ours {
		if ours[i].BackendRefs, err = unsplitRefs(rule.BackendRefs, s); err != nil {
			return saved, fmt.Errorf("%s %s rule %d: %w", r.Kind(), saved.Name, rule.Index, err)
		}
	}
	whole := saved
	if whole.Rules, err = json.Marshal(ours); err != nil {
		return saved, fmt.Errorf("record %s %s: %w", r.Kind(), saved.Name, err)
	}
	return whole, nil
}

func decodeRules(saved release.Route) ([]savedRule, error) {
	var ours []savedRule
	if err := json.Unmarshal(saved.Rules, &ours); err != nil {
		return nil, fmt.Errorf("read the recorded rules of route %s: %w", saved.Name, err)
	}
	return ours, nil
}

// wanted returns the rule's backendRefs for a split.
func (r savedRule) wanted(to router.Split) ([]any, error) {
	if to.Weight == router.Original {
		return decodeRefs(r.BackendRefs)
	}
	return splitRefs(r.BackendRefs, to)
}

// mirror adds to a patch what gives the live rule the mirror of a split, or takes it
// away.
func (r savedRule) mirror(patch jsonpatch.Patch, live any, to router.Split) jsonpatch.Patch {
	refs, err := decodeRefs(r.BackendRefs)
	if err != nil {
		return patch
	}
	i := slices.IndexFunc(refs, func(ref any) bool { return refersTo(ref, to.Service, to) })
	if i < 0 {
		return patch
	}
	have, ref := object.List(live, "filters"), refs[i].(map[string]any)
	path := fmt.Sprintf("/spec/rules/%d/filters", r.Index)
	switch want := withMirror(have, ref, to); {
	case len(want) == len(have) && (len(want) == 0 || reflect.DeepEqual(want, have)):
	case len(want) == 0:
		patch = patch.Remove(path)
	default:
		patch = patch.Add(path, want)
	}
	return patch
}

// isOurs reports whether refs are the recorded backendRefs or a split of them.
func (r savedRule) isOurs(refs []any, to router.Split) bool {
	for to.Weight = router.Original; to.Weight <= 100; to.Weight++ {
		if want, err := r.wanted(to); err == nil && reflect.DeepEqual(refs, want) {
			return true
		}
	}
	return false
}

// differsInWeights reports whether refs are a split of the recorded backendRefs but
// for the weights of the Service and the canary Service.
func (r savedRule) differsInWeights(refs []any, to router.Split) bool {
	to.Weight = 0
	want, err := r.wanted(to)
	if err != nil || len(want) != len(refs) {
		return false
	}
	for i := range refs {
		have, ok := refs[i].(map[string]any)
		if ok && (refersTo(have, to.Service, to) || refersTo(have, to.CanaryService, to)) {
			have = withWeight(have, have["name"], want[i].(map[string]any)["weight"].(int64))
			delete(have, "filters") // which the extras change
			if filters := object.List(want[i], "filters"); filters != nil {
				have["filters"] = filters
			}
		}
		if !ok || !reflect.DeepEqual(have, want[i]) {
			return false
		}
	}
	return true
}
