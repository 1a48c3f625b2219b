package decide

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/takeover"
)

// A fleet is a workload and its controller: it takes a second for each change, and
// never has fewer ready pods than it wants, as far as it was asked.
type fleet struct {
	plan     rollout.Plan
	state    rollout.State
	now      time.Time
	replicas int
	fresh    int // new pods, all ready unless sick
	old      int
	asked    int // new pods that the last write asks for
	extra    int
	sick     bool // new pods never become ready
	least    int  // the fewest ready pods so far
	course   []string
	bend     func(*rollout.Observation, *fleet)
	done     rollout.Stage
	err      error
	changed  time.Time
}

func newFleet(replicas, surge int, weights ...int) *fleet {
	p := plan()
	p.Strategy, p.Surge, p.Steps = rollout.StrategyRolling, surge, nil
	for _, w := range weights {
		p.Steps = append(p.Steps, rollout.Step{Weight: w, Dwell: 10 * time.Second})
	}
	return &fleet{plan: p, state: rollout.State{Phase: rollout.PhasePending}, now: epoch, replicas: replicas, old: replicas, least: replicas}
}

func (f *fleet) ready() int {
	if f.sick {
		return 0
	}
	return f.fresh
}

// reconcile makes one change as a controller would.
func (f *fleet) reconcile() {
	if f.now.Sub(f.changed) < time.Second {
		return
	}
	switch {
	case f.fresh > f.asked:
		f.fresh--
		f.old = max(f.old, f.replicas-f.fresh)
	case f.fresh < f.asked:
		f.fresh++
	}
	f.old = max(0, f.replicas+f.extra-f.asked)
	f.least = min(f.least, f.ready()+f.old)
	f.changed = f.now
}

func (f *fleet) observe() rollout.Observation {
	s := f.state
	o := rollout.Observation{
		Now: f.now, Done: f.done, Err: f.err, CanaryReady: f.ready(), CanaryWanted: min(s.Pods, f.replicas), Replicas: f.replicas,
		NewPods: f.fresh, OldPods: f.old, BackReady: f.old, Split: rollout.SplitConfirmed, Verdict: rollout.VerdictPending,
		SinceStable: settleAnswers, SinceCanary: settleAnswers,
	}
	if f.ready() == 0 {
		o.Split = rollout.SplitPending
	}
	held := f.now.Sub(s.Since)
	if s.Stage == rollout.StageDwell && held >= f.plan.Steps[s.Step].Dwell || s.Stage == rollout.StageBake && held >= f.plan.Bake {
		o.Verdict = rollout.VerdictSuccessful
	}
	if f.bend != nil {
		f.bend(&o, f)
	}
	return o
}

// step makes one decision and reports whether it was the last.
func (f *fleet) step(t *testing.T) bool {
	t.Helper()
	before := f.state
	var a rollout.Action
	f.state, a = Next(f.plan, f.state, f.observe())
	f.done, f.err = "", nil
	s := f.state
	if before.Phase == rollout.PhaseAborting && s.Phase == rollout.PhaseProgressing {
		t.Fatalf("goes up again after an abort, at %+v", s)
	}
	switch a.Kind {
	case rollout.KindStop:
		return true
	case rollout.KindWait:
		if !a.Until.After(f.now) {
			t.Fatalf("waits for %q until %s, which has passed at %s", a.Await, a.Until, f.now)
		}
		f.now = f.now.Add(min(a.Until.Sub(f.now), time.Second))
		f.reconcile()
		return false
	case rollout.KindPrepare:
	case rollout.KindRoll:
		f.asked, f.extra = s.Pods, s.Extra
		f.course = append(f.course, fmt.Sprintf("%d+%d %d%%", s.Pods, s.Extra, a.Weight))
	case rollout.KindComplete:
		f.asked, f.extra = f.replicas, 0
		f.course = append(f.course, "complete")
	case rollout.KindUndo:
		f.asked, f.extra = 0, 0
		f.course = append(f.course, "undo")
	case rollout.KindRestore:
		f.course = append(f.course, "restore")
	default:
		t.Fatalf("action %d in a rolling update", a.Kind)
	}
	f.done = a.Stage
	f.now = f.now.Add(100 * time.Millisecond)
	f.changed = f.now
	return false
}

