package rollout

import (
	"fmt"
	"time"
)

// Resume is the state with which another run brings an unfinished rollout to
// its end. A rollout whose hand-over may have begun goes forward: its new
// revision takes all traffic. Any other goes back to stable. by says who
// resumes, for the reason on record.
func Resume(s State, now time.Time, by string) State {
	next := State{
		Since: now, Step: s.Step, Written: s.Written, Weight: s.Weight, Lag: s.Lag,
		ObservedAt: now, // when it was last observed is not known to this process
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
