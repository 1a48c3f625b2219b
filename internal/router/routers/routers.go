// Package routers lists the available routers.
package routers

import (
	"slices"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/alb"
	"github.com/candlefish/deploy-action/internal/router/gatewayapi"
	"github.com/candlefish/deploy-action/internal/router/istio"
	"github.com/candlefish/deploy-action/internal/router/nginx"
	"github.com/candlefish/deploy-action/internal/router/service"
)

// All lists the routers in the order of detection.
func All() []router.Router {
	return []router.Router{
		gatewayapi.Router{},
		gatewayapi.GRPC(),
		istio.Router{},
		nginx.Router{},
		alb.Router{},
		service.Router{},
		service.Replicas{},
	}
}

// Save records a route that leads to a Service of a namespace; see
// router.Router.Save and router.Abroad.
func Save(r router.Router, route router.Object, namespace, name string) (saved release.Route, ok bool, err error) {
	if abroad, can := r.(router.Abroad); can {
		return abroad.SaveAbroad(route, namespace, name)
	}
	metadata, _ := route["metadata"].(map[string]any)
	if own, _ := metadata["namespace"].(string); own != namespace {
		return saved, false, nil
	}
	return r.Save(route, name)
}

// Moves reports whether a release moves requests by the selector of this Service of
// the user: then its routes write the selector from the first weight to the hand-over,
// and nothing else does.
func Moves(record *release.Record, name string) bool {
	return slices.ContainsFunc(record.Routes, func(r release.Route) bool {
		_, selecting := Of(record.RouterOf(r)).(router.Selecting)
		return selecting && r.Name == name
	})
}

// Shares reports whether a release splits requests by the number of pods.
func Shares(record *release.Record) bool {
	return slices.ContainsFunc(record.Routes, func(r release.Route) bool { return record.RouterOf(r) == service.Replicas{}.Name() })
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
