// Package deploy releases an image: it connects the rollout with the cluster,
// the probe stream, the judge, the console and the report.
//
// The action, the mage target and the tests all call Main. Report, summary,
// outputs and exit status come from one result value, which has only measured
// data.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/connecting"
	"github.com/candlefish/deploy-action/internal/deploy/detaching"
	"github.com/candlefish/deploy-action/internal/deploy/engine"
	"github.com/candlefish/deploy-action/internal/deploy/fleet"
	"github.com/candlefish/deploy-action/internal/deploy/forge"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/steering"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/release"
)

// Spec defines the inputs, outputs and permissions of a deploy.
func Spec() input.Spec { return inputs.Spec() }

// RBAC returns the manifest of a ServiceAccount for releases that run in the
// cluster.
func RBAC(namespace, account string) string { return inputs.RBAC(namespace, account) }

// Main runs one deploy and returns its exit status.
func Main(env action.Env, args []string) int {
	return action.Run(env, args, Spec(), func(ctx context.Context, a *action.Action, values input.Values) (action.Result, error) {
		return work(ctx, a, env.Program, values)
	})
}

// work runs a deploy with valid inputs.
func work(ctx context.Context, a *action.Action, program string, values input.Values) (action.Result, error) {
	cfg := inputs.ConfigOf(values)
	if cfg.RunURL == "" {
		cfg.RunURL = a.RunURL()
	}
	started := time.Now()
	out, log, err := openConsole(a, cfg, fleet.Asked(values))
	if err != nil {
		return action.Result{}, err
	}
	defer func() {
		out.Close()
		_ = log.Close() // every line is already written; nothing can report an error here
	}()
	r := &engine.Run{
		Run: view.Run{
			Cfg:     cfg,
			ID:      release.Run{ID: runID(a, started), URL: cfg.RunURL, Started: started.UTC()},
			Console: out,
			Action:  a,
			Print: func(text string) {
				a.Print(text)
				_, _ = fmt.Fprintln(log, a.Redact(text)) // best effort: only the report file is required
			},
			Started: started,
			Program: program,
		},
		Signals: signals(ctx),
		Targets: connecting.Targets(connecting.Options{EKSCluster: cfg.EKSCluster, Region: cfg.Region}),
	}
	if err := r.Configure(values); err != nil {
		return r.Conclude(nil, err)
	}
	if job, err := detaching.RunOf(a.Getenv); err != nil {
		return r.Conclude(nil, err)
	} else if job != nil {
		r.ID, r.InCluster, r.Cfg.RunURL = *job, true, job.URL
	}
	if fleet.Asked(values) {
		return fleet.Run(ctx, r)
	}
	r.Cluster, err = connecting.Connect(ctx, connecting.Options{Kubeconfig: cfg.Kubeconfig, Context: cfg.KubeContext, EKSCluster: cfg.EKSCluster, Region: cfg.Region})
	if err != nil {
		return r.Conclude(nil, err)
	}
	err = r.Cluster.Reach(ctx, func(why error, until time.Time) {
		out.Await(fmt.Sprintf("the API server to answer (%v)", why), until)
	})
	if err != nil {
		return r.Conclude(nil, err)
	}
	switch {
	case r.InCluster:
		return detaching.InJob(ctx, r)
	case r.Cfg.Command == inputs.CommandDeploy && (r.Cfg.RunIn == "cluster" || r.Cfg.Attach):
		return detaching.Detach(ctx, r)
	}
	if result, err := fleet.Before(ctx, r); result != nil {
		return *result, err
	} else if err != nil {
		return r.Conclude(nil, err)
	}
	told := forge.Open(ctx, r)
	d, err := perform(ctx, r)
	told.Close(ctx, d, err)
	return r.Conclude(d, err)
}

// openConsole shows the run on the terminal or in the CI log, and writes it to
// the log file. Several members have lines, not one live view.
func openConsole(a *action.Action, c inputs.Config, several bool) (*console.Console, *os.File, error) {
	if err := os.MkdirAll(c.ReportDir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("make report-dir: %w", err)
	}
	log, err := os.Create(filepath.Join(c.ReportDir, view.LogFile))
	if err != nil {
		return nil, nil, fmt.Errorf("open the log: %w", err)
	}
	o := console.Options{Out: console.Printer(a.Print), Getenv: a.Getenv, Group: a.Group, EndGroup: a.EndGroup}
	if stdout := a.Stdout(); stdout != nil && !several && console.TerminalWidth(stdout)() > 0 {
		o.Out, o.Width = stdout, console.TerminalWidth(stdout)
	}
	annotate := func(warning string) bool {
		if a.OnRunner() {
			a.Annotate(action.Annotation{Level: action.Warning, Message: warning})
		}
		return a.OnRunner()
	}
	return console.Start(a.Redact, annotate, console.New(o), console.NewPlain(log, nil, nil)), log, nil
}

// signals converts the cancellation of a run to the signal name that the
// rollout expects.
func signals(ctx context.Context) <-chan string {
	c := make(chan string, 1)
	context.AfterFunc(ctx, func() {
		name := "the end of the run"
		var s *action.SignalError
		if errors.As(context.Cause(ctx), &s) {
			name = s.Signal.String()
		}
		c <- name
	})
	return c
}

// runID returns the workflow run and attempt, or the local time.
func runID(a *action.Action, now time.Time) string {
	if id := a.Getenv("GITHUB_RUN_ID"); id != "" {
		return id + "." + a.Getenv("GITHUB_RUN_ATTEMPT")
	}
	return "local-" + now.UTC().Format("20060102T150405.000")
}

// perform runs the command of the inputs.
func perform(ctx context.Context, r *engine.Run) (*view.Delivery, error) {
	switch r.Cfg.Command {
	case inputs.CommandDeploy:
		return r.Deliver(ctx)
	case inputs.CommandReap:
		return steering.Reap(ctx, r)
	}
	namespace, name, err := r.Target(ctx, nil)
	if err != nil {
		return nil, err
	}
	switch r.Cfg.Command {
	case inputs.CommandStatus:
		return steering.Status(ctx, r, namespace, name)
	case inputs.CommandHistory:
		return steering.History(ctx, r, namespace, name)
	case inputs.CommandForget:
		return steering.Forget(ctx, r, namespace, name)
	}
	return steering.Steer(ctx, r, namespace, name)
}
