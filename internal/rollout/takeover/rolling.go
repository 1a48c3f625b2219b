package takeover

import (
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// AllNew reports whether all pods were new in a state.
func AllNew(s rollout.State) bool {
	switch at(s) {
	case rollout.StageComplete, rollout.StageCompleted, rollout.StageSettle, rollout.StageBake:
		return s.Phase != rollout.PhaseAborting
	default:
		return false
	}
}

// resumeRolling returns the state from which another run finishes a rolling update:
// forward once all pods were judged, else back.
func resumeRolling(next, s rollout.State) rollout.State {
	if AllNew(s) && s.Phase != rollout.PhaseAborted {
		next.Skip = true // this run judges another version
		next.Phase, next.Stage = rollout.PhasePromoting, rollout.StageComplete
		return next
	}
	next.Phase, next.Stage, next.Weight, next.Written = rollout.PhaseAborting, rollout.StageUndo, 0, true
	return next
}

// continueRolling returns the state from which another process of the same release
// goes on: what it asked for last is asked for, confirmed and judged again.
func continueRolling(p rollout.Plan, next, s rollout.State, now time.Time) rollout.State {
	switch {
	case s.Phase == rollout.PhaseAborted, s.Phase == rollout.PhaseFailed && !AllNew(s):
		return Resume(p, s, now, "the same release")
	case AllNew(s) && at(s) == rollout.StageBake:
		next.Phase, next.Stage = rollout.PhaseBaking, rollout.StageBake
	case AllNew(s):
		next.Phase, next.Stage = rollout.PhasePromoting, rollout.StageComplete
	case !s.Written:
		next.Phase, next.Stage = rollout.PhaseProgressing, rollout.StagePrepare
	default:
		next.Phase, next.Stage = rollout.PhaseProgressing, rollout.StageRoll
		next.Skip = s.Skip || at(s) == rollout.StagePause
	}
	return next
}

// Undo returns the state that takes a promoted rolling update back.
func Undo(s rollout.State, now time.Time, reason string) rollout.State {
	next := fresh(s, now)
	next.Phase, next.Stage, next.Reason = rollout.PhaseAborting, rollout.StageUndo, reason
	next.Written, next.Undone, next.Weight = true, true, 0
	return next
}
