package workload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/health"
	"github.com/candlefish/deploy-action/internal/rollout"
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
	o.Accepted = t.routes.Accepted()
	if o.Drift = t.drift(s); o.Drift != "" {
		if err := t.lease.Check(ctx); errors.Is(err, rollout.ErrFenced) {
			o.Drift, o.Fenced = "", err.Error()
		}
	}
	return o, nil
}

// observePods adds the state of the canary's pods.
func (t *Target) observePods(ctx context.Context, s rollout.State, o *rollout.Observation, now time.Time) {
	pods := t.watch.PodsOf(t.record.Canary.UID)
	events, again := t.events.Of(ctx, pods, now)
	status := t.canary.health.Check(health.Objects{
		Deployment: t.watch.Deployment(t.record.CanaryDeployment()), ReplicaSet: t.watch.ReplicaSet(t.record.Canary.ReplicaSet), Pods: pods, Events: events,
	}, s.Stage == rollout.StageDwell || s.Stage == rollout.StageObserved || s.Stage == rollout.StagePause, now)
	// A gateway uses a ready pod only once the Service lists it too.
	ready, listed := health.Ready(pods, now), t.services.ReadyEndpoints()
	o.CanaryReady, o.CanaryWanted = min(ready, listed), t.canary.health.Wanted()
	o.Trouble, o.Waiting, o.Recheck = status.Trouble, status.Waiting, status.Recheck
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

// drift names another writer of what this run has written: the route's backends
// and the user's pod template. It ignores all other fields.
func (t *Target) drift(s rollout.State) string {
	if d := t.routes.Drift(); d != "" {
		return d
	}
	if s.Stage == rollout.StagePrepare || s.Phase != rollout.PhaseProgressing {
		return ""
	}
	return cmp.Or(t.deployments.Drift(), t.services.Drift())
}

// A PodView is one pod for display.
type PodView struct {
	Name     string
	Side     rollout.Side
	Ready    bool
	Restarts int32
	Reason   string // why it is not ready, if known
}

// revisions returns the UIDs of the two ReplicaSets, "" for none.
func (t *Target) revisions() (stable, canary string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.record.Stable.UID, t.record.Canary.UID
}

// Pods lists the pods of both versions, by name.
func (t *Target) Pods() []PodView {
	var views []PodView
	stable, canary := t.revisions()
	for _, uid := range []string{stable, canary} {
		if uid == "" {
			continue
		}
		for _, pod := range t.watch.PodsOf(uid) {
			views = append(views, viewOf(pod, t.record.VersionLabel))
		}
	}
	slices.SortFunc(views, func(a, b PodView) int { return strings.Compare(a.Name, b.Name) })
	return views
}

func viewOf(pod *corev1.Pod, label string) PodView {
	v := PodView{Name: pod.Name, Side: rollout.Side(pod.Labels[label]), Ready: kube.PodReady(pod)}
	for _, c := range pod.Status.ContainerStatuses {
		v.Restarts += c.RestartCount
		if c.State.Waiting != nil {
			v.Reason = c.State.Waiting.Reason
		}
	}
	if c := kube.PodCondition(pod, corev1.PodReady); v.Reason == "" && !v.Ready && c != nil {
		v.Reason = c.Reason
	}
	return v
}
