// Package steering carries out the commands on an existing release: it shows,
// steers or ends it, whoever started it.
package steering

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/engine"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/apply"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/takeover"
)

// Steer makes the run that drives a rollout follow the request that is this run's
// command. If there is none, this run follows it itself.
func Steer(ctx context.Context, r *engine.Run, namespace, name string) (*view.Delivery, error) {
	request := rollout.Request(r.Cfg.Command)
	if request == rollout.RequestPromote && r.Cfg.Full {
		request = rollout.RequestPromoteFull
	}
	record, err := r.Cluster.LoadRecord(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	if record == nil && (request == rollout.RequestAbort || request == rollout.RequestRelease) {
		return rebuild(ctx, r, namespace, name, request)
	}
	if record, err = r.Record(ctx, namespace, name); err != nil {
		return nil, err
	}
	if err := allowed(r, record, request); err != nil {
		if !busy(record.State) {
			return nil, err
		}
		return finish(ctx, r, record, request, err)
	}
	by := "run " + r.ID.String()
	r.Console.Await("the run that holds the lease, if it is alive, to take the request", time.Now().Add(kube.AskLimit))
	err = r.Cluster.Ask(ctx, namespace, name, rollout.Steer{Request: request, By: by})
	switch {
	case err == nil:
		d, err := follow(ctx, r, record, request)
		if err != nil || request != rollout.RequestRelease {
			return d, err
		}
		// The run has ended the release; its record is left.
	case !errors.Is(err, kube.ErrNobodyDrives):
		return nil, err
	}
	lease, err := r.Acquire(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	defer r.ReleaseLease(ctx, lease)
	if record, err = r.Record(ctx, namespace, name); err != nil {
		return nil, err
	}
	if request == rollout.RequestPause && record.State.Phase == rollout.PhasePaused {
		return shown(record), nil // the run paused it and ended meanwhile
	}
	if err := allowed(r, record, request); err != nil {
		return nil, err
	}
	return take(ctx, r, record, lease, request)
}

// rebuild ends a release that has no record any more, by a record made from what is
// live of it.
func rebuild(ctx context.Context, r *engine.Run, namespace, name string, request rollout.Request) (*view.Delivery, error) {
	if _, err := lost(ctx, r, namespace, name); err != nil { // before a lease is created
		return nil, err
	}
	lease, err := r.Acquire(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	defer r.ReleaseLease(ctx, lease)
	found, err := lost(ctx, r, namespace, name)
	if err != nil {
		return nil, err
	}
	record := found.Lost.Record
	record.Plan = r.Cfg.Plan(time.Duration(found.Grace) * time.Second)
	record.Entry = release.Entry(found.EntryPoint)
	for _, entry := range found.MoreEntries {
		record.MoreEntries = append(record.MoreEntries, release.Entry(entry))
	}
	r.Console.Logf("the release has no record any more: ending what it left, %s", strings.Join(found.Lost.Left, ", "))
	return take(ctx, r, record, lease, request)
}

// lost surveys a target without a record. It returns an error unless a release left
// something there that can be ended.
func lost(ctx context.Context, r *engine.Run, namespace, name string) (*discover.Found, error) {
	r.Cfg.Deployment = name
	found, err := r.Survey(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case found.Lost == nil && found.Previous != nil:
		return nil, fmt.Errorf("another run began a release of deployment %s/%s meanwhile", namespace, name)
	case found.Lost == nil:
		_, err := r.Record(ctx, namespace, name) // the error that there is none
		return nil, err
	case found.Lost.Unfit != "":
		return nil, exit.Refuse("docs/releases.md, The record, has the steps by hand", fmt.Sprintf("the release of deployment %s/%s has no record any more and cannot be ended: %s", namespace, name, found.Lost.Unfit))
	}
	return found, nil
}

// finish ends a rollout whose driver died while it took no requests, and then
// follows the request if there is something left to do. A live driver is the
// reason to refuse it.
func finish(ctx context.Context, r *engine.Run, record *release.Record, request rollout.Request, refused error) (*view.Delivery, error) {
	lease, err := r.Acquire(ctx, record.Namespace, record.Deployment)
	var held *kube.HeldError
	if errors.As(err, &held) {
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	defer r.ReleaseLease(ctx, lease)
	own := r.Values // without what the record adds
	if err := configure(r, record); err != nil {
		return nil, err
	}
	if err := r.Finish(ctx, record.Namespace, record.Deployment, lease); err != nil {
		return nil, err
	}
	r.Values = own
	if record, err = r.Record(ctx, record.Namespace, record.Deployment); err != nil {
		return nil, err
	}
	if fulfilled(record.State, request) {
		return shown(record), nil
	}
	if err := allowed(r, record, request); err != nil {
		return nil, err
	}
	return take(ctx, r, record, lease, request)
}

// busy reports whether a rollout takes no request at all as long as a process drives
// it.
func busy(s rollout.State) bool {
	return !s.Phase.Terminal() && !slices.ContainsFunc(rollout.Requests(), func(r rollout.Request) bool {
		_, ok := rollout.Allowed(s, r)
		return ok
	})
}

// fulfilled reports whether a rollout ended as a request asked.
func fulfilled(s rollout.State, request rollout.Request) bool {
	switch request {
	case rollout.RequestAbort, rollout.RequestRollback:
		return s.Phase == rollout.PhaseAborted
	case rollout.RequestPromote, rollout.RequestPromoteFull:
		return s.Phase == rollout.PhasePromoted
	default:
		return false
	}
}

// configure adds the inputs of the run that started a release to this run's own.
func configure(r *engine.Run, record *release.Record) error {
	values, err := r.Values.With(record.Inputs)
	if err != nil {
		return fmt.Errorf("read the inputs of run %s: %w", record.Run, err)
	}
	return r.Configure(values)
}

func allowed(r *engine.Run, record *release.Record, request rollout.Request) error {
	if reason, ok := rollout.Allowed(record.State, request); !ok {
		return exit.Refuse("type: "+r.Command(inputs.CommandStatus, record.Namespace, record.Deployment), fmt.Sprintf("%s: %s", request, reason))
	}
	return nil
}

// Take follows a request to a recorded rollout that nobody drives, under a lease that
// the caller holds.
func Take(ctx context.Context, r *engine.Run, record *release.Record, lease *kube.Lease, request rollout.Request) (*view.Delivery, error) {
	return take(ctx, r, record, lease, request)
}

// take follows a request to a rollout that nobody drives.
func take(ctx context.Context, r *engine.Run, record *release.Record, lease *kube.Lease, request rollout.Request) (*view.Delivery, error) {
	if err := configure(r, record); err != nil {
		return nil, err
	}
	now, s := time.Now(), record.State
	by := fmt.Sprintf("%s by run %s", request, r.ID)
	switch request {
	case rollout.RequestPause:
		s.Phase, s.Asked, s.Left, s.Leftover, s.Reason = rollout.PhasePaused, true, s.Stage, rollout.LeftoverCanary, by
		record.State, record.Token = s, lease.Token
		return stored(ctx, r, record)
	case rollout.RequestResume:
		return r.Resume(ctx, record, lease, takeover.Continue(record.Plan, s, now), true)
	case rollout.RequestPromote, rollout.RequestPromoteFull:
		if warm(record) {
			return r.Resume(ctx, record, lease, takeover.CleanUp(s, now), false)
		}
		return r.Resume(ctx, record, lease, takeover.Promote(record.Plan, s, now, request == rollout.RequestPromoteFull), true)
	case rollout.RequestAbort, rollout.RequestRollback:
		return back(ctx, r, record, lease, request, by)
	case rollout.RequestRelease:
	}
	return plain(ctx, r, record, lease)
}

// warm reports whether the promoted rollout of a record has its old revision.
func warm(record *release.Record) bool {
	return !isRolling(record) && (record.Warm() || record.State.Leftover == rollout.LeftoverPrevious || record.State.Phase == rollout.PhaseBaking)
}

// back goes back to the previous revision: by one write while it is warm, by the
// abort of an unfinished rollout, else by a quick release of its image.
func back(ctx context.Context, r *engine.Run, record *release.Record, lease *kube.Lease, request rollout.Request, by string) (*view.Delivery, error) {
	now := time.Now()
	if isRolling(record) && (record.Unfinished() || record.State.Phase == rollout.PhasePromoted) {
		return undo(ctx, r, record, lease, by)
	}
	if warm(record) && !record.Reverted {
		live, err := r.Live(ctx, record, lease)
		var drift *rollout.DriftError // does not concern the pods
		switch {
		case err != nil && !errors.As(err, &drift):
			return nil, err
		case live.Warm || drift != nil:
			return r.Resume(ctx, record, lease, takeover.Revert(record.State, now, by), false)
		case request == rollout.RequestAbort:
			return nil, exit.Refuse("to release its image again, type: "+r.Command(string(rollout.RequestRollback), record.Namespace, record.Deployment),
				fmt.Sprintf("abort: the previous version of deployment %s has no ready pods any more", record.Deployment))
		}
		if err := r.Finish(ctx, record.Namespace, record.Deployment, lease); err != nil {
			return nil, err
		}
		return releasePrevious(ctx, r, record, lease)
	}
	if record.Unfinished() {
		state := takeover.Resume(record.Plan, record.State, now, by)
		if state.Phase == rollout.PhasePromoting {
			state.Back = by
		}
		return r.Resume(ctx, record, lease, state, false)
	}
	if request == rollout.RequestRollback && record.State.Phase == rollout.PhasePromoted {
		return releasePrevious(ctx, r, record, lease)
	}
	return nil, exit.Refuse("", fmt.Sprintf("%s: the last release ended %s and left nothing to go back from", request, record.State.Phase))
}

// quickDwell is the dwell of the steps of a rollback by release.
const quickDwell = 10 * time.Second

// releasePrevious releases the recorded previous image quickly, but judged.
func releasePrevious(ctx context.Context, r *engine.Run, record *release.Record, lease *kube.Lease) (*view.Delivery, error) {
	r.Cfg.Image = record.PreviousImage
	quickly(&r.Cfg, r.Values)
	r.Console.Logf("the previous version is no longer warm: releasing %s again, quickly", r.Cfg.Image)
	found, err := r.Survey(ctx)
	if err != nil {
		return nil, err
	}
	recalled, err := apply.Recall(ctx, r.Cluster, found.Record, record.Stable.ReplicaSet)
	if err != nil {
		return nil, err
	}
	if !recalled {
		r.Console.Warn(fmt.Sprintf("revision %s is no longer in the history of deployment %s: its image is released again, its other settings are not", record.Stable.ReplicaSet, record.Deployment))
	}
	unrestored, err := apply.Unrestored(ctx, r.Cluster, found.Record)
	if err != nil {
		return nil, err
	}
	if len(unrestored) > 0 {
		r.Console.Warn(fmt.Sprintf("the version that comes back reads %s, applied by the last release under the same name: a rollback does not restore their earlier content", strings.Join(unrestored, ", ")))
	}
	if err := r.Check(found); err != nil {
		return nil, err
	}
	return r.RollOut(ctx, found, lease)
}

// quickly shortens what the inputs do not ask for, and drops every planned pause: the
// person who would promote has just asked to go back. A blue-green release does not
// warm up either; it is tested as before.
func quickly(c *inputs.Config, v input.Values) {
	if c.Strategy == rollout.StrategyBlueGreen {
		c.BlueGreen.WarmUp, c.BlueGreen.Manual = 0, false
		return
	}
	if !v.IsSet("steps") {
		c.Steps = []input.Step{{Weight: 20}, {Weight: 100}}
	}
	c.Steps = slices.Clone(c.Steps) // the inputs keep theirs
	for i := range c.Steps {
		c.Steps[i].Pause, c.Steps[i].UntilPromoted = 0, false
	}
	if !v.IsSet("step-duration") {
		c.StepDuration = min(c.StepDuration, quickDwell)
	}
}

// plain ends what a release left, and removes its record and its lease.
func plain(ctx context.Context, r *engine.Run, record *release.Record, lease *kube.Lease) (*view.Delivery, error) {
	d := &view.Delivery{State: record.State, Previous: record.PreviousImage, Asked: true}
	if record.Unfinished() || warm(record) {
		state, err := r.Next(ctx, record, lease)
		if err != nil {
			return nil, err
		}
		if d, err = r.Resume(ctx, record, lease, state, false); err != nil {
			return nil, err
		}
		if !d.State.Phase.Terminal() || d.State.Leftover != "" || d.SaveErr != nil {
			return d, nil
		}
	}
	lease.Abandon() // a renewal would create the lease again
	if err := r.Cluster.Forget(ctx, record.Namespace, record.Deployment); err != nil {
		return nil, err
	}
	if err := apply.Forget(ctx, r.Cluster, record.Namespace, record.Deployment); err != nil {
		return nil, err
	}
	r.Console.Logf("deployment %s/%s is as the user wrote it; its record and lease are deleted", record.Namespace, record.Deployment)
	return d, nil
}

// stored saves a record that this run changed without driving the rollout.
func stored(ctx context.Context, r *engine.Run, record *release.Record) (*view.Delivery, error) {
	if err := r.Cluster.Store().Save(ctx, record); err != nil {
		return nil, err
	}
	return shown(record), nil
}

// followLimit bounds the wait for the effect of a request beside the plan's own
// limits.
const followLimit = time.Minute

// follow waits for the effect of a request that another run has taken.
func follow(ctx context.Context, r *engine.Run, before *release.Record, request rollout.Request) (*view.Delivery, error) {
	p := before.Plan
	until := time.Now().Add(followLimit + 3*p.Propagation + p.Drain + 2*p.Finish)
	r.Console.Await(fmt.Sprintf("run %s to follow the request to %s", before.Run, request), until)
	for {
		record, err := r.Record(ctx, before.Namespace, before.Deployment)
		if err != nil {
			return nil, err
		}
		s := record.State
		if followed(s, before.State, request) {
			return shown(record), nil
		}
		if time.Now().After(until) {
			return nil, fmt.Errorf("run %s took the request to %s, but is still %s (%s)", before.Run, request, s.Phase, s.Stage)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// followed reports whether a rollout shows the effect of a request.
func followed(s, before rollout.State, request rollout.Request) bool {
	switch request {
	case rollout.RequestPromote, rollout.RequestPromoteFull:
		return s.Phase != before.Phase || s.Step != before.Step || s.Skip || s.Full
	default:
		return s.Phase.Terminal()
	}
}

// shown returns the delivery that shows a record.
func shown(record *release.Record) *view.Delivery {
	return &view.Delivery{State: record.State, Previous: record.PreviousImage, Asked: true, Record: record}
}
