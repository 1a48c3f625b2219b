package gatewayapi

import (
	"cmp"
	"fmt"
	"reflect"

	"github.com/candlefish/deploy-action/internal/router"
)

// Accepted implements router.Router: every parent has accepted the newest
// generation of the route, with all references resolved.
func (Router) Accepted(route router.Object, generation int64) (bool, string) {
	newest := number(child(route, "metadata"), "generation")
	if newest < generation {
		return false, "the watch is behind"
	}
	specs, parents := list(child(route, "spec"), "parentRefs"), list(child(route, "status"), "parents")
	for _, spec := range specs {
		answered := false
		for _, parent := range parents {
			if !sameParent(child(parent, "parentRef"), spec, namespaceOf(route)) {
				continue
			}
			answered = true
			for _, kind := range []string{"Accepted", "ResolvedRefs"} {
				if ok, why := condition(parent, kind, newest); !ok {
					return false, why
				}
			}
		}
		if !answered {
			return false, "a parent gateway has not set its status"
		}
	}
	return len(specs) > 0, "the route has no parent"
}

func sameParent(a, b any, namespace string) bool {
	x, _ := a.(map[string]any)
	y, _ := b.(map[string]any)
	return x["name"] == y["name"] && cmp.Or(text(x, "namespace"), namespace) == cmp.Or(text(y, "namespace"), namespace) &&
		text(x, "sectionName") == text(y, "sectionName") && reflect.DeepEqual(x["port"], y["port"])
}

func condition(parent any, kind string, generation int64) (bool, string) {
	for _, c := range list(parent, "conditions") {
		if text(c, "type") != kind {
			continue
		}
		if seen := number(c, "observedGeneration"); seen < generation {
			return false, fmt.Sprintf("%s is of generation %d, not %d", kind, seen, generation)
		}
		if status := text(c, "status"); status != "True" {
			return false, fmt.Sprintf("%s is %s: %s", kind, status, text(c, "message"))
		}
		return true, ""
	}
	return false, "no condition " + kind
}

// The objects are decoded JSON from outside: a value that is missing or of
// another type counts as empty.

func child(v any, key string) map[string]any {
	m, _ := v.(map[string]any)
	c, _ := m[key].(map[string]any)
	return c
}

func list(v any, key string) []any {
	m, _ := v.(map[string]any)
	l, _ := m[key].([]any)
	return l
}

func text(v any, key string) string {
	m, _ := v.(map[string]any)
	s, _ := m[key].(string)
	return s
}

func number(v any, key string) int64 {
	m, _ := v.(map[string]any)
	n, _ := m[key].(int64)
	return n
}

func rules(route router.Object) []any        { return list(child(route, "spec"), "rules") }
func nameOf(route router.Object) string      { return text(child(route, "metadata"), "name") }
func namespaceOf(route router.Object) string { return text(child(route, "metadata"), "namespace") }
