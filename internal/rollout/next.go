package rollout

import (
	"cmp"
	"fmt"
	"time"
)

// Next returns the next State and Action for an Observation. It has no side
// effects and reads no clock but o.Now. The caller records the State before it
// executes the Action.
func Next(p Plan, s State, o Observation) (State, Action) {
	if s.Phase.Terminal() {
		return s, Action{Kind: KindStop}
	}
	if o.Fenced != "" {
		return end(s, o, PhaseFailed, "another run took over: "+o.Fenced+"; this run made no further changes")
	}
	switch s.Phase {
	case PhasePending:
		s.Phase = PhaseProgressing
		return progress(p, enter(s, o, StagePrepare), o)
	case PhaseProgressing:
		return progress(p, s, o)
	case PhasePromoting, PhaseReverting:
		return promote(p, s, o)
	case PhaseBaking:
		return bake(p, s, o)
	case PhaseCleaning:
		return clean(p, s, o)
	case PhaseAborting:
		return abort(p, s, o)
	default:
		return end(s, o, PhaseFailed, fmt.Sprintf("unknown phase %q", s.Phase))
	}
}

// alarms checks the reasons to stop that apply at every stage of the rise.
func alarms(p Plan, s State, o Observation) (State, Action, bool) {
	switch {
	case o.Interrupted != "" && p.Linger:
		return stop(s, Action{Kind: KindStop})
	case o.Interrupted != "":
		s.QuickBy = o.Now.Add(p.QuickAbort)
		return stop(startAbort(s, o, "interrupted by "+o.Interrupted))
	case o.Drift != "":
		return stop(conflict(s, o))
	case o.Err != nil:
		return stop(fail(p, s, o, o.Err.Error()))
	case o.Trouble != "" && s.Stage != StagePrepare:
		reason := o.Trouble
		if s.Stage == StageScale || s.Stage == StageReady {
			reason = readiness(o, o.Trouble)
		}
		return stop(fail(p, s, o, reason))
	case o.Verdict == VerdictFailed:
		return stop(fail(p, s, o, o.Reason))
	}
	return steered(p, s, o)
}

// stop returns a decision that takes precedence over all others.
func stop(s State, a Action) (State, Action, bool) { return s, a, true }

// conflict pauses because of another writer.
func conflict(s State, o Observation) (State, Action) {
	s.Conflict = true
	return end(s, o, PhasePaused, "conflicting change: "+o.Drift+"; paused instead of overwriting it")
}

// extends repeats a dwell or a bake that was inconclusive, if the plan allows
// one more.
func extends(p Plan, s State, reason string) (State, Action, bool) {
	if s.Extensions >= p.MaxExtensions {
		return s, Action{}, false
	}
	s.Extensions++
	until := s.Since.Add(p.DwellFor(s))
	return s, wait(s, until, fmt.Sprintf("the extended %s at %d %% (%s)", s.Stage, s.Weight, reason)), true
}

func inconclusive(p Plan, s State, o Observation, reason string) (State, Action) {
	reason = "inconclusive: " + reason
	policy := cmp.Or(o.Policy, p.Inconclusive)
	if policy == PolicyExtend && (s.Stage == StageDwell || s.Stage == StageBake) {
		if s, a, ok := extends(p, s, reason); ok {
			return s, a
		}
		policy = p.Then
	}
	if policy == PolicyHold {
		return end(s, o, PhasePaused, reason)
	}
	return fail(p, s, o, reason)
}

// fail ends the rise or the bake: back to the old revision, or pause if the plan
// says so or that revision cannot serve.
func fail(p Plan, s State, o Observation, reason string) (State, Action) {
	if s.Written && o.BackReady == 0 && (p.Replace || s.Phase == PhaseBaking) {
		return end(s, o, PhasePaused, reason+"; the version to go back to has no ready pods")
	}
	if !p.Rollback {
		return end(s, o, PhasePaused, reason)
	}
	if s.Phase == PhaseBaking {
		return startRevert(s, o, reason)
	}
	return startAbort(s, o, reason)
}

func failed(s State, o Observation, reason string) (State, Action) {
	switch s.Phase {
	case PhasePromoting, PhaseReverting:
		s.Leftover = LeftoverPromotion
	case PhaseBaking, PhaseCleaning:
		s.Leftover = LeftoverPrevious
	default:
		s.Leftover = LeftoverAbort
	}
	return end(s, o, PhaseFailed, reason)
}

func end(s State, o Observation, phase Phase, reason string) (State, Action) {
	s.Left = s.Stage
	if phase == PhasePaused {
		s.Leftover = LeftoverCanary
		if s.Phase == PhaseBaking {
			s.Leftover = LeftoverPrevious
		}
	}
	s.Phase, s.Reason = phase, reason
	if phase != PhaseFailed { // after a failure the next run continues from this stage
		s.Stage = StageEnd
	}
	s.Since = o.Now
	return s, Action{Kind: KindStop}
}

func enter(s State, o Observation, stage Stage) State {
	s.Stage, s.Since, s.Extensions = stage, o.Now, 0
	return s
}

// seen records that the answers show the weight written at s.Since. The
// gateway's lag ends when the answers likely started to follow, not at the
// confirmation.
func seen(s State, o Observation) State {
	s.ObservedAt = o.Now
	followed := o.Now
	if o.Followed.After(s.Since) {
		followed = o.Followed
	}
	s.Lag = max(s.Lag, followed.Sub(s.Since))
	return s
}

// kinds are the acting stages with what they do.
func kinds(stage Stage) (kind Kind, acts bool) {
	kind, acts = map[Stage]Kind{
		StagePrepare: KindPrepare, StageScale: KindScale, StageWeight: KindWeight, StageAbortWeight: KindWeight,
		StageHandOver: KindHandOver, StageReturn: KindReturn, StageWarm: KindWarm, StageRevert: KindRevert,
		StageUnroute: KindUnroute, StageClean: KindClean, StageAbortRemove: KindRestore,
	}[stage]
	return kind, acts
}

// undone reports whether s is in an acting stage whose action has not completed
// yet: it is repeated.
func undone(s State, o Observation) bool {
	_, acts := kinds(s.Stage)
	return acts && o.Done != s.Stage
}

// act returns the action of an acting stage.
func act(s State) (State, Action) {
	kind, acts := kinds(s.Stage)
	if !acts {
		panic("rollout: stage " + string(s.Stage) + " has no action")
	}
	a := Action{Stage: s.Stage, Kind: kind}
	if kind == KindWeight || kind == KindRevert {
		a.Weight = s.Weight
	}
	return s, a
}

func wait(s State, until time.Time, await string) Action {
	return Action{Stage: s.Stage, Kind: KindWait, Await: await, Until: until}
}

func expired(o Observation, deadline time.Time) bool { return !o.Now.Before(deadline) }
