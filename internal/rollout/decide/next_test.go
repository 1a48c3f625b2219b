package decide

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/takeover"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func plan() rollout.Plan {
	return rollout.Plan{
		Steps:    []rollout.Step{{Weight: 5, Dwell: 10 * time.Second}, {Weight: 25, Dwell: 10 * time.Second}, {Weight: 50, Dwell: 10 * time.Second}, {Weight: 100, Dwell: 10 * time.Second}},
		Rollback: true, Inconclusive: rollout.PolicyExtend, MaxExtensions: 1,
		ProgressDeadline: time.Minute, Propagation: 30 * time.Second, Drain: 12 * time.Second,
		Bake: 20 * time.Second, QuickAbort: 5 * time.Second, Finish: time.Minute,
	}
}

// blueGreenPlan is the plan of a blue-green release.
func blueGreenPlan() rollout.Plan {
	p := plan()
	p.Strategy, p.Steps = rollout.StrategyBlueGreen, []rollout.Step{{Weight: 100, Dwell: 10 * time.Second}}
	p.WarmUp, p.Smoke = 20*time.Second, 30*time.Second
	return p
}

// A world executes every action of a rollout immediately and successfully,
// unless bend changes the observation.
type world struct {
	plan    rollout.Plan
	state   rollout.State
	now     time.Time
	done    rollout.Stage
	err     error
	actions []string
	weights []int
	slow    bool // the gateway takes two seconds
	bend    func(*rollout.Observation, rollout.State)
	before  func(world) // called before every decision

	handedOver bool                 // a hand-over has begun
	switched   *rollout.Observation // the one that led to the first weight of blue-green
}

func (w *world) observe() rollout.Observation {
	o := rollout.Observation{
		Now: w.now, Done: w.done, Err: w.err, CanaryReady: 3, CanaryWanted: 3, BackReady: 3,
		Accepted: true, Preflight: rollout.SplitConfirmed, Split: rollout.SplitConfirmed, Verdict: rollout.VerdictPending, NewAnswers: settleAnswers,
		CanaryNeeded: 3, Smoke: rollout.CheckPassed,
	}
	if w.state.Stage == rollout.StageDwell && w.now.Sub(w.state.Since) >= w.plan.Steps[w.state.Step].Dwell {
		o.Verdict = rollout.VerdictSuccessful
	}
	if w.state.Stage == rollout.StageBake && w.now.Sub(w.state.Since) >= w.plan.Bake {
		o.Verdict = rollout.VerdictSuccessful
	}
	if (w.state.Stage == rollout.StageScale || w.state.Stage == rollout.StageReady) && w.now.Sub(w.state.Since) < time.Second {
		o.CanaryReady = 0 // pods take a second
	}
	if age := w.now.Sub(w.state.Since); w.slow {
		o.Accepted = age >= time.Second
		if age < 2*time.Second {
			o.Split, o.NewAnswers = rollout.SplitPending, 0
		}
		if w.state.Stage != rollout.StagePreflight || age < time.Second {
			o.Preflight = rollout.SplitPending
		}
		if age < time.Second {
			o.Smoke = rollout.CheckPending
		}
	}
	if w.bend != nil {
		w.bend(&o, w.state)
	}
	return o
}

// run drives the rollout to its end; if there is none, it fails the test.
func (w *world) run(t *testing.T) rollout.State {
	t.Helper()
	if w.now.IsZero() {
		w.now = epoch
	}
	if w.state.Phase == "" {
		w.state = rollout.State{Phase: rollout.PhasePending}
	}
	for range 10_000 {
		if w.decide(t) {
			return w.state
		}
	}
	t.Fatalf("no end after 10000 decisions, at %+v", w.state)
	return rollout.State{}
}

