// Package engine runs a release: from reading the cluster to the proof of its end,
// and from what an earlier run left to its end.
package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/applying"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/forward"
	"github.com/candlefish/deploy-action/internal/kube/ownership"
	"github.com/candlefish/deploy-action/internal/kube/rolling"
	"github.com/candlefish/deploy-action/internal/kube/targets"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/loop"
	"github.com/candlefish/deploy-action/internal/router/routers"
	"github.com/candlefish/deploy-action/internal/traffic"
	"github.com/candlefish/deploy-action/internal/traffic/pace"
)

// A Run is one attempt to deliver one image, from reading the cluster to the
// report.
type Run struct {
	view.Run
	Cluster *kube.Cluster
	Signals <-chan string
	// Values are the inputs, which the record keeps for another process.
	Values input.Values
	// InCluster: this is the process of a Job.
	InCluster bool

	// Targets connects to the load balancers of the cloud, for routes of one.
	Targets func(context.Context) (targets.Health, error)

	registry *opinion // what the registry said; nil before it was asked
	// Follow is told of every state of a rollout that this run drives. It must not
	// block. Nil for nobody.
	Follow func(*release.Record, rollout.State)
	// Group makes this the run of one member of a group; nil for none.
	Group *Membership

	manifests applying.Manifests
}

// Configure takes the inputs, with the rules of the analysis file.
func (r *Run) Configure(values input.Values) error {
	if err := inputs.Together(values).Err(); err != nil { // those of a record among them
		return err
	}
	cfg := inputs.ConfigOf(values)
	cfg.RunURL = cmp.Or(cfg.RunURL, r.Action.RunURL())
	marked(&cfg, values, markerOf(r.Action.Getenv))
	idle, warning := cfg.Effective(values)
	if err := idle.Err(); err != nil {
		return err
	}
	if warning != "" {
		r.Console.Warn(warning)
	}
	cfg.ForStrategy(values)
	rules, err := judging.Load(cfg.AnalysisFile, cfg.Limits())
	if err != nil {
		return err
	}
	cfg.Rules = rules
	if err := cfg.BlueGreen.LoadTests(); err != nil {
		return err
	}
	if err := cfg.LoadManifests(values); err != nil {
		return err
	}
	r.Values, r.Cfg = values, cfg
	return nil
}

// Env returns the part of this run's environment that sources and checks may
// use.
func (r *Run) Env() judging.Env {
	e := judging.Env{Getenv: r.Action.Getenv, Mask: r.Action.Mask, Redact: r.Action.Redact}
	e.Steps = weights(r.Cfg.Steps)
	return e
}

// Deliver runs one release: it surveys the cluster, plans, takes the lease,
// finishes what an earlier run left, surveys again and rolls out. The delivery
// is nil if nothing was changed. A signal ends it until the rollout starts.
func (r *Run) Deliver(ctx context.Context) (*view.Delivery, error) {
	if err := r.Cfg.Rules.Prepare(r.Env()); err != nil {
		return nil, err
	}
	if err := r.Permitted(ctx); err != nil {
		return nil, err
	}
	found, err := r.Survey(ctx)
	if err != nil && !r.unfinished(ctx) {
		return nil, err
	}
	if found != nil {
		if err := LookAround(ctx, r, found); err != nil {
			return nil, err
		}
		if d, err := r.First(found); d != nil || err != nil {
			return d, err
		}
	}
	namespace, name, err := r.Target(ctx, found)
	if err != nil {
		return nil, err
	}
	lease, err := r.Acquire(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	defer r.ReleaseLease(ctx, lease)
	// Read again while holding the lease: the last run may have ended since the
	// first survey.
	if err := r.Finish(ctx, namespace, name, lease); err != nil {
		return nil, err
	}
	if found, err = r.Survey(ctx); err != nil {
		return nil, err
	}
	if err := LookAround(ctx, r, found); err != nil {
		return nil, err
	}
	if unchanged(r, found) {
		return &view.Delivery{Found: found, Unchanged: true, Previous: found.Record.Stable.Image}, nil
	}
	if err := r.Check(found); err != nil {
		return nil, err
	}
	if !found.Record.ChangesPods() && manifestsOf(r).Any() {
		return manifestsOf(r).Only(ctx, found)
	}
	if err := r.admitted(ctx, found); err != nil {
		return nil, err
	}
	return r.RollOut(ctx, found, lease)
}

// admitted asks the cluster, without a change, whether it would take the new
// version's pods.
func (r *Run) admitted(ctx context.Context, found *discover.Found) error {
	refusals, warnings, err := admit(ctx, r.Cluster, found.Record)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		r.Console.Warn(w)
	}
	if len(refusals) > 0 {
		return exit.Refuse("", refusals...)
	}
	return nil
}

