package steering

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A rollback by a release is quick where the release before did not say how long it
// takes. It waits for nobody: neither in a planned pause nor before the switch.
func TestQuickly(t *testing.T) {
	t.Parallel()
	type plan struct {
		Steps        []input.Step
		StepDuration time.Duration
		WarmUp       time.Duration
		Manual       bool
		Tested       bool
	}
	for name, c := range map[string]struct {
		args []string
		want plan
	}{
		"canary":            {nil, plan{Steps: []input.Step{{Weight: 20}, {Weight: 100}}, StepDuration: quickDwell}},
		"canary, as before": {[]string{"--steps=50,100", "--step-duration=60s"}, plan{Steps: []input.Step{{Weight: 50}, {Weight: 100}}, StepDuration: time.Minute}},
		"canary, pauses":    {[]string{"--steps=25:pause,50:pause=1h,100"}, plan{Steps: []input.Step{{Weight: 25}, {Weight: 50}, {Weight: 100}}, StepDuration: quickDwell}},
		"rolling, pauses":   {[]string{"--strategy=rolling", "--steps=25:pause,100"}, plan{Steps: []input.Step{{Weight: 25}, {Weight: 100}}, StepDuration: quickDwell}},
		"blue-green":        {[]string{"--strategy=blue-green", "--manual-promotion", "--warm-up-time=1h"}, plan{Steps: []input.Step{{Weight: 100}}, StepDuration: 10 * time.Second, Tested: true}},
	} {
		v, err := inputs.Spec().Parse(append(c.args, "--image=web:1"), func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		cfg := inputs.ConfigOf(v)
		quickly(&cfg, v)
		got := plan{cfg.Steps, cfg.StepDuration, cfg.BlueGreen.WarmUp, cfg.BlueGreen.Manual, cfg.BlueGreen.Smoke > 0}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A lease outlives a run that was killed by some seconds: until it expires, nothing
// shows that its holder is alive.
func TestStatusClaimsNoLiveDriver(t *testing.T) {
	t.Parallel()
	renewed := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, s := range map[string]status{
		"run 7-1, if it is alive: it renewed its lease at 2026-01-02T03:04:05Z": {DrivenBy: "7-1", RenewedAt: renewed},
		"nobody: run 7-1 has not renewed its lease since 2026-01-02T03:04:05Z":  {LeftBy: "7-1", RenewedAt: renewed},
		"nobody: the next run finishes it":                                      {Phase: rollout.PhaseProgressing},
	} {
		s.LiveWeight = -1
		if text := s.text(nil); !strings.Contains(text, "driven by    "+want+"\n") {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}
