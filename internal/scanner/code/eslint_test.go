package code

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// eslintWorkspace is what testdata/eslint.json was recorded on.
var eslintWorkspace = map[string]string{
	"src/page.js": `import { exec } from "node:child_process";
export function show(el, name) {
  el.innerHTML = "<b>" + name + "</b>";
  document.write(name); // eslint-disable-line
  el.insertAdjacentHTML("beforeend", name);
}
/* eslint security/detect-eval-with-expression: "off" */
export function run(cmd, re, key, o) {
  exec("ls " + cmd);
  eval(cmd);
  setTimeout("alert(1)", 10);
  new Function(cmd)();
  return [/(a+)+$/.test(cmd), new RegExp(re), o[key]];
}
`,
	"src/view.tsx":            "export function V(p: { html: string }): any { return <div dangerouslySetInnerHTML={{ __html: p.html }} />; }\n",
	"src/old.cjs":             "const fs = require(\"fs\");\nif (process.argv[2]) return;\nfs.readFileSync(process.argv[2]);\n",
	"src/sloppy.js":           "var a = 010; with (a) { b(a) }\n",
	"src/typed.ts":            "@Dec() export class A { f = <T,>(a: T): T => a; constructor(private readonly q: string) {} }\n",
	"src/broken.js":           "let x = {;\n",
	"lib/jquery.min.js":       "eval(a)\n",
	"node_modules/x/index.js": "eval(a)\n",
	"eslint.config.js":        "require('node:fs').writeFileSync('ran', '');\n",
	"README.md":               "# eval(a)\n",
}

func eslintJob(workspace string) scanner.Job {
	var files []string
	for name := range eslintWorkspace {
		files = append(files, name)
	}
	slices.Sort(files)
	return scanner.Job{Workspace: workspace, Tree: scanner.Tree{Files: files}}
}

// asked is a command for some files.
func asked(files ...string) isolate.Command {
	return isolate.Command{Args: append([]string{"--format", "json", "--"}, files...)}
}

func exited(status int, stdout string) isolate.Ran {
	return isolate.Ran{Ending: isolate.Exited, Status: status, Stdout: []byte(stdout)}
}

func TestESLintReadsItsRealReport(t *testing.T) {
	t.Parallel()
	recorded, err := os.ReadFile("testdata/eslint.json")
	if err != nil {
		t.Fatal(err)
	}
	checkESLintReport(t, eslintJob("/workspace"), exited(1, string(recorded)))
}

// checkESLintReport checks the report on eslintWorkspace.
func checkESLintReport(t *testing.T, job scanner.Job, ran isolate.Ran) {
	t.Helper()
	files, _ := eslintFiles(job.Tree)
	report, err := ESLint{}.Read(job, asked(files...), ran)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range report.Sightings {
		got = append(got, fmt.Sprintf("%s:%d %s %s %s", s.Location.Path, s.Location.Line, s.Rule, s.Rating.Word, strings.Join(s.CWE, " ")))
	}
	want := []string{
		"src/old.cjs:3 security/detect-non-literal-fs-filename low CWE-22",
		"src/page.js:10 security/detect-eval-with-expression high CWE-95",
		"src/page.js:11 no-implied-eval medium CWE-95",
		"src/page.js:12 no-new-func high CWE-95",
		"src/page.js:13 security/detect-non-literal-regexp low CWE-1333",
		"src/page.js:13 security/detect-object-injection info CWE-1321",
		"src/page.js:13 security/detect-unsafe-regex medium CWE-1333",
		"src/page.js:3 no-unsanitized/property high CWE-79",
		"src/page.js:4 no-unsanitized/method high CWE-79",
		"src/page.js:5 no-unsanitized/method high CWE-79",
		"src/page.js:9 security/detect-child-process high CWE-78",
		"src/view.tsx:1 no-restricted-syntax medium CWE-79",
	}
	slices.Sort(got)
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("sightings (-want +got):\n%s", d)
	}
	i := slices.IndexFunc(report.Sightings, func(s finding.Sighting) bool { return s.Rule == "no-unsanitized/property" })
	wantOne := finding.Sighting{
		Tool: "eslint", Rule: "no-unsanitized/property", Class: finding.ClassCode, CWE: []string{"CWE-79"},
		Title: "Markup from a value is assigned into the page",
		Help:  "https://github.com/mozilla/eslint-plugin-no-unsanitized/blob/master/docs/rules/property.md", Rating: finding.Rating{Word: "high"},
		Location: finding.Location{Path: "src/page.js", Line: 3, Column: 3, End: 3, Context: `el.innerHTML = "<b>" + name + "</b>";`},
	}
	if d := gocmp.Diff(wantOne, report.Sightings[i], cmpopts.IgnoreFields(finding.Sighting{}, "Message")); d != "" {
		t.Errorf("sighting (-want +got):\n%s", d)
	}
	if c := report.Coverage; c.Files != 6 || c.FilesExpected != 7 {
		t.Errorf("%d of %d files, want 6 of 7", c.Files, c.FilesExpected)
	}
	if d := gocmp.Diff([]string{"1 files could not be parsed: src/broken.js:1 (Parsing error: Property assignment expected.)"}, report.Doubts); d != "" {
		t.Errorf("doubts (-want +got):\n%s", d)
	}
	wantNotes := []string{
		"2 comments that switch ESLint's rules off had no effect: use the file of waivers",
		"2 files of node_modules or minified ones were left out: lib/jquery.min.js, node_modules/x/index.js",
	}
	if d := gocmp.Diff(wantNotes, report.Notes); d != "" {
		t.Errorf("notes (-want +got):\n%s", d)
	}
}

