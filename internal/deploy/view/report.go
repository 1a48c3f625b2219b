package view

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// The names of the files that a run writes.
const (
	ReportFile   = "canary-deployment-report.json"
	LogFile      = "canary-deployment.log"
	AnalysisFile = "canary-deployment-analysis.jsonl" // the judge's input and verdicts
)

// Conclude builds the result of the run and derives the report file, the
// summary, the outputs and the exit status from it.
func (r *Run) Conclude(d *Delivery, err error) (action.Result, error) {
	end := r.end(d, err)
	if r.Cfg.Command != inputs.CommandDeploy && (d == nil || d.Found == nil) {
		return r.concludeCommand(d, end)
	}
	// Redact before rendering: an escaped secret would not match.
	result := action.Clean(r.Action, r.result(d, end))
	raw, renderErr := report.JSON(result)
	path := filepath.Join(r.Cfg.ReportDir, ReportFile)
	if renderErr == nil {
		renderErr = os.WriteFile(path, raw, 0o644)
	}
	if renderErr != nil {
		// The cluster's state decides the outcome, but a success without a report is
		// a failure.
		end.Err = errors.Join(end.Err, fmt.Errorf("write the report: %w", renderErr))
		if end.Status == exit.Done {
			end.Status = exit.CouldNotRun
		}
		path = ""
	}
	outputs := r.outputs(result, d, end.Status, path)
	if r.isBlueGreen(d) {
		b := action.Clean(r.Action, r.blueGreen(result, d, outputs["status"]))
		if err := r.writeBlueGreen(b); err != nil && end.Status == exit.Done {
			end.Status, end.Err = exit.CouldNotRun, err
		}
	}
	r.Console.End()
	r.Print(report.Text(result))
	// Text and summary have the hint.
	a := action.Result{Status: end.Status, Outputs: outputs, Summary: report.Markdown(result), Meaning: meaning(end.Status, outputs["status"])}
	if end.Status == exit.Done {
		return a, nil
	}
	return a, &exit.Error{Status: end.Status, Err: end.Err}
}

// meaning says how a run ended that could do what it was asked, but not all of it:
// "could not run" would be false of it. It is "" for the status's own words.
func meaning(status exit.Status, word string) string {
	if status == exit.CouldNotRun && slices.Contains([]string{"promoted", "aborted", "rolled-back"}, word) {
		return word + ", but not all is done or proven"
	}
	return ""
}

// concludeCommand ends a command that drove no rollout.
func (r *Run) concludeCommand(d *Delivery, end *exit.Error) (action.Result, error) {
	r.Console.End()
	a := action.Result{Status: end.Status, Outputs: r.Told.outputs(), Hint: end.Hint}
	a.Outputs["status"] = r.statusWord(d, end.Status)
	if d != nil {
		a.Outputs["phase"] = string(d.State.Phase)
	}
	if end.Status == exit.Done {
		return a, nil
	}
	return a, end
}

