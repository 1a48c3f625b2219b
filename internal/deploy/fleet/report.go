package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/deploy/fleet/result"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// conclude builds the result of the run: report file, summary, outputs and status.
func (f *Fleet) conclude(err error) (action.Result, error) {
	r := resultOf(f, err)
	r = action.Clean(f.base.Action, r)
	res := action.Result{Status: exit.Status(r.ExitCode), Hint: r.Hint, Summary: r.Markdown()}
	path := filepath.Join(f.base.Cfg.ReportDir, result.File)
	raw, writeErr := json.MarshalIndent(r, "", "  ")
	if writeErr == nil {
		writeErr = os.WriteFile(path, append(raw, '\n'), 0o644)
	}
	if writeErr != nil {
		path = ""
		err = errors.Join(err, fmt.Errorf("write the report: %w", writeErr))
		res.Status = result.Worse(res.Status, exit.CouldNotRun)
	}
	f.base.Console.End()
	f.base.Print(r.Text())
	res.Outputs = r.Outputs(path)
	if res.Status == exit.Done {
		return res, nil
	}
	if err == nil {
		err = errors.New(r.Reason)
	}
	return res, &exit.Error{Status: res.Status, Err: err, Hint: r.Hint}
}

// resultOf derives everything from the members' ends and the run's error.
func resultOf(f *Fleet, err error) result.Report {
	r := result.Report{SchemaVersion: 1, Group: f.group.ID, RunID: f.base.ID.ID, RunURL: f.base.ID.URL, Order: "in-order", OnFailure: f.group.OnFailure,
		CompletedAt: time.Now().UTC(), DurationSeconds: report.Seconds(time.Since(f.base.Started))}
	if f.group.Together {
		r.Order = "together"
	}
	worst := exit.Done
	for _, m := range f.members {
		mr := m.Report()
		r.Members = append(r.Members, mr)
		r.FailedRequests += mr.FailedRequests
		r.TotalRequests += mr.TotalRequests
		r.RolledBack = r.RolledBack || mr.RolledBack
		worst = result.Worse(worst, mr.Ended)
	}
	f.mu.Lock()
	state := f.state
	f.mu.Unlock()
	switch {
	case err != nil:
		var status exit.Status
		status, r.Hint = exit.Of(err)
		worst, r.Reason = result.Worse(worst, status), err.Error()
	case state.Failure != "":
		r.Reason = why(state.Failure, r.Members)
		if worst == exit.Done && !f.base.Cfg.GoesBack() {
			worst = exit.Aborted
		}
	case state.Pause != "":
		r.Reason, worst = state.Pause, pausedStatus(f, worst)
	}
	r.Outcome = outcome(f, worst, state)
	r.ExitCode, r.Status = worst.Code(), report.StatusFailed
	if worst == exit.Done {
		r.Status = report.StatusSuccess
	}
	if r.Hint == "" {
		r.Hint = hint(f)
	}
	return r
}

// why returns the reason why a group went back, with that of each member that could
// not: "rollback by run 7" alone explains no failure.
func why(failure string, members []result.Member) string {
	for _, m := range members {
		if (m.Phase == fleet.Refused || m.Phase == fleet.Failed) && m.Reason != "" && !strings.Contains(failure, m.Reason) {
			failure += fmt.Sprintf("; %s: %s", m.Name, m.Reason)
		}
	}
	return failure
}

// pausedStatus returns the status of a group that stopped where it is: a member that
// was left warm for it did nothing wrong.
func pausedStatus(f *Fleet, worst exit.Status) exit.Status {
	status := exit.Done
	for _, m := range f.members {
		if s := m.Status().Phase; s != fleet.Warm {
			status = result.Worse(status, m.Report().Ended)
		}
	}
	if worst == exit.AbortFailed {
		return worst
	}
	return status
}

// outcome returns the group's status in one word.
func outcome(f *Fleet, worst exit.Status, s fleet.State) string {
	count := map[fleet.Phase]int{}
	for _, m := range f.members {
		count[m.Status().Phase]++
	}
	n := len(f.members)
	switch {
	case f.base.Cfg.PlanOnly && worst == exit.Done:
		return "planned"
	case f.base.Cfg.Command == inputs.CommandStatus, worst == exit.AbortFailed, worst == exit.CouldNotRun, worst == exit.BadInput:
		return worst.String()
	case s.Pause != "" && s.Failure == "":
		return "paused"
	case n == count[fleet.Unchanged]:
		return "unchanged"
	case worst == exit.Done && n == count[fleet.Done]+count[fleet.Unchanged]:
		return "promoted"
	case worst == exit.Done && (s.Failure != "" || f.base.Cfg.GoesBack() && count[fleet.Back] > 0):
		return "rolled-back"
	case s.Failure != "":
		return "aborted"
	}
	return worst.String()
}

// hint returns what to type about what is left.
func hint(f *Fleet) string {
	left := false
	for _, m := range f.members {
		p := m.Status().Phase
		left = left || p == fleet.Left || p == fleet.Warm || p == fleet.Paused || p == fleet.Failed
	}
	if !left {
		return ""
	}
	return fmt.Sprintf("the group is not finished; to see it, type: %s; to go on: %s; to go back: %s", command(f, "status"), command(f, "resume"), command(f, "rollback"))
}
