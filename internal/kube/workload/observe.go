package workload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/fields"
	"github.com/candlefish/deploy-action/internal/kube/health"
	"github.com/candlefish/deploy-action/internal/kube/services"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// Observe returns the state of pods, routes and other writers from the watch.
// It waits for no request, except to find out whether another writer is a run
// that took the lease; the events of pods that are not ready are read in the
// background.
func (t *Target) Observe(ctx context.Context, s rollout.State) (rollout.Observation, error) {
	var o rollout.Observation
	if t.record.Canary.UID != "" {
		t.observePods(ctx, s, &o, time.Now())
	}
	o.BackReady = backReady(t.services, t.record, s)
	o.Accepted = t.routes.Accepted()
	if o.Drift = t.drift(s); o.Drift != "" {
		if err := t.lease.Check(ctx); errors.Is(err, rollout.ErrFenced) {
			o.Drift, o.Fenced = "", err.Error()
		}
	}
	return o, nil
}

// backReady counts the ready endpoints of the version to go back to: stable behind
// the user's Services, after the hand-over the warm revision behind the canary
// Service.
func backReady(set services.Set, record *release.Record, s rollout.State) int {
	if s.Phase != rollout.PhaseProgressing {
		return set.ReadyEndpoints()
	}
	least := math.MaxInt
	for _, service := range record.Services {
		if routers.Moves(record, service.Name) {
			least = min(least, set.StablePods())
			continue
		}
		ready, _ := set.Endpoints(service.Name, []string{record.Canary.UID})
		least = min(least, ready)
	}
	return least
}

// observePods adds the state of the canary's pods.
func (t *Target) observePods(ctx context.Context, s rollout.State, o *rollout.Observation, now time.Time) {
	pods := t.watch.PodsOf(t.record.Canary.UID)
	events, again := t.events.Of(ctx, pods, now)
	status := t.canary.health.Check(health.Objects{
		Deployment: t.watch.Deployment(t.record.CanaryDeployment()), ReplicaSet: t.watch.ReplicaSet(t.record.Canary.ReplicaSet), Pods: pods, Events: events,
	}, s.Stage == rollout.StageDwell || s.Stage == rollout.StageObserved || s.Stage == rollout.StagePause || s.Stage == rollout.StageHold, now)
	// A gateway uses a ready pod only once the Service lists it too.
	ready, listed := health.Ready(pods, now), t.services.ReadyEndpoints()
	o.CanaryReady, o.CanaryWanted = min(ready, listed), t.canary.health.Wanted()
	o.Trouble, o.Waiting, o.Recheck = status.Trouble, status.Waiting, status.Recheck
	if s.Phase == rollout.PhaseProgressing {
		o.Trouble = cmp.Or(emptied(t.watch.Deployment(t.record.CanaryDeployment()), o.CanaryWanted), o.Trouble)
	}
	if !again.IsZero() && (o.Recheck.IsZero() || again.Before(o.Recheck)) {
		o.Recheck = again
	}
	if s.Phase == rollout.PhaseProgressing && s.Sized < len(t.record.Plan.Steps) {
		o.CanaryNeeded = t.canary.needed(t.record.Plan.Steps[s.Sized].Weight)
	}
	if o.Waiting == "" && listed < ready {
		o.Waiting = fmt.Sprintf("%d pods are ready, but service %s lists %d of them", ready, t.record.CanaryService(), listed)
	}
}

// emptied says who scaled the canary Deployment to 0 while it should have pods, ""
// for nobody. Its traffic has to leave at once: nothing of it serves.
func emptied(canary *appsv1.Deployment, wanted int) string {
	if canary == nil || wanted == 0 || kube.Deref(canary.Spec.Replicas) != 0 {
		return ""
	}
	return fmt.Sprintf("deployment %s was scaled to 0 by %s", canary.Name, fields.Writer(canary, "spec", "replicas"))
}

// drift names another writer of what a run has written: the route's backends,
// the user's pod template and the Services' selectors. It ignores all other
// fields. Before the preparation it compares with what an earlier process of the
// rollout left.
func (t *Target) drift(s rollout.State) string {
	if d := t.routes.Drift(); d != "" {
		return d
	}
	switch s.Phase {
	case rollout.PhaseProgressing:
		return cmp.Or(t.deployments.Drift(t.record.Deployment, t.record.Stable.ReplicaSet), t.services.Drift())
	case rollout.PhaseBaking:
		return otherImage(t.watch.Deployment(t.record.Deployment), t.record)
	default:
		return ""
	}
}

// Missing lists the recorded routes and Services that do not exist, as kubectl
// names them.
func (t *Target) Missing() []string { return append(t.routes.Missing(), t.services.Missing()...) }

// otherImage says who gave the user's Deployment another image than the released
// one, or "". A restart of the pods or a changed setting is judged like any
// answer.
func otherImage(user *appsv1.Deployment, record *release.Record) string {
	if user == nil {
		return fmt.Sprintf("deployment %s was deleted", record.Deployment)
	}
	if image := imageOf(user, record.Container); image != record.Canary.Image {
		return fmt.Sprintf("%s gave deployment %s the image %s", fields.Writer(user, "spec", "template"), user.Name, image)
	}
	return ""
}

// imageOf returns the image of a container in a Deployment's template, "" if it
// has no such container.
func imageOf(d *appsv1.Deployment, container string) string {
	for _, c := range d.Spec.Template.Spec.Containers {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}

// A PodView is one pod for display.
type PodView struct {
	Name     string       `json:"name"`
	Side     rollout.Side `json:"side"`
	Ready    bool         `json:"ready"`
	Restarts int32        `json:"restarts"`
	Reason   string       `json:"reason,omitempty"` // why it is not ready, if known
}

// Pods lists the pods of the recorded versions, and those that the two Deployments
// have now, by name. A pod without the version label belongs to the version whose
// Deployment owns it.
func (t *Target) Pods() []PodView {
	stable, canary := t.canary.revisions()
	type of struct {
		side rollout.Side
		uid  string
	}
	all := []of{{rollout.SideStable, stable}, {rollout.SideCanary, canary}}
	for side, deployment := range map[rollout.Side]string{rollout.SideStable: t.record.Deployment, rollout.SideCanary: t.record.CanaryDeployment()} {
		for _, rs := range t.watch.ReplicaSetsOf(deployment) {
			all = append(all, of{side, string(rs.UID)})
		}
	}
	views := map[string]PodView{}
	for _, set := range all {
		for _, pod := range t.watch.PodsOf(set.uid) {
			view := viewOf(pod, t.record.VersionLabel)
			if !view.Side.Written() {
				view.Side = set.side
			}
			views[pod.Name] = view
		}
	}
	return slices.SortedFunc(maps.Values(views), func(a, b PodView) int { return strings.Compare(a.Name, b.Name) })
}

func viewOf(pod *corev1.Pod, label string) PodView {
	return View(pod, rollout.Side(pod.Labels[label]))
}

// View returns a pod of a side for display.
func View(pod *corev1.Pod, side rollout.Side) PodView {
	v := PodView{Name: pod.Name, Side: side, Ready: kube.PodReady(pod)}
	for _, c := range pod.Status.ContainerStatuses {
		v.Restarts += c.RestartCount
		if c.State.Waiting != nil {
			v.Reason = c.State.Waiting.Reason
		}
	}
	if pod.DeletionTimestamp != nil {
		v.Ready, v.Reason = false, "Terminating"
	}
	if c := kube.PodCondition(pod, corev1.PodReady); v.Reason == "" && !v.Ready && c != nil {
		v.Reason = c.Reason
	}
	return v
}