// end returns how the run ended: its status, one sentence as the error, and a
// hint.
func (r *Run) end(d *Delivery, err error) *exit.Error {
	ended := func(status exit.Status, reason, hint string) *exit.Error {
		return &exit.Error{Status: status, Err: errors.New(reason), Hint: hint}
	}
	switch {
	case err != nil:
		status, hint := exit.Of(err)
		var unreadable *kube.UnreadableError
		if hint == "" && errors.As(err, &unreadable) {
			hint = "use the version that wrote the record, or mend it; to delete it, type: " + r.Command(inputs.CommandForget, unreadable.Namespace, unreadable.Deployment)
		}
		return &exit.Error{Status: status, Err: err, Hint: hint}
	case d.Planned:
		return ended(exit.Done, "dry run: nothing was changed", "")
	case d.Applied > 0:
		return ended(exit.Done, fmt.Sprintf("%d objects of the manifests were applied; the pods of deployment %s are as they were", d.Applied, d.Found.Record.Deployment), "")
	case d.Unchanged:
		return ended(exit.Done, fmt.Sprintf("nothing to do: all pods of deployment %s run %s", d.Found.Record.Deployment, d.Found.Record.Image), "")
	case d.Asked:
		return r.answered(d)
	case d.SaveErr != nil:
		return ended(exit.AbortFailed, d.SaveErr.Error(), "the record in the cluster is out of date; "+LookHint(d.Found.Record))
	case d.Unsettled != nil && (d.State.Phase == rollout.PhasePromoted || d.State.Phase == rollout.PhaseAborted):
		return ended(exit.CouldNotRun, fmt.Sprintf("the release is %s, but not all of its manifests: %v", d.State.Phase, d.Unsettled), "the next run goes on with them; mend that object, then run it again")
	case d.replaced() != nil && r.Cfg.Command != inputs.CommandDeploy:
		return ended(exit.Done, d.Unproven.Error(), "")
	case d.replaced() != nil:
		return ended(exit.CouldNotRun, d.Unproven.Error(), "")
	case d.Unproven != nil:
		return ended(exit.CouldNotRun, d.Unproven.Error(), "the new version serves all traffic; whether its pods restarted in the hand-over is unknown")
	}
	status, hint := r.outcome(d)
	reason := d.State.Reason
	if d.unserved() {
		reason += fmt.Sprintf("; the last %d requests to the entry point failed", d.Traffic.Failing)
	}
	return ended(status, reason, hint)
}

// replaced returns the image that another writer gave the Deployment after the
// promotion, nil for none.
func (d *Delivery) replaced() *workload.OtherImageError {
	var other *workload.OtherImageError
	errors.As(d.Unproven, &other)
	return other
}

// failingAnswers is the number of failures in a row from which an aborted rollout
// does not claim that stable serves.
const failingAnswers = 20

// unserved reports whether the rollout was aborted and the last requests failed.
func (d *Delivery) unserved() bool {
	return d.State.Phase == rollout.PhaseAborted && d.Traffic.Failing >= failingAnswers
}

// answered returns how a command ended that another run carried out, or that
// needed no rollout.
func (r *Run) answered(d *Delivery) *exit.Error {
	s := d.State
	end := &exit.Error{Status: exit.Done, Err: fmt.Errorf("the release is %s", s.Phase)}
	back := r.Cfg.Command == string(rollout.RequestAbort) || r.Cfg.Command == string(rollout.RequestRollback)
	on := r.Cfg.Command == string(rollout.RequestPromote)
	goesBack := s.Phase == rollout.PhaseAborting || s.Phase == rollout.PhaseReverting || s.Phase == rollout.PhaseAborted
	switch {
	case r.Cfg.Command == inputs.CommandStatus || r.Cfg.Command == inputs.CommandHistory:
	case s.Phase == rollout.PhasePaused && d.Record != nil:
		end.Hint = r.pausedHint(d.Record, s)
	case on && goesBack:
		end.Status, end.Err = exit.CouldNotRun, fmt.Errorf("the request to promote came too late, the release goes back: %s", s.Reason)
	case s.Phase == rollout.PhaseFailed:
		end.Status, end.Err = exit.AbortFailed, errors.New(s.Reason)
	case back && s.Phase == rollout.PhasePromoted:
		end.Status, end.Err = exit.CouldNotRun, fmt.Errorf("the request to %s came too late: %s", r.Cfg.Command, s.Reason)
	}
	return end
}

