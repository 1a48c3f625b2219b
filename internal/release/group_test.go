package release

import (
	"testing"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// What a record says of its member while nobody drives it.
func TestMemberPhase(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		state rollout.State
		want  fleet.Phase
	}{
		{rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageHold}, fleet.Left},
		{rollout.State{Phase: rollout.PhasePromoting, Stage: rollout.StageReturn}, fleet.Left},
		{rollout.State{Phase: rollout.PhaseBaking, Stage: rollout.StageKept}, fleet.Warm},
		{rollout.State{Phase: rollout.PhasePromoted, Leftover: rollout.LeftoverPrevious}, fleet.Warm},
		{rollout.State{Phase: rollout.PhasePromoted, Leftover: rollout.LeftoverPromotion}, fleet.Left},
		{rollout.State{Phase: rollout.PhasePromoted}, fleet.Done},
		{rollout.State{Phase: rollout.PhasePaused, Leftover: rollout.LeftoverCanary}, fleet.Paused},
		{rollout.State{Phase: rollout.PhasePaused, Leftover: rollout.LeftoverPrevious}, fleet.Warm},
		{rollout.State{Phase: rollout.PhaseReverting, Reverted: true}, fleet.Left},
		{rollout.State{Phase: rollout.PhaseAborted, Leftover: rollout.LeftoverCanary}, fleet.Left},
		{rollout.State{Phase: rollout.PhaseAborted}, fleet.Back},
		{rollout.State{Phase: rollout.PhaseFailed, Leftover: rollout.LeftoverAbort}, fleet.Left},
	} {
		r := &Record{State: test.state, Group: &Group{ID: "7"}}
		if got := MemberPhase(r, "7"); got != test.want {
			t.Errorf("%s, left %q: %s, want %s", test.state.Phase, test.state.Leftover, got, test.want)
		}
		if got := MemberPhase(r, "8"); got != fleet.Waiting {
			t.Errorf("%s in another group: %s", test.state.Phase, got)
		}
	}
	if MemberPhase(nil, "7") != fleet.Waiting || MemberPhase(&Record{}, "7") != fleet.Waiting {
		t.Error("a member without a record of the group has started")
	}
}

// A later group goes on with an earlier one only if it brings the same to the same.
func TestContinues(t *testing.T) {
	t.Parallel()
	group := func(change func(*Group)) *Group {
		g := &Group{ID: "7", Together: true, Members: []GroupMember{{Name: "api", Namespace: "shop", Deployment: "api", Image: "api:2"}, {Name: "web", Over: []int{0}, Namespace: "shop", Deployment: "web", Image: "web:2"}}}
		change(g)
		return g
	}
	first := group(func(*Group) {})
	if !group(func(g *Group) { g.ID, g.OnFailure, g.Member = "8", fleet.Stop, "web" }).Continues(first) {
		t.Error("the same members in another run do not continue it")
	}
	for name, change := range map[string]func(*Group){
		"image":   func(g *Group) { g.Members[1].Image = "web:3" },
		"fewer":   func(g *Group) { g.Members = g.Members[:1] },
		"order":   func(g *Group) { g.Together = false },
		"wave":    func(g *Group) { g.Members[1].Wave = 1 },
		"cluster": func(g *Group) { g.Members[1].Namespace = "other" },
	} {
		if group(change).Continues(first) {
			t.Errorf("another %s continues it", name)
		}
	}
}