// decide makes one decision, carries it out and reports whether it was the last.
func (w *world) decide(t *testing.T) (stopped bool) {
	t.Helper()
	if w.before != nil {
		w.before(*w)
	}
	o := w.observe()
	var a rollout.Action
	w.state, a = Next(w.plan, w.state, o)
	w.done, w.err = "", nil
	switch a.Kind {
	case rollout.KindStop:
		return true
	case rollout.KindWait:
		if !a.Until.After(w.now) {
			t.Fatalf("waits for %q until %s, which has passed at %s", a.Await, a.Until, w.now)
		}
		w.now = w.now.Add(min(a.Until.Sub(w.now), time.Second))
		return false
	case rollout.KindWeight:
		w.weights = append(w.weights, a.Weight)
		if a.Weight > 0 && w.plan.Strategy == rollout.StrategyBlueGreen && w.switched == nil {
			w.switched = &o
		}
		if a.Weight > 0 && w.handedOver {
			t.Fatalf("weight %d is written after the hand-over began, at %+v", a.Weight, w.state)
		}
	case rollout.KindRevert:
		if w.state.Phase != rollout.PhaseReverting {
			t.Fatalf("the warm revision gets the traffic in %s", w.state.Phase)
		}
	case rollout.KindHandOver:
		w.handedOver = true
	default:
	}
	w.actions = append(w.actions, string(a.Stage))
	w.done = a.Stage
	w.now = w.now.Add(100 * time.Millisecond)
	return false
}

func TestAGoodRollout(t *testing.T) {
	t.Parallel()
	w := &world{plan: plan()}
	end := w.run(t)
	if end.Phase != rollout.PhasePromoted {
		t.Errorf("phase = %s (%s), want %s", end.Phase, end.Reason, rollout.PhasePromoted)
	}
	want := []string{
		"prepare",
		"scale", "weight", // the next step's pods are asked for in the dwell before it
		"dwell", "weight", "dwell", "weight", "dwell", "weight",
		"handover", "return", "warm", "unroute", "clean",
	}
	if diff := cmp.Diff(want, w.actions); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{5, 25, 50, 100}, w.weights); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
}

// in reports whether Next will look at o in a waiting stage: it may go on to
// one from the acting stage before it in the same decision.
func in(stage rollout.Stage, o *rollout.Observation, s rollout.State) bool {
	before := map[rollout.Stage]rollout.Stage{rollout.StageReady: rollout.StageScale, rollout.StageAccepted: rollout.StageWeight, rollout.StageSettle: rollout.StageWarm}
	return s.Stage == stage || o.Done != "" && o.Done == before[stage]
}

