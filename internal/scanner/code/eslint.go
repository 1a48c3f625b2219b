package code

import (
	_ "embed"
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

// ESLint looks for dangerous patterns in JavaScript and TypeScript by the rules of
// eslint-plugin-security, eslint-plugin-no-unsanitized and a few of ESLint's own.
//
// The configuration is ours and the repository's is not read, since it is a
// program. Comments that switch rules off have no effect, and are counted: what is
// accepted is in the file of waivers, with an end.
type ESLint struct{}

// About implements scanner.Scanner.
func (ESLint) About() scanner.About {
	return scanner.About{
		Name: "eslint", Class: finding.ClassCode, Tool: "eslint",
		Does:   "dangerous patterns in JavaScript and TypeScript",
		Memory: 4 << 30, Time: 10 * time.Minute,
	}
}

//go:embed eslint.config.mjs
var eslintConfig string

// eslintConfigured is the configuration with the table of rules.
func eslintConfigured() (string, error) {
	rules := map[string]any{}
	for id, r := range eslintRules {
		rules[id] = "warn"
		if r.severity == "high" {
			rules[id] = "error"
		}
	}
	rules[jsxHTML] = []any{"warn", map[string]string{
		"selector": "JSXAttribute[name.name='dangerouslySetInnerHTML']",
		"message":  "React does not escape what is in dangerouslySetInnerHTML.",
	}}
	text, err := json.Marshal(rules)
	if err != nil {
		return "", err
	}
	return strings.Replace(eslintConfig, "rules: {}", "rules: "+string(text), 1), nil
}

// scripts are the endings of the files that the configuration names.
var scripts = []string{".js", ".cjs", ".mjs", ".jsx", ".ts", ".cts", ".mts", ".tsx"}

// eslintFiles are the files to lint. Code of others and what a tool made smaller
// are left out: their problems are found by the packages' names.
func eslintFiles(tree scanner.Tree) (files, left []string) {
	for _, f := range tree.Files {
		switch {
		case !slices.Contains(scripts, strings.ToLower(path.Ext(f))):
		case strings.HasPrefix(f, "node_modules/"), strings.Contains(f, "/node_modules/"), strings.Contains(path.Base(f), ".min."):
			left = append(left, f)
		default:
			files = append(files, f)
		}
	}
	return files, left
}

// Applies implements scanner.Scanner.
func (ESLint) Applies(job scanner.Job) (bool, string) {
	files, _ := eslintFiles(job.Tree)
	if len(files) == 0 {
		return false, "no JavaScript or TypeScript"
	}
	return true, fmt.Sprintf("%d JavaScript and TypeScript files", len(files))
}

// Plant implements scanner.Scanner. The file is TypeScript, so that a missing
// parser is noticed too.
func (ESLint) Plant() scanner.Plant {
	return scanner.Plant{
		Files: map[string]string{"planted.ts": "export function planted(element: HTMLElement, name: string): void {\n  element.innerHTML = `<b>${name}</b>`;\n}\n"},
		Found: func(s finding.Sighting) bool {
			return s.Rule == "no-unsanitized/property" && s.Location.Path == "planted.ts"
		},
	}
}

// batch is how many bytes of file names one command gets. The system's limit for
// all arguments and variables is 2 MiB.
const batch = 400 << 10

// Commands implements scanner.Program. It writes the configuration to the job's
// scratch folder.
func (e ESLint) Commands(job scanner.Job) ([]isolate.Command, error) {
	text, err := eslintConfigured()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(job.Scratch, "eslint.config.mjs")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	files, _ := eslintFiles(job.Tree)
	var commands []isolate.Command
	for _, names := range batches(files, batch) {
		args := []string{"--no-config-lookup", "--config", config, "--format", "json", "--no-error-on-unmatched-pattern", "--"}
		commands = append(commands, isolate.Command{Args: append(args, names...), Reads: []string{job.Scratch}})
	}
	return commands, nil
}

func batches(names []string, limit int) [][]string {
	var all [][]string
	size := limit
	for _, n := range names {
		if size+len(n)+1 > limit {
			all, size = append(all, nil), 0
		}
		all[len(all)-1] = append(all[len(all)-1], n)
		size += len(n) + 1
	}
	return all
}

type eslintFile struct {
	FilePath string          `json:"filePath"`
	Messages []eslintMessage `json:"messages"`
	Source   string          `json:"source"`
}

type eslintMessage struct {
	RuleID   string `json:"ruleId"` // null for what is not of a rule
	Severity int    `json:"severity"`
	Message  string `json:"message"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	EndLine  int    `json:"endLine"`
	Fatal    bool   `json:"fatal"`
}

// Read implements scanner.Program. Status 2 is a crash or a bad configuration.
func (e ESLint) Read(job scanner.Job, command isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	if err := output.Whole(ran, 0, 1); err != nil {
		return scanner.Report{}, err
	}
	expected := command.Args[slices.Index(command.Args, "--")+1:]
	r := eslintReader{job: job, asked: map[string]bool{}}
	for _, name := range expected {
		r.asked[name] = true
	}
	err := output.List(ran.Stdout, func(f eslintFile) error {
		if f.FilePath == "" {
			return errors.New("a file of its report has no name")
		}
		r.file(f)
		return nil
	})
	if err != nil {
		return scanner.Report{}, err
	}
	report := scanner.Report{Sightings: r.found, Coverage: verdict.Unknown()}
	report.Coverage.Files, report.Coverage.FilesExpected = r.seen, len(expected)
	report.Doubts = slices.DeleteFunc([]string{output.Some("%d files could not be parsed", r.broken), output.Some("%d files were left out by ESLint", r.ignored)}, func(s string) bool { return s == "" })
	if r.comments > 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("%d comments that switch ESLint's rules off had no effect: use the file of waivers", r.comments))
	}
	if _, left := eslintFiles(job.Tree); len(left) > 0 {
		report.Notes = append(report.Notes, output.Some("%d files of node_modules or minified ones were left out", left))
	}
	return report, nil
}

type eslintReader struct {
	job             scanner.Job
	asked           map[string]bool // not yet reported
	found           []finding.Sighting
	seen            int
	broken, ignored []string
	comments        int
}

func (r *eslintReader) file(f eslintFile) {
	name := place.Path(r.job.Workspace, f.FilePath)
	if r.asked[name] {
		r.seen++
		delete(r.asked, name) // a file that is reported twice was scanned once
	}
	var lines []string
	for _, m := range f.Messages {
		switch {
		case m.Fatal:
			r.broken = append(r.broken, fmt.Sprintf("%s:%d (%s)", name, m.Line, output.Cut(m.Message, 80)))
			r.seen--
		case m.RuleID != "":
			if lines == nil {
				lines = strings.Split(f.Source, "\n")
			}
			r.found = append(r.found, eslintSighting(name, m, lines))
		case m.Line == 0:
			r.ignored = append(r.ignored, fmt.Sprintf("%s (%s)", name, output.Cut(m.Message, 80)))
			r.seen--
		default: // "has no effect because you have 'noInlineConfig' setting in your config"
			r.comments++
		}
	}
}

func eslintSighting(name string, m eslintMessage, lines []string) finding.Sighting {
	rule, known := eslintRules[m.RuleID]
	if !known { // a rule of a later version
		rule = eslintRule{severity: "low", title: m.RuleID}
		if m.Severity == 2 {
			rule.severity = "medium"
		}
	}
	s := finding.Sighting{
		Tool: "eslint", Rule: m.RuleID, Class: finding.ClassCode,
		Title: rule.title, Message: m.Message, Help: eslintHelp(m.RuleID),
		Rating:   finding.Rating{Word: rule.severity},
		Location: finding.Location{Path: name, Line: m.Line, Column: m.Column, End: m.EndLine},
	}
	if rule.cwe != "" {
		s.CWE = []string{rule.cwe}
	}
	if m.Line > 0 && m.Line <= len(lines) {
		s.Location.Context = strings.TrimSpace(lines[m.Line-1])
	}
	return s
}

// eslintHelp is where a rule is described.
func eslintHelp(rule string) string {
	plugin, name, isPlugin := strings.Cut(rule, "/")
	switch {
	case plugin == "security":
		return "https://github.com/eslint-community/eslint-plugin-security/blob/main/docs/rules/" + name + ".md"
	case plugin == "no-unsanitized":
		return "https://github.com/mozilla/eslint-plugin-no-unsanitized/blob/master/docs/rules/" + name + ".md"
	case !isPlugin:
		return "https://eslint.org/docs/latest/rules/" + rule
	}
	return ""
}

type eslintRule struct{ severity, cwe, title string }

const jsxHTML = "no-restricted-syntax"

// eslintRules are the rules that are on. ESLint itself has two severities, which
// say nothing about risk, so each has ours. High is code or markup from a value
// that is run or shown as it is. Medium needs one more condition to be exploited, or
// is right in most uses. Low are rules that report every value that is not a literal,
// most of which no attacker reaches. Info is detect-object-injection: it reports
// every a[b], and its authors say that it is a starting point for a review.
var eslintRules = map[string]eslintRule{
	"no-unsanitized/method":                          {"high", "CWE-79", "Markup from a value is inserted into the page"},
	"no-unsanitized/property":                        {"high", "CWE-79", "Markup from a value is assigned into the page"},
	jsxHTML:                                          {"medium", "CWE-79", "Markup from a value is shown by React as it is"},
	"security/detect-bidi-characters":                {"high", "CWE-1007", "Characters make code look like other code"},
	"security/detect-invisible-characters":           {"medium", "CWE-1007", "Characters that cannot be seen"},
	"security/detect-buffer-noassert":                {"medium", "CWE-119", "A buffer is read or written without a check of its bounds"},
	"security/detect-child-process":                  {"high", "CWE-78", "A command from a value is run"},
	"security/detect-disable-mustache-escape":        {"high", "CWE-79", "A template does not escape values"},
	"security/detect-eval-with-expression":           {"high", "CWE-95", "Code from a value is run by eval"},
	"no-implied-eval":                                {"medium", "CWE-95", "A timer runs code from a string"},
	"no-new-func":                                    {"high", "CWE-95", "Code from a string is run by the Function constructor"},
	"security/detect-new-buffer":                     {"medium", "CWE-908", "A buffer may show old memory"},
	"security/detect-no-csrf-before-method-override": {"medium", "CWE-352", "A check against forged requests can be passed by"},
	"security/detect-non-literal-fs-filename":        {"low", "CWE-22", "A file name comes from a value"},
	"security/detect-non-literal-regexp":             {"low", "CWE-1333", "A regular expression comes from a value"},
	"security/detect-non-literal-require":            {"low", "CWE-829", "A module's name comes from a value"},
	"security/detect-object-injection":               {"info", "CWE-1321", "A property's name comes from a value"},
	"security/detect-possible-timing-attacks":        {"low", "CWE-208", "Secrets may be compared in a time that tells them"},
	"security/detect-pseudoRandomBytes":              {"medium", "CWE-338", "Random bytes that can be guessed"},
	"security/detect-unsafe-regex":                   {"medium", "CWE-1333", "A regular expression may take very long"},
}
