package istio

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

var (
	_ router.Companied = Router{}
	_ router.Maker     = Router{}
	_ router.Neighbor  = Router{}
)

// The subsets of a VirtualService that Make made.
const (
	SubsetStable = "stable"
	SubsetCanary = "canary"
)

// annotationMade marks a VirtualService that Make made.
const annotationMade = "candlefish.ai/made"

var destinationRules = router.Kind{Group: group, Version: version, Resource: "destinationrules", Name: "DestinationRule"}

// CompanionKinds implements router.Companied.
func (Router) CompanionKinds() []router.Kind { return []router.Kind{destinationRules} }

// NeighborKind implements router.Neighbor.
func (Router) NeighborKind() router.Kind { return destinationRules }

// Make implements router.Maker: a VirtualService for callers in the mesh. Users
// outside it come through a gateway, which needs a VirtualService of the user's.
func (Router) Make(namespace, service string) router.Object {
	return router.Object{
		"apiVersion": group + "/" + version, "kind": "VirtualService",
		"metadata": map[string]any{
			"name": service + "-traffic-split", "namespace": namespace,
			"annotations": map[string]any{annotationMade: "true"},
		},
		"spec": map[string]any{
			"hosts": []any{service},
			"http":  []any{map[string]any{"route": []any{map[string]any{"destination": map[string]any{"host": service}}}}},
		},
	}
}

// SaveNeighbors implements router.Neighbor: it records the spec of the user's
// DestinationRule for the Service's host. The canary's host gets the same, or its
// requests would have other connection pools, outlier detection and TLS.
func (Router) SaveNeighbors(r release.Route, service, namespace string, rules []router.Object) (release.Route, error) {
	ours, err := decode(r)
	if err != nil {
		return r, err
	}
	var names []string
	for _, rule := range rules {
		spec := object.Child(rule, "spec")
		if !isHost(object.Text(spec, "host"), service, namespace, object.Namespace(rule)) {
			continue
		}
		names = append(names, object.Name(rule))
		if ours.Policy, err = json.Marshal(spec); err != nil {
			return r, fmt.Errorf("record destinationrule %s: %w", object.Name(rule), err)
		}
	}
	if len(names) > 1 {
		return r, fmt.Errorf("destinationrules %v are all for the host of service %s; merge them, because Istio uses only one's policy", names, service)
	}
	if r.Rules, err = json.Marshal(ours); err != nil {
		return r, fmt.Errorf("record virtualservice %s: %w", r.Name, err)
	}
	return r, nil
}

// Companions implements router.Companied. They are there as long as the
// VirtualService names the canary's host.
func (Router) Companions(_ router.Object, r release.Route, to router.Split) ([]router.Companion, error) {
	ours, err := decode(r)
	if err != nil || to.Weight == router.Original {
		return nil, err
	}
	policy, err := ours.policy()
	if err != nil {
		return nil, fmt.Errorf("virtualservice %s: %w", r.Name, err)
	}
	canary := destinationRule(to.CanaryService+"-destination", policy, canaryHost(to.Service, to))
	switch {
	case policy != nil:
		return []router.Companion{canary}, nil
	case ours.Made:
		stable := destinationRule(to.Service+"-destination", nil, to.Service)
		subset(stable, SubsetStable, to)
		subset(canary, SubsetCanary, to)
		return []router.Companion{stable, canary}, nil
	}
	return nil, nil
}

// subsets reports whether the destinations have the subsets of ours: two
// DestinationRules for one host, ours and the user's, would be one too many.
func (s saved) subsets() bool { return s.Made && len(s.Policy) == 0 }

// destinationRule returns one for a host, with the policy of another.
func destinationRule(name string, policy map[string]any, host string) router.Companion {
	spec := maps.Clone(policy)
	if spec == nil {
		spec = map[string]any{}
	}
	spec["host"] = host
	return router.Companion{Kind: destinationRules, Object: router.Object{
		"apiVersion": group + "/" + version, "kind": destinationRules.Name,
		"metadata": map[string]any{"name": name}, "spec": spec,
	}}
}

// subset adds a subset with the version label. The hand-over labels pods anew while
// all traffic is on one side, and the clean-up takes the labels away. The Services
// select the right pods all the time, so a subset asks for no label then: it is
// never without pods while it has traffic.
func subset(c router.Companion, name string, to router.Split) {
	s := map[string]any{"name": name, "labels": nil} // nil removes what was there
	if to.VersionLabel != "" && to.Weight > 0 && to.Weight < 100 {
		s["labels"] = map[string]any{to.VersionLabel: name}
	}
	spec := object.Child(c.Object, "spec")
	spec["subsets"] = append(slices.Clone(object.List(spec, "subsets")), s)
}

// policy returns the recorded DestinationRule's spec, nil for none.
func (s saved) policy() (map[string]any, error) {
	if len(s.Policy) == 0 {
		return nil, nil
	}
	all, err := decodeList(json.RawMessage("[" + string(s.Policy) + "]"))
	if err != nil {
		return nil, err
	}
	spec, _ := all[0].(map[string]any)
	return spec, nil
}

// hasSubset reports whether the recorded DestinationRule has a subset.
func (s saved) hasSubset(name string) bool {
	policy, err := s.policy()
	for _, sub := range object.List(policy, "subsets") {
		if err == nil && object.Text(sub, "name") == name {
			return true
		}
	}
	return false
}
