// Package istio shifts traffic by the weights of Istio's VirtualServices
// (networking.istio.io/v1).
//
// A split adds a second destination to the user's: the host of the canary
// Service, spelled as the user spells the Service's. The Services choose the pods,
// so a destination has endpoints whenever its Service has, whatever the labels of
// the pods are meanwhile. A destination of the user's with a subset keeps it; the
// canary's host gets the same subsets by a DestinationRule of its own (see
// companions.go), so the user's DestinationRule is not touched.
//
// Writes are JSON patches of the lists of destinations, and of whole rules that
// this package adds and names; all other fields stay as they are, byte for byte.
package istio

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

const group, version = "networking.istio.io", "v1"

// A Router is the router for VirtualServices.
type Router struct{}

var (
	_ router.Router     = Router{}
	_ router.Unsplitter = Router{}
	_ router.Limiter    = Router{}
)

// Name implements router.Router.
func (Router) Name() string { return "istio" }

// Kind implements router.Router.
func (Router) Kind() router.Kind {
	return router.Kind{Group: group, Version: version, Resource: "virtualservices", Name: "VirtualService"}
}

// protocols are the lists of rules in a VirtualService.
var protocols = []string{"http", "tls", "tcp"}

// A saved is what Save records of a VirtualService.
type saved struct {
	// Made: the VirtualService is this tool's own, see Make.
	Made  bool        `json:"made,omitempty"`
	Rules []savedRule `json:"rules"`
	// Policy is the spec of the user's DestinationRule for the Service's host, and
	// Subsets the names of its subsets.
	Policy json.RawMessage `json:"policy,omitempty"`
}

// A savedRule is the part of a rule that a rollout changes, as it was before the
// first change.
type savedRule struct {
	Protocol string          `json:"protocol"` // one of protocols
	Index    int             `json:"index"`    // among the user's rules of the protocol
	Name     string          `json:"name,omitempty"`
	Route    json.RawMessage `json:"route"`
}

// Save implements router.Router: it records the destinations of every rule that
// leads to the Service's host.
func (Router) Save(route router.Object, service string) (release.Route, bool, error) {
	r := release.Route{Name: object.Name(route)}
	ours := saved{Made: object.Text(object.Child(object.Child(route, "metadata"), "annotations"), annotationMade) != ""}
	for _, protocol := range protocols {
		for i, rule := range usersRules(route, protocol) {
			entries := object.List(rule, "route")
			leads := slices.ContainsFunc(entries, func(e any) bool {
				return isHost(hostOf(e), service, object.Namespace(route), object.Namespace(route))
			})
			if !leads {
				continue
			}
			raw, err := json.Marshal(entries)
			if err != nil {
				return r, false, fmt.Errorf("record virtualservice %s: %w", r.Name, err)
			}
			ours.Rules = append(ours.Rules, savedRule{Protocol: protocol, Index: i, Name: object.Text(rule, "name"), Route: raw})
		}
	}
	var err error
	if r.Rules, err = json.Marshal(ours); err != nil {
		return r, false, fmt.Errorf("record virtualservice %s: %w", r.Name, err)
	}
	return r, len(ours.Rules) > 0, nil
}

// Limit implements router.Limiter. Rules for TLS and TCP have no names, so a limit
// leaves them out.
func (Router) Limit(r release.Route, names []string) (release.Route, error) {
	ours, err := decode(r)
	if err != nil {
		return r, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(ours.Rules, func(rule savedRule) bool { return rule.Name == name }) {
			return r, fmt.Errorf("virtualservice %s has no rule %q that leads to the service", r.Name, name)
		}
	}
	ours.Rules = slices.DeleteFunc(ours.Rules, func(rule savedRule) bool { return !slices.Contains(names, rule.Name) })
	if r.Rules, err = json.Marshal(ours); err != nil {
		return r, fmt.Errorf("record virtualservice %s: %w", r.Name, err)
	}
	return r, nil
}

// Write implements router.Router. It does not change rules that another client
// changed, and names them in the error; but a way back to the Service takes the
// canary's traffic, whatever weights somebody gave the two.
func (Router) Write(route router.Object, r release.Route, to router.Split) (jsonpatch.Patch, error) {
	e := newEdit(route)
	ours, err := decode(r)
	if err != nil {
		return e.patch, err
	}
	for _, rule := range ours.Rules {
		if err := e.write(r, ours, rule, to); err != nil {
			return jsonpatch.Patch{}, err
		}
	}
	return e.patch, nil
}

// Drift implements router.Router.
func (Router) Drift(route router.Object, r release.Route, was router.Split) string {
	ours, err := decode(r)
	if err != nil {
		return err.Error()
	}
	for _, rule := range ours.Rules {
		at := position(route, rule)
		if at < 0 {
			return rule.where(r)
		}
		have := object.List(object.Child(route, "spec"), rule.Protocol)
		user, _ := have[at].(map[string]any)
		want, err := ours.wanted(rule, user, was)
		if err != nil || !reflect.DeepEqual(object.List(user, "route"), want.route) {
			return rule.where(r)
		}
		if rule.Protocol == "http" && (mirrorDiffers(user, want, was) || !reflect.DeepEqual(extrasBefore(have, at), want.before)) {
			return fmt.Sprintf("the rules beside virtualservice %s %s[%d]", r.Name, rule.Protocol, rule.Index)
		}
	}
	return ""
}

// Unsplit implements router.Unsplitter.
func (Router) Unsplit(r release.Route, s router.Split) (release.Route, error) {
	ours, err := decode(r)
	if err != nil {
		return r, err
	}
	for i, rule := range ours.Rules {
		if ours.Rules[i].Route, err = unsplit(rule.Route, s); err != nil {
			return r, fmt.Errorf("%s: %w", rule.where(r), err)
		}
	}
	whole := r
	if whole.Rules, err = json.Marshal(ours); err != nil {
		return r, fmt.Errorf("record virtualservice %s: %w", r.Name, err)
	}
	return whole, nil
}

func decode(r release.Route) (saved, error) {
	var ours saved
	if err := json.Unmarshal(r.Rules, &ours); err != nil {
		return ours, fmt.Errorf("read the recorded rules of virtualservice %s: %w", r.Name, err)
	}
	return ours, nil
}

// where names the rule's destinations, for messages.
func (rule savedRule) where(r release.Route) string {
	return fmt.Sprintf("the destinations of virtualservice %s %s[%d]", r.Name, rule.Protocol, rule.Index)
}

// A want is what a rule of the user's looks like under a split.
type want struct {
	route  []any
	mirror map[string]any // the destination; nil for the user's own
	share  map[string]any // mirrorPercentage
	before []any          // the rules for marked requests in front of it
	pins   []any          // the rules for test requests in front of it
}

// wanted returns what a rule has to be for a split; user is the rule as it is.
func (s saved) wanted(rule savedRule, user map[string]any, to router.Split) (want, error) {
	entries, err := decodeList(rule.Route)
	if err != nil || to.Weight == router.Original {
		return want{route: entries}, err
	}
	if rule.Protocol != "http" {
		to.Extras = router.Extras{} // its destinations have no headers
	}
	w := want{}
	if w.route, err = s.split(entries, to); err != nil {
		return w, err
	}
	if rule.Protocol == "http" {
		w.pins = s.pinned(rule, user, entries, to)
		s.extras(&w, rule, user, entries, to)
	}
	return w, nil
}
