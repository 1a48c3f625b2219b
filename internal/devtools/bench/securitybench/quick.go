package securitybench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/candlefish/deploy-action/internal/exit"
)

// quickGate runs the gate at level quick over this repository: all of its history,
// with the tools and the services that this machine has.
func quickGate(ctx context.Context, b *bench) (section, error) {
	gate, reports := filepath.Join(b.dir, "security-gate"), filepath.Join(b.dir, "reports")
	if said, err := exec.CommandContext(ctx, "go", "build", "-o", gate, "./actions/security-gate").CombinedOutput(); err != nil {
		return section{}, fmt.Errorf("build the gate: %w: %s", err, said)
	}
	samples := make([]row, b.rounds)
	for i := range samples {
		cmd := exec.CommandContext(ctx, gate, "--level=quick", "--compare=none", "--report-dir="+reports, "--sarif-dir="+reports)
		one, err := measure(cmd)
		var status *exec.ExitError
		if err != nil && (!errors.As(err, &status) || status.ExitCode() != int(exit.GateRefused)) {
			return section{}, err
		}
		samples[i] = one
		fmt.Fprintf(b.out, "round %d of %d done\n", i+1, b.rounds)
	}
	r := medians(samples)
	r.name = "security:quick"
	raw, err := os.ReadFile(filepath.Join(reports, "security-report.json"))
	if err != nil {
		return section{}, err
	}
	return quickSection(r, raw)
}

// quickSection says what was scanned: the time of a scan without a tool that the
// level needs says little, so those that did not do their work are named.
func quickSection(r row, raw []byte) (section, error) {
	var said struct {
		Verdict  string
		Findings []json.RawMessage
		Place    struct{ Files, Commits int }
		Needs    []struct {
			What, Why string
			Met       bool
		}
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return section{}, fmt.Errorf("read the record of the scan: %w", err)
	}
	if said.Verdict == "" || len(said.Needs) == 0 {
		return section{}, errors.New("the record of the scan has no verdict or no needs")
	}
	r.results, r.bytes = len(said.Findings), int64(len(raw))
	var lacks []string
	for _, n := range said.Needs {
		if !n.Met {
			lacks = append(lacks, n.What+" ("+n.Why+")")
		}
	}
	note := "All that the level needs was scanned."
	if len(lacks) > 0 {
		note = "Not scanned: " + strings.Join(lacks, "; ") + "."
	}
	return section{
		title: "Level quick on this repository", rows: []row{r}, notes: []string{"The verdict was: " + said.Verdict + ".", note},
		intro: fmt.Sprintf("%d files and %d commits.", said.Place.Files, said.Place.Commits),
	}, nil
}
