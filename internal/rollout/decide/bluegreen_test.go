package decide

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/takeover"
)

// switched is what a blue-green release does from the switch on.
var switched = []string{"weight", "handover", "return", "warm", "unroute", "clean"}

func TestAGoodBlueGreenRelease(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plan func(*rollout.Plan)
		want []string
	}{
		"tested":     {func(*rollout.Plan) {}, append([]string{"prepare", "scale", "smoke"}, switched...)},
		"not tested": {func(p *rollout.Plan) { p.Smoke = 0 }, append([]string{"prepare", "scale"}, switched...)},
		"kept warm":  {func(p *rollout.Plan) { p.KeepWarm = time.Hour }, []string{"prepare", "scale", "smoke", "weight", "handover", "return", "warm"}},
	} {
		w := &world{plan: blueGreenPlan()}
		c.plan(&w.plan)
		end := w.run(t)
		if end.Phase != rollout.PhasePromoted {
			t.Errorf("%s: ended %s: %s", name, end.Phase, end.Reason)
		}
		if diff := cmp.Diff(c.want, w.actions); diff != "" {
			t.Errorf("%s: actions (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff([]int{100}, w.weights); diff != "" {
			t.Errorf("%s: weights (-want +got):\n%s", name, diff)
		}
	}
}

// Nothing is switched while something speaks against it, and what does not change is
// the reason for the end.
func TestWhatKeepsBlueGreenFromTheSwitch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend   func(*rollout.Observation)
		plan   func(*rollout.Plan)
		phase  rollout.Phase
		reason string
	}{
		"a failing test":                  {bend: func(o *rollout.Observation) { o.Smoke, o.SmokeReason = rollout.CheckFailed, "GET /health: 500" }, phase: rollout.PhaseAborted, reason: "GET /health: 500"},
		"a failing test with no rollback": {bend: func(o *rollout.Observation) { o.Smoke, o.SmokeReason = rollout.CheckFailed, "GET /health: 500" }, plan: func(p *rollout.Plan) { p.Rollback = false }, phase: rollout.PhasePaused, reason: "GET /health: 500"},
		"tests without an end":            {bend: func(o *rollout.Observation) { o.Smoke = rollout.CheckPending }, phase: rollout.PhaseAborted, reason: "waiting for the smoke tests"},
		"no pods":                         {bend: func(o *rollout.Observation) { o.CanaryReady, o.CanaryWanted, o.CanaryNeeded = 0, 0, 0 }, phase: rollout.PhaseAborted, reason: "0 of 0 canary pods ready"},
		"a pod that is not ready":         {bend: func(o *rollout.Observation) { o.CanaryReady = 2 }, phase: rollout.PhaseAborted, reason: "2 of 3 canary pods ready"},
		"a slot that is too small":        {bend: func(o *rollout.Observation) { o.CanaryNeeded = 5 }, phase: rollout.PhaseAborted, reason: "pods to become 5"},
		"pods that nobody tests":          {bend: func(o *rollout.Observation) { o.Untested = 1 }, phase: rollout.PhaseAborted, reason: "the smoke tests of 1 new pods"},
		"not tested, not ready":           {bend: func(o *rollout.Observation) { o.CanaryReady = 2 }, plan: func(p *rollout.Plan) { p.Smoke = 0 }, phase: rollout.PhaseAborted, reason: "2 of 3 canary pods ready"},
	} {
		w := &world{plan: blueGreenPlan()}
		if c.plan != nil {
			c.plan(&w.plan)
		}
		w.bend = func(o *rollout.Observation, s rollout.State) {
			if s.Stage == rollout.StageWarmUp || s.Stage == rollout.StageVerify || s.Stage == rollout.StageSmoke {
				c.bend(o)
			}
		}
		end := w.run(t)
		if end.Phase != c.phase || !strings.Contains(end.Reason, c.reason) || end.Written || len(w.weights) > 0 {
			t.Errorf("%s: ended %s with weights %v: %s", name, end.Phase, w.weights, end.Reason)
		}
	}
}

// Pods that appear after the tests are tested before the switch.
func TestLatePodsAreTested(t *testing.T) {
	t.Parallel()
	rounds := 0
	w := &world{plan: blueGreenPlan()}
	w.bend = func(o *rollout.Observation, s rollout.State) {
		if o.Done == rollout.StageSmoke {
			rounds++
		}
		if s.Stage == rollout.StageVerify || s.Stage == rollout.StageSmoke {
			o.Untested = max(0, 2-rounds)
		}
	}
	if end := w.run(t); end.Phase != rollout.PhasePromoted || rounds != 2 {
		t.Errorf("ended %s after %d rounds: %s", end.Phase, rounds, end.Reason)
	}
}

