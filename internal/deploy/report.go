package deploy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/redact"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// The names of the files that a run leaves, as the seed has them.
const (
	reportFile = "canary-deployment-report.json"
	logFile    = "canary-deployment.log"
)

// conclude makes all that a run says from what came of it: the report file, the
// summary, the outputs and the outcome are read off one value.
func (r *run) conclude(d *delivery, err error) (action.Result, error) {
	outcome, reason, hint := r.outcome(d, err)
	// Before it is rendered: what is escaped no longer looks like a secret.
	result := redact.Deep(r.result(d, outcome, reason, hint), r.tell.redact)
	raw, renderErr := report.JSON(result)
	path := filepath.Join(r.cfg.ReportDir, reportFile)
	if renderErr == nil {
		renderErr = os.WriteFile(path, raw, 0o644)
	}
	if renderErr != nil {
		// The cluster's state decides the outcome, but a success that
		// cannot be proven afterwards is none.
		err = errors.Join(err, fmt.Errorf("write the report: %w", renderErr))
		if outcome == exit.Done {
			outcome = exit.CouldNotRun
		}
		path = ""
	}
	r.tell.end(result)
	return action.Result{
		Status:  outcome,
		Outputs: outputsOf(result, d, outcome, path),
		Summary: report.Markdown(result),
		Hint:    hint,
	}, r.fail(outcome, reason, hint, err)
}

// fail is the error that the edge annotates: every outcome but success has one.
func (r *run) fail(outcome exit.Status, reason, hint string, err error) error {
	if outcome == exit.Done {
		return nil
	}
	if err == nil {
		err = errors.New(reason)
	}
	return &exit.Error{Status: outcome, Err: err, Hint: hint}
}

// outcome is how the run ended, in one status and one sentence.
func (r *run) outcome(d *delivery, err error) (status exit.Status, reason, hint string) {
	switch {
	case err != nil:
		status, hint = exit.Of(err)
		return status, err.Error(), hint
	case d.planned:
		return exit.Done, "only planned, as asked: nothing was changed", ""
	case d.saveErr != nil:
		return exit.AbortFailed, d.saveErr.Error(), "the cluster's record is older than what happened"
	}
	reason = d.state.Reason
	switch d.state.Phase {
	case rollout.PhasePromoted:
		return exit.Done, reason, ""
	case rollout.PhaseAborted:
		if d.state.Leftover != "" {
			hint = "the next run removes what is left: " + d.state.Leftover
		}
		return exit.Aborted, reason, hint
	case rollout.PhaseHeld:
		return exit.GateRefused, fmt.Sprintf("held at weight %d: %s", d.state.Weight, reason), "the next run puts traffic back before it starts"
	}
	return exit.AbortFailed, reason, "look at the route's weights now; the next run goes on from " + string(d.state.Stage)
}

// result is the one value that everything is said from.
func (r *run) result(d *delivery, outcome exit.Status, reason, hint string) report.Result {
	now := time.Now()
	result := report.Result{
		Status: report.StatusFailed, Environment: r.cfg.Environment, Deployment: r.cfg.Deployment, Image: r.cfg.Image,
		Steps: len(r.cfg.Steps), TrafficSteps: r.cfg.Steps, CompletedAt: now.UTC(),
		RunID: r.id.ID, RunURL: r.id.URL, Namespace: r.cfg.Namespace, Service: r.cfg.Service, Strategy: "canary",
		Outcome: string(rollout.PhasePending), ExitCode: outcome.Code(), Reason: reason, Hint: hint,
		Warnings: r.tell.warned(), Events: r.tell.told(),
	}
	if outcome == exit.Done {
		result.Status = report.StatusSuccess
	}
	took := now.Sub(r.started)
	result.TotalDuration = int(took.Round(time.Second).Seconds())
	result.DurationSeconds = report.Seconds(took)
	if d == nil {
		result.OverheadSeconds = report.Seconds(took)
		return result
	}
	found := d.found.Record
	result.Deployment, result.Service, result.PreviousImage = found.Deployment, found.Service, found.Stable.Image
	result.Route = "HTTPRoute/" + found.Routes[0].Name
	if d.planned {
		result.OverheadSeconds = report.Seconds(took)
		return result
	}
	result.Outcome = string(d.state.Phase)
	result.RolledBack = d.state.Phase == rollout.PhaseAborted && d.state.Written
	result.Held = d.state.Phase == rollout.PhaseHeld
	result.ImageDigests = found.Stable.Digests
	if d.state.Phase == rollout.PhasePromoted {
		result.ImageDigests = d.proof.Digests
		result.Pods = podsOf(d.proof)
	}
	result.Warnings = append(result.Warnings, d.state.Unconfirmed...)
	if f := d.failure; f != nil {
		result.PodFailure = &report.PodFailure{Pod: f.Pod, Reason: f.Reason, Message: f.Message, LastLogLines: f.LastLogLines}
	}
	d.traffic.describe(&result)
	result.OverheadSeconds = result.DurationSeconds - result.DwellSeconds
	return result
}

