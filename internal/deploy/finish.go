package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// unfinished reports whether an earlier run left something that this run
// finishes first: then a survey may fail for now.
func (r *run) unfinished(ctx context.Context) bool {
	_, name, err := r.target(ctx, nil)
	if err != nil || r.cfg.PlanOnly {
		return false
	}
	record, err := r.cluster.LoadRecord(ctx, r.cfg.Namespace, name)
	return err == nil && (record.Unfinished() || record.Warm())
}

// target returns the namespace and name of the Deployment: from the survey, the
// input, or the only record of the namespace.
func (r *run) target(ctx context.Context, found *discover.Found) (namespace, name string, err error) {
	switch {
	case found != nil:
		return r.cfg.Namespace, found.Record.Deployment, nil
	case r.cfg.Deployment != "":
		return r.cfg.Namespace, r.cfg.Deployment, nil
	}
	records, err := r.cluster.Records(ctx, r.cfg.Namespace)
	if err != nil {
		return "", "", err
	}
	if len(records) == 1 {
		return r.cfg.Namespace, records[0].Deployment, nil
	}
	var names []string
	for _, record := range records {
		names = append(names, record.Deployment)
	}
	return "", "", exit.Refuse("name one with deployment-name", fmt.Sprintf("namespace %s has %d recorded releases: %q", r.cfg.Namespace, len(records), names))
}

// finish finishes what an earlier run left, and logs it.
func (r *run) finish(ctx context.Context, namespace, name string, lease *kube.Lease) error {
	record, err := r.cluster.LoadRecord(ctx, namespace, name)
	if err != nil {
		return err
	}
	if !record.Unfinished() && !record.Warm() {
		return nil
	}
	state, err := r.next(ctx, record, lease)
	if err != nil {
		return err
	}
	d, err := r.resume(ctx, record, lease, state, false)
	switch {
	case err != nil:
		return err
	case d.saveErr != nil:
		return d.saveErr
	case d.state.Phase != rollout.PhaseAborted && d.state.Phase != rollout.PhasePromoted:
		return &exit.Error{Status: exit.AbortFailed, Err: fmt.Errorf("finish the rollout of run %s: %s", record.Run, d.state.Reason),
			Hint: lookHint(record) + "; if this record fits nothing any more, type: " + r.command("forget", namespace, name)}
	case d.state.Leftover != "":
		return fmt.Errorf("finish the rollout of run %s: interrupted; left: the %s", record.Run, d.state.Leftover)
	}
	return ctx.Err()
}

// next decides how an earlier run's rollout ends, from its record and from what
// is live: a person may have routed back to the warm version.
func (r *run) next(ctx context.Context, record *release.Record, lease *kube.Lease) (rollout.State, error) {
	now, by := time.Now(), "run "+r.id.String()
	state := rollout.Resume(record.State, now, by)
	if state.Phase == rollout.PhaseAborting {
		r.console.Logf("found the unfinished rollout of run %s (%s): %s at weight %d since %s; finishing it first",
			record.Run, record.Image, record.State.Phase, record.State.Weight, record.State.Since.Format(time.RFC3339))
		return state, nil
	}
	target, err := workload.New(ctx, r.cluster, record, lease)
	if err != nil {
		return state, err
	}
	defer target.Close()
	live, err := target.Live(ctx)
	var drift *rollout.DriftError
	if errors.As(err, &drift) {
		return state, exit.Refuse(fmt.Sprintf("remove the backend %s from the route, or type: %s", record.CanaryService(), r.command("forget", record.Namespace, record.Deployment)),
			fmt.Sprintf("the release of run %s cannot be finished: %s, and it still names the previous version", record.Run, drift))
	}
	if err != nil {
		return state, err
	}
	switch {
	case state.Phase != rollout.PhaseCleaning && live.HandOver:
		r.console.Logf("found the unfinished promotion of run %s (%s); finishing it first", record.Run, record.Image)
		return state, nil
	case live.Weight > 0 && live.Warm && !record.Reverted:
		r.console.Logf("somebody routed %d %% of the traffic back to %s: adopting that", live.Weight, record.PreviousImage)
		return rollout.Revert(record.State, now, fmt.Sprintf("%d %% of the traffic was routed back by another writer", live.Weight)), nil
	}
	r.console.Logf("removing the previous version of run %s", record.Run)
	clean := rollout.CleanUp(record.State, now)
	clean.Reason = state.Reason
	return clean, nil
}

// resume drives a recorded rollout from a state. judged starts a judge, which
// the way up and the bake need.
func (r *run) resume(ctx context.Context, record *release.Record, lease *kube.Lease, state rollout.State, judged bool) (*delivery, error) {
	identity, err := traffic.Recall(record)
	if err != nil {
		return nil, err
	}
	record.Plan.Linger = r.inCluster
	entry := discover.EntryPoint(record.Entry)
	if r.cfg.ProbeURL != "" || entry.URL == "" {
		entry.URL = r.cfg.ProbeURL
	}
	if entry.URL == "" {
		return nil, exit.Refuse("set probe-url", "the entry point of run "+record.Run.String()+" is not recorded")
	}
	monitor, err := traffic.Start(ctx, r.cfg.traffic(entry), record, identity)
	if err != nil {
		return nil, err
	}
	defer monitor.Stop()
	return r.conduct(ctx, conducted{record: record, lease: lease, monitor: monitor, state: state, judged: judged})
}
