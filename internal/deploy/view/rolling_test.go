package view

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// The power of a plan is that of the shares that its pods get.
func TestARollingPlanIsJudgedByTheSharesOfItsPods(t *testing.T) {
	t.Parallel()
	asked := []rollout.Step{{Weight: 5, Dwell: time.Minute}, {Weight: 50, Dwell: time.Minute}, {Weight: 100, Dwell: time.Minute}}
	p := rollout.Plan{Strategy: rollout.StrategyRolling, Steps: asked, Surge: 1}
	var got []int
	for _, step := range asShared(p, 4).Steps {
		got = append(got, step.Weight)
	}
	if diff := cmp.Diff([]int{20, 40, 80}, got); diff != "" { // of 5 pods: one more than before at a time
		t.Errorf("shares (-want +got):\n%s", diff)
	}
	if asked[0].Weight != 5 {
		t.Errorf("the plan itself was changed: %+v", asked)
	}
}

// The plan that people see says what the judge can detect at those shares.
func TestTheShownPowerIsOfThePods(t *testing.T) {
	t.Parallel()
	rules, err := judging.Load("", judging.Limits{ErrorRate: 5, SuccessRate: 95, ResponseRatio: 1.5, ResponseMax: 2 * time.Second, MinSamples: 20, Inconclusive: rollout.PolicyAbort})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	c := console.Start(func(s string) string { return s }, nil, console.NewPlain(&out, nil, nil))
	showRolling(c, inputs.Config{
		Strategy: rollout.StrategyRolling, Rules: rules, ProbeRate: 50, StepDuration: time.Minute, Steps: []input.Step{{Weight: 5}, {Weight: 100}},
	}, &discover.Found{Record: &release.Record{Replicas: 4, Rolling: &release.Rolling{Kind: "StatefulSet", Before: []byte("{}"), After: []byte("{}")}}})
	c.Close()
	if text := out.String(); !strings.Contains(text, "probe at 25 %") || strings.Contains(text, "probe at 5 %") {
		t.Errorf("the plan says:\n%s", text)
	}
}

// The first answer after an undo may be by the pods that go. It shows no share and
// confirms nothing.
func TestTheWayBackHasNoShare(t *testing.T) {
	t.Parallel()
	var r report.Result
	describeTraffic(&r, traffic.Snapshot{Steps: []traffic.Step{
		{Confirmed: true, Observed: time.Second, Share: stat.Progress{N: 1, K: 1}},
	}}, rollout.Plan{Strategy: rollout.StrategyRolling})
	step := r.StepRecords[0]
	if step.Name != backStep || step.ObservedShare != nil || step.Interval != nil || step.Confirmation != "" || step.ConfirmedBy != "" || step.ObservedAfter != 0 {
		t.Errorf("step %+v", step)
	}
	if text := report.Text(r); strings.Contains(text, "100.0 %") {
		t.Errorf("the report says:\n%s", text)
	}
}

// The entry point is blamed for what neither chance nor the exchange of pods explains.
func TestAnUnevenSpreadIsNotTheTransition(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		weight, percent int
		dwell           time.Duration
		warns           bool
	}{
		"right behind new pods":     {80, 67, 3 * time.Second, false},
		"no dwell":                  {80, 10, 0, false},
		"few, for long":             {80, 55, 5 * time.Minute, true},
		"many, for long":            {20, 50, 5 * time.Minute, true},
		"the transition of a dwell": {80, 67, time.Minute, false},
		"even":                      {50, 52, 5 * time.Minute, false},
		"sticky clients":            {80, 20, time.Minute, true},
	} {
		var r report.Result
		plan := rollout.Plan{Strategy: rollout.StrategyRolling, Steps: []rollout.Step{{Weight: c.weight, Dwell: c.dwell}}}
		describeTraffic(&r, traffic.Snapshot{Steps: []traffic.Step{
			{Number: 1, Pods: 4, Weight: c.weight, Dwell: c.dwell, Confirmed: true, Share: stat.Progress{N: 1000, K: 10 * c.percent}},
		}}, plan)
		warned := strings.Contains(strings.Join(r.Warnings, "\n"), "does not spread requests evenly")
		if share := r.StepRecords[0].ObservedShare; warned != c.warns || share == nil || *share != float64(c.percent)/100 {
			t.Errorf("%s: warnings %q, share %v", name, r.Warnings, share)
		}
	}
}

func TestTheWordsOfOnePodAndOfSeveral(t *testing.T) {
	t.Parallel()
	for pods, want := range map[int]string{1: "until 1 is new, which gets 25 %", 2: "until 2 are new, which get 25 %"} {
		if got := rollWords(rollout.State{Pods: pods}, rollout.Action{Kind: rollout.KindRoll, Weight: 25}); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