func TestWhatStopsARollout(t *testing.T) {
	t.Parallel()
	at := func(step int, stage rollout.Stage, f func(*rollout.Observation)) func(*rollout.Observation, rollout.State) {
		return func(o *rollout.Observation, s rollout.State) {
			if s.Phase == rollout.PhaseProgressing && s.Step == step && in(stage, o, s) {
				f(o)
			}
		}
	}
	tests := []struct {
		name    string
		bend    func(*rollout.Observation, rollout.State)
		plan    func(*rollout.Plan)
		phase   rollout.Phase
		reason  string
		weights []int
		last    string // the last action
	}{
		{
			name: "failed verdict", phase: rollout.PhaseAborted, reason: "30 % errors", weights: []int{5, 25, 0}, last: "abort-remove",
			bend: at(1, rollout.StageDwell, func(o *rollout.Observation) { o.Verdict, o.Reason = rollout.VerdictFailed, "30 % errors" }),
		},
		{
			name: "failed verdict with no rollback holds", phase: rollout.PhasePaused, reason: "30 % errors", weights: []int{5, 25}, last: "weight",
			plan: func(p *rollout.Plan) { p.Rollback = false },
			bend: at(1, rollout.StageDwell, func(o *rollout.Observation) { o.Verdict, o.Reason = rollout.VerdictFailed, "30 % errors" }),
		},
		{
			name: "never ready", phase: rollout.PhaseAborted, reason: "progress deadline", weights: nil, last: "abort-remove",
			bend: at(0, rollout.StageReady, func(o *rollout.Observation) { o.CanaryReady = 0 }),
		},
		{
			name: "never ready, for a reason", phase: rollout.PhaseAborted, reason: "0 of 1 canary pods ready: pod web-canary-1: Unschedulable", weights: nil, last: "abort-remove",
			bend: at(0, rollout.StageReady, func(o *rollout.Observation) {
				o.CanaryReady, o.CanaryWanted, o.Waiting = 0, 1, "pod web-canary-1: Unschedulable"
			}),
		},
		{
			name: "a quota", phase: rollout.PhaseAborted, reason: "0 of 1 canary pods ready: replicaset web-canary: exceeded quota", weights: nil, last: "abort-remove",
			bend: at(0, rollout.StageReady, func(o *rollout.Observation) {
				o.CanaryReady, o.CanaryWanted, o.Trouble = 0, 1, "replicaset web-canary: exceeded quota"
			}),
		},
		{
			name: "crash before any traffic", phase: rollout.PhaseAborted, reason: "CrashLoopBackOff", weights: nil, last: "abort-remove",
			bend: at(0, rollout.StageReady, func(o *rollout.Observation) { o.CanaryReady, o.Trouble = 0, "CrashLoopBackOff" }),
		},
		{
			name: "the gateway does not reach the pods", phase: rollout.PhaseAborted, reason: "did not reach them", weights: nil, last: "abort-remove",
			bend: func(o *rollout.Observation, _ rollout.State) { o.Preflight = rollout.SplitPending },
		},
		{
			name: "both versions answer alike", phase: rollout.PhaseAborted, reason: `got the stable version's header:X-Version "v1" for`, weights: nil, last: "abort-remove",
			bend: func(o *rollout.Observation, _ rollout.State) {
				o.Preflight, o.Alike = rollout.SplitPending, `header:X-Version "v1"`
			},
		},
		{
			name: "pods of the next step crash during the dwell before it", phase: rollout.PhaseAborted, reason: "CrashLoopBackOff", weights: []int{5, 0}, last: "abort-remove",
			bend: func(o *rollout.Observation, s rollout.State) {
				if s.Step == 0 && s.Sized == 1 {
					o.Trouble = "CrashLoopBackOff"
				}
			},
		},
		{
			name: "not accepted", phase: rollout.PhaseAborted, reason: "did not accept weight 25", weights: []int{5, 25, 0}, last: "abort-remove",
			bend: at(1, rollout.StageAccepted, func(o *rollout.Observation) { o.Accepted = false }),
		},
		{
			name: "accepted but not observed", phase: rollout.PhaseAborted, reason: "did not show it", weights: []int{5, 0}, last: "abort-remove",
			bend: func(o *rollout.Observation, s rollout.State) {
				if s.Phase == rollout.PhaseProgressing && s.Weight == 5 {
					o.Split = rollout.SplitPending
				}
			},
		},
		{
			name: "inconclusive is extended once, then aborted", phase: rollout.PhaseAborted, reason: "inconclusive: 3 samples", weights: []int{5, 0}, last: "abort-remove",
			bend: at(0, rollout.StageDwell, func(o *rollout.Observation) { o.Verdict, o.Reason = rollout.VerdictInconclusive, "3 samples" }),
		},
		{
			name: "inconclusive is extended once, then held", phase: rollout.PhasePaused, reason: "inconclusive: 3 samples", weights: []int{5}, last: "dwell",
			plan: func(p *rollout.Plan) { p.Then = rollout.PolicyHold },
			bend: at(0, rollout.StageDwell, func(o *rollout.Observation) { o.Verdict, o.Reason = rollout.VerdictInconclusive, "3 samples" }),
		},
		{
			name: "the judge's own policy counts", phase: rollout.PhasePaused, reason: "inconclusive: a score of 80", weights: []int{5}, last: "dwell",
			bend: at(0, rollout.StageDwell, func(o *rollout.Observation) {
				o.Verdict, o.Reason, o.Policy = rollout.VerdictInconclusive, "a score of 80", rollout.PolicyHold
			}),
		},
		{
			name: "a missing verdict is not a pass", phase: rollout.PhaseAborted, reason: "no verdict", weights: []int{5, 0}, last: "abort-remove",
			bend: at(0, rollout.StageDwell, func(o *rollout.Observation) { o.Verdict = rollout.VerdictPending }),
		},
		{
			name: "inconclusive with policy hold", phase: rollout.PhasePaused, reason: "inconclusive", weights: []int{5}, last: "dwell",
			plan: func(p *rollout.Plan) { p.Inconclusive = rollout.PolicyHold },
			bend: at(0, rollout.StageDwell, func(o *rollout.Observation) { o.Verdict = rollout.VerdictInconclusive }),
		},
		{
			name: "versions cannot be distinguished", phase: rollout.PhaseAborted, reason: "cannot be observed", weights: []int{5, 0}, last: "abort-remove",
			bend: func(o *rollout.Observation, s rollout.State) {
				if s.Written {
					o.Split = rollout.SplitBlind
				}
			},
		},
		{
			name: "signal at 25 %", phase: rollout.PhaseAborted, reason: "interrupted by SIGTERM", weights: []int{5, 25, 0}, last: "abort-weight",
			bend: func(o *rollout.Observation, s rollout.State) {
				if s.Weight == 25 || s.Phase == rollout.PhaseAborting {
					o.Interrupted = "SIGTERM"
				}
			},
		},
		{
			name: "another writer", phase: rollout.PhasePaused, reason: `field manager "helm"`, weights: []int{5, 25}, last: "weight",
			bend: at(1, rollout.StageDwell, func(o *rollout.Observation) { o.Drift = `field manager "helm" changed the backends` }),
		},
		{
			name: "another run took over", phase: rollout.PhaseFailed, reason: "run 7", weights: []int{5, 25}, last: "weight",
			bend: at(1, rollout.StageDwell, func(o *rollout.Observation) { o.Fenced = "run 7" }),
		},
		{
			name: "the abort itself is not observed", phase: rollout.PhaseFailed, reason: "the canary still answers", weights: []int{5, 25, 0}, last: "abort-weight",
			bend: func(o *rollout.Observation, s rollout.State) {
				if s.Step == 1 && s.Stage == rollout.StageDwell {
					o.Verdict, o.Reason = rollout.VerdictFailed, "bad"
				}
				if s.Phase == rollout.PhaseAborting {
					o.Split, o.CanaryAnswers = rollout.SplitPending, 7
				}
			},
		},
		{
			name: "stable answers too little to confirm the abort", phase: rollout.PhaseAborted, reason: "bad", weights: []int{5, 25, 0}, last: "abort-remove",
			bend: func(o *rollout.Observation, s rollout.State) {
				if s.Step == 1 && s.Stage == rollout.StageDwell {
					o.Verdict, o.Reason = rollout.VerdictFailed, "bad"
				}
				if s.Phase == rollout.PhaseAborting {
					o.Split = rollout.SplitPending
				}
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := &world{plan: plan(), bend: test.bend}
			if test.plan != nil {
				test.plan(&w.plan)
			}
			end := w.run(t)
			if end.Phase != test.phase || !strings.Contains(end.Reason, test.reason) {
				t.Errorf("ended %s: %q, want %s with %q", end.Phase, end.Reason, test.phase, test.reason)
			}
			if diff := cmp.Diff(test.weights, w.weights); diff != "" {
				t.Errorf("weights (-want +got):\n%s", diff)
			}
			if got := w.actions[len(w.actions)-1]; got != test.last {
				t.Errorf("last action = %s, want %s", got, test.last)
			}
		})
	}
}

