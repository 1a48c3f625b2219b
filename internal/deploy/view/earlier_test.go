package view

import (
	"bytes"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// The plan of each strategy says what an earlier release left that it ends first.
func TestThePlanSaysWhatItEndsFirst(t *testing.T) {
	t.Parallel()
	earlier := func(phase rollout.Phase, leftover rollout.Leftover) *release.Record {
		return &release.Record{Image: "web:1", Run: release.Run{ID: "7"}, State: rollout.State{Phase: phase, Leftover: leftover}}
	}
	for name, c := range map[string]struct {
		previous *release.Record
		want     string
	}{
		"the first release": {nil, ""},
		"a promoted one":    {earlier(rollout.PhasePromoted, ""), ""},
		"a warm one":        {earlier(rollout.PhasePromoted, rollout.LeftoverPrevious), "first ends the warm time of run 7"},
		"a paused one":      {earlier(rollout.PhasePaused, rollout.LeftoverCanary), "first ends the unfinished one of web:1 by run 7 (Paused)"},
	} {
		for _, rolling := range []*release.Rolling{nil, {Kind: "Deployment", Before: []byte("{}"), After: []byte("{}")}} {
			v, err := inputs.Spec().Parse([]string{"web:2"}, func(string) string { return "" })
			if err != nil {
				t.Fatal(err)
			}
			cfg := inputs.ConfigOf(v)
			if cfg.Rules, err = judging.Load("", cfg.Limits()); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			p := console.Start(func(s string) string { return s }, nil, console.NewPlain(&out, nil, nil))
			ShowPlan(p, cfg, &discover.Found{Previous: c.previous, Record: &release.Record{Namespace: "shop", Deployment: "web", Container: "app", Rolling: rolling, Replicas: 2}})
			p.Close()
			if got := out.String(); strings.Contains(got, "this release first ends") != (c.want != "") || !strings.Contains(got, c.want) {
				t.Errorf("%s: the plan does not say %q:\n%s", name, c.want, got)
			}
		}
	}
}
