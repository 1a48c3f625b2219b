// Package decide decides what a release does next: no Kubernetes, no HTTP and no
// clock.
//
// Next is a pure function from (Plan, State, Observation) to the next State
// and one Action. Package loop is its only caller: observe, Next, record, act,
// wait for a change. Two rules hold on every path and are tested as properties:
//
//   - after a failed verdict the weight never rises again;
//   - every path ends promoted, aborted, paused (only if the plan or a person
//     asks for it or another writer changed the route), or failed with the
//     reason why its abort or promotion failed.
//
// The order inside a step is fixed: scale, ready, weight, accepted, observed,
// dwell. Blue-green has one step, with warm-up, smoke and verify before its weight.
// A step's weight is written only after its pods are ready, the first
// one only after the gateway has reached them; the next change happens only
// after the data plane has followed the last. The pods of a step start towards
// the end of the dwell before it.
//
// After the last step the new revision takes over the user's Deployment and the
// old one stays warm while the judge goes on (PhaseBaking). Then the old
// revision drains and everything is left as the user wrote it (PhaseCleaning).
// A version that fails while it bakes loses the traffic by one write, and the
// same hand-over gives the Deployment back (PhaseReverting).
package decide

import (
	"cmp"
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// Next returns the next State and Action for an Observation. It has no side
// effects and reads no clock but o.Now. The caller records the State before it
// executes the Action.
func Next(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if s.Phase.Terminal() {
		return s, rollout.Action{Kind: rollout.KindStop}
	}
	if o.Fenced != "" {
		return end(s, o, rollout.PhaseFailed, "another run took over: "+o.Fenced+"; this run made no further changes")
	}
	if p.Strategy == rollout.StrategyRolling {
		return rolling(p, s, o)
	}
	switch s.Phase {
	case rollout.PhasePending:
		s.Phase = rollout.PhaseProgressing
		return progress(p, enter(s, o, rollout.StagePrepare), o)
	case rollout.PhaseProgressing:
		return progress(p, s, o)
	case rollout.PhasePromoting, rollout.PhaseReverting:
		return promote(p, s, o)
	case rollout.PhaseBaking:
		return bake(p, s, o)
	case rollout.PhaseCleaning:
		return clean(p, s, o)
	case rollout.PhaseAborting:
		return abort(p, s, o)
	default:
		return end(s, o, rollout.PhaseFailed, fmt.Sprintf("unknown phase %q", s.Phase))
	}
}

// alarms checks the reasons to stop that apply at every stage of the rise.
func alarms(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action, bool) {
	switch {
	case o.Interrupted != "" && p.Linger:
		return stop(s, rollout.Action{Kind: rollout.KindStop})
	case o.Interrupted != "":
		s.QuickBy = o.Now.Add(p.QuickAbort)
		return stop(startAbort(p, s, o, "interrupted by "+o.Interrupted))
	case o.Drift != "":
		return stop(conflict(s, o))
	case o.Err != nil:
		return stop(fail(p, s, o, o.Err.Error()))
	case o.Trouble != "" && s.Stage != rollout.StagePrepare:
		reason := o.Trouble
		if s.Stage == rollout.StageScale || s.Stage == rollout.StageReady {
			reason = readiness(o, o.Trouble)
		}
		return stop(fail(p, s, o, reason))
	case o.Verdict == rollout.VerdictFailed:
		return stop(fail(p, s, o, o.Reason))
	}
	return steered(p, s, o)
}

// stop returns a decision that takes precedence over all others.
func stop(s rollout.State, a rollout.Action) (rollout.State, rollout.Action, bool) { return s, a, true }

// conflict pauses because of another writer.
func conflict(s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	s.Conflict = true
	return end(s, o, rollout.PhasePaused, "conflicting change: "+o.Drift+"; paused instead of overwriting it")
}

// extends repeats a dwell or a bake that was inconclusive, if the plan allows
// one more.
func extends(p rollout.Plan, s rollout.State, reason string) (rollout.State, rollout.Action, bool) {
	if s.Extensions >= p.MaxExtensions {
		return s, rollout.Action{}, false
	}
	s.Extensions++
	until := s.Since.Add(p.DwellFor(s))
	return s, wait(s, until, fmt.Sprintf("the extended %s at %d %% (%s)", s.Stage, s.Weight, reason)), true
}

func inconclusive(p rollout.Plan, s rollout.State, o rollout.Observation, reason string) (rollout.State, rollout.Action) {
	reason = "inconclusive: " + reason
	policy := cmp.Or(o.Policy, p.Inconclusive)
	if policy == rollout.PolicyExtend && (s.Stage == rollout.StageDwell || s.Stage == rollout.StageBake) {
		if s, a, ok := extends(p, s, reason); ok {
			return s, a
		}
		policy = p.Then
	}
	if policy == rollout.PolicyHold {
		return end(s, o, rollout.PhasePaused, reason)
	}
	return fail(p, s, o, reason)
}

// fail ends the rise or the bake: back to the old revision, or pause if the plan
// says so or that revision cannot serve.
func fail(p rollout.Plan, s rollout.State, o rollout.Observation, reason string) (rollout.State, rollout.Action) {
	if p.Strategy == rollout.StrategyRolling {
		return failRolling(p, s, o, reason)
	}
	if s.Written && o.BackReady == 0 && (p.Replace || s.Phase == rollout.PhaseBaking) {
		return end(s, o, rollout.PhasePaused, reason+"; the version to go back to has no ready pods")
	}
	if !p.Rollback {
		return end(s, o, rollout.PhasePaused, reason)
	}
	if s.Phase == rollout.PhaseBaking {
		return startRevert(s, o, reason)
	}
	return startAbort(p, s, o, reason)
}

func failed(s rollout.State, o rollout.Observation, reason string) (rollout.State, rollout.Action) {
	switch s.Phase {
	case rollout.PhasePromoting, rollout.PhaseReverting:
		s.Leftover = rollout.LeftoverPromotion
	case rollout.PhaseBaking, rollout.PhaseCleaning:
		s.Leftover = rollout.LeftoverPrevious
	default:
		s.Leftover = rollout.LeftoverAbort
	}
	return end(s, o, rollout.PhaseFailed, reason)
}

func end(s rollout.State, o rollout.Observation, phase rollout.Phase, reason string) (rollout.State, rollout.Action) {
	s.Left = s.Stage
	if phase == rollout.PhasePaused {
		s.Leftover = rollout.LeftoverCanary
		if s.Phase == rollout.PhaseBaking {
			s.Leftover = rollout.LeftoverPrevious
		}
	}
	s.Phase, s.Reason = phase, reason
	if phase != rollout.PhaseFailed { // after a failure the next run continues from this stage
		s.Stage = rollout.StageEnd
	}
	s.Since = o.Now
	return s, rollout.Action{Kind: rollout.KindStop}
}

func enter(s rollout.State, o rollout.Observation, stage rollout.Stage) rollout.State {
	s.Stage, s.Since, s.Extensions = stage, o.Now, 0
	return s
}

// seen records that the answers show the weight written at s.Since. The
// gateway's lag ends when the answers likely started to follow, not at the
// confirmation.
func seen(s rollout.State, o rollout.Observation) rollout.State {
	s.ObservedAt = o.Now
	followed := o.Now
	if o.Followed.After(s.Since) {
		followed = o.Followed
	}
	s.Lag = max(s.Lag, followed.Sub(s.Since))
	return s
}

// kinds are the acting stages with what they do.
func kinds(stage rollout.Stage) (kind rollout.Kind, acts bool) {
	kind, acts = map[rollout.Stage]rollout.Kind{
		rollout.StagePrepare: rollout.KindPrepare, rollout.StageScale: rollout.KindScale, rollout.StageWeight: rollout.KindWeight, rollout.StageAbortWeight: rollout.KindWeight,
		rollout.StageHandOver: rollout.KindHandOver, rollout.StageReturn: rollout.KindReturn, rollout.StageWarm: rollout.KindWarm, rollout.StageRevert: rollout.KindRevert,
		rollout.StageUnroute: rollout.KindUnroute, rollout.StageClean: rollout.KindClean, rollout.StageAbortRemove: rollout.KindRestore, rollout.StageSmoke: rollout.KindSmoke,
		rollout.StageRoll: rollout.KindRoll, rollout.StageComplete: rollout.KindComplete, rollout.StageUndo: rollout.KindUndo,
	}[stage]
	return kind, acts
}

// undone reports whether s is in an acting stage whose action has not completed
// yet: it is repeated.
func undone(s rollout.State, o rollout.Observation) bool {
	_, acts := kinds(s.Stage)
	return acts && o.Done != s.Stage
}

// act returns the action of an acting stage.
func act(s rollout.State) (rollout.State, rollout.Action) {
	kind, acts := kinds(s.Stage)
	if !acts {
		panic("rollout: stage " + string(s.Stage) + " has no action")
	}
	a := rollout.Action{Stage: s.Stage, Kind: kind}
	if kind == rollout.KindWeight || kind == rollout.KindRevert || kind == rollout.KindRoll {
		a.Weight = s.Weight
	}
	if kind == rollout.KindComplete {
		a.Weight = 100
	}
	return s, a
}

func wait(s rollout.State, until time.Time, await string) rollout.Action {
	return rollout.Action{Stage: s.Stage, Kind: rollout.KindWait, Await: await, Until: until}
}

func expired(o rollout.Observation, deadline time.Time) bool { return !o.Now.Before(deadline) }
