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
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/loop"
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
	// values are the inputs, which the record keeps for another process.
	values input.Values
	// inCluster: this is the process of a Job, see detach.go.
	inCluster bool
}

// A delivery is the result of one run.
type delivery struct {
	found   *discover.Found
	planned bool // a dry run
	// asked: the run did what a command asked for; record is what it showed.
	asked  bool
	record *release.Record
	// unchanged: the image was already released; nothing was changed.
	unchanged bool
	// previous is the image that served before the release.
	previous string
	state    rollout.State
	proof    workload.Proof
	// unproven is the error of the comparison of the pods.
	unproven error
	failure  *workload.PodFailure
	traffic  traffic.Snapshot
	// drained is the time spent in drain windows.
	drained time.Duration
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
// is nil if nothing was changed. A signal ends it until the rollout starts.
func (r *run) deliver(ctx context.Context) (*delivery, error) {
	if err := r.cfg.Rules.Prepare(r.env()); err != nil {
		return nil, err
	}
	if err := r.permitted(ctx); err != nil {
		return nil, err
	}
	found, err := r.survey(ctx)
	if err != nil && !r.unfinished(ctx) {
		return nil, err
	}
	if found != nil {
		if d, err := r.first(found); d != nil || err != nil {
			return d, err
		}
	}
	namespace, name, err := r.target(ctx, found)
	if err != nil {
		return nil, err
	}
	lease, err := r.acquire(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	defer r.releaseLease(ctx, lease)
	// Read again while holding the lease: the last run may have ended since the
	// first survey.
	if err := r.finish(ctx, namespace, name, lease); err != nil {
		return nil, err
	}
	if found, err = r.survey(ctx); err != nil {
		return nil, err
	}
	if unchanged(found) {
		return &delivery{found: found, unchanged: true, previous: found.Record.Stable.Image}, nil
	}
	if err := r.check(found); err != nil {
		return nil, err
	}
	if err := r.admitted(ctx, found); err != nil {
		return nil, err
	}
	return r.rollOut(ctx, found, lease)
}

// admitted asks the cluster, without a change, whether it would take the new
// version's pods.
func (r *run) admitted(ctx context.Context, found *discover.Found) error {
	refusals, warnings, err := workload.Admit(ctx, r.cluster, found.Record, 100)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		r.console.Warn(w)
	}
	if len(refusals) > 0 {
		return exit.Refuse("", refusals...)
	}
	return nil
}

// first shows the plan of the first survey. It returns a delivery if the run
// ends here, and an error if a rollout cannot start.
func (r *run) first(found *discover.Found) (*delivery, error) {
	idle := !found.Previous.Unfinished()
	if idle && unchanged(found) {
		return &delivery{found: found, unchanged: true, previous: found.Record.Stable.Image}, nil
	}
	showPlan(r.console, r.cfg, found)
	if idle && !found.Previous.Warm() || r.cfg.PlanOnly {
		if err := r.check(found); err != nil {
			return nil, err
		}
	}
	if r.cfg.PlanOnly {
		return &delivery{found: found, planned: true, previous: found.Record.Stable.Image}, nil
	}
	return nil, nil
}

// unchanged reports whether the Deployment already runs the image with all its
// pods ready, so there is nothing to release.
func unchanged(f *discover.Found) bool {
	return f.Record.Stable.Image == f.Record.Image && f.Down == "" && len(f.Obstacles) == 0
}

// permitted returns one error with all missing permissions.
func (r *run) permitted(ctx context.Context) error {
	permissions := slices.Concat(discover.Permissions(r.cfg.Router), r.cfg.Rules.Permissions())
	missing, err := r.cluster.Missing(ctx, r.cfg.Namespace, permissions...)
	if err != nil {
		return fmt.Errorf("read cluster %s: %w", r.cluster.Host, err)
	}
	if len(missing) > 0 {
		return exit.Refuse("the README's table of permissions lists all that a run needs",
			fmt.Sprintf("permissions are missing in namespace %s: %s", r.cfg.Namespace, strings.Join(missing, ", ")))
	}
	return nil
}

// survey reads the cluster and returns the objects of a rollout. It changes
// nothing.
func (r *run) survey(ctx context.Context) (*discover.Found, error) {
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
	if found.Down != "" && !r.cfg.Replace {
		reasons, hint = append(reasons, found.Down), replaceHint
	}
	if len(reasons) > 0 {
		return exit.Refuse(hint, reasons...)
	}
	return nil
}

// replaceHint names the way out when the stable version is down.
const replaceHint = "to release although nothing works that the new version could be compared with, set when-stable-is-down: replace, " +
	"or put [hotfix] into the commit's message"

// acquire takes the target's lease, which admits one run.
func (r *run) acquire(ctx context.Context, namespace, deployment string) (*kube.Lease, error) {
	waiting := func(holder string, until time.Time) {
		r.console.Await(fmt.Sprintf("a lease renewal by run %s, which holds the rollout", holder), until)
	}
	lease, err := r.cluster.Acquire(ctx, namespace, deployment, r.id, waiting)
	var held *kube.HeldError
	for until := time.Now().Add(ownLeaseLimit); errors.As(err, &held) && r.isOwn(held.Holder) && time.Now().Before(until); {
		lease, err = r.cluster.Acquire(ctx, namespace, deployment, r.id, waiting)
	}
	if errors.As(err, &held) {
		return nil, &exit.Error{Status: exit.CouldNotRun, Err: held, Hint: "wait until it ends, or type: " + r.command("abort", namespace, deployment)}
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

// lookHint returns the command that shows the state when it is unknown.
func lookHint(record *release.Record) string {
	return fmt.Sprintf("check the weights: kubectl -n %s get %s,configmap/%s -o yaml", record.Namespace, discover.Routes(record), release.ObjectName(record.Deployment))
}

// rollOut runs the rollout.
func (r *run) rollOut(ctx context.Context, found *discover.Found, lease *kube.Lease) (*delivery, error) {
	record := found.Record
	record.Run = r.id
	record.Plan = r.cfg.plan(time.Duration(found.Grace) * time.Second)
	record.Plan.Linger = r.inCluster
	record.State = rollout.State{Phase: rollout.PhasePending, Since: time.Now()}
	record.Preflight = rand.Text()
	record.PreviousImage, record.Entry = record.Stable.Image, release.Entry(found.EntryPoint)
	record.Inputs = recorded(r.values)
	if found.Previous != nil {
		record.Baselines, record.History = found.Previous.Baselines, found.Previous.Past()
	}
	cfg := r.cfg.traffic(found.EntryPoint)
	identity, err := r.learn(ctx, cfg, found)
	if err != nil {
		return nil, err
	}
	record.Markers, record.MarkPreflight = identity.Markers(), identity.Why != "" || identity.Late
	monitor, err := traffic.Start(ctx, cfg, record, identity)
	if err != nil {
		return nil, err
	}
	defer monitor.Stop()
	if !record.Plan.Replace {
		if err := monitor.AwaitBaseline(ctx, r.console.Await); err != nil {
			return nil, err
		}
	}
	return r.conduct(ctx, conducted{record: record, lease: lease, monitor: monitor, state: record.State, judged: true, found: found})
}

// conducted is a rollout to drive to its end.
type conducted struct {
	record  *release.Record
	lease   *kube.Lease
	monitor *traffic.Monitor
	state   rollout.State
	judged  bool
	found   *discover.Found // nil for an earlier run's rollout
}

// conduct drives a rollout, from its judge to the proof of its end. Up to the
// first change a signal ends it; from then on the rollout handles signals.
func (r *run) conduct(ctx context.Context, c conducted) (*delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	steady, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	target, err := workload.New(steady, r.cluster, c.record, c.lease)
	if err != nil {
		return nil, err
	}
	defer target.Close()
	if c.judged {
		if err := r.cfg.Rules.Judge(c.monitor, filepath.Join(r.cfg.ReportDir, analysisFile), c.record); err != nil {
			return nil, err
		}
		defer func() {
			if err := c.monitor.EndJudge(); err != nil {
				r.console.Warn(err.Error())
			}
		}()
		if err := r.cfg.Rules.Measure(steady, c.monitor, target, c.record.Entry.URL, r.env()); err != nil {
			return nil, err
		}
	}
	d := &delivery{found: c.found, previous: c.record.PreviousImage}
	if c.found == nil {
		d.found = &discover.Found{Record: c.record}
	}
	d.state, d.drained, d.saveErr = r.drive(steady, target, c.monitor, c.lease, c.state)
	r.conclusion(steady, d, target)
	d.traffic = c.monitor.Snapshot()
	return d, nil
}

// learn finds out how the versions can be told apart. A stable version that does
// not answer prevents the rollout, unless it is to be replaced.
func (r *run) learn(ctx context.Context, cfg traffic.Config, found *discover.Found) (traffic.Identity, error) {
	down := found.Down
	if down == "" {
		identity, err := traffic.Learn(ctx, cfg)
		var failed *traffic.DownError
		if !errors.As(err, &failed) {
			return identity, err
		}
		if !r.cfg.Replace {
			return identity, exit.Refuse(failed.Hint+"; "+replaceHint, failed.Error())
		}
		down = failed.Error()
	}
	r.console.Warn("replacing: " + down + "; the new version is compared with nothing and takes all traffic in one step")
	found.Record.Plan = found.Record.Plan.Replacing()
	return traffic.Unknown(cfg), nil
}

// conclusion checks the pods after the end. It has its own timeout, so a
// cancelled run still reports its result.
func (r *run) conclusion(ctx context.Context, d *delivery, target *workload.Target) {
	ctx, cancel := context.WithTimeout(ctx, finish)
	defer cancel()
	if d.state.Phase != rollout.PhasePromoted {
		d.failure = target.Failure(ctx)
		return
	}
	var err error
	if d.proof, err = target.Proof(ctx); err != nil {
		d.unproven = err
	}
}

// drive runs the loop and reports its decisions.
func (r *run) drive(ctx context.Context, target *workload.Target, monitor *traffic.Monitor, lease *kube.Lease, state rollout.State) (end rollout.State, drained time.Duration, err error) {
	plan := target.Record().Plan
	monitor.Follow(plan)
	p := progress{console: r.console, plan: plan, pods: target.Pods, monitor: monitor, rules: r.cfg.Rules}
	listening, stop := context.WithCancel(ctx)
	defer stop()
	runner := loop.Runner{
		Target: target, Traffic: monitor, Now: time.Now, After: time.After, Interrupted: r.signals, Steered: lease.Requests(listening),
		Report: func(s rollout.State, a rollout.Action, o rollout.Observation) {
			p.drain(s, o.Now)
			p.decided(s, a)
		},
	}
	end, err = runner.Run(ctx, plan, state)
	return end, p.drained, err
}
