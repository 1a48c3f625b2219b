package decide

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// holdForOthers keeps a canary that has passed its last step at all traffic, judged
// on, until its group promotes it. Without the others it is not promoted.
func holdForOthers(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	until := s.Since.Add(p.Hold)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("its group did not promote it within %s after its last step", p.Hold))
	}
	return resize(s, o, wait(s, until, "the other members of its group to pass their last step"))
}

// keepForOthers keeps the old revision of a promoted member warm, and the new one
// judged on, until its group has ended.
func keepForOthers(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	until := s.Since.Add(p.Hold)
	if expired(o, until) {
		s.Leftover = rollout.LeftoverPrevious
		return end(s, o, rollout.PhasePromoted, fmt.Sprintf("%s; its group did not end within %s", s.Reason, p.Hold))
	}
	return s, wait(s, until, "the other members of its group, with the old version warm")
}
