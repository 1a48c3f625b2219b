package decide

import (
	"fmt"
	"math"
	"slices"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// rolling decides for the strategy rolling: the workload's own controller replaces
// its pods, a few at a time, and no further before they are ready and, at the end of
// a step, judged. A step's weight is the percentage of pods that are new; the share
// of requests follows from the pods that serve, State.Weight.
//
// The way back is a rolling update too: old pods start again, and answers show when
// no new one is left.
func rolling(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	var a rollout.Action
	switch s.Phase {
	case rollout.PhasePending:
		s.Phase = rollout.PhaseProgressing
		s, a = rise(p, enter(s, o, rollout.StagePrepare), o)
	case rollout.PhaseProgressing:
		s, a = rise(p, s, o)
	case rollout.PhasePromoting:
		s, a = complete(p, s, o)
	case rollout.PhaseBaking:
		s, a = bakeRolling(p, s, o)
	case rollout.PhaseAborting:
		s, a = undo(p, s, o)
	default:
		s, a = end(s, o, rollout.PhaseFailed, fmt.Sprintf("unknown phase %q", s.Phase))
	}
	if s.Phase == rollout.PhasePaused {
		s.Leftover = rollout.LeftoverRolling
	}
	return s, a
}

// rise decides while both revisions have pods.
func rise(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	s, a, stopped := alarms(p, s, o)
	if stopped {
		return s, a
	}
	if undone(s, o) {
		return act(s)
	}
	switch s.Stage {
	case rollout.StagePrepare:
		return roll(p, merged(p, s, o), o)
	case rollout.StageRoll:
		return rolled(p, enter(s, o, rollout.StageRolled), o)
	case rollout.StageRolled:
		return rolled(p, s, o)
	case rollout.StageObserved:
		return answering(p, s, o)
	case rollout.StageDwell:
		return dwellRolling(p, s, o)
	case rollout.StagePause:
		return pause(p, s, o)
	default:
		return fail(p, s, o, fmt.Sprintf("unknown stage %q", s.Stage))
	}
}

// podsFor returns how many of the pods are new in a step.
func podsFor(step rollout.Step, replicas int) int {
	return max(1, (replicas*step.Weight+99)/100)
}

// merged goes on to the last of the steps that ask for as many new pods as this one:
// of two pods, 5 % and 50 % are one. A step with a pause stays one of its own.
func merged(p rollout.Plan, s rollout.State, o rollout.Observation) rollout.State {
	plain := func(step rollout.Step) bool { return step.Pause == 0 && !step.UntilPromoted }
	for s.Step+1 < len(p.Steps) && plain(p.Steps[s.Step]) && podsFor(p.Steps[s.Step+1], o.Replicas) <= podsFor(p.Steps[s.Step], o.Replicas) {
		s.Step++
	}
	return s
}

// roll asks for the next new pods of the step, as many as may be in addition, or
// goes on to the dwell if the step has them all.
func roll(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	want := podsFor(p.Steps[s.Step], o.Replicas)
	if s.Pods >= want {
		return answering(p, enter(s, o, rollout.StageObserved), o)
	}
	next := min(want, s.Pods+max(1, p.Surge))
	s.Extra = min(next-s.Pods, p.Surge)
	s.Pods, s.Weight, s.Written = next, Share(next, o.Replicas+s.Extra), true
	return act(enter(s, o, rollout.StageRoll))
}

// Share returns the share of requests that some of the serving pods get if the entry
// point spreads them evenly, in whole percent; 100 only for all.
func Share(pods, of int) int {
	if pods >= of {
		return 100
	}
	return min(max(1, int(math.Round(100*float64(pods)/float64(of)))), 99)
}

// rolled waits for the new pods.
func rolled(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if o.CanaryWanted > 0 && o.CanaryReady >= o.CanaryWanted {
		s.PodsTook = max(s.PodsTook, o.Now.Sub(s.Since))
		return roll(p, s, o)
	}
	until := s.Since.Add(p.ProgressDeadline)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("progress deadline of %s: %s", p.ProgressDeadline, newPods(o, o.Waiting)))
	}
	a := wait(s, until, fmt.Sprintf("%d of %d pods to be new and ready", o.CanaryWanted, o.Replicas))
	if o.Waiting != "" {
		a.Await += "; " + newPods(o, o.Waiting)
	}
	if o.Recheck.After(o.Now) && o.Recheck.Before(until) {
		a.Wake = o.Recheck
	}
	return s, a
}

