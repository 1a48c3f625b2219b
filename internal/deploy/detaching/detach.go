// Package detaching runs a release as a Job in the cluster: it starts the Job,
// watches it, and is its process.
package detaching

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/deploy/applying"
	"github.com/candlefish/deploy-action/internal/deploy/engine"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube/detached"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/takeover"
)

// Detach runs the release as a Job in the cluster and attaches to it.
func Detach(ctx context.Context, r *engine.Run) (action.Result, error) {
	if !r.Cfg.Attach {
		d, err := start(ctx, r)
		if err != nil || d != nil {
			return r.Conclude(d, err)
		}
		if !r.Cfg.Wait {
			namespace, name := r.Cfg.Namespace, r.Cfg.Deployment
			r.Console.End()
			r.Print(fmt.Sprintf("release %s runs in the cluster as job %s/%s; to watch it, type: %s", r.ID.ID, namespace, detached.Name(name), attachCommand(r)))
			return action.Result{Outputs: map[string]string{"status": "started"}}, nil
		}
	}
	return attach(ctx, r)
}

func attachCommand(r *engine.Run) string {
	return r.Command(view.Attach, r.Cfg.Namespace, r.Cfg.Deployment)
}

// start surveys the cluster as a run here would, and creates the Job. It returns
// a delivery if there is nothing to run.
func start(ctx context.Context, r *engine.Run) (*view.Delivery, error) {
	if err := r.Cfg.Rules.Prepare(r.Env()); err != nil {
		return nil, err
	}
	if err := r.Permitted(ctx); err != nil {
		return nil, err
	}
	found, err := r.Survey(ctx)
	if err != nil {
		return nil, err
	}
	if err := engine.LookAround(ctx, r, found); err != nil {
		return nil, err
	}
	if d, err := r.First(found); d != nil || err != nil {
		return d, err
	}
	r.Cfg.Deployment = found.Record.Deployment
	spec, err := job(r, found)
	if err != nil {
		return nil, err
	}
	err = detached.Start(ctx, r.Cluster, spec)
	var active *detached.ActiveError
	if errors.As(err, &active) {
		return nil, exit.Refuse("to watch it, type: "+attachCommand(r)+"; to end it: "+r.Command("abort", r.Cfg.Namespace, r.Cfg.Deployment), active.Error())
	}
	return nil, err
}

