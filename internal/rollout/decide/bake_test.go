package decide

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/takeover"
)

// goBack is what gives the Deployment back to the warm revision.
var goBack = []string{"revert", "handover", "return", "warm", "unroute", "clean"}

func TestHowABakeEnds(t *testing.T) {
	t.Parallel()
	in := func(phase rollout.Phase, f func(*rollout.Observation)) func(*rollout.Observation, rollout.State) {
		return func(o *rollout.Observation, s rollout.State) {
			if s.Phase == phase {
				f(o)
			}
		}
	}
	// The end of a bake brings this verdict, with every extension.
	inconclusive := func(policy rollout.Policy) func(*rollout.Observation, rollout.State) {
		return in(rollout.PhaseBaking, func(o *rollout.Observation) {
			o.Verdict, o.Reason, o.Policy = rollout.VerdictInconclusive, "3 samples", policy
		})
	}
	for name, test := range map[string]struct {
		plan     func(*rollout.Plan)
		bend     func(*rollout.Observation, rollout.State)
		phase    rollout.Phase
		reason   string
		leftover rollout.Leftover
		reverted bool
		tail     []string      // the last actions
		bake     time.Duration // how long it took at least
	}{
		"good": {phase: rollout.PhasePromoted, reason: "serves all traffic", tail: []string{"warm", "unroute", "clean"}, bake: 20 * time.Second},
		"without a bake": {plan: func(p *rollout.Plan) { p.Bake = 0 }, bend: in(rollout.PhaseBaking, func(o *rollout.Observation) { o.Verdict = rollout.VerdictPending }),
			phase: rollout.PhasePromoted, reason: "serves all traffic", tail: []string{"warm", "unroute", "clean"}},
		"kept warm":                        {plan: func(p *rollout.Plan) { p.KeepWarm = time.Hour }, phase: rollout.PhasePromoted, reason: "serves all traffic", leftover: rollout.LeftoverPrevious, tail: []string{"return", "warm"}, bake: 20 * time.Second},
		"kept warm for less than the bake": {plan: func(p *rollout.Plan) { p.KeepWarm = time.Second }, phase: rollout.PhasePromoted, reason: "serves all traffic", tail: []string{"warm", "unroute", "clean"}},
		"failed": {bend: in(rollout.PhaseBaking, func(o *rollout.Observation) { o.Verdict, o.Reason = rollout.VerdictFailed, "30 % errors" }),
			phase: rollout.PhaseAborted, reason: "30 % errors", reverted: true, tail: goBack},
		"failed without a rollback": {plan: func(p *rollout.Plan) { p.Rollback = false }, bend: in(rollout.PhaseBaking, func(o *rollout.Observation) { o.Verdict, o.Reason = rollout.VerdictFailed, "30 % errors" }),
			phase: rollout.PhasePaused, reason: "30 % errors", leftover: rollout.LeftoverPrevious, tail: []string{"return", "warm"}},
		"a crash": {bend: in(rollout.PhaseBaking, func(o *rollout.Observation) { o.Trouble = "CrashLoopBackOff" }),
			phase: rollout.PhaseAborted, reason: "CrashLoopBackOff", reverted: true, tail: goBack},
		"failed during the hand-over": {bend: in(rollout.PhasePromoting, func(o *rollout.Observation) { o.Verdict, o.Reason = rollout.VerdictFailed, "30 % errors" }),
			phase: rollout.PhaseAborted, reason: "30 % errors", reverted: true, tail: append([]string{"handover", "return", "warm"}, goBack...)},
		"failed during the hand-over without a rollback": {plan: func(p *rollout.Plan) { p.Rollback, p.Bake = false, 0 }, bend: in(rollout.PhasePromoting, func(o *rollout.Observation) { o.Verdict, o.Reason = rollout.VerdictFailed, "30 % errors" }),
			phase: rollout.PhasePaused, reason: "30 % errors", leftover: rollout.LeftoverPrevious, tail: []string{"handover", "return", "warm"}},
		"another writer": {bend: in(rollout.PhaseBaking, func(o *rollout.Observation) { o.Drift = "helm changed the backends" }),
			phase: rollout.PhasePaused, reason: "helm changed the backends", leftover: rollout.LeftoverPrevious, tail: []string{"return", "warm"}},
		"inconclusive, extended and then aborted": {bend: inconclusive(""), phase: rollout.PhaseAborted, reason: "inconclusive: 3 samples", reverted: true, tail: goBack, bake: 40 * time.Second},
		"inconclusive, extended and then held": {plan: func(p *rollout.Plan) { p.Then = rollout.PolicyHold }, bend: inconclusive(""),
			phase: rollout.PhasePaused, reason: "inconclusive: 3 samples", leftover: rollout.LeftoverPrevious, tail: []string{"return", "warm"}, bake: 40 * time.Second},
		"inconclusive, aborted":  {plan: func(p *rollout.Plan) { p.Inconclusive = rollout.PolicyAbort }, bend: inconclusive(""), phase: rollout.PhaseAborted, reason: "inconclusive", reverted: true, tail: goBack},
		"inconclusive, held":     {plan: func(p *rollout.Plan) { p.Inconclusive = rollout.PolicyHold }, bend: inconclusive(""), phase: rollout.PhasePaused, reason: "inconclusive", leftover: rollout.LeftoverPrevious, tail: []string{"return", "warm"}},
		"the judge's own policy": {bend: inconclusive(rollout.PolicyHold), phase: rollout.PhasePaused, reason: "inconclusive", leftover: rollout.LeftoverPrevious, tail: []string{"return", "warm"}},
		"no verdict":             {plan: func(p *rollout.Plan) { p.Inconclusive = rollout.PolicyAbort }, bend: in(rollout.PhaseBaking, func(o *rollout.Observation) { o.Verdict = rollout.VerdictPending }), phase: rollout.PhaseAborted, reason: "no verdict at the end of the bake", reverted: true, tail: goBack},
		"a signal":               {bend: in(rollout.PhaseBaking, func(o *rollout.Observation) { o.Interrupted = "SIGTERM" }), phase: rollout.PhasePromoted, reason: "interrupted by SIGTERM", leftover: rollout.LeftoverPrevious, tail: []string{"return", "warm"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{plan: plan(), bend: test.bend}
			if test.plan != nil {
				test.plan(&w.plan)
			}
			var began, left time.Time
			w.before = func(w world) {
				if w.state.Phase == rollout.PhaseBaking {
					if began.IsZero() {
						began = w.state.Since
					}
					left = w.now
				}
			}
			end := w.run(t)
			if end.Phase != test.phase || !strings.Contains(end.Reason, test.reason) || end.Leftover != test.leftover || end.Reverted != test.reverted {
				t.Errorf("ended %s: %q, left %q, reverted %t; want %s with %q, %q, %t", end.Phase, end.Reason, end.Leftover, end.Reverted, test.phase, test.reason, test.leftover, test.reverted)
			}
			if diff := cmp.Diff(test.tail, w.actions[max(0, len(w.actions)-len(test.tail)):]); diff != "" {
				t.Errorf("last actions (-want +got):\n%s", diff)
			}
			if took := left.Sub(began); took < test.bake {
				t.Errorf("baked for %s, want at least %s", took, test.bake)
			}
		})
	}
}