// outcome returns the status of a rollout that this run drove, and what to type
// next.
func (r *Run) outcome(d *Delivery) (exit.Status, string) {
	record, s := d.Found.Record, d.State
	kind := func(name string) string { return r.Command(name, record.Namespace, record.Deployment) }
	switch {
	case s.Phase == rollout.PhasePromoted && s.Interrupted && s.Leftover == "":
		return exit.CouldNotRun, "all pods are new; nobody judged them to the end; to go back, type: " + kind("rollback")
	case s.Phase == rollout.PhaseAborted && s.Leftover == rollout.LeftoverAbort && record.Rolling != nil:
		return exit.Aborted, fmt.Sprintf("the controller of %s goes on with the undo; to see its end proven, type: %s", record.Workload(), kind("abort"))
	case s.Phase == rollout.PhasePromoted && s.Interrupted:
		return exit.CouldNotRun, fmt.Sprintf("left: the %s; the next run removes it, or type: %s", s.Leftover, kind("release"))
	case s.Phase == rollout.PhasePromoted && s.Leftover != "":
		return exit.Done, fmt.Sprintf("the previous version is warm until %s; to go back, type: %s; to end it: %s", record.WarmUntil.Format(time.RFC3339), kind("rollback"), kind("promote"))
	case s.Phase == rollout.PhasePromoted:
		return exit.Done, ""
	case d.unserved() && len(d.Missing) > 0:
		return exit.AbortFailed, fmt.Sprintf("create %s again in namespace %s", strings.Join(d.Missing, " and "), record.Namespace)
	case d.unserved():
		return exit.AbortFailed, LookHint(record)
	case s.Phase == rollout.PhaseAborted && s.Leftover != "":
		return exit.Aborted, fmt.Sprintf("left: the %s, without traffic; the next run removes it, or type: %s", s.Leftover, kind("release"))
	case s.Phase == rollout.PhaseAborted && r.Cfg.GoesBack():
		return exit.Done, ""
	case s.Phase == rollout.PhaseAborted:
		return exit.Aborted, ""
	case s.Phase == rollout.PhasePaused && s.Asked:
		return exit.Done, r.pausedHint(record, s)
	case s.Phase == rollout.PhasePaused:
		return exit.GateRefused, r.pausedHint(record, s)
	case !s.Phase.Terminal():
		return exit.CouldNotRun, "left as it is, for the next process of this run; type: " + kind("status")
	}
	return exit.AbortFailed, LookHint(record) + "; the next run continues from stage " + string(s.Stage) + "; see: " + kind("status")
}

// pausedHint returns what to type while a release is paused.
func (r *Run) pausedHint(record *release.Record, s rollout.State) string {
	kind := func(name string) string { return r.Command(name, record.Namespace, record.Deployment) }
	switch {
	case s.Leftover == rollout.LeftoverPrevious:
		return fmt.Sprintf("the previous version is warm; to go back, type: %s; to end it: %s", kind("rollback"), kind("promote"))
	case !s.Written && s.Left == rollout.StagePause:
		return fmt.Sprintf("the new version waits without traffic; to switch, type: %s; to end it: %s", kind("promote"), kind("abort"))
	case s.Conflict:
		return fmt.Sprintf("nobody judges it while it is paused at %d %%; to go back, type: %s; or undo that change, then type: %s", s.Weight, kind("abort"), kind("resume"))
	}
	return fmt.Sprintf("nobody judges it while it is paused at %d %%; type: %s, %s or %s", s.Weight, kind("resume"), kind("promote"), kind("abort"))
}