// First shows the plan of the first survey. It returns a delivery if the run
// ends here, and an error if a rollout cannot start.
func (r *Run) First(found *discover.Found) (*view.Delivery, error) {
	idle := !found.Previous.Unfinished()
	if idle && !found.Previous.Warm() && unchanged(r, found) {
		return &view.Delivery{Found: found, Unchanged: true, Previous: found.Record.Stable.Image}, nil
	}
	view.ShowPlan(r.Console, r.Cfg, found)
	view.ShowChanges(r.Console, found.Record, manifestsOf(r).Differences())
	if r.Cfg.RunIn != "cluster" && !r.InCluster {
		ends, _ := r.Cluster.TokenExpires()
		worst := inputs.WorstCase(r.Cfg.Plan(time.Duration(found.Grace) * time.Second))
		view.WarnOfEnds(r.Console, worst, time.Now(), ends, r.Action.OnRunner())
	}
	if idle && !found.Previous.Warm() || r.Cfg.PlanOnly {
		if err := r.Check(found); err != nil {
			return nil, err
		}
	}
	if r.Cfg.PlanOnly {
		return &view.Delivery{Found: found, Planned: true, Changes: manifestsOf(r).Differences(), Previous: found.Record.Stable.Image}, nil
	}
	return nil, nil
}

// unchanged reports whether the Deployment already runs the images with all its
// pods ready, so there is nothing to release.
func unchanged(r *Run, f *discover.Found) bool {
	return !manifestsOf(r).Any() && !f.Record.ChangesPods() && f.Down == "" && len(f.Obstacles) == 0
}

// Permitted returns one error with all missing permissions.
func (r *Run) Permitted(ctx context.Context) error {
	needed, err := required(ctx, r)
	if err != nil {
		return fmt.Errorf("read cluster %s: %w", r.Cluster.Host, err)
	}
	if r.Cfg.BlueGreen.Smoke > 0 {
		needed = append(needed, forward.Permissions...)
	}
	missing, err := r.Cluster.Missing(ctx, r.Cfg.Namespace, slices.Concat(needed, r.Cfg.Rules.Permissions(), manifestsOf(r).Permissions())...)
	if err != nil {
		return fmt.Errorf("read cluster %s: %w", r.Cluster.Host, err)
	}
	return r.refuse(missing)
}

// refuse returns an error that names missing permissions, nil for none.
func (r *Run) refuse(missing []string) error {
	if len(missing) > 0 {
		return exit.Refuse("the README's table of permissions lists all that a run needs",
			fmt.Sprintf("permissions are missing in namespace %s: %s", r.Cfg.Namespace, strings.Join(missing, ", ")))
	}
	return nil
}

// Survey reads the cluster and returns the objects of a rollout. It changes
// nothing.
func (r *Run) Survey(ctx context.Context) (*discover.Found, error) {
	if r.Cfg.Strategy == rollout.StrategyRolling {
		return surveyRolling(ctx, r)
	}
	found, err := discover.Find(ctx, r.Cluster, discover.Query{
		Namespace: r.Cfg.Namespace, Deployment: r.Cfg.Deployment, Service: r.Cfg.Service, Container: r.Cfg.Container,
		Route: r.Cfg.Route, VersionLabel: r.Cfg.VersionLabel, Image: r.Cfg.Image, Images: r.Cfg.Images, Router: r.Cfg.Router, DefaultDeployment: inputs.DefaultDeployment, Now: time.Now(),
		Weights: weights(r.Cfg.Steps), Rules: r.Cfg.RouteRules, Extras: r.Cfg.Extras,
	})
	var known *exit.Error
	if errors.As(err, &known) {
		return nil, err
	}
	if err != nil {
		if set := rolling.Set(ctx, r.Cluster, r.Cfg.Namespace, r.Cfg.Deployment); set != "" {
			err = fmt.Errorf("%s is no Deployment, so no second set of pods can take traffic beside it: release it with strategy: rolling (%w)", set, err)
		}
		return nil, &exit.Error{Status: exit.CouldNotRun, Err: err}
	}
	missing, err := discover.RouteGaps(ctx, r.Cluster, found.Record)
	if err != nil {
		return nil, fmt.Errorf("read cluster %s: %w", r.Cluster.Host, err)
	}
	if r.Cfg.ProbeURL != "" {
		found.Through(r.Cfg.ProbeURL)
	}
	if err := r.refuse(missing); err != nil {
		return nil, err
	}
	return found, manifestsOf(r).Survey(ctx, found)
}

