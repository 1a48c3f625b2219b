// Package anysarif takes the results of any other tool from its SARIF file.
//
// The tool ran elsewhere, so there is nothing to plant, and what it did not see is
// known only as far as its file says.
package anysarif

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/sarif"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/place"
)

// Files reads the SARIF files of a job. A file that cannot be read whole is an error:
// what it would have said is not known.
type Files struct{}

// About implements scanner.Scanner.
func (Files) About() scanner.About {
	return scanner.About{Name: "sarif", Class: finding.ClassCode, Does: "results of other tools", Time: 5 * time.Minute}
}

// Applies implements scanner.Scanner.
func (Files) Applies(job scanner.Job) (bool, string) {
	if len(job.SARIF) == 0 {
		return false, "no SARIF file was given"
	}
	return true, fmt.Sprintf("%d SARIF files", len(job.SARIF))
}

// Plant implements scanner.Scanner.
func (Files) Plant() scanner.Plant {
	return scanner.Plant{Without: "the tools ran elsewhere, and their reports are read"}
}

// Scan implements scanner.Check.
func (Files) Scan(ctx context.Context, job scanner.Job) (scanner.Report, error) {
	report := scanner.Report{Coverage: verdict.Unknown()}
	for _, name := range job.SARIF {
		if err := ctx.Err(); err != nil {
			return scanner.Report{}, err
		}
		if err := read(&report, job, name); err != nil {
			return scanner.Report{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	place.Lines(job.Workspace, report.Sightings)
	return report, nil
}

func read(report *scanner.Report, job scanner.Job, name string) error {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(job.Workspace, path)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	log, err := sarif.Read(file, sarif.Options{Workspace: job.Workspace, Hash: job.Hash})
	if err != nil {
		return err
	}
	if len(log.Runs) == 0 {
		report.Doubts = append(report.Doubts, name+" has no run: no tool reported")
	}
	for _, run := range log.Runs {
		report.Sightings = append(report.Sightings, run.Sightings...)
		of := fmt.Sprintf("%s of %s", name, output.Cut(cmp.Or(run.Tool, "a tool without a name"), 60))
		for _, d := range run.Doubts {
			report.Doubts = append(report.Doubts, of+": "+d)
		}
		report.Notes = append(report.Notes, fmt.Sprintf("%s: %d results", strings.TrimSpace(of+" "+run.Version), run.Results))
	}
	return nil
}