// result returns the single source of the report, the summary, the outputs and
// the exit status.
func (r *Run) result(d *Delivery, end *exit.Error) report.Result {
	now := time.Now()
	result := report.Result{
		Status: report.StatusFailed, Environment: r.Cfg.Environment, Deployment: r.Cfg.Deployment, Image: r.Cfg.Image,
		Steps: len(r.Cfg.Steps), TrafficSteps: weights(r.Cfg.Steps), CompletedAt: now.UTC(),
		RunID: r.ID.ID, RunURL: r.ID.URL, Namespace: r.Cfg.Namespace, Service: r.Cfg.Service, Strategy: string(cmp.Or(r.Cfg.Strategy, rollout.StrategyCanary)),
		Outcome: rollout.PhasePending, ExitCode: end.Status.Code(), Reason: end.Error(), Hint: end.Hint,
		Warnings: r.Console.Warnings(), GitOpsStatus: r.Told.GitOps, GitOpsURL: r.Told.GitOpsPage, GitHubDeployment: r.Told.Deployment,
	}
	for _, m := range r.Console.Messages() {
		result.Events = append(result.Events, report.Event{At: m.At, Message: m.Text})
	}
	if end.Status == exit.Done {
		result.Status = report.StatusSuccess
	}
	took := now.Sub(r.Started)
	result.TotalDuration = int(took.Round(time.Second).Seconds())
	result.DurationSeconds, result.OverheadSeconds = report.Seconds(took), report.Seconds(took)
	if d == nil {
		return result
	}
	found := d.Found.Record
	result.Deployment, result.Service, result.PreviousImage = found.Deployment, found.Service, d.Previous
	result.Image, result.Route = cmp.Or(result.Image, found.Image), discover.FirstRoute(found)
	result.Containers, result.Changes = containerImages(found), changes(d)
	if d.Planned || d.Unchanged || d.Applied > 0 {
		return result
	}
	d.describe(&result)
	return result
}

// describe adds the course of the rollout.
func (d *Delivery) describe(r *report.Result) {
	r.Outcome = d.State.Phase
	stable := d.Found.Record.Stable
	if d.State.Reverted {
		stable = d.Found.Record.Canary
	}
	r.RolledBack = d.State.Phase == rollout.PhaseAborted && d.State.Written
	r.Paused = d.State.Phase == rollout.PhasePaused
	r.ImageDigests = stable.Digests
	if d.State.Phase == rollout.PhasePromoted {
		r.ImageDigests = d.Proof.Digests
		r.Pods = podsOf(d.Proof)
		if broken := d.Proof.Broken(); len(broken) > 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%d of %d promoted pods restarted or were replaced during the hand-over: %s", len(broken), len(d.Proof.Before), strings.Join(broken, ", ")))
		}
	}
	if other := d.replaced(); other != nil {
		r.ServingImage, r.ImageDigests = other.Image, nil
	}
	r.Weight, r.Unserved = d.State.Weight, d.unserved()
	r.Warnings = append(r.Warnings, d.State.Unconfirmed...)
	for _, object := range d.Missing {
		r.Warnings = append(r.Warnings, object+" no longer exists")
	}
	if f := d.Failure; f != nil {
		r.PodFailure = &report.PodFailure{Pod: f.Pod, Reason: f.Reason, Message: f.Message, LastLogLines: f.LastLogLines}
	}
	describeTraffic(r, d.Traffic, d.Found.Record.Plan)
	r.DrainSeconds = report.Seconds(d.Drained)
	r.HoldSeconds = report.Seconds(d.Held)
	r.OverheadSeconds = r.DurationSeconds - r.DwellSeconds - r.DrainSeconds - r.HoldSeconds
}

func podsOf(p workload.Proof) []report.Pod {
	before := map[string]release.Pod{}
	for _, pod := range p.Before {
		before[pod.UID] = pod
	}
	var pods []report.Pod
	for _, pod := range p.After {
		pods = append(pods, report.Pod{Name: pod.Name, UID: pod.UID, RestartsBefore: int(before[pod.UID].Restarts), RestartsAfter: int(pod.Restarts)})
	}
	return pods
}