func (f *fleet) run(t *testing.T) rollout.State {
	t.Helper()
	for range 10_000 {
		if f.step(t) {
			return f.state
		}
	}
	t.Fatalf("no end, at %+v", f.state)
	return rollout.State{}
}

func TestRolling(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		replicas int
		surge    int
		steps    []int
		want     []string
		least    int
	}{
		{"four pods", 4, 1, []int{25, 50, 100}, []string{"1+1 20%", "2+1 40%", "3+1 60%", "4+1 80%", "complete"}, 4},
		{"steps that ask for the same pods are one", 2, 1, []int{5, 25, 50, 100}, []string{"1+1 33%", "2+1 67%", "complete"}, 2},
		{"one pod", 1, 1, []int{5, 25, 100}, []string{"1+1 50%", "complete"}, 1},
		{"no room for one more", 4, 0, []int{50, 100}, []string{"1+0 25%", "2+0 50%", "3+0 75%", "4+0 100%", "complete"}, 3},
		{"several at once", 10, 3, []int{10, 50, 100}, []string{"1+1 9%", "4+3 31%", "5+1 45%", "8+3 62%", "10+2 83%", "complete"}, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(test.replicas, test.surge, test.steps...)
			end := f.run(t)
			if end.Phase != rollout.PhasePromoted || end.Leftover != "" || f.fresh != test.replicas || f.old != 0 {
				t.Errorf("ended %+v with %d new and %d old pods", end, f.fresh, f.old)
			}
			if diff := cmp.Diff(test.want, f.course); diff != "" {
				t.Errorf("course (-want +got):\n%s", diff)
			}
			if f.least < test.least {
				t.Errorf("%d pods were ready at one time, want %d", f.least, test.least)
			}
		})
	}
}

// Each step with pods of its own is held and judged once.
func TestRollingJudgesBetween(t *testing.T) {
	t.Parallel()
	f := newFleet(4, 1, 25, 50, 100)
	var dwelt []int
	f.bend = func(o *rollout.Observation, f *fleet) {
		if o.Verdict == rollout.VerdictSuccessful && f.state.Stage == rollout.StageDwell {
			dwelt = append(dwelt, f.state.Pods)
		}
	}
	f.run(t)
	if diff := cmp.Diff([]int{1, 2, 4}, dwelt); diff != "" {
		t.Errorf("judged with so many new pods (-want +got):\n%s", diff)
	}
}

// What goes wrong after the first pod takes it back, and nothing else is asked for.
func TestRollingUndoes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bend func(*rollout.Observation, *fleet)
		sick bool
		want string
	}{
		"the judge fails it": {func(o *rollout.Observation, f *fleet) {
			if f.state.Stage == rollout.StageDwell {
				o.Verdict, o.Reason = rollout.VerdictFailed, "30 % failed"
			}
		}, false, "30 % failed"},
		"never ready": {func(o *rollout.Observation, _ *fleet) { o.Waiting = "it starts" }, true, "0 of 1 new pods ready: it starts"},
		"it crashes": {func(o *rollout.Observation, f *fleet) {
			if f.state.Stage == rollout.StageRolled {
				o.Trouble = "pod web-1 crashed"
			}
		}, true, "pod web-1 crashed"},
		"a person aborts": {func(o *rollout.Observation, f *fleet) {
			if f.state.Stage == rollout.StageDwell {
				o.Request, o.By = rollout.RequestAbort, "run 2"
			}
		}, false, "abort by run 2"},
		"none of the new pods answers": {func(o *rollout.Observation, _ *fleet) { o.Split = rollout.SplitPending }, false, "set version-header to a header that differs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(4, 1, 25, 50, 100)
			f.bend, f.sick = test.bend, test.sick
			end := f.run(t)
			if end.Phase != rollout.PhaseAborted || !strings.Contains(end.Reason, test.want) || end.Leftover != "" || end.Undone {
				t.Errorf("ended %+v", end)
			}
			if diff := cmp.Diff([]string{"1+1 20%", "undo", "restore"}, f.course); diff != "" {
				t.Errorf("course (-want +got):\n%s", diff)
			}
			if f.old != 4 || f.fresh != 0 {
				t.Errorf("%d old and %d new pods are left", f.old, f.fresh)
			}
		})
	}
}

