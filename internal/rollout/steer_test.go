package rollout

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	failing := func(phase Phase, step int) func(*Observation, State) {
		return func(o *Observation, s State) {
			if s.Phase == phase && s.Step == step && (s.Stage == StageDwell || s.Stage == StageBake) {
				o.Verdict, o.Reason = VerdictFailed, "bad"
			}
		}
	}
	good := world{plan: plan(), slow: true}
	good.plan.Steps[1].Pause = 5 * time.Second
	return map[string]world{
		"good":     good,
		"aborted":  {plan: plan(), slow: true, bend: failing(PhaseProgressing, 1)},
		"reverted": {plan: plan(), slow: true, bend: failing(PhaseBaking, 3)},
	}
}

// steered returns a copy of a moment in which a request arrives now.
func (w world) steered(r Request) *world {
	bend, asked := w.bend, false
	w.bend = func(o *Observation, s State) {
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
	seen := map[Stage]bool{}
	for course, w := range courses() {
		for _, m := range moments(t, w) {
			seen[m.state.Stage] = true
			for _, r := range Requests() {
				name := fmt.Sprintf("%s in %s, %s, done %q: %s", course, m.state.Phase, m.state.Stage, m.done, r)
				plain, asked := m, m.steered(r)
				stopped := plain.decide(t)
				if reason, ok := Allowed(m.state, r); !ok {
					// The bake may begin in this very decision.
					if asked.decide(t); plain.state.Phase == m.state.Phase && cmp.Diff(plain.state, asked.state) != "" {
						t.Errorf("%s: refused (%s), but it changes\n%s", name, reason, cmp.Diff(plain.state, asked.state))
					}
					continue
				}
				if stopped || plain.state.Phase == PhaseReverting || plain.state.Phase == PhaseAborting && m.state.Phase != PhaseAborting {
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
func followed(t *testing.T, name string, m world, asked *world, r Request) {
	t.Helper()
	end := asked.run(t)
	over := m.state.handedOver()
	switch r {
	case RequestPause:
		if end.Phase != PhasePaused || !end.Asked || end.Reason != "pause by Ada" || end.Weight != m.state.Weight {
			t.Errorf("%s: ended %s at %d: %s", name, end.Phase, end.Weight, end.Reason)
		}
	case RequestAbort, RequestRollback:
		if end.Phase != PhaseAborted || end.Reverted != over || end.Leftover != "" || end.Reason != string(r)+" by Ada" {
			t.Errorf("%s: ended %s, reverted %t: %s", name, end.Phase, end.Reverted, end.Reason)
		}
	case RequestPromote, RequestPromoteFull, RequestRelease:
		if m.bend != nil { // the course goes back later
			return
		}
		if end.Phase != PhasePromoted || end.Leftover != "" {
			t.Errorf("%s: ended %s, left %q: %s", name, end.Phase, end.Leftover, end.Reason)
		}
		plain := m
		plain.run(t)
		if !over && r == RequestPromoteFull && m.state.Step < 2 && len(asked.weights) > 0 && len(asked.weights) >= len(plain.weights) {
			t.Errorf("%s: weights %v, without it %v", name, asked.weights, plain.weights)
		}
		early := m.state.Stage == StageBake && m.now.Sub(m.state.Since) < plan().Bake/2
		if took, usual := asked.now.Sub(m.now), plain.now.Sub(m.now); took > usual || early && took == usual {
			t.Errorf("%s: took %s, without it %s", name, took, usual)
		}
	case RequestResume:
		t.Errorf("%s: allowed", name)
	}
}

// A request that comes before the first decision is followed as well.
func TestARequestBeforeTheFirstDecision(t *testing.T) {
	t.Parallel()
	for r, phase := range map[Request]Phase{RequestPause: PhasePaused, RequestAbort: PhaseAborted, RequestPromoteFull: PhasePromoted} {
		w := world{plan: plan()}
		if end := w.steered(r).run(t); end.Phase != phase {
			t.Errorf("%s: ended %s: %s", r, end.Phase, end.Reason)
		}
	}
}

func TestWhatATerminalRolloutTakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		state State
		takes []Request
	}{
		"paused in the rise":    {State{Phase: PhasePaused, Leftover: LeftoverCanary}, []Request{RequestResume, RequestPromote, RequestPromoteFull, RequestAbort, RequestRollback, RequestRelease}},
		"paused in the bake":    {State{Phase: PhasePaused, Leftover: LeftoverPrevious}, []Request{RequestPromote, RequestPromoteFull, RequestAbort, RequestRollback, RequestRelease}},
		"promoted, warm":        {State{Phase: PhasePromoted, Leftover: LeftoverPrevious}, []Request{RequestPromote, RequestPromoteFull, RequestAbort, RequestRollback, RequestRelease}},
		"promoted":              {State{Phase: PhasePromoted}, []Request{RequestRollback, RequestRelease}},
		"promoted, interrupted": {State{Phase: PhasePromoted, Leftover: LeftoverPromotion}, []Request{RequestAbort, RequestRollback, RequestRelease}},
		"aborted":               {State{Phase: PhaseAborted}, []Request{RequestRelease}},
		"aborted in a hurry":    {State{Phase: PhaseAborted, Leftover: LeftoverCanary}, []Request{RequestAbort, RequestRollback, RequestRelease}},
		"failed":                {State{Phase: PhaseFailed, Leftover: LeftoverAbort}, []Request{RequestAbort, RequestRollback, RequestRelease}},
		"aborting":              {State{Phase: PhaseAborting, Stage: StageAbortDrain}, nil},
		"reverting":             {State{Phase: PhaseReverting, Stage: StageReturn}, nil},
		"cleaning":              {State{Phase: PhaseCleaning, Stage: StageDrain}, nil},
	} {
		var takes []Request
		for _, r := range Requests() {
			reason, ok := Allowed(test.state, r)
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
	for want, state := range map[string]State{
		"the rollout is Aborted: it takes release":                                    {Phase: PhaseAborted},
		"the rollout is Promoted: it takes rollback or release":                       {Phase: PhasePromoted},
		"the rollout is Failed, left: the abort: it takes abort, rollback or release": {Phase: PhaseFailed, Leftover: LeftoverAbort},
		"the rollout is Cleaning (drain): wait until it ends":                         {Phase: PhaseCleaning, Stage: StageDrain},
	} {
		if got, _ := Allowed(state, RequestResume); got != want {
			t.Errorf("refused with %q, want %q", got, want)
		}
	}
}
