package decide

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/takeover"
)

// moments runs a rollout to its end and returns it before every decision that is
// the first or the last one of its stage.
func moments(t *testing.T, w world) []world {
	t.Helper()
	var all []world
	w.before = func(w world) {
		n := len(all)
		if n > 1 && all[n-1].state.Stage == w.state.Stage && all[n-2].state.Stage == w.state.Stage && all[n-1].done == "" {
			n-- // keep the first and the newest
		}
		w.before, w.actions, w.weights = nil, nil, nil
		all = append(all[:n], w)
	}
	w.run(t)
	return all
}

// courses are rollouts that together come through every stage.
func courses() map[string]world {
	failing := func(phase rollout.Phase, step int) func(*rollout.Observation, rollout.State) {
		return func(o *rollout.Observation, s rollout.State) {
			if s.Phase == phase && s.Step == step && (s.Stage == rollout.StageDwell || s.Stage == rollout.StageBake) {
				o.Verdict, o.Reason = rollout.VerdictFailed, "bad"
			}
		}
	}
	good := world{plan: plan(), slow: true}
	good.plan.Steps[1].Pause = 5 * time.Second
	return map[string]world{
		"grouped":              {plan: grouped(), slow: true, bend: promotedAfter(3 * time.Second)},
		"blue-green":           {plan: blueGreenPlan(), slow: true},
		"blue-green, aborted":  {plan: blueGreenPlan(), slow: true, bend: failing(rollout.PhaseProgressing, 0)},
		"blue-green, reverted": {plan: blueGreenPlan(), slow: true, bend: failing(rollout.PhaseBaking, 0)},

		"good":     good,
		"aborted":  {plan: plan(), slow: true, bend: failing(rollout.PhaseProgressing, 1)},
		"reverted": {plan: plan(), slow: true, bend: failing(rollout.PhaseBaking, 3)},
	}
}

// steered returns a copy of a moment in which a request arrives now.
func (w world) steered(r rollout.Request) *world {
	bend, asked := w.bend, false
	w.bend = func(o *rollout.Observation, s rollout.State) {
		if bend != nil {
			bend(o, s)
		}
		if !asked {
			asked = true
			o.Request, o.By = r, "Ada"
		}
	}
	return &w
}

// Allowed and Next agree, at every moment of a rollout: a request that is refused
// changes nothing, and one that is taken has the effect that it names.
func TestAllowedSaysWhatNextDoes(t *testing.T) {
	t.Parallel()
	seen := map[rollout.Stage]bool{}
	for course, w := range courses() {
		for _, m := range moments(t, w) {
			seen[m.state.Stage] = true
			for _, r := range rollout.Requests() {
				name := fmt.Sprintf("%s in %s, %s, done %q: %s", course, m.state.Phase, m.state.Stage, m.done, r)
				plain, asked := m, m.steered(r)
				stopped := plain.decide(t)
				if reason, ok := rollout.Allowed(m.state, r); !ok {
					// The bake may begin in this very decision.
					if asked.decide(t); plain.state.Phase == m.state.Phase && cmp.Diff(plain.state, asked.state) != "" {
						t.Errorf("%s: refused (%s), but it changes\n%s", name, reason, cmp.Diff(plain.state, asked.state))
					}
					continue
				}
				if stopped || plain.state.Phase == rollout.PhaseReverting || plain.state.Phase == rollout.PhaseAborting && m.state.Phase != rollout.PhaseAborting {
					continue // the rollout decides on its own at the same moment
				}
				followed(t, name, m, asked, r)
			}
		}
	}
	for _, stage := range stages {
		if !seen[stage] {
			t.Errorf("no course comes through %s", stage)
		}
	}
}

// followed runs a steered rollout to its end, which has to be the request's.
func followed(t *testing.T, name string, m world, asked *world, r rollout.Request) {
	t.Helper()
	end := asked.run(t)
	over := takeover.HandedOver(m.state)
	switch r {
	case rollout.RequestPause:
		if end.Phase != rollout.PhasePaused || !end.Asked || end.Reason != "pause by Ada" || end.Weight != m.state.Weight {
			t.Errorf("%s: ended %s at %d: %s", name, end.Phase, end.Weight, end.Reason)
		}
	case rollout.RequestAbort, rollout.RequestRollback:
		if end.Phase != rollout.PhaseAborted || end.Reverted != over || end.Leftover != "" || end.Reason != string(r)+" by Ada" {
			t.Errorf("%s: ended %s, reverted %t: %s", name, end.Phase, end.Reverted, end.Reason)
		}
	case rollout.RequestPromote, rollout.RequestPromoteFull, rollout.RequestRelease:
		if m.bend != nil { // the course goes back later
			return
		}
		if end.Phase != rollout.PhasePromoted || end.Leftover != "" {
			t.Errorf("%s: ended %s, left %q: %s", name, end.Phase, end.Leftover, end.Reason)
		}
		plain := m
		plain.run(t)
		if !over && r == rollout.RequestPromoteFull && m.state.Step < len(m.plan.Steps)-2 && len(asked.weights) > 0 && len(asked.weights) >= len(plain.weights) {
			t.Errorf("%s: weights %v, without it %v", name, asked.weights, plain.weights)
		}
		early := m.state.Stage == rollout.StageBake && m.now.Sub(m.state.Since) < plan().Bake/2
		if took, usual := asked.now.Sub(m.now), plain.now.Sub(m.now); took > usual || early && took == usual {
			t.Errorf("%s: took %s, without it %s", name, took, usual)
		}
	case rollout.RequestResume:
		t.Errorf("%s: allowed", name)
	}
}