func newPods(o rollout.Observation, why string) string {
	text := fmt.Sprintf("%d of %d new pods ready", o.CanaryReady, o.CanaryWanted)
	if why != "" {
		text += ": " + why
	}
	return text
}

// answering waits until the new pods answer. Nobody but the entry point decides which
// pod gets a request, so their share is measured and not demanded.
func answering(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	switch o.Split {
	case rollout.SplitConfirmed:
		return dwellRolling(p, enter(seen(s, o), o, rollout.StageDwell), o)
	case rollout.SplitBlind:
		const blind = "the versions cannot be distinguished: all answers count as the new version's"
		if !slices.Contains(s.Unconfirmed, blind) {
			s.Unconfirmed = append(slices.Clone(s.Unconfirmed), blind)
		}
		return dwellRolling(p, enter(seen(s, o), o, rollout.StageDwell), o)
	case rollout.SplitPending, rollout.SplitNone:
	}
	until := s.Since.Add(p.Propagation)
	if expired(o, until) {
		return fail(p, s, o, fmt.Sprintf("%d new pods are ready, but by the version in the answers none of them answered within %s: if both versions answer with the same one, set version-header to a header that differs", o.CanaryReady, p.Propagation))
	}
	return s, wait(s, until, "answers by the new pods")
}

func dwellRolling(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	until := s.Since.Add(p.DwellFor(s))
	if !expired(o, until) && !s.Full && !s.Skip {
		return s, wait(s, until, fmt.Sprintf("the dwell at %d %%, %d of %d pods are new", s.Weight, s.Pods, o.Replicas))
	}
	return dwell(p, s, o)
}

// nextRoll goes on after a step was judged.
func nextRoll(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if s.Step+1 >= len(p.Steps) {
		s.Phase = rollout.PhasePromoting
		return act(enter(s, o, rollout.StageComplete))
	}
	s.Step++
	if s.Full {
		s.Step = len(p.Steps) - 1
	}
	return roll(p, merged(p, s, o), o)
}

// failRolling takes a release back, or pauses it if the plan says so or there is
// nothing that serves to go back to.
func failRolling(p rollout.Plan, s rollout.State, o rollout.Observation, reason string) (rollout.State, rollout.Action) {
	switch {
	case s.Written && p.Replace && o.BackReady == 0:
		return end(s, o, rollout.PhasePaused, reason+"; the version to go back to has no ready pods")
	case !p.Rollback:
		return end(s, o, rollout.PhasePaused, reason)
	}
	return startUndo(s, o, reason)
}

// complete replaces the last old pods, puts the settings of the update back, and waits
// until only new pods answer.
func complete(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if s, a, stopped := completeAlarms(p, s, o); stopped {
		return s, a
	}
	if undone(s, o) {
		return act(s)
	}
	until := s.Since.Add(p.Propagation)
	switch {
	case s.Stage == rollout.StageComplete:
		s = enter(s, o, rollout.StageCompleted)
		return s, wait(s, o.Now.Add(p.ProgressDeadline+p.Drain), "the last old pods to stop")
	case s.Stage == rollout.StageCompleted && (o.OldPods > 0 || o.CanaryReady < o.CanaryWanted):
		until = s.Since.Add(p.ProgressDeadline + p.Drain)
		if expired(o, until) {
			return fail(p, s, o, fmt.Sprintf("%d old pods are left and %s after %s", o.OldPods, newPods(o, o.Waiting), p.ProgressDeadline+p.Drain))
		}
		return s, wait(s, until, "the last old pods to stop")
	case s.Stage == rollout.StageCompleted:
		s = enter(s, o, rollout.StageSettle)
		return s, wait(s, o.Now.Add(p.Propagation), settleAwaits)
	case s.Stage != rollout.StageSettle:
		return failed(s, o, fmt.Sprintf("unknown stage %q", s.Stage))
	case o.SinceStable < settleAnswers && o.Split != rollout.SplitBlind && !expired(o, until):
		return s, wait(s, until, settleAwaits)
	}
	s.Reason = fmt.Sprintf("all pods are new (%d answers, none by the old version)", o.SinceStable)
	switch {
	case o.Split == rollout.SplitBlind:
		s.Reason = "all pods are new"
	case o.SinceStable < settleAnswers:
		s.Reason = "all pods are new"
		s.Unconfirmed = append(slices.Clone(s.Unconfirmed), fmt.Sprintf("the old version has no pods any more, but %s after it only the last %d answers were all by the new one", p.Propagation, o.SinceStable))
	}
	s.Phase = rollout.PhaseBaking
	if s.Skip {
		return end(s, o, rollout.PhasePromoted, s.Reason)
	}
	return bakeRolling(p, enter(s, o, rollout.StageBake), o)
}

