package gatewayapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// maxBackendWeight is the largest weight the Gateway API allows.
const maxBackendWeight = 1_000_000

// splitRefs returns the user's backendRefs with the Service's weight divided
// between it and the canary Service. It multiplies all weights by 100, so the
// proportions of a split that the user already has stay.
func splitRefs(original json.RawMessage, to router.Split) ([]any, error) {
	refs, err := decodeRefs(original)
	if err != nil {
		return nil, err
	}
	var split []any
	for _, ref := range refs {
		m, ok := ref.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("backendRef is %T, want an object", ref)
		}
		own := int64(1) // the API's default
		if w, ok := m["weight"].(int64); ok {
			own = w
		}
		if own*100 > maxBackendWeight {
			return nil, fmt.Errorf("backendRef %v has weight %d: at most %d can be split", m["name"], own, maxBackendWeight/100)
		}
		if !refersTo(ref, to.Service, to) {
			split = append(split, withWeight(m, m["name"], own*100))
			continue
		}
		split = append(split,
			withWeight(m, to.Service, own*int64(100-to.Weight)),
			extended(withWeight(m, to.CanaryService, own*int64(to.Weight)), to))
	}
	return split, nil
}

// unsplitRefs returns the refs that splitRefs made these from: without the canary
// Service, its weight added to that of the Service, and all weights divided by
// 100. Refs without the canary Service are returned as they are.
func unsplitRefs(split json.RawMessage, s router.Split) (json.RawMessage, error) {
	refs, err := decodeRefs(split)
	if err != nil {
		return nil, err
	}
	isCanary := func(ref any) bool { return refersTo(ref, s.CanaryService, s) }
	if !slices.ContainsFunc(refs, isCanary) {
		return split, nil
	}
	var whole []any
	for i, ref := range refs {
		if isCanary(ref) {
			continue
		}
		m, _ := ref.(map[string]any)
		weight, _ := m["weight"].(int64)
		if refersTo(ref, s.Service, s) {
			if i+1 == len(refs) || !isCanary(refs[i+1]) {
				return nil, fmt.Errorf("service %s is not followed by service %s", s.Service, s.CanaryService)
			}
			canary, _ := refs[i+1].(map[string]any)["weight"].(int64)
			weight += canary
		}
		if weight%100 != 0 {
			return nil, fmt.Errorf("the weights are not those of a release")
		}
		whole = append(whole, withWeight(m, m["name"], weight/100))
	}
	return json.Marshal(whole)
}

// refersTo reports whether a backendRef names a Service of the split's namespace.
func refersTo(ref any, service string, s router.Split) bool {
	m, _ := ref.(map[string]any)
	if m["name"] != service {
		return false
	}
	kind, hasKind := m["kind"]
	group, hasGroup := m["group"]
	ns, hasNS := m["namespace"]
	return (!hasKind || kind == "Service") && (!hasGroup || group == "" || group == "core") && (hasNS && ns == s.Namespace || !hasNS && !s.Abroad())
}

func withWeight(ref map[string]any, name any, weight int64) map[string]any {
	c := maps.Clone(ref)
	c["name"], c["weight"] = name, weight
	return c
}

func decodeRefs(raw json.RawMessage) ([]any, error) {
	var refs []any
	if err := object.Decode(raw, &refs); err != nil {
		return nil, fmt.Errorf("read the recorded backendRefs: %w", err)
	}
	return object.WholeNumbers(refs).([]any), nil
}
