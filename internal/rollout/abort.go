package rollout

import (
	"fmt"
	"time"
)

func startAbort(s State, o Observation, reason string) (State, Action) {
	s.Phase, s.Reason = PhaseAborting, reason
	if !s.Written {
		return abortRemove(enter(s, o, StageAbortRemove), o)
	}
	s.Weight = 0
	return act(enter(s, o, StageAbortWeight))
}

func abort(p Plan, s State, o Observation) (State, Action) {
	if o.Interrupted != "" && p.Linger {
		return s, Action{Kind: KindStop}
	}
	if o.Err != nil && o.Interrupted != "" && s.Stage == StageAbortRemove {
		return quickEnd(s, o, "") // the leftovers get no traffic
	}
	if o.Err != nil {
		return failed(s, o, "abort: "+o.Err.Error()+" (aborting because: "+s.Reason+")")
	}
	if o.Interrupted != "" && s.QuickBy.IsZero() {
		s.QuickBy = o.Now.Add(p.QuickAbort)
	}
	if s.Stage == StageAbortWeight && undone(s, o) {
		return act(s)
	}
	switch s.Stage {
	case StageAbortWeight:
		return abortAccepted(p, enter(s, o, StageAbortAccepted), o)
	case StageAbortAccepted:
		return abortAccepted(p, s, o)
	case StageAbortObserved:
		return abortObserved(p, s, o)
	case StageAbortDrain:
		return abortDrain(p, s, o)
	case StageAbortRemove:
		return abortRemove(s, o)
	default:
		return failed(s, o, fmt.Sprintf("unknown stage %q", s.Stage))
	}
}

func abortRemove(s State, o Observation) (State, Action) {
	if o.Done == StageAbortRemove {
		return end(s, o, PhaseAborted, s.Reason)
	}
	if !s.QuickBy.IsZero() && s.Written {
		return quickEnd(s, o, "")
	}
	return act(s) // without any traffic the canary can go at once
}

func abortAccepted(p Plan, s State, o Observation) (State, Action) {
	if o.Accepted {
		s.Stage = StageAbortObserved
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

func abortObserved(p Plan, s State, o Observation) (State, Action) {
	switch o.Split {
	case SplitConfirmed, SplitBlind:
		if o.Split == SplitBlind {
			s.Unconfirmed = append(s.Unconfirmed, "weight 0: the versions cannot be distinguished")
		}
		return abortDrain(p, enter(seen(s, o), o, StageAbortDrain), o)
	case SplitPending:
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
			return abortDrain(p, enter(seen(s, o), o, StageAbortDrain), o)
		}
		return failed(s, o, "abort: the gateway accepted weight 0, but the canary still answers (aborting because: "+s.Reason+")")
	}
	return s, wait(s, until, "all answers to come from stable")
}

func abortDrain(p Plan, s State, o Observation) (State, Action) {
	if !s.QuickBy.IsZero() {
		return quickEnd(s, o, "")
	}
	until := s.ObservedAt.Add(p.Drain)
	if !expired(o, until) {
		return s, wait(s, until, "the drain window of the canary's pods")
	}
	return act(enter(s, o, StageAbortRemove))
}

// quickEnd ends an abort caused by a signal. Traffic is back; the pods stay,
// because they may still get requests.
func quickEnd(s State, o Observation, unseen string) (State, Action) {
	if unseen != "" {
		s.Unconfirmed = append(s.Unconfirmed, "weight 0: "+unseen)
	}
	s.Leftover = LeftoverCanary
	return end(s, o, PhaseAborted, s.Reason)
}

func abortDeadline(p Plan, s State) time.Time {
	if !s.QuickBy.IsZero() {
		return s.QuickBy
	}
	return s.Since.Add(p.Propagation)
}
