package rollout

import (
	"errors"
	"fmt"
	"testing"
)

var (
	phases = []Phase{PhasePending, PhaseProgressing, PhasePromoting, PhaseBaking, PhaseReverting, PhaseCleaning, PhasePromoted, PhaseAborting, PhaseAborted, PhasePaused, PhaseFailed}
	stages = []Stage{StagePrepare, StageScale, StageReady, StagePreflight, StageWeight, StageAccepted, StageObserved, StageDwell, StagePause, StageRevert, StageHandOver, StageReturn,
		StageReturned, StageWarm, StageSettle, StageBake, StageUnroute, StageUnused, StageDrain, StageClean, StageAbortWeight, StageAbortAccepted, StageAbortObserved, StageAbortDrain, StageAbortRemove}
)

// Whatever a process left, another one brings it to an end in the good world:
// none of the ways to go on waits for something that nobody does.
func TestEveryStateGoesOnToAnEnd(t *testing.T) {
	t.Parallel()
	p := plan()
	ways := map[string]func(State) State{
		"Resume":       func(s State) State { return Resume(s, epoch, "run 2") },
		"Continue":     func(s State) State { return Continue(s, epoch) },
		"Promote":      func(s State) State { return Promote(p, s, epoch, false) },
		"Promote full": func(s State) State { return Promote(p, s, epoch, true) },
		"Revert":       func(s State) State { return Revert(s, epoch, "asked") },
		"CleanUp":      func(s State) State { return CleanUp(s, epoch) },
		"Forward":      func(s State) State { return Forward(p, s, epoch, "stable is down") },
	}
	for _, phase := range phases {
		for _, stage := range stages {
			for bits := range 8 {
				s := State{Phase: phase, Stage: stage, Step: 1, Sized: 2, Weight: 25, Written: bits&1 != 0, Reverted: bits&2 != 0, Reason: "reason"}
				if phase.Terminal() && phase != PhaseFailed {
					s.Stage, s.Left = StageEnd, stage
				}
				if phase == PhaseReverting || stage == StageRevert {
					s.Reverted = true // by startRevert
				}
				if bits&4 != 0 {
					s.Back = "a person asked"
				}
				for name, way := range ways {
					w := &world{plan: p, state: way(s)}
					end := w.run(t)
					if end.Phase != PhasePromoted && end.Phase != PhaseAborted || end.Reason == "" || end.Leftover != "" {
						t.Errorf("%s of %s, %s (%03b): ended %s, left %q: %s", name, phase, stage, bits, end.Phase, end.Leftover, end.Reason)
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
			back := s.Phase == PhaseAborting || s.Reverted
			phase := func(s State) Phase { return (&world{plan: plan(), state: s}).run(t).Phase }
			want := map[bool]Phase{true: PhaseAborted, false: PhasePromoted}[back]
			if got := phase(Continue(s, epoch)); got != want {
				t.Errorf("%s: Continue ended %s, want %s", name, got, want)
			}
			want = map[bool]Phase{true: PhaseAborted, false: PhasePromoted}[back || !s.handedOver()]
			if got := phase(Resume(s, epoch, "run 2")); got != want {
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
				lingering.bend = func(o *Observation, s State) {
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
				if !stopped || left.Phase.Terminal() && m.state.Stage != StageClean {
					t.Errorf("%s: stopped %t in %s: %s", name, stopped, left.Phase, left.Reason)
					continue
				}
				if left.Phase.Terminal() {
					continue
				}
				back := left.Phase == PhaseAborting || left.Reverted
				next := &world{plan: w.plan, state: Continue(left, epoch)}
				if end := next.run(t); back != (end.Phase == PhaseAborted) || !back && end.Phase != PhasePromoted || end.Leftover != "" {
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
	if left.Phase != PhasePaused || !left.Asked {
		t.Fatalf("ended %s: %s", left.Phase, left.Reason)
	}
	for range 2 {
		conflicting := &world{plan: p, state: Continue(left, epoch), bend: func(o *Observation, _ State) { o.Drift = "helm changed the route" }}
		if left = conflicting.run(t); left.Phase != PhasePaused || !left.Conflict || len(conflicting.actions) > 0 {
			t.Fatalf("ended %s after %q: %s", left.Phase, conflicting.actions, left.Reason)
		}
	}
	if end := (&world{plan: p, state: Continue(left, epoch)}).run(t); end.Phase != PhasePromoted || end.Conflict {
		t.Errorf("ended %s (conflict %t): %s", end.Phase, end.Conflict, end.Reason)
	}
}

// While stable fails, an abort sees nothing of it. The canary's last answers come
// before the gateway follows.
func TestAnAbortEndsWhenTheCanaryIsSilent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers, since int
		want           Phase
	}{
		"none":                    {0, 3, PhaseAborted},
		"some before it followed": {40, settleAnswers, PhaseAborted},
		"still":                   {40, settleAnswers - 1, PhaseFailed},
	} {
		w := &world{plan: plan(), state: Resume(State{Phase: PhasePaused, Stage: StageEnd, Left: StageDwell, Weight: 25, Written: true}, epoch, "run 2")}
		w.bend = func(o *Observation, _ State) {
			o.Split, o.CanaryAnswers, o.SinceCanary = SplitPending, c.answers, c.since
		}
		if end := w.run(t); end.Phase != c.want {
			t.Errorf("%s: ended %s, want %s: %s", name, end.Phase, c.want, end.Reason)
		}
	}
}

// Nothing takes the traffic from pods that serve to a version without any.
func TestNobodyGoesBackToNothing(t *testing.T) {
	t.Parallel()
	bad := func(at Stage) func(*Observation, State) {
		return func(o *Observation, s State) {
			if o.BackReady = 0; s.Stage == at {
				o.Verdict, o.Reason = VerdictFailed, "bad"
			}
		}
	}
	for name, c := range map[string]struct {
		plan     Plan
		at       Stage
		want     Phase
		leftover Leftover
	}{
		"a replacement":                    {plan().Replacing(), StageDwell, PhasePaused, LeftoverCanary},
		"a replacement before its traffic": {plan().Replacing(), StagePreflight, PhaseAborted, ""},
		"a bake":                           {plan(), StageBake, PhasePaused, LeftoverPrevious},
		"a rise, whose stable may be back": {plan(), StageDwell, PhaseAborted, ""},
	} {
		w := &world{plan: c.plan, bend: bad(c.at)}
		if c.at == StagePreflight {
			w.bend = func(o *Observation, s State) { o.BackReady, o.Preflight = 0, SplitPending }
		}
		end := w.run(t)
		if end.Phase != c.want || end.Leftover != c.leftover {
			t.Errorf("%s: ended %s, left %q: %s", name, end.Phase, end.Leftover, end.Reason)
		}
	}
}