// Check returns all problems that prevent a rollout in one error.
func (r *Run) Check(found *discover.Found) error {
	reasons := found.Obstacles
	hint := ""
	if owned := ownership.Reverting(found.Owned); len(owned) > 0 && !r.Cfg.AllowGitOps {
		reasons = append(reasons, owned...)
		hint = "make the tool leave these fields alone by the settings that the plan shows, then set allow-gitops"
	}
	if found.Lost != nil {
		hint = "to end it in favour of what the deployment runs now, type: " + r.Command("release", found.Record.Namespace, found.Record.Deployment)
	}
	if found.EntryPoint.URL == "" {
		reasons = append(reasons, found.NoEntry())
	}
	before := 0
	reasons = append(reasons, routers.Refusals(found.Record, weights(r.Cfg.Steps))...)
	for _, step := range found.Realize(r.Cfg.Plan(0)).Steps {
		if r.Cfg.Strategy == rollout.StrategyRolling {
			break // no weight is confirmed
		}
		if takes := pace.ConfirmTime(before, step.Weight, r.Cfg.ProbeRate, 1+len(found.MoreEntries)); takes > r.Cfg.Propagation {
			reasons = append(reasons, fmt.Sprintf("the answers that show the step from %d %% to %d %% take %s to come, and propagation-timeout is %s: raise it, raise probe-rate, or make the step larger",
				before, step.Weight, takes.Round(time.Second), r.Cfg.Propagation))
		}
		before = step.Weight
	}
	if found.Down != "" && !r.Cfg.Replace {
		reasons, hint = append(reasons, found.Down), replaceHint
		if !found.Dead {
			hint = "wait until its pods are ready; or " + replaceHint
		}
	}
	if len(reasons) > 0 {
		return exit.Refuse(hint, reasons...)
	}
	return nil
}

// weights returns the weights of steps.
func weights(steps []input.Step) []int {
	var list []int
	for _, s := range steps {
		list = append(list, s.Weight)
	}
	return list
}

// replaceHint names the way out when the stable version is down.
const replaceHint = "to release without a comparison, set when-stable-is-down: replace, or put [hotfix] or [emergency] into the commit's message"

// Acquire takes the target's lease, which admits one run.
func (r *Run) Acquire(ctx context.Context, namespace, deployment string) (*kube.Lease, error) {
	if r.Group != nil {
		return r.Group.Lease, nil
	}
	waiting := func(holder string, until time.Time) {
		r.Console.Await(fmt.Sprintf("a lease renewal by run %s, which holds the rollout", holder), until)
	}
	lease, err := r.Cluster.Acquire(ctx, namespace, deployment, r.ID, waiting)
	var held *kube.HeldError
	for until := time.Now().Add(ownLeaseLimit); errors.As(err, &held) && r.isOwn(held.Holder) && time.Now().Before(until); {
		lease, err = r.Cluster.Acquire(ctx, namespace, deployment, r.ID, waiting)
	}
	if errors.As(err, &held) {
		return nil, &exit.Error{Status: exit.CouldNotRun, Err: held, Hint: "wait until it ends, or type: " + r.Command("abort", namespace, deployment)}
	}
	return lease, err
}

// ownLeaseLimit bounds the wait for the lease of an earlier pod of the same run.
const ownLeaseLimit = 2 * time.Minute

// isOwn reports whether a holder of the lease is an earlier pod of this Job.
func (r *Run) isOwn(holder string) bool { return r.InCluster && strings.HasPrefix(holder, r.ID.ID) }

