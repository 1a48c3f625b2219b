package rolling

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/fields"
	"github.com/candlefish/deploy-action/internal/kube/health"
	"github.com/candlefish/deploy-action/internal/kube/updates"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

// Observe returns the state of the pods and of other writers from the watch. It waits
// for no request, except to find out whether another writer is a run that took the
// lease; the events of pods that are not ready are read in the background.
func (t *Target) Observe(ctx context.Context, s rollout.State) (rollout.Observation, error) {
	o, now := rollout.Observation{Accepted: true}, time.Now()
	object := t.watch.object()
	if object != nil {
		o.Replicas = object.Replicas
	}
	stable, canary := revisions(t)
	var fresh []*corev1.Pod
	for _, pod := range t.watch.pods() {
		if canary.UID != "" && t.watch.IsOf(pod, canary) {
			fresh = append(fresh, pod)
			continue
		}
		o.OldPods++
		if t.watch.IsOf(pod, stable) {
			if pod.DeletionTimestamp == nil && kube.PodReady(pod) {
				o.BackReady++
			}
		}
	}
	o.NewPods, o.CanaryWanted = len(fresh), min(s.Pods, o.Replicas)
	if s.Phase == rollout.PhasePromoting || s.Phase == rollout.PhaseBaking {
		o.CanaryWanted = o.Replicas
	}
	if s.Phase != rollout.PhaseAborting {
		observeNew(ctx, t, s, &o, fresh, now)
	} else {
		o.Inexact = inexact(t, stable)
	}
	if o.Drift = t.drift(object, s); o.Drift != "" {
		if err := t.lease.Check(ctx); errors.Is(err, rollout.ErrFenced) {
			o.Drift, o.Fenced = "", err.Error()
		}
	}
	return o, nil
}

// observeNew adds the state of the new pods.
func observeNew(ctx context.Context, t *Target, s rollout.State, o *rollout.Observation, fresh []*corev1.Pod, now time.Time) {
	events, again := t.events.Of(ctx, fresh, now)
	required := s.Stage == rollout.StageDwell || s.Stage == rollout.StageObserved || s.Stage == rollout.StagePause || s.Phase == rollout.PhaseBaking
	status := t.health.Check(health.Objects{Pods: fresh, Events: events}, required, now)
	o.Trouble, o.Waiting, o.Recheck = status.Trouble, status.Waiting, status.Recheck
	if !again.IsZero() && (o.Recheck.IsZero() || again.Before(o.Recheck)) {
		o.Recheck = again
	}
	// A pod that restarted counts only once it has stayed ready, as package health says.
	o.CanaryReady = health.Ready(fresh, now)
	if t.record.Rolling.MinReady == 0 {
		return
	}
	for _, pod := range fresh {
		ready, at := readySince(pod, t.record.Rolling.MinReady, now)
		if ready || at.IsZero() {
			continue
		}
		o.CanaryReady--
		if o.Waiting == "" {
			o.Waiting = fmt.Sprintf("pod %s has to be ready for %s", pod.Name, t.record.Rolling.MinReady)
		}
		if o.Recheck.IsZero() || at.Before(o.Recheck) {
			o.Recheck = at
		}
	}
	o.CanaryReady = max(o.CanaryReady, 0)
}

// inexact says which image of a recorded revision is no longer the one that was
// recorded: its tag names another one since.
func inexact(t *Target, stable release.Revision) string {
	var now release.Revision
	for _, pod := range t.watch.pods() {
		if t.watch.IsOf(pod, stable) && kube.PodReady(pod) {
			kube.NotePod(&now, pod, t.record.Container)
		}
	}
	for _, digest := range now.Digests {
		if len(stable.Digests) > 0 && !slices.Contains(stable.Digests, digest) {
			return fmt.Sprintf("undo: the pods of %s run %s of %s now, the recorded ones ran %s", t.record.Workload(), digest, stable.Image, strings.Join(stable.Digests, ", "))
		}
	}
	return ""
}

