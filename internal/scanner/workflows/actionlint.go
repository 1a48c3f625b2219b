package workflows

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/place"
)

// Actionlint checks workflows. Most of what it finds are mistakes, and low; untrusted
// text in scripts and credentials in the file are high.
//
// The repository's .github/actionlint.yaml is not read: it can hide files and rules.
type Actionlint struct{}

// About implements scanner.Scanner.
func (Actionlint) About() scanner.About {
	return scanner.About{
		Name: "actionlint", Class: finding.ClassWorkflow, Tool: "actionlint",
		Does:   "mistakes and untrusted text in GitHub workflows",
		Memory: 2 << 30, Time: 2 * time.Minute,
	}
}

// Applies implements scanner.Scanner.
func (Actionlint) Applies(job scanner.Job) (bool, string) {
	n := len(files(job.Tree))
	if n == 0 {
		return false, "no workflow in .github/workflows"
	}
	return true, fmt.Sprintf("%d workflows", n)
}

// Plant implements scanner.Scanner.
func (Actionlint) Plant() scanner.Plant {
	return scanner.Plant{
		Files: map[string]string{plantedPath: planted},
		Found: func(s finding.Sighting) bool {
			return s.Rule == untrusted && s.Location.Path == plantedPath
		},
	}
}

// Commands implements scanner.Program. It writes an empty configuration to the
// job's scratch folder. shellcheck and pyflakes are other programs, and stay out.
func (Actionlint) Commands(job scanner.Job) ([]isolate.Command, error) {
	config := filepath.Join(job.Scratch, "actionlint.yaml")
	if err := os.WriteFile(config, []byte("self-hosted-runner:\n  labels: []\n"), 0o600); err != nil {
		return nil, err
	}
	args := []string{"-format", "{{json .}}", "-no-color", "-verbose", "-shellcheck=", "-pyflakes=", "-config-file", config, "--"}
	return []isolate.Command{{Args: append(args, files(job.Tree)...), Reads: []string{job.Scratch}}}, nil
}

type actionlintError struct {
	Message  string `json:"message"`
	Filepath string `json:"filepath"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Kind     string `json:"kind"`
	Snippet  string `json:"snippet"`
}

// Read implements scanner.Program. Status 1 is problems, 2 bad arguments, 3 a file
// that could not be read.
func (Actionlint) Read(job scanner.Job, command isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	if err := output.Whole(ran, 0, 1); err != nil {
		return scanner.Report{}, err
	}
	report := scanner.Report{Coverage: verdict.Unknown()}
	var broken []string
	err := output.List(ran.Stdout, func(p actionlintError) error {
		s, err := actionlintSighting(job.Workspace, p)
		report.Sightings = append(report.Sightings, s)
		if strings.HasPrefix(p.Message, "could not parse as YAML") {
			broken = append(broken, s.Location.Path)
		}
		return err
	})
	if err != nil {
		return scanner.Report{}, err
	}
	if n := len(report.Sightings); (n > 0) != (ran.Status == 1) {
		return scanner.Report{}, fmt.Errorf("its exit status is %d and its report has %d problems", ran.Status, n)
	}
	place.Lines(job.Workspace, report.Sightings)
	report.Coverage.FilesExpected = len(command.Args) - 1 - slices.Index(command.Args, "--")
	report.Coverage.Files = actionlintFiles(ran.Stderr, report.Coverage.FilesExpected) - len(broken)
	if text := output.Some("%d workflows could not be parsed", broken); text != "" {
		report.Doubts = append(report.Doubts, text)
	}
	return report, nil
}

// actionlintFiles is how many files actionlint says that it read: the last line of
// what it tells with -verbose is "Found 7 errors in 3 files", or "Found total 7
// errors in 0 ms for a.yml" if there is one file.
func actionlintFiles(stderr []byte, expected int) int {
	lines := bytes.Split(bytes.TrimSpace(stderr), []byte("\n"))
	last := string(lines[len(lines)-1])
	var errorsFound, files int
	if _, err := fmt.Sscanf(last, "verbose: Found %d errors in %d files", &errorsFound, &files); err == nil {
		return files
	}
	if expected == 1 && strings.HasPrefix(last, "verbose: Found total ") {
		return 1
	}
	return 0
}

// untrusted is the rule of text that others control in a script. It has no kind of its
// own in actionlint, as other mistakes in expressions have the same.
const untrusted = "expression/untrusted-input"

func actionlintSighting(workspace string, p actionlintError) (finding.Sighting, error) {
	name := place.Path(workspace, p.Filepath)
	if name == "" || p.Kind == "" {
		return finding.Sighting{}, fmt.Errorf("a problem has no kind or no path in the workspace: kind %q, path %q", p.Kind, p.Filepath)
	}
	s := finding.Sighting{
		Tool: "actionlint", Rule: p.Kind, Class: finding.ClassWorkflow,
		Title: "Mistake in a workflow: " + p.Kind, Message: p.Message,
		Help:     "https://github.com/rhysd/actionlint/blob/main/docs/checks.md",
		Rating:   finding.Rating{Word: "low"},
		Location: finding.Location{Path: name, Line: max(p.Line, 0), Column: max(p.Column, 0)},
	}
	line, _, _ := strings.Cut(p.Snippet, "\n")
	s.Location.Context = strings.TrimSpace(line)
	if kind, ok := actionlintKinds[p.Kind]; ok {
		s.Title, s.Rating.Word, s.CWE = kind.title, kind.severity, kind.cwe
	}
	switch {
	case p.Kind == "expression" && strings.Contains(p.Message, "potentially untrusted"):
		s.Rule, s.Title, s.Rating.Word, s.CWE = untrusted, "Text that others control becomes part of a script", "high", []string{"CWE-94"}
	case p.Kind == "credentials":
		s.Location.Context = "password:" // not the password itself
	}
	return s, nil
}

// actionlintKinds are the kinds with more to them than a mistake. Deprecated commands
// of the output let text in a log set variables. A condition that is always true is
// a guard that guards nothing. A label that is not known is one of the user's own
// runners, since their list in actionlint.yaml is not read.
var actionlintKinds = map[string]struct {
	severity, title string
	cwe             []string
}{
	"credentials":         {"high", "A password is in a workflow", []string{"CWE-798"}},
	"deprecated-commands": {"medium", "Output of a step can set variables", []string{"CWE-77"}},
	"if-cond":             {"medium", "A condition is always true", []string{"CWE-571"}},
	"permissions":         {"medium", "Permissions that are not what they seem", []string{"CWE-732"}},
	"runner-label":        {"info", "A label of a runner that actionlint does not know", nil},
}
