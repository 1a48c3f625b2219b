package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// A world carries out every action and moves one member at a time.
type world struct {
	plan    Plan
	state   State
	members []Status
	now     time.Time
	rand    *rand.Rand
	bad     float64 // how often a member fails by itself
	pauses  float64 // how often somebody pauses one
	stuck   float64 // how often the way back fails
	log     []string
	// before is called before every action.
	before func(Action)
}

func (w *world) set(i int, p Phase, reason string) {
	m := &w.members[i]
	if m.Phase != p {
		m.Since = w.now
	}
	m.Phase, m.Reason, m.Asked = p, reason, ""
}

// move lets a member go on by itself or as it was asked.
func (w *world) move(i int) {
	m := w.members[i]
	switch {
	case m.Asked == Rollback && w.rand.Float64() < w.stuck:
		w.set(i, Failed, "no route to host")
	case m.Asked == Rollback && m.Phase == Promoting: // neither direction is safe in its middle
		w.set(i, Baking, "")
		w.members[i].Asked = Rollback
	case m.Asked == Rollback:
		w.set(i, GoingBack, "asked")
	case m.Asked == Pause:
		w.set(i, Paused, "asked")
	case m.Asked == Leave:
		w.set(i, Warm, "")
	case m.Asked == Release:
		w.set(i, Ending, "")
	case m.Asked == Promote:
		w.set(i, Promoting, "")
	case m.Asked == Start && m.Phase == Warm:
		w.set(i, Baking, "")
	case m.Asked == Start && w.rand.Float64() < w.bad:
		w.set(i, Refused, "another run holds it")
	case m.Asked == Start && w.rand.Float64() < w.bad:
		w.set(i, Unchanged, "")
	case m.Asked == Start:
		w.set(i, Rising, "")
	default:
		w.moveByItself(i, m.Phase)
	}
}

func (w *world) moveByItself(i int, p Phase) {
	judged := p == Rising || p == Holding || p == Baking || p == Kept
	switch {
	case judged && w.rand.Float64() < w.bad:
		w.set(i, GoingBack, "30 % errors")
	case (p == Rising || p == Holding) && w.rand.Float64() < w.pauses:
		w.set(i, Paused, "pause by Ada")
	case p == Rising:
		w.set(i, Holding, "")
	case p == Promoting:
		w.set(i, Baking, "")
	case p == Baking:
		w.set(i, Kept, "")
	case p == Ending:
		w.set(i, Done, "")
	case p == GoingBack:
		w.set(i, Back, w.members[i].Reason)
	}
}

// run decides and moves until the end.
func (w *world) run(t *testing.T) State {
	t.Helper()
	for range 5000 {
		var d Decision
		w.state, d = Next(w.plan, w.state, w.members, w.now)
		if d.End {
			if len(d.Do) > 0 {
				t.Fatalf("the end, and %v", d.Do)
			}
			return w.state
		}
		if d.Await == "" {
			t.Fatal("waits for nothing")
		}
		for _, a := range d.Do {
			if w.before != nil {
				w.before(a)
			}
			w.members[a.Member].Asked = a.Kind
			w.log = append(w.log, string(a.Kind)+" "+w.plan.Members[a.Member].Name)
		}
		w.now = w.now.Add(time.Second)
		if len(d.Do) == 0 && !d.Until.IsZero() {
			if !d.Until.After(w.now.Add(-time.Second)) {
				t.Fatalf("waits until %s, which has passed", d.Until)
			}
			w.now = d.Until
		}
		w.move(w.rand.IntN(len(w.members)))
	}
	t.Fatalf("no end: %+v %+v", w.state, w.members)
	return State{}
}

func newWorld(seed uint64, p Plan) *world {
	w := &world{plan: p, now: epoch, rand: rand.New(rand.NewPCG(seed, 1))}
	for range p.Members {
		w.members = append(w.members, Status{Phase: Waiting, Since: epoch})
	}
	return w
}

// waves returns members of so many waves, each with so many Deployments in order.
func waves(n, deployments int) []Member {
	var members []Member
	for wave := range n {
		for d := range deployments {
			m := Member{Name: fmt.Sprintf("c%d/d%d", wave, d), Wave: wave}
			if d > 0 {
				m.Over = []int{len(members) - 1}
			}
			members = append(members, m)
		}
	}
	return members
}