// describeTraffic adds the measurements of the traffic.
func describeTraffic(r *report.Result, t traffic.Snapshot, p rollout.Plan) {
	r.TotalRequests, r.FailedRequests, r.UnsentRequests = t.Total.Total(), t.Total.Failed(), int64(t.Stats.Missed)
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	if r.FailedRequests > 0 && r.Outcome == rollout.PhasePromoted {
		warn("%d of %d requests failed during this release", r.FailedRequests, r.TotalRequests)
	}
	if r.FailedRequests > 0 && p.Strategy == rollout.StrategyRolling {
		warn("%s", lossHint)
	}
	if t.Stats.Undelivered > 0 {
		warn("%d answers arrived too fast to be counted", t.Stats.Undelivered)
	}
	switch {
	case t.Counters:
		warn("answers carry no version (%s): the gateway's counters were used instead, and latency was not compared", t.Why)
	case t.Why != "":
		warn("the answers could not confirm the weights: %s", t.Why)
	}
	if t.Tested {
		r.TestRequests = testsOf(t.Tests)
	}
	if p := t.Prewarm; p != nil {
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		r.Prewarm = &report.Prewarm{Took: report.Seconds(p.Took), Requests: p.Requests, Failed: p.Failed, First: ms(p.First), Last: ms(p.Last), Settled: p.Settled}
	}
	for _, w := range t.Weights {
		r.Weights = append(r.Weights, report.WeightAt{At: w.At.UTC(), Weight: w.Weight})
	}
	for _, s := range t.Steps {
		r.Warnings = append(r.Warnings, s.Verdict.Warnings...)
		step := stepOf(s, t.Evidence)
		if p.Strategy == rollout.StrategyRolling {
			rollingStep(&step, s)
		}
		if s.Number > 0 {
			if uneven := measuredShare(&step, s); uneven != "" {
				warn("%s", uneven)
			}
		}
		if t.Tested && s.Tests.Total() > 0 {
			step.TestRequests = testsOf(s.Tests)
		}
		r.StepRecords = append(r.StepRecords, step)
		r.DwellSeconds += min(step.Dwell, report.Seconds(asked(p, s)))
	}
}

// asked returns how long the plan holds a step; extensions are not asked for.
func asked(p rollout.Plan, s traffic.Step) time.Duration {
	if s.Bake {
		return p.Bake
	}
	if s.Number > 0 {
		step := p.Steps[s.Number-1]
		return step.Dwell + step.Pause
	}
	for _, step := range p.Steps {
		if step.Weight == s.Weight {
			return step.Dwell + step.Pause
		}
	}
	return 0
}

// The names of the steps without a weight of their own.
const (
	promotionStep = "promotion"
	bakeStep      = "bake"
	backStep      = "back to the previous version"
)

func weights(steps []input.Step) []int {
	var all []int
	for _, s := range steps {
		all = append(all, s.Weight)
	}
	return all
}

func stepOf(s traffic.Step, evidence string) report.Step {
	c := s.Counts
	step := report.Step{
		Weight: s.Weight, StartedAt: s.WrittenAt.UTC(), Dwell: report.Seconds(s.Dwell),
		AcceptedAfter: report.Seconds(s.Accepted), ObservedAfter: report.Seconds(s.Observed),
		Requests: report.VersionCounts{
			Counts: report.Counts{Total: c.Total(), Failed: c.Failed()},
			Stable: countsOf(c.Stable), Canary: countsOf(c.Canary), Unattributed: countsOf(c.Unattributed),
		},
		Latency: report.Latencies{Stable: latencyOf(c.Stable), Canary: latencyOf(c.Canary)},
		Verdict: s.Verdict.Verdict, Reason: s.Verdict.Reason, Confirmation: report.Unconfirmed,
		Findings: s.Verdict.Findings, Measured: s.Verdict.Measured, Score: s.Verdict.Score,
	}
	for side, counts := range map[rollout.Side]traffic.Counts{rollout.SideStable: c.Stable, rollout.SideCanary: c.Canary, rollout.SideUnattributed: c.Unattributed} {
		if len(counts.Wrong) > 0 {
			if step.WrongAnswers == nil {
				step.WrongAnswers = report.WrongAnswers{}
			}
			step.WrongAnswers[side] = counts.Wrong
		}
	}
	if s.Confirmed && s.Number > 0 {
		step.Confirmation, step.ConfirmedBy = report.Confirmed, "answers by the new pods, by "+evidence
	} else if s.Confirmed {
		p := s.Share
		share, interval := p.Share(), [2]float64{float64(p.Lo) / float64(p.N), float64(p.Hi) / float64(p.N)}
		step.Confirmation, step.ObservedShare, step.Interval = report.Confirmed, &share, &interval
		step.ConfirmedBy = fmt.Sprintf("%d answers by %s", p.N, evidence)
	}
	switch {
	case s.Promotion:
		step.Name, step.Confirmation = promotionStep, ""
		step.Reason = "promotion: hand-over, return of the route, selectors"
	case s.Bake:
		step.Name, step.Confirmation = bakeStep, ""
	case s.Reverted:
		step.Name = backStep
	}
	return step
}

