// Package routers lists the available routers.
package routers

import (
	"slices"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/gatewayapi"
)

// All lists the routers in the order of detection.
func All() []router.Router {
	return []router.Router{
		gatewayapi.Router{},
	}
}

// Names lists the names that the input "router" allows.
func Names() []string {
	var names []string
	for _, r := range All() {
		names = append(names, r.Name())
	}
	return names
}

// Of returns the router with a name, the first one for "", nil if there is
// none.
func Of(name string) router.Router {
	all := All()
	if name == "" {
		return all[0]
	}
	if i := slices.IndexFunc(all, func(r router.Router) bool { return r.Name() == name }); i >= 0 {
		return all[i]
	}
	return nil
}
