package rollout

import (
	"fmt"
	"time"
)

// settleAnswers is how many answers of the new revision, and none of the old,
// show that the gateway no longer uses the second Service. 100 bounds the old
// revision's share below 4.5 % with 99 % confidence, and the share it would
// have if the route had not followed is 100 %.
const settleAnswers = 100

// maxSettles is how often the second Service is aimed at the old revision
// before the promotion is called broken.
const maxSettles = 5

// Next decides what follows from what was seen. It has no side effects and
// reads no clock but o.Now. The returned State is to be recorded before the
// Action is carried out.
func Next(p Plan, s State, o Observation) (State, Action) {
	if s.Phase.Terminal() {
		return s, Action{Kind: KindStop}
	}
	if o.Fenced != "" {
		return end(s, o, PhaseBroken, "another run took over: "+o.Fenced+"; nothing more was changed by this one")
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
	}
	return end(s, o, PhaseBroken, fmt.Sprintf("unknown phase %q", s.Phase))
}

// progress is the way up. Whatever is wrong is looked at before anything that
// would raise the weight.
func progress(p Plan, s State, o Observation) (State, Action) {
	if s, a, stopped := alarms(p, s, o); stopped {
		return s, a
	}
	switch s.Stage {
	case StagePrepare:
		if o.Done != StagePrepare {
			return act(s)
		}
		return act(enter(s, o, StageScale))
	case StageScale:
		if o.Done != StageScale {
			return act(s)
		}
		return ready(p, enter(s, o, StageReady), o)
	case StageReady:
		return ready(p, s, o)
	case StageReach:
		return reach(p, s, o)
	case StageWeight:
		if o.Done != StageWeight {
			return act(s)
		}
		return accepted(p, enter(s, o, StageAccepted), o)
	case StageAccepted:
		return accepted(p, s, o)
	case StageObserved:
		return observed(p, s, o)
	case StageDwell:
		return dwell(p, s, o)
	}
	return fail(p, s, o, fmt.Sprintf("unknown stage %q", s.Stage))
}

// alarms are the reasons to stop that hold at every stage of the way up.
func alarms(p Plan, s State, o Observation) (State, Action, bool) {
	stop := func(s State, a Action) (State, Action, bool) { return s, a, true }
	switch {
	case o.Interrupted != "":
		s.QuickBy = o.Now.Add(p.QuickAbort)
		return stop(startAbort(s, o, "interrupted by "+o.Interrupted))
	case o.Drift != "":
		return stop(end(s, o, PhaseHeld, "a second writer: "+o.Drift+"; stopped rather than fight over it"))
	case o.Err != nil:
		return stop(fail(p, s, o, o.Err.Error()))
	case o.Trouble != "" && s.Stage != StagePrepare:
		return stop(fail(p, s, o, o.Trouble))
	case o.Verdict == VerdictFailed:
		return stop(fail(p, s, o, o.Reason))
	}
	return s, Action{}, false
}

func ready(p Plan, s State, o Observation) (State, Action) {
	if o.CanaryWanted > 0 && o.CanaryReady >= o.CanaryWanted {
		s.PodsTook = max(s.PodsTook, o.Now.Sub(s.Since))
		if s.Written {
			return weight(p, s, o)
		}
		return reach(p, enter(s, o, StageReach), o)
	}
	until := s.Since.Add(p.ProgressDeadline)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("progress deadline: %d of %d canary pods ready after %s", o.CanaryReady, o.CanaryWanted, p.ProgressDeadline))
	}
	return s, wait(s, until, fmt.Sprintf("%d canary pods to be ready", o.CanaryWanted))
}

// reach holds the first weight back until the gateway was seen to know the
// canary's pods. It learns of pods and of weights on two ways, and one that has
// the weight first answers 503 for the canary's share.
func reach(p Plan, s State, o Observation) (State, Action) {
	switch o.Reach {
	case SplitConfirmed:
		return weight(p, s, o)
	case SplitBlind:
		s.Unconfirmed = append(s.Unconfirmed, "before the first weight: the gateway leads no marked requests to the canary")
		return weight(p, s, o)
	}
	until := s.Since.Add(p.Propagation)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("the canary's pods are ready, but marked requests did not reach them through the gateway within %s", p.Propagation))
	}
	return s, wait(s, until, "marked requests to reach the canary through the gateway")
}

