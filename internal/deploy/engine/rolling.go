package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/rolling"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/loop"
	"github.com/candlefish/deploy-action/internal/rollout/takeover"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// A Target is what a strategy changes, and how its pods are.
type Target interface {
	loop.Target
	judging.Target
	Close()
	Continues(rollout.State)
	Pods() []workload.PodView
	Missing() []string
	Failure(context.Context) *workload.PodFailure
	Proof(context.Context) (workload.Proof, error)
}

// open returns the target of a record, by its strategy.
func open(ctx context.Context, c *kube.Cluster, record *release.Record, lease *kube.Lease) (Target, error) {
	if record.Plan.Strategy == rollout.StrategyRolling {
		return rolling.New(ctx, c, record, lease)
	}
	return workload.New(ctx, c, record, lease)
}

// surveyRolling is Survey for a rolling update, which needs no route.
func surveyRolling(ctx context.Context, r *Run) (*discover.Found, error) {
	found, err := rolling.Find(ctx, r.Cluster, discover.Query{
		Namespace: r.Cfg.Namespace, Deployment: r.Cfg.Deployment, Service: r.Cfg.Service, Container: r.Cfg.Container, VersionLabel: r.Cfg.VersionLabel,
		Image: r.Cfg.Image, Images: r.Cfg.Images, DefaultDeployment: inputs.DefaultDeployment, Now: time.Now(),
	}, r.Cfg.WorkloadKind, r.Cfg.Rolling)
	if err != nil {
		return nil, &exit.Error{Status: exit.CouldNotRun, Err: err}
	}
	missing, err := r.Cluster.Missing(ctx, r.Cfg.Namespace, rolling.Permissions(found.Record.Rolling.Kind)...)
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

// unseenStable is the identity for a rolling update of a version that does not serve:
// no test request can reach the new pods alone, so nothing tells the versions apart.
func unseenStable(cfg traffic.Config) traffic.Identity {
	id := traffic.Unknown(cfg)
	id.Late, id.Why = false, "the stable version does not serve, so its answers are not known"
	return id
}

// finishRolling returns the state from which an earlier run's rolling update is
// finished.
func finishRolling(r *Run, record *release.Record, by string) rollout.State {
	state := takeover.Resume(record.Plan, record.State, time.Now(), by)
	how := "going back to " + record.PreviousImage
	if state.Phase == rollout.PhasePromoting {
		how = "all its pods are new and were judged"
	}
	r.Console.Logf("found the unfinished rolling update of run %s (%s): %s with %d new pods asked for since %s; finishing it first: %s",
		record.Run, record.Image, record.State.Phase, record.State.Pods, record.State.Since.Format(time.RFC3339), how)
	return state
}

// admit asks the cluster in a dry run whether it takes what a release would create.
func admit(ctx context.Context, c *kube.Cluster, record *release.Record) (refusals, warnings []string, err error) {
	if record.Rolling != nil {
		return rolling.Admit(ctx, c, record)
	}
	return workload.Admit(ctx, c, record, 100)
}

// required returns the permissions that are known to be needed before the survey.
func required(ctx context.Context, r *Run) ([]kube.Permission, error) {
	if r.Cfg.Strategy == rollout.StrategyRolling {
		return rolling.Permissions("auto"), nil
	}
	return discover.Required(ctx, r.Cluster, r.Cfg.Namespace, r.Cfg.Router)
}