func TestASignalEndsWithinItsBound(t *testing.T) {
	t.Parallel()
	// The gateway neither accepts nor shows the weight any more.
	var at time.Time
	w := &world{plan: plan()}
	w.bend = func(o *rollout.Observation, s rollout.State) {
		if s.Weight == 25 && at.IsZero() {
			at = o.Now
		}
		if !at.IsZero() {
			o.Interrupted, o.Accepted, o.Split = "SIGINT", false, rollout.SplitPending
		}
	}
	end := w.run(t)
	if took := w.now.Sub(at); took > w.plan.QuickAbort+time.Second {
		t.Errorf("ended %s after the signal, want at most %s", took, w.plan.QuickAbort)
	}
	if end.Phase != rollout.PhaseAborted || len(end.Unconfirmed) == 0 || end.Leftover == "" {
		t.Errorf("end = %+v, want aborted, with the unconfirmed changes and the leftover recorded", end)
	}
}

func TestOldAnswersAfterThePromotionAimTheServiceBack(t *testing.T) {
	t.Parallel()
	seen := 0
	w := &world{plan: plan()}
	w.bend = func(o *rollout.Observation, s rollout.State) {
		if in(rollout.StageSettle, o, s) && seen < 2 {
			seen++
			o.OldAnswers, o.NewAnswers = 1, 0
		}
	}
	end := w.run(t)
	if end.Phase != rollout.PhasePromoted {
		t.Fatalf("phase = %s: %s", end.Phase, end.Reason)
	}
	tail := w.actions[len(w.actions)-8:]
	if diff := cmp.Diff([]string{"return", "warm", "returned", "warm", "returned", "warm", "unroute", "clean"}, tail); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
}

