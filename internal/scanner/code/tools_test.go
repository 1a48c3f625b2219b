package code

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/conform"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/realtool"
	"github.com/candlefish/deploy-action/internal/toolbox"
	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

// runESLint runs the installed ESLint, isolated, and returns how it ended.
func runESLint(t *testing.T, tool toolbox.Tool, job scanner.Job) isolate.Ran {
	t.Helper()
	commands, err := ESLint{}.Commands(job)
	if err != nil || len(commands) != 1 {
		t.Fatalf("%d commands, %v", len(commands), err)
	}
	box, err := isolate.Open(job.Workspace, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := commands[0]
	c.Program, c.Args, c.Memory = tool.Program, append(slices.Clone(tool.Args), c.Args...), ESLint{}.About().Memory
	c.Reads = append(c.Reads, tool.Reads...)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	return box.Run(ctx, c)
}

func TestESLintItself(t *testing.T) {
	t.Parallel()
	tool := toolboxtest.Need(t, "eslint")["eslint"]

	job := realtool.Job(t, eslintWorkspace)
	checkESLintReport(t, job, runESLint(t, tool, job))
	if _, err := os.Stat(filepath.Join(job.Workspace, "ran")); err == nil {
		t.Error("the repository's configuration was run")
	}

	planted := realtool.Planted(t, ESLint{}, job)
	r, err := ESLint{}.Read(planted, asked("planted.ts"), runESLint(t, tool, planted))
	if err != nil || !slices.ContainsFunc(r.Sightings, ESLint{}.Plant().Found) || len(r.Doubts) > 0 {
		t.Errorf("the plant was not found: %v, %+v", err, r)
	}
}

func TestAdaptersTakeNothingButWholeReports(t *testing.T) {
	t.Parallel()
	job := scanner.Job{Workspace: "/workspace"}
	for _, c := range []conform.Case{
		{Program: ESLint{}, Job: job, Command: asked("src/page.js"), Report: recorded(t, "eslint.json"), Status: 1},
		{Program: Semgrep{}, Job: job, Report: recorded(t, "semgrep.json")},
		{Program: CodeQL{}, Job: job, Command: analyze, Report: recorded(t, "codeql.sarif")},
	} {
		c.Read(t)
		c.Refuses(t)
	}
}

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
