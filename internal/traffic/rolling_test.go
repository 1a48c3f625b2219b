package traffic

import (
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// In a rolling update one answer by the new pods is enough, whatever their share, and
// the old version's silence shows the end.
func TestRollingUpdate(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	m, _ := start(t, g)
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageObserved, Pods: 1, Weight: 50, Written: true}
	m.ActionDone(rollout.Action{Kind: rollout.KindRoll, Weight: 50}, s, time.Now())
	until(t, m, s, "100 answers by stable", func(o rollout.Observation) bool {
		if o.Split != rollout.SplitPending {
			t.Fatal("confirmed without an answer by the new pods")
		}
		return o.SinceCanary >= 100
	})
	g.weight.Store(5) // far from the 50 % of an even spread
	until(t, m, s, "an answer by the new pods", func(o rollout.Observation) bool { return o.Split == rollout.SplitConfirmed })

	g.weight.Store(100)
	s = rollout.State{Phase: rollout.PhasePromoting, Stage: rollout.StageSettle, Step: 1, Weight: 100, Written: true}
	m.ActionDone(rollout.Action{Kind: rollout.KindComplete, Weight: 100}, s, time.Now())
	until(t, m, s, "the old version's silence", func(o rollout.Observation) bool { return o.SinceStable >= 100 })

	s = rollout.State{Phase: rollout.PhaseAborting, Stage: rollout.StageAbortObserved, Written: true}
	m.ActionDone(rollout.Action{Kind: rollout.KindUndo}, s, time.Now())
	if o := until(t, m, s, "100 answers", func(o rollout.Observation) bool { return o.CanaryAnswers >= 100 }); o.SinceCanary > 0 {
		t.Errorf("the new version answers, and %d answers are counted since", o.SinceCanary)
	}
	g.weight.Store(0)
	until(t, m, s, "the new version's silence", func(o rollout.Observation) bool { return o.SinceCanary >= 100 })

	steps := m.Snapshot().Steps
	if len(steps) != 3 || steps[0].Number != 1 || steps[0].Pods != 1 || !steps[1].Promotion || steps[2].Weight != 0 {
		t.Errorf("steps %+v", steps)
	}
}

// Answers without a version are judged as the new version's, and their failures end
// the release.
func TestRollingUpdateIsBlind(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.signs.Store(false)
	m, _ := start(t, g)
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageDwell, Pods: 1, Weight: 50, Written: true, Since: time.Now()}
	m.ActionDone(rollout.Action{Kind: rollout.KindRoll, Weight: 50}, s, time.Now())
	o := until(t, m, s, "50 answers", func(o rollout.Observation) bool { return o.CanaryAnswers >= 50 })
	if o.Split != rollout.SplitBlind || o.Verdict == rollout.VerdictFailed {
		t.Errorf("the split is %s, the verdict %s: %s", o.Split, o.Verdict, o.Reason)
	}
	g.failing.Store(true)
	until(t, m, s, "a failed verdict", func(o rollout.Observation) bool { return o.Verdict == rollout.VerdictFailed })
}
