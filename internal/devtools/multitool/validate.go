package multitool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Validate validates a file by the JSON schema of SARIF and by the rules of the tool.
// It returns what it finds at level error; below that it has opinions on style, several
// about every result.
func (t *Tool) Validate(ctx context.Context, file string) (faults []string, err error) {
	dir, err := os.MkdirTemp("", "multitool")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	report := filepath.Join(dir, "report.sarif")
	said, runErr := t.Command(ctx, "validate", file, "--output", report, "--log", "ForceOverwrite", "--level", "Error", "--kind", "Fail", "--max-file-size-in-kb", "1000000", "--rule-kind", "Sarif;Ghas").CombinedOutput()
	raw, err := os.ReadFile(report)
	if err != nil {
		return nil, fmt.Errorf("sarif-multitool validate: %w: %s", errors.Join(runErr, err), said)
	}
	return read(raw, said)
}

// read reads the report. The tool's own failures are faults too.
func read(raw, said []byte) (faults []string, err error) {
	type message struct {
		Text      string
		ID        string
		Arguments []string
	}
	type notification struct {
		Level   string
		Message message
	}
	var log struct {
		Runs []struct {
			Results []struct {
				RuleID  string
				Level   string
				Message message
			}
			Invocations []struct {
				ExecutionSuccessful            bool
				ToolExecutionNotifications     []notification
				ToolConfigurationNotifications []notification
			}
		}
	}
	if err := json.Unmarshal(raw, &log); err != nil {
		return nil, fmt.Errorf("the report of sarif-multitool: %w", err)
	}
	if len(log.Runs) != 1 || len(log.Runs[0].Invocations) != 1 {
		return nil, fmt.Errorf("the report of sarif-multitool has no run: %s", said)
	}
	run := log.Runs[0]
	for _, r := range run.Results {
		if r.Level == "error" {
			faults = append(faults, fmt.Sprint(r.RuleID, " ", r.Message.ID, " ", r.Message.Arguments, r.Message.Text))
		}
	}
	for _, n := range slices.Concat(run.Invocations[0].ToolExecutionNotifications, run.Invocations[0].ToolConfigurationNotifications) {
		if n.Level == "error" {
			faults = append(faults, n.Message.Text)
		}
	}
	if !run.Invocations[0].ExecutionSuccessful && len(faults) == 0 {
		faults = []string{"the tool says that its run was not successful: " + string(said)}
	}
	return faults, nil
}