func TestESLintBelievesWholeReportsOnly(t *testing.T) {
	t.Parallel()
	whole := `[{"filePath":"/workspace/a.js","messages":[]}]`
	for name, ran := range map[string]isolate.Ran{
		"a crash":                  {Ending: isolate.Exited, Status: 2, Stderr: []byte("Oops! Something went wrong!")},
		"a crash with a report":    exited(2, whole),
		"nothing":                  exited(0, ""),
		"a truncated report":       exited(0, whole[:20]),
		"a report and a warning":   exited(0, "WARNING: your version\n"+whole),
		"another document":         exited(0, `{"results":[]}`),
		"null":                     exited(0, "null"),
		"null in the list":         exited(0, "[null]"),
		"a file without name":      exited(0, `[{"messages":[]}]`),
		"two documents":            exited(0, whole+whole),
		"a message that is a word": exited(1, `[{"filePath":"/workspace/a.js","messages":["x"]}]`),
	} {
		if r, err := (ESLint{}).Read(scanner.Job{Workspace: "/workspace"}, asked("a.js"), ran); err == nil {
			t.Errorf("%s: no error, %+v", name, r)
		}
	}
}

func TestESLintCountsWhatItWasAskedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		report string
		files  int
		doubts int
	}{
		"none":           {`[]`, 0, 0},
		"one of two":     {`[{"filePath":"/workspace/a.js","messages":[]}]`, 1, 0},
		"the same twice": {`[{"filePath":"/workspace/a.js","messages":[]},{"filePath":"/workspace/a.js","messages":[]}]`, 1, 0},
		"others":         {`[{"filePath":"/workspace/c.js","messages":[]},{"filePath":"/elsewhere/a.js","messages":[]}]`, 0, 0},
		"ignored":        {`[{"filePath":"/workspace/a.js","messages":[{"ruleId":null,"fatal":false,"severity":1,"message":"File ignored"}]}]`, 0, 1},
	} {
		r, err := ESLint{}.Read(scanner.Job{Workspace: "/workspace"}, asked("a.js", "b.js"), exited(0, c.report))
		if err != nil || r.Coverage.Files != c.files || r.Coverage.FilesExpected != 2 || len(r.Doubts) != c.doubts {
			t.Errorf("%s: coverage %+v, doubts %q, error %v", name, r.Coverage, r.Doubts, err)
		}
	}
}

func TestESLintKnowsRulesOfLaterVersions(t *testing.T) {
	t.Parallel()
	report := `[{"filePath":"/workspace/a.js","source":"x","messages":[{"ruleId":"security/new","severity":2,"message":"m","line":9},{"ruleId":"other/new","severity":1,"message":"m","line":1}]}]`
	r, err := ESLint{}.Read(scanner.Job{Workspace: "/workspace"}, asked("a.js"), exited(1, report))
	if err != nil || len(r.Sightings) != 2 || r.Sightings[0].Rating.Word != "medium" || r.Sightings[1].Rating.Word != "low" {
		t.Errorf("Read() = %+v, %v", r.Sightings, err)
	}
}