func weight(p Plan, s State, o Observation) (State, Action) {
	s.Weight = p.Steps[s.Step].Weight
	s.Written = true
	return act(enter(s, o, StageWeight))
}

func accepted(p Plan, s State, o Observation) (State, Action) {
	if o.Accepted {
		// Since stays at the moment of writing, so that the lag of the
		// data plane is measured whole.
		s.Stage = StageObserved
		return observed(p, s, o)
	}
	until := s.Since.Add(p.Propagation)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("weight %d was not accepted by the gateway within %s", s.Weight, p.Propagation))
	}
	return s, wait(s, until, fmt.Sprintf("the gateway to accept weight %d", s.Weight))
}

func observed(p Plan, s State, o Observation) (State, Action) {
	switch o.Split {
	case SplitConfirmed:
		s = seen(s, o)
		return dwell(p, enter(s, o, StageDwell), o)
	case SplitBlind:
		return inconclusive(p, s, o, fmt.Sprintf("weight %d cannot be observed: nothing tells the versions apart", s.Weight))
	}
	until := s.Since.Add(p.Propagation)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("weight %d was accepted but not observed in the answers within %s", s.Weight, p.Propagation))
	}
	return s, wait(s, until, fmt.Sprintf("answers to show a share of %d %%", s.Weight))
}

func dwell(p Plan, s State, o Observation) (State, Action) {
	until := s.Since.Add(p.Steps[s.Step].Dwell * time.Duration(1+s.Extensions))
	if !expired(o, until) {
		awaits := fmt.Sprintf("the dwell at %d %%", s.Weight)
		if s.Sized > s.Step || s.Step+1 == len(p.Steps) {
			return s, wait(s, until, awaits)
		}
		ahead := until.Add(-min(2*s.PodsTook+s.Lag, p.Steps[s.Step].Dwell/2))
		if !expired(o, ahead) {
			a := wait(s, until, awaits)
			a.Wake = ahead
			return s, a
		}
		// The next step's pods start while this one is still judged, and
		// the gateway has heard of them when the weight comes.
		s.Sized = s.Step + 1
		return s, Action{Stage: StageDwell, Kind: KindScale}
	}
	switch o.Verdict {
	case VerdictSuccessful:
	case VerdictInconclusive:
		return inconclusive(p, s, o, o.Reason)
	default: // the judge has not spoken on a dwell that is over: never a pass
		return inconclusive(p, s, o, "no verdict at the end of the dwell")
	}
	if s.Step+1 < len(p.Steps) {
		s.Step++
		if s.Sized == s.Step {
			return ready(p, enter(s, o, StageReady), o)
		}
		s.Sized = s.Step
		return act(enter(s, o, StageScale))
	}
	s.Phase = PhasePromoting
	return drain(p, enter(s, o, StageDrain), o)
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
			until := s.Since.Add(p.Steps[s.Step].Dwell * time.Duration(1+s.Extensions))
			return s, wait(s, until, fmt.Sprintf("a longer dwell at %d %% (%s)", s.Weight, reason))
		}
		policy = p.Then
	}
	if policy == PolicyHold {
		return end(s, o, PhaseHeld, reason)
	}
	return fail(p, s, o, reason)
}

// fail is the end of the way up: back to stable, or hold where the plan says.
func fail(p Plan, s State, o Observation, reason string) (State, Action) {
	if !p.Rollback {
		return end(s, o, PhaseHeld, reason)
	}
	return startAbort(s, o, reason)
}

