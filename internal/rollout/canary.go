package rollout

import (
	"fmt"
	"time"
)

// settleAnswers is how many answers of the new revision, and none of the old,
// show that the gateway no longer uses the canary Service. 100 bounds the old
// revision's share below 4.5 % with 99 % confidence, and the share it would
// have if the route had not followed is 100 %.
const settleAnswers = 100

// maxSettles is how often the canary Service is aimed at the old revision
// before the promotion counts as failed.
const maxSettles = 5

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
	case StagePreflight:
		return preflight(p, s, o)
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
	default:
		return fail(p, s, o, fmt.Sprintf("unknown stage %q", s.Stage))
	}
}

func ready(p Plan, s State, o Observation) (State, Action) {
	if o.CanaryWanted > 0 && o.CanaryReady >= o.CanaryWanted {
		s.PodsTook = max(s.PodsTook, o.Now.Sub(s.Since))
		if s.Written {
			return weight(p, s, o)
		}
		return preflight(p, enter(s, o, StagePreflight), o)
	}
	until := s.Since.Add(p.ProgressDeadline)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("progress deadline: %d of %d canary pods ready after %s", o.CanaryReady, o.CanaryWanted, p.ProgressDeadline))
	}
	return s, wait(s, until, fmt.Sprintf("%d canary pods to be ready", o.CanaryWanted))
}

// preflight holds the first weight back until the gateway was seen to know the
// canary's pods. It learns of pods and of weights on two ways, and one that has
// the weight first answers 503 for the canary's share.
func preflight(p Plan, s State, o Observation) (State, Action) {
	switch o.Preflight {
	case SplitConfirmed:
		return weight(p, s, o)
	case SplitBlind:
		s.Unconfirmed = append(s.Unconfirmed, "before the first weight: test requests to the canary cannot be recognised")
		return weight(p, s, o)
	case SplitPending:
	}
	until := s.Since.Add(p.Propagation)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("the canary's pods are ready, but test requests did not reach them through the gateway within %s", p.Propagation))
	}
	return s, wait(s, until, "test requests to reach the canary through the gateway")
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
	case SplitPending:
	}
	until := s.Since.Add(p.Propagation)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("weight %d was accepted but not observed in the answers within %s", s.Weight, p.Propagation))
	}
	return s, wait(s, until, fmt.Sprintf("answers to show a share of %d %%", s.Weight))
}

func dwell(p Plan, s State, o Observation) (State, Action) {
	until := s.Since.Add(p.DwellFor(s))
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
		return failed(s, o, "promotion: "+o.Err.Error())
	}
	if o.Interrupted != "" && s.Stage != StageHandOver {
		return failed(s, o, "interrupted by "+o.Interrupted+" after the hand-over")
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
	default:
		return failed(s, o, fmt.Sprintf("unknown stage %q", s.Stage))
	}
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
			return failed(s, o, fmt.Sprintf("the route to the promoted revision was not accepted within %s", p.Propagation))
		}
		return s, wait(s, until, "the gateway to accept the route of the promoted revision")
	}
	grace := s.Since.Add(s.Lag * time.Duration(1+s.Settles))
	if !expired(o, grace) {
		return s, wait(s, grace, "the gateway to follow (as long as its slowest change took)")
	}
	return act(enter(s, o, StageWarm))
}

func settle(p Plan, s State, o Observation) (State, Action) {
	if o.OldAnswers > 0 {
		// The gateway still uses the canary Service: aim it back at once.
		// The old revision answered, so no request failed.
		s.Settles++
		if s.Settles > maxSettles {
			return failed(s, o, "the gateway keeps sending requests to the canary Service")
		}
		next := enter(s, o, StageReturned)
		return next, Action{Stage: StageReturned, Kind: KindUnwarm}
	}
	until := s.Since.Add(p.Propagation)
	if o.NewAnswers >= settleAnswers || o.Split == SplitBlind {
		return end(s, o, PhasePromoted, fmt.Sprintf("the new revision serves all traffic (%d answers, none by the old one)", o.NewAnswers))
	}
	if expired(o, until) {
		return failed(s, o, fmt.Sprintf("only %d answers within %s after the promotion", o.NewAnswers, p.Propagation))
	}
	return s, wait(s, until, fmt.Sprintf("%d answers by the new revision alone", settleAnswers))
}
