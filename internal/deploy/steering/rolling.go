package steering

import (
	"context"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/engine"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/rolling"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/takeover"
)

func isRolling(record *release.Record) bool { return record.Plan.Strategy == rollout.StrategyRolling }

// undo goes back to the revision from before a rolling update: to the recorded one,
// whether the update has ended or not. If the workload no longer keeps that one, its
// image is released again.
func undo(ctx context.Context, r *engine.Run, record *release.Record, lease *kube.Lease, by string) (*view.Delivery, error) {
	target, err := rolling.New(ctx, r.Cluster, record, lease)
	if err != nil {
		return nil, err
	}
	there := target.Recorded()
	target.Close()
	if !there {
		return releasePrevious(ctx, r, record, lease)
	}
	if record.State.Phase == rollout.PhasePromoted {
		return r.Resume(ctx, record, lease, takeover.Undo(record.State, time.Now(), by), false)
	}
	state := takeover.Undo(record.State, time.Now(), by)
	state.Undone = record.State.Undone
	return r.Resume(ctx, record, lease, state, false)
}

// lookRolling reads what is live of a recorded rolling update.
func lookRolling(ctx context.Context, r *engine.Run, record *release.Record, s *status) error {
	target, err := rolling.New(ctx, r.Cluster, record, nil)
	if err != nil {
		return err
	}
	defer target.Close()
	s.ReadyEndpoints = map[string]int{}
	s.Pods, s.LiveImage, s.Workload = target.Pods(), target.Live(), record.Workload()
	return nil
}