func phases(members []Status) []Phase {
	var all []Phase
	for _, m := range members {
		all = append(all, m.Phase)
	}
	return all
}

func TestAGoodGroup(t *testing.T) {
	t.Parallel()
	for together, want := range map[bool]string{
		true: "start c0/d0, start c0/d1, promote c0/d0, promote c0/d1, start c1/d0, start c1/d1, promote c1/d0, promote c1/d1, " +
			"release c0/d0, release c0/d1, release c1/d0, release c1/d1",
		false: "start c0/d0, promote c0/d0, start c0/d1, promote c0/d1, start c1/d0, promote c1/d0, start c1/d1, promote c1/d1, " +
			"release c0/d0, release c0/d1, release c1/d0, release c1/d1",
	} {
		w := newWorld(7, Plan{Members: waves(2, 2), Together: together, Bake: time.Hour, OnFailure: RollbackAll})
		end := w.run(t)
		if diff := cmp.Diff(want, strings.Join(w.log, ", ")); diff != "" {
			t.Errorf("together %t (-want +got):\n%s", together, diff)
		}
		if end.Failure != "" || !end.Committed || w.now.Sub(epoch) < time.Hour {
			t.Errorf("ended %+v after %s", end, w.now.Sub(epoch))
		}
	}
}

// What goes back when a member of the second wave of three fails in its rise, and one
// of the same wave was promoted already.
func TestWhatGoesBack(t *testing.T) {
	t.Parallel()
	plan := Plan{Members: waves(3, 2), Bake: time.Minute}
	for policy, want := range map[Policy][]Phase{
		RollbackAll:  {Back, Back, Back, Back, Waiting, Waiting},
		RollbackWave: {Done, Done, Back, Back, Waiting, Waiting},
		Stop:         {Done, Done, Done, Back, Waiting, Waiting},
	} {
		plan.OnFailure = policy
		w := newWorld(3, plan)
		w.members = []Status{{Phase: Kept}, {Phase: Kept}, {Phase: Kept}, {Phase: GoingBack, Reason: "bad"}, {Phase: Waiting}, {Phase: Waiting}}
		end := w.run(t)
		if diff := cmp.Diff(want, phases(w.members)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", policy, diff)
		}
		if end.Failure != "c1/d1: bad" || end.Wave != 1 {
			t.Errorf("%s: ended %+v", policy, end)
		}
	}
	// A person asked: the policy does not count.
	w := newWorld(3, plan)
	w.state = State{Failure: "rollback by Ada", All: true}
	w.members = []Status{{Phase: Warm}, {Phase: Unchanged}, {Phase: Warm}, {Phase: Left}, {Phase: Waiting}, {Phase: Waiting}}
	w.run(t)
	if diff := cmp.Diff([]Phase{Back, Unchanged, Back, Back, Waiting, Waiting}, phases(w.members)); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// A pause stops all, and another process goes on: it adopts what is warm, which is
// judged again before the next wave.
func TestAPausedGroupGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(5, Plan{Members: waves(2, 2), Together: true, Bake: time.Minute, OnFailure: RollbackAll})
	w.members = []Status{{Phase: Kept}, {Phase: Kept}, {Phase: Paused, Reason: "pause by Ada"}, {Phase: Holding}}
	if end := w.run(t); end.Pause != "c1/d0: pause by Ada" || end.Failure != "" {
		t.Fatalf("ended %+v", end)
	}
	if diff := cmp.Diff([]Phase{Warm, Warm, Paused, Paused}, phases(w.members)); diff != "" {
		t.Fatalf("paused (-want +got):\n%s", diff)
	}
	w.log, w.state = nil, State{}
	w.members[2].Phase, w.members[3].Phase = Left, Left // a person resumes them
	w.run(t)
	want := "start c0/d0, start c0/d1, start c1/d0, start c1/d1, promote c1/d0, promote c1/d1, release c0/d0, release c0/d1, release c1/d0, release c1/d1"
	if diff := cmp.Diff(want, strings.Join(w.log, ", ")); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
}

// A group whose members were all promoted ends without another bake.
func TestAllWarmMembersAreReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(5, Plan{Members: waves(2, 1), Bake: time.Hour})
	w.members = []Status{{Phase: Done}, {Phase: Warm}}
	if w.run(t); strings.Join(w.log, ", ") != "release c1/d0" {
		t.Errorf("actions %q", w.log)
	}
}