const settleAwaits = "answers, none of them by the old version"

func completeAlarms(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action, bool) {
	switch {
	case o.Interrupted != "" && p.Linger:
		return stop(s, rollout.Action{Kind: rollout.KindStop})
	case o.Err != nil:
		return stop(failed(s, o, fmt.Sprintf("%s: %v", s.Phase, o.Err)))
	case o.Interrupted != "" && !undone(s, o): // the controller needs nobody for the rest
		return stop(leave(s, o, rollout.LeftoverPromotion, "interrupted by "+o.Interrupted))
	case o.Request == rollout.RequestAbort || o.Request == rollout.RequestRollback:
		return stop(startUndo(s, o, fmt.Sprintf("%s by %s", o.Request, o.By)))
	case o.Drift != "":
		return stop(conflict(s, o))
	case o.Trouble != "" && !s.Skip:
		return stop(fail(p, s, o, o.Trouble))
	case o.Verdict == rollout.VerdictFailed && !s.Skip:
		return stop(fail(p, s, o, o.Reason))
	}
	return s, rollout.Action{}, false
}

// bakeRolling judges on when all pods are new.
func bakeRolling(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	switch {
	case o.Interrupted != "" && p.Linger:
		return s, rollout.Action{Kind: rollout.KindStop}
	case o.Interrupted != "" && o.Verdict != rollout.VerdictFailed && o.Trouble == "":
		return leave(s, o, "", "interrupted by "+o.Interrupted+" while it was judged on")
	case o.Drift != "":
		return conflict(s, o)
	case o.Request == rollout.RequestAbort || o.Request == rollout.RequestRollback:
		return startUndo(s, o, fmt.Sprintf("%s by %s", o.Request, o.By))
	case s.Skip: // a person promoted it
		return end(s, o, rollout.PhasePromoted, s.Reason)
	case o.Trouble != "":
		return fail(p, s, o, o.Trouble)
	case o.Verdict == rollout.VerdictFailed:
		return fail(p, s, o, o.Reason)
	case o.Request == rollout.RequestPromote || o.Request == rollout.RequestPromoteFull || o.Request == rollout.RequestRelease:
		return end(s, o, rollout.PhasePromoted, s.Reason)
	}
	until := s.Since.Add(p.DwellFor(s))
	if !expired(o, until) {
		return s, wait(s, until, "the new version, judged on with all pods")
	}
	if o.Verdict != rollout.VerdictSuccessful && p.Bake > 0 {
		reason := o.Reason
		if o.Verdict == rollout.VerdictPending {
			reason = "no verdict at the end of the bake time"
		}
		return inconclusive(p, s, o, reason)
	}
	return end(s, o, rollout.PhasePromoted, s.Reason)
}

// startUndo puts the recorded revision back.
func startUndo(s rollout.State, o rollout.Observation, reason string) (rollout.State, rollout.Action) {
	if !s.Written {
		return end(s, o, rollout.PhaseAborted, reason)
	}
	s.Undone = s.Undone || s.Phase != rollout.PhaseProgressing
	s.Phase, s.Reason, s.Weight = rollout.PhaseAborting, reason, 0
	return act(enter(s, o, rollout.StageUndo))
}