// A way back that the gateway does not follow ends failed, and the next run goes
// on with it.
func TestARevertThatIsNotSeenFails(t *testing.T) {
	t.Parallel()
	for name, bend := range map[string]func(*rollout.Observation){
		"not accepted": func(o *rollout.Observation) { o.Accepted = false },
		"not observed": func(o *rollout.Observation) { o.Split = rollout.SplitPending },
		"an error":     func(o *rollout.Observation) { o.Err = rollout.ErrFenced },
	} {
		w := &world{plan: plan(), bend: func(o *rollout.Observation, s rollout.State) {
			switch s.Phase {
			case rollout.PhaseBaking:
				o.Verdict, o.Reason = rollout.VerdictFailed, "bad"
			case rollout.PhaseReverting:
				bend(o)
			default:
			}
		}}
		end := w.run(t)
		if end.Phase != rollout.PhaseFailed || end.Leftover != rollout.LeftoverPromotion || slices.Contains(w.actions[len(w.actions)-1:], "handover") {
			t.Errorf("%s: ended %s, left %q: %s", name, end.Phase, end.Leftover, end.Reason)
		}
		next := &world{plan: plan(), state: takeover.Resume(plan(), end, epoch, "run 2")}
		if end := next.run(t); end.Phase != rollout.PhaseAborted || !end.Reverted || end.Leftover != "" {
			t.Errorf("%s: the next run ended %s: %s", name, end.Phase, end.Reason)
		}
	}
}