// TestEveryGroupEnds runs Next against random worlds and holds every action to the
// rules of the package.
func TestEveryGroupEnds(t *testing.T) {
	t.Parallel()
	ends := map[string]int{}
	for seed := range uint64(4000) {
		w := randomWorld(seed)
		w.before = func(a Action) { w.allowed(t, seed, a) }
		end := w.run(t)
		ends[w.check(t, seed, end)]++
	}
	for _, end := range []string{"done", "back", "paused", "mixed", "stuck"} {
		if ends[end] == 0 {
			t.Errorf("no random group ended %s: %v", end, ends)
		}
	}
}

func randomWorld(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 2))
	p := Plan{Members: waves(1+r.IntN(3), 1+r.IntN(3)), Together: r.IntN(2) == 0, Bake: time.Duration(r.IntN(100)) * time.Second}
	p.OnFailure = []Policy{RollbackAll, RollbackWave, Stop}[r.IntN(3)]
	w := newWorld(seed, p)
	w.bad, w.pauses = r.Float64()*0.08, max(0, r.Float64()*0.1-0.05)
	if r.IntN(4) == 0 {
		w.stuck = 0.2
	}
	if r.IntN(4) == 0 { // taken over from a process that died
		for i := range w.members {
			if w.plan.Members[i].Wave == 0 {
				w.members[i].Phase = []Phase{Waiting, Left, Warm, Unchanged}[r.IntN(4)]
			}
		}
	}
	return w
}

// allowed holds an action to the rules.
func (w *world) allowed(t *testing.T, seed uint64, a Action) {
	t.Helper()
	rises := a.Kind == Start || a.Kind == Promote
	if rises && (w.state.Failure != "" || w.state.Pause != "") {
		t.Fatalf("seed %d: %v after %+v", seed, a, w.state)
	}
	for j, m := range w.members {
		before, same := w.plan.Members[j].Wave < w.plan.Members[a.Member].Wave, w.plan.Members[j].Wave == w.plan.Members[a.Member].Wave
		baked := m.Phase == Unchanged || m.Phase == Done || m.Phase == Kept && (!w.now.Before(m.Since.Add(w.plan.Bake)) || w.plan.Members[j].Wave < w.plan.Members[a.Member].Wave-1)
		if rises && before && !baked {
			t.Fatalf("seed %d: %v, while %s is %s since %s", seed, a, w.plan.Members[j].Name, m.Phase, w.now.Sub(m.Since))
		}
		if a.Kind == Promote && w.plan.Together && same && !passed(m.Phase) {
			t.Fatalf("seed %d: %v, while %s is %s", seed, a, w.plan.Members[j].Name, m.Phase)
		}
		if a.Kind == Promote && slices.Contains(w.plan.Members[a.Member].Over, j) && !handedOver(m.Phase) {
			t.Fatalf("seed %d: %v before %s, which is %s", seed, a, w.plan.Members[j].Name, m.Phase)
		}
		if a.Kind == Release && w.state.Failure == "" && !settled(m.Phase) {
			t.Fatalf("seed %d: %v, while %s is %s", seed, a, w.plan.Members[j].Name, m.Phase)
		}
	}
}

// check holds the end of a group to the rules, and returns its kind.
func (w *world) check(t *testing.T, seed uint64, end State) string {
	t.Helper()
	count := map[Phase]int{}
	for _, m := range w.members {
		count[m.Phase]++
	}
	if n := count[Rising] + count[Holding] + count[Promoting] + count[Baking] + count[Kept] + count[Ending] + count[GoingBack]; n > 0 {
		t.Fatalf("seed %d: ended in motion: %v", seed, count)
	}
	old, fresh := count[Back]+count[Refused]+count[Waiting], count[Done]
	switch {
	case end.Failure == "" && end.Pause != "":
		return "paused"
	case end.Failure == "":
		if count[Done]+count[Unchanged] != len(w.members) {
			t.Fatalf("seed %d: ended well with %v", seed, count)
		}
		return "done"
	case count[Left]+count[Warm]+count[Paused] > 0:
		t.Fatalf("seed %d: failed and left %v", seed, count)
	case count[Failed] > 0:
		return "stuck"
	case old > 0 && fresh > 0:
		if w.plan.OnFailure == RollbackAll && !end.Committed {
			t.Fatalf("seed %d: ended %v after %+v", seed, count, end)
		}
		return "mixed"
	}
	return "back"
}
