package release

import (
	"testing"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// The colours alternate over releases that end well, and stay where one did not.
func TestColoursAlternate(t *testing.T) {
	t.Parallel()
	promoted := rollout.State{Phase: rollout.PhasePromoted, Stage: rollout.StageEnd, Weight: 100, Written: true}
	aborted := rollout.State{Phase: rollout.PhaseAborted, Stage: rollout.StageEnd}
	reverted := rollout.State{Phase: rollout.PhaseAborted, Stage: rollout.StageEnd, Weight: 100, Written: true, Reverted: true}
	paused := rollout.State{Phase: rollout.PhasePaused, Stage: rollout.StageEnd, Left: rollout.StagePause, Asked: true}
	type of struct {
		strategy rollout.Strategy
		end      rollout.State
		want     Colours
	}
	bg, canary := rollout.StrategyBlueGreen, rollout.StrategyCanary
	courses := []of{
		{bg, paused, Colours{Blue, Green}}, {bg, aborted, Colours{Blue, Green}}, {bg, promoted, Colours{Blue, Green}},
		{bg, reverted, Colours{Green, Blue}}, {canary, promoted, Colours{Green, Green}}, {bg, promoted, Colours{Green, Blue}},
	}
	for n := range 10 {
		colours := Colours{Blue, Green}
		if n%2 == 1 {
			colours = Colours{Green, Blue}
		}
		courses = append(courses, of{bg, promoted, colours})
	}
	var last *Record
	for n, c := range courses {
		r := &Record{Colours: ColoursOf(last, "", c.strategy), State: c.end}
		if r.Colours != c.want {
			t.Errorf("release %d: %+v, want %+v", n+1, r.Colours, c.want)
		}
		last = r
	}
}

func TestTheFirstColour(t *testing.T) {
	t.Parallel()
	for label, want := range map[string]Colours{"": {Blue, Green}, "blue": {Blue, Green}, "green": {Green, Blue}, "v7": {Blue, Green}} {
		if got := ColoursOf(nil, label, rollout.StrategyBlueGreen); got != want {
			t.Errorf("label %q: %+v, want %+v", label, got, want)
		}
		if got := ColoursOf(&Record{State: rollout.State{Phase: rollout.PhasePromoted}}, label, rollout.StrategyBlueGreen); got != want {
			t.Errorf("an older record, label %q: %+v, want %+v", label, got, want)
		}
	}
}

// Nothing is active before the answers showed it.
func TestActive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state rollout.State
		want  string
	}{
		"warms up":            {rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageWarmUp}, Blue},
		"waits for a person":  {rollout.State{Phase: rollout.PhasePaused, Stage: rollout.StageEnd, Left: rollout.StagePause}, Blue},
		"written":             {rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageAccepted, Weight: 100, Written: true}, Blue},
		"written, not seen":   {rollout.State{Phase: rollout.PhasePaused, Stage: rollout.StageEnd, Left: rollout.StageObserved, Weight: 100, Written: true}, Blue},
		"seen":                {rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageDwell, Weight: 100, Written: true}, Green},
		"paused at 100":       {rollout.State{Phase: rollout.PhasePaused, Stage: rollout.StageEnd, Left: rollout.StageDwell, Weight: 100, Written: true}, Green},
		"promoting":           {rollout.State{Phase: rollout.PhasePromoting, Stage: rollout.StageHandOver, Weight: 100, Written: true}, Green},
		"baking":              {rollout.State{Phase: rollout.PhaseBaking, Stage: rollout.StageBake, Weight: 100, Written: true}, Green},
		"going back":          {rollout.State{Phase: rollout.PhaseAborting, Stage: rollout.StageAbortWeight, Written: true}, Blue},
		"failed on its way":   {rollout.State{Phase: rollout.PhaseFailed, Stage: rollout.StageSettle, Weight: 100, Written: true}, Green},
		"cleaning up":         {rollout.State{Phase: rollout.PhaseCleaning, Stage: rollout.StageDrain, Weight: 100, Written: true}, Green},
		"cleaning up, back":   {rollout.State{Phase: rollout.PhaseCleaning, Stage: rollout.StageDrain, Weight: 100, Written: true, Reverted: true}, Blue},
		"paused in the bake":  {rollout.State{Phase: rollout.PhasePaused, Stage: rollout.StageEnd, Left: rollout.StageBake, Weight: 100, Written: true}, Green},
		"an abort that fails": {rollout.State{Phase: rollout.PhaseFailed, Stage: rollout.StageAbortObserved, Written: true}, Blue},
	} {
		r := Record{Colours: Colours{Blue, Green}, State: c.state}
		if got := r.Active(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestColourBefore(t *testing.T) {
	t.Parallel()
	green, other := "green", "v7"
	for name, c := range map[string]struct {
		record Record
		want   string
	}{
		"nothing":              {Record{VersionLabel: "version"}, ""},
		"of the pods":          {Record{VersionLabel: "version", VersionBefore: &green}, "green"},
		"another value":        {Record{VersionLabel: "version", VersionBefore: &other}, ""},
		"of the Service":       {Record{VersionLabel: "version", Services: []Service{{}, {Selector: map[string]string{"version": "blue"}}}}, "blue"},
		"by another label":     {Record{VersionLabel: "role", Services: []Service{{Selector: map[string]string{"role": "green"}}}}, "green"},
		"beside another label": {Record{VersionLabel: "role", Services: []Service{{Selector: map[string]string{"version": "green"}}}}, "green"},
	} {
		if got := c.record.ColourBefore(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