// A version that fails when it has all pods is taken back, too.
func TestRollingFailsInTheBake(t *testing.T) {
	t.Parallel()
	f := newFleet(2, 1, 50, 100)
	f.bend = func(o *rollout.Observation, f *fleet) {
		if f.state.Stage == rollout.StageBake {
			o.Verdict, o.Reason = rollout.VerdictFailed, "it leaks"
		}
	}
	if end := f.run(t); end.Phase != rollout.PhaseAborted || !end.Undone || f.old != 2 {
		t.Errorf("ended %+v with %d old pods", end, f.old)
	}
}

func TestRollingWithoutRollback(t *testing.T) {
	t.Parallel()
	f := newFleet(4, 1, 25, 100)
	f.plan.Rollback = false
	f.bend = func(o *rollout.Observation, f *fleet) {
		if f.state.Stage == rollout.StageDwell {
			o.Verdict, o.Reason = rollout.VerdictFailed, "30 % failed"
		}
	}
	end := f.run(t)
	if end.Phase != rollout.PhasePaused || end.Leftover != rollout.LeftoverRolling || slices.Contains(f.course, "undo") {
		t.Errorf("ended %+v after %q", end, f.course)
	}
	for _, r := range []rollout.Request{rollout.RequestResume, rollout.RequestPromote, rollout.RequestAbort, rollout.RequestRelease} {
		if why, ok := rollout.Allowed(end, r); !ok {
			t.Errorf("%s is refused: %s", r, why)
		}
	}
}

// Without a version in the answers it goes on by readiness, and says so once.
func TestRollingBlind(t *testing.T) {
	t.Parallel()
	f := newFleet(4, 1, 25, 50, 100)
	f.bend = func(o *rollout.Observation, _ *fleet) {
		o.Split, o.SinceStable, o.SinceCanary = rollout.SplitBlind, 0, 0
	}
	if end := f.run(t); end.Phase != rollout.PhasePromoted || len(end.Unconfirmed) != 1 {
		t.Errorf("ended %+v", end)
	}
}

// A workload that is scaled meanwhile gets as many new pods as it has now.
func TestRollingIsScaled(t *testing.T) {
	t.Parallel()
	f := newFleet(4, 1, 50, 100)
	f.bend = func(o *rollout.Observation, f *fleet) {
		if f.state.Stage == rollout.StageDwell && f.replicas == 4 {
			f.replicas = 6
			o.Replicas = 6
		}
	}
	if end := f.run(t); end.Phase != rollout.PhasePromoted || f.fresh != 6 || f.old != 0 {
		t.Errorf("ended %+v with %d new and %d old pods", end, f.fresh, f.old)
	}
}

// moments lists the fleet before each of its decisions.
func rollingMoments(t *testing.T, bend func(*rollout.Observation, *fleet)) []fleet {
	t.Helper()
	f := newFleet(4, 1, 25, 50, 100)
	f.bend = bend
	var all []fleet
	for range 1000 {
		all = append(all, *f)
		if f.step(t) {
			return all
		}
	}
	t.Fatal("no end")
	return nil
}

// A signal at any moment ends the run soon: with the undo written before all pods are
// new, and as promoted after it.
func TestRollingInterrupted(t *testing.T) {
	t.Parallel()
	for _, f := range rollingMoments(t, nil) {
		since := f.now
		f.course = nil
		f.bend = func(o *rollout.Observation, _ *fleet) { o.Interrupted = "SIGTERM" }
		before := f.state
		end := f.run(t)
		if f.now.Sub(since) > time.Second {
			t.Errorf("%s, %s: it took %s", before.Phase, before.Stage, f.now.Sub(since))
		}
		switch {
		case before.Phase.Terminal():
		case !before.Written:
			if end.Phase != rollout.PhaseAborted || end.Leftover != "" || len(f.course) > 0 {
				t.Errorf("%s, %s: ended %+v after %q", before.Phase, before.Stage, end, f.course)
			}
		case before.Phase == rollout.PhaseProgressing:
			if end.Phase != rollout.PhaseAborted || end.Leftover != rollout.LeftoverAbort || !slices.Contains(f.course, "undo") {
				t.Errorf("%s, %s: ended %+v after %q", before.Phase, before.Stage, end, f.course)
			}
			next := f
			next.bend, next.state = nil, takeover.Resume(f.plan, end, f.now, "run 2")
			if end := next.run(t); end.Phase != rollout.PhaseAborted || end.Leftover != "" || next.old != 4 {
				t.Errorf("%s, %s: the next run ended %+v", before.Phase, before.Stage, end)
			}
		case end.Phase != rollout.PhasePromoted || !end.Interrupted:
			t.Errorf("%s, %s: ended %+v", before.Phase, before.Stage, end)
		}
	}
}