func testsOf(c probe.Counts) *report.Tests {
	return &report.Tests{Stable: countsOf(c.Stable), Canary: countsOf(c.Canary)}
}

func countsOf(c traffic.Counts) report.Counts {
	return report.Counts{Total: c.Total, Failed: c.Failed}
}

func latencyOf(c traffic.Counts) *report.Latency {
	if c.Latency.Len() == 0 {
		return nil
	}
	ms := func(q float64) float64 { return float64(c.Latency.Quantile(q).Microseconds()) / 1000 }
	return &report.Latency{P50: ms(.50), P95: ms(.95), P99: ms(.99)}
}

// outputs returns the action's outputs, each from the result.
func (run *Run) outputs(r report.Result, d *Delivery, status exit.Status, path string) map[string]string {
	number := func(s report.Seconds) string {
		return strconv.FormatFloat(time.Duration(s).Seconds(), 'f', 3, 64)
	}
	serving := cmp.Or(r.ServingImage, r.PreviousImage)
	if r.Outcome == rollout.PhasePromoted {
		serving = cmp.Or(r.ServingImage, r.Image)
	}
	outputs := map[string]string{
		"status":           run.statusWord(d, status),
		"phase":            d.Phase(),
		"image":            release.ByDigest(serving, r.ImageDigests),
		"previous-image":   r.PreviousImage,
		"failed-requests":  fmt.Sprint(r.FailedRequests),
		"total-requests":   fmt.Sprint(r.TotalRequests),
		"duration-seconds": number(r.DurationSeconds),
		"overhead-seconds": number(r.OverheadSeconds),
		"rolled-back":      fmt.Sprint(r.RolledBack),
		"report":           path,
		"strategy":         string(run.Cfg.Strategy),
		"strategy-reason":  run.Cfg.StrategyReason,
	}
	maps.Copy(outputs, run.Told.outputs())
	return outputs
}

// StatusWord returns the status of a run that ended without an error, as the output
// has it.
func (r *Run) StatusWord(d *Delivery) string { return r.statusWord(d, r.end(d, nil).Status) }

// statusWord returns the final status for the output.
func (r *Run) statusWord(d *Delivery, status exit.Status) string {
	if d == nil {
		return status.String()
	}
	switch s := d.State; {
	case d.Planned && status == exit.Done:
		return "planned"
	case d.Unchanged && status == exit.Done:
		return "unchanged"
	case d.Applied > 0 && status == exit.Done:
		return "applied"
	case s.Phase == rollout.PhasePaused:
		return "paused"
	case d.Asked && (s.Phase == "" || slices.Contains([]string{inputs.CommandStatus, inputs.CommandHistory}, r.Cfg.Command)):
		return status.String()
	case d.unserved():
		return status.String()
	case s.Phase == rollout.PhaseAborted && status == exit.Done && (s.Reverted || s.Undone):
		return "rolled-back"
	case s.Phase == rollout.PhaseAborted:
		return "aborted"
	case s.Phase == rollout.PhasePromoted:
		return "promoted"
	}
	return status.String()
}
