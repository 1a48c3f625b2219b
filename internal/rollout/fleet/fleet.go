// Package fleet decides what a release of several members does next: which of them
// start, are promoted, go back or end. A member is one Deployment on one cluster,
// with a rollout of its own; the decisions inside that one are package decide's.
//
// Next is pure, as decide.Next is. Three rules hold on every path and are tested as
// properties:
//
//   - no member starts or is promoted before every earlier wave is promoted and has
//     baked;
//   - after a failure nothing starts and nothing is promoted any more;
//   - every path ends, and at its end nothing is in motion.
package fleet

import (
	"fmt"
	"slices"
	"time"
)

// A Policy says what goes back when a member fails.
type Policy string

// The policies. Whatever the policy, a member that was not promoted yet goes back.
const (
	RollbackAll  Policy = "rollback-all"  // every member
	RollbackWave Policy = "rollback-wave" // the members of the failed wave
	Stop         Policy = "stop"          // no promoted member
)

// A Plan is the order of a group. It does not change while the group runs.
type Plan struct {
	// Members are in the order of their waves.
	Members []Member
	// Together: the members of a wave rise side by side, and none is promoted before
	// all have passed their last step. Else each starts after those before it.
	Together bool
	// Bake is the time between the end of one wave and the start of the next.
	Bake      time.Duration
	OnFailure Policy
}

// A Member is one rollout of a group.
type Member struct {
	Name string
	Wave int   // from 0
	Over []int // members of the same wave that are promoted before this one
}

// A Phase is where a member is.
type Phase string

// The phases of a member.
const (
	Waiting   Phase = "Waiting"   // not started
	Left      Phase = "Left"      // an earlier process left it before its promotion; nobody drives it
	Warm      Phase = "Warm"      // promoted, the old version warm; nobody drives it
	Rising    Phase = "Rising"    // takes traffic step by step
	Holding   Phase = "Holding"   // has passed its last step and waits for the others
	Promoting Phase = "Promoting" // takes over its Deployment
	Baking    Phase = "Baking"    // promoted, judged on
	Kept      Phase = "Kept"      // has baked, the old version is warm
	Ending    Phase = "Ending"    // its old version is being removed
	Done      Phase = "Done"      // has the new version, nothing is left
	Unchanged Phase = "Unchanged" // had the new version before
	GoingBack Phase = "GoingBack" // its traffic returns to the old version
	Back      Phase = "Back"      // the old version serves
	Refused   Phase = "Refused"   // did not start; nothing was changed
	Paused    Phase = "Paused"    // stopped at its weight
	Failed    Phase = "Failed"    // its state is unknown
)

// A Kind is what is to be done with a member.
type Kind string

// The kinds of actions.
const (
	Start    Kind = "start"    // begin its rollout, or go on with what was left
	Promote  Kind = "promote"  // let it take over its Deployment
	Rollback Kind = "rollback" // abort it or go back to its old version
	Release  Kind = "release"  // remove its old version
	Pause    Kind = "pause"    // stop at its weight
	Leave    Kind = "leave"    // stop driving it; its old version stays warm
)

// A Status is what is known of a member at one moment.
type Status struct {
	Phase  Phase
	Since  time.Time // when the phase began
	Reason string    // why it goes back, was refused, paused or failed
	// Asked is the last action that was begun and has not shown in the phase yet.
	Asked Kind
}

// A State is what a group remembers beside its members. The zero State goes on.
type State struct {
	Failure string // why the group goes back
	Wave    int    // the wave that failed
	// All: every member goes back, whatever the policy.
	All bool
	// Pause is why the group stops where it is.
	Pause string
	// Committed: all members were promoted and have baked. From here on no other
	// member goes back.
	Committed bool
}

// An Action is to be done with one member.
type Action struct {
	Member int
	Kind   Kind
}

// A Decision is what follows: actions, or the end, or a wait for a member to change.
type Decision struct {
	Do  []Action
	End bool
	// Await describes what the group waits for; Until is when it decides again if no
	// member changes, zero for never.
	Await string
	Until time.Time
}

// Next returns the next State and what to do. members has one Status for each of the
// plan's.
func Next(p Plan, s State, members []Status, now time.Time) (State, Decision) {
	g := group{Plan: p, members: members, now: now}
	s = g.notice(s)
	switch {
	case s.Failure != "":
		return s, g.goBack(s)
	case s.Pause != "":
		return s, g.pause()
	}
	if !s.Committed && g.all(settled) {
		s.Committed = true
	}
	if s.Committed {
		return s, g.release()
	}
	return s, g.goOn()
}

// A group is the input of one decision.
type group struct {
	Plan
	members []Status
	now     time.Time
}

// notice remembers the first failure, and the first pause.
func (g group) notice(s State) State {
	for i, m := range g.members {
		switch m.Phase {
		case GoingBack, Back, Refused, Failed:
			if s.Failure == "" {
				s.Failure, s.Wave = fmt.Sprintf("%s: %s", g.Members[i].Name, m.Reason), g.Members[i].Wave
			}
		case Paused:
			if s.Pause == "" {
				s.Pause = fmt.Sprintf("%s: %s", g.Members[i].Name, m.Reason)
			}
		case Waiting, Left, Warm, Rising, Holding, Promoting, Baking, Kept, Ending, Done, Unchanged: // nothing is wrong
		}
	}
	return s
}

