package decide

import (
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// settleAnswers is the number of answers by the new revision, and none by the
// old, that prove that the gateway no longer uses the canary Service. 100
// answers bound the old revision's share below 4.5 % with 99 % confidence; its
// share would be 100 % if the gateway had not followed.
const settleAnswers = 100

// maxSettles is the number of attempts to point the canary Service at the old
// revision before the promotion fails.
const maxSettles = 5

// promote hands the Deployment over to the revision that has all traffic: the
// canary, or in a revert the warm revision.
func promote(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	s = noteBack(p, s, o)
	if o.Interrupted != "" && p.Linger {
		return s, rollout.Action{Kind: rollout.KindStop} // an action that the signal ended is repeated
	}
	if o.Err != nil {
		return failed(s, o, fmt.Sprintf("%s: %v", s.Phase, o.Err))
	}
	if o.Interrupted != "" {
		if s.QuickBy.IsZero() {
			s.QuickBy = o.Now.Add(p.QuickAbort)
		}
		if s.Stage != rollout.StageHandOver && expired(o, s.QuickBy) {
			return leave(s, o, rollout.LeftoverPromotion, "interrupted by "+o.Interrupted)
		}
	}
	if undone(s, o) {
		return act(s)
	}
	switch s.Stage {
	case rollout.StageRevert:
		return reverted(p, enter(s, o, rollout.StageAccepted), o)
	case rollout.StageAccepted, rollout.StageObserved:
		return reverted(p, s, o)
	case rollout.StageHandOver:
		return act(enter(s, o, rollout.StageReturn))
	case rollout.StageReturn:
		return returned(p, enter(s, o, rollout.StageReturned), o)
	case rollout.StageReturned:
		return returned(p, s, o)
	case rollout.StageWarm:
		return settle(p, enter(s, o, rollout.StageSettle), o)
	case rollout.StageSettle:
		return settle(p, s, o)
	default:
		return failed(s, o, fmt.Sprintf("unknown stage %q", s.Stage))
	}
}

// noteBack remembers a reason to go back that comes while the hand-over is going
// on: neither direction is safe in its middle.
func noteBack(p rollout.Plan, s rollout.State, o rollout.Observation) rollout.State {
	if s.Phase != rollout.PhasePromoting || s.Back != "" {
		return s
	}
	switch {
	case o.Verdict == rollout.VerdictFailed && p.Rollback:
		s.Back = o.Reason
	case o.Verdict == rollout.VerdictFailed:
		s.Hold = o.Reason
	case o.Request == rollout.RequestAbort || o.Request == rollout.RequestRollback:
		s.Back = fmt.Sprintf("%s by %s", o.Request, o.By)
	}
	return s
}

// leave ends a run after its hand-over, because of a signal: the stable revision
// is settled, and the next run finishes the rest.
func leave(s rollout.State, o rollout.Observation, rest rollout.Leftover, why string) (rollout.State, rollout.Action) {
	s.Leftover, s.Interrupted = rest, true
	if s.Reverted {
		return end(s, o, rollout.PhaseAborted, s.Reason+"; "+why)
	}
	return end(s, o, rollout.PhasePromoted, "the new revision serves all traffic; "+why)
}

// startRevert gives all traffic back to the warm revision, by one write.
func startRevert(s rollout.State, o rollout.Observation, reason string) (rollout.State, rollout.Action) {
	s.Phase, s.Reason, s.Reverted, s.Back = rollout.PhaseReverting, reason, true, ""
	s.Weight, s.Settles, s.QuickBy = 100, 0, time.Time{}
	return act(enter(s, o, rollout.StageRevert))
}

// reverted waits until the warm revision answers everything.
func reverted(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	until := s.Since.Add(p.Propagation)
	if !o.Accepted {
		if expired(o, until) {
			return failed(s, o, fmt.Sprintf("the gateway did not accept the route to the previous revision within %s (going back because: %s)", p.Propagation, s.Reason))
		}
		return s, wait(s, until, "the gateway to accept the route to the previous revision")
	}
	s.Stage = rollout.StageObserved
	switch o.Split {
	case rollout.SplitConfirmed, rollout.SplitBlind:
		if o.Split == rollout.SplitBlind {
			s.Unconfirmed = append(s.Unconfirmed, "the way back: the versions cannot be distinguished")
		}
		return act(enter(seen(s, o), o, rollout.StageHandOver))
	case rollout.SplitPending, rollout.SplitNone:
	}
	if expired(o, until) {
		return failed(s, o, fmt.Sprintf("the gateway accepted the route to the previous revision, but the answers did not show it within %s (going back because: %s)", p.Propagation, s.Reason))
	}
	return s, wait(s, until, "all answers to come from the previous revision")
}

// returned waits for the gateway to follow a route whose two sides are the same
// pods, which no answer can show. It waits for the acceptance and then for the
// longest lag of this rollout. StageSettle proves it afterwards, by version.
func returned(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
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
	return act(enter(s, o, rollout.StageWarm))
}

func settle(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if o.OldAnswers > 0 {
		// The gateway still uses the canary Service: point it back immediately. The
		// old revision answered, so no request failed.
		s.Settles++
		s.ObservedAt = o.Now // the drain window starts again
		if s.Settles > maxSettles {
			return failed(s, o, "the gateway still sends requests to the canary Service")
		}
		next := enter(s, o, rollout.StageReturned)
		return next, rollout.Action{Stage: rollout.StageReturned, Kind: rollout.KindUnwarm}
	}
	until := s.Since.Add(p.Propagation)
	if o.NewAnswers >= settleAnswers || o.Split == rollout.SplitBlind {
		return settled(p, s, o)
	}
	if expired(o, until) {
		return failed(s, o, fmt.Sprintf("only %d answers within %s after the promotion", o.NewAnswers, p.Propagation))
	}
	return s, wait(s, until, fmt.Sprintf("%d answers, all by the revision that the deployment has now", settleAnswers))
}

// settled goes on after the hand-over: a revert is cleaned up, a promotion bakes
// unless somebody asked for the way back meanwhile.
func settled(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if s.Reverted {
		s.Phase = rollout.PhaseCleaning
		return act(enter(s, o, rollout.StageUnroute))
	}
	s.Reason = fmt.Sprintf("the new revision serves all traffic (%d answers, none by the old one)", o.NewAnswers)
	s.Phase = rollout.PhaseBaking
	switch {
	case s.Back != "" && o.BackReady > 0:
		return startRevert(s, o, s.Back)
	case s.Skip:
		return baked(p, s, o)
	case s.Back != "" || s.Hold != "":
		s, a := end(enter(s, o, rollout.StageBake), o, rollout.PhasePaused, s.Back+s.Hold)
		s.Back, s.Hold = "", ""
		return s, a
	}
	return bake(p, enter(s, o, rollout.StageBake), o)
}

// bake judges the promoted revision while the old one is warm.
func bake(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if o.Interrupted != "" && (p.Linger || o.Verdict != rollout.VerdictFailed && o.Trouble == "") {
		if p.Linger {
			return s, rollout.Action{Kind: rollout.KindStop}
		}
		return leave(s, o, rollout.LeftoverPrevious, "interrupted by "+o.Interrupted+" while it was judged on")
	}
	if s, a, stopped := bakeAlarms(p, s, o); stopped {
		return s, a
	}
	if s.Stage == rollout.StageKept {
		return keepForOthers(p, s, o)
	}
	until := s.Since.Add(p.DwellFor(s))
	if !expired(o, until) {
		return s, wait(s, until, "the new version, judged on while the old one is warm")
	}
	if o.Verdict != rollout.VerdictSuccessful && p.Bake > 0 {
		reason := o.Reason
		if o.Verdict == rollout.VerdictPending {
			reason = "no verdict at the end of the bake time"
		}
		return inconclusive(p, s, o, reason)
	}
	return baked(p, s, o)
}

// bakeAlarms checks what ends a bake before its time.
func bakeAlarms(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action, bool) {
	switch {
	case o.Drift != "":
		return stop(conflict(s, o))
	case o.Request == rollout.RequestAbort || o.Request == rollout.RequestRollback:
		return stop(startRevert(s, o, fmt.Sprintf("%s by %s", o.Request, o.By)))
	case o.Trouble != "":
		return stop(fail(p, s, o, o.Trouble))
	case o.Verdict == rollout.VerdictFailed:
		return stop(fail(p, s, o, o.Reason))
	case endsWarmth(o.Request):
		return stop(baked(p, s, o))
	}
	return s, rollout.Action{}, false
}

// baked ends the bake: the old revision is removed, or stays warm if the plan
// asks for more.
func baked(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if p.Hold > 0 && s.Stage == rollout.StageBake && !endsWarmth(o.Request) && !s.Skip {
		return keepForOthers(p, enter(s, o, rollout.StageKept), o)
	}
	if p.KeepWarm > p.Bake && !endsWarmth(o.Request) && !s.Skip {
		s.Leftover = rollout.LeftoverPrevious
		return end(s, o, rollout.PhasePromoted, s.Reason)
	}
	s.Phase = rollout.PhaseCleaning
	return act(enter(s, o, rollout.StageUnroute))
}

// endsWarmth reports whether a request ends the time in which the old revision is
// warm.
func endsWarmth(r rollout.Request) bool {
	return r == rollout.RequestPromote || r == rollout.RequestPromoteFull || r == rollout.RequestRelease
}