// Manual promotion ends the run at weight 0. Any process resumes it, also after an
// hour, and looks at the pods again before it switches.
func TestManualPromotion(t *testing.T) {
	t.Parallel()
	p := blueGreenPlan()
	p.Manual = true
	w := &world{plan: p}
	left := w.run(t)
	if left.Phase != rollout.PhasePaused || !left.Asked || left.Weight != 0 || left.Written || left.Left != rollout.StagePause || left.Leftover != rollout.LeftoverCanary {
		t.Fatalf("ended %+v", left)
	}
	hour := w.now.Add(time.Hour)
	for name, s := range map[string]rollout.State{
		"resume": takeover.Continue(plan(), left, hour), "promote": takeover.Promote(p, left, hour, false), "promote --full": takeover.Promote(p, left, hour, true),
	} {
		next := &world{plan: p, state: s, now: hour}
		if end := next.run(t); end.Phase != rollout.PhasePromoted {
			t.Errorf("%s: ended %s: %s", name, end.Phase, end.Reason)
		}
		want := append([]string{"prepare", "scale", "smoke"}, switched...)
		if diff := cmp.Diff(want, next.actions); diff != "" {
			t.Errorf("%s: actions (-want +got):\n%s", name, diff)
		}
		gone := &world{plan: p, state: s, now: hour, bend: func(o *rollout.Observation, _ rollout.State) { o.CanaryReady = 2 }}
		if end := gone.run(t); end.Phase != rollout.PhaseAborted || end.Written {
			t.Errorf("%s with a pod that is gone: ended %s: %s", name, end.Phase, end.Reason)
		}
	}
	if end := (&world{plan: p, state: takeover.Resume(plan(), left, hour, "run 2")}).run(t); end.Phase != rollout.PhaseAborted || end.Written {
		t.Errorf("the next release leaves it %s: %s", end.Phase, end.Reason)
	}
	// Killed after the switch, it needs no second promotion.
	after := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageObserved, Weight: 100, Written: true}
	if end := (&world{plan: p, state: takeover.Continue(plan(), after, hour)}).run(t); end.Phase != rollout.PhasePromoted {
		t.Errorf("killed after the switch: ended %s: %s", end.Phase, end.Reason)
	}
}

// A promotion that comes before the pause makes it needless, and skips no test.
func TestPromotedBeforeThePause(t *testing.T) {
	t.Parallel()
	for _, stage := range []rollout.Stage{rollout.StageReady, rollout.StageWarmUp, rollout.StageVerify} {
		p := blueGreenPlan()
		p.Manual = true
		w, asked := &world{plan: p, slow: true}, false
		w.bend = func(o *rollout.Observation, s rollout.State) {
			if s.Stage == stage && !asked {
				asked, o.Request, o.By = true, rollout.RequestPromote, "Ada"
			}
		}
		end := w.run(t)
		if end.Phase != rollout.PhasePromoted || cmp.Diff(append([]string{"prepare", "scale", "smoke"}, switched...), w.actions) != "" {
			t.Errorf("in %s: ended %s after %q: %s", stage, end.Phase, w.actions, end.Reason)
		}
	}
}

// Until the hand-over one write takes the traffic back, after it another one.
func TestABlueGreenReleaseGoesBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stage rollout.Stage
		want  []string
	}{
		{rollout.StageObserved, []string{"weight", "abort-weight", "abort-remove"}},
		{rollout.StageDwell, []string{"weight", "abort-weight", "abort-remove"}},
		{rollout.StageBake, append([]string{"warm"}, goBack...)},
	} {
		for name, bend := range map[string]func(*rollout.Observation){
			"a failed verdict": func(o *rollout.Observation) { o.Verdict, o.Reason = rollout.VerdictFailed, "bad" },
			"a rollback":       func(o *rollout.Observation) { o.Request, o.By = rollout.RequestRollback, "Ada" },
		} {
			w := &world{plan: blueGreenPlan(), slow: true}
			w.bend = func(o *rollout.Observation, s rollout.State) {
				if s.Stage == c.stage && s.Phase != rollout.PhaseReverting {
					bend(o)
				}
			}
			end := w.run(t)
			if end.Phase != rollout.PhaseAborted || end.Leftover != "" {
				t.Errorf("%s in %s: ended %s: %s", name, c.stage, end.Phase, end.Reason)
			}
			if diff := cmp.Diff(c.want, w.actions[len(w.actions)-len(c.want):]); diff != "" {
				t.Errorf("%s in %s: last actions (-want +got):\n%s", name, c.stage, diff)
			}
		}
	}
}

// Without a bake nobody judges on, so the look has to have a verdict.
func TestWithoutABakeTheLookHasAVerdict(t *testing.T) {
	t.Parallel()
	for verdict, want := range map[rollout.Verdict]rollout.Phase{rollout.VerdictSuccessful: rollout.PhasePromoted, rollout.VerdictPending: rollout.PhaseAborted} {
		w := &world{plan: blueGreenPlan()}
		w.plan.Bake = 0
		w.bend = func(o *rollout.Observation, s rollout.State) {
			if s.Stage == rollout.StageDwell && o.Verdict == rollout.VerdictSuccessful {
				o.Verdict = verdict
			}
		}
		if end := w.run(t); end.Phase != want {
			t.Errorf("verdict %s: ended %s: %s", verdict, end.Phase, end.Reason)
		}
	}
}

// The tenth release in a row works as the first one did.
func TestTenBlueGreenReleasesInARow(t *testing.T) {
	t.Parallel()
	now := epoch
	for n := range 10 {
		w := &world{plan: blueGreenPlan(), now: now, slow: n%2 == 1}
		end := w.run(t)
		if end.Phase != rollout.PhasePromoted || fmt.Sprint(w.actions) != fmt.Sprint(append([]string{"prepare", "scale", "smoke"}, switched...)) {
			t.Fatalf("release %d ended %s after %q: %s", n+1, end.Phase, w.actions, end.Reason)
		}
		now = w.now
	}
}
