package traffic

import (
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/traffic/entry"
)

// Each gateway learns a weight by itself: the answers of one say nothing of the
// other, before a weight, at it, and after the promotion.
func TestEveryEntryPointShowsAWeight(t *testing.T) {
	t.Parallel()
	first, second := newGateway(t), newGateway(t)
	cfg := first.config()
	cfg.More = []entry.Point{{URL: second.URL + "/", Host: "second.example"}, {URL: "http://127.0.0.1:1"}}
	cfg, silent := cfg.Reachable(t.Context())
	if len(silent) != 1 || !strings.HasPrefix(silent[0], "http://127.0.0.1:1: ") || len(cfg.More) != 1 {
		t.Fatalf("unreachable: %q, left %v", silent, cfg.More)
	}
	id, err := Learn(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Start(t.Context(), cfg, newRecord(), id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Stop)
	m.Follow(rollout.Plan{Steps: []rollout.Step{{Weight: 50}, {Weight: 100}}})
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StagePreflight}
	first.marked.Store(true)
	m.ActionDone(rollout.Action{Kind: rollout.KindScale}, s, time.Now())
	answers := func(n uint64) { // of both gateways, after now
		for from := m.Snapshot().Stats.Answered; m.Snapshot().Stats.Answered < from+n; {
			<-time.After(10 * time.Millisecond)
		}
	}
	answers(200)
	if o := m.Annotate(rollout.Observation{Now: time.Now()}, s); o.Preflight != rollout.SplitPending {
		t.Errorf("one gateway knows the canary: %s", o.Preflight)
	}
	second.marked.Store(true)
	until(t, m, s, "test requests through both", func(o rollout.Observation) bool { return o.Preflight == rollout.SplitConfirmed })

	s = rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageObserved, Weight: 100, Written: true}
	first.weight.Store(100)
	m.ActionDone(rollout.Action{Kind: rollout.KindWeight, Weight: 100}, s, time.Now())
	answers(1000)
	o := m.Annotate(rollout.Observation{Now: time.Now(), Accepted: true}, s)
	if step, _ := m.Current(); o.Split != rollout.SplitPending || step.Share.Share() > .5 {
		t.Errorf("one gateway follows: %s, shown is a share of %v", o.Split, step.Share.Share())
	}
	second.weight.Store(100)
	until(t, m, s, "both to follow", func(o rollout.Observation) bool { return o.Split == rollout.SplitConfirmed })

	m.ActionDone(rollout.Action{Kind: rollout.KindHandOver}, s, time.Now())
	m.ActionDone(rollout.Action{Kind: rollout.KindWarm}, s, time.Now())
	o = until(t, m, s, "both to settle", func(o rollout.Observation) bool { return o.NewAnswers >= settleAnswers })
	m.mu.Lock()
	both := m.settled.New
	m.mu.Unlock()
	if both < 2*settleAnswers || o.OldAnswers != 0 {
		t.Errorf("%d answers of both, %d old", both, o.OldAnswers)
	}
}
