// Package deploy releases an image: it connects the rollout with the cluster,
// the probe stream, the judge, the console and the report.
//
// The action, the mage target and the tests all call Main. Report, summary,
// outputs and exit status come from one result value, which has only measured
// data.
package deploy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/connecting"
	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
)

// Version is this tool's version in the probe stream and the report.
const Version = "1.0.0"

// Main runs one deploy and returns its exit status.
func Main(env action.Env, args []string) int {
	return action.Run(env, args, Spec(), work)
}

// work runs a deploy with valid inputs.
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
		_ = log.Close() // every line is already written; nothing can report an error here
	}()
	r := &run{
		cfg:     cfg,
		id:      release.Run{ID: runID(a, started), URL: cfg.RunURL, Started: started.UTC()},
		console: out,
		action:  a,
		print: func(text string) {
			a.Print(text)
			_, _ = fmt.Fprintln(log, a.Redact(text)) // best effort: only the report file is required
		},
		signals: signals(ctx),
		started: started,
	}
	if err := r.configure(values); err != nil {
		return r.conclude(nil, err)
	}
	if job, err := detachedRun(a.Getenv); err != nil {
		return r.conclude(nil, err)
	} else if job != nil {
		r.id, r.inCluster, r.cfg.RunURL = *job, true, job.URL
	}
	if r.cluster, err = connect(ctx, cfg); err != nil {
		return r.conclude(nil, err)
	}
	switch {
	case r.inCluster:
		return r.inJob(ctx)
	case r.cfg.Command == commandDeploy && (r.cfg.RunIn == "cluster" || r.cfg.Attach):
		return r.detach(ctx)
	}
	d, err := r.perform(ctx)
	return r.conclude(d, err)
}

// configure takes the inputs, with the rules of the analysis file.
func (r *run) configure(values input.Values) error {
	cfg := configOf(values)
	cfg.RunURL, cfg.Replace = cmp.Or(cfg.RunURL, r.action.RunURL()), cfg.Replace || !values.IsSet("when-stable-is-down") && r.urgent()
	rules, err := judging.Load(cfg.AnalysisFile, cfg.limits())
	if err != nil {
		return err
	}
	cfg.Rules = rules
	r.values, r.cfg = values, cfg
	return nil
}

// urgent reports whether the commit that started the workflow is marked as a fix
// for production.
func (r *run) urgent() bool {
	path := r.action.Getenv("GITHUB_EVENT_PATH")
	if path == "" {
		return false
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	var event struct {
		HeadCommit struct {
			Message string `json:"message"`
		} `json:"head_commit"`
	}
	if json.Unmarshal(raw, &event) != nil {
		return false
	}
	message := strings.ToLower(event.HeadCommit.Message)
	return strings.Contains(message, "[hotfix]") || strings.Contains(message, "[emergency]")
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

// connect creates the connection to the cluster. It sends no request to it.
func connect(ctx context.Context, c Config) (*kube.Cluster, error) {
	return connecting.Connect(ctx, connecting.Options{
		Kubeconfig: c.Kubeconfig, Context: c.KubeContext, EKSCluster: c.EKSCluster, Region: c.Region,
	})
}
