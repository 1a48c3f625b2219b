package loop

import (
	"context"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// A target does nothing, and counts what it is asked for.
type target struct {
	fenced         string
	saved, carried int
}

func (t *target) Observe(context.Context, rollout.State) (rollout.Observation, error) {
	return rollout.Observation{Fenced: t.fenced}, nil
}
func (t *target) Do(context.Context, rollout.Action, rollout.State) error { t.carried++; return nil }
func (t *target) Save(context.Context, rollout.State) error               { t.saved++; return nil }
func (t *target) Changed() <-chan struct{}                                { return nil }

type silence struct{}

func (silence) ActionDone(rollout.Action, rollout.State, time.Time) {}
func (silence) Annotate(o rollout.Observation, _ rollout.State) rollout.Observation {
	return o
}
func (silence) Changed() <-chan struct{} { return nil }

// A run that saw another one take over recorded its end, and the other run read
// it as the state of the rollout.
func TestAFencedRunRecordsNothing(t *testing.T) {
	t.Parallel()
	seen := &target{fenced: "run 8"}
	r := Runner{Target: seen, Traffic: silence{}, Now: time.Now, After: time.After, Report: func(rollout.State, rollout.Action, rollout.Observation) {}}
	plan := rollout.Plan{Steps: []rollout.Step{{Weight: 100, Dwell: time.Minute}}, Finish: time.Minute}
	end, err := r.Run(t.Context(), plan, rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageDwell})
	if err != nil {
		t.Fatal(err)
	}
	if end.Phase != rollout.PhaseFailed {
		t.Errorf("the run ended %s, want %s", end.Phase, rollout.PhaseFailed)
	}
	if seen.saved != 0 || seen.carried != 0 {
		t.Errorf("it recorded %d times and acted %d times after another run took over", seen.saved, seen.carried)
	}
}