// TestEveryPathEnds runs Next against random worlds: the weight never rises
// after a failed verdict, nor after the hand-over began, and every path ends in
// one of the promised phases.
func TestEveryPathEnds(t *testing.T) {
	t.Parallel()
	ends := map[rollout.Phase]int{}
	reverted := 0
	for seed := range uint64(6000) {
		l := newLife(seed)
		end := l.run(t)
		ends[end.Phase]++
		if end.Reverted {
			reverted++
		}
		l.check(t, seed, end)
	}
	for _, phase := range []rollout.Phase{rollout.PhasePromoted, rollout.PhaseAborted, rollout.PhasePaused, rollout.PhaseFailed} {
		if ends[phase] == 0 {
			t.Errorf("no random world ended %s: %v", phase, ends)
		}
	}
	if reverted == 0 {
		t.Error("no random world was reverted")
	}
}

// A life is a random world with what happened in it.
type life struct {
	*world
	rand   *rand.Rand
	bad    float64 // how often something goes wrong
	signal string

	failed, bakeFailed bool // a verdict that Next has seen
	ceiling            int  // the weight then
	continued          bool // another process went on
}

func newLife(seed uint64) *life {
	r := rand.New(rand.NewPCG(seed, 1))
	l := &life{world: &world{plan: plan()}, rand: r, bad: r.Float64() * 0.05, ceiling: 100}
	if seed%2 == 1 {
		l.plan = blueGreenPlan()
		l.plan.Manual = l.chance(0.2)
	}
	l.plan.Rollback = l.chance(0.8)
	l.plan.Linger = l.chance(0.3)
	l.plan.Inconclusive = []rollout.Policy{rollout.PolicyAbort, rollout.PolicyExtend, rollout.PolicyHold}[r.IntN(3)]
	l.plan.Then = []rollout.Policy{rollout.PolicyAbort, rollout.PolicyHold}[r.IntN(2)]
	if l.chance(0.3) { // a member of a group, which promotes it in time or not
		l.plan.Hold, l.plan.HoldPromotion = 5*time.Second, l.chance(0.7)
	}
	l.bend = l.bends
	return l
}

func (l *life) chance(p float64) bool { return l.rand.Float64() < p }

// run drives the rollout to a terminal phase, by several processes if it lingers.
func (l *life) run(t *testing.T) rollout.State {
	t.Helper()
	for {
		end := l.world.run(t)
		if end.Phase.Terminal() || l.signal == "" {
			return end
		}
		l.continued, l.signal = true, ""
		l.state = takeover.Continue(plan(), end, l.now)
	}
}

func (l *life) bends(o *rollout.Observation, s rollout.State) {
	r := l.rand
	o.Split = []rollout.Split{rollout.SplitConfirmed, rollout.SplitPending, rollout.SplitBlind}[min(2, int(r.ExpFloat64()*0.7))]
	o.Preflight = []rollout.Split{rollout.SplitConfirmed, rollout.SplitPending, rollout.SplitBlind}[min(2, int(r.ExpFloat64()*0.7))]
	o.Accepted = l.chance(0.7)
	o.CanaryReady = r.IntN(4)
	if s.Stage == rollout.StageVerify {
		o.CanaryNeeded, o.Untested = 2+r.IntN(3), r.IntN(2)
		o.Smoke = []rollout.Check{rollout.CheckPassed, rollout.CheckPending}[r.IntN(2)]
	}
	if l.chance(l.bad / 2) {
		o.Smoke, o.SmokeReason = rollout.CheckFailed, "a test failed"
	}
	if l.chance(l.bad) {
		o.Verdict, o.Reason = rollout.VerdictFailed, "bad luck"
	}
	if l.chance(l.bad / 4) {
		o.Verdict = rollout.VerdictInconclusive
	}
	if l.chance(l.bad / 4) {
		o.Trouble = "crash"
	}
	if l.chance(l.bad / 4) {
		o.Err = fmt.Errorf("no route to host")
	}
	if l.chance(l.bad / 2) {
		o.Request, o.By = rollout.Requests()[r.IntN(len(rollout.Requests()))], "somebody"
	}
	if (s.Stage == rollout.StageHold || s.Stage == rollout.StageKept) && l.chance(0.3) {
		o.Request, o.By = rollout.RequestPromote, "its group"
	}
	if l.chance(l.bad/10) && l.signal == "" {
		l.signal = "SIGTERM"
	}
	o.Interrupted = l.signal
	if s.Stage == rollout.StageSettle {
		o.OldAnswers = r.IntN(2)
	}
	if o.Verdict != rollout.VerdictFailed || o.Interrupted != "" {
		return
	}
	switch s.Phase {
	case rollout.PhaseProgressing:
		if !l.failed {
			l.failed, l.ceiling = true, s.Weight
		}
	case rollout.PhasePromoting, rollout.PhaseBaking:
		l.bakeFailed = l.bakeFailed || o.Err == nil
	default:
	}
}

