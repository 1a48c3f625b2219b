package workflows

import (
	"fmt"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/place"
)

// Zizmor audits workflows and actions for security alone. It runs offline, so that
// it needs no token, and without the repository's zizmor.yml, which can hide files.
//
// Its report is the first version of its JSON format, json-v1.
type Zizmor struct{}

// About implements scanner.Scanner.
func (Zizmor) About() scanner.About {
	return scanner.About{
		Name: "zizmor", Class: finding.ClassWorkflow, Tool: "zizmor",
		Does:   "security of GitHub workflows and actions",
		Memory: 2 << 30, Time: 5 * time.Minute,
	}
}

// Applies implements scanner.Scanner.
func (Zizmor) Applies(job scanner.Job) (bool, string) {
	w, a := len(files(job.Tree)), len(actions(job.Tree))
	if w+a == 0 {
		return false, "no workflow and no action"
	}
	return true, fmt.Sprintf("%d workflows, %d actions", w, a)
}

// Plant implements scanner.Scanner.
func (Zizmor) Plant() scanner.Plant {
	return scanner.Plant{
		Files: map[string]string{plantedPath: planted},
		Found: func(s finding.Sighting) bool {
			return s.Rule == "template-injection" && s.Location.Path == plantedPath
		},
	}
}

// Commands implements scanner.Program. Files are named one by one: a folder would be
// searched by zizmor's own rules, which leave out what .gitignore names.
func (Zizmor) Commands(job scanner.Job) ([]isolate.Command, error) {
	args := []string{"--format", "json-v1", "--offline", "--no-config", "--no-progress", "--no-exit-codes", "--persona", "regular", "--"}
	for _, f := range append(files(job.Tree), actions(job.Tree)...) {
		args = append(args, "./"+f) // never taken for an option or the name of a repository
	}
	return []isolate.Command{{Args: args}}, nil
}

type zizmorFinding struct {
	Ident          string `json:"ident"`
	Desc           string `json:"desc"`
	URL            string `json:"url"`
	Determinations struct {
		Confidence string `json:"confidence"`
		Severity   string `json:"severity"`
	} `json:"determinations"`
	Locations []zizmorLocation `json:"locations"`
	Ignored   bool             `json:"ignored"`
}

type zizmorLocation struct {
	Symbolic struct {
		Key struct {
			Local *struct {
				VerbatimPath string `json:"verbatim_path"`
				GivenPath    string `json:"given_path"` // before 1.20
			} `json:"Local"`
		} `json:"key"`
		Annotation string `json:"annotation"`
		Kind       string `json:"kind"` // Primary, Related, Hidden
	} `json:"symbolic"`
	Concrete struct {
		Location struct {
			Start zizmorPoint `json:"start_point"`
			End   zizmorPoint `json:"end_point"`
		} `json:"location"`
	} `json:"concrete"`
}

// A zizmorPoint is counted from 0.
type zizmorPoint struct {
	Row    int `json:"row"`
	Column int `json:"column"`
}

func (l zizmorLocation) path() string {
	if l.Symbolic.Key.Local == nil {
		return ""
	}
	if p := l.Symbolic.Key.Local.VerbatimPath; p != "" {
		return p
	}
	return l.Symbolic.Key.Local.GivenPath
}

// Read implements scanner.Program. With --no-exit-codes the statuses from 10 up, one
// for each severity, are not used. 1 is an error of the audit.
func (Zizmor) Read(job scanner.Job, command isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	if err := output.Whole(ran, 0); err != nil {
		return scanner.Report{}, err
	}
	report := scanner.Report{Coverage: verdict.Unknown()}
	err := output.List(ran.Stdout, func(f zizmorFinding) error {
		s, err := zizmorSighting(job.Workspace, f)
		report.Sightings = append(report.Sightings, s)
		return err
	})
	if err != nil {
		return scanner.Report{}, err
	}
	place.Lines(job.Workspace, report.Sightings)
	report.Doubts = zizmorWarnings(ran.Stderr)
	return report, nil
}

// zizmorWarnings are the files that it could not read, which it tells and passes by.
func zizmorWarnings(stderr []byte) []string {
	var failed []string
	for line := range strings.Lines(string(stderr)) {
		low := strings.ToLower(line)
		if strings.Contains(low, "failed to parse") || strings.Contains(low, "failed to validate") || strings.Contains(low, "invalid yaml") || strings.Contains(low, "failed to load") {
			failed = append(failed, output.Cut(strings.TrimSpace(line), 120))
		}
	}
	if text := output.Some("%d files were not audited", failed); text != "" {
		return []string{text}
	}
	return nil
}

func zizmorSighting(workspace string, f zizmorFinding) (finding.Sighting, error) {
	if f.Ident == "" || len(f.Locations) == 0 {
		return finding.Sighting{}, fmt.Errorf("a finding has no audit or no location: %q", f.Ident)
	}
	at := f.Locations[0]
	for _, l := range f.Locations {
		if l.Symbolic.Kind == "Primary" {
			at = l
			break
		}
	}
	name := place.Path(workspace, at.path())
	if name == "" {
		return finding.Sighting{}, fmt.Errorf("a finding of %s is in no file of the workspace: %q", f.Ident, at.path())
	}
	start, end := at.Concrete.Location.Start, at.Concrete.Location.End
	s := finding.Sighting{
		Tool: "zizmor", Rule: f.Ident, Class: finding.ClassWorkflow,
		Title: f.Desc, Message: strings.TrimSpace(f.Desc + ": " + at.Symbolic.Annotation), Help: f.URL,
		Rating:   finding.Rating{Word: zizmorSeverity(f.Determinations.Severity)},
		Location: finding.Location{Path: name, Line: max(start.Row, 0) + 1, Column: max(start.Column, 0) + 1, End: max(end.Row, start.Row, 0) + 1},
	}
	if f.Ignored {
		s.Suppressed = "a comment or the configuration of zizmor"
	}
	return s, nil
}

// zizmorSeverity is the word of our scale. What zizmor does not know may be bad.
func zizmorSeverity(word string) string {
	if strings.EqualFold(word, "unknown") || word == "" {
		return "medium"
	}
	return strings.ToLower(word)
}
