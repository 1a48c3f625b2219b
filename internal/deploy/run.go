package deploy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A run is one attempt to deliver one image, from reading the cluster to the
// report.
type run struct {
	cfg     Config
	id      kube.RunID
	cluster *kube.Cluster
	tell    *teller
	signals <-chan string
	started time.Time
	getenv  func(string) string
}

// survey reads the cluster and returns what a rollout would work on. All that
// speaks against it is in one error; nothing is changed.
func (r *run) survey(ctx context.Context) (*kube.Found, error) {
	missing, err := r.cluster.Missing(ctx, r.cfg.Namespace, r.cfg.more()...)
	if err != nil {
		return nil, fmt.Errorf("ask cluster %s: %w", r.cluster.Host, err)
	}
	if len(missing) > 0 {
		return nil, exit.Refuse("the README's table of permissions lists all that is needed",
			fmt.Sprintf("permissions are missing in namespace %s: %s", r.cfg.Namespace, strings.Join(missing, ", ")))
	}
	found, err := r.cluster.Discover(ctx, kube.Query{
		Namespace: r.cfg.Namespace, Deployment: r.cfg.Deployment, Service: r.cfg.Service, Container: r.cfg.Container,
		Route: r.cfg.Route, VersionLabel: r.cfg.VersionLabel, Image: r.cfg.Image,
	})
	if err != nil {
		return nil, exit.Refuse("", err.Error())
	}
	if r.cfg.ProbeURL != "" {
		found.EntryPoint.URL = r.cfg.ProbeURL
	}
	return found, nil
}

// check turns what speaks against a rollout into one error.
func (r *run) check(found *kube.Found) error {
	reasons := found.Obstacles
	hint := ""
	if len(found.Managed) > 0 && !r.cfg.AllowGitOps {
		reasons = append(reasons, found.Managed...)
		hint = "let the GitOps tool ignore the weights, the Service's selector and the role label, then set allow-gitops"
	}
	if found.EntryPoint.URL == "" {
		reasons = append(reasons, "the gateway has no address in its status, so there is nothing to probe; name the entry point with probe-url")
	}
	if len(reasons) > 0 {
		return exit.Refuse(hint, reasons...)
	}
	return nil
}

// deliver brings one rollout to its end. The record it returns is the newest
// one, nil when nothing was changed.
func (r *run) deliver(ctx context.Context) (*delivery, error) {
	r.started = time.Now()
	if err := r.prepared(); err != nil {
		return nil, err
	}
	found, err := r.survey(ctx)
	if err != nil {
		return nil, err
	}
	unfinished := found.Previous.Unfinished() || found.Previous.Warm()
	if !unfinished {
		if err := r.check(found); err != nil {
			return nil, err
		}
	}
	r.tell.plan(r.cfg, found)
	if r.cfg.PlanOnly {
		return &delivery{found: found, planned: true}, nil
	}
	lease, err := r.cluster.Acquire(ctx, found.Record.Namespace, found.Record.Deployment, r.id, func(holder string, until time.Time) {
		r.tell.await(fmt.Sprintf("a sign of life of run %s, which holds the rollout", holder), until)
	})
	var held *kube.HeldError
	if errors.As(err, &held) {
		return nil, exit.Refuse("wait for it to end, or abort it there", held.Error())
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := lease.Release(release); err != nil {
			r.tell.warn(err.Error() + "; the next run waits 15 s for it")
		}
	}()
	// Only the lease's holder may believe what it reads: the last run may
	// have ended between the first look and now.
	previous, err := r.cluster.LoadRecord(ctx, found.Record.Namespace, found.Record.Deployment)
	if err != nil {
		return nil, err
	}
	if previous.Unfinished() || previous.Warm() {
		if err := r.settle(ctx, previous, lease, found.EntryPoint); err != nil {
			return nil, err
		}
	}
	if found, err = r.survey(ctx); err != nil {
		return nil, err
	}
	if err := r.check(found); err != nil {
		return nil, err
	}
	return r.rollOut(ctx, found, lease)
}

