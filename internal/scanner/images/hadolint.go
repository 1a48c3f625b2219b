package images

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// Hadolint checks Dockerfiles, and the shell in them.
//
// It runs away from the workspace and with a configuration of its own, so neither
// a .hadolint.yaml nor a comment "hadolint ignore=" hides anything.
type Hadolint struct{}

// About describes it.
func (Hadolint) About() scanner.About {
	return scanner.About{
		Name: "hadolint", Class: finding.ClassConfig, Does: "mistakes in Dockerfiles", Tool: "hadolint", Time: 2 * time.Minute,
	}
}

// dockerfiles returns the Dockerfiles of the tree.
func dockerfiles(tree scanner.Tree) []string {
	return files(tree, func(file string) bool { return dockerfile(file) && !below(file, "node_modules", "vendor") })
}

// Applies reports whether there are Dockerfiles.
func (Hadolint) Applies(job scanner.Job) (bool, string) {
	found := dockerfiles(job.Tree)
	if len(found) == 0 {
		return false, "no Dockerfile"
	}
	return true, fmt.Sprintf("%d Dockerfile(s)", len(found))
}

// Plant is a Dockerfile that names no version of its base.
func (Hadolint) Plant() scanner.Plant {
	return scanner.Plant{
		Files: map[string]string{"Dockerfile": "FROM debian\nRUN cd /tmp && echo \"$HOME\"\n"},
		Found: func(s finding.Sighting) bool { return s.Rule == "DL3006" && s.Location.Line == 1 },
	}
}

// Commands checks all Dockerfiles at once.
func (Hadolint) Commands(job scanner.Job) ([]isolate.Command, error) {
	config := filepath.Join(job.Scratch, "hadolint.yaml")
	if err := os.WriteFile(config, []byte("ignored: []\n"), 0o600); err != nil {
		return nil, fmt.Errorf("hadolint: %w", err)
	}
	args := []string{"--format", "json", "--no-fail", "--disable-ignore-pragma", "--config", config, "--"}
	for _, file := range dockerfiles(job.Tree) {
		args = append(args, filepath.Join(job.Workspace, filepath.FromSlash(file)))
	}
	return []isolate.Command{{Args: args, Dir: job.Scratch, Reads: []string{job.Workspace, job.Scratch}}}, nil
}

// hadolintResult is one element of the JSON format. Source: formatIssue in
// src/Hadolint/Formatter/Json.hs.
type hadolintResult struct {
	Code    string `json:"code"`
	Column  int    `json:"column"`
	File    string `json:"file"`
	Level   string `json:"level"`
	Line    int    `json:"line"`
	Message string `json:"message"`
}

// Read reads the results. DL1000 says that a Dockerfile could not be parsed: then
// nothing else of it was checked.
func (Hadolint) Read(job scanner.Job, _ isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	if err := output.Whole(ran, 0); err != nil {
		return scanner.Report{}, fmt.Errorf("hadolint: %w", err)
	}
	var results []hadolintResult
	if err := output.JSON(ran.Stdout, &results); err != nil {
		return scanner.Report{}, fmt.Errorf("hadolint: %w", err)
	}
	if results == nil {
		return scanner.Report{}, errors.New("hadolint: it reported null, not a list")
	}
	report := scanner.Report{Coverage: verdict.Unknown(), Sightings: make([]finding.Sighting, 0, len(results))}
	for i, r := range results {
		if r.Code == "" || r.File == "" || r.Message == "" || r.Line < 1 {
			return scanner.Report{}, fmt.Errorf("hadolint: result %d has no code, message, file or line", i+1)
		}
		path := inside(job.Workspace, r.File)
		if r.Code == "DL1000" {
			report.Doubts = append(report.Doubts, fmt.Sprintf("%s:%d could not be parsed: %s", path, r.Line, r.Message))
			continue
		}
		report.Sightings = append(report.Sightings, finding.Sighting{
			Tool: "hadolint", Rule: r.Code, Class: finding.ClassConfig, Title: r.Message, Message: r.Message, Help: help(r.Code),
			Rating: finding.Rating{Word: r.Level}, Location: finding.Location{Path: path, Line: r.Line, Column: r.Column},
		})
	}
	return report, nil
}

// help is the page of a rule, of Hadolint or of ShellCheck in it.
func help(code string) string {
	if strings.HasPrefix(code, "SC") {
		return "https://www.shellcheck.net/wiki/" + code
	}
	return "https://github.com/hadolint/hadolint/wiki/" + code
}

// inside is a path of a report, relative to the workspace.
func inside(workspace, path string) string {
	if rel, err := filepath.Rel(workspace, path); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return filepath.ToSlash(path)
}