func TestPausesBetweenSteps(t *testing.T) {
	t.Parallel()
	for last := range 2 {
		w := &world{plan: plan()}
		at := 3 * last
		w.plan.Steps[at].Pause = 30 * time.Second
		var paused rollout.State
		var left time.Time
		w.before = func(w world) {
			if w.state.Stage == rollout.StagePause {
				paused, left = w.state, w.now
			}
		}
		if end := w.run(t); end.Phase != rollout.PhasePromoted {
			t.Errorf("a pause after step %d: ended %s: %s", at, end.Phase, end.Reason)
		}
		if took := left.Sub(paused.Since); paused.Step != at || took < 30*time.Second {
			t.Errorf("paused for %s at step %d, want 30s at %d", took, paused.Step, at)
		}

		w = &world{plan: plan()}
		w.plan.Steps[at].UntilPromoted = true
		end := w.run(t)
		if end.Phase != rollout.PhasePaused || !end.Asked || end.Step != at || end.Left != rollout.StagePause || end.Leftover != rollout.LeftoverCanary {
			t.Fatalf("until promoted after step %d: %+v", at, end)
		}
		for name, s := range map[string]rollout.State{
			"continue": takeover.Continue(plan(), end, epoch), "promote": takeover.Promote(w.plan, end, epoch, false), "promote --full": takeover.Promote(w.plan, end, epoch, true),
		} {
			next := &world{plan: w.plan, state: s}
			if end := next.run(t); end.Phase != rollout.PhasePromoted {
				t.Errorf("%s after step %d: ended %s: %s", name, at, end.Phase, end.Reason)
			}
			want := []int{5, 25, 50, 100}[at:]
			if name == "promote --full" {
				want = []int{100}
			}
			if diff := cmp.Diff(want, next.weights); diff != "" {
				t.Errorf("%s after step %d: weights (-want +got):\n%s", name, at, diff)
			}
		}
	}
}

func TestAFailedVerdictEndsAPause(t *testing.T) {
	t.Parallel()
	w := &world{plan: plan()}
	w.plan.Steps[0].Pause = time.Hour
	w.bend = func(o *rollout.Observation, s rollout.State) {
		if s.Stage == rollout.StagePause {
			o.Verdict, o.Reason = rollout.VerdictFailed, "bad"
		}
	}
	if end := w.run(t); end.Phase != rollout.PhaseAborted || end.Reason != "bad" {
		t.Errorf("ended %s: %s", end.Phase, end.Reason)
	}
}

// Where stable cannot serve, versions that look alike do not stop the rollout.
func TestAReplacementWithoutVersions(t *testing.T) {
	t.Parallel()
	w := &world{plan: plan().Replacing(), bend: func(o *rollout.Observation, _ rollout.State) {
		o.Split, o.Preflight, o.NewAnswers = rollout.SplitBlind, rollout.SplitBlind, 0
	}}
	end := w.run(t)
	if end.Phase != rollout.PhasePromoted || end.Leftover != "" || len(end.Unconfirmed) == 0 {
		t.Errorf("ended %s: %s; unconfirmed %q", end.Phase, end.Reason, end.Unconfirmed)
	}
	if diff := cmp.Diff([]int{100}, w.weights); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
	blind := w.bend
	w = &world{plan: plan().Replacing(), bend: func(o *rollout.Observation, s rollout.State) {
		blind(o, s)
		if s.Phase == rollout.PhaseBaking {
			o.Verdict, o.Reason = rollout.VerdictFailed, "bad"
		}
	}}
	if end := w.run(t); end.Phase != rollout.PhaseAborted || !end.Reverted {
		t.Errorf("ended %s: %s", end.Phase, end.Reason)
	}
}
