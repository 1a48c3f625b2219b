package discover

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/routers"
	"github.com/candlefish/deploy-action/internal/router/service"
)

// withoutRoute adds the router that needs none, where no route leads to any of the
// Services: the first that can give all weights. A target whose last release used a
// route gets none: somebody removed it.
func withoutRoute(s *survey, q Query, services []corev1.Service, previous *release.Record) {
	routed := slices.ContainsFunc(services, func(x corev1.Service) bool { return s.routed(x.Name) })
	if routed || q.Router != "" || q.Route != "" || len(s.direct) == 0 {
		return
	}
	if previous != nil && !routers.Moves(previous, previous.Service) {
		return
	}
	i := slices.IndexFunc(s.direct, func(of served) bool {
		coarse, ok := of.Router.(router.Coarse)
		return !ok || !slices.ContainsFunc(q.Weights, func(weight int) bool { return coarse.Refuses(weight) != "" })
	})
	if i < 0 {
		i = len(s.direct) - 1 // it says which weights it cannot give
	}
	s.routers, s.direct = append(slices.Clone(s.routers), s.direct[i]), nil
}

// Direct reports whether requests are moved by the selector of the Service.
func (f *Found) Direct() bool { return routers.Moves(f.Record, f.Record.Service) }

// NoEntry says what to do when the entry point is not known.
func (f *Found) NoEntry() string {
	if f.Direct() {
		return fmt.Sprintf("the selector of service %s moves the requests (router %s, which needs no route), and the Service has no load balancer and no external IP: set probe-url to where its users come in, such as a node's address with the node port",
			f.Record.Service, f.Record.Router)
	}
	return "the entry point is not known: no gateway or load balancer has an address in its status; set it with probe-url"
}

// Realize returns the plan with the weights that the pods can give, where their number
// is the share.
func (f *Found) Realize(p rollout.Plan) rollout.Plan {
	if !routers.Shares(f.Record) {
		return p
	}
	return service.Realize(p, f.Record.Replicas)
}

// ingresses lists the Ingresses that lead to one of the record's Services and that the
// release does not write.
func ingresses(s *survey, r *release.Record) []string {
	var found []string
	for _, of := range s.routers {
		if of.Kind().Name != "Ingress" {
			continue
		}
		for _, route := range of.all {
			written := slices.ContainsFunc(r.Routes, func(x release.Route) bool {
				return routers.Of(r.RouterOf(x)).Kind() == of.Kind() && x.Name == route.GetName()
			})
			leads := slices.ContainsFunc(r.Services, func(x release.Service) bool {
				_, leads, err := routers.Save(of.Router, route.Object, s.ns, x.Name)
				return leads && err == nil
			})
			if leads && !written && route.GetLabels()[kube.LabelTarget] == "" && !slices.Contains(found, route.GetName()) {
				found = append(found, route.GetName())
			}
		}
	}
	return found
}
