package rollout

import (
	"fmt"
	"time"
)

// fresh returns the parts of s that another process takes over.
func fresh(s State, now time.Time) State {
	return State{
		Since: now, Step: s.Step, Written: s.Written, Weight: s.Weight, Lag: s.Lag, Reverted: s.Reverted, Full: s.Full, Back: s.Back, Hold: s.Hold,
		ObservedAt: now, // this process does not know when it was last observed
	}
}

// Resume returns the state from which another run finishes an unfinished
// rollout. If the hand-over may have started, the rollout goes forward: its new
// revision already takes all traffic. Otherwise it goes back to stable. by
// names the run that resumes, for the recorded reason.
func Resume(s State, now time.Time, by string) State {
	next := fresh(s, now)
	next.Reason = fmt.Sprintf("left at %s, %s, weight %d: finished by %s", s.Phase, s.at(), s.Weight, by)
	if s.handedOver() {
		next.Skip = true // this run judges another version
		return forward(next, s)
	}
	next.Phase, next.Stage, next.Weight = PhaseAborting, StageAbortRemove, 0
	if s.Written {
		next.Stage = StageAbortWeight
	}
	return next
}

// at returns the stage that a rollout is in, or was in when it ended.
func (s State) at() Stage {
	if s.Stage == StageEnd && s.Left != "" {
		return s.Left
	}
	return s.Stage
}

// handedOver reports whether the hand-over may have started.
func (s State) handedOver() bool {
	switch s.at() {
	case StageRevert, StageHandOver, StageReturn, StageReturned, StageWarm, StageSettle, StageBake, StageUnroute, StageUnused, StageClean:
		return true
	case StageDrain: // records of version 1.0 drained before the hand-over
		return s.Phase != PhasePromoting && s.Leftover != LeftoverPromotion
	case StageAccepted, StageObserved:
		return s.Reverted
	default:
		return false
	}
}

// forward continues after the start of the hand-over. Waits are repeated from
// the action before them: this process has not seen its effect.
func forward(next, s State) State {
	next.Phase, next.Stage = PhasePromoting, s.at()
	if s.Reverted {
		next.Phase = PhaseReverting
	}
	switch next.Stage {
	case StageAccepted, StageObserved:
		next.Stage = StageRevert
	case StageReturned:
		next.Stage = StageReturn
	case StageSettle:
		next.Stage = StageWarm
	case StageBake, StageUnroute, StageUnused, StageDrain, StageClean:
		next.Phase, next.Stage = PhaseCleaning, StageUnroute
	default: // an action, which is repeated
	}
	return next
}

// Continue returns the state from which another process of the same release goes
// on: at the current step, whose weight it writes, confirms and judges again. A
// pause by the plan is over.
func Continue(s State, now time.Time) State {
	next := fresh(s, now)
	next.Reason = s.Reason
	switch {
	case s.Phase == PhaseAborting:
		return Resume(s, now, "the same release")
	case s.Phase == PhaseBaking, s.Phase == PhasePaused && s.at() == StageBake:
		next.Phase, next.Stage = PhaseBaking, StageBake
		return next
	case s.handedOver():
		return forward(next, s)
	case s.Phase == PhaseAborted, s.Phase == PhaseFailed:
		return Resume(s, now, "the same release")
	case s.Phase == PhasePending, s.at() == StagePrepare && !s.Written:
		next.Phase, next.Stage = PhaseProgressing, StagePrepare
		return next
	}
	next.Phase, next.Stage, next.Sized = PhaseProgressing, StagePrepare, s.Step
	next.Skip = s.Skip || s.at() == StagePause
	return next
}

// Promote returns the state from which a paused rollout goes on without a verdict
// on its current step, whose weight is written and confirmed once more; full
// also skips the remaining steps.
func Promote(p Plan, s State, now time.Time, full bool) State {
	next := Continue(s, now)
	if next.Phase != PhaseProgressing {
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
func Forward(p Plan, s State, now time.Time, reason string) State {
	next := fresh(s, now)
	next.Phase, next.Stage, next.Reason = PhaseProgressing, StagePrepare, reason
	next.Full, next.Skip, next.Step = true, true, len(p.Steps)-1
	next.Sized = next.Step
	return next
}

// Revert returns the state that gives the traffic back to the warm revision of a
// promoted rollout.
func Revert(s State, now time.Time, reason string) State {
	next := fresh(s, now)
	next.Phase, next.Stage, next.Weight = PhaseReverting, StageRevert, 100
	next.Reason, next.Reverted = reason, true
	return next
}

// CleanUp returns the state that removes the warm revision of a promoted
// rollout.
func CleanUp(s State, now time.Time) State {
	next := fresh(s, now)
	next.Phase, next.Stage, next.Reason = PhaseCleaning, StageUnroute, s.Reason
	return next
}
