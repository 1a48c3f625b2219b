package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/deploy/engine"
	"github.com/candlefish/deploy-action/internal/deploy/fleet/member"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/inputs/members"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// Asked reports whether the inputs name several members.
func Asked(v input.Values) bool { return members.Asked(v) }

// alone are the commands on one target's record that leave its group alone.
var alone = []string{inputs.CommandHistory, inputs.CommandForget, string(rollout.RequestRelease)}

// Before looks for the unfinished group that the target of a single run belongs to. A
// command on it is one on the group, whose result it returns; a release of the target,
// or a reaper, ends the group first. It returns nil to go on with the single run.
func Before(ctx context.Context, r *engine.Run) (*action.Result, error) {
	command := r.Cfg.Command
	if command == inputs.CommandReap {
		return nil, reap(ctx, r)
	}
	if r.Cfg.PlanOnly || slices.Contains(alone, command) {
		return nil, nil
	}
	namespace, name, err := r.Target(ctx, nil)
	if err != nil {
		return nil, nil //nolint:nilerr // the run itself finds the target, or says why not
	}
	f, err := Of(ctx, r, namespace, name)
	if f != nil {
		defer f.Close()
	}
	if command == inputs.CommandStatus && err != nil { // what can be seen is shown
		_, hint := exit.Of(err)
		r.Console.Warn(fmt.Sprintf("%v; %s", err, hint))
		return nil, nil
	}
	if f == nil || err != nil {
		return nil, err
	}
	if command == inputs.CommandDeploy {
		return nil, f.End(ctx)
	}
	r.Console.End()
	result, err := f.Command(ctx)
	return &result, err
}

// reap ends the unfinished groups of the namespace that nobody drives, except those
// that a person paused.
func reap(ctx context.Context, r *engine.Run) error {
	records, err := r.Cluster.Records(ctx, r.Cfg.Namespace)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, record := range records {
		g := member.GroupOf(record.Record)
		if g == nil || seen[g.ID] || r.Cfg.Deployment != "" && record.Deployment != r.Cfg.Deployment {
			continue
		}
		seen[g.ID] = true
		if err := reapGroup(ctx, r, record.Deployment); err != nil {
			return err
		}
	}
	return nil
}

// reapGroup ends the group of a target, unless it is driven or paused.
func reapGroup(ctx context.Context, r *engine.Run, deployment string) error {
	f, err := Of(ctx, r, r.Cfg.Namespace, deployment)
	if f != nil {
		defer f.Close()
	}
	if f == nil || err != nil {
		return err
	}
	for _, m := range f.members {
		if err := m.Load(ctx); err != nil {
			return err
		}
		if m.Record != nil && m.Record.State.Phase == rollout.PhasePaused {
			f.logf("run %s left the group paused; it is not reaped", f.group.ID)
			return nil
		}
	}
	err = f.End(ctx)
	var held *kube.HeldError
	if errors.As(err, &held) {
		f.logf("%v", err)
		return nil // it is driven
	}
	return err
}
