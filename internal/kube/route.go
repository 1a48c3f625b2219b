package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/rollout"
)

var (
	routeResource   = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	gatewayResource = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
)

// maxBackendWeight is the largest weight the Gateway API allows.
const maxBackendWeight = 1_000_000

// A savedRule is the part of one HTTPRoute rule that a rollout changes, as it
// was before the first change.
type savedRule struct {
	Index       int             `json:"index"`
	BackendRefs json.RawMessage `json:"backendRefs"`
}

// A savedRoute is what a rollout changes in one HTTPRoute.
type savedRoute struct {
	Name  string      `json:"name"`
	Rules []savedRule `json:"rules"`
}

// saveRoute records the backendRefs of every rule of route that points at the
// Service. It returns false when none does.
func saveRoute(route *unstructured.Unstructured, service string) (savedRoute, bool, error) {
	saved := savedRoute{Name: route.GetName()}
	rules, _, err := unstructured.NestedSlice(route.Object, "spec", "rules")
	if err != nil {
		return saved, false, fmt.Errorf("read httproute %s: %w", route.GetName(), err)
	}
	for i, rule := range rules {
		refs := backendRefs(rule)
		if !slices.ContainsFunc(refs, func(ref any) bool { return refersTo(ref, service, route.GetNamespace()) }) {
			continue
		}
		raw, err := json.Marshal(refs)
		if err != nil {
			return saved, false, fmt.Errorf("record httproute %s: %w", route.GetName(), err)
		}
		saved.Rules = append(saved.Rules, savedRule{Index: i, BackendRefs: raw})
	}
	return saved, len(saved.Rules) > 0, nil
}

func backendRefs(rule any) []any {
	m, _ := rule.(map[string]any)
	refs, _ := m["backendRefs"].([]any)
	return refs
}

// refersTo reports whether a backendRef names the Service in namespace.
func refersTo(ref any, service, namespace string) bool {
	m, _ := ref.(map[string]any)
	if m["name"] != service {
		return false
	}
	kind, hasKind := m["kind"]
	group, hasGroup := m["group"]
	ns, hasNS := m["namespace"]
	return (!hasKind || kind == "Service") && (!hasGroup || group == "" || group == "core") && (!hasNS || ns == namespace)
}

// splitRefs is the user's backendRefs with the Service's share divided between
// it and second, weight percent to second. Where the user already splits
// between the Service and others, their proportions stay: everything is
// scaled by 100.
func splitRefs(original json.RawMessage, service, second, namespace string, weight int) ([]any, error) {
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
		if !refersTo(ref, service, namespace) {
			split = append(split, withWeight(m, m["name"], own*100))
			continue
		}
		split = append(split,
			withWeight(m, service, own*int64(100-weight)),
			withWeight(m, second, own*int64(weight)))
	}
	return split, nil
}

func decodeRefs(raw json.RawMessage) ([]any, error) {
	var refs []any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&refs); err != nil {
		return nil, fmt.Errorf("read recorded backendRefs: %w", err)
	}
	// unstructured holds whole numbers as int64.
	return wholeNumbers(refs).([]any), nil
}

func wholeNumbers(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = wholeNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = wholeNumbers(v[k])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	}
	return v
}

func withWeight(ref map[string]any, name any, weight int64) map[string]any {
	c := make(map[string]any, len(ref)+1)
	for k, v := range ref {
		c[k] = v
	}
	c["name"], c["weight"] = name, weight
	return c
}

// A routeWrite is what this run wants in the rules it changes.
type routeWrite struct {
	name  string
	rules map[int][]any // rule index to backendRefs
}

// wanted is the content for weight; weight < 0 means the recorded original.
func (t *Target) wantedRoutes(weight int) ([]routeWrite, error) {
	var writes []routeWrite
	for _, saved := range t.record.Routes {
		w := routeWrite{name: saved.Name, rules: map[int][]any{}}
		for _, rule := range saved.Rules {
			var refs []any
			var err error
			if weight < 0 {
				refs, err = decodeRefs(rule.BackendRefs)
			} else {
				refs, err = splitRefs(rule.BackendRefs, t.record.Service, t.record.SecondName(), t.record.Namespace, weight)
			}
			if err != nil {
				return nil, fmt.Errorf("httproute %s rule %d: %w", saved.Name, rule.Index, err)
			}
			w.rules[rule.Index] = refs
		}
		writes = append(writes, w)
	}
	return writes, nil
}

