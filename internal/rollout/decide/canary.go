package decide

import (
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// progress decides during the rise. It checks for problems before anything that
// would raise the weight.
func progress(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	s, a, stopped := alarms(p, s, o)
	if stopped {
		return s, a
	}
	if undone(s, o) {
		return act(s)
	}
	if p.Strategy == rollout.StrategyBlueGreen {
		if s, a, decided := blueGreen(p, s, o); decided {
			return s, a
		}
	}
	switch s.Stage {
	case rollout.StagePrepare:
		return act(enter(s, o, rollout.StageScale))
	case rollout.StageScale:
		return ready(p, enter(s, o, rollout.StageReady), o)
	case rollout.StageReady:
		return ready(p, s, o)
	case rollout.StagePreflight:
		return preflight(p, s, o)
	case rollout.StageWeight:
		return accepted(p, enter(s, o, rollout.StageAccepted), o)
	case rollout.StageAccepted:
		return accepted(p, s, o)
	case rollout.StageObserved:
		return observed(p, s, o)
	case rollout.StageDwell:
		return dwell(p, s, o)
	case rollout.StagePause:
		return pause(p, s, o)
	case rollout.StageHold:
		return holdForOthers(p, s, o)
	default:
		return fail(p, s, o, fmt.Sprintf("unknown stage %q", s.Stage))
	}
}

func ready(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if o.CanaryWanted > 0 && o.CanaryReady >= o.CanaryWanted {
		s.PodsTook = max(s.PodsTook, o.Now.Sub(s.Since))
		if s.Written {
			return weight(p, s, o)
		}
		return preflight(p, enter(s, o, rollout.StagePreflight), o)
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
func readiness(o rollout.Observation, why string) string {
	text := fmt.Sprintf("%d of %d canary pods ready", o.CanaryReady, o.CanaryWanted)
	if why != "" {
		text += ": " + why
	}
	return text
}

// preflight delays the first weight until test requests reach the canary. A
// gateway learns of pods and of weights from different watches; one that has
// the weight first answers the canary's share with 503. The test requests go on until
// they have warmed it, at most as long as the plan says: a canary that stays cold is
// the judge's business.
func preflight(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	switch o.Preflight {
	case rollout.SplitConfirmed:
		until := s.Since.Add(p.Propagation + p.Prewarm)
		if o.Prewarming && !expired(o, until) {
			return s, wait(s, until, "test requests to warm the canary")
		}
		return reached(p, s, o)
	case rollout.SplitBlind:
		s.Unconfirmed = append(s.Unconfirmed, "before the first weight: the answers to test requests cannot be attributed")
		return reached(p, s, o)
	case rollout.SplitNone: // the endpoints of the canary Service list its pods
		return reached(p, s, o)
	case rollout.SplitPending:
	}
	until := s.Since.Add(p.Propagation)
	switch {
	case expired(o, until) && o.Alike != "":
		return fail(p, s, o, fmt.Sprintf("the canary's pods are ready, but test requests through the gateway got the stable version's %s for %s: if both versions answer with it, set version-header to a header that differs; else the gateway does not lead test requests to the canary", o.Alike, p.Propagation))
	case expired(o, until):
		return fail(p, s, o, fmt.Sprintf("the canary's pods are ready, but test requests did not reach them through the gateway within %s", p.Propagation))
	}
	return s, wait(s, until, "test requests to reach the canary through the gateway")
}

func weight(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	s.Weight = p.Steps[s.Step].Weight
	s.Written = true
	return act(enter(s, o, rollout.StageWeight))
}

func accepted(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if o.Accepted {
		// Since stays at the time of the write, so the measured lag of the data plane
		// is complete.
		s.Stage = rollout.StageObserved
		return observed(p, s, o)
	}
	until := s.Since.Add(p.Propagation)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("the gateway did not accept weight %d within %s", s.Weight, p.Propagation))
	}
	return s, wait(s, until, fmt.Sprintf("the gateway to accept weight %d", s.Weight))
}

func observed(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	switch o.Split {
	case rollout.SplitConfirmed:
		s = enter(seen(s, o), o, rollout.StageDwell)
		if o.Followed.After(s.ObservedAt.Add(-p.Propagation)) {
			s.Since = o.Followed // the dwell began when the gateway followed
		}
		// The judge compares what comes after the confirmation. It gets half of the dwell
		// at least, however long the confirmation took.
		if earliest := s.ObservedAt.Add(-p.DwellFor(s) / 2); s.Since.Before(earliest) {
			s.Since = earliest
		}
		return dwell(p, s, o)
	case rollout.SplitBlind:
		if p.Replace {
			s.Unconfirmed = append(s.Unconfirmed, fmt.Sprintf("weight %d: the versions cannot be distinguished", s.Weight))
			return dwell(p, enter(seen(s, o), o, rollout.StageDwell), o)
		}
		return inconclusive(p, s, o, fmt.Sprintf("weight %d cannot be observed: the versions cannot be distinguished", s.Weight))
	case rollout.SplitPending, rollout.SplitNone:
	}
	until := s.Since.Add(p.Propagation)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("the gateway accepted weight %d, but the answers did not show it within %s", s.Weight, p.Propagation))
	}
	return s, wait(s, until, fmt.Sprintf("answers to show a share of %d %%", s.Weight))
}