// settled reports whether a member has the new version and needs nothing before the
// whole group has.
func settled(p Phase) bool {
	return p == Kept || p == Warm || p == Ending || p == Done || p == Unchanged
}

// handedOver reports whether a member's Deployment has the new version.
func handedOver(p Phase) bool { return settled(p) || p == Baking }

// passed reports whether a member has passed its last step.
func passed(p Phase) bool { return handedOver(p) || p == Holding || p == Promoting }

func (g group) all(is func(Phase) bool) bool {
	return !slices.ContainsFunc(g.members, func(m Status) bool { return !is(m.Phase) })
}

// ask adds an action, unless it was begun already.
func (g group) ask(d *Decision, i int, k Kind) {
	if g.members[i].Asked != k {
		d.Do = append(d.Do, Action{i, k})
	}
}

// goOn starts and promotes the members of the first wave that is not settled.
func (g group) goOn() Decision {
	var d Decision
	wave := g.wave()
	if until := g.baked(wave); g.now.Before(until) {
		return Decision{Await: fmt.Sprintf("the bake time before wave %d", wave+1), Until: until}
	}
	for i, m := range g.members {
		if g.Members[i].Wave != wave {
			continue
		}
		switch {
		case m.Phase == Warm, (m.Phase == Waiting || m.Phase == Left) && (g.Together || g.over(i, settledByItself)):
			g.ask(&d, i, Start)
		case m.Phase == Holding && g.promotes(i):
			g.ask(&d, i, Promote)
		}
	}
	d.Await = fmt.Sprintf("the members of wave %d", wave+1)
	return d
}

// settledByItself is settled for a member that somebody drives or that has ended.
func settledByItself(p Phase) bool { return settled(p) && p != Warm }

// wave returns the first wave that is not settled. A warm member that nobody drives
// is judged again first.
func (g group) wave() int {
	first := 0
	for i, m := range g.members {
		if first = g.Members[i].Wave; !settledByItself(m.Phase) {
			break
		}
	}
	return first
}

// baked returns when the wave before this one has baked.
func (g group) baked(wave int) time.Time {
	var until time.Time
	for i, m := range g.members {
		if g.Members[i].Wave == wave-1 && m.Phase == Kept && m.Since.Add(g.Bake).After(until) {
			until = m.Since.Add(g.Bake)
		}
	}
	return until
}

// over reports whether all members that come before this one are in such a phase.
func (g group) over(i int, is func(Phase) bool) bool {
	return !slices.ContainsFunc(g.Members[i].Over, func(j int) bool { return !is(g.members[j].Phase) })
}

// promotes reports whether it is a member's turn to be promoted.
func (g group) promotes(i int) bool {
	if !g.Together {
		return true
	}
	for j, m := range g.members {
		if g.Members[j].Wave == g.Members[i].Wave && !passed(m.Phase) {
			return false
		}
	}
	return g.over(i, handedOver)
}

// release removes the old versions of all members, and ends when none is left.
func (g group) release() Decision {
	d := Decision{Await: "the old versions to be removed"}
	for i, m := range g.members {
		if m.Phase == Kept || m.Phase == Warm {
			g.ask(&d, i, Release)
		}
	}
	d.End = g.all(func(p Phase) bool { return p == Done || p == Unchanged })
	return d
}

// goBack returns what the policy says to the old versions. When nothing is in motion
// any more it removes the old versions of the members that stay.
func (g group) goBack(s State) Decision {
	d := Decision{Await: "the members to go back"}
	moving := false
	for i, m := range g.members {
		switch m.Phase {
		case Rising, Holding, Left, Paused:
			moving = true
			g.ask(&d, i, Rollback)
		case Promoting, Baking, Kept, Warm:
			back := g.goesBack(s, i)
			moving = moving || back || m.Phase == Promoting || m.Phase == Baking
			if back {
				g.ask(&d, i, Rollback)
			}
		case Ending, GoingBack:
			moving = true
		default: // it has ended
		}
	}
	if moving {
		return d
	}
	for i, m := range g.members {
		if m.Phase == Kept || m.Phase == Warm {
			g.ask(&d, i, Release)
			moving = true
		}
	}
	d.End = !moving
	return d
}

// goesBack reports whether the policy takes a promoted member back.
func (g group) goesBack(s State, i int) bool {
	switch {
	case s.All:
		return true
	case s.Committed:
		return false
	case g.OnFailure == RollbackWave:
		return g.Members[i].Wave == s.Wave
	}
	return g.OnFailure != Stop
}

// pause stops every member where it is: one that is promoted stays warm.
func (g group) pause() Decision {
	d := Decision{Await: "the members to stop where they are"}
	moving := false
	for i, m := range g.members {
		switch m.Phase {
		case Rising, Holding:
			moving = true
			g.ask(&d, i, Pause)
		case Kept:
			moving = true
			g.ask(&d, i, Leave)
		case Promoting, Baking, Ending, GoingBack:
			moving = true
		default: // nobody drives it
		}
	}
	d.End = !moving
	return d
}
