package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/applying"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/takeover"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// unfinished reports whether an earlier run left something that this run
// finishes first: then a survey may fail for now.
func (r *Run) unfinished(ctx context.Context) bool {
	_, name, err := r.Target(ctx, nil)
	if err != nil || r.Cfg.PlanOnly {
		return false
	}
	record, err := r.Cluster.LoadRecord(ctx, r.Cfg.Namespace, name)
	return err == nil && (record.Unfinished() || record.Warm())
}

// Target returns the namespace and name of the Deployment: from the survey, the
// input, or the only record of the namespace.
func (r *Run) Target(ctx context.Context, found *discover.Found) (namespace, name string, err error) {
	switch {
	case found != nil:
		return r.Cfg.Namespace, found.Record.Deployment, nil
	case r.Cfg.Deployment != "":
		return r.Cfg.Namespace, r.Cfg.Deployment, nil
	}
	records, err := r.Cluster.Records(ctx, r.Cfg.Namespace)
	if err != nil {
		return "", "", err
	}
	name, err = only(r.Cfg.Namespace, records)
	return r.Cfg.Namespace, name, err
}

// only returns the Deployment of the only record of a namespace.
func only(namespace string, records []kube.Recorded) (string, error) {
	switch len(records) {
	case 0:
		return "", exit.Refuse("a deployment that has none yet is named with deployment-name", fmt.Sprintf("no release is recorded in namespace %s", namespace))
	case 1:
		return records[0].Deployment, nil
	}
	var names []string
	for _, record := range records {
		names = append(names, record.Deployment)
	}
	return "", exit.Refuse("name one with deployment-name", fmt.Sprintf("namespace %s has %d recorded releases: %s", namespace, len(records), strings.Join(names, ", ")))
}

// Record reads the record of a target. None is an error.
func (r *Run) Record(ctx context.Context, namespace, name string) (*release.Record, error) {
	record, err := r.Cluster.LoadRecord(ctx, namespace, name)
	if err == nil && record == nil {
		err = exit.Refuse("", fmt.Sprintf("no release of deployment %s/%s is recorded", namespace, name))
	}
	return record, err
}

// Finish finishes what an earlier run left, and logs it.
func (r *Run) Finish(ctx context.Context, namespace, name string, lease *kube.Lease) error {
	defer r.Group.finishing()()
	record, err := r.Cluster.LoadRecord(ctx, namespace, name)
	if err != nil {
		return err
	}
	if !record.Unfinished() && !record.Warm() {
		if record != nil && record.Manifests {
			return settleRecorded(ctx, r, record, lease)
		}
		return nil
	}
	state, err := r.Next(ctx, record, lease)
	if err != nil {
		return err
	}
	d, err := r.Resume(ctx, record, lease, state, false)
	switch {
	case err != nil:
		return err
	case d.SaveErr != nil || d.Unsettled != nil:
		return cmp.Or(d.SaveErr, d.Unsettled)
	case d.State.Phase != rollout.PhaseAborted && d.State.Phase != rollout.PhasePromoted:
		return &exit.Error{Status: exit.AbortFailed, Err: fmt.Errorf("finish the rollout of run %s: %s", record.Run, d.State.Reason),
			Hint: view.LookHint(record) + "; if this record fits nothing any more, type: " + r.Command("forget", namespace, name)}
	case d.State.Leftover != "":
		return fmt.Errorf("finish the rollout of run %s: interrupted; left: the %s", record.Run, d.State.Leftover)
	}
	return ctx.Err()
}

// Next decides how an earlier run's rollout ends, from its record and from what
// is live: a person may have routed back to the warm version.
func (r *Run) Next(ctx context.Context, record *release.Record, lease *kube.Lease) (rollout.State, error) {
	now, by := time.Now(), "run "+r.ID.String()
	if record.Plan.Strategy == rollout.StrategyRolling {
		return finishRolling(r, record, by), nil
	}
	state := takeover.Resume(record.Plan, record.State, now, by)
	if state.Phase == rollout.PhaseAborting && record.State.Written {
		if alone, err := alone(ctx, r, record, lease); err != nil {
			return state, err
		} else if alone {
			return goForward(r, record, now)
		}
	}
	if state.Phase == rollout.PhaseAborting {
		r.Console.Logf("found the unfinished rollout of run %s (%s): %s at weight %d since %s; finishing it first",
			record.Run, record.Image, record.State.Phase, record.State.Weight, record.State.Since.Format(time.RFC3339))
		return state, nil
	}
	live, err := r.Live(ctx, record, lease)
	var drift *rollout.DriftError
	if errors.As(err, &drift) {
		return state, exit.Refuse(fmt.Sprintf("remove the backend %s from the route, or type: %s", record.CanaryService(), r.Command("forget", record.Namespace, record.Deployment)),
			fmt.Sprintf("the release of run %s cannot be finished: %s, and it still names the previous version", record.Run, drift))
	}
	if err != nil {
		return state, err
	}
	switch {
	case state.Phase != rollout.PhaseCleaning && live.HandOver:
		r.Console.Logf("found the unfinished promotion of run %s (%s); finishing it first", record.Run, record.Image)
		return state, nil
	case live.Weight > 0 && live.Warm && !record.Reverted:
		r.Console.Logf("somebody routed %d %% of the traffic back to %s: adopting that", live.Weight, record.PreviousImage)
		return takeover.Revert(record.State, now, fmt.Sprintf("%d %% of the traffic was routed back by another writer", live.Weight)), nil
	}
	r.Console.Logf("removing the previous version of run %s", record.Run)
	clean := takeover.CleanUp(record.State, now)
	clean.Reason = state.Reason
	return clean, nil
}

