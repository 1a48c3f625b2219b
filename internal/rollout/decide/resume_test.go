package decide

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/takeover"
)

var (
	phases = []rollout.Phase{rollout.PhasePending, rollout.PhaseProgressing, rollout.PhasePromoting, rollout.PhaseBaking, rollout.PhaseReverting, rollout.PhaseCleaning, rollout.PhasePromoted, rollout.PhaseAborting, rollout.PhaseAborted, rollout.PhasePaused, rollout.PhaseFailed}
	stages = []rollout.Stage{rollout.StagePrepare, rollout.StageScale, rollout.StageReady, rollout.StagePreflight, rollout.StageWarmUp, rollout.StageSmoke, rollout.StageVerify, rollout.StageWeight, rollout.StageAccepted, rollout.StageObserved, rollout.StageDwell, rollout.StagePause, rollout.StageRevert, rollout.StageHandOver, rollout.StageReturn,
		rollout.StageReturned, rollout.StageWarm, rollout.StageSettle, rollout.StageBake, rollout.StageKept, rollout.StageHold, rollout.StageUnroute, rollout.StageUnused, rollout.StageDrain, rollout.StageClean, rollout.StageAbortWeight, rollout.StageAbortAccepted, rollout.StageAbortObserved, rollout.StageAbortDrain, rollout.StageAbortRemove}
)

// Whatever a process left, another one brings it to an end in the good world:
// none of the ways to go on waits for something that nobody does.
func TestEveryStateGoesOnToAnEnd(t *testing.T) {
	t.Parallel()
	for _, p := range []rollout.Plan{plan(), blueGreenPlan()} {
		everyStateGoesOn(t, p)
	}
}

func everyStateGoesOn(t *testing.T, p rollout.Plan) {
	t.Helper()
	last := len(p.Steps) - 1
	ways := map[string]func(rollout.State) rollout.State{
		"Resume":       func(s rollout.State) rollout.State { return takeover.Resume(plan(), s, epoch, "run 2") },
		"Continue":     func(s rollout.State) rollout.State { return takeover.Continue(plan(), s, epoch) },
		"Promote":      func(s rollout.State) rollout.State { return takeover.Promote(p, s, epoch, false) },
		"Promote full": func(s rollout.State) rollout.State { return takeover.Promote(p, s, epoch, true) },
		"Revert":       func(s rollout.State) rollout.State { return takeover.Revert(s, epoch, "asked") },
		"CleanUp":      func(s rollout.State) rollout.State { return takeover.CleanUp(s, epoch) },
		"Forward":      func(s rollout.State) rollout.State { return takeover.Forward(p, s, epoch, "stable is down") },
	}
	for _, phase := range phases {
		for _, stage := range stages {
			for bits := range 8 {
				s := rollout.State{Phase: phase, Stage: stage, Step: min(1, last), Sized: min(2, last), Weight: 25, Written: bits&1 != 0, Reverted: bits&2 != 0, Reason: "reason"}
				if phase.Terminal() && phase != rollout.PhaseFailed {
					s.Stage, s.Left = rollout.StageEnd, stage
				}
				if phase == rollout.PhaseReverting || stage == rollout.StageRevert {
					s.Reverted = true // by startRevert
				}
				if bits&4 != 0 {
					s.Back = "a person asked"
				}
				for name, way := range ways {
					w := &world{plan: p, state: way(s)}
					end := w.run(t)
					if end.Phase != rollout.PhasePromoted && end.Phase != rollout.PhaseAborted || end.Reason == "" || end.Leftover != "" {
						t.Errorf("%s %s of %s, %s (%03b): ended %s, left %q: %s", p.Strategy, name, phase, stage, bits, end.Phase, end.Leftover, end.Reason)
					}
				}
			}
		}
	}
}

// The ways to go on keep to the direction of the rollout.
func TestWhereARolloutGoesOn(t *testing.T) {
	t.Parallel()
	for course, w := range courses() {
		for _, m := range moments(t, w) {
			s, name := m.state, fmt.Sprintf("%s, %s, %s", course, m.state.Phase, m.state.Stage)
			back := s.Phase == rollout.PhaseAborting || s.Reverted
			alone := plan()
			if w.plan.Strategy == rollout.StrategyBlueGreen {
				alone = blueGreenPlan()
			}
			phase := func(s rollout.State) rollout.Phase { return (&world{plan: alone, state: s}).run(t).Phase }
			want := map[bool]rollout.Phase{true: rollout.PhaseAborted, false: rollout.PhasePromoted}[back]
			if got := phase(takeover.Continue(plan(), s, epoch)); got != want {
				t.Errorf("%s: Continue ended %s, want %s", name, got, want)
			}
			want = map[bool]rollout.Phase{true: rollout.PhaseAborted, false: rollout.PhasePromoted}[back || !takeover.HandedOver(s)]
			if got := phase(takeover.Resume(plan(), s, epoch, "run 2")); got != want {
				t.Errorf("%s: Resume ended %s, want %s", name, got, want)
			}
		}
	}
}

