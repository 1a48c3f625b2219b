package routers

import (
	"fmt"
	"slices"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
)

// PinValues returns the values of the header of test requests that lead to the
// canary and to stable, if a router of the record chooses them; "" if not.
func PinValues(r *release.Record) (canary, stable string) {
	for _, saved := range r.Routes {
		if inline, ok := Of(r.RouterOf(saved)).(router.Inline); ok && canary == "" {
			canary, stable = inline.PinValues()
		}
	}
	return canary, stable
}

// Refusals says what of a release the routers cannot do: the weights of these
// steps, in percent, and the record's extras.
func Refusals(r *release.Record, weights []int) []string {
	var found []string
	note := func(why string) {
		if why != "" && !slices.Contains(found, why) {
			found = append(found, why)
		}
	}
	for _, saved := range r.Routes {
		of := Of(r.RouterOf(saved))
		if coarse, ok := of.(router.Coarse); ok {
			for _, weight := range weights {
				note(coarse.Refuses(weight))
			}
		}
		if r.Extras == (release.Extras{}) {
			continue
		}
		if extender, ok := of.(router.Extender); !ok {
			note(fmt.Sprintf("the router %s of %s %s moves weights alone: no header, cookie, mirror or affinity", of.Name(), of.Kind(), saved.Name))
		} else if err := extender.Supports(r.Extras); err != nil {
			note(err.Error())
		}
	}
	return found
}
