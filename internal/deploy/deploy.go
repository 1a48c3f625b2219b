// Package deploy releases an image: it joins the rollout with the cluster, the
// probe stream, the judge and what people see of them.
//
// One function, Main, is behind the action, the mage target and the tests. All
// that a run says — terminal, report, summary, outputs, exit status — comes from
// one result value, which is built from what was seen and from nothing else.
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
	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
)

// Version is this tool's version, as the probe stream and the report name it.
const Version = "1.0.0"

// Main runs one deploy and returns its exit status.
func Main(env action.Env, args []string) int {
	return action.Run(env, args, Spec(), work)
}

// work is a deploy whose inputs are known to be good.
func work(ctx context.Context, a *action.Action, values input.Values) (action.Result, error) {
	cfg := configOf(values)
	if cfg.RunURL == "" {
		cfg.RunURL = a.RunURL()
	}
	started := time.Now()
	out, log, err := openConsole(a, cfg)
	if err != nil {
		return action.Result{}, err
	}
	defer func() {
		out.Close()
		_ = log.Close() // every line was written at once; there is nobody left to tell
	}()
	r := &run{
		cfg:     cfg,
		id:      release.Run{ID: runID(a, started), URL: cfg.RunURL, Started: started.UTC()},
		console: out,
		action:  a,
		print: func(text string) {
			a.Print(text)
			_, _ = fmt.Fprintln(log, a.Redact(text)) // the report file is what has to be written
		},
		signals: signals(ctx),
		started: started,
	}
	if r.cfg.Rules, err = judging.Load(cfg.AnalysisFile, cfg.limits()); err != nil {
		return r.conclude(nil, err)
	}
	// From here a signal is the rollout's to handle: it puts traffic back.
	steady := context.WithoutCancel(ctx)
	if r.cluster, err = connect(cfg); err != nil {
		return r.conclude(nil, err)
	}
	d, err := r.deliver(steady)
	return r.conclude(d, err)
}

// openConsole shows the run on the terminal or in the CI log, and writes it to
// the log file.
func openConsole(a *action.Action, c Config) (*console.Console, *os.File, error) {
	if err := os.MkdirAll(c.ReportDir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("make report-dir: %w", err)
	}
	log, err := os.Create(filepath.Join(c.ReportDir, logFile))
	if err != nil {
		return nil, nil, fmt.Errorf("open the log: %w", err)
	}
	o := console.Options{Out: console.Printer(a.Print), Getenv: a.Getenv, Group: a.Group, EndGroup: a.EndGroup}
	if stdout := a.Stdout(); stdout != nil && console.TerminalWidth(stdout)() > 0 {
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

// signals turns the cancellation of a run into what the rollout listens to.
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

// runID is the workflow run and attempt, or this machine's moment.
func runID(a *action.Action, now time.Time) string {
	if id := a.Getenv("GITHUB_RUN_ID"); id != "" {
		return id + "." + a.Getenv("GITHUB_RUN_ATTEMPT")
	}
	return "local-" + now.UTC().Format("20060102T150405.000")
}

// connect makes the connection to the cluster. It sends nothing.
func connect(c Config) (*kube.Cluster, error) {
	cluster, err := kube.Connect(kube.ConnectOptions{Kubeconfig: c.Kubeconfig, Context: c.KubeContext})
	if errors.Is(err, kube.ErrNoCluster) {
		return nil, exit.Refuse("set kubeconfig or KUBECONFIG", err.Error())
	}
	return cluster, err
}
