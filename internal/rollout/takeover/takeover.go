// Package takeover says from which state another process goes on with a rollout, or
// ends it: after a kill, a pause, or a person's command. It is pure; package decide
// goes on from there.
package takeover

import (
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// fresh returns the parts of s that another process takes over.
func fresh(s rollout.State, now time.Time) rollout.State {
	return rollout.State{
		Since: now, Step: s.Step, Pods: s.Pods, Extra: s.Extra, Undone: s.Undone, Written: s.Written, Weight: s.Weight, Lag: s.Lag, Reverted: s.Reverted, Full: s.Full, Back: s.Back, Hold: s.Hold,
		ObservedAt: now, // this process does not know when it was last observed
	}
}

// Resume returns the state from which another run finishes an unfinished
// rollout. If the hand-over may have started, the rollout goes forward: its new
// revision already takes all traffic. Otherwise it goes back to stable. by
// names the run that resumes, for the recorded reason.
func Resume(p rollout.Plan, s rollout.State, now time.Time, by string) rollout.State {
	next := fresh(s, now)
	next.Reason = fmt.Sprintf("left at %s, %s, weight %d: finished by %s", s.Phase, at(s), s.Weight, by)
	if p.Strategy == rollout.StrategyRolling {
		return resumeRolling(next, s)
	}
	if HandedOver(s) {
		next.Skip = true // this run judges another version
		return forward(next, s)
	}
	next.Phase, next.Stage, next.Weight = rollout.PhaseAborting, rollout.StageAbortRemove, 0
	if s.Written {
		next.Stage = rollout.StageAbortWeight
	}
	return next
}

// at returns the stage that a rollout is in, or was in when it ended.
func at(s rollout.State) rollout.Stage {
	if s.Stage == rollout.StageEnd && s.Left != "" {
		return s.Left
	}
	return s.Stage
}

// HandedOver reports whether the hand-over may have started.
func HandedOver(s rollout.State) bool {
	switch at(s) {
	case rollout.StageRevert, rollout.StageHandOver, rollout.StageReturn, rollout.StageReturned, rollout.StageWarm, rollout.StageSettle, rollout.StageBake, rollout.StageKept, rollout.StageUnroute, rollout.StageUnused, rollout.StageClean:
		return true
	case rollout.StageDrain: // records of version 1.0 drained before the hand-over
		return s.Phase != rollout.PhasePromoting && s.Leftover != rollout.LeftoverPromotion
	case rollout.StageAccepted, rollout.StageObserved:
		return s.Reverted
	default:
		return false
	}
}

// forward continues after the start of the hand-over. Waits are repeated from
// the action before them: this process has not seen its effect.
func forward(next, s rollout.State) rollout.State {
	next.Phase, next.Stage = rollout.PhasePromoting, at(s)
	if s.Reverted {
		next.Phase = rollout.PhaseReverting
	}
	switch next.Stage {
	case rollout.StageAccepted, rollout.StageObserved:
		next.Stage = rollout.StageRevert
	case rollout.StageReturned:
		next.Stage = rollout.StageReturn
	case rollout.StageSettle:
		next.Stage = rollout.StageWarm
	case rollout.StageBake, rollout.StageKept, rollout.StageUnroute, rollout.StageUnused, rollout.StageDrain, rollout.StageClean:
		next.Phase, next.Stage = rollout.PhaseCleaning, rollout.StageUnroute
	default: // an action, which is repeated
	}
	return next
}

// Continue returns the state from which another process of the same release goes
// on: at the current step, whose weight it writes, confirms and judges again. A
// pause by the plan is over.
func Continue(p rollout.Plan, s rollout.State, now time.Time) rollout.State {
	next := fresh(s, now)
	next.Reason = s.Reason
	switch {
	case s.Phase == rollout.PhaseAborting:
		return Resume(p, s, now, "the same release")
	case p.Strategy == rollout.StrategyRolling:
		return continueRolling(p, next, s, now)
	case s.Phase == rollout.PhaseBaking, (s.Phase == rollout.PhasePaused || s.Phase == rollout.PhasePromoted) && (at(s) == rollout.StageBake || at(s) == rollout.StageKept):
		next.Phase, next.Stage = rollout.PhaseBaking, rollout.StageBake
		return next
	case HandedOver(s):
		return forward(next, s)
	case s.Phase == rollout.PhaseAborted, s.Phase == rollout.PhaseFailed:
		return Resume(p, s, now, "the same release")
	case s.Phase == rollout.PhasePending, at(s) == rollout.StagePrepare && !s.Written:
		next.Phase, next.Stage = rollout.PhaseProgressing, rollout.StagePrepare
		return next
	}
	next.Phase, next.Stage, next.Sized = rollout.PhaseProgressing, rollout.StagePrepare, s.Step
	next.Skip = s.Skip || at(s) == rollout.StagePause
	return next
}

// Promote returns the state from which a paused rollout goes on without a verdict
// on its current step, whose weight is written and confirmed once more; full
// also skips the remaining steps.
func Promote(p rollout.Plan, s rollout.State, now time.Time, full bool) rollout.State {
	next := Continue(p, s, now)
	if next.Phase != rollout.PhaseProgressing {
		next.Skip = next.Skip || p.Strategy == rollout.StrategyRolling && next.Phase != rollout.PhaseAborting
		return next
	}
	next.Full, next.Skip = next.Full || full, true
	if next.Full && next.Written {
		next.Step = len(p.Steps) - 1
		next.Sized = next.Step
	}
	return next
}

// Forward returns the state that gives all traffic to the canary of an unfinished
// rollout, without a verdict: stable cannot serve.
func Forward(p rollout.Plan, s rollout.State, now time.Time, reason string) rollout.State {
	next := fresh(s, now)
	next.Phase, next.Stage, next.Reason = rollout.PhaseProgressing, rollout.StagePrepare, reason
	next.Full, next.Skip, next.Step = true, true, len(p.Steps)-1
	next.Sized = next.Step
	return next
}

// Revert returns the state that gives the traffic back to the warm revision of a
// promoted rollout.
func Revert(s rollout.State, now time.Time, reason string) rollout.State {
	next := fresh(s, now)
	next.Phase, next.Stage, next.Weight = rollout.PhaseReverting, rollout.StageRevert, 100
	next.Reason, next.Reverted = reason, true
	return next
}

// CleanUp returns the state that removes the warm revision of a promoted
// rollout.
func CleanUp(s rollout.State, now time.Time) rollout.State {
	next := fresh(s, now)
	next.Phase, next.Stage, next.Reason = rollout.PhaseCleaning, rollout.StageUnroute, s.Reason
	return next
}
