// Package realtool runs the real program of a scanner in tests, isolated as in a
// scan: what an adapter asks for must be enough, and what it reads must be there.
package realtool

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/toolbox"
)

// Job returns a job on a new workspace with files.
func Job(t testing.TB, files map[string]string) scanner.Job {
	t.Helper()
	job := scanner.Job{
		Workspace: t.TempDir(), Scratch: t.TempDir(), Cache: t.TempDir(), Settings: map[string]string{},
		Hash: finding.NewHasher(make([]byte, 32)), Now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC),
	}
	for name, content := range files {
		path := filepath.Join(job.Workspace, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		job.Tree.Files = append(job.Tree.Files, name)
	}
	slices.Sort(job.Tree.Files)
	return job
}

// Planted returns the job of a scanner's plant, with the cache and the settings of
// another job.
func Planted(t testing.TB, s scanner.Scanner, of scanner.Job) scanner.Job {
	t.Helper()
	p := s.Plant()
	job := Job(t, p.Files)
	job.Images, job.Planted = p.Images, true
	job.Cache, job.Settings, job.Offline, job.Now, job.Secret = of.Cache, of.Settings, of.Offline, of.Now, of.Secret
	return job
}

// Scan runs all commands of a scanner by a tool and returns their reports, joined,
// or the error of the first that could not be read.
func Scan(t testing.TB, p scanner.Program, tool toolbox.Tool, job scanner.Job) (scanner.Report, error) {
	t.Helper()
	commands, err := p.Commands(job)
	if err != nil {
		return scanner.Report{}, err
	}
	sandbox, err := isolate.Open(job.Workspace, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var all scanner.Report
	for _, c := range commands {
		c.Program, c.Args, c.Reads = tool.Program, slices.Concat(tool.Args, c.Args), slices.Concat(tool.Reads, c.Reads)
		report, err := p.Read(job, c, sandbox.Run(ctx, c))
		if err != nil {
			return scanner.Report{}, err
		}
		all.Sightings = append(all.Sightings, report.Sightings...)
		all.Doubts, all.Notes = append(all.Doubts, report.Doubts...), append(all.Notes, report.Notes...)
		if all.Coverage == (scanner.Report{}).Coverage {
			all.Coverage = report.Coverage
		}
		if !report.Database.IsZero() {
			all.Database = report.Database
		}
	}
	return all, nil
}
