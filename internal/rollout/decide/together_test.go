package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/takeover"
)

// grouped is the plan of a member of a group.
func grouped() rollout.Plan {
	p := plan()
	p.Hold, p.HoldPromotion = time.Minute, true
	return p
}

// promotedAfter bends a world in which the group promotes its member after a time of
// each wait for the others.
func promotedAfter(d time.Duration) func(*rollout.Observation, rollout.State) {
	return func(o *rollout.Observation, s rollout.State) {
		if (s.Stage == rollout.StageHold || s.Stage == rollout.StageKept) && o.Now.Sub(s.Since) >= d {
			o.Request, o.By = rollout.RequestPromote, "its group"
		}
	}
}

func TestAMemberWaitsForItsGroupTwice(t *testing.T) {
	t.Parallel()
	var waits []rollout.Stage
	w := &world{plan: grouped(), bend: promotedAfter(10 * time.Second)}
	w.before = func(w world) {
		if s := w.state.Stage; (s == rollout.StageHold || s == rollout.StageKept) && (len(waits) == 0 || waits[len(waits)-1] != s) {
			waits = append(waits, s)
		}
	}
	end := w.run(t)
	if end.Phase != rollout.PhasePromoted || end.Leftover != "" {
		t.Errorf("ended %s, left %q: %s", end.Phase, end.Leftover, end.Reason)
	}
	if diff := cmp.Diff([]rollout.Stage{rollout.StageHold, rollout.StageKept}, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{5, 25, 50, 100}, w.weights); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
}

// Neither a person's promotion of a step nor of all of them, nor a group that does
// nothing, gets a member past the wait before its promotion; and what its old version
// is kept for has an end.
func TestAMemberIsNotPromotedWithoutItsGroup(t *testing.T) {
	t.Parallel()
	for _, early := range []rollout.Request{"", rollout.RequestPromote, rollout.RequestPromoteFull} {
		w := &world{plan: grouped()}
		w.bend = func(o *rollout.Observation, s rollout.State) {
			if early != "" && s.Stage == rollout.StageDwell && s.Step < 3 {
				o.Request, o.By = early, "Ada"
			}
		}
		end := w.run(t)
		if end.Phase != rollout.PhaseAborted || !strings.Contains(end.Reason, "its group did not promote it within 1m0s") || w.handedOver {
			t.Errorf("after %q: ended %s, handed over %t: %s", early, end.Phase, w.handedOver, end.Reason)
		}
	}
	w := &world{plan: grouped()}
	w.bend = func(o *rollout.Observation, s rollout.State) {
		if s.Stage == rollout.StageHold {
			o.Request, o.By = rollout.RequestPromote, "its group"
		}
	}
	if end := w.run(t); end.Phase != rollout.PhasePromoted || end.Leftover != rollout.LeftoverPrevious {
		t.Errorf("kept for nobody: ended %s, left %q: %s", end.Phase, end.Leftover, end.Reason)
	}
}

// A member is judged on while it waits: both waits end with the way back.
func TestAMemberThatFailsWhileItWaitsGoesBack(t *testing.T) {
	t.Parallel()
	for stage, reverted := range map[rollout.Stage]bool{rollout.StageHold: false, rollout.StageKept: true} {
		w := &world{plan: grouped()}
		w.bend = func(o *rollout.Observation, s rollout.State) {
			promotedAfter(10*time.Second)(o, s)
			if s.Stage == stage && o.Now.Sub(s.Since) >= 2*time.Second {
				o.Verdict, o.Reason = rollout.VerdictFailed, "bad"
			}
		}
		if end := w.run(t); end.Phase != rollout.PhaseAborted || end.Reverted != reverted || end.Leftover != "" {
			t.Errorf("failed in %s: ended %s, reverted %t, left %q: %s", stage, end.Phase, end.Reverted, end.Leftover, end.Reason)
		}
	}
}

// A warm member that nobody drives any more bakes again before its group goes on: the
// process that judged it is gone.
func TestAWarmMemberBakesAgain(t *testing.T) {
	t.Parallel()
	w := &world{plan: grouped(), bend: promotedAfter(time.Second)}
	w.bend = func(o *rollout.Observation, s rollout.State) {
		if s.Stage == rollout.StageHold {
			o.Request = rollout.RequestPromote
		}
		if s.Stage == rollout.StageKept {
			o.Interrupted = "SIGTERM"
		}
	}
	left := w.run(t)
	if left.Phase != rollout.PhasePromoted || left.Leftover != rollout.LeftoverPrevious || !left.Interrupted {
		t.Fatalf("left %+v", left)
	}
	if next := takeover.Continue(plan(), left, epoch); next.Phase != rollout.PhaseBaking || next.Stage != rollout.StageBake {
		t.Errorf("continues with %s, %s", next.Phase, next.Stage)
	}
}