// job describes the Job for this run.
func job(r *engine.Run, found *discover.Found) (detached.Spec, error) {
	s := detached.Spec{
		Namespace: r.Cfg.Namespace, Deployment: found.Record.Deployment, Image: r.Cfg.RunImage, ServiceAccount: r.Cfg.ServiceAccount, Run: r.ID,
		Args: []string{"--namespace=" + r.Cfg.Namespace, "--deployment-name=" + found.Record.Deployment, "--image=" + r.Cfg.Image, "--probe-url=" + found.EntryPoint.URL, "--report-dir=."},
		Env:  map[string]string{"NO_COLOR": "1"},
	}
	given := r.Values.Given()
	for _, name := range inputs.Idle(r.Values, r.Cfg.Strategy) { // from the environment, for other strategies
		delete(given, name)
	}
	for _, setting := range r.Values.All() {
		if name := setting.Def.Name; given[name] != "" && !slices.Contains(inputs.Outside, name) {
			s.Args = append(s.Args, "--"+name+"="+given[name])
		}
	}
	// The Job has no event, so it gets what a marker in the commit's message chose.
	if !r.Values.IsSet("strategy") {
		s.Args = append(s.Args, "--strategy="+string(r.Cfg.Strategy))
	}
	if r.Cfg.Replace && !r.Values.IsSet("when-stable-is-down") {
		s.Args = append(s.Args, "--when-stable-is-down=replace")
	}
	if r.Cfg.AnalysisFile != "" {
		raw, err := os.ReadFile(r.Cfg.AnalysisFile)
		if err != nil {
			return s, fmt.Errorf("read the analysis file for the job: %w", err)
		}
		s.Files = map[string]string{"analysis.yaml": string(raw)}
		s.Args = append(s.Args, "--analysis-file="+detached.FilesDir+"/analysis.yaml")
	}
	if file := r.Cfg.BlueGreen.SmokeFile; file != "" {
		raw, err := os.ReadFile(file)
		if err != nil {
			return s, fmt.Errorf("read the smoke file for the job: %w", err)
		}
		if s.Files == nil {
			s.Files = map[string]string{}
		}
		s.Files["smoke.yaml"] = string(raw)
		s.Args = append(s.Args, "--smoke-file="+detached.FilesDir+"/smoke.yaml")
	}
	manifests, err := applying.Rendered(r.Cfg.Objects)
	if err != nil {
		return s, err
	}
	if len(manifests) > 0 {
		if s.Files == nil {
			s.Files = map[string]string{}
		}
		s.Files["manifests.json"] = string(manifests)
		s.Args = append(s.Args, "--manifests="+detached.FilesDir+"/manifests.json")
	}
	if r.Cfg.PodPatch != "" {
		raw, err := os.ReadFile(r.Cfg.PodPatch)
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
func attach(ctx context.Context, r *engine.Run) (action.Result, error) {
	namespace, name := r.Cfg.Namespace, r.Cfg.Deployment
	if name == "" {
		targets, err := detached.Targets(ctx, r.Cluster, namespace)
		if err == nil && len(targets) != 1 {
			err = exit.Refuse("name one with deployment-name", fmt.Sprintf("namespace %s has %d releases that run as jobs: %q", namespace, len(targets), targets))
		}
		if err != nil {
			return r.Conclude(nil, err)
		}
		name = targets[0]
	}
	r.Cfg.Deployment = name
	result, err := detached.Attach(ctx, r.Cluster, namespace, name, r.Print)
	if ctx.Err() != nil {
		return leave(ctx, r, namespace, name)
	}
	if errors.Is(err, detached.ErrNoJob) {
		return r.Conclude(nil, exit.Refuse("type: "+r.Command(inputs.CommandStatus, namespace, name), fmt.Sprintf("no job of deployment %s/%s: %s", namespace, name, detached.ErrNoJob)))
	}
	if err != nil {
		return r.Conclude(nil, &exit.Error{Status: exit.AbortFailed, Err: err, Hint: "type: " + r.Command(inputs.CommandStatus, namespace, name)})
	}
	r.Console.End()
	out := action.Result{Status: exit.Status(result.Status), Outputs: result.Outputs, Summary: result.Summary, Hint: result.Hint}
	if len(result.Report) > 0 {
		path := filepath.Join(r.Cfg.ReportDir, view.ReportFile)
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
func leave(ctx context.Context, r *engine.Run, namespace, name string) (action.Result, error) {
	r.Console.End()
	cause := context.Cause(ctx)
	if r.Cfg.WhenCancelled != "abort" {
		return action.Result{}, &exit.Error{Status: exit.CouldNotRun, Err: fmt.Errorf("%w; the release goes on in the cluster", cause), Hint: "to watch it again, type: " + attachCommand(r)}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askLimit)
	defer cancel()
	err := r.Cluster.Ask(ctx, namespace, name, rollout.Steer{Request: rollout.RequestAbort, By: "run " + r.ID.String()})
	if err != nil {
		return action.Result{}, &exit.Error{Status: exit.AbortFailed, Err: fmt.Errorf("%w; asking the release in the cluster to abort: %w", cause, err), Hint: "type: " + r.Command("abort", namespace, name)}
	}
	return action.Result{}, &exit.Error{Status: exit.CouldNotRun, Err: fmt.Errorf("%w; the release in the cluster took the request to abort", cause), Hint: "see: " + r.Command(inputs.CommandStatus, namespace, name)}
}

// RunOf returns the run of a Job's process, nil outside of one.
func RunOf(getenv func(string) string) (*release.Run, error) {
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

// InJob is the work of a Job's process: it goes on with what an earlier pod of
// the same run left, stores the result and succeeds. A signal leaves everything
// to the next pod.
func InJob(ctx context.Context, r *engine.Run) (action.Result, error) {
	d, err := continued(ctx, r)
	if d != nil && d.State.Phase != "" && !d.State.Phase.Terminal() || ctx.Err() != nil {
		r.Console.End()
		return action.Result{}, &exit.Error{Status: exit.CouldNotRun, Err: fmt.Errorf("left at %s for the next pod: %w", d.Phase(), context.Cause(ctx))}
	}
	result, err := r.Conclude(d, err)
	stored := detached.Result{RunID: r.ID.ID, Status: result.Status.Code(), Hint: result.Hint, Outputs: result.Outputs, Summary: result.Summary}
	if err != nil {
		status, hint := exit.Of(err)
		stored.Status, stored.Error, stored.Hint = status.Code(), err.Error(), hint
	}
	if raw, err := os.ReadFile(filepath.Join(r.Cfg.ReportDir, view.ReportFile)); err == nil && json.Valid(raw) {
		stored.Report = raw
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), inputs.Finish)
	defer cancel()
	if err := detached.Store(ctx, r.Cluster, r.Cfg.Namespace, r.Cfg.Deployment, stored); err != nil {
		return action.Result{}, err
	}
	return action.Result{Outputs: result.Outputs}, nil
}

// continued goes on with the recorded rollout of this run, or starts it.
func continued(ctx context.Context, r *engine.Run) (*view.Delivery, error) {
	record, err := r.Cluster.LoadRecord(ctx, r.Cfg.Namespace, r.Cfg.Deployment)
	if err != nil {
		return nil, err
	}
	if record == nil || record.Run.ID != r.ID.ID {
		return r.Deliver(ctx)
	}
	if record.State.Phase.Terminal() {
		return &view.Delivery{Found: &discover.Found{Record: record}, Previous: record.PreviousImage, State: record.State}, nil
	}
	lease, err := r.Acquire(ctx, record.Namespace, record.Deployment)
	if err != nil {
		return nil, err
	}
	defer r.ReleaseLease(ctx, lease)
	if record, err = r.Record(ctx, record.Namespace, record.Deployment); err != nil {
		return nil, err
	}
	r.Console.Logf("going on with this run's rollout: %s at weight %d", record.State.Phase, record.State.Weight)
	return r.Resume(ctx, record, lease, takeover.Continue(record.Plan, record.State, time.Now()), true)
}
