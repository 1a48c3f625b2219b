package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// The commands beside the requests to a rollout.
const (
	commandDeploy  = "deploy"
	commandStatus  = "status"
	commandHistory = "history"
	commandForget  = "forget"
	commandReap    = "reap"
)

// commands lists the values of the input "command".
func commands() []string {
	list := []string{commandDeploy, commandStatus, commandHistory}
	for _, r := range rollout.Requests() {
		if r != rollout.RequestPromoteFull { // promote with the input full
			list = append(list, string(r))
		}
	}
	return append(list, commandForget, commandReap)
}

// own are the inputs of one run, which another process of the same release does
// not take over.
var own = []string{"command", "full", "image", "kubeconfig", "kube-context", "eks-cluster", "aws-region", "report-dir", "dry-run", "run-url", "namespace", "deployment-name"}

// recorded returns the inputs that the record keeps for another process.
func recorded(v input.Values) map[string]string {
	given := v.Given()
	maps.DeleteFunc(given, func(name, _ string) bool {
		return slices.Contains(own, name) || slices.Contains(outside, name) && name != "probe-url" && name != "analysis-file"
	})
	return given
}

// command returns what a person types to run a command on a target.
func (r *run) command(name, namespace, deployment string) string {
	if r.action.Getenv("CANDLEFISH_MAGE") != "" {
		return fmt.Sprintf("go tool mage deploy:%s -namespace=%s -deployment-name=%s", name, namespace, deployment)
	}
	return fmt.Sprintf("deploy --command %s --namespace %s --deployment-name %s", name, namespace, deployment)
}

// perform runs the command of the inputs.
func (r *run) perform(ctx context.Context) (*delivery, error) {
	switch r.cfg.Command {
	case commandDeploy:
		return r.deliver(ctx)
	case commandReap:
		return r.reap(ctx)
	}
	namespace, name, err := r.target(ctx, nil)
	if err != nil {
		return nil, err
	}
	switch r.cfg.Command {
	case commandStatus:
		return r.status(ctx, namespace, name)
	case commandHistory:
		return r.history(ctx, namespace, name)
	case commandForget:
		return r.forget(ctx, namespace, name)
	}
	request := rollout.Request(r.cfg.Command)
	if request == rollout.RequestPromote && r.cfg.Full {
		request = rollout.RequestPromoteFull
	}
	return r.steer(ctx, namespace, name, request)
}

// record reads the record of a target. None is an error.
func (r *run) record(ctx context.Context, namespace, name string) (*release.Record, error) {
	record, err := r.cluster.LoadRecord(ctx, namespace, name)
	if err == nil && record == nil {
		err = exit.Refuse("", fmt.Sprintf("no release of deployment %s/%s is recorded", namespace, name))
	}
	return record, err
}

