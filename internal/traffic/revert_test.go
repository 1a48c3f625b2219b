package traffic

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/traffic/pace"
)

// written writes a weight and waits until the answers show it.
func written(t *testing.T, m *Monitor, g *fakeGateway, step, weight int) {
	t.Helper()
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageObserved, Step: step, Written: true}
	m.ActionDone(rollout.Action{Kind: rollout.KindWeight, Weight: weight}, s, time.Now())
	g.weight.Store(int64(weight))
	until(t, m, s, "the weight", func(o rollout.Observation) bool { return o.Split == rollout.SplitConfirmed })
}

// promoted hands over and waits for the answers after it.
func promoted(t *testing.T, m *Monitor) {
	t.Helper()
	s := rollout.State{Phase: rollout.PhasePromoting, Stage: rollout.StageSettle, Step: 1, Written: true}
	m.ActionDone(rollout.Action{Kind: rollout.KindHandOver}, s, time.Now())
	m.ActionDone(rollout.Action{Kind: rollout.KindWarm}, s, time.Now())
	until(t, m, s, "the settlement", func(o rollout.Observation) bool { return o.NewAnswers >= settleAnswers })
}

func TestARevertIsShownFromTheOldSides(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	m, record := start(t, g)
	kept := analysis.Rises{"probe": {{From: 7, To: 100}}}
	m.mu.Lock()
	m.judge.previous = kept
	m.mu.Unlock()
	written(t, m, g, 0, 50)
	written(t, m, g, 1, 100)
	promoted(t, m)
	bake := rollout.State{Phase: rollout.PhaseBaking, Stage: rollout.StageBake, Step: 1, Since: time.Now()}
	m.Annotate(rollout.Observation{Now: time.Now(), Accepted: true}, bake)
	if step, _ := m.Current(); !step.Bake {
		t.Fatalf("the bake is no step of its own: %+v", step)
	}

	s := rollout.State{Phase: rollout.PhaseReverting, Stage: rollout.StageObserved, Step: 1, Weight: 100, Reverted: true}
	g.weight.Store(0)
	m.ActionDone(rollout.Action{Kind: rollout.KindRevert, Weight: 100}, s, time.Now())
	o := until(t, m, s, "the way back", func(o rollout.Observation) bool { return o.Split == rollout.SplitConfirmed })
	if o.CanaryAnswers == 0 || o.OldAnswers != 0 || o.NewAnswers != 0 {
		t.Errorf("after the way back: %+v", o)
	}
	if got := record.Rises["probe"]; len(got) != 1 || got[0].From != 7 {
		t.Errorf("the next release is compared with %v, want what the one before this showed", record.Rises)
	}
	step, ok := m.Current()
	if !ok || !step.Reverted || !step.Confirmed || step.Weight != 0 || step.Share.N == 0 || step.Share.K != 0 {
		t.Errorf("the step shows a canary's share of %+v", step)
	}
	if step.Counts.Stable.Total == 0 || step.Counts.Canary.Total != 0 {
		t.Errorf("%d answers by stable, %d by the canary, want all by stable", step.Counts.Stable.Total, step.Counts.Canary.Total)
	}
	if lo, hi := step.Share.Lo, step.Share.Hi; lo > hi || hi > step.Share.N {
		t.Errorf("the interval is %d to %d of %d", lo, hi, step.Share.N)
	}

	// The hand-over back: the answers settle by the sides as they are now.
	s.Stage = rollout.StageSettle
	m.ActionDone(rollout.Action{Kind: rollout.KindHandOver}, s, time.Now())
	m.ActionDone(rollout.Action{Kind: rollout.KindWarm}, s, time.Now())
	o = until(t, m, s, "the settlement", func(o rollout.Observation) bool { return o.NewAnswers >= settleAnswers })
	if o.OldAnswers != 0 || o.Verdict != rollout.VerdictPending {
		t.Errorf("after the way back: %+v", o)
	}
	if seen := m.Snapshot(); len(seen.Steps) != 6 || !seen.Steps[5].Promotion || !seen.Steps[5].Reverted || seen.Steps[5].Counts.Canary.Total != 0 {
		t.Errorf("Snapshot = %+v", seen.Steps)
	}
}

// A process that goes on with the bake of an earlier one has written no weight. It
// judges the promoted version all the same.
func TestABakeIsJudgedByAnotherProcess(t *testing.T) {
	t.Parallel()
	for failing, want := range map[bool]rollout.Verdict{false: rollout.VerdictSuccessful, true: rollout.VerdictFailed} {
		g := newGateway(t)
		m, _ := start(t, g)
		g.weight.Store(100)
		m.Follow(rollout.Plan{Steps: []rollout.Step{{Weight: 100}}, Bake: time.Minute})
		g.failing.Store(failing)
		s := rollout.State{Phase: rollout.PhaseBaking, Stage: rollout.StageBake, Since: time.Now().Add(-time.Hour)}
		until(t, m, s, "the verdict "+string(want), func(o rollout.Observation) bool { return o.Verdict == want })
		if step, _ := m.Current(); !step.Bake || step.Counts.Canary.Total == 0 {
			t.Errorf("the step %+v", step)
		}
	}
}

