package code

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
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

// Semgrep looks for patterns by rules of its registry, or by local rules of the
// setting semgrep-config. Comments with nosemgrep have no effect but to be shown.
//
// Its report is the type cli_output of semgrep-interfaces.
type Semgrep struct{}

// SemgrepConfig is the setting with Semgrep's rules: names of its registry, URLs, or
// files and folders of the repository, with spaces between them.
const SemgrepConfig = "semgrep-config"

// semgrepDefault are the registry's rules, when the setting names none. "auto" is
// not among them: it sends the project's name to the registry.
var semgrepDefault = []string{"p/security-audit", "p/nodejs"}

// About implements scanner.Scanner.
func (Semgrep) About() scanner.About {
	return scanner.About{
		Name: "semgrep", Class: finding.ClassCode, Tool: "semgrep",
		Does: "dangerous patterns in source code", Network: true,
		Memory: 6 << 30, Time: 30 * time.Minute,
	}
}

// sources are the endings of files in the languages that Semgrep and CodeQL read.
var sources = append([]string{
	".py", ".go", ".java", ".kt", ".rb", ".php", ".cs", ".c", ".h", ".cc", ".cpp", ".hpp",
	".rs", ".scala", ".swift", ".vue", ".sh", ".tf", ".sol", ".ex", ".exs",
}, scripts...)

// Applies implements scanner.Scanner.
func (Semgrep) Applies(job scanner.Job) (bool, string) {
	if n := countSources(job.Tree); n > 0 {
		return true, fmt.Sprintf("%d source files", n)
	}
	return false, "no source code in its languages"
}

func countSources(tree scanner.Tree) int {
	n := 0
	for _, f := range tree.Files {
		if slices.Contains(sources, strings.ToLower(path.Ext(f))) {
			n++
		}
	}
	return n
}

// semgrepCanary is a rule of ours beside the others, so that a run shows that rules
// are applied and results reported, whatever rules the user has.
const semgrepCanary = `rules:
  - id: planted-problem
    languages: [javascript, typescript]
    severity: ERROR
    message: A problem that was planted to see that Semgrep finds problems.
    pattern: plantedProblem(...)
`

// Plant implements scanner.Scanner.
func (Semgrep) Plant() scanner.Plant {
	return scanner.Plant{
		Files: map[string]string{"planted.js": "export function planted(name) {\n  return plantedProblem(name);\n}\n"},
		Found: func(s finding.Sighting) bool {
			return s.Location.Path == "planted.js" && (s.Rule == "planted-problem" || strings.HasSuffix(s.Rule, ".planted-problem"))
		},
	}
}

// Commands implements scanner.Program. It writes its own rule to the job's scratch
// folder.
func (Semgrep) Commands(job scanner.Job) ([]isolate.Command, error) {
	own := filepath.Join(job.Scratch, "planted-problem.yaml")
	if err := os.WriteFile(own, []byte(semgrepCanary), 0o600); err != nil {
		return nil, err
	}
	configs := strings.Fields(job.Settings[SemgrepConfig])
	if len(configs) == 0 {
		configs = semgrepDefault
	}
	args := []string{"scan", "--json", "--verbose", "--metrics", "off", "--disable-version-check", "--disable-nosem", "--no-rewrite-rule-ids", "--config", own}
	network := false
	for _, c := range configs {
		if c == "auto" {
			return nil, errors.New(`semgrep-config "auto" needs metrics, which are off: name the rules`)
		}
		network = network || remoteRules(c)
		args = append(args, "--config", c)
	}
	if network && job.Offline {
		return nil, fmt.Errorf("semgrep's rules %s come from its registry, and this run is offline: set semgrep-config to files of the repository", strings.Join(configs, " "))
	}
	return []isolate.Command{{Args: append(args, "."), Network: network, Reads: []string{job.Scratch}}}, nil
}

// remoteRules reports whether rules come from the registry or another server.
func remoteRules(config string) bool {
	return strings.HasPrefix(config, "p/") || strings.HasPrefix(config, "r/") || strings.HasPrefix(config, "s/") || strings.Contains(config, "://")
}

type semgrepReport struct {
	Version *string         `json:"version"`
	Results []semgrepResult `json:"results"`
	Errors  []semgrepError  `json:"errors"`
	Paths   *struct {
		Scanned []string `json:"scanned"`
		Skipped []struct {
			Path   string `json:"path"`
			Reason string `json:"reason"`
		} `json:"skipped"`
	} `json:"paths"`
	SkippedRules []struct {
		RuleID string `json:"rule_id"`
	} `json:"skipped_rules"`
}

type semgrepResult struct {
	CheckID string `json:"check_id"`
	Path    string `json:"path"`
	Start   struct {
		Line int `json:"line"`
		Col  int `json:"col"`
	} `json:"start"`
	End struct {
		Line int `json:"line"`
	} `json:"end"`
	Extra struct {
		Message   string `json:"message"`
		Severity  string `json:"severity"`
		IsIgnored bool   `json:"is_ignored"`
		Metadata  struct {
			CWE        texts  `json:"cwe"`
			Source     string `json:"source"`
			Shortlink  string `json:"shortlink"`
			References texts  `json:"references"`
		} `json:"metadata"`
	} `json:"extra"`
}

type semgrepError struct {
	Level   string          `json:"level"` // error, warn, info
	Type    json.RawMessage `json:"type"`  // a word, or a list of a word and its details
	Path    string          `json:"path"`
	RuleID  string          `json:"rule_id"`
	Message string          `json:"message"`
}