func startAbort(s State, o Observation, reason string) (State, Action) {
	s.Phase, s.Reason = PhaseAborting, reason
	if !s.Written {
		return abortRemove(enter(s, o, StageAbortRemove), o)
	}
	s.Weight = 0
	return act(enter(s, o, StageAbortWeight))
}

func promote(p Plan, s State, o Observation) (State, Action) {
	if s.Stage == StageDrain {
		if s, a, stopped := alarms(p, s, o); stopped {
			return s, a
		}
		return drain(p, s, o)
	}
	// From the hand-over on there is no way back through this run: the new
	// revision takes all traffic and is what the Deployment says. A signal
	// or a deadline ends the run with the rest recorded for the next one.
	if o.Err != nil {
		return broken(s, o, "promotion: "+o.Err.Error())
	}
	if o.Interrupted != "" && s.Stage != StageHandOver {
		return broken(s, o, "interrupted by "+o.Interrupted+" after the hand-over")
	}
	switch s.Stage {
	case StageHandOver:
		if o.Done != StageHandOver {
			return act(s)
		}
		return act(enter(s, o, StageReturn))
	case StageReturn:
		if o.Done != StageReturn {
			return act(s)
		}
		return returned(p, enter(s, o, StageReturned), o)
	case StageReturned:
		return returned(p, s, o)
	case StageWarm:
		if o.Done != StageWarm {
			return act(s)
		}
		return settle(p, enter(s, o, StageSettle), o)
	case StageSettle:
		return settle(p, s, o)
	}
	return broken(s, o, fmt.Sprintf("unknown stage %q", s.Stage))
}

func drain(p Plan, s State, o Observation) (State, Action) {
	until := s.ObservedAt.Add(p.Drain)
	if !expired(o, until) {
		return s, wait(s, until, "the drain window of the old pods")
	}
	return act(enter(s, o, StageHandOver))
}

// returned waits for a route whose two sides are the same pods, so no answer
// can show that the gateway follows: it waits for the acceptance and then as
// long as the slowest change of this rollout took to be seen. StageSettle
// proves it afterwards, by version.
func returned(p Plan, s State, o Observation) (State, Action) {
	until := s.Since.Add(p.Propagation)
	if !o.Accepted {
		if expired(o, until) {
			return broken(s, o, fmt.Sprintf("the route to the promoted revision was not accepted within %s", p.Propagation))
		}
		return s, wait(s, until, "the gateway to accept the route of the promoted revision")
	}
	grace := s.Since.Add(s.Lag * time.Duration(1+s.Extensions))
	if !expired(o, grace) {
		return s, wait(s, grace, "the gateway to follow (as long as its slowest change took)")
	}
	return act(enter(s, o, StageWarm))
}

func settle(p Plan, s State, o Observation) (State, Action) {
	if o.OldAnswers > 0 {
		// The gateway still uses the second Service: aim it back at once.
		// The old revision answered, so no request failed.
		s.Extensions++
		if s.Extensions > maxSettles {
			return broken(s, o, "the gateway keeps sending requests to the second Service")
		}
		next := enter(s, o, StageReturned)
		return next, Action{Stage: StageReturned, Kind: KindUnwarm}
	}
	until := s.Since.Add(p.Propagation)
	if o.NewAnswers >= settleAnswers || o.Split == SplitBlind {
		return end(s, o, PhasePromoted, fmt.Sprintf("the new revision serves all traffic (%d answers, none by the old one)", o.NewAnswers))
	}
	if expired(o, until) {
		return broken(s, o, fmt.Sprintf("only %d answers within %s after the promotion", o.NewAnswers, p.Propagation))
	}
	return s, wait(s, until, fmt.Sprintf("%d answers by the new revision alone", settleAnswers))
}

