// Package applying is what a release does with its manifests: it plans them,
// applies what the new pods need before the rollout, and the rest after its end.
package applying

import (
	"context"
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/apply"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/manifest"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// Manifests are those of one run.
type Manifests struct {
	Cluster *kube.Cluster
	Cfg     inputs.Config
	Console *console.Console

	plan *apply.Plan // what they change, by the last survey
}

// Recorded is the part of a target that keeps the record of its release.
type Recorded interface {
	Record() *release.Record
	Save(ctx context.Context, s rollout.State) error
}

// Survey asks the API server what the manifests would change. What it
// refuses is an obstacle.
func (r *Manifests) Survey(ctx context.Context, found *discover.Found) error {
	r.plan = nil
	if len(r.Cfg.Objects) == 0 {
		return nil
	}
	if s := found.Record.Rolling; s != nil && s.Kind != "Deployment" {
		found.Obstacles = append(found.Obstacles, fmt.Sprintf("manifests release a Deployment, and %s is a %s: release its image alone", found.Record.Deployment, s.Kind))
		return nil
	}
	plan, err := r.applier().Survey(ctx, found.Record, r.Cfg.Objects, r.Cfg.Prune)
	if err != nil {
		return &exit.Error{Status: exit.CouldNotRun, Err: err}
	}
	found.Obstacles = append(found.Obstacles, plan.Refusals...)
	found.Warnings = append(found.Warnings, plan.Warnings...)
	r.plan = plan
	return nil
}

func (r *Manifests) applier() *apply.Client {
	return apply.New(r.Cluster, r.Cfg.Namespace, r.Cfg.ForceConflicts)
}

// Permissions returns what the manifests need.
func (r *Manifests) Permissions() []kube.Permission {
	if len(r.Cfg.Objects) == 0 {
		return nil
	}
	secrets := false
	for _, o := range r.Cfg.Objects {
		secrets = secrets || o.Is("", "Secret")
	}
	return apply.Permissions(secrets)
}

// Any reports whether the manifests change something besides the pods.
func (r *Manifests) Any() bool { return r.plan != nil && !r.plan.Empty() }

// differences returns the diff of the manifests, for the plan and the report.
func (r *Manifests) Differences() []apply.Difference {
	if r.plan == nil {
		return nil
	}
	return r.plan.Diff
}

// Only applies manifests that leave the pods as they are.
func (r *Manifests) Only(ctx context.Context, found *discover.Found) (*view.Delivery, error) {
	client, record, b := r.applier(), found.Record, r.plan.Bundle
	err := client.Before(ctx, b, r.Cfg.ProgressDeadline, r.say)
	if err == nil {
		err = client.After(ctx, b, r.Cfg.ProgressDeadline, r.say)
	}
	if err == nil {
		err = apply.Save(ctx, r.Cluster, record.Namespace, record.Deployment, b.Done(false))
	}
	if err == nil {
		err = apply.Collect(ctx, r.Cluster, record.Namespace, record.Deployment)
	}
	if err != nil {
		return nil, fmt.Errorf("apply the manifests: %w; the pods are as they were", err)
	}
	return &view.Delivery{Found: found, Applied: len(b.Items) + len(b.Prune), Changes: r.Differences(), Previous: record.Stable.Image}, nil
}

func (r *Manifests) say(line string) { r.Console.Logf("%s", line) }

// Before records the release, stores its manifests and applies what the new
// pods need.
func (r *Manifests) Before(ctx context.Context, target Recorded, state rollout.State) error {
	if !r.Any() {
		return nil
	}
	record, b := target.Record(), r.plan.Bundle
	record.Manifests, b.Run = true, record.Run.ID
	if err := target.Save(ctx, state); err != nil {
		return err
	}
	if err := apply.Save(ctx, r.Cluster, record.Namespace, record.Deployment, b); err != nil {
		return err
	}
	return r.applier().Before(ctx, b, r.Cfg.ProgressDeadline, r.say)
}

// Settle ends what a release does with its manifests: once the new version alone
// serves, it applies the rest; after an abort it gives back what was there. What
// it cannot do stays recorded for the next run.
func (r *Manifests) Settle(ctx context.Context, target Recorded, s rollout.State) error {
	record := target.Record()
	if !record.Manifests || !s.Phase.Terminal() {
		return nil
	}
	aborted := s.Phase == rollout.PhaseAborted
	switch {
	case s.Leftover != "" && s.Phase == rollout.PhasePromoted:
		r.Console.Logf("the rest of the manifests is applied when the previous version is removed")
		return nil
	case s.Leftover != "" || !aborted && s.Phase != rollout.PhasePromoted:
		return nil
	}
	b, err := apply.Load(ctx, r.Cluster, record.Namespace, record.Deployment)
	if err != nil {
		return err
	}
	if b.Run == record.Run.ID {
		if err := r.apply(ctx, record, b, aborted); err != nil {
			return err
		}
	}
	if err := apply.Collect(ctx, r.Cluster, record.Namespace, record.Deployment); err != nil {
		return err
	}
	record.Manifests = false
	return target.Save(ctx, s)
}

// apply applies the rest of a bundle, or undoes its beginning.
func (r *Manifests) apply(ctx context.Context, record *release.Record, b apply.Bundle, aborted bool) error {
	client := apply.New(r.Cluster, record.Namespace, r.Cfg.ForceConflicts)
	if aborted {
		if err := client.Undo(ctx, b, r.say); err != nil {
			return fmt.Errorf("give back what was there before the manifests: %w", err)
		}
	} else if err := client.After(ctx, b, r.Cfg.ProgressDeadline, r.say); err != nil {
		return fmt.Errorf("apply the rest of the manifests: %w", err)
	}
	return apply.Save(ctx, r.Cluster, record.Namespace, record.Deployment, b.Done(aborted))
}

// Failed ends a release whose manifests could not be applied before its first
// new pod: nothing of the rollout has begun.
func (r *Manifests) Failed(ctx context.Context, target Recorded, cause error) (rollout.State, error) {
	state := rollout.State{Phase: rollout.PhaseAborted, Stage: rollout.StageEnd, Since: time.Now(), Reason: fmt.Sprintf("before the first new pod: %v", cause)}
	return state, target.Save(ctx, state)
}

// Rendered returns the manifests as one stream, for another process. It is empty
// if there are none.
func Rendered(objects []manifest.Object) ([]byte, error) {
	if len(objects) == 0 {
		return nil, nil
	}
	for _, o := range objects {
		if o.Is("", "Secret") {
			return nil, exit.Refuse("run it with run-in: runner, or manage the Secret outside of the manifests", fmt.Sprintf("%s: %s: a Job gets its manifests in a ConfigMap, which is no place for a Secret", o.At, o))
		}
	}
	return manifest.Encode(objects)
}