// check holds the end of a life to the rules.
func (l *life) check(t *testing.T, seed uint64, end rollout.State) {
	t.Helper()
	if !end.Phase.Terminal() || end.Reason == "" {
		t.Fatalf("seed %d: ended in %+v", seed, end)
	}
	if (l.failed || l.bakeFailed) && end.Phase == rollout.PhasePromoted && !end.Interrupted {
		t.Fatalf("seed %d: promoted after a failed verdict: %+v", seed, end)
	}
	if l.failed && l.weights != nil && l.weights[len(l.weights)-1] > l.ceiling {
		t.Fatalf("seed %d: weights %v rose over %d after a failed verdict", seed, l.weights, l.ceiling)
	}
	if end.Phase == rollout.PhasePaused && !end.Asked && l.plan.Rollback && l.plan.Inconclusive != rollout.PolicyHold && l.plan.Then != rollout.PolicyHold {
		t.Fatalf("seed %d: held although the plan asks for a rollback: %s", seed, end.Reason)
	}
	if o := l.switched; o != nil && !l.continued && !fit(l.plan, *o) {
		t.Fatalf("seed %d: switched with %+v", seed, *o)
	}
	for i := 1; i < len(l.weights); i++ {
		again := l.continued && l.weights[i] == l.weights[i-1]
		if l.weights[i] <= l.weights[i-1] && l.weights[i] != 0 && !again {
			t.Fatalf("seed %d: weights %v neither rise nor go to 0", seed, l.weights)
		}
	}
}

// fit reports whether an observation lets a blue-green release switch.
func fit(p rollout.Plan, o rollout.Observation) bool {
	return o.CanaryWanted > 0 && o.CanaryReady >= o.CanaryWanted && o.CanaryNeeded <= o.CanaryWanted && (p.Smoke == 0 || o.Smoke == rollout.CheckPassed && o.Untested == 0)
}

func TestResumeGoesForwardOnlyAfterTheHandOverBegan(t *testing.T) {
	t.Parallel()
	tests := []struct {
		left  rollout.State
		phase rollout.Phase
		stage rollout.Stage
	}{
		{rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageReady}, rollout.PhaseAborting, rollout.StageAbortRemove},
		{rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageDwell, Weight: 25, Written: true}, rollout.PhaseAborting, rollout.StageAbortWeight},
		{rollout.State{Phase: rollout.PhasePaused, Stage: rollout.StageEnd, Weight: 25, Written: true}, rollout.PhaseAborting, rollout.StageAbortWeight},
		{rollout.State{Phase: rollout.PhaseCleaning, Stage: rollout.StageDrain, Weight: 100, Written: true}, rollout.PhaseCleaning, rollout.StageUnroute},
		{rollout.State{Phase: rollout.PhaseBaking, Stage: rollout.StageBake, Weight: 100, Written: true}, rollout.PhaseCleaning, rollout.StageUnroute},
		{rollout.State{Phase: rollout.PhaseReverting, Stage: rollout.StageObserved, Weight: 100, Written: true, Reverted: true}, rollout.PhaseReverting, rollout.StageRevert},
		{rollout.State{Phase: rollout.PhaseReverting, Stage: rollout.StageWarm, Weight: 100, Written: true, Reverted: true}, rollout.PhaseReverting, rollout.StageWarm},
		{rollout.State{Phase: rollout.PhasePromoting, Stage: rollout.StageHandOver, Weight: 100, Written: true}, rollout.PhasePromoting, rollout.StageHandOver},
		{rollout.State{Phase: rollout.PhasePromoting, Stage: rollout.StageReturned, Weight: 100, Written: true}, rollout.PhasePromoting, rollout.StageReturn},
		{rollout.State{Phase: rollout.PhaseFailed, Stage: rollout.StageSettle, Weight: 100, Written: true}, rollout.PhasePromoting, rollout.StageWarm},
		{rollout.State{Phase: rollout.PhaseAborted, Stage: rollout.StageEnd, Written: true, Leftover: rollout.LeftoverCanary}, rollout.PhaseAborting, rollout.StageAbortWeight},
	}
	for _, test := range tests {
		got := takeover.Resume(plan(), test.left, epoch, "run 2")
		if got.Phase != test.phase || got.Stage != test.stage {
			t.Errorf("Resume(%s, %s) = %s, %s, want %s, %s", test.left.Phase, test.left.Stage, got.Phase, got.Stage, test.phase, test.stage)
		}
		w := &world{plan: plan(), state: got}
		if end := w.run(t); !end.Phase.Terminal() || end.Phase == rollout.PhaseFailed {
			t.Errorf("resumed from %s, %s: ended %s: %s", test.left.Phase, test.left.Stage, end.Phase, end.Reason)
		}
	}
}