func dwell(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if p.Strategy == rollout.StrategyBlueGreen && p.Bake > 0 {
		return look(p, s, o)
	}
	until := s.Since.Add(p.DwellFor(s))
	if !expired(o, until) && !s.Full && !s.Skip {
		return hold(p, s, o, until)
	}
	switch {
	case o.Verdict == rollout.VerdictSuccessful, s.Full, s.Skip: // a person decided; a failure was an alarm
	case o.Verdict == rollout.VerdictInconclusive:
		return inconclusive(p, s, o, o.Reason)
	default: // no verdict at the end of the dwell is never a pass
		return inconclusive(p, s, o, "no verdict at the end of the dwell")
	}
	step := p.Steps[s.Step]
	if (step.Pause > 0 || step.UntilPromoted) && !s.Full && !s.Skip {
		return pause(p, enter(s, o, rollout.StagePause), o)
	}
	return advance(p, s, o)
}

// hold waits for the end of the dwell. The next step's pods start while this
// step is still judged, so the gateway knows them before it gets the weight.
func hold(p rollout.Plan, s rollout.State, o rollout.Observation, until time.Time) (rollout.State, rollout.Action) {
	awaits := fmt.Sprintf("the dwell at %d %%", s.Weight)
	if s.Sized > s.Step || s.Step+1 == len(p.Steps) || p.Exact {
		return resize(s, o, wait(s, until, awaits))
	}
	ahead := until.Add(-min(2*s.PodsTook+s.Lag, p.Steps[s.Step].Dwell/2))
	if !expired(o, ahead) {
		a := wait(s, until, awaits)
		a.Wake = ahead
		return resize(s, o, a)
	}
	s.Sized = s.Step + 1
	return s, rollout.Action{Stage: s.Stage, Kind: rollout.KindScale}
}

// resize lets the canary follow the live size of stable, which an autoscaler may
// have changed; otherwise it returns the given action.
func resize(s rollout.State, o rollout.Observation, otherwise rollout.Action) (rollout.State, rollout.Action) {
	if o.CanaryNeeded > o.CanaryWanted {
		return s, rollout.Action{Stage: s.Stage, Kind: rollout.KindScale}
	}
	return s, otherwise
}

// pause waits as the plan asks after a successful dwell. A pause without an end
// ends the run.
func pause(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	step := p.Steps[s.Step]
	if step.UntilPromoted {
		s.Asked = true
		return end(s, o, rollout.PhasePaused, fmt.Sprintf("paused at %d %% as planned, until it is promoted", s.Weight))
	}
	until := s.Since.Add(step.Pause)
	if !expired(o, until) {
		return resize(s, o, wait(s, until, fmt.Sprintf("the end of the pause at %d %%", s.Weight)))
	}
	return advance(p, s, o)
}

// advance goes on to the next step, or to the promotion after the last.
func advance(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	s.Skip = false
	if p.Strategy == rollout.StrategyRolling {
		return nextRoll(p, s, o)
	}
	if s.Step+1 < len(p.Steps) {
		s.Step++
		if s.Full {
			s.Step = len(p.Steps) - 1
		}
		if s.Sized == s.Step {
			return ready(p, enter(s, o, rollout.StageReady), o)
		}
		s.Sized = s.Step
		return act(enter(s, o, rollout.StageScale))
	}
	if p.HoldPromotion && s.Stage != rollout.StageHold {
		return holdForOthers(p, enter(s, o, rollout.StageHold), o)
	}
	s.Phase = rollout.PhasePromoting
	return act(enter(s, o, rollout.StageHandOver))
}
