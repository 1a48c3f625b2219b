package rollout

import (
	"fmt"
	"time"
)

// Resume returns the state from which another run finishes an unfinished
// rollout. If the hand-over may have started, the rollout goes forward: its new
// revision already takes all traffic. Otherwise it goes back to stable. by
// names the run that resumes, for the recorded reason.
func Resume(s State, now time.Time, by string) State {
	next := State{
		Since: now, Step: s.Step, Written: s.Written, Weight: s.Weight, Lag: s.Lag,
		ObservedAt: now, // this process does not know when it was last observed
		Reason:     fmt.Sprintf("left at %s, %s, weight %d: finished by %s", s.Phase, s.Stage, s.Weight, by),
	}
	switch s.Stage {
	case StageHandOver, StageReturn, StageReturned, StageWarm, StageSettle:
		next.Phase, next.Stage = PhasePromoting, s.Stage
		if s.Stage == StageReturned {
			next.Stage = StageReturn
		}
		if s.Stage == StageSettle {
			next.Stage = StageWarm
		}
	default:
		next.Phase, next.Stage, next.Weight = PhaseAborting, StageAbortRemove, 0
		if s.Written {
			next.Stage = StageAbortWeight
		}
	}
	return next
}
