package member

import (
	"context"
	"errors"
	"testing"

	"github.com/candlefish/deploy-action/internal/deploy/inputs/members"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

func newMember() *Member {
	return New(0, members.Member{Name: "web"}, Host{Changed: make(chan struct{}, 1)})
}

// Every phase of a rollout that is driven is one of a member, and no end is.
func TestPhaseOfADrivenRollout(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		state rollout.State
		want  fleet.Phase
	}{
		{rollout.State{Phase: rollout.PhasePending}, fleet.Rising},
		{rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageDwell}, fleet.Rising},
		{rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageHold}, fleet.Holding},
		{rollout.State{Phase: rollout.PhasePromoting}, fleet.Promoting},
		{rollout.State{Phase: rollout.PhaseBaking, Stage: rollout.StageBake}, fleet.Baking},
		{rollout.State{Phase: rollout.PhaseBaking, Stage: rollout.StageKept}, fleet.Kept},
		{rollout.State{Phase: rollout.PhaseCleaning}, fleet.Ending},
		{rollout.State{Phase: rollout.PhaseCleaning, Reverted: true}, fleet.GoingBack},
		{rollout.State{Phase: rollout.PhaseReverting, Reverted: true}, fleet.GoingBack},
		{rollout.State{Phase: rollout.PhaseAborting}, fleet.GoingBack},
		{rollout.State{Phase: rollout.PhasePromoted}, ""},
		{rollout.State{Phase: rollout.PhaseAborted}, ""},
		{rollout.State{Phase: rollout.PhasePaused}, ""},
		{rollout.State{Phase: rollout.PhaseFailed}, ""},
	} {
		if got := phaseOf(test.state); got != test.want {
			t.Errorf("%s, %s: %q, want %q", test.state.Phase, test.state.Stage, got, test.want)
		}
	}
}

// An operation that could not start has changed nothing, unless something was left
// before it; an unknown end is never a success.
func TestTheEndOfAnOperation(t *testing.T) {
	t.Parallel()
	delivery := func(s rollout.State) *view.Delivery { return &view.Delivery{State: s} }
	for name, test := range map[string]struct {
		d       *view.Delivery
		err     error
		changes bool
		want    fleet.Phase
	}{
		"refused":         {nil, exit.Refuse("", "no route"), false, fleet.Refused},
		"left and stuck":  {nil, exit.Refuse("", "no route"), true, fleet.Failed},
		"not ended":       {nil, &exit.Error{Status: exit.AbortFailed, Err: errors.New("finish")}, false, fleet.Failed},
		"not recorded":    {&view.Delivery{State: rollout.State{Phase: rollout.PhasePromoted}, SaveErr: errors.New("no")}, nil, false, fleet.Failed},
		"unchanged":       {&view.Delivery{Unchanged: true}, nil, false, fleet.Unchanged},
		"promoted":        {delivery(rollout.State{Phase: rollout.PhasePromoted}), nil, false, fleet.Done},
		"warm":            {delivery(rollout.State{Phase: rollout.PhasePromoted, Leftover: rollout.LeftoverPrevious}), nil, false, fleet.Warm},
		"aborted":         {delivery(rollout.State{Phase: rollout.PhaseAborted}), nil, false, fleet.Back},
		"paused":          {delivery(rollout.State{Phase: rollout.PhasePaused}), nil, false, fleet.Paused},
		"failed":          {delivery(rollout.State{Phase: rollout.PhaseFailed}), nil, false, fleet.Failed},
		"left by a fence": {delivery(rollout.State{Phase: rollout.PhaseProgressing}), nil, false, fleet.Failed},
	} {
		if got, _ := ended(test.d, test.err, test.changes); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// The way back is asked for until the rollout shows it, also of one that begins only
// later; a promotion is asked for once.
func TestTheWayBackIsAskedForAgain(t *testing.T) {
	t.Parallel()
	m := newMember()
	m.Set(fleet.Rising, "")
	m.Ask(rollout.RequestRollback, "its group")
	first, stop := context.WithCancel(t.Context())
	if s := <-m.requests(first); s.Request != rollout.RequestRollback || s.By != "its group" {
		t.Errorf("asked for %+v", s)
	}
	stop()
	again := m.requests(t.Context())
	if s := <-again; s.Request != rollout.RequestRollback {
		t.Errorf("asked for %+v of the next rollout", s)
	}
	m.Set(fleet.GoingBack, "asked")
	if s := pending(m); s.Request != "" {
		t.Errorf("asked for %+v once more", s)
	}
	m.Ask(rollout.RequestPromote, "its group")
	m.Set(fleet.Holding, "")
	m.Ask(rollout.RequestPromote, "its group")
	if s, again := pending(m), pending(m); s.Request != rollout.RequestPromote || again.Request != "" {
		t.Errorf("asked for %+v, then %+v", s, again)
	}
}

// What was asked is remembered until the phase shows it, and the way back through a
// promotion.
func TestWhatWasAskedIsRemembered(t *testing.T) {
	t.Parallel()
	m := newMember()
	m.Set(fleet.Holding, "")
	m.Began(fleet.Promote)
	if m.Set(fleet.Promoting, ""); m.Status().Asked != "" {
		t.Errorf("still asked to %s", m.Status().Asked)
	}
	m.Began(fleet.Rollback)
	if m.Set(fleet.Baking, ""); m.Status().Asked != fleet.Rollback {
		t.Errorf("asked to %q while it is promoted", m.Status().Asked)
	}
	if m.Set(fleet.GoingBack, "bad"); m.Status().Asked != "" || m.Status().Reason != "bad" {
		t.Errorf("status %+v", m.Status())
	}
	since := m.Status().Since
	if m.Set(fleet.GoingBack, ""); !m.Status().Since.Equal(since) {
		t.Error("the same phase began again")
	}
}

// Where the last release has ended and left nothing, a refused way back has changed
// nothing: the member is refused, not in an unknown state.
func TestNothingToGoBackTo(t *testing.T) {
	t.Parallel()
	refusal := exit.Refuse("", "rollback: the last release ended Aborted and left nothing to go back from")
	for want, s := range map[fleet.Phase]rollout.State{
		fleet.Refused: {Phase: rollout.PhaseAborted},
		fleet.Failed:  {Phase: rollout.PhasePromoted, Leftover: rollout.LeftoverPrevious},
	} {
		if got, _ := ended(nil, refusal, leftSomething(&release.Record{State: s})); got != want {
			t.Errorf("%s, left %q: %s, want %s", s.Phase, s.Leftover, got, want)
		}
	}
}
