package build

import (
	"strings"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// A lifeState is a state of a release that users can tell apart.
type lifeState struct {
	name  string
	state rollout.State
}

// lifeStates lists the states in the order of a release.
func lifeStates() []lifeState {
	paused := func(left rollout.Stage, rest rollout.Leftover) rollout.State {
		return rollout.State{Phase: rollout.PhasePaused, Stage: rollout.StageEnd, Left: left, Leftover: rest, Written: true}
	}
	in := func(phase rollout.Phase, stage rollout.Stage) rollout.State {
		return rollout.State{Phase: phase, Stage: stage, Written: true}
	}
	ended := func(phase rollout.Phase, rest rollout.Leftover) rollout.State {
		return rollout.State{Phase: phase, Stage: rollout.StageEnd, Leftover: rest, Written: true}
	}
	return []lifeState{
		{"Pending", rollout.State{Phase: rollout.PhasePending}},
		{"Progressing", in(rollout.PhaseProgressing, rollout.StageDwell)},
		{"Paused at a weight, by the plan", paused(rollout.StagePause, rollout.LeftoverCanary)},
		{"Paused at a weight, by a person, the judge or another writer", paused(rollout.StageDwell, rollout.LeftoverCanary)},
		{"Promoting", in(rollout.PhasePromoting, rollout.StageHandOver)},
		{"Baking", in(rollout.PhaseBaking, rollout.StageBake)},
		{"Paused in the bake", paused(rollout.StageBake, rollout.LeftoverPrevious)},
		{"Promoted, the previous version is warm", ended(rollout.PhasePromoted, rollout.LeftoverPrevious)},
		{"Reverting", in(rollout.PhaseReverting, rollout.StageRevert)},
		{"Cleaning", in(rollout.PhaseCleaning, rollout.StageDrain)},
		{"Promoted", ended(rollout.PhasePromoted, "")},
		{"Aborting", in(rollout.PhaseAborting, rollout.StageAbortObserved)},
		{"Aborted", ended(rollout.PhaseAborted, "")},
		{"Aborted, with leftovers", ended(rollout.PhaseAborted, rollout.LeftoverCanary)},
		{"Failed", rollout.State{Phase: rollout.PhaseFailed, Stage: rollout.StageAbortWeight, Leftover: rollout.LeftoverAbort, Written: true}},
	}
}

// yes is the cell of a request that a state takes; no is one without a reason,
// which the test refuses.
const yes, no = "**yes**", "no"

// commandTable shows which state of a release takes which command.
func commandTable() string {
	var b strings.Builder
	b.WriteString("| State |")
	for _, r := range rollout.Requests() {
		b.WriteString(" " + shown(r) + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(rollout.Requests())) + "\n")
	for _, row := range lifeStates() {
		b.WriteString("| " + row.name + " |")
		for _, r := range rollout.Requests() {
			b.WriteString(" " + commandCell(row.state, r) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// shown returns a request as people type it.
func shown(r rollout.Request) string {
	if r == rollout.RequestPromoteFull {
		return "`promote --full`"
	}
	return "`" + string(r) + "`"
}

// commandCell says whether a state takes a request, and if not, why or what to
// type instead.
func commandCell(s rollout.State, r rollout.Request) string {
	if takes(s, r) {
		return yes
	}
	if len(taken(s)) == 0 {
		return "wait"
	}
	switch r {
	case rollout.RequestPause:
		switch {
		case s.Phase == rollout.PhasePaused:
			return "is paused"
		case s.Phase.Terminal():
			return "has ended"
		}
		return "too late"
	case rollout.RequestResume:
		if s.Phase != rollout.PhasePaused {
			return "not paused"
		}
		return instead(s, rollout.RequestPromote)
	case rollout.RequestPromote, rollout.RequestPromoteFull:
		if s.Phase == rollout.PhasePromoting {
			return "is being promoted"
		}
		return "nothing to promote"
	case rollout.RequestAbort:
		if s.Phase == rollout.PhasePromoted {
			return instead(s, rollout.RequestRollback)
		}
		return "has ended"
	case rollout.RequestRollback:
		return "nothing to go back to"
	case rollout.RequestRelease:
		if s.Phase == rollout.PhasePromoting {
			return "wait"
		}
		return instead(s, rollout.RequestAbort)
	}
	return no
}

// instead names a command if the state takes it.
func instead(s rollout.State, r rollout.Request) string {
	if takes(s, r) {
		return "type " + shown(r)
	}
	return no
}

func takes(s rollout.State, r rollout.Request) bool {
	_, ok := rollout.Allowed(s, r)
	return ok
}

// taken returns the requests that a state takes.
func taken(s rollout.State) []rollout.Request {
	var all []rollout.Request
	for _, r := range rollout.Requests() {
		if takes(s, r) {
			all = append(all, r)
		}
	}
	return all
}
