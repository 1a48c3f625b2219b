package gatewayapi

import (
	"cmp"
	"fmt"
	"reflect"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// Accepted implements router.Router: every parent has accepted the newest
// generation of the route, with all references resolved.
func (Router) Accepted(route router.Object, generation int64) (bool, string) {
	newest := object.Number(object.Child(route, "metadata"), "generation")
	if newest < generation {
		return false, "the watch is behind"
	}
	specs, parents := object.List(object.Child(route, "spec"), "parentRefs"), object.List(object.Child(route, "status"), "parents")
	for _, spec := range specs {
		answered := false
		for _, parent := range parents {
			if !sameParent(object.Child(parent, "parentRef"), spec, object.Namespace(route)) {
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
	return x["name"] == y["name"] && cmp.Or(object.Text(x, "namespace"), namespace) == cmp.Or(object.Text(y, "namespace"), namespace) &&
		object.Text(x, "sectionName") == object.Text(y, "sectionName") && reflect.DeepEqual(x["port"], y["port"])
}

func condition(parent any, kind string, generation int64) (bool, string) {
	for _, c := range object.List(parent, "conditions") {
		if object.Text(c, "type") != kind {
			continue
		}
		if seen := object.Number(c, "observedGeneration"); seen < generation {
			return false, fmt.Sprintf("%s is of generation %d, not %d", kind, seen, generation)
		}
		if status := object.Text(c, "status"); status != "True" {
			return false, fmt.Sprintf("%s is %s: %s", kind, status, object.Text(c, "message"))
		}
		return true, ""
	}
	return false, "no condition " + kind
}

func rules(route router.Object) []any { return object.List(object.Child(route, "spec"), "rules") }