// kind is the word of an error's type.
func (e semgrepError) kind() string {
	var word string
	if json.Unmarshal(e.Type, &word) == nil {
		return word
	}
	var list []json.RawMessage
	if json.Unmarshal(e.Type, &list) == nil && len(list) > 0 && json.Unmarshal(list[0], &word) == nil {
		return word
	}
	return "error"
}

// texts is one text or a list of them: rules have both.
type texts []string

// UnmarshalJSON implements json.Unmarshaler. What is neither is left out, as the
// metadata of a rule has no schema.
func (t *texts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = texts{one}
		return nil
	}
	var all []string
	if json.Unmarshal(data, &all) == nil {
		*t = all
	}
	return nil
}

// Read implements scanner.Program. The statuses beside 0 and 1 are failures: 2 of
// the scan, 3 invalid syntax with --strict, 4 and 5 of rules, 7 no rules, 13 of the
// registry.
func (Semgrep) Read(job scanner.Job, _ isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	if err := output.Whole(ran, 0, 1); err != nil {
		return scanner.Report{}, err
	}
	var in semgrepReport
	if err := output.JSON(ran.Stdout, &in); err != nil {
		return scanner.Report{}, err
	}
	if in.Results == nil || in.Errors == nil || in.Paths == nil || in.Paths.Scanned == nil {
		return scanner.Report{}, errors.New("its report has no results, errors or paths: it is not Semgrep's")
	}
	report := scanner.Report{Coverage: verdict.Unknown()}
	if in.Version != nil {
		report.Version = *in.Version
	}
	for _, r := range in.Results {
		s, err := semgrepSighting(job.Workspace, r)
		if err != nil {
			return scanner.Report{}, err
		}
		report.Sightings = append(report.Sightings, s)
	}
	place.Lines(job.Workspace, report.Sightings)
	report.Coverage.Files = len(in.Paths.Scanned)
	semgrepDoubts(&report, in)
	return report, nil
}

func semgrepSighting(workspace string, r semgrepResult) (finding.Sighting, error) {
	name := place.Path(workspace, r.Path)
	if r.CheckID == "" || name == "" {
		return finding.Sighting{}, fmt.Errorf("a result has no rule or no path in the workspace: rule %q, path %q", r.CheckID, r.Path)
	}
	s := finding.Sighting{
		Tool: "semgrep", Rule: r.CheckID, Class: finding.ClassCode,
		Title: semgrepTitle(r), Message: r.Extra.Message,
		Rating:   finding.Rating{Word: semgrepSeverity(r.Extra.Severity)},
		Location: finding.Location{Path: name, Line: r.Start.Line, Column: r.Start.Col, End: r.End.Line},
	}
	for _, link := range append([]string{r.Extra.Metadata.Shortlink, r.Extra.Metadata.Source}, r.Extra.Metadata.References...) {
		if s.Help == "" && strings.HasPrefix(link, "https://") {
			s.Help = link
		}
	}
	for _, c := range r.Extra.Metadata.CWE { // "CWE-79: Improper Neutralization ..."
		id, _, _ := strings.Cut(c, ":")
		if strings.HasPrefix(id, "CWE-") {
			s.CWE = append(s.CWE, id)
		}
	}
	if r.Extra.IsIgnored {
		s.Suppressed = "a nosemgrep comment"
	}
	return s, nil
}

// semgrepTitle is the first sentence of the rule's message: rules have no title.
func semgrepTitle(r semgrepResult) string {
	line, _, _ := strings.Cut(strings.TrimSpace(r.Extra.Message), "\n")
	title, _, _ := strings.Cut(line, ". ")
	if title == "" {
		title = r.CheckID[strings.LastIndex(r.CheckID, ".")+1:]
	}
	return output.Cut(strings.TrimSuffix(title, "."), 120)
}

// semgrepSeverity is the word of our scale. Semgrep says that ERROR is high,
// WARNING medium and INFO low; newer rules have CRITICAL, HIGH, MEDIUM and LOW.
func semgrepSeverity(word string) string {
	switch w := strings.ToLower(word); w {
	case "error":
		return "high"
	case "warning":
		return "medium"
	case "info":
		return "low"
	case "experiment", "inventory":
		return "info"
	default:
		return w
	}
}

// semgrepDoubts sets what was not scanned. A file that was parsed in part is a
// note, as Semgrep scanned the rest of it; all other errors are doubts.
func semgrepDoubts(report *scanner.Report, in semgrepReport) {
	var failed, partly, large, hidden, rules []string
	for _, e := range in.Errors {
		switch kind := e.kind(); {
		case kind == "PartialParsing":
			partly = append(partly, e.Path)
		case e.Level == "info":
		default:
			failed = append(failed, strings.Join(strings.Fields(kind+" "+e.Path+" "+e.RuleID), " "))
		}
	}
	for _, s := range in.Paths.Skipped {
		switch s.Reason {
		case "too_big", "exceeded_size_limit", "analysis_failed_parser_or_internal_error", "too_many_matches":
			large = append(large, s.Path+" ("+s.Reason+")")
		case "semgrepignore_patterns_match":
			hidden = append(hidden, s.Path)
		}
	}
	for _, r := range in.SkippedRules {
		rules = append(rules, r.RuleID)
	}
	add := func(to *[]string, text string) {
		if text != "" {
			*to = append(*to, text)
		}
	}
	add(&report.Doubts, output.Some("%d errors of Semgrep", failed))
	add(&report.Doubts, output.Some("%d files were skipped", large))
	add(&report.Doubts, output.Some("%d rules were skipped", rules))
	add(&report.Notes, output.Some("%d files were parsed in part", partly))
	add(&report.Notes, output.Some("%d files are left out by .semgrepignore or its default", hidden))
}
