package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube/detached"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// outside are the inputs of the process that starts or watches a Job, which the
// Job's process does not get.
var outside = []string{"run-in", "run-image", "service-account", "pod-patch", "wait", "attach", "when-cancelled", "kubeconfig", "kube-context", "eks-cluster", "aws-region",
	"report-dir", "analysis-file", "run-url", "namespace", "deployment-name", "image", "probe-url"}

// detach runs the release as a Job in the cluster and attaches to it.
func (r *run) detach(ctx context.Context) (action.Result, error) {
	if !r.cfg.Attach {
		d, err := r.start(ctx)
		if err != nil || d != nil {
			return r.conclude(d, err)
		}
		if !r.cfg.Wait {
			namespace, name := r.cfg.Namespace, r.cfg.Deployment
			r.console.End()
			r.print(fmt.Sprintf("release %s runs in the cluster as job %s/%s; to watch it, type: %s", r.id.ID, namespace, detached.Name(name), r.attachCommand()))
			return action.Result{Outputs: map[string]string{"status": "started"}}, nil
		}
	}
	return r.attach(ctx)
}

func (r *run) attachCommand() string {
	return r.command(commandDeploy, r.cfg.Namespace, r.cfg.Deployment) + " --attach"
}

// start surveys the cluster as a run here would, and creates the Job. It returns
// a delivery if there is nothing to run.
func (r *run) start(ctx context.Context) (*delivery, error) {
	if err := r.cfg.Rules.Prepare(r.env()); err != nil {
		return nil, err
	}
	if err := r.permitted(ctx); err != nil {
		return nil, err
	}
	found, err := r.survey(ctx)
	if err != nil {
		return nil, err
	}
	if d, err := r.first(found); d != nil || err != nil {
		return d, err
	}
	r.cfg.Deployment = found.Record.Deployment
	spec, err := r.job(found)
	if err != nil {
		return nil, err
	}
	err = detached.Start(ctx, r.cluster, spec)
	var active *detached.ActiveError
	if errors.As(err, &active) {
		return nil, exit.Refuse("to watch it, type: "+r.attachCommand()+"; to end it: "+r.command("abort", r.cfg.Namespace, r.cfg.Deployment), active.Error())
	}
	return nil, err
}

// job describes the Job for this run.
func (r *run) job(found *discover.Found) (detached.Spec, error) {
	s := detached.Spec{
		Namespace: r.cfg.Namespace, Deployment: found.Record.Deployment, Image: r.cfg.RunImage, ServiceAccount: r.cfg.ServiceAccount, Run: r.id,
		Args: []string{"--namespace=" + r.cfg.Namespace, "--deployment-name=" + found.Record.Deployment, "--image=" + r.cfg.Image, "--probe-url=" + found.EntryPoint.URL, "--report-dir=."},
		Env:  map[string]string{"NO_COLOR": "1"},
	}
	given := r.values.Given()
	for _, setting := range r.values.All() {
		if name := setting.Def.Name; given[name] != "" && !slices.Contains(outside, name) {
			s.Args = append(s.Args, "--"+name+"="+given[name])
		}
	}
	if r.cfg.AnalysisFile != "" {
		raw, err := os.ReadFile(r.cfg.AnalysisFile)
		if err != nil {
			return s, fmt.Errorf("read the analysis file for the job: %w", err)
		}
		s.Files = map[string]string{"analysis.yaml": string(raw)}
		s.Args = append(s.Args, "--analysis-file="+detached.FilesDir+"/analysis.yaml")
	}
	if r.cfg.PodPatch != "" {
		raw, err := os.ReadFile(r.cfg.PodPatch)
		if err != nil {
			return s, fmt.Errorf("read the patch for the job's pod: %w", err)
		}
		s.PodPatch = string(raw)
	}
	return s, nil
}

// askLimit bounds the request to abort of a process that has to end.
const askLimit = 4 * time.Second

// attach prints the log of the target's Job and ends as the Job does. A signal
// leaves the Job alone, or aborts its rollout if the inputs say so.
func (r *run) attach(ctx context.Context) (action.Result, error) {
	namespace, name := r.cfg.Namespace, r.cfg.Deployment
	if name == "" {
		targets, err := detached.Targets(ctx, r.cluster, namespace)
		if err == nil && len(targets) != 1 {
			err = exit.Refuse("name one with deployment-name", fmt.Sprintf("namespace %s has %d releases that run as jobs: %q", namespace, len(targets), targets))
		}
		if err != nil {
			return r.conclude(nil, err)
		}
		name = targets[0]
	}
	r.cfg.Deployment = name
	result, err := detached.Attach(ctx, r.cluster, namespace, name, r.print)
	if ctx.Err() != nil {
		return r.leave(ctx, namespace, name)
	}
	if err != nil {
		return r.conclude(nil, &exit.Error{Status: exit.AbortFailed, Err: err, Hint: "type: " + r.command(commandStatus, namespace, name)})
	}
	r.console.End()
	out := action.Result{Status: exit.Status(result.Status), Outputs: result.Outputs, Summary: result.Summary, Hint: result.Hint}
	if len(result.Report) > 0 {
		path := filepath.Join(r.cfg.ReportDir, reportFile)
		if err := os.WriteFile(path, result.Report, 0o644); err != nil {
			return out, fmt.Errorf("write the report: %w", err)
		}
		out.Outputs["report"] = path
	}
	if out.Status == exit.Done {
		return out, nil
	}
	return out, &exit.Error{Status: out.Status, Err: errors.New(result.Error), Hint: result.Hint}
}

