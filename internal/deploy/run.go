package deploy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// A run is one attempt to deliver one image, from reading the cluster to the
// report.
type run struct {
	cfg     Config
	id      release.Run
	cluster *kube.Cluster
	console *console.Console
	action  *action.Action
	print   func(text string) // prints the final text and logs it
	signals <-chan string
	started time.Time
	// permitted: the API server has granted all permissions.
	permitted bool
}

// A delivery is the result of one run.
type delivery struct {
	found   *discover.Found
	planned bool // a dry run
	state   rollout.State
	proof   workload.Proof
	failure *workload.PodFailure
	traffic traffic.Snapshot
	// saveErr is the error recording the end in the cluster.
	saveErr error
}

// env returns the part of this run's environment that sources and checks may
// use.
func (r *run) env() judging.Env {
	return judging.Env{Getenv: r.action.Getenv, Mask: r.action.Mask, Redact: r.action.Redact}
}

// deliver runs one release: it surveys the cluster, plans, takes the lease,
// finishes what an earlier run left, surveys again and rolls out. The delivery
// is nil if nothing was changed.
func (r *run) deliver(ctx context.Context) (*delivery, error) {
	r.started = time.Now()
	if err := r.cfg.Rules.Prepare(r.env()); err != nil {
		return nil, err
	}
	found, err := r.survey(ctx)
	if err != nil {
		return nil, err
	}
	if !found.Previous.Unfinished() && !found.Previous.Warm() {
		if err := r.check(found); err != nil {
			return nil, err
		}
	}
	showPlan(r.console, r.cfg, found)
	if r.cfg.PlanOnly {
		return &delivery{found: found, planned: true}, nil
	}
	lease, err := r.acquire(ctx, found.Record)
	if err != nil {
		return nil, err
	}
	defer r.releaseLease(ctx, lease)
	// Read again while holding the lease: the last run may have ended since the
	// first survey.
	previous, err := r.cluster.LoadRecord(ctx, found.Record.Namespace, found.Record.Deployment)
	if err != nil {
		return nil, err
	}
	if err := r.finish(ctx, previous, lease, found.EntryPoint); err != nil {
		return nil, err
	}
	if found, err = r.survey(ctx); err != nil {
		return nil, err
	}
	if err := r.check(found); err != nil {
		return nil, err
	}
	return r.rollOut(ctx, found, lease)
}

// survey reads the cluster and returns the objects of a rollout. It changes
// nothing.
func (r *run) survey(ctx context.Context) (*discover.Found, error) {
	if err := r.permit(ctx); err != nil {
		return nil, err
	}
	found, err := discover.Find(ctx, r.cluster, discover.Query{
		Namespace: r.cfg.Namespace, Deployment: r.cfg.Deployment, Service: r.cfg.Service, Container: r.cfg.Container,
		Route: r.cfg.Route, VersionLabel: r.cfg.VersionLabel, Image: r.cfg.Image, Router: r.cfg.Router, DefaultDeployment: DefaultDeployment,
	})
	if err != nil {
		return nil, exit.Refuse("", err.Error())
	}
	if r.cfg.ProbeURL != "" {
		found.EntryPoint.URL = r.cfg.ProbeURL
	}
	return found, nil
}

// permit returns one error with all missing permissions. It asks once per run.
func (r *run) permit(ctx context.Context) error {
	if r.permitted {
		return nil
	}
	permissions := slices.Concat(discover.Permissions(r.cfg.Router), r.cfg.Rules.Permissions())
	missing, err := r.cluster.Missing(ctx, r.cfg.Namespace, permissions...)
	if err != nil {
		return fmt.Errorf("read cluster %s: %w", r.cluster.Host, err)
	}
	if len(missing) > 0 {
		return exit.Refuse("the README's table of permissions lists all that a run needs",
			fmt.Sprintf("permissions are missing in namespace %s: %s", r.cfg.Namespace, strings.Join(missing, ", ")))
	}
	r.permitted = true
	return nil
}

// check returns all problems that prevent a rollout in one error.
func (r *run) check(found *discover.Found) error {
	reasons := found.Obstacles
	hint := ""
	if len(found.Managed) > 0 && !r.cfg.AllowGitOps {
		reasons = append(reasons, found.Managed...)
		hint = "make the GitOps tool ignore the weights, the Service's selector and the version label, then set allow-gitops"
	}
	if found.EntryPoint.URL == "" {
		reasons = append(reasons, "the gateway has no address in its status; set the entry point with probe-url")
	}
	if len(reasons) > 0 {
		return exit.Refuse(hint, reasons...)
	}
	return nil
}

// acquire takes the target's lease, which admits one run.
func (r *run) acquire(ctx context.Context, record *release.Record) (*kube.Lease, error) {
	lease, err := r.cluster.Acquire(ctx, record.Namespace, record.Deployment, r.id, func(holder string, until time.Time) {
		r.console.Await(fmt.Sprintf("a lease renewal by run %s, which holds the rollout", holder), until)
	})
	var held *kube.HeldError
	if errors.As(err, &held) {
		return nil, exit.Refuse("wait until it ends, or abort it there", held.Error())
	}
	return lease, err
}

func (r *run) releaseLease(ctx context.Context, lease *kube.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := lease.Release(ctx); err != nil {
		r.console.Warn(err.Error() + "; the next run waits 15 s until it expires")
	}
}