// ReleaseLease gives the lease back, so that the next run need not wait.
func (r *Run) ReleaseLease(ctx context.Context, lease *kube.Lease) {
	if r.Group != nil {
		return // the group's
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := lease.Release(ctx); err != nil {
		r.Console.Warn(err.Error() + "; the next run waits 15 s until it expires")
	}
}

// RollOut runs the rollout.
func (r *Run) RollOut(ctx context.Context, found *discover.Found, lease *kube.Lease) (*view.Delivery, error) {
	record := found.Record
	record.Run = r.ID
	record.Plan = found.Realize(r.Cfg.Plan(time.Duration(found.Grace) * time.Second))
	record.Plan.Linger = r.InCluster
	r.Group.join(record)
	if record.Rolling != nil {
		record.Plan.Surge = rolling.Surge(record)
	}
	record.State = rollout.State{Phase: rollout.PhasePending, Since: time.Now()}
	if found.Untested == "" {
		canary, _ := routers.PinValues(record)
		record.Preflight = cmp.Or(canary, rand.Text())
	}
	if record.Extras.Affinity != "" {
		record.Extras.AffinityValue = rand.Text()
	}
	record.PreviousImage, record.Entry = record.Stable.Image, release.Entry(found.EntryPoint)
	record.Inputs = inputs.Recorded(r.Values)
	record.Inputs["strategy"] = string(r.Cfg.Strategy) // a marker may have chosen it
	record.Colours = release.ColoursOf(found.Previous, record.ColourBefore(), r.Cfg.Strategy)
	if found.Previous != nil {
		record.Rises, record.History = found.Previous.Rises, found.Previous.Past()
	}
	follow(r, record, record.State)
	monitor, err := r.watch(ctx, found)
	if err != nil {
		return nil, err
	}
	defer monitor.Stop()
	if err := settleTests(ctx, r, found); err != nil {
		return nil, err
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
func (r *Run) conduct(ctx context.Context, c conducted) (*view.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	steady, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	target, err := open(steady, r.Cluster, c.record, c.lease)
	if err != nil {
		return nil, err
	}
	defer target.Close()
	balance(ctx, r, target, c.record)
	if c.state.Phase == rollout.PhaseProgressing {
		target.Continues(c.record.State)
	}
	if c.judged {
		if err := r.Cfg.Rules.Judge(c.monitor, filepath.Join(r.Cfg.ReportDir, view.AnalysisFile), c.record, r.Env()); err != nil {
			return nil, err
		}
		defer func() {
			if err := c.monitor.EndJudge(); err != nil {
				r.Console.Warn(err.Error())
			}
		}()
		if err := r.Cfg.Rules.Measure(steady, c.monitor, target, c.record.Entry.URL, r.Env()); err != nil {
			return nil, err
		}
	}
	d := &view.Delivery{Found: c.found, Changes: manifestsOf(r).Differences(), Previous: c.record.PreviousImage}
	if c.found == nil {
		d.Found = &discover.Found{Record: c.record}
	}
	if c.found != nil {
		if err := manifestsOf(r).Before(steady, target, c.state); err != nil {
			d.State, d.SaveErr = manifestsOf(r).Failed(steady, target, err)
			d.Unsettled, d.Traffic = manifestsOf(r).Settle(steady, target, d.State), c.monitor.Snapshot()
			return d, nil
		}
	}
	tests := newTester(steady, r, c.monitor)
	d.SaveErr = r.drive(steady, testedTarget{target, tests}, c, d)
	d.Smoke = tests.tested()
	conclusion(steady, d, target)
	if d.SaveErr == nil && ctx.Err() == nil {
		d.Unsettled = manifestsOf(r).Settle(steady, target, d.State)
	}
	d.Traffic = c.monitor.Snapshot()
	return d, nil
}

// watch starts to watch the traffic. A stable version that fails before the first
// change prevents the rollout, unless it is to be replaced.
func (r *Run) watch(ctx context.Context, found *discover.Found) (*traffic.Monitor, error) {
	cfg := r.Cfg.Traffic(found.EntryPoint, found.MoreEntries...)
	cfg.Fresh, cfg.ReplicaSet = found.Direct(), twin(found.Record)
	cfg, silent := cfg.Reachable(ctx)
	for _, why := range silent {
		r.Console.Warn("an entry point is not watched, " + why)
	}
	found.Record.MoreEntries = nil
	for _, entry := range cfg.More {
		found.Record.MoreEntries = append(found.Record.MoreEntries, release.Entry(entry))
	}
	down := found.Down
	if down == "" {
		monitor, err := r.baseline(ctx, cfg, found)
		var failed *traffic.DownError
		if !errors.As(err, &failed) {
			return monitor, err
		}
		if !r.Cfg.Replace {
			return nil, exit.Refuse(failed.Hint+"; "+replaceHint, failed.Error())
		}
		down = failed.Error()
	}
	r.Console.Warn("replacing: " + down + "; the new version is compared with nothing and takes all traffic in one step")
	found.Record.Plan = found.Record.Plan.Replacing()
	if r.Cfg.Strategy == rollout.StrategyRolling {
		return r.start(ctx, cfg, found, unseenStable(cfg))
	}
	return r.start(ctx, cfg, found, traffic.Unknown(cfg))
}

// baseline finds out how the versions can be told apart, and returns once stable
// has answered without a failure.
func (r *Run) baseline(ctx context.Context, cfg traffic.Config, found *discover.Found) (*traffic.Monitor, error) {
	identity, err := traffic.Learn(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := distinct(cfg, found.Record, identity); err != nil {
		return nil, err
	}
	monitor, err := r.start(ctx, cfg, found, identity)
	if err != nil {
		return nil, err
	}
	if err := monitor.AwaitBaseline(ctx, r.Console.Await); err != nil {
		monitor.Stop()
		return nil, err
	}
	return monitor, nil
}

// start starts the probes of a release whose versions have this identity. The record
// asks for a route to stable where test requests can say whose a failure is.
func (r *Run) start(ctx context.Context, cfg traffic.Config, found *discover.Found, identity traffic.Identity) (*traffic.Monitor, error) {
	record := found.Record
	record.Markers, record.MarkPreflight = identity.Markers(), identity.Why != "" || identity.Late
	if record.MarkPreflight && found.Unmarked {
		record.MarkPreflight, record.Preflight = false, ""
		r.Console.Logf("no test requests before the first weight: the answers do not say which version they are of, and router %s cannot mark them", record.Router)
	}
	switch {
	case found.Unpinned != "" || identity.Late: // the plan says so
	case identity.Why != "":
		r.Console.Logf("no test requests to one version alone while it is judged: %s", identity.Why)
	default:
		_, stable := routers.PinValues(record)
		record.PreflightStable = cmp.Or(stable, rand.Text())
	}
	return traffic.Start(ctx, cfg, record, identity)
}

// conclusion checks the pods after the end. It has its own timeout, so a
// cancelled run still reports its result.
func conclusion(ctx context.Context, d *view.Delivery, target Target) {
	ctx, cancel := context.WithTimeout(ctx, inputs.Finish)
	defer cancel()
	d.Missing = target.Missing()
	if d.State.Phase != rollout.PhasePromoted {
		d.Failure = target.Failure(ctx)
		return
	}
	var err error
	if d.Proof, err = target.Proof(ctx); err != nil {
		d.Unproven = err
	}
}

// follow tells of a state of a rollout.
func follow(r *Run, record *release.Record, s rollout.State) {
	if r.Follow != nil {
		r.Follow(record, s)
	}
}

// drive runs the loop, reports its decisions and adds its end to d.
func (r *Run) drive(ctx context.Context, target testedTarget, c conducted, d *view.Delivery) error {
	plan, monitor := target.Record().Plan, c.monitor
	monitor.Follow(plan)
	p := view.Progress{Console: r.Console, Plan: plan, Pods: target.Pods, Monitor: monitor, Rules: r.Cfg.Rules}
	listening, stop := context.WithCancel(ctx)
	requests := r.Group.requests(listening, c.lease)
	runner := loop.Runner{
		Target: target, Traffic: monitor, Now: time.Now, After: time.After, Interrupted: r.Signals, Steered: requests,
		Report: r.Group.watched(func(s rollout.State, a rollout.Action, o rollout.Observation) {
			p.Report(s, a, o)
			follow(r, target.Record(), s)
		}),
		Woken: target.tests.woken,
	}
	end, err := runner.Run(ctx, plan, c.state)
	stop()
	for range requests { // until the last one is answered; who asked finds the next one pending
	}
	d.State, d.Drained, d.Held = end, p.Drained, p.Held
	return err
}
