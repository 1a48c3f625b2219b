package gatewayapi

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// GatewayKind implements router.Gatewayed.
func (Router) GatewayKind() router.Kind {
	return router.Kind{Group: group, Version: version, Resource: "gateways", Name: "Gateway"}
}

// CallsGRPC implements router.Caller.
func (r Router) CallsGRPC() bool { return r.grpc }

// Host implements router.Gatewayed.
func (Router) Host(route router.Object) string {
	hosts := object.List(object.Child(route, "spec"), "hostnames")
	if len(hosts) == 0 {
		return ""
	}
	host, _ := hosts[0].(string)
	return strings.Replace(host, "*", "probe", 1)
}

// Gateways implements router.Gatewayed.
func (Router) Gateways(route router.Object) []router.GatewayRef {
	var refs []router.GatewayRef
	for _, p := range object.List(object.Child(route, "spec"), "parentRefs") {
		refs = append(refs, router.GatewayRef{
			Namespace: cmp.Or(object.Text(p, "namespace"), object.Namespace(route)), Name: object.Text(p, "name"), Listener: object.Text(p, "sectionName"),
		})
	}
	return refs
}

// URL implements router.Gatewayed: the gateway's first address with the port of
// its first HTTP or HTTPS listener.
func (Router) URL(gateway router.Object, listener string) string {
	addresses := object.List(object.Child(gateway, "status"), "addresses")
	if len(addresses) == 0 {
		return ""
	}
	host := object.Text(addresses[0], "value")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	for _, l := range object.List(object.Child(gateway, "spec"), "listeners") {
		if listener != "" && object.Text(l, "name") != listener {
			continue
		}
		switch protocol := object.Text(l, "protocol"); protocol {
		case "HTTP", "HTTPS":
			return fmt.Sprintf("%s://%s:%d", strings.ToLower(protocol), host, object.Number(l, "port"))
		}
	}
	return ""
}

// The Gateway API's limits of a route.
const (
	maxRules   = 16
	maxMatches = 128 // of all rules together
)

// Room implements router.Preflighter: each pin needs the recorded rules once.
func (Router) Room(route router.Object, saved release.Route, pins int) bool {
	ours, err := decodeRules(saved)
	if err != nil {
		return false
	}
	all, matches := rules(route), 0
	for _, rule := range ours {
		if rule.Index < len(all) {
			matches += max(1, len(object.List(all[rule.Index], "matches")))
		}
	}
	return len(ours)*pins <= maxRules && matches*pins <= maxMatches
}

// Preflight implements router.Preflighter. The new route has only the recorded
// rules, once for each pin; it adds the header to every match and sends all their
// requests to the pin's Service. Filters and timeouts stay, so test requests see what
// users get. The gateway prefers the more specific match, so the user's route needs
// no change.
func (r Router) Preflight(route router.Object, saved release.Route, s router.Split, header string, pins ...router.Pin) (router.Object, error) {
	var marks []mark
	for _, pin := range pins {
		m := mark{match: map[string]any{"type": "Exact", "name": header, "value": pin.Value}, service: pin.Service}
		if pin.Mark != "" {
			m.answer = map[string]string{header: pin.Mark}
		}
		marks = append(marks, m)
	}
	return r.beside(route, saved, s, marks)
}

// A mark is what some requests have in common: a header match, the Service that they
// are sent to, and the headers that their answers get.
type mark struct {
	match   map[string]any
	service string
	answer  map[string]string
}

// beside returns a route like the user's with only the recorded rules, once for
// each mark.
func (r Router) beside(route router.Object, saved release.Route, s router.Split, marks []mark) (router.Object, error) {
	ours, err := decodeRules(saved)
	if err != nil {
		return nil, err
	}
	all := rules(route)
	var narrowed []any
	for _, m := range marks {
		for _, rule := range ours {
			if rule.Index >= len(all) {
				return nil, fmt.Errorf("rule %d of %s %s is gone", rule.Index, r.Kind(), saved.Name)
			}
			user, _ := all[rule.Index].(map[string]any)
			own, err := m.narrow(user, rule, s)
			if err != nil {
				return nil, err
			}
			narrowed = append(narrowed, own)
		}
	}
	spec := maps.Clone(object.Child(route, "spec"))
	spec["rules"] = narrowed
	return router.Object{"apiVersion": route["apiVersion"], "kind": route["kind"], "spec": spec}, nil
}

// narrow returns a user's rule for the requests with the mark.
func (m mark) narrow(user map[string]any, rule savedRule, s router.Split) (map[string]any, error) {
	refs, err := decodeRefs(rule.BackendRefs)
	if err != nil {
		return nil, err
	}
	own := maps.Clone(user)
	if own == nil {
		own = map[string]any{}
	}
	delete(own, "name") // unique in a route
	own["matches"] = withHeader(object.List(user, "matches"), m.match)
	own["backendRefs"] = toService(refs, s, m.service)
	filters := withoutMirror(object.List(user, "filters"), s)
	for name, value := range m.answer {
		filters = modified(filters, "set", name, value)
	}
	delete(own, "filters")
	if len(filters) > 0 {
		own["filters"] = filters
	}
	return own, nil
}

// toService returns the refs of the split's Service, renamed to another one.
func toService(refs []any, s router.Split, service string) []any {
	var own []any
	for _, ref := range refs {
		if m, ok := ref.(map[string]any); ok && refersTo(ref, s.Service, s) {
			own = append(own, withWeight(m, service, 1))
		}
	}
	return own
}

// modified adds a response header to filters, by the modifier's list "set" or
// "add". There is at most one such filter in a list.
func modified(filters []any, how, name, value string) []any {
	header := map[string]any{"name": name, "value": value}
	var changed []any
	found := false
	for _, f := range filters {
		filter, _ := f.(map[string]any)
		if filter["type"] == "ResponseHeaderModifier" {
			found = true
			filter = maps.Clone(filter)
			modifier := maps.Clone(object.Child(filter, "responseHeaderModifier"))
			if modifier == nil {
				modifier = map[string]any{}
			}
			modifier[how] = append(slices.Clone(object.List(modifier, how)), header)
			filter["responseHeaderModifier"] = modifier
			f = filter
		}
		changed = append(changed, f)
	}
	if !found {
		changed = append(changed, map[string]any{"type": "ResponseHeaderModifier", "responseHeaderModifier": map[string]any{how: []any{header}}})
	}
	return changed
}

// withHeader adds the header to every match. A rule without matches takes all
// requests, so it gets one match with the header alone.
func withHeader(matches []any, header map[string]any) []any {
	if len(matches) == 0 {
		matches = []any{map[string]any{}}
	}
	narrowed := make([]any, 0, len(matches))
	for _, m := range matches {
		user, _ := m.(map[string]any)
		match := map[string]any{}
		maps.Copy(match, user)
		match["headers"] = append(slices.Clone(object.List(user, "headers")), header)
		narrowed = append(narrowed, match)
	}
	return narrowed
}
