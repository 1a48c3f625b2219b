package istio

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// maxWeight is the largest weight that can be multiplied: weights are int32, and
// so is their sum.
const maxWeight = 1_000_000

// split returns the user's destinations with the Service's weights divided between
// it and the canary Service. Weights are proportions: they are multiplied by 100
// unless the parts are whole numbers without it, so the proportions of a split that
// the user already has stay.
func (s saved) split(entries []any, to router.Split) ([]any, error) {
	factor := int64(1)
	for _, e := range entries {
		if isOwn(e, to) && weightOf(e, entries)%100 != 0 {
			factor = 100
		}
	}
	var split []any
	for _, e := range entries {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("destination is %T, want an object", e)
		}
		own := weightOf(e, entries)
		if own > maxWeight {
			return nil, fmt.Errorf("destination %s has weight %d: at most %d can be split", hostOf(e), own, maxWeight)
		}
		if !isOwn(e, to) {
			split = append(split, withWeight(m, own*factor))
			continue
		}
		stable, canary := s.pair(m, to)
		stable = withWeight(stable, own*factor*int64(100-to.Weight)/100)
		canary = withWeight(s.marked(canary, to), own*factor*int64(to.Weight)/100)
		if s.Made {
			split = append(split, canary, stable) // the order of the commands that people know
			continue
		}
		split = append(split, stable, canary)
	}
	return split, nil
}

// pair returns a destination of the user's, and the same for the canary.
func (s saved) pair(own map[string]any, to router.Split) (stable, canary map[string]any) {
	stable, canary = maps.Clone(own), s.canaryEntry(own, to)
	if s.subsets() {
		stable["destination"] = withSubset(object.Child(own, "destination"), SubsetStable)
	}
	return stable, canary
}

// canaryEntry returns a destination of the user's that leads to the canary.
func (s saved) canaryEntry(own map[string]any, to router.Split) map[string]any {
	d := withHost(object.Child(own, "destination"), canaryHost(hostOf(own), to))
	subset := object.Text(d, "subset")
	switch {
	case s.subsets():
		d["subset"] = SubsetCanary
	case subset != "" && !s.hasSubset(subset):
		delete(d, "subset") // nobody defines it for the canary's host: answers would be 503
	}
	canary := maps.Clone(own)
	canary["destination"] = d
	return canary
}

// unsplit returns the destinations that split made these from: without the canary's
// host, its weight added to the destination before it, and all weights divided by
// 100 if they were multiplied. Others are returned as they are.
func unsplit(raw json.RawMessage, s router.Split) (json.RawMessage, error) {
	entries, err := decodeList(raw)
	if err != nil {
		return nil, err
	}
	isCanary := func(e any) bool { return leadsTo(e, s.CanaryService, s) }
	if !slices.ContainsFunc(entries, isCanary) {
		return raw, nil
	}
	var whole []any
	for i := 0; i < len(entries); i++ {
		stable := entries[i]
		if !isOwn(stable, s) && !isCanary(stable) {
			whole = append(whole, stable)
			continue
		}
		if i+1 == len(entries) || isCanary(stable) == isCanary(entries[i+1]) || !isOwn(stable, s) && !isOwn(entries[i+1], s) {
			return nil, fmt.Errorf("service %s is not beside service %s", s.Service, s.CanaryService)
		}
		if isCanary(stable) {
			stable = entries[i+1]
		}
		m, _ := stable.(map[string]any)
		whole = append(whole, withWeight(m, object.Number(entries[i], "weight")+object.Number(entries[i+1], "weight")))
		i++
	}
	if len(whole) == 1 {
		m, _ := whole[0].(map[string]any)
		m = maps.Clone(m)
		delete(m, "weight") // the only destination has no weight, or any
		return json.Marshal([]any{m})
	}
	return json.Marshal(reduced(whole))
}

// reduced takes the factor of split out of weights.
func reduced(entries []any) []any {
	total := int64(0)
	for _, e := range entries {
		weight := object.Number(e, "weight")
		if weight%100 != 0 {
			return entries
		}
		total += weight
	}
	if total <= 100 {
		return entries
	}
	smaller := make([]any, len(entries))
	for i, e := range entries {
		m, _ := e.(map[string]any)
		smaller[i] = withWeight(m, object.Number(e, "weight")/100)
	}
	return smaller
}

// onlyWeightsDiffer reports whether two lists have the same destinations, in any
// order, whatever their weights.
func onlyWeightsDiffer(have, want []any) bool {
	if len(have) != len(want) {
		return false
	}
	left := slices.Clone(have)
	for _, w := range want {
		i := slices.IndexFunc(left, func(h any) bool { return reflect.DeepEqual(weightless(h), weightless(w)) })
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return true
}

// weightless returns a destination without its weight and without what a split adds
// to it.
func weightless(e any) any {
	m, ok := e.(map[string]any)
	if !ok {
		return e
	}
	m = maps.Clone(m)
	delete(m, "weight")
	delete(m, "headers")
	return m
}

// weightOf returns a destination's weight; the only destination of a rule has all.
func weightOf(e any, entries []any) int64 {
	if len(entries) == 1 {
		return 100
	}
	return object.Number(e, "weight")
}

func withWeight(entry map[string]any, weight int64) map[string]any {
	c := maps.Clone(entry)
	if c == nil {
		c = map[string]any{}
	}
	c["weight"] = weight
	return c
}

func withHost(destination map[string]any, host string) map[string]any {
	c := maps.Clone(destination)
	c["host"] = host
	return c
}

func withSubset(destination map[string]any, subset string) map[string]any {
	c := maps.Clone(destination)
	c["subset"] = subset
	return c
}

func hostOf(entry any) string { return object.Text(object.Child(entry, "destination"), "host") }

func isOwn(entry any, s router.Split) bool { return leadsTo(entry, s.Service, s) }

// leadsTo reports whether a destination leads to a Service of the split's namespace.
func leadsTo(entry any, service string, s router.Split) bool {
	return isHost(hostOf(entry), service, s.Namespace, cmp.Or(s.RouteNamespace, s.Namespace))
}

// isHost reports whether a host names a Service: short, which counts in the
// VirtualService's own namespace only, with the namespace, or in full, in any
// cluster domain.
func isHost(host, service, namespace, routes string) bool {
	name, rest, dotted := strings.Cut(strings.TrimSuffix(host, "."), ".")
	if name != service {
		return false
	}
	if !dotted {
		return namespace == routes
	}
	return rest == namespace || rest == namespace+".svc" || strings.HasPrefix(rest, namespace+".svc.")
}

// canaryHost spells the canary Service's host as the user spells the Service's.
func canaryHost(host string, to router.Split) string {
	return to.CanaryService + strings.TrimPrefix(host, to.Service)
}

func decodeList(raw json.RawMessage) ([]any, error) {
	var entries []any
	if err := object.Decode(raw, &entries); err != nil {
		return nil, fmt.Errorf("read the recorded destinations: %w", err)
	}
	whole, _ := object.WholeNumbers(entries).([]any)
	return whole, nil
}