// After the hand-over both Services are the new version's, and after a revert
// nothing is judged.
func TestWhichVersionAPointCountsFor(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	m, _ := start(t, g)
	if err := m.EndJudge(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.jsonl")
	if err := m.Judge(file, recording.Start{Steps: 2, Config: config.Config{Version: 1}.WithDefaults(config.Metric{})}); err != nil {
		t.Fatal(err)
	}
	measured := func(total float64) {
		points := []analysis.Point{{Side: rollout.SideStable, At: time.Now(), Total: total}, {Side: rollout.SideCanary, At: time.Now(), Total: total + 1}}
		m.Measured("mine", points, nil)
		if points[0].Side != rollout.SideStable {
			t.Error("the source's own points are changed")
		}
	}
	written(t, m, g, 0, 100)
	measured(10)
	promoted(t, m)
	measured(20)
	m.ActionDone(rollout.Action{Kind: rollout.KindRevert, Weight: 100}, rollout.State{Phase: rollout.PhaseReverting}, time.Now())
	measured(30)
	if err := m.EndJudge(); err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "b.jsonl") // for the end of the test
	if err := m.Judge(again, recording.Start{Steps: 2, Config: config.Config{Version: 1}.WithDefaults(config.Metric{})}); err != nil {
		t.Fatal(err)
	}
	sides := map[float64]rollout.Side{}
	for _, p := range recorded(t, file, "mine") {
		sides[p.Total] = p.Side
	}
	want := map[float64]rollout.Side{10: rollout.SideStable, 11: rollout.SideCanary, 20: rollout.SideCanary, 21: rollout.SideCanary}
	for total, side := range want {
		if sides[total] != side {
			t.Errorf("point %v counts for %q, want %q", total, sides[total], side)
		}
	}
	if len(sides) != len(want) {
		t.Errorf("points %v, want %v", sides, want)
	}
}

// recorded returns the points of a metric in a recording.
func recorded(t *testing.T, file, metric string) []analysis.Point {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var points []analysis.Point
	for line := range bytes.Lines(text) {
		var e recording.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.Points != nil && e.Points.Metric == metric {
			points = append(points, e.Points.Points...)
		}
	}
	return points
}

func TestTheRateIsHighUntilAWeightIsConfirmed(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	cfg := g.config()
	cfg.Rate = 20
	id, err := Learn(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Start(t.Context(), cfg, newRecord(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Stop()
	m.Follow(rollout.Plan{Steps: []rollout.Step{{Weight: 50}, {Weight: 100}}})
	rate := func(when string, high bool) {
		t.Helper()
		if got := m.stream.Rate(); got != 20 && !high || got <= 20 && high || got > pace.MaxRate {
			t.Errorf("%s: %d requests per second, want more than 20: %t", when, got, high)
		}
	}
	rate("before the first weight", false)
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageObserved, Written: true}
	m.ActionDone(rollout.Action{Kind: rollout.KindWeight, Weight: 50}, s, time.Now())
	rate("after a weight", true)
	g.weight.Store(50)
	until(t, m, s, "the weight", func(o rollout.Observation) bool { return o.Split == rollout.SplitConfirmed })
	rate("after its confirmation", false)

	m.ActionDone(rollout.Action{Kind: rollout.KindHandOver}, s, time.Now())
	m.ActionDone(rollout.Action{Kind: rollout.KindWarm}, s, time.Now())
	rate("while the promotion settles", true)
	m.Annotate(rollout.Observation{Now: time.Now()}, rollout.State{Phase: rollout.PhaseBaking, Stage: rollout.StageBake, Step: 1})
	rate("in the bake", false)
	m.ActionDone(rollout.Action{Kind: rollout.KindRevert, Weight: 100}, s, time.Now())
	rate("after a revert", true)
}

// A canary that nobody asked for yet is not awaited, whatever step comes first.
func TestThePreflightBeginsWithTheFirstPods(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	m, _ := start(t, g)
	g.marked.Store(true)
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StagePreflight, Step: 1, Sized: 1}
	m.ActionDone(rollout.Action{Kind: rollout.KindScale}, s, time.Now()) // promoted to the last step before any weight
	until(t, m, s, "the preflight", func(o rollout.Observation) bool { return o.Preflight == rollout.SplitConfirmed })
}