// steer makes the run that drives a rollout follow a request. If there is none,
// this run follows it itself.
func (r *run) steer(ctx context.Context, namespace, name string, request rollout.Request) (*delivery, error) {
	record, err := r.record(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	if err := r.allowed(record, request); err != nil {
		return nil, err
	}
	by := "run " + r.id.String()
	err = r.cluster.Ask(ctx, namespace, name, rollout.Steer{Request: request, By: by})
	switch {
	case err == nil:
		return r.follow(ctx, record, request)
	case !errors.Is(err, kube.ErrNobodyDrives):
		return nil, err
	}
	lease, err := r.acquire(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	defer r.releaseLease(ctx, lease)
	if record, err = r.record(ctx, namespace, name); err != nil {
		return nil, err
	}
	if err := r.allowed(record, request); err != nil {
		return nil, err
	}
	return r.take(ctx, record, lease, request)
}

func (r *run) allowed(record *release.Record, request rollout.Request) error {
	if reason, ok := rollout.Allowed(record.State, request); !ok {
		return exit.Refuse("type: "+r.command(commandStatus, record.Namespace, record.Deployment), fmt.Sprintf("%s: %s", request, reason))
	}
	return nil
}

// take follows a request to a rollout that nobody drives.
func (r *run) take(ctx context.Context, record *release.Record, lease *kube.Lease, request rollout.Request) (*delivery, error) {
	values, err := r.values.With(record.Inputs)
	if err != nil {
		return nil, fmt.Errorf("read the inputs of run %s: %w", record.Run, err)
	}
	if err := r.configure(values); err != nil {
		return nil, err
	}
	now, s := time.Now(), record.State
	by := fmt.Sprintf("%s by run %s", request, r.id)
	switch request {
	case rollout.RequestPause:
		s.Phase, s.Asked, s.Left, s.Leftover, s.Reason = rollout.PhasePaused, true, s.Stage, rollout.LeftoverCanary, by
		record.State, record.Token = s, lease.Token
		return r.stored(ctx, record)
	case rollout.RequestResume:
		return r.resume(ctx, record, lease, rollout.Continue(s, now), true)
	case rollout.RequestPromote, rollout.RequestPromoteFull:
		if warm(record) {
			return r.resume(ctx, record, lease, rollout.CleanUp(s, now), false)
		}
		return r.resume(ctx, record, lease, rollout.Promote(record.Plan, s, now, request == rollout.RequestPromoteFull), true)
	case rollout.RequestAbort, rollout.RequestRollback:
		return r.back(ctx, record, lease, request, by)
	}
	return r.plain(ctx, record, lease)
}

// warm reports whether the promoted rollout of a record has its old revision.
func warm(record *release.Record) bool {
	return record.Warm() || record.State.Leftover == rollout.LeftoverPrevious || record.State.Phase == rollout.PhaseBaking
}

// back goes back to the previous revision: by one write while it is warm, by the
// abort of an unfinished rollout, else by a quick release of its image.
func (r *run) back(ctx context.Context, record *release.Record, lease *kube.Lease, request rollout.Request, by string) (*delivery, error) {
	now := time.Now()
	if warm(record) && !record.Reverted {
		return r.resume(ctx, record, lease, rollout.Revert(record.State, now, by), false)
	}
	if record.Unfinished() {
		state := rollout.Resume(record.State, now, by)
		if state.Phase == rollout.PhasePromoting {
			state.Back = by
		}
		return r.resume(ctx, record, lease, state, false)
	}
	if request == rollout.RequestRollback && record.State.Phase == rollout.PhasePromoted {
		return r.release(ctx, record, lease)
	}
	return nil, exit.Refuse("", fmt.Sprintf("%s: the last release ended %s and left nothing to go back from", request, record.State.Phase))
}

// quickDwell is the dwell of the steps of a rollback by release.
const quickDwell = 10 * time.Second

// release releases the recorded previous image quickly, but judged.
func (r *run) release(ctx context.Context, record *release.Record, lease *kube.Lease) (*delivery, error) {
	r.cfg.Image = record.PreviousImage
	if !r.values.IsSet("steps") {
		r.cfg.Steps = []input.Step{{Weight: 20}, {Weight: 100}}
	}
	if !r.values.IsSet("step-duration") {
		r.cfg.StepDuration = min(r.cfg.StepDuration, quickDwell)
	}
	r.console.Logf("the previous version is no longer warm: releasing %s again, quickly", r.cfg.Image)
	found, err := r.survey(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.check(found); err != nil {
		return nil, err
	}
	return r.rollOut(ctx, found, lease)
}

// plain ends what a release left, and removes its record and its lease.
func (r *run) plain(ctx context.Context, record *release.Record, lease *kube.Lease) (*delivery, error) {
	d := &delivery{state: record.State, previous: record.PreviousImage, asked: true}
	if record.Unfinished() || warm(record) {
		state, err := r.next(ctx, record, lease)
		if err != nil {
			return nil, err
		}
		if d, err = r.resume(ctx, record, lease, state, false); err != nil {
			return nil, err
		}
		if !d.state.Phase.Terminal() || d.state.Leftover != "" || d.saveErr != nil {
			return d, nil
		}
	}
	if err := r.cluster.Forget(ctx, record.Namespace, record.Deployment); err != nil {
		return nil, err
	}
	r.console.Logf("deployment %s/%s is as the user wrote it; its record and lease are deleted", record.Namespace, record.Deployment)
	return d, nil
}

// stored saves a record that this run changed without driving the rollout.
func (r *run) stored(ctx context.Context, record *release.Record) (*delivery, error) {
	if err := r.cluster.SaveRecord(ctx, record); err != nil {
		return nil, err
	}
	return shown(record), nil
}

// followLimit bounds the wait for the effect of a request beside the plan's own
// limits.
const followLimit = time.Minute

// follow waits for the effect of a request that another run has taken.
func (r *run) follow(ctx context.Context, before *release.Record, request rollout.Request) (*delivery, error) {
	p := before.Plan
	until := time.Now().Add(followLimit + 3*p.Propagation + p.Drain + 2*p.Finish)
	r.console.Await(fmt.Sprintf("run %s to follow the request to %s", before.Run, request), until)
	for {
		record, err := r.record(ctx, before.Namespace, before.Deployment)
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
func shown(record *release.Record) *delivery {
	return &delivery{record: record, state: record.State, previous: record.PreviousImage, asked: true}
}