func TestESLintCommandsNameTrackedFilesOnly(t *testing.T) {
	t.Parallel()
	job := eslintJob("/workspace")
	job.Scratch = t.TempDir()
	commands, err := ESLint{}.Commands(job)
	if err != nil || len(commands) != 1 {
		t.Fatalf("Commands() = %d, %v", len(commands), err)
	}
	config := filepath.Join(job.Scratch, "eslint.config.mjs")
	want := []string{
		"--no-config-lookup", "--config", config, "--format", "json", "--no-error-on-unmatched-pattern", "--",
		"eslint.config.js", "src/broken.js", "src/old.cjs", "src/page.js", "src/sloppy.js", "src/typed.ts", "src/view.tsx",
	}
	if d := gocmp.Diff(want, commands[0].Args); d != "" {
		t.Errorf("arguments (-want +got):\n%s", d)
	}
	text, err := os.ReadFile(config)
	if err != nil || bytes.Contains(text, []byte("rules: {}")) {
		t.Errorf("the configuration has no rules: %v", err)
	}
	for id := range eslintRules {
		if !bytes.Contains(text, []byte(`"`+id+`":`)) {
			t.Errorf("%s is not on", id)
		}
	}
	if applies, why := (ESLint{}).Applies(scanner.Job{Tree: scanner.Tree{Files: []string{"go.mod", "node_modules/a.js"}}}); applies || why == "" {
		t.Errorf("Applies() = %t, %q", applies, why)
	}
}

func TestESLintRulesHaveASeverity(t *testing.T) {
	t.Parallel()
	for id, r := range eslintRules {
		if _, ok := finding.ParseSeverity(r.severity); !ok || r.title == "" || !strings.HasPrefix(r.cwe, "CWE-") || eslintHelp(id) == "" {
			t.Errorf("%s: %+v", id, r)
		}
	}
}

func TestBatchesKeepAllNames(t *testing.T) {
	t.Parallel()
	names := []string{"a", "bb", "ccc", "dddd", "eeeeeeeeeeeeeeee"}
	got := batches(names, 8)
	if d := gocmp.Diff([][]string{{"a", "bb"}, {"ccc"}, {"dddd"}, {"eeeeeeeeeeeeeeee"}}, got); d != "" {
		t.Errorf("batches (-want +got):\n%s", d)
	}
	if got := batches(nil, 8); len(got) != 0 {
		t.Errorf("batches of nothing: %v", got)
	}
}

// manyESLint is a report with n messages.
func manyESLint(n int) []byte {
	var files []eslintFile
	for i := 0; i < n; i += 10 {
		f := eslintFile{FilePath: fmt.Sprintf("/workspace/src/%d.js", i), Source: strings.Repeat("el.innerHTML = name;\n", 10)}
		for j := range 10 {
			f.Messages = append(f.Messages, eslintMessage{RuleID: "no-unsanitized/property", Severity: 2, Message: "Unsafe assignment to innerHTML", Line: j + 1, Column: 1})
		}
		files = append(files, f)
	}
	text, err := json.Marshal(files)
	if err != nil {
		panic(err)
	}
	return text
}

func BenchmarkESLintRead100k(b *testing.B) {
	ran := exited(1, string(manyESLint(100_000)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := ESLint{}.Read(scanner.Job{Workspace: "/workspace"}, asked("a.js"), ran)
		if err != nil || len(r.Sightings) != 100_000 {
			b.Fatal(len(r.Sightings), err)
		}
	}
}

func FuzzESLintRead(f *testing.F) {
	f.Add([]byte(`[{"filePath":"/workspace/a.js","source":"a","messages":[{"ruleId":"no-eval","line":-1,"severity":2,"message":""}]}]`))
	f.Fuzz(func(t *testing.T, report []byte) {
		r, err := ESLint{}.Read(scanner.Job{Workspace: "/workspace"}, asked("a.js"), exited(0, string(report)))
		checkRead(t, r, err)
	})
}

// checkRead checks what holds for every report that was read.
func checkRead(t *testing.T, r scanner.Report, err error) {
	t.Helper()
	if err != nil && (len(r.Sightings) > 0 || len(r.Doubts) > 0) {
		t.Errorf("an error and a report: %v, %+v", err, r)
	}
	for _, s := range r.Sightings {
		if s.Tool == "" || s.Rule == "" || s.Class != finding.ClassCode || s.Location.Path != "" && !filepath.IsLocal(s.Location.Path) {
			t.Errorf("%+v", s)
		}
	}
	if cmp.Compare(r.Coverage.Files, -1) < 0 {
		t.Errorf("coverage %+v", r.Coverage)
	}
}
