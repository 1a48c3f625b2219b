package discover

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// gateLabel is the label of a namespace by which the AWS Load Balancer Controller
// makes its pods wait for the health of their targets.
const gateLabel = "elbv2.k8s.aws/pod-readiness-gate-inject"

// surroundings returns what is around the routes of a release.
func (s *survey) surroundings(r *release.Record, others []router.Object) router.Surroundings {
	return router.Surroundings{Namespace: s.ns, Others: others, Service: serviceObject(s.services, r.Service), Gated: s.labels[gateLabel] == "enabled"}
}

func serviceObject(services []corev1.Service, name string) router.Object {
	for i := range services {
		if services[i].Name == name {
			object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&services[i])
			if err == nil {
				return object
			}
		}
	}
	return router.Object{}
}

// unmarked reports whether the answers to test requests have no mark.
func unmarked(r *release.Record) bool {
	return slices.ContainsFunc(r.Routes, func(saved release.Route) bool {
		_, markless := routers.Of(r.RouterOf(saved)).(router.Markless)
		return markless
	})
}
