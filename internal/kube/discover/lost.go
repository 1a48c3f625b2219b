package discover

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// A Lost is what a release left whose record is gone.
type Lost struct {
	// Left lists the objects that it created, as kubectl names them.
	Left []string
	// Record is a record that an abort can use, made from what is live: the user's
	// Deployment is stable, the canary Deployment the canary.
	Record *release.Record
	// Unfit says why an abort cannot use it, "" if it can.
	Unfit string
}

// lost returns what a release left without a record, nil for nothing.
func (s *survey) lost(f *Found, d *appsv1.Deployment, now time.Time) *Lost {
	if f.Previous != nil {
		return nil
	}
	var l Lost
	ours := func(kind string, obj metav1.Object) {
		if obj.GetLabels()[kube.LabelTarget] == d.Name {
			if name := kind + "/" + obj.GetName(); !slices.Contains(l.Left, name) {
				l.Left = append(l.Left, name)
			}
		}
	}
	for i := range s.deployments {
		ours("deployment", &s.deployments[i])
	}
	for i := range s.services {
		ours("service", &s.services[i])
	}
	for _, of := range s.routers {
		for i := range of.all {
			ours(of.Kind().String(), &of.all[i])
		}
	}
	if len(l.Left) == 0 {
		return nil
	}
	l.Record, l.Unfit = s.rebuilt(f.Record, d, now)
	return &l
}

// rebuilt returns the record of a release from what is live of it.
func (s *survey) rebuilt(fresh *release.Record, d *appsv1.Deployment, now time.Time) (record *release.Record, unfit string) {
	r := *fresh
	r.Run = release.Run{ID: "unknown", Started: now}
	r.Image, r.PreviousImage, r.Routes, r.Services = "an unknown image", r.Stable.Image, nil, nil
	r.Preflight = "unknown" // so that a preflight route is removed
	if r.VersionBefore != nil && rollout.Side(*r.VersionBefore).Written() {
		r.VersionBefore = nil
	}
	for i := range s.sets {
		rs := &s.sets[i]
		if owner := metav1.GetControllerOf(rs); owner != nil && owner.Name == r.CanaryDeployment() && s.isOurs(owner.UID) && kube.Deref(rs.Spec.Replicas) > 0 {
			r.Canary = kube.RevisionOf(rs, r.Container)
			r.Image = r.Canary.Image
		}
		if _, freed := rs.Annotations[kube.AnnotationFreed]; freed {
			unfit = fmt.Sprintf("replicaset %s has no owner: the release ended in its hand-over", rs.Name)
		}
	}
	if d.Spec.Paused {
		unfit = fmt.Sprintf("deployment %s is paused: the release ended while it changed the labels of its pods", d.Name)
	}
	for _, service := range fresh.Services {
		selector := maps.Clone(service.Selector)
		if rollout.Side(selector[r.VersionLabel]).Written() {
			delete(selector, r.VersionLabel)
		}
		delete(selector, appsv1.DefaultDeploymentUniqueLabelKey)
		r.Services = append(r.Services, release.Service{Name: service.Name, Selector: selector})
	}
	split := router.Split{Namespace: r.Namespace, Service: r.Service, CanaryService: r.CanaryService(), VersionLabel: r.VersionLabel}
	for _, saved := range fresh.Routes {
		split.RouteNamespace = r.NamespaceOf(saved)
		route, err := unsplit(routers.Of(r.RouterOf(saved)), saved, split)
		if err != nil {
			unfit = err.Error()
		}
		r.Routes = append(r.Routes, route)
	}
	r.State = rollout.State{
		Phase: rollout.PhasePaused, Stage: rollout.StageEnd, Left: rollout.StageDwell, Written: true, Since: now, Leftover: rollout.LeftoverCanary,
		Reason: "its record is gone",
	}
	return &r, unfit
}

// unsplit returns the part of a route as it was before a release split it.
func unsplit(of router.Router, saved release.Route, split router.Split) (release.Route, error) {
	u, ok := of.(router.Unsplitter)
	if !ok {
		return saved, fmt.Errorf("the weights from before the release are unknown for %s %s", of.Kind(), saved.Name)
	}
	whole, err := u.Unsplit(saved, split)
	whole.Router, whole.Namespace, whole.Created = saved.Router, saved.Namespace, saved.Created
	return whole, err
}

// sentence says what a lost release left.
func (l *Lost) sentence(deployment string) string {
	return fmt.Sprintf("an earlier release of deployment %s has no record any more, and left %s", deployment, strings.Join(l.Left, ", "))
}
