// Package result is what became of a release of several members: its report, its
// summary, its outputs and its status, from one value.
package result

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// File is the report of a release of several members, in the report folder.
const File = "deployment-group-report.json"

// A Report is the result of a group: what each member's own report says, in short.
type Report struct {
	SchemaVersion   int            `json:"schema_version"`
	Status          string         `json:"status"` // see report.Result
	Outcome         string         `json:"outcome"`
	ExitCode        int            `json:"exit_code"`
	Reason          string         `json:"reason,omitempty"`
	Hint            string         `json:"hint,omitempty"`
	Group           string         `json:"group"` // the run that started it
	RunID           string         `json:"run_id"`
	RunURL          string         `json:"run_url,omitempty"`
	Order           string         `json:"order"`
	OnFailure       fleet.Policy   `json:"on_failure"`
	CompletedAt     time.Time      `json:"completed_at"`
	DurationSeconds report.Seconds `json:"duration_seconds"`
	FailedRequests  int64          `json:"failed_requests"`
	TotalRequests   int64          `json:"total_requests"`
	RolledBack      bool           `json:"rolled_back"`
	Members         []Member       `json:"members"`
}

// A Member is what became of one member.
type Member struct {
	Name            string      `json:"name"`
	Cluster         string      `json:"cluster,omitempty"`
	Wave            int         `json:"wave"` // from 1
	Namespace       string      `json:"namespace"`
	Deployment      string      `json:"deployment"`
	Status          string      `json:"status"` // the word that a single release would have
	Phase           fleet.Phase `json:"phase"`
	ExitCode        int         `json:"exit_code"`
	Reason          string      `json:"reason,omitempty"`
	Image           string      `json:"image"` // that serves
	PreviousImage   string      `json:"previous_image,omitempty"`
	FailedRequests  int64       `json:"failed_requests"`
	TotalRequests   int64       `json:"total_requests"`
	DurationSeconds float64     `json:"duration_seconds"`
	OverheadSeconds float64     `json:"overhead_seconds"`
	RolledBack      bool        `json:"rolled_back"`
	Report          string      `json:"report,omitempty"` // the path of its own report

	// Ended is the status behind ExitCode.
	Ended exit.Status `json:"-"`
}

// severity orders the exit statuses of members, the worst one last: one whose state
// is unknown, one that could not be run, one that went back, one that waits.
var severity = []exit.Status{exit.Done, exit.GateRefused, exit.Aborted, exit.CouldNotRun, exit.BadInput, exit.AbortFailed}

// Worse returns the worse one of two statuses.
func Worse(a, b exit.Status) exit.Status {
	if slices.Index(severity, b) > slices.Index(severity, a) {
		return b
	}
	return a
}

// Words are the status of a member that ended in a phase.
var Words = map[fleet.Phase]string{
	fleet.Waiting: "not-started", fleet.Left: "left", fleet.Warm: "promoted", fleet.Done: "promoted", fleet.Unchanged: "unchanged", fleet.Back: "aborted",
	fleet.Refused: "failed", fleet.Paused: "paused", fleet.Failed: "abort-failed",
}

// Outputs returns the action's outputs.
func (r Report) Outputs(path string) map[string]string {
	all, err := json.Marshal(r.Members)
	if err != nil {
		all = nil // its fields are all texts and numbers
	}
	overhead := 0.0
	var images, previous []string
	for _, m := range r.Members {
		overhead = max(overhead, m.OverheadSeconds)
		images, previous = append(images, m.Image), append(previous, m.PreviousImage)
	}
	phase := ""
	if len(r.Members) > 0 {
		phase = string(r.Members[0].Phase)
		for _, m := range r.Members {
			if string(m.Phase) != phase {
				phase = "Mixed"
			}
		}
	}
	return map[string]string{
		"status": r.Outcome, "phase": phase, "image": strings.Join(images, "\n"), "previous-image": strings.Join(previous, "\n"),
		"failed-requests": strconv.FormatInt(r.FailedRequests, 10), "total-requests": strconv.FormatInt(r.TotalRequests, 10),
		"duration-seconds": strconv.FormatFloat(time.Duration(r.DurationSeconds).Seconds(), 'f', 3, 64), "overhead-seconds": strconv.FormatFloat(overhead, 'f', 3, 64),
		"rolled-back": strconv.FormatBool(r.RolledBack), "report": path, "members": string(all),
	}
}

// Text is the result for the log.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Group %s: %s, %d of %d requests failed, took %s\n", r.Group, r.Outcome, r.FailedRequests, r.TotalRequests, r.DurationSeconds)
	for _, m := range r.Members {
		fmt.Fprintf(&b, "  %-24s wave %d  %-12s %d of %d failed, overhead %.1fs  %s  %s\n", m.Name, m.Wave, m.Status, m.FailedRequests, m.TotalRequests, m.OverheadSeconds, m.Image, m.Reason)
	}
	if r.Reason != "" {
		fmt.Fprintf(&b, "Reason: %s\n", r.Reason)
	}
	return b.String()
}

// Markdown is the result for the step's summary.
func (r Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Group %s: %s\n\n", report.Plain(r.Group), r.Outcome)
	fmt.Fprintf(&b, "%d of %d requests failed. Took %s.\n\n", r.FailedRequests, r.TotalRequests, r.DurationSeconds)
	b.WriteString("| Member | Wave | Status | Failed | Requests | Overhead | Image | Reason |\n|---|---|---|---|---|---|---|---|\n")
	for _, m := range r.Members {
		fmt.Fprintf(&b, "| %s | %d | %s | %d | %d | %.1f s | %s | %s |\n", cell(m.Name), m.Wave, m.Status, m.FailedRequests, m.TotalRequests, m.OverheadSeconds, cell(m.Image), cell(m.Reason))
	}
	if r.Reason != "" {
		fmt.Fprintf(&b, "\n%s\n", cell(r.Reason))
	}
	if r.Hint != "" {
		fmt.Fprintf(&b, "\n%s\n", cell(r.Hint))
	}
	return b.String()
}

// cell escapes text for a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(report.Plain(text))
}