// A request that comes before the first decision is followed as well.
func TestARequestBeforeTheFirstDecision(t *testing.T) {
	t.Parallel()
	for r, phase := range map[rollout.Request]rollout.Phase{rollout.RequestPause: rollout.PhasePaused, rollout.RequestAbort: rollout.PhaseAborted, rollout.RequestPromoteFull: rollout.PhasePromoted} {
		w := world{plan: plan()}
		if end := w.steered(r).run(t); end.Phase != phase {
			t.Errorf("%s: ended %s: %s", r, end.Phase, end.Reason)
		}
	}
}

func TestWhatATerminalRolloutTakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		state rollout.State
		takes []rollout.Request
	}{
		"paused in the rise":    {rollout.State{Phase: rollout.PhasePaused, Leftover: rollout.LeftoverCanary}, []rollout.Request{rollout.RequestResume, rollout.RequestPromote, rollout.RequestPromoteFull, rollout.RequestAbort, rollout.RequestRollback, rollout.RequestRelease}},
		"paused in the bake":    {rollout.State{Phase: rollout.PhasePaused, Leftover: rollout.LeftoverPrevious}, []rollout.Request{rollout.RequestPromote, rollout.RequestPromoteFull, rollout.RequestAbort, rollout.RequestRollback, rollout.RequestRelease}},
		"promoted, warm":        {rollout.State{Phase: rollout.PhasePromoted, Leftover: rollout.LeftoverPrevious}, []rollout.Request{rollout.RequestPromote, rollout.RequestPromoteFull, rollout.RequestAbort, rollout.RequestRollback, rollout.RequestRelease}},
		"promoted":              {rollout.State{Phase: rollout.PhasePromoted}, []rollout.Request{rollout.RequestRollback, rollout.RequestRelease}},
		"promoted, interrupted": {rollout.State{Phase: rollout.PhasePromoted, Leftover: rollout.LeftoverPromotion}, []rollout.Request{rollout.RequestAbort, rollout.RequestRollback, rollout.RequestRelease}},
		"aborted":               {rollout.State{Phase: rollout.PhaseAborted}, []rollout.Request{rollout.RequestRelease}},
		"aborted in a hurry":    {rollout.State{Phase: rollout.PhaseAborted, Leftover: rollout.LeftoverCanary}, []rollout.Request{rollout.RequestAbort, rollout.RequestRollback, rollout.RequestRelease}},
		"failed":                {rollout.State{Phase: rollout.PhaseFailed, Leftover: rollout.LeftoverAbort}, []rollout.Request{rollout.RequestAbort, rollout.RequestRollback, rollout.RequestRelease}},
		"aborting":              {rollout.State{Phase: rollout.PhaseAborting, Stage: rollout.StageAbortDrain}, nil},
		"reverting":             {rollout.State{Phase: rollout.PhaseReverting, Stage: rollout.StageReturn}, nil},
		"cleaning":              {rollout.State{Phase: rollout.PhaseCleaning, Stage: rollout.StageDrain}, nil},
	} {
		var takes []rollout.Request
		for _, r := range rollout.Requests() {
			reason, ok := rollout.Allowed(test.state, r)
			if ok {
				takes = append(takes, r)
			}
			if ok != (reason == "") {
				t.Errorf("%s, %s: %t with the reason %q", name, r, ok, reason)
			}
		}
		if diff := cmp.Diff(test.takes, takes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTheRefusalNamesWhatIsTaken(t *testing.T) {
	t.Parallel()
	for want, state := range map[string]rollout.State{
		"the rollout is Aborted: it takes release":                                    {Phase: rollout.PhaseAborted},
		"the rollout is Promoted: it takes rollback or release":                       {Phase: rollout.PhasePromoted},
		"the rollout is Failed, left: the abort: it takes abort, rollback or release": {Phase: rollout.PhaseFailed, Leftover: rollout.LeftoverAbort},
		"the rollout is Cleaning (drain): wait until it ends":                         {Phase: rollout.PhaseCleaning, Stage: rollout.StageDrain},
	} {
		if got, _ := rollout.Allowed(state, rollout.RequestResume); got != want {
			t.Errorf("refused with %q, want %q", got, want)
		}
	}
}
