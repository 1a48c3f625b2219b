package discover

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
)

// PickImages returns the main container of a workload with a pod template, and all its
// containers with the images that the query gives them.
func PickImages(d *appsv1.Deployment, q Query) (main string, all []release.Container, err error) {
	return pickImages(q.Namespace, d, q)
}

// Enter adds the entry points of the routes that lead to the record's Service, for a
// release that writes no route. It is no error if there are none, or none that can be
// read.
func Enter(ctx context.Context, c *kube.Cluster, f *Found) {
	s := &survey{ns: f.Record.Namespace}
	if err := s.readRoutes(ctx, c, candidates("")); err != nil {
		return
	}
	if err := s.readAbroad(ctx, c); err != nil {
		f.Warnings = append(f.Warnings, err.Error()) // the routes of this namespace are read
	}
	routes, err := s.pickRoutes(f.Record.Service, Query{})
	if err != nil {
		return
	}
	f.Record.Routes = routes
	s.entryPoints(ctx, c, f)
	f.Record.Routes = nil
}