// leave ends the watching process after a signal.
func (r *run) leave(ctx context.Context, namespace, name string) (action.Result, error) {
	r.console.End()
	cause := context.Cause(ctx)
	if r.cfg.WhenCancelled != "abort" {
		return action.Result{}, &exit.Error{Status: exit.CouldNotRun, Err: fmt.Errorf("%w; the release goes on in the cluster", cause), Hint: "to watch it again, type: " + r.attachCommand()}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
	defer cancel()
	err := r.cluster.Ask(ctx, namespace, name, rollout.Steer{Request: rollout.RequestAbort, By: "run " + r.id.String()})
	if err != nil {
		return action.Result{}, &exit.Error{Status: exit.AbortFailed, Err: fmt.Errorf("%w; asking the release in the cluster to abort: %w", cause, err), Hint: "type: " + r.command("abort", namespace, name)}
	}
	return action.Result{}, &exit.Error{Status: exit.CouldNotRun, Err: fmt.Errorf("%w; the release in the cluster took the request to abort", cause), Hint: "see: " + r.command(commandStatus, namespace, name)}
}

// detachedRun returns the run of a Job's process, nil outside of one.
func detachedRun(getenv func(string) string) (*release.Run, error) {
	text := getenv(detached.EnvRun)
	if text == "" {
		return nil, nil
	}
	var id release.Run
	if err := json.Unmarshal([]byte(text), &id); err != nil {
		return nil, fmt.Errorf("read %s: %w", detached.EnvRun, err)
	}
	return &id, nil
}

// inJob is the work of a Job's process: it goes on with what an earlier pod of
// the same run left, stores the result and succeeds. A signal leaves everything
// to the next pod.
func (r *run) inJob(ctx context.Context) (action.Result, error) {
	d, err := r.continued(ctx)
	if d != nil && d.state.Phase != "" && !d.state.Phase.Terminal() || ctx.Err() != nil {
		r.console.End()
		return action.Result{}, &exit.Error{Status: exit.CouldNotRun, Err: fmt.Errorf("left at %s for the next pod: %w", phaseOf(d), context.Cause(ctx))}
	}
	result, err := r.conclude(d, err)
	stored := detached.Result{RunID: r.id.ID, Status: result.Status.Code(), Hint: result.Hint, Outputs: result.Outputs, Summary: result.Summary}
	if err != nil {
		status, hint := exit.Of(err)
		stored.Status, stored.Error, stored.Hint = status.Code(), err.Error(), hint
	}
	if raw, err := os.ReadFile(filepath.Join(r.cfg.ReportDir, reportFile)); err == nil && json.Valid(raw) {
		stored.Report = raw
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finish)
	defer cancel()
	if err := detached.Store(ctx, r.cluster, r.cfg.Namespace, r.cfg.Deployment, stored); err != nil {
		return action.Result{}, err
	}
	return action.Result{Outputs: result.Outputs}, nil
}

// continued goes on with the recorded rollout of this run, or starts it.
func (r *run) continued(ctx context.Context) (*delivery, error) {
	record, err := r.cluster.LoadRecord(ctx, r.cfg.Namespace, r.cfg.Deployment)
	if err != nil {
		return nil, err
	}
	if record == nil || record.Run.ID != r.id.ID {
		return r.deliver(ctx)
	}
	if record.State.Phase.Terminal() {
		return &delivery{found: &discover.Found{Record: record}, previous: record.PreviousImage, state: record.State}, nil
	}
	lease, err := r.acquire(ctx, record.Namespace, record.Deployment)
	if err != nil {
		return nil, err
	}
	defer r.releaseLease(ctx, lease)
	if record, err = r.record(ctx, record.Namespace, record.Deployment); err != nil {
		return nil, err
	}
	r.console.Logf("going on with this run's rollout: %s at weight %d", record.State.Phase, record.State.Weight)
	return r.resume(ctx, record, lease, rollout.Continue(record.State, time.Now()), true)
}

// ownLeaseLimit bounds the wait for the lease of an earlier pod of the same run.
const ownLeaseLimit = 2 * time.Minute

// isOwn reports whether a holder of the lease is an earlier pod of this Job.
func (r *run) isOwn(holder string) bool { return r.inCluster && strings.HasPrefix(holder, r.id.ID) }