// drift names another writer of what a release has written: the pod template and the
// settings that hold the controller back. The size may change.
func (t *Target) drift(o *updates.Object, s rollout.State) string {
	what := t.record.Workload()
	if s.Phase == rollout.PhaseAborting || s.Phase.Terminal() {
		return ""
	}
	if o == nil {
		return what + " was deleted"
	}
	who := func(path ...string) string { return fields.Writer(o.Meta, path...) }
	_, canary := revisions(t)
	switch {
	case t.since != "" && !kube.NotOlder(o.Meta.GetResourceVersion(), t.since):
		return "" // the watch does not have our own last write yet
	case o.Paused:
		return who("spec", "paused") + " paused " + what
	case o.Replicas == 0 && t.record.Rolling.Kind != updates.DaemonSet:
		return who("spec", "replicas") + " scaled " + what + " to 0"
	case canary.UID == "":
		return ""
	}
	if template, err := t.watch.Template(canary); err == nil && !updates.SameTemplate(template, o.Template) {
		return fmt.Sprintf("%s changed the pod template of %s", who("spec", "template"), what)
	}
	if t.written != nil && s.Phase == rollout.PhaseProgressing && !equality.Semantic.DeepEqual(*t.written, o.Settings) {
		return fmt.Sprintf("%s changed the update strategy of %s", who("spec"), what)
	}
	return ""
}

// Failure returns why the new pods could not serve, nil if they can. An undo reads and
// keeps it before they are gone.
func (t *Target) Failure(ctx context.Context) *workload.PodFailure {
	if t.failure == nil {
		_, canary := revisions(t)
		var fresh []*corev1.Pod
		for _, pod := range t.watch.pods() {
			if t.watch.IsOf(pod, canary) {
				fresh = append(fresh, pod)
			}
		}
		t.failure = health.Diagnose(ctx, t.cluster.Typed, fresh)
	}
	return t.failure
}

// Proof returns the pods and digests that the new revision runs.
func (t *Target) Proof(ctx context.Context) (workload.Proof, error) {
	var p workload.Proof
	err := kube.Retry(ctx, func(ctx context.Context) error {
		o, err := t.watch.get(ctx)
		if err != nil {
			return err
		}
		if image := imageOf(o.Template, t.record.Container); image != t.record.Canary.Image {
			return &workload.OtherImageError{Deployment: t.record.Deployment, Image: image, Writer: fields.Writer(o.Meta, "spec", "template")}
		}
		all, err := t.watch.readPods(ctx)
		if err != nil {
			return err
		}
		var r release.Revision
		for i := range all {
			if t.watch.IsOf(&all[i], t.record.Canary) && all[i].DeletionTimestamp == nil {
				kube.NotePod(&r, &all[i], t.record.Container)
			}
		}
		p.After, p.Digests = r.Pods, r.Digests
		return nil
	})
	return p, doing(t, "read the pods", err)
}

func imageOf(template corev1.PodTemplateSpec, container string) string {
	for _, c := range template.Spec.Containers {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}

// sideOf returns the side of a pod by its revision.
func sideOf(t *Target, pod *corev1.Pod) rollout.Side {
	switch stable, canary := revisions(t); {
	case t.watch.IsOf(pod, canary):
		return rollout.SideCanary
	case t.watch.IsOf(pod, stable):
		return rollout.SideStable
	default:
		return rollout.SideUnattributed
	}
}

// Pods lists the workload's pods by name.
func (t *Target) Pods() []workload.PodView {
	var views []workload.PodView
	for _, pod := range t.watch.pods() {
		views = append(views, workload.View(pod, sideOf(t, pod)))
	}
	slices.SortFunc(views, func(a, b workload.PodView) int { return cmp.Compare(a.Name, b.Name) })
	return views
}

// RolloutPods returns the pods of both revisions that are not terminating.
func (t *Target) RolloutPods() []source.Pod {
	var all []source.Pod
	for _, pod := range t.watch.pods() {
		if side := sideOf(t, pod); pod.DeletionTimestamp == nil && side != rollout.SideUnattributed {
			all = append(all, workload.SourcePod(side, pod, t.record.Container))
		}
	}
	return all
}

// PodUsage returns the metrics API's measurements of the namespace, by pod.
func (t *Target) PodUsage(ctx context.Context) (map[string]source.PodUsage, error) {
	return workload.Usage(ctx, t.cluster, t.record.Namespace)
}

// Live returns the image of the workload, "" if it is gone.
func (t *Target) Live() (image string) {
	if o := t.watch.object(); o != nil {
		image = imageOf(o.Template, t.record.Container)
	}
	return image
}

// Recorded reports whether the workload still has the revision from before the
// release, to go back to.
func (t *Target) Recorded() bool {
	_, err := t.watch.Template(t.record.Stable)
	return err == nil
}