// finish finishes what an earlier run left, and logs it.
func (r *run) finish(ctx context.Context, previous *release.Record, lease *kube.Lease, entry discover.EntryPoint) error {
	if !previous.Unfinished() && !previous.Warm() {
		return nil
	}
	target, err := workload.New(ctx, r.cluster, previous, lease)
	if err != nil {
		return err
	}
	defer target.Close()
	if previous.Unfinished() {
		if err := r.resume(ctx, target, entry); err != nil {
			return err
		}
	}
	if !target.Record().Warm() {
		return nil
	}
	r.console.Logf("removing the old version of run %s, kept warm until %s", previous.Run, previous.WarmUntil.Format(time.RFC3339))
	return r.cleanup(ctx, target)
}

// resume finishes the rollout of a run that has ended.
func (r *run) resume(ctx context.Context, target *workload.Target, entry discover.EntryPoint) error {
	record := target.Record()
	r.console.Logf("found the unfinished rollout of run %s (%s): %s at weight %d since %s; finishing it first",
		record.Run, record.Image, record.State.Phase, record.State.Weight, record.State.Since.Format(time.RFC3339))
	identity, err := traffic.Recall(record)
	if err != nil {
		return err
	}
	monitor, err := traffic.Start(ctx, r.cfg.traffic(entry), record, identity)
	if err != nil {
		return err
	}
	defer monitor.Stop()
	state := rollout.Resume(record.State, time.Now(), "run "+r.id.String())
	end, err := r.drive(ctx, target, monitor, record.Plan, state)
	switch {
	case err != nil:
		return err
	case end.Phase != rollout.PhaseAborted && end.Phase != rollout.PhasePromoted:
		return &exit.Error{Status: exit.AbortFailed, Err: fmt.Errorf("finish the rollout of run %s: %s", record.Run, end.Reason), Hint: lookHint(record)}
	case end.Leftover != "":
		return fmt.Errorf("finish the rollout of run %s: interrupted; left: the %s", record.Run, end.Leftover)
	}
	return nil
}

// lookHint returns the command that shows the state when it is unknown.
func lookHint(record *release.Record) string {
	return fmt.Sprintf("check the weights: kubectl -n %s get %s,configmap/%s -o yaml", record.Namespace, discover.Routes(record), release.ObjectName(record.Deployment))
}

func (r *run) cleanup(ctx context.Context, target *workload.Target) error {
	ctx, cancel := context.WithTimeout(ctx, finish+2*time.Minute)
	defer cancel()
	if err := target.Cleanup(ctx); err != nil {
		return fmt.Errorf("remove the old version: %w", err)
	}
	return nil
}

// rollOut runs the rollout.
func (r *run) rollOut(ctx context.Context, found *discover.Found, lease *kube.Lease) (*delivery, error) {
	record := found.Record
	record.Run = r.id
	record.Plan = r.cfg.plan(time.Duration(found.Grace) * time.Second)
	record.State = rollout.State{Phase: rollout.PhasePending, Since: time.Now()}
	record.Preflight = rand.Text()
	if found.Previous != nil {
		record.Baselines = found.Previous.Baselines
	}
	monitor, err := r.monitor(ctx, found)
	if err != nil {
		return nil, err
	}
	defer monitor.Stop()
	defer func() {
		if err := monitor.EndJudge(); err != nil {
			r.console.Warn(err.Error())
		}
	}()
	if err := monitor.AwaitBaseline(ctx, r.console.Await); err != nil {
		return nil, err
	}
	target, err := workload.New(ctx, r.cluster, record, lease)
	if err != nil {
		return nil, err
	}
	defer target.Close()
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	if err := r.cfg.Rules.Measure(watching, monitor, target, found.EntryPoint.URL, r.env()); err != nil {
		return nil, err
	}
	d := &delivery{found: found}
	d.state, d.saveErr = r.drive(ctx, target, monitor, record.Plan, record.State)
	r.conclusion(ctx, d, target)
	d.traffic = monitor.Snapshot()
	return d, nil
}

// monitor starts the probe stream and the judge before the first change.
func (r *run) monitor(ctx context.Context, found *discover.Found) (*traffic.Monitor, error) {
	record, cfg := found.Record, r.cfg.traffic(found.EntryPoint)
	identity, err := traffic.Learn(ctx, cfg)
	if err != nil {
		return nil, err
	}
	record.Markers = identity.Markers()
	monitor, err := traffic.Start(ctx, cfg, record, identity)
	if err != nil {
		return nil, err
	}
	if err := r.cfg.Rules.Judge(monitor, filepath.Join(r.cfg.ReportDir, analysisFile), record); err != nil {
		monitor.Stop()
		return nil, err
	}
	return monitor, nil
}

// conclusion checks the pods after the end and removes what need not stay warm.
// It has its own timeout, so a cancelled run still reports its result.
func (r *run) conclusion(ctx context.Context, d *delivery, target *workload.Target) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finish)
	defer cancel()
	if d.state.Phase != rollout.PhasePromoted {
		d.failure = target.Failure(ctx)
		return
	}
	var err error
	if d.proof, err = target.Prove(ctx); err != nil {
		r.console.Warn(err.Error())
	}
	if target.Record().Plan.KeepWarm > 0 {
		return
	}
	if err := r.cleanup(ctx, target); err != nil {
		r.console.Warn(err.Error() + "; the next run removes it")
	}
}

// drive runs the loop and reports its decisions.
func (r *run) drive(ctx context.Context, target *workload.Target, monitor *traffic.Monitor, plan rollout.Plan, state rollout.State) (rollout.State, error) {
	monitor.Follow(plan)
	p := progress{console: r.console, plan: plan, pods: target.Pods, monitor: monitor, rules: r.cfg.Rules}
	runner := rollout.Runner{
		Target: target, Traffic: monitor, Now: time.Now, After: time.After, Interrupted: r.signals,
		Report: func(s rollout.State, a rollout.Action, _ rollout.Observation) { p.decided(s, a) },
	}
	return runner.Run(ctx, plan, state)
}