// A process that dies at any moment leaves what the next run ends, and what the same
// release can go on with.
func TestRollingKilled(t *testing.T) {
	t.Parallel()
	for _, f := range rollingMoments(t, nil) {
		left := f.state
		if left.Phase == rollout.PhasePending || left.Phase.Terminal() {
			continue
		}
		next := f
		next.done, next.state = "", takeover.Resume(f.plan, left, f.now, "run 2")
		want := map[bool]rollout.Phase{true: rollout.PhasePromoted, false: rollout.PhaseAborted}[takeover.AllNew(left)]
		if end := next.run(t); end.Phase != want || end.Leftover != "" || next.fresh+next.old != 4 {
			t.Errorf("%s, %s: the next run ended %+v, want %s, with %d new and %d old pods", left.Phase, left.Stage, end, want, next.fresh, next.old)
		}
		same := f
		same.done, same.state = "", takeover.Continue(f.plan, left, f.now)
		if end := same.run(t); end.Phase != rollout.PhasePromoted || same.fresh != 4 {
			t.Errorf("%s, %s: the same release ended %+v with %d new pods", left.Phase, left.Stage, end, same.fresh)
		}
		full := f
		full.done, full.state = "", takeover.Promote(f.plan, left, f.now, true)
		if end := full.run(t); end.Phase != rollout.PhasePromoted || full.fresh != 4 {
			t.Errorf("%s, %s: promoted, it ended %+v with %d new pods", left.Phase, left.Stage, end, full.fresh)
		}
	}
}

// Whatever is paused by a person, or by another writer, is resumed, and a promoted
// release is taken back.
func TestRollingPausedAndRolledBack(t *testing.T) {
	t.Parallel()
	for _, f := range rollingMoments(t, nil) {
		if f.state.Phase != rollout.PhaseProgressing || f.state.Stage == rollout.StagePrepare {
			continue
		}
		f.bend = func(o *rollout.Observation, _ *fleet) { o.Request, o.By = rollout.RequestPause, "run 2" }
		paused := f.run(t)
		if paused.Phase != rollout.PhasePaused || paused.Leftover != rollout.LeftoverRolling {
			t.Fatalf("ended %+v", paused)
		}
		f.bend, f.state = nil, takeover.Continue(f.plan, paused, f.now)
		end := f.run(t)
		if end.Phase != rollout.PhasePromoted {
			t.Fatalf("resumed, it ended %+v", end)
		}
		f.state = takeover.Undo(end, f.now, "rollback by run 3")
		if end := f.run(t); end.Phase != rollout.PhaseAborted || !end.Undone || f.old != 4 || f.fresh != 0 {
			t.Fatalf("rolled back, it ended %+v with %d old pods", end, f.old)
		}
	}
}

// An undo that cannot be written is the loudest end.
func TestRollingUndoFails(t *testing.T) {
	t.Parallel()
	f := newFleet(4, 1, 25, 100)
	f.bend = func(o *rollout.Observation, f *fleet) {
		switch f.state.Stage {
		case rollout.StageDwell:
			o.Verdict = rollout.VerdictFailed
		case rollout.StageUndo:
			o.Err = errors.New("forbidden")
		default:
		}
	}
	if end := f.run(t); end.Phase != rollout.PhaseFailed || end.Leftover != rollout.LeftoverAbort || !strings.Contains(end.Reason, "forbidden") {
		t.Errorf("ended %+v", end)
	}
}
