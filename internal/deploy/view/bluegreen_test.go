package view

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/smoke"
)

// The report names the new colour as active only after the switch was seen, and never
// says success of what is not.
func TestBlueGreenReport(t *testing.T) {
	t.Parallel()
	at := func(phase rollout.Phase, left rollout.Stage, weight int) rollout.State {
		return rollout.State{Phase: phase, Stage: rollout.StageEnd, Left: left, Weight: weight, Written: weight > 0}
	}
	reverted := at(rollout.PhaseAborted, rollout.StageClean, 100)
	reverted.Reverted = true
	failed := rollout.State{Phase: rollout.PhaseFailed, Stage: rollout.StageAbortObserved, Written: true}
	for name, c := range map[string]struct {
		word  string
		state rollout.State
		want  string // status, previous, new, active
	}{
		"promoted":             {"promoted", at(rollout.PhasePromoted, rollout.StageBake, 100), "success blue green green"},
		"waits for a person":   {"paused", at(rollout.PhasePaused, rollout.StagePause, 0), "paused blue null blue"},
		"written and not seen": {"paused", at(rollout.PhasePaused, rollout.StageObserved, 100), "paused blue null blue"},
		"paused in the bake":   {"paused", at(rollout.PhasePaused, rollout.StageBake, 100), "paused blue green green"},
		"a test failed":        {"aborted", at(rollout.PhaseAborted, rollout.StageAbortRemove, 0), "aborted blue null blue"},
		"rolled back":          {"rolled-back", reverted, "rolled-back blue null blue"},
		"an abort that failed": {"abort-failed", failed, "abort-failed blue null "},
	} {
		record := &release.Record{Colours: release.Colours{Previous: release.Blue, New: release.Green}, Plan: rollout.Plan{Strategy: rollout.StrategyBlueGreen, Manual: true, Smoke: time.Minute}}
		d := &Delivery{Found: &discover.Found{Record: record}, State: c.state, Smoke: []smoke.Result{{Place: "pod web-1", Test: "GET /", Status: 200}}}
		run := &Run{Cfg: inputs.Config{ReportDir: t.TempDir()}}
		if !run.isBlueGreen(d) {
			t.Errorf("%s: not taken for a blue-green release", name)
		}
		if err := run.writeBlueGreen(run.blueGreen(report.Result{Service: "web", TotalDuration: 61}, d, c.word)); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(run.Cfg.ReportDir, BlueGreenFile))
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"status", "environment", "deployment_strategy", "service", "image", "previous_active", "new_active", "auto_promotion", "validation_tests", "deployment_duration", "completed_at"} {
			if _, ok := fields[field]; !ok {
				t.Errorf("%s: the report lacks %s", name, field)
			}
		}
		got := strings.ReplaceAll(fmt.Sprint(fields["status"], " ", fields["previous_active"], " ", fields["new_active"], " ", fields["active"]), "<nil>", "null")
		if got != c.want || fields["auto_promotion"] != false || fields["validation_tests"] != true || fields["deployment_duration"] != 61.0 {
			t.Errorf("%s: %s, want %s\n%s", name, got, c.want, raw)
		}
	}
}

// Before there is anything to report of a release, the live colour is known by the
// record of the last one.
func TestBlueGreenReportWithoutARelease(t *testing.T) {
	t.Parallel()
	run := &Run{Cfg: inputs.Config{Strategy: rollout.StrategyBlueGreen}}
	last := &release.Record{Colours: release.Colours{Previous: release.Blue, New: release.Green}, State: rollout.State{Phase: rollout.PhasePromoted}}
	for name, c := range map[string]struct {
		d    *Delivery
		want string
	}{
		"bad input": {nil, ""},
		"planned":   {&Delivery{Found: &discover.Found{Record: &release.Record{}, Previous: last}, Planned: true}, release.Green},
		"unchanged": {&Delivery{Found: &discover.Found{Record: &release.Record{}}, Unchanged: true}, release.Blue},
	} {
		b := run.blueGreen(report.Result{}, c.d, "failed")
		if b.Active != c.want || b.PreviousActive != c.want || b.NewActive != nil || !run.isBlueGreen(c.d) {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

// The plan shows the order of changes, the capacity that they need, and the tests.
func TestBlueGreenOrder(t *testing.T) {
	t.Parallel()
	plan := rollout.Plan{Strategy: rollout.StrategyBlueGreen, WarmUp: time.Minute, Smoke: 2 * time.Minute, Manual: true, Bake: time.Hour, Steps: []rollout.Step{{Weight: 100, Dwell: time.Second}}}
	promoted := &release.Record{Colours: release.Colours{Previous: release.Blue, New: release.Green}, State: rollout.State{Phase: rollout.PhasePromoted}}
	found := &discover.Found{Record: &release.Record{Replicas: 7}, Previous: promoted}
	lines := strings.Join(blueGreenOrder(inputs.Config{}, plan, found), "\n")
	for _, want := range []string{"green serves, blue is the slot", "start 7 pods of the new version beside the 7 that serve", "warm up for 1m0s", "/health, /, /api/health that the live version answers with 200", "by marked requests, through the entry point", "within 2m0s", "pause before the switch", "by one write", "judge on for 1h0m0s"} {
		if !strings.Contains(lines, want) {
			t.Errorf("the order lacks %q:\n%s", want, lines)
		}
	}
	found.Untested = "the router cannot"
	if lines := strings.Join(blueGreenOrder(inputs.Config{}, plan, found), "\n"); !strings.Contains(lines, "not through the entry point (the router cannot)") {
		t.Errorf("where no test request can be marked:\n%s", lines)
	}
	plan.Smoke, plan.Manual = 0, false
	order := blueGreenOrder(inputs.Config{}, plan, found)
	if !slices.Contains(order, "no smoke tests (validation-tests: false)") || strings.Contains(strings.Join(order, "\n"), "pause") {
		t.Errorf("without tests: %q", order)
	}
	named := inputs.Config{BlueGreen: inputs.BlueGreen{Tests: smoke.Plan{Tests: []smoke.Test{smoke.Page("/a", time.Second), smoke.Page("/b", time.Second)}}}}
	if got := smokeWords(named.BlueGreen); got != "GET /a, GET /b" {
		t.Errorf("smoke tests: %s", got)
	}
}

// What the judge can see follows from the time that it has.
func TestJudgedAs(t *testing.T) {
	t.Parallel()
	p := rollout.Plan{Strategy: rollout.StrategyBlueGreen, Bake: time.Minute, Steps: []rollout.Step{{Weight: 100, Dwell: time.Second}}}
	if got := judgedAs(p).Steps[0].Dwell; got != time.Minute || p.Steps[0].Dwell != time.Second {
		t.Errorf("blue-green is judged for %s, and held for %s", got, p.Steps[0].Dwell)
	}
	const advice = "too few: raise step-duration to 10s, or probe-rate"
	if got := inBake(p, advice); got != "too few: raise bake-time to 10s, or probe-rate" {
		t.Errorf("blue-green: %s", got)
	}
	if got := inBake(rollout.Plan{Bake: time.Minute}, advice); got != advice {
		t.Errorf("a canary: %s", got)
	}
	p.Bake = 0
	if got := judgedAs(p).Steps[0].Dwell; got != time.Second {
		t.Errorf("blue-green without a bake is judged for %s", got)
	}
	p.Strategy, p.Bake = rollout.StrategyCanary, time.Minute
	if got := judgedAs(p).Steps[0].Dwell; got != time.Second {
		t.Errorf("a canary is judged for %s", got)
	}
}