// writeRoutes puts the wanted backendRefs into every route, touching nothing
// else. Rules that were changed by somebody else since are left alone and
// named in an error.
func (t *Target) writeRoutes(ctx context.Context, weight int) error {
	writes, err := t.wantedRoutes(weight)
	if err != nil {
		return err
	}
	for _, w := range writes {
		err := steadily(ctx, func(ctx context.Context) error {
			route, err := t.routes().Get(ctx, w.name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			patch, err := t.routePatch(route, w)
			if err != nil || patch == nil {
				t.noteRoute(route, w)
				return err
			}
			written, err := t.routes().Patch(ctx, w.name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
			if err != nil {
				return err
			}
			t.noteRoute(written, w)
			return nil
		})
		if err != nil {
			return fmt.Errorf("write weights into httproute %s/%s: %w", t.record.Namespace, w.name, err)
		}
	}
	return nil
}

// routePatch is the JSON patch from route to w, nil when there is nothing to
// change. It refuses a rule whose backends are neither the recorded ones nor
// ours.
func (t *Target) routePatch(route *unstructured.Unstructured, w routeWrite) ([]byte, error) {
	rules, _, err := unstructured.NestedSlice(route.Object, "spec", "rules")
	if err != nil {
		return nil, err
	}
	ops := []map[string]any{{"op": "replace", "path": "/metadata/resourceVersion", "value": route.GetResourceVersion()}}
	for _, saved := range t.savedRules(w.name) {
		if saved.Index >= len(rules) {
			return nil, &rollout.DriftError{What: fmt.Sprintf("httproute %s: rule %d is gone", w.name, saved.Index), Who: lastWriter(route)}
		}
		have := backendRefs(rules[saved.Index])
		want := w.rules[saved.Index]
		if reflect.DeepEqual(have, want) {
			continue
		}
		if !t.ours(have, saved) {
			return nil, &rollout.DriftError{What: fmt.Sprintf("the backends of httproute %s rule %d", w.name, saved.Index), Who: lastWriter(route)}
		}
		ops = append(ops, map[string]any{"op": "replace", "path": fmt.Sprintf("/spec/rules/%d/backendRefs", saved.Index), "value": want})
	}
	if len(ops) == 1 {
		return nil, nil
	}
	return json.Marshal(ops)
}

// ours reports whether refs are the recorded ones or some split of them.
func (t *Target) ours(refs []any, saved savedRule) bool {
	original, err := decodeRefs(saved.BackendRefs)
	if err != nil {
		return false
	}
	if reflect.DeepEqual(refs, original) {
		return true
	}
	for weight := 0; weight <= 100; weight++ {
		split, err := splitRefs(saved.BackendRefs, t.record.Service, t.record.SecondName(), t.record.Namespace, weight)
		if err == nil && reflect.DeepEqual(refs, split) {
			return true
		}
	}
	return false
}

func (t *Target) savedRules(route string) []savedRule {
	for _, r := range t.record.Routes {
		if r.Name == route {
			return r.Rules
		}
	}
	return nil
}

// noteRoute remembers what this process last saw itself write, against which
// drift and acceptance are judged.
func (t *Target) noteRoute(route *unstructured.Unstructured, w routeWrite) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.written[w.name] = writtenRoute{generation: route.GetGeneration(), rules: w.rules}
}

type writtenRoute struct {
	generation int64
	rules      map[int][]any
}

// routeDrift says who changed the rules that this process wrote, or "".
func routeDrift(route *unstructured.Unstructured, w writtenRoute) string {
	if route.GetGeneration() <= w.generation {
		return "" // ours, or a watch that has not caught up
	}
	rules, _, _ := unstructured.NestedSlice(route.Object, "spec", "rules")
	for i, want := range w.rules {
		if i >= len(rules) || !reflect.DeepEqual(backendRefs(rules[i]), want) {
			return fmt.Sprintf("%s changed the backends of httproute %s rule %d", lastWriter(route), route.GetName(), i)
		}
	}
	return ""
}

// lastWriter names the newest field manager of obj that is not us and did
// not write a status.
func lastWriter(obj metav1.Object) string {
	var newest time.Time
	name := "somebody"
	for _, f := range obj.GetManagedFields() {
		if f.Manager == FieldManager || f.Subresource != "" || f.Time == nil || f.Time.Time.Before(newest) {
			continue
		}
		newest, name = f.Time.Time, fmt.Sprintf("field manager %q", f.Manager)
	}
	return name
}

// routeAccepted reports whether every parent of route has accepted its newest
// generation with all references resolved; if not, why.
func routeAccepted(route *unstructured.Unstructured, generation int64) (bool, string) {
	if route.GetGeneration() < generation {
		return false, "the watch has not caught up"
	}
	specs, _, _ := unstructured.NestedSlice(route.Object, "spec", "parentRefs")
	parents, _, _ := unstructured.NestedSlice(route.Object, "status", "parents")
	for _, spec := range specs {
		answered := false
		for _, p := range parents {
			parent, _ := p.(map[string]any)
			if !sameParent(parent["parentRef"], spec, route.GetNamespace()) {
				continue
			}
			answered = true
			for _, kind := range []string{"Accepted", "ResolvedRefs"} {
				if ok, why := condition(parent, kind, route.GetGeneration()); !ok {
					return false, why
				}
			}
		}
		if !answered {
			return false, "a parent gateway has not answered"
		}
	}
	return len(specs) > 0, "the route has no parent"
}

func sameParent(a, b any, namespace string) bool {
	x, _ := a.(map[string]any)
	y, _ := b.(map[string]any)
	field := func(m map[string]any, key, fallback string) string {
		if s, ok := m[key].(string); ok {
			return s
		}
		return fallback
	}
	return x["name"] == y["name"] && field(x, "namespace", namespace) == field(y, "namespace", namespace) &&
		field(x, "sectionName", "") == field(y, "sectionName", "") && reflect.DeepEqual(x["port"], y["port"])
}

func condition(parent map[string]any, kind string, generation int64) (bool, string) {
	conditions, _ := parent["conditions"].([]any)
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		if m["type"] != kind {
			continue
		}
		seen, _ := m["observedGeneration"].(int64)
		if seen < generation {
			return false, fmt.Sprintf("%s is of generation %d, not %d", kind, seen, generation)
		}
		if m["status"] != "True" {
			return false, fmt.Sprintf("%s is %v: %v", kind, m["status"], m["message"])
		}
		return true, ""
	}
	return false, "no condition " + kind
}
