package rollout

import (
	"fmt"
	"time"
)

// settleAnswers is the number of answers by the new revision, and none by the
// old, that prove that the gateway no longer uses the canary Service. 100
// answers bound the old revision's share below 4.5 % with 99 % confidence; its
// share would be 100 % if the gateway had not followed.
const settleAnswers = 100

// maxSettles is the number of attempts to point the canary Service at the old
// revision before the promotion fails.
const maxSettles = 5

// progress decides during the rise. It checks for problems before anything that
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
		return fail(p, s, o, fmt.Sprintf("progress deadline of %s: %s", p.ProgressDeadline, readiness(o, o.Waiting)))
	}
	a := wait(s, until, fmt.Sprintf("%d canary pods to be ready", o.CanaryWanted))
	if o.Waiting != "" {
		a.Await += "; " + readiness(o, o.Waiting)
	}
	if o.Recheck.After(o.Now) && o.Recheck.Before(until) {
		a.Wake = o.Recheck
	}
	return s, a
}

// readiness says how many pods are ready and why not more, if why is known.
func readiness(o Observation, why string) string {
	text := fmt.Sprintf("%d of %d canary pods ready", o.CanaryReady, o.CanaryWanted)
	if why != "" {
		text += ": " + why
	}
	return text
}

// preflight delays the first weight until test requests reach the canary. A
// gateway learns of pods and of weights from different watches; one that has
// the weight first answers the canary's share with 503.
func preflight(p Plan, s State, o Observation) (State, Action) {
	switch o.Preflight {
	case SplitConfirmed:
		return weight(p, s, o)
	case SplitBlind:
		s.Unconfirmed = append(s.Unconfirmed, "before the first weight: the answers to test requests cannot be attributed")
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
		// Since stays at the time of the write, so the measured lag of the data plane
		// is complete.
		s.Stage = StageObserved
		return observed(p, s, o)
	}
	until := s.Since.Add(p.Propagation)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("the gateway did not accept weight %d within %s", s.Weight, p.Propagation))
	}
	return s, wait(s, until, fmt.Sprintf("the gateway to accept weight %d", s.Weight))
}

func observed(p Plan, s State, o Observation) (State, Action) {
	switch o.Split {
	case SplitConfirmed:
		s = seen(s, o)
		return dwell(p, enter(s, o, StageDwell), o)
	case SplitBlind:
		return inconclusive(p, s, o, fmt.Sprintf("weight %d cannot be observed: the versions cannot be distinguished", s.Weight))
	case SplitPending:
	}
	until := s.Since.Add(p.Propagation)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("the gateway accepted weight %d, but the answers did not show it within %s", s.Weight, p.Propagation))
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
		// The next step's pods start while this step is still judged, so the gateway
		// knows them before it gets the weight.
		s.Sized = s.Step + 1
		return s, Action{Stage: StageDwell, Kind: KindScale}
	}
	switch o.Verdict {
	case VerdictSuccessful:
	case VerdictInconclusive:
		return inconclusive(p, s, o, o.Reason)
	default: // no verdict at the end of the dwell is never a pass
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
	// After the hand-over this run cannot go back: the new revision has all
	// traffic and is in the Deployment's template. A signal or a deadline ends the
	// run and leaves the rest, recorded, to the next one.
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

// returned waits for the gateway to follow a route whose two sides are the same
// pods, which no answer can show. It waits for the acceptance and then for the
// longest lag of this rollout. StageSettle proves it afterwards, by version.
func returned(p Plan, s State, o Observation) (State, Action) {
	until := s.Since.Add(p.Propagation)
	if !o.Accepted {
		if expired(o, until) {
			return failed(s, o, fmt.Sprintf("the gateway did not accept the route to the promoted revision within %s", p.Propagation))
		}
		return s, wait(s, until, "the gateway to accept the route of the promoted revision")
	}
	grace := s.Since.Add(s.Lag * time.Duration(1+s.Settles))
	if !expired(o, grace) {
		return s, wait(s, grace, "the gateway to follow (the longest lag of this rollout)")
	}
	return act(enter(s, o, StageWarm))
}

func settle(p Plan, s State, o Observation) (State, Action) {
	if o.OldAnswers > 0 {
		// The gateway still uses the canary Service: point it back immediately. The
		// old revision answered, so no request failed.
		s.Settles++
		if s.Settles > maxSettles {
			return failed(s, o, "the gateway still sends requests to the canary Service")
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
	return s, wait(s, until, fmt.Sprintf("%d answers, all by the new revision", settleAnswers))
}