func podsOf(p kube.Proof) []report.Pod {
	var pods []report.Pod
	for _, after := range p.After {
		pod := report.Pod{Name: after.Name, UID: after.UID, RestartsAfter: int(after.Restarts)}
		for _, before := range p.Before {
			if before.UID == after.UID {
				pod.RestartsBefore = int(before.Restarts)
			}
		}
		pods = append(pods, pod)
	}
	return pods
}

// describe adds what the answers showed.
func (t *traffic) describe(r *report.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	total := t.tally.Total()
	r.TotalRequests, r.FailedRequests = total.Total(), total.Failed()
	stats := t.stream.Stats()
	r.UnsentRequests = int64(stats.Missed)
	if r.FailedRequests > 0 && r.Outcome == string(rollout.PhasePromoted) {
		r.Warnings = append(r.Warnings, fmt.Sprintf("this release was not without failures: %d of %d requests failed", r.FailedRequests, r.TotalRequests))
	}
	if stats.Undelivered > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d answers came faster than they could be counted", stats.Undelivered))
	}
	if t.why != "" && t.counters != nil {
		r.Warnings = append(r.Warnings, "answers carry no version ("+t.why+"): the gateway's counters were read instead, and latency was not compared")
	} else if t.why != "" {
		r.Warnings = append(r.Warnings, "the weights could not be confirmed by answers: "+t.why)
	}
	for _, w := range t.weights {
		r.Weights = append(r.Weights, report.WeightAt{At: w.At.UTC(), Weight: w.Weight})
	}
	for _, s := range t.steps {
		c := t.since(s)
		step := report.Step{
			Weight: s.Weight, StartedAt: s.WrittenAt.UTC(), Dwell: report.Seconds(s.Dwell),
			AcceptedAfter: report.Seconds(s.Accepted), ObservedAfter: report.Seconds(s.Observed),
			Requests: report.VersionCounts{
				Counts: report.Counts{Total: c.Total(), Failed: c.Failed()},
				Stable: countsOf(c.Stable), Canary: countsOf(c.Canary), Unknown: countsOf(c.Unattributed),
			},
			Latency: report.Latencies{Stable: latencyOf(c.Stable), Canary: latencyOf(c.Canary)},
			Verdict: string(s.Verdict.Verdict), Reason: s.Verdict.Reason, Confirmation: report.Unconfirmed,
			Findings: s.Verdict.Findings, Measured: s.Verdict.Measured, Score: s.Verdict.Score,
		}
		r.Warnings = append(r.Warnings, s.Verdict.Warnings...)
		if s.Name == promotionStep {
			step.Reason = "the promotion: hand-over, return of the route, selectors"
		}
		if s.Confirmed {
			p := s.Split
			share, interval := p.Share(), [2]float64{float64(p.Lo) / float64(p.N), float64(p.Hi) / float64(p.N)}
			step.Confirmation, step.ObservedShare, step.Interval = report.Confirmed, &share, &interval
			step.ConfirmedBy = fmt.Sprintf("%d answers by %s", p.N, t.evidence())
		}
		if s.Name == promotionStep {
			step.Name, step.Confirmation = s.Name, ""
		}
		r.StepRecords = append(r.StepRecords, step)
		r.DwellSeconds += step.Dwell
	}
}

func countsOf(c probe.SideCounts) report.Counts {
	return report.Counts{Total: c.Total, Failed: c.Failed}
}

func latencyOf(c probe.SideCounts) *report.Latency {
	if c.Latency.Len() == 0 {
		return nil
	}
	ms := func(q float64) float64 { return float64(c.Latency.Quantile(q).Microseconds()) / 1000 }
	return &report.Latency{P50: ms(.50), P95: ms(.95), P99: ms(.99)}
}

// outputsOf are the action's outputs, each from the result.
func outputsOf(r report.Result, d *delivery, outcome exit.Status, path string) map[string]string {
	number := func(s report.Seconds) string {
		return strconv.FormatFloat(time.Duration(s).Seconds(), 'f', 3, 64)
	}
	out := map[string]string{
		"status":           statusWord(r, d, outcome),
		"image":            r.PreviousImage,
		"previous-image":   r.PreviousImage,
		"failed-requests":  fmt.Sprint(r.FailedRequests),
		"total-requests":   fmt.Sprint(r.TotalRequests),
		"duration-seconds": number(r.DurationSeconds),
		"overhead-seconds": number(r.OverheadSeconds),
		"rolled-back":      fmt.Sprint(r.RolledBack),
		"report":           path,
	}
	if r.Outcome == string(rollout.PhasePromoted) {
		out["image"] = r.Image
	}
	return out
}

func statusWord(r report.Result, d *delivery, outcome exit.Status) string {
	switch {
	case d != nil && d.planned && outcome == exit.Done:
		return "planned"
	case outcome == exit.Done:
		return "promoted"
	case r.Held:
		return "held"
	}
	return outcome.String()
}
