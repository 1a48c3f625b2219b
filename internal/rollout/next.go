package rollout

import (
	"fmt"
	"time"
)

// Next decides what follows from what was seen. It has no side effects and
// reads no clock but o.Now. The returned State is to be recorded before the
// Action is carried out.
func Next(p Plan, s State, o Observation) (State, Action) {
	if s.Phase.Terminal() {
		return s, Action{Kind: KindStop}
	}
	if o.Fenced != "" {
		return end(s, o, PhaseFailed, "another run took over: "+o.Fenced+"; nothing more was changed by this one")
	}
	switch s.Phase {
	case PhasePending:
		s.Phase = PhaseProgressing
		return act(enter(s, o, StagePrepare))
	case PhaseProgressing:
		return progress(p, s, o)
	case PhasePromoting:
		return promote(p, s, o)
	case PhaseAborting:
		return abort(p, s, o)
	default:
		return end(s, o, PhaseFailed, fmt.Sprintf("unknown phase %q", s.Phase))
	}
}

// alarms are the reasons to stop that hold at every stage of the way up.
func alarms(p Plan, s State, o Observation) (State, Action, bool) {
	stop := func(s State, a Action) (State, Action, bool) { return s, a, true }
	switch {
	case o.Interrupted != "":
		s.QuickBy = o.Now.Add(p.QuickAbort)
		return stop(startAbort(s, o, "interrupted by "+o.Interrupted))
	case o.Drift != "":
		return stop(end(s, o, PhasePaused, "a second writer: "+o.Drift+"; stopped rather than fight over it"))
	case o.Err != nil:
		return stop(fail(p, s, o, o.Err.Error()))
	case o.Trouble != "" && s.Stage != StagePrepare:
		return stop(fail(p, s, o, o.Trouble))
	case o.Verdict == VerdictFailed:
		return stop(fail(p, s, o, o.Reason))
	}
	return s, Action{}, false
}

func inconclusive(p Plan, s State, o Observation, reason string) (State, Action) {
	reason = "inconclusive: " + reason
	policy := p.Inconclusive
	if o.Policy != "" {
		policy = o.Policy
	}
	if policy == PolicyExtend && s.Stage == StageDwell {
		if s.Extensions < p.MaxExtensions {
			s.Extensions++
			until := s.Since.Add(p.DwellFor(s))
			return s, wait(s, until, fmt.Sprintf("a longer dwell at %d %% (%s)", s.Weight, reason))
		}
		policy = p.Then
	}
	if policy == PolicyHold {
		return end(s, o, PhasePaused, reason)
	}
	return fail(p, s, o, reason)
}

// fail is the end of the way up: back to stable, or hold where the plan says.
func fail(p Plan, s State, o Observation, reason string) (State, Action) {
	if !p.Rollback {
		return end(s, o, PhasePaused, reason)
	}
	return startAbort(s, o, reason)
}

func failed(s State, o Observation, reason string) (State, Action) {
	s.Leftover = LeftoverAbort
	if s.Phase == PhasePromoting {
		s.Leftover = LeftoverPromotion
	}
	return end(s, o, PhaseFailed, reason)
}

func end(s State, o Observation, phase Phase, reason string) (State, Action) {
	s.Phase, s.Reason = phase, reason
	if phase == PhasePaused {
		s.Leftover = LeftoverCanary
	}
	if phase != PhaseFailed { // a failed run's stage is where the next one goes on
		s.Stage = StageEnd
	}
	s.Since = o.Now
	return s, Action{Kind: KindStop}
}

func enter(s State, o Observation, stage Stage) State {
	s.Stage, s.Since, s.Extensions = stage, o.Now, 0
	return s
}

// seen records that the weight written at s.Since shows in the answers. The lag
// of the gateway ends where they likely began to, not where that was certain.
func seen(s State, o Observation) State {
	s.ObservedAt = o.Now
	followed := o.Now
	if o.Followed.After(s.Since) {
		followed = o.Followed
	}
	s.Lag = max(s.Lag, followed.Sub(s.Since))
	return s
}

// act is the action that belongs to an acting stage.
func act(s State) (State, Action) {
	a := Action{Stage: s.Stage}
	switch s.Stage {
	case StagePrepare:
		a.Kind = KindPrepare
	case StageScale:
		a.Kind = KindScale
	case StageWeight, StageAbortWeight:
		a.Kind, a.Weight = KindWeight, s.Weight
	case StageHandOver:
		a.Kind = KindHandOver
	case StageReturn:
		a.Kind = KindReturn
	case StageWarm:
		a.Kind = KindWarm
	case StageAbortRemove:
		a.Kind = KindRestore
	default:
		panic("rollout: stage " + string(s.Stage) + " does not act")
	}
	return s, a
}

func wait(s State, until time.Time, await string) Action {
	return Action{Stage: s.Stage, Kind: KindWait, Await: await, Until: until}
}

func expired(o Observation, deadline time.Time) bool { return !o.Now.Before(deadline) }
