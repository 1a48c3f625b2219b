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
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/judgefile"
	"github.com/candlefish/deploy-action/internal/kube"
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
	r := &run{
		cfg:     cfg,
		id:      kube.RunID{ID: runID(a, started), URL: cfg.RunURL, Started: started.UTC()},
		signals: signals(ctx),
		started: started,
		getenv:  a.Getenv,
	}
	var err error
	if r.tell, err = newTeller(a, cfg); err != nil {
		return action.Result{}, err
	}
	defer r.tell.close()
	if r.cfg.Analysis, err = judgefile.Load(cfg.AnalysisFile, cfg.limits()); err != nil {
		return r.conclude(nil, &exit.Error{Status: exit.BadInput, Err: err, Hint: "docs/analysis.md says what the file takes"})
	}
	// From here a signal is the rollout's to handle: it puts traffic back.
	steady := context.WithoutCancel(ctx)
	closeSandbox, err := r.connect(ctx)
	if err != nil {
		return r.conclude(nil, err)
	}
	defer closeSandbox()
	d, err := r.deliver(steady)
	return r.conclude(d, err)
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

// connect finds the cluster. Without one, the stage on this machine is used
// and the sample application with it; the returned function gives it up.
func (r *run) connect(ctx context.Context) (func(), error) {
	cluster, err := kube.Connect(kube.ConnectOptions{Kubeconfig: r.cfg.Kubeconfig, Context: r.cfg.KubeContext})
	if err == nil {
		r.cluster = cluster
		if r.cfg.Image == "" {
			return func() {}, &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("image: required on a cluster of your own"), Hint: "give --image registry/name:tag or IMAGE"}
		}
		return func() {}, nil
	}
	if !errors.Is(err, kube.ErrNoCluster) {
		return func() {}, err
	}
	return r.onSandbox(ctx)
}