// settle brings what an earlier run left to its end, and says so.
func (r *run) settle(ctx context.Context, previous *kube.Record, lease *kube.Lease, entry kube.EntryPoint) error {
	target, err := r.cluster.NewTarget(ctx, previous, lease)
	if err != nil {
		return err
	}
	defer target.Close()
	if previous.Unfinished() {
		r.tell.orphan(previous)
		traffic, err := r.probe(ctx, entry, previous, true)
		if err != nil {
			return err
		}
		defer traffic.stop()
		state := rollout.Resume(previous.State, time.Now(), "run "+r.id.String())
		end, err := r.drive(ctx, target, traffic, previous.Plan, state)
		if err != nil {
			return err
		}
		if end.Phase != rollout.PhaseAborted && end.Phase != rollout.PhasePromoted {
			return &exit.Error{Status: exit.AbortFailed, Err: fmt.Errorf("bring the rollout of run %s to its end: %s", previous.Run, end.Reason),
				Hint: "look at the route's weights and at configmap <deployment>-rollout"}
		}
		if end.Leftover != "" {
			return fmt.Errorf("bring the rollout of run %s to its end: interrupted, %s is left", previous.Run, end.Leftover)
		}
	}
	if target.Record().Warm() {
		r.tell.say("removing the old version of run %s, which was kept warm until %s", previous.Run, previous.WarmUntil.Format(time.RFC3339))
		return r.cleanup(ctx, target)
	}
	return nil
}

func (r *run) cleanup(ctx context.Context, target *kube.Target) error {
	ctx, cancel := context.WithTimeout(ctx, finish+2*time.Minute)
	defer cancel()
	if err := target.Cleanup(ctx); err != nil {
		return fmt.Errorf("remove the old version: %w", err)
	}
	return nil
}

// A delivery is what came out of one run.
type delivery struct {
	found   *kube.Found
	planned bool // only looked, as asked
	record  *kube.Record
	state   rollout.State
	proof   kube.Proof
	failure *kube.PodFailure
	traffic *traffic
	// saveErr says that the end could not be recorded in the cluster.
	saveErr error
}

// rollOut runs the rollout itself.
func (r *run) rollOut(ctx context.Context, found *kube.Found, lease *kube.Lease) (*delivery, error) {
	record := found.Record
	record.Run = r.id
	record.Plan = r.cfg.plan(time.Duration(found.Grace) * time.Second)
	record.State = rollout.State{Phase: rollout.PhasePending, Since: time.Now()}
	record.Reach = rand.Text()
	if found.Previous != nil {
		record.Baseline = found.Previous.Baseline
	}

	traffic, err := r.probe(ctx, found.EntryPoint, record, false)
	if err != nil {
		return nil, err
	}
	defer traffic.stop()
	start := recording.Start{Target: record.Namespace + "/" + record.Deployment, Image: record.Image, Steps: len(record.Plan.Steps), Config: r.cfg.Analysis}
	if err := traffic.judgeBy(start); err != nil {
		return nil, err
	}
	defer traffic.endJudging(r.tell)
	if err := traffic.baseline(ctx, r.tell); err != nil {
		return nil, err
	}
	record.Marker = traffic.marker()
	target, err := r.cluster.NewTarget(ctx, record, lease)
	if err != nil {
		return nil, err
	}
	defer target.Close()

	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	if err := r.measure(watching, traffic, target, found.EntryPoint.URL); err != nil {
		return nil, err
	}

	d := &delivery{found: found, record: record, traffic: traffic}
	d.state, d.saveErr = r.drive(ctx, target, traffic, record.Plan, record.State)
	// Everything after the end is on its own time: a cancelled run still
	// says what it has seen.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), finish)
	defer cancel()
	switch d.state.Phase {
	case rollout.PhasePromoted:
		if d.proof, err = target.Prove(after); err != nil {
			r.tell.warn(err.Error())
		}
		if record.Plan.KeepWarm == 0 {
			if err := r.cleanup(after, target); err != nil {
				r.tell.warn(err.Error() + "; the next run removes it")
			}
		}
	default:
		d.failure = target.Failure(after)
	}
	return d, nil
}

// drive runs the loop and tells what it does.
func (r *run) drive(ctx context.Context, target *kube.Target, traffic *traffic, plan rollout.Plan, state rollout.State) (rollout.State, error) {
	traffic.plan = plan
	runner := rollout.Runner{
		Target: target, Traffic: traffic, Now: time.Now, After: time.After, Interrupted: r.signals,
		Report: func(s rollout.State, a rollout.Action, _ rollout.Observation) {
			r.tell.progress(plan, s, a, target.Pods, traffic)
		},
	}
	return runner.Run(ctx, plan, state)
}
