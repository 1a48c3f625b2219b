package view

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/smoke"
)

// BlueGreenFile is the name of the report that a blue-green release writes beside
// ReportFile.
const BlueGreenFile = "blue-green-deployment-report.json"

// A blueGreenReport is that report. Existing tools read the fields up to CompletedAt:
// they never change their names or meaning.
type blueGreenReport struct {
	Status             string `json:"status"` // success, or the output status: paused, aborted, ...
	Environment        string `json:"environment"`
	DeploymentStrategy string `json:"deployment_strategy"`
	Service            string `json:"service"`
	Image              string `json:"image"`
	PreviousActive     string `json:"previous_active"`
	// NewActive is null until the answers have shown the switch, and again after a
	// rollback.
	NewActive          *string   `json:"new_active"`
	AutoPromotion      bool      `json:"auto_promotion"`
	ValidationTests    bool      `json:"validation_tests"`
	DeploymentDuration int       `json:"deployment_duration"` // whole seconds of this run, measured
	CompletedAt        time.Time `json:"completed_at"`

	// Active is the colour that serves at the end, "" if it is unknown.
	Active       string         `json:"active"`
	Namespace    string         `json:"namespace"`
	Deployment   string         `json:"deployment"`
	Phase        rollout.Phase  `json:"phase"`
	Reason       string         `json:"reason"`
	ExitCode     int            `json:"exit_code"`
	RunID        string         `json:"run_id"`
	RunURL       string         `json:"run_url"`
	SmokeTests   []smoke.Result `json:"smoke_tests"`
	WarmUntil    *time.Time     `json:"warm_until"` // of the old version
	CanaryReport string         `json:"report"`     // the whole report of the run
}

// isBlueGreen reports whether a run is about a blue-green release.
func (r *Run) isBlueGreen(d *Delivery) bool {
	if d != nil && d.Found != nil && d.State.Phase != "" {
		return d.Found.Record.Plan.Strategy == rollout.StrategyBlueGreen
	}
	return r.Cfg.Strategy == rollout.StrategyBlueGreen
}

// blueGreen derives the report from the result of the run.
func (run *Run) blueGreen(r report.Result, d *Delivery, status string) blueGreenReport {
	b := blueGreenReport{
		Status: status, Environment: r.Environment, DeploymentStrategy: string(rollout.StrategyBlueGreen), Service: r.Service, Image: r.Image,
		AutoPromotion: !run.Cfg.BlueGreen.Manual, ValidationTests: run.Cfg.BlueGreen.Smoke > 0,
		DeploymentDuration: r.TotalDuration, CompletedAt: r.CompletedAt,
		Namespace: r.Namespace, Deployment: r.Deployment, Phase: r.Outcome, Reason: r.Reason, ExitCode: r.ExitCode, RunID: r.RunID, RunURL: r.RunURL,
		SmokeTests: []smoke.Result{}, CanaryReport: ReportFile,
	}
	if status == "promoted" {
		b.Status = report.StatusSuccess
	}
	if d == nil {
		return b
	}
	record := d.Found.Record
	if d.Planned || d.Unchanged || d.State.Phase == "" {
		b.PreviousActive = release.ColoursOf(d.Found.Previous, record.ColourBefore(), rollout.StrategyBlueGreen).Previous
		b.Active = b.PreviousActive
		return b
	}
	b.AutoPromotion, b.ValidationTests = !record.Plan.Manual, record.Plan.Smoke > 0
	state := *record
	state.State = d.State
	b.PreviousActive, b.Active = record.Colours.Previous, state.Active()
	if d.State.Switched() {
		b.NewActive = &record.Colours.New
	}
	if d.State.Phase == rollout.PhaseFailed || d.unserved() {
		b.Active = ""
	}
	if d.State.Leftover == rollout.LeftoverPrevious && !record.WarmUntil.IsZero() {
		b.WarmUntil = &record.WarmUntil
	}
	b.SmokeTests = append(b.SmokeTests, d.Smoke...)
	return b
}

// writeBlueGreen writes the report.
func (r *Run) writeBlueGreen(b blueGreenReport) error {
	raw, err := json.MarshalIndent(b, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(r.Cfg.ReportDir, BlueGreenFile), append(raw, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", BlueGreenFile, err)
	}
	return nil
}

// blueGreenOrder describes the order of changes of a blue-green plan.
func blueGreenOrder(cfg inputs.Config, p rollout.Plan, f *discover.Found) []string {
	record := f.Record
	colours := release.ColoursOf(f.Previous, record.ColourBefore(), p.Strategy)
	where := "of every new pod and, by marked requests, through the entry point"
	if f.Untested != "" {
		where = "of every new pod, not through the entry point (" + f.Untested + ")"
	}
	lines := []string{
		fmt.Sprintf("blue-green: %s serves, %s is the slot for the new version", colours.Previous, colours.New),
		fmt.Sprintf("order: start %d pods of the new version beside the %d that serve, which takes the capacity of both; when all are ready and test requests reach them, warm up for %s", record.Replicas, record.Replicas, p.WarmUp),
	}
	if p.Smoke > 0 {
		lines = append(lines, fmt.Sprintf("then smoke tests %s: %s; all have to pass, within %s", where, smokeWords(cfg.BlueGreen), p.Smoke))
	} else {
		lines = append(lines, "no smoke tests (validation-tests: false)")
	}
	if p.Manual {
		lines = append(lines, "then pause before the switch, until somebody promotes it")
	}
	return append(lines, fmt.Sprintf("then switch all traffic by one write, see it in the answers by version, hold it for %s, and hand over without a restart, %s", p.Steps[0].Dwell, ending(p)))
}

// judgedAs returns a plan whose dwells are as long as the judge has for a verdict: in
// blue-green that is the bake.
func judgedAs(p rollout.Plan) rollout.Plan {
	if p.Strategy == rollout.StrategyBlueGreen && p.Bake > 0 {
		p.Steps = []rollout.Step{{Weight: 100, Dwell: p.Bake}}
	}
	return p
}

// inBake names the input that gives the judge of a plan more time.
func inBake(p rollout.Plan, sentence string) string {
	if p.Strategy == rollout.StrategyBlueGreen && p.Bake > 0 {
		return strings.ReplaceAll(sentence, "raise step-duration", "raise bake-time")
	}
	return sentence
}

// smokeWords lists the smoke tests of the inputs.
func smokeWords(b inputs.BlueGreen) string {
	if len(b.Tests.Tests) == 0 {
		return "those of " + strings.Join(inputs.SmokeDefaults, ", ") + " that the live version answers with 200"
	}
	var names []string
	for _, t := range b.Tests.Tests {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}
