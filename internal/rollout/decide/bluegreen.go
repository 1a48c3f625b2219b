package decide

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// blueGreen decides in the stages that only a blue-green release has, or has in
// another way than a canary: the canary is the parallel slot, at the live size of
// the serving version, and gets all traffic by one write. Everything that can be
// known of it is known before: its pods are warm and ready, every test passed on
// every one of them, and a person has agreed if the plan asks for that.
func blueGreen(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action, bool) {
	switch {
	case s.Stage == rollout.StageWarmUp:
		return stop(warmUp(p, s, o))
	case s.Stage == rollout.StageSmoke, s.Stage == rollout.StageVerify:
		s.Stage = rollout.StageVerify // Since stays: it bounds all rounds of the tests
		return stop(verify(p, s, o))
	case s.Stage == rollout.StagePause && !s.Written:
		return stop(gate(p, s, o))
	}
	return s, rollout.Action{}, false
}

// reached decides what follows once test requests have reached the canary.
func reached(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if p.Strategy == rollout.StrategyBlueGreen {
		return warmUp(p, enter(s, o, rollout.StageWarmUp), o)
	}
	return weight(p, s, o)
}

// warmUp holds the new pods without traffic. A person may end it.
func warmUp(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	until := s.Since.Add(p.WarmUp)
	if !expired(o, until) && !s.Full && !s.Skip {
		return resize(s, o, wait(s, until, "the end of the new version's warm-up"))
	}
	if p.Smoke > 0 {
		return act(enter(s, o, rollout.StageSmoke))
	}
	return verify(p, enter(s, o, rollout.StageVerify), o)
}

// verify waits until nothing speaks against the switch: the slot has the live size of
// the serving version, each of its pods is ready behind its Service, and each has
// passed the tests. Pods that came meanwhile are tested, too.
func verify(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if p.Smoke > 0 && o.Smoke == rollout.CheckFailed {
		return fail(p, s, o, o.SmokeReason)
	}
	missing, next := unverified(p, o)
	if missing == "" {
		return gate(p, s, o)
	}
	until := s.Since.Add(p.Smoke + p.ProgressDeadline)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("the new version is not fit for the switch after %s: waiting for %s", p.Smoke+p.ProgressDeadline, missing))
	}
	switch next {
	case rollout.KindScale:
		return s, rollout.Action{Stage: s.Stage, Kind: rollout.KindScale}
	case rollout.KindSmoke:
		s.Stage = rollout.StageSmoke
		return act(s)
	default:
		return s, wait(s, until, missing)
	}
}

// unverified names what the switch still waits for, "" for nothing, and what to do
// about it.
func unverified(p rollout.Plan, o rollout.Observation) (missing string, next rollout.Kind) {
	switch {
	case o.CanaryNeeded > o.CanaryWanted:
		return fmt.Sprintf("the new version's pods to become %d", o.CanaryNeeded), rollout.KindScale
	case o.CanaryWanted == 0 || o.CanaryReady < o.CanaryWanted:
		return "all endpoints of the new version; " + readiness(o, o.Waiting), rollout.KindWait
	case p.Smoke > 0 && o.Smoke != rollout.CheckPassed:
		return fmt.Sprintf("the smoke tests, which have to end within %s", p.Smoke), rollout.KindWait
	case p.Smoke > 0 && o.Untested > 0:
		return fmt.Sprintf("the smoke tests of %d new pods", o.Untested), rollout.KindSmoke
	}
	return "", rollout.KindWait
}

// gate waits for a person before the switch, if the plan says so. That ends the run.
func gate(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if p.Manual && !s.Skip && !s.Full {
		s = enter(s, o, rollout.StagePause)
		s.Asked = true
		tested := "its smoke tests passed"
		if p.Smoke == 0 {
			tested = "it was not tested"
		}
		return end(s, o, rollout.PhasePaused, fmt.Sprintf("paused before the switch as planned, until it is promoted: %d pods of the new version are ready and get no traffic, %s", o.CanaryReady, tested))
	}
	s.Skip = false // what a person skipped ends here
	return weight(p, s, o)
}

// look holds all traffic on the new version before the hand-over: until then the
// next write takes it back. It asks for no verdict, since the bake judges on while
// the old version is warm; a failed one is an alarm.
func look(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	until := s.Since.Add(p.DwellFor(s))
	if !expired(o, until) && !s.Full && !s.Skip {
		return resize(s, o, wait(s, until, "the first answers to all traffic"))
	}
	return advance(p, s, o)
}
