package decide

import (
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

func startAbort(p rollout.Plan, s rollout.State, o rollout.Observation, reason string) (rollout.State, rollout.Action) {
	if p.Strategy == rollout.StrategyRolling {
		return startUndo(s, o, reason)
	}
	s.Phase, s.Reason = rollout.PhaseAborting, reason
	if !s.Written {
		return abortRemove(enter(s, o, rollout.StageAbortRemove), o)
	}
	s.Weight = 0
	return act(enter(s, o, rollout.StageAbortWeight))
}

func abort(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if o.Interrupted != "" && p.Linger {
		return s, rollout.Action{Kind: rollout.KindStop}
	}
	if o.Err != nil && o.Interrupted != "" && s.Stage == rollout.StageAbortRemove {
		return quickEnd(s, o, "") // the leftovers get no traffic
	}
	if o.Err != nil {
		return failed(s, o, "abort: "+o.Err.Error()+" (aborting because: "+s.Reason+")")
	}
	if o.Interrupted != "" && s.QuickBy.IsZero() {
		s.QuickBy = o.Now.Add(p.QuickAbort)
	}
	if s.Stage == rollout.StageAbortWeight && undone(s, o) {
		return act(s)
	}
	switch s.Stage {
	case rollout.StageAbortWeight:
		return abortAccepted(p, enter(s, o, rollout.StageAbortAccepted), o)
	case rollout.StageAbortAccepted:
		return abortAccepted(p, s, o)
	case rollout.StageAbortObserved:
		return abortObserved(p, s, o)
	case rollout.StageAbortDrain:
		return abortDrain(p, s, o)
	case rollout.StageAbortRemove:
		return abortRemove(s, o)
	default:
		return failed(s, o, fmt.Sprintf("unknown stage %q", s.Stage))
	}
}

func abortRemove(s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if o.Done == rollout.StageAbortRemove {
		return end(s, o, rollout.PhaseAborted, s.Reason)
	}
	if !s.QuickBy.IsZero() && s.Written {
		return quickEnd(s, o, "")
	}
	return act(s) // without any traffic the canary can go at once
}

func abortAccepted(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if o.Accepted {
		s.Stage = rollout.StageAbortObserved
		return abortObserved(p, s, o)
	}
	until := abortDeadline(p, s)
	if expired(o, until) {
		if !s.QuickBy.IsZero() {
			return quickEnd(s, o, "written, but the gateway did not accept it before the run had to end")
		}
		return failed(s, o, "abort: the gateway did not accept weight 0 (aborting because: "+s.Reason+")")
	}
	return s, wait(s, until, "the gateway to accept weight 0")
}

func abortObserved(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	switch o.Split {
	case rollout.SplitConfirmed, rollout.SplitBlind:
		if o.Split == rollout.SplitBlind {
			s.Unconfirmed = append(s.Unconfirmed, "weight 0: the versions cannot be distinguished")
		}
		return abortDrain(p, enter(seen(s, o), o, rollout.StageAbortDrain), o)
	case rollout.SplitPending, rollout.SplitNone:
	}
	until := abortDeadline(p, s)
	if expired(o, until) {
		if !s.QuickBy.IsZero() {
			return quickEnd(s, o, "accepted, but the answers did not show it before the run had to end")
		}
		if o.CanaryAnswers == 0 || o.SinceCanary >= settleAnswers {
			// Too few answers by stable, but none by the canary: nothing more can be seen
			// while stable itself fails.
			s.Unconfirmed = append(s.Unconfirmed, fmt.Sprintf("weight 0: stable answered too little in %s; the canary no longer answered", p.Propagation))
			return abortDrain(p, enter(seen(s, o), o, rollout.StageAbortDrain), o)
		}
		return failed(s, o, "abort: the gateway accepted weight 0, but the canary still answers (aborting because: "+s.Reason+")")
	}
	return s, wait(s, until, "all answers to come from stable")
}

func abortDrain(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if !s.QuickBy.IsZero() {
		return quickEnd(s, o, "")
	}
	until := s.ObservedAt.Add(p.Drain)
	if !expired(o, until) {
		return s, wait(s, until, "the drain window of the canary's pods")
	}
	return act(enter(s, o, rollout.StageAbortRemove))
}

// quickEnd ends an abort caused by a signal. Traffic is back; the pods stay,
// because they may still get requests.
func quickEnd(s rollout.State, o rollout.Observation, unseen string) (rollout.State, rollout.Action) {
	if unseen != "" {
		s.Unconfirmed = append(s.Unconfirmed, "weight 0: "+unseen)
	}
	s.Leftover = rollout.LeftoverCanary
	return end(s, o, rollout.PhaseAborted, s.Reason)
}

func abortDeadline(p rollout.Plan, s rollout.State) time.Time {
	if !s.QuickBy.IsZero() {
		return s.QuickBy
	}
	return s.Since.Add(p.Propagation)
}