// With Linger a signal at any moment, also one that ends an action with an error,
// leaves a rollout that its next process continues.
func TestASignalLingers(t *testing.T) {
	t.Parallel()
	for course, w := range courses() {
		w.plan.Linger = true
		for _, m := range moments(t, w) {
			for _, cancelled := range []error{nil, errors.New("context canceled")} {
				name := fmt.Sprintf("%s in %s, %s, done %q, error %v", course, m.state.Phase, m.state.Stage, m.done, cancelled)
				if cancelled != nil && m.done != "" {
					continue // the action had ended
				}
				lingering := m
				lingering.bend = func(o *rollout.Observation, s rollout.State) {
					if m.bend != nil {
						m.bend(o, s)
					}
					o.Interrupted, o.Err = "SIGTERM", cancelled
				}
				stopped := false
				for range 3 { // the removal that runs is finished
					if stopped = lingering.decide(t); stopped {
						break
					}
				}
				left := lingering.state
				if !stopped || left.Phase.Terminal() && m.state.Stage != rollout.StageClean {
					t.Errorf("%s: stopped %t in %s: %s", name, stopped, left.Phase, left.Reason)
					continue
				}
				if left.Phase.Terminal() {
					continue
				}
				back := left.Phase == rollout.PhaseAborting || left.Reverted
				next := &world{plan: w.plan, state: takeover.Continue(w.plan, left, epoch), bend: promotedAfter(3 * time.Second)}
				if end := next.run(t); back != (end.Phase == rollout.PhaseAborted) || !back && end.Phase != rollout.PhasePromoted || end.Leftover != "" {
					t.Errorf("%s: the next process ended %s, left %q: %s", name, end.Phase, end.Leftover, end.Reason)
				}
			}
		}
	}
}

// A conflict ends a resumed rollout before it has done anything. The pause that was
// over stays over, however often that happens.
func TestAPauseThatIsOverStaysOver(t *testing.T) {
	t.Parallel()
	p := plan()
	p.Steps[0].UntilPromoted = true
	w := &world{plan: p}
	left := w.run(t)
	if left.Phase != rollout.PhasePaused || !left.Asked {
		t.Fatalf("ended %s: %s", left.Phase, left.Reason)
	}
	for range 2 {
		conflicting := &world{plan: p, state: takeover.Continue(plan(), left, epoch), bend: func(o *rollout.Observation, _ rollout.State) { o.Drift = "helm changed the route" }}
		if left = conflicting.run(t); left.Phase != rollout.PhasePaused || !left.Conflict || len(conflicting.actions) > 0 {
			t.Fatalf("ended %s after %q: %s", left.Phase, conflicting.actions, left.Reason)
		}
	}
	if end := (&world{plan: p, state: takeover.Continue(plan(), left, epoch)}).run(t); end.Phase != rollout.PhasePromoted || end.Conflict {
		t.Errorf("ended %s (conflict %t): %s", end.Phase, end.Conflict, end.Reason)
	}
}

// While stable fails, an abort sees nothing of it. The canary's last answers come
// before the gateway follows.
func TestAnAbortEndsWhenTheCanaryIsSilent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers, since int
		want           rollout.Phase
	}{
		"none":                    {0, 3, rollout.PhaseAborted},
		"some before it followed": {40, settleAnswers, rollout.PhaseAborted},
		"still":                   {40, settleAnswers - 1, rollout.PhaseFailed},
	} {
		w := &world{plan: plan(), state: takeover.Resume(plan(), rollout.State{Phase: rollout.PhasePaused, Stage: rollout.StageEnd, Left: rollout.StageDwell, Weight: 25, Written: true}, epoch, "run 2")}
		w.bend = func(o *rollout.Observation, _ rollout.State) {
			o.Split, o.CanaryAnswers, o.SinceCanary = rollout.SplitPending, c.answers, c.since
		}
		if end := w.run(t); end.Phase != c.want {
			t.Errorf("%s: ended %s, want %s: %s", name, end.Phase, c.want, end.Reason)
		}
	}
}

// Nothing takes the traffic from pods that serve to a version without any.
func TestNobodyGoesBackToNothing(t *testing.T) {
	t.Parallel()
	bad := func(at rollout.Stage) func(*rollout.Observation, rollout.State) {
		return func(o *rollout.Observation, s rollout.State) {
			if o.BackReady = 0; s.Stage == at {
				o.Verdict, o.Reason = rollout.VerdictFailed, "bad"
			}
		}
	}
	for name, c := range map[string]struct {
		plan     rollout.Plan
		at       rollout.Stage
		want     rollout.Phase
		leftover rollout.Leftover
	}{
		"a replacement":                    {plan().Replacing(), rollout.StageDwell, rollout.PhasePaused, rollout.LeftoverCanary},
		"a replacement before its traffic": {plan().Replacing(), rollout.StagePreflight, rollout.PhaseAborted, ""},
		"a bake":                           {plan(), rollout.StageBake, rollout.PhasePaused, rollout.LeftoverPrevious},
		"a rise, whose stable may be back": {plan(), rollout.StageDwell, rollout.PhaseAborted, ""},
	} {
		w := &world{plan: c.plan, bend: bad(c.at)}
		if c.at == rollout.StagePreflight {
			w.bend = func(o *rollout.Observation, s rollout.State) { o.BackReady, o.Preflight = 0, rollout.SplitPending }
		}
		end := w.run(t)
		if end.Phase != c.want || end.Leftover != c.leftover {
			t.Errorf("%s: ended %s, left %q: %s", name, end.Phase, end.Leftover, end.Reason)
		}
	}
}