func abort(p Plan, s State, o Observation) (State, Action) {
	if o.Err != nil && o.Interrupted != "" && s.Stage == StageAbortRemove {
		return quickEnd(s, o, "") // no traffic goes to what is left
	}
	if o.Err != nil {
		return broken(s, o, "abort: "+o.Err.Error()+" (aborting because: "+s.Reason+")")
	}
	if o.Interrupted != "" && s.QuickBy.IsZero() {
		s.QuickBy = o.Now.Add(p.QuickAbort)
	}
	switch s.Stage {
	case StageAbortWeight:
		if o.Done != StageAbortWeight {
			return act(s)
		}
		return abortAccepted(p, enter(s, o, StageAbortAccepted), o)
	case StageAbortAccepted:
		return abortAccepted(p, s, o)
	case StageAbortObserved:
		return abortObserved(p, s, o)
	case StageAbortDrain:
		return abortDrain(p, s, o)
	case StageAbortRemove:
		return abortRemove(s, o)
	}
	return broken(s, o, fmt.Sprintf("unknown stage %q", s.Stage))
}

func abortRemove(s State, o Observation) (State, Action) {
	if o.Done == StageAbortRemove {
		return end(s, o, PhaseAborted, s.Reason)
	}
	if !s.QuickBy.IsZero() {
		return quickEnd(s, o, "")
	}
	return act(s)
}

func abortAccepted(p Plan, s State, o Observation) (State, Action) {
	if o.Accepted {
		s.Stage = StageAbortObserved
		return abortObserved(p, s, o)
	}
	until := abortDeadline(p, s)
	if expired(o, until) {
		if !s.QuickBy.IsZero() {
			return quickEnd(s, o, "written, but not accepted by the gateway before the run had to end")
		}
		return broken(s, o, "abort: weight 0 was written but not accepted by the gateway (aborting because: "+s.Reason+")")
	}
	return s, wait(s, until, "the gateway to accept weight 0")
}

func abortObserved(p Plan, s State, o Observation) (State, Action) {
	switch o.Split {
	case SplitConfirmed:
		s = seen(s, o)
		if !s.QuickBy.IsZero() {
			return quickEnd(s, o, "")
		}
		return abortDrain(p, enter(s, o, StageAbortDrain), o)
	case SplitBlind:
		s.Unconfirmed = append(s.Unconfirmed, "weight 0: nothing tells the versions apart")
		s = seen(s, o)
		if !s.QuickBy.IsZero() {
			return quickEnd(s, o, "")
		}
		return abortDrain(p, enter(s, o, StageAbortDrain), o)
	}
	until := abortDeadline(p, s)
	if expired(o, until) {
		if !s.QuickBy.IsZero() {
			return quickEnd(s, o, "accepted, but not yet seen in the answers before the run had to end")
		}
		return broken(s, o, "abort: weight 0 was accepted but the canary still answers (aborting because: "+s.Reason+")")
	}
	return s, wait(s, until, "answers to come from stable alone")
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

// quickEnd ends an abort that a signal asked for. Traffic is back; the pods
// stay, since nothing may be stopped that could still be sent to.
func quickEnd(s State, o Observation, unseen string) (State, Action) {
	if unseen != "" {
		s.Unconfirmed = append(s.Unconfirmed, "weight 0: "+unseen)
	}
	s.Leftover = "canary slot"
	return end(s, o, PhaseAborted, s.Reason)
}

func abortDeadline(p Plan, s State) time.Time {
	if !s.QuickBy.IsZero() {
		return s.QuickBy
	}
	return s.Since.Add(p.Propagation)
}

func broken(s State, o Observation, reason string) (State, Action) {
	s.Leftover = string(s.Stage)
	return end(s, o, PhaseBroken, reason)
}

func end(s State, o Observation, phase Phase, reason string) (State, Action) {
	s.Phase, s.Reason = phase, reason
	if phase == PhaseHeld {
		s.Leftover = "canary slot"
	}
	if phase != PhaseBroken { // a broken run's stage is where the next one goes on
		s.Stage = StageEnd
	}
	s.Since = o.Now
	return s, Action{Kind: KindStop}
}

func enter(s State, o Observation, stage Stage) State {
	if stage != StageReturned && stage != StageWarm && stage != StageSettle {
		s.Extensions = 0
	}
	s.Stage, s.Since = stage, o.Now
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