// undo waits until the recorded revision has all pods again and no other one
// answers. After a signal the written undo is all that there is time for: the
// controller goes on with it, and the next run proves it.
func undo(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	switch {
	case o.Interrupted != "" && p.Linger:
		return s, rollout.Action{Kind: rollout.KindStop}
	case o.Err != nil:
		return failed(s, o, "abort: "+o.Err.Error()+" (aborting because: "+s.Reason+")")
	}
	if o.Interrupted != "" && s.QuickBy.IsZero() {
		s.QuickBy = o.Now.Add(p.QuickAbort)
	}
	if undone(s, o) {
		return act(s)
	}
	if !s.QuickBy.IsZero() {
		s.Leftover = rollout.LeftoverAbort
		s.Unconfirmed = append(slices.Clone(s.Unconfirmed), fmt.Sprintf("undo: written, and the controller goes on with it; %d pods of the new version were left when the run had to end", o.NewPods))
		return end(s, o, rollout.PhaseAborted, s.Reason)
	}
	switch s.Stage {
	case rollout.StageUndo:
		s = enter(s, o, rollout.StageUndone)
		return s, wait(s, o.Now.Add(p.ProgressDeadline+p.Drain), undoAwaits(o))
	case rollout.StageUndone:
		return restored(p, s, o)
	case rollout.StageAbortObserved:
		return unseen(p, s, o)
	case rollout.StageAbortRemove:
		return end(s, o, rollout.PhaseAborted, s.Reason)
	default:
		return failed(s, o, fmt.Sprintf("unknown stage %q", s.Stage))
	}
}

func undoAwaits(o rollout.Observation) string {
	return fmt.Sprintf("the recorded pods to be back: %d of %d are ready, %d others are left", o.BackReady, o.Replicas, o.NewPods+o.OldPods)
}

// restored waits for the pods of the recorded revision. OldPods counts those of the
// revisions that are neither it nor the new one.
func restored(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	if o.NewPods == 0 && o.BackReady >= o.Replicas {
		if o.Inexact != "" {
			s.Unconfirmed = append(slices.Clone(s.Unconfirmed), o.Inexact)
		}
		s = enter(s, o, rollout.StageAbortObserved)
		return unseen(p, s, o)
	}
	until := s.Since.Add(p.ProgressDeadline + p.Drain)
	if expired(o, until) {
		return failed(s, o, fmt.Sprintf("abort: after %s still awaiting %s (aborting because: %s)", p.ProgressDeadline+p.Drain, undoAwaits(o), s.Reason))
	}
	return s, wait(s, until, undoAwaits(o))
}

// unseen waits for the proof by version, then ends the undo.
func unseen(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action) {
	until := s.Since.Add(p.Propagation)
	late := expired(o, until)
	switch {
	case o.Split == rollout.SplitBlind:
		s.Unconfirmed = append(slices.Clone(s.Unconfirmed), "undo: the versions cannot be distinguished; the recorded pods are the only ones left")
	case o.SinceCanary < settleAnswers && !late:
		return s, wait(s, until, "answers, none of them by the new version")
	case o.SinceCanary < settleAnswers:
		s.Unconfirmed = append(slices.Clone(s.Unconfirmed), fmt.Sprintf("undo: the new version has no pods any more, but in %s there were only %d answers after its last one", p.Propagation, o.SinceCanary))
	}
	return act(enter(s, o, rollout.StageAbortRemove))
}

// A Roll is how many pods are new in a step, and the share of requests that they get if
// the entry point spreads them evenly, in percent.
type Roll struct{ Pods, Share int }

// Rolls returns the pods of each step of a plan, for a workload of some replicas.
func Rolls(p rollout.Plan, replicas int) []Roll {
	var all []Roll
	before := 0
	for _, step := range p.Steps {
		pods := podsFor(step, replicas)
		if len(all) > 0 && all[len(all)-1].Pods == pods {
			all = append(all, all[len(all)-1])
			continue
		}
		extra := 0
		for before < pods {
			next := min(pods, before+max(1, p.Surge))
			extra, before = min(next-before, p.Surge), next
		}
		all = append(all, Roll{Pods: pods, Share: Share(pods, replicas+extra)})
	}
	return all
}