func TestTheWaitForPodsSaysWhy(t *testing.T) {
	t.Parallel()
	p, s := plan(), rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageReady, Since: epoch}
	o := rollout.Observation{Now: epoch, CanaryWanted: 2, CanaryReady: 1, Waiting: "pod web-canary-1: Unschedulable: no node", Recheck: epoch.Add(time.Second)}
	_, a := Next(p, s, o)
	if want := "2 canary pods to be ready; 1 of 2 canary pods ready: pod web-canary-1: Unschedulable: no node"; a.Await != want {
		t.Errorf("await = %q, want %q", a.Await, want)
	}
	if !a.Wake.Equal(o.Recheck) || !a.Until.Equal(epoch.Add(p.ProgressDeadline)) {
		t.Errorf("wake at %s, until %s", a.Wake, a.Until)
	}
	o.Recheck = epoch.Add(-time.Second) // a time that is over must not make the loop spin
	if _, a := Next(p, s, o); !a.Wake.IsZero() {
		t.Errorf("wake at %s, want none", a.Wake)
	}
}

// The first weight waits for the end of the prewarm, at most as long as the plan says.
func TestThePrewarmDelaysTheFirstWeight(t *testing.T) {
	t.Parallel()
	p := plan()
	p.Prewarm = 20 * time.Second
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StagePreflight, Since: epoch}
	o := rollout.Observation{CanaryReady: 1, CanaryWanted: 1, BackReady: 3, Accepted: true, Preflight: rollout.SplitConfirmed, Split: rollout.SplitPending, Verdict: rollout.VerdictPending}
	for _, c := range []struct {
		after   time.Duration
		warming bool
		want    rollout.Kind
	}{{time.Second, true, rollout.KindWait}, {49 * time.Second, true, rollout.KindWait}, {50 * time.Second, true, rollout.KindWeight}, {time.Second, false, rollout.KindWeight}} {
		o.Now, o.Prewarming = epoch.Add(c.after), c.warming
		next, a := Next(p, s, o)
		if a.Kind != c.want || c.want == rollout.KindWait && (next.Stage != rollout.StagePreflight || a.Until != epoch.Add(p.Propagation+p.Prewarm)) {
			t.Errorf("after %s, warming %v: %+v in %s, want kind %d", c.after, c.warming, a, next.Stage, c.want)
		}
	}
	if got := p.Replacing().Prewarm; got != 0 {
		t.Errorf("a replacement waits %s for the prewarm", got)
	}
}

// The dwell begins when the gateway followed, and the judge looks at answers since that
// was confirmed: half of the dwell is left to it, however long the confirmation took.
func TestALateConfirmationLeavesTimeToJudge(t *testing.T) {
	t.Parallel()
	p := plan()
	p.Steps[0].Dwell = 4 * time.Second
	for _, c := range []struct{ followed, confirmed, until time.Duration }{
		{time.Second, 2 * time.Second, 5 * time.Second},
		{time.Second, 21 * time.Second, 23 * time.Second},
		{0, 21 * time.Second, 25 * time.Second}, // not estimated
	} {
		s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageObserved, Weight: 50, Written: true, Since: epoch}
		o := rollout.Observation{Now: epoch.Add(c.confirmed), CanaryReady: 1, CanaryWanted: 1, CanaryNeeded: 1, BackReady: 3, Accepted: true, Split: rollout.SplitConfirmed, Verdict: rollout.VerdictPending}
		if c.followed > 0 {
			o.Followed = epoch.Add(c.followed)
		}
		s.Sized = 1
		next, a := Next(p, s, o)
		if next.Stage != rollout.StageDwell || a.Kind != rollout.KindWait || !a.Until.Equal(epoch.Add(c.until)) {
			t.Errorf("followed after %s, confirmed after %s: %v in %s until %s, want %s", c.followed, c.confirmed, a.Kind, next.Stage, a.Until.Sub(epoch), c.until)
		}
	}
}