// alone reports whether only the canary of an unfinished release can serve.
func alone(ctx context.Context, r *Run, record *release.Record, lease *kube.Lease) (bool, error) {
	found, err := discover.Find(ctx, r.Cluster, discover.Query{
		Namespace: record.Namespace, Deployment: record.Deployment, Service: record.Service, Container: record.Container,
		VersionLabel: record.VersionLabel, Image: record.Image, Router: record.Router, Now: time.Now(),
	})
	if err != nil || !found.Dead {
		return false, nil //nolint:nilerr // what is gone cannot be compared; the abort says what it misses
	}
	live, err := r.Live(ctx, record, lease)
	var drift *rollout.DriftError
	if err != nil && !errors.As(err, &drift) {
		return false, err
	}
	return live.Warm, nil
}

// goForward gives all traffic to the canary of an unfinished release, if the inputs
// allow it: stable is down, and to go back to it would fail every request.
func goForward(r *Run, record *release.Record, now time.Time) (rollout.State, error) {
	if !r.Cfg.Replace && r.Cfg.Command != string(rollout.RequestRelease) {
		return record.State, exit.Refuse(fmt.Sprintf("to keep the canary, type: %s; or %s", r.Command("release", record.Namespace, record.Deployment), replaceHint),
			fmt.Sprintf("the rollout of run %s cannot go back: deployment %s has no pods that stay ready, and only the canary %s serves", record.Run, record.Deployment, record.Image))
	}
	r.Console.Warn(fmt.Sprintf("deployment %s has no pods that stay ready, and only the canary %s of run %s serves: it takes all traffic, without a judgement", record.Deployment, record.Image, record.Run))
	record.Plan.Bake, record.Plan.KeepWarm = 0, 0 // nobody judges it, and nobody goes back to what is down
	return takeover.Forward(record.Plan, record.State, now, "stable is down, so the canary of run "+record.Run.String()+" was kept"), nil
}

// Live reads what is left of a recorded release; see workload.Target.Live.
func (r *Run) Live(ctx context.Context, record *release.Record, lease *kube.Lease) (workload.Live, error) {
	target, err := workload.New(ctx, r.Cluster, record, lease)
	if err != nil {
		return workload.Live{}, err
	}
	defer target.Close()
	return target.Live(ctx)
}

// Resume drives a recorded rollout from a state. judged starts a judge, which
// the way up and the bake need.
func (r *Run) Resume(ctx context.Context, record *release.Record, lease *kube.Lease, state rollout.State, judged bool) (*view.Delivery, error) {
	identity, err := recall(ctx, r, record, state)
	if err != nil {
		return nil, err
	}
	record.Plan.Linger = r.InCluster
	entry := discover.EntryPoint(record.Entry)
	if r.Cfg.ProbeURL != "" || entry.URL == "" {
		entry.URL = r.Cfg.ProbeURL
	}
	if entry.URL == "" {
		return nil, exit.Refuse("set probe-url", "the entry point of run "+record.Run.String()+" is not recorded")
	}
	var more []discover.EntryPoint
	for _, e := range record.MoreEntries {
		if r.Cfg.ProbeURL != "" {
			e.URL = r.Cfg.ProbeURL
		}
		more = append(more, discover.EntryPoint(e))
	}
	watched := r.Cfg.Traffic(entry, more...)
	watched.Fresh = (&discover.Found{Record: record}).Direct()
	watched, silent := watched.Reachable(ctx)
	for _, why := range silent {
		r.Console.Warn("an entry point is not watched, " + why)
	}
	monitor, err := traffic.Start(ctx, watched, record, identity)
	if err != nil {
		return nil, err
	}
	defer monitor.Stop()
	return r.conduct(ctx, conducted{record: record, lease: lease, monitor: monitor, state: state, judged: judged})
}

// recall returns the recorded identity of the versions. On the way back to stable
// the Deployment's answers may no longer be those of the record: a person may have
// restarted it, or given it another image.
func recall(ctx context.Context, r *Run, record *release.Record, state rollout.State) (traffic.Identity, error) {
	identity, err := traffic.Recall(record)
	if err != nil || state.Phase != rollout.PhaseAborting || record.Plan.Strategy == rollout.StrategyRolling {
		return identity, err
	}
	image, sets, err := workload.LiveStable(ctx, r.Cluster, record)
	if err != nil {
		return identity, err
	}
	if image != record.Stable.Image && image != "" {
		identity.Why = fmt.Sprintf("deployment %s has the image %s since the release began", record.Deployment, image)
	}
	identity.TeachStable(sets)
	return identity, nil
}

// manifestsOf returns the manifests of a run, with its connection and inputs of now.
func manifestsOf(r *Run) *applying.Manifests {
	r.manifests.Cluster, r.manifests.Cfg, r.manifests.Console = r.Cluster, r.Cfg, r.Console
	return &r.manifests
}

// settleRecorded finishes the manifests of a release that has ended otherwise.
func settleRecorded(ctx context.Context, r *Run, record *release.Record, lease *kube.Lease) error {
	target, err := open(ctx, r.Cluster, record, lease)
	if err != nil {
		return err
	}
	defer target.Close()
	r.Console.Logf("the manifests of run %s are not all applied or undone; finishing that first", record.Run)
	return manifestsOf(r).Settle(ctx, target, record.State)
}
