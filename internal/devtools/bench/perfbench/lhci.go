package perfbench

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/budget/budgetfile"
)

// lhciPeer is the lock file of lighthouse-ci.
//
//go:embed lhci/package.json lhci/package-lock.json
var lhciPeer embed.FS

// lhciLimit is how long one step of lighthouse-ci may take: its installation is the
// longest.
const lhciLimit = 5 * time.Minute

// LHCI holds the same assertions against the same reports by `lhci assert` and by the
// gate, with each aggregation, and prints both decisions. A difference that it cannot
// explain is an error.
func LHCI(ctx context.Context, out io.Writer) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	tool := filepath.Join(cache, "candlefish-deploy-action", "lhci")
	if err := installLHCI(ctx, tool); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "perfbench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var strange []error
	for _, set := range reportSets() {
		result, err := compareSet(ctx, tool, filepath.Join(dir, set.name), set)
		if err != nil {
			return fmt.Errorf("reports %s: %w", set.name, err)
		}
		fmt.Fprint(out, result.markdown())
		strange = append(strange, result.strange...)
	}
	return errors.Join(strange...)
}

// installLHCI installs lighthouse-ci from its lock file. What an earlier run with the
// same lock file left is used again.
func installLHCI(ctx context.Context, dir string) error {
	lock, err := lhciPeer.ReadFile("lhci/package-lock.json")
	if err != nil {
		return err
	}
	mark := filepath.Join(dir, "installed.json")
	if before, err := os.ReadFile(mark); err == nil && slices.Equal(before, lock) {
		return nil
	}
	about, err := lhciPeer.ReadFile("lhci/package.json")
	if err != nil {
		return err
	}
	err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "package.json"), about, 0o644), os.WriteFile(filepath.Join(dir, "package-lock.json"), lock, 0o644))
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, lhciLimit)
	defer stop()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci of lighthouse-ci: %w: %s", err, said)
	}
	return os.WriteFile(mark, lock, 0o644)
}

// A decision is what one of both says of one limit.
type decision struct {
	state budget.State
	value float64 // aggregated, if there is one
}

// A decisions has them by "AUDIT.PROPERTY ASSERTION".
type decisions map[string]decision

// assertWith holds assertions against the reports in dir by lighthouse-ci.
func assertWith(ctx context.Context, tool, dir string) (decisions, time.Duration, error) {
	ctx, stop := context.WithTimeout(ctx, lhciLimit)
	defer stop()
	cmd := exec.CommandContext(ctx, "node", filepath.Join(tool, "node_modules", "@lhci", "cli", "src", "cli.js"), "assert", "--config="+rcFile)
	cmd.Dir = dir
	began := time.Now()
	said, err := cmd.CombinedOutput()
	took := time.Since(began)
	var failed *exec.ExitError
	if err != nil && (!errors.As(err, &failed) || !strings.Contains(string(said), "Assertion failed")) {
		return nil, 0, fmt.Errorf("lhci assert: %w: %s", err, said)
	}
	raw, err := os.ReadFile(filepath.Join(dir, ".lighthouseci", "assertion-results.json"))
	if err != nil {
		return nil, 0, err
	}
	var results []struct {
		Name, AuditID, AuditProperty string
		Passed                       bool
		Actual                       *float64 // null for a NaN
	}
	if err := json.Unmarshal(raw, &results); err != nil {
		return nil, 0, err
	}
	all := decisions{}
	for _, r := range results {
		d := decision{state: budget.Failed}
		switch {
		case r.Passed:
			d.state = budget.Met
		case r.Name == "auditRan" || r.Actual == nil:
			d.state = budget.NoValue
		}
		if r.Actual != nil {
			d.value = *r.Actual
		}
		all[strings.TrimSuffix(r.AuditID+"."+r.AuditProperty, ".")+" "+r.Name] = d
	}
	return all, took, nil
}

const rcFile = "lighthouserc.json"

// lhciCheck holds the assertions of the same file against the same reports by the gate.
func lhciCheck(dir string, set reportSet) (decisions, time.Duration, error) {
	raw, err := os.ReadFile(filepath.Join(dir, rcFile))
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	file, err := budgetfile.Parse(rcFile, raw, budgetfile.Options{})
	if err != nil {
		return nil, 0, err
	}
	checked := budget.Check(file.Budgets, set.run())
	took := time.Since(began)
	all := decisions{}
	for _, c := range checked {
		all[lhciName(c)] = decision{c.State(), c.Value}
	}
	return all, took, nil
}

// lhciName is a limit as lighthouse-ci names it.
func lhciName(c budget.Checked) string {
	metric := c.Budget.Metric
	if audit, ok := strings.CutSuffix(metric, budget.Score); ok {
		return audit + " minScore"
	}
	if audit, ok := strings.CutSuffix(metric, budget.Length); ok {
		return audit + " maxLength"
	}
	if slices.Contains(budget.Categories(), metric) {
		return "categories." + metric + " minScore"
	}
	parts := strings.Split(metric, ":")
	name := parts[0]
	if len(parts) > 1 {
		name += "." + strings.Join(parts[1:], ".")
	}
	return name + " maxNumericValue"
}

// agree reports whether both say the same, or else why they do not, "" if nobody
// knows.
func agree(set reportSet, aggregation budget.Aggregation, name string, theirs, ours decision) (bool, string) {
	same := theirs.state == ours.state && (ours.state == budget.NoValue || math.Abs(theirs.value-ours.value) <= 1e-9)
	audit, assertion, _ := strings.Cut(name, " ")
	switch {
	case same:
		return true, ""
	case aggregation == budget.MedianRun && strings.HasPrefix(name, "categories."):
		return false, "lighthouse-ci takes the best score of all rounds"
	case assertion == "maxLength" && set.failed[audit]:
		return false, "to lighthouse-ci an audit that failed to run found nothing"
	}
	return false, ""
}
