package decide

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// clean removes the revision without traffic: it takes the canary Service out of
// the route, waits for the drain window of the pods, stops them and leaves the
// rest as the user wrote it. It ends promoted, or aborted after a revert.
func clean(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if o.Interrupted != "" && p.Linger && (o.Err != nil || s.Stage != rollout.StageClean) {
		return s, rollout.Action{Kind: rollout.KindStop}
	}
	if o.Err != nil {
		return failed(s, o, "remove the old version: "+o.Err.Error())
	}
	if o.Interrupted != "" && s.Stage != rollout.StageClean {
		return leave(s, o, rollout.LeftoverPrevious, "interrupted by "+o.Interrupted+" before the old one was removed")
	}
	if undone(s, o) {
		return act(s)
	}
	switch s.Stage {
	case rollout.StageUnroute:
		return unused(p, enter(s, o, rollout.StageUnused), o)
	case rollout.StageUnused:
		return unused(p, s, o)
	case rollout.StageDrain:
		return drain(p, s, o)
	case rollout.StageClean:
		s.Leftover = ""
		if s.Reverted {
			return end(s, o, rollout.PhaseAborted, s.Reason)
		}
		return end(s, o, rollout.PhasePromoted, s.Reason)
	default:
		return failed(s, o, fmt.Sprintf("unknown stage %q", s.Stage))
	}
}

// unused waits until no gateway has the canary Service in its accepted route.
func unused(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if o.OldAnswers > 0 {
		return failed(s, o, fmt.Sprintf("remove the old version: it still answers (%d requests)", o.OldAnswers))
	}
	if o.Accepted {
		return drain(p, enter(s, o, rollout.StageDrain), o)
	}
	until := s.Since.Add(p.Propagation)
	if expired(o, until) {
		return failed(s, o, fmt.Sprintf("remove the old version: the gateway did not accept the route within %s", p.Propagation))
	}
	return s, wait(s, until, "the gateway to accept the route as the user wrote it")
}

// drain waits for the drain window, which counts from when the answers showed
// that the pods get no more requests.
func drain(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if o.OldAnswers > 0 {
		return failed(s, o, fmt.Sprintf("remove the old version: it still answers (%d requests)", o.OldAnswers))
	}
	until := s.ObservedAt.Add(p.Drain)
	if !expired(o, until) {
		return s, wait(s, until, "the drain window of the old pods")
	}
	return act(enter(s, o, rollout.StageClean))
}
