package preview

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
	"github.com/candlefish/deploy-action/internal/preview/result"
	"github.com/candlefish/deploy-action/internal/redact"
)

// reportFile is the name of the report in report-dir.
const reportFile = "pr-preview-report.json"

// conclude derives outputs, summary, report and error from one result.
func (s *session) conclude(r result.Result, err error) (action.Result, error) {
	// Redact before rendering: an escaped secret is not recognized any more.
	r = redact.Deep(r, s.a.Redact)
	path, reportErr := s.writeReport(r)
	outputs, encodeErr := outputsOf(r, err)
	outputs["report"] = path
	out := action.Result{Outputs: outputs}
	if err == nil && r.Goal != "" {
		out.Summary = result.Summary(r, s.runID)
		if !s.a.OnRunner() {
			s.a.Print(out.Summary)
		}
	}
	if r.Superseded != "" {
		s.a.Annotate(action.Annotation{Level: action.Notice, Title: "pr-preview", Message: "superseded: " + r.Superseded})
	}
	for _, w := range r.Warnings {
		s.a.Annotate(action.Annotation{Level: action.Warning, Title: "pr-preview", Message: w})
	}
	if err == nil {
		err = failureOf(r)
	}
	return out, errors.Join(err, reportErr, encodeErr)
}

func outputsOf(r result.Result, runErr error) (map[string]string, error) {
	outputs := map[string]string{
		"status": statusOf(r, runErr), "comment-url": r.CommentURL, "remaining": strings.Join(remaining(r), "\n"),
	}
	if r.Goal != result.GoalDown && r.Superseded == "" { // otherwise there is no deploy of this run
		outputs["deploy-id"] = r.Frontend.ID
	}
	if r.Frontend.Status == result.StatusReady {
		outputs["url"] = r.Frontend.URL
	}
	if r.API.Status == result.StatusReady {
		outputs["api-url"] = r.API.URL
	}
	if len(r.Outputs) == 0 {
		return outputs, nil
	}
	raw, err := json.Marshal(r.Outputs)
	outputs["stack-outputs"] = string(raw)
	return outputs, err
}

// remaining lists what should be gone and is not.
func remaining(r result.Result) []string {
	var left []string
	for _, p := range r.Failed() {
		if p.Status == result.StatusRemaining {
			left = append(left, p.Name+": "+p.Detail)
		}
	}
	return left
}

// failureOf returns the error of a run whose parts failed, nil if none did.
func failureOf(r result.Result) error {
	var parts []error
	for _, p := range r.Failed() {
		parts = append(parts, fmt.Errorf("%s: %s: %s", p.Name, p.Status, p.Detail))
	}
	if r.CommentError != "" {
		parts = append(parts, fmt.Errorf("the comment was not written: %s", r.CommentError))
	}
	if len(parts) == 0 {
		return nil
	}
	return &exit.Error{Status: exit.CouldNotRun, Err: errors.Join(parts...), Hint: "run it again: completed work is not repeated"}
}

// statusOf is the output status.
func statusOf(r result.Result, err error) string {
	failed := r.Failed()
	is := func(s result.Status) bool { return r.Frontend.Status == s || r.API.Status == s }
	switch {
	case err != nil:
		status, _ := exit.Of(err)
		return status.String()
	case r.Superseded != "":
		return "superseded"
	case (len(failed) > 0 || r.CommentError != "") && (is(result.StatusReady) || is(result.StatusRemoved)):
		return "partial"
	case len(failed) > 0:
		return "failed"
	case r.Goal == result.GoalDown && is(result.StatusRemoved):
		return "removed"
	case r.Goal == result.GoalDown || is(result.StatusAbsent):
		return "nothing"
	}
	return "ready"
}

// concludeSweep is conclude for a sweep.
func (s *session) concludeSweep(swept reconcile.SweepResult, err error) (action.Result, error) {
	path, reportErr := s.writeReport(swept)
	left := sweepRemaining(swept)
	out := action.Result{Summary: sweepSummary(s.key.Repository, swept),
		Outputs: map[string]string{"status": "swept", "remaining": strings.Join(left, "\n"), "report": path}}
	if err != nil {
		out.Outputs["status"] = "failed"
	}
	if !s.a.OnRunner() {
		s.a.Print(out.Summary)
	}
	if err == nil && len(left) > 0 {
		err = errors.New(strings.Join(left, "\n"))
	}
	return out, errors.Join(err, reportErr)
}

// sweepRemaining lists what a sweep could not remove.
func sweepRemaining(swept reconcile.SweepResult) []string {
	var left []string
	for _, orphan := range swept.Orphans {
		if orphan.Error != "" {
			left = append(left, fmt.Sprintf("#%d: %s", orphan.Number, orphan.Error))
		}
		if orphan.Removed == nil {
			continue
		}
		for _, p := range orphan.Removed.Failed() {
			left = append(left, fmt.Sprintf("#%d %s: %s", orphan.Number, p.Name, p.Detail))
		}
		if said := orphan.Removed.CommentError; said != "" {
			left = append(left, fmt.Sprintf("#%d: the comment was not written: %s", orphan.Number, said))
		}
	}
	return left
}

func sweepSummary(repository string, swept reconcile.SweepResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Sweep of the previews of %s\n\nPreviews that are still needed: %d.\n\n", repository, swept.Kept)
	for _, orphan := range swept.Orphans {
		fmt.Fprintf(&b, "- #%d: %s; %s\n", orphan.Number, orphan.Why, outcomeOf(orphan, swept.DryRun))
	}
	for _, f := range swept.Foreign {
		fmt.Fprintf(&b, "- left alone: %s\n", f)
	}
	return b.String()
}

// outcomeOf says what became of one orphan.
func outcomeOf(o reconcile.Orphan, dryRun bool) string {
	switch {
	case dryRun:
		return "would be removed"
	case o.Error != "":
		return "not removed: " + o.Error
	case o.Removed == nil || o.Removed.Superseded != "":
		return "kept"
	case len(o.Removed.Failed()) > 0:
		return "not gone"
	}
	return "removed"
}

// makeReportDir makes the folder of the report, and looks whether a file can be written there:
// after the run it is too late to say that it cannot.
func (s *session) makeReportDir() error {
	dir := s.v.String("report-dir")
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(dir, ".pr-preview-report-*"); err == nil {
			err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
	}
	if err != nil {
		return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("report-dir: %w", err)}
	}
	return nil
}

// writeReport writes the JSON report and returns its path.
func (s *session) writeReport(value any) (string, error) {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.v.String("report-dir"), reportFile)
	if err := os.WriteFile(path, []byte(s.a.Redact(string(raw))+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("write the report: %w", err)
	}
	return path, nil
}
