// Package routers lists the routers that there are.
package routers

import (
	"slices"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/gatewayapi"
)

// All lists the routers in the order in which a cluster is asked for them.
func All() []router.Router {
	return []router.Router{
		gatewayapi.Router{},
	}
}

// Names lists what the input "router" takes.
func Names() []string {
	var names []string
	for _, r := range All() {
		names = append(names, r.Name())
	}
	return names
}

// Of returns the router of a name, the first one for "". It is nil when there is none.
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
