package code

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
)

func codeqlText(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/codeql.sarif")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// analyze is the second command of a language.
var analyze = isolate.Command{Args: []string{"database", "analyze", "--", "database"}}

func TestCodeQLReadsTheDocumentedReport(t *testing.T) {
	t.Parallel()
	workspace := t.TempDir()
	if err := os.WriteFile(filepath.Join(workspace, "planted.js"), []byte(CodeQL{}.Plant().Files["planted.js"]), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := CodeQL{}.Read(scanner.Job{Workspace: workspace}, analyze, exited(0, codeqlText(t)))
	if err != nil {
		t.Fatal(err)
	}
	want := []finding.Sighting{{
		Tool: "codeql", Rule: "js/command-line-injection", Class: finding.ClassCode, Title: "Uncontrolled command line",
		CWE: []string{"CWE-78", "CWE-88"}, Rating: finding.Rating{Score: 9.8, Level: "error"}, LineHash: "39fa2ee980eb94b0:1",
		Location: finding.Location{Path: "planted.js", Line: 4, Column: 8, Context: `exec("ls " + new URL(request.url, "http://localhost").searchParams.get("folder"));`},
	}, {
		Tool: "codeql", Rule: "js/xss-through-dom", Class: finding.ClassCode, Title: "DOM text reinterpreted as HTML",
		CWE: []string{"CWE-79", "CWE-116"}, Rating: finding.Rating{Score: 6.1, Level: "warning"}, LineHash: "d2bd1a4d2a3a1a2c:1",
		Location: finding.Location{Path: "src/view.js", Line: 2, Column: 3},
	}}
	if d := gocmp.Diff(want, r.Sightings, cmpopts.IgnoreFields(finding.Sighting{}, "Message", "Help"), cmpopts.IgnoreFields(finding.Location{}, "End"), cmpopts.IgnoreFields(finding.Rating{}, "Word")); d != "" {
		t.Errorf("sightings (-want +got):\n%s", d)
	}
	if r.Version != "2.23.3" || r.Coverage.Files != 2 || len(r.Doubts) > 0 {
		t.Errorf("version %q, coverage %+v, doubts %q", r.Version, r.Coverage, r.Doubts)
	}
	if severity, _ := finding.Rate(r.Sightings[0]); severity != finding.Critical {
		t.Errorf("a security-severity of 9.8 is %v", severity)
	}
	if !slices.ContainsFunc(r.Sightings, CodeQL{}.Plant().Found) {
		t.Error("the plant's own result is not its plant")
	}
}

func TestCodeQLAnEmptyDatabaseIsADoubt(t *testing.T) {
	t.Parallel()
	create := isolate.Command{Args: []string{"database", "create", "--language=javascript", "--", "database"}}
	for name, ran := range map[string]isolate.Ran{
		"by its status": exited(32, ""),
		"by its words":  {Ending: isolate.Exited, Status: 2, Stderr: []byte("No source code was seen during the build.")},
	} {
		if r, err := (CodeQL{}).Read(scanner.Job{}, create, ran); err != nil || !slices.Equal(r.Doubts, []string{"CodeQL saw no source code of javascript"}) {
			t.Errorf("%s: %q, %v", name, r.Doubts, err)
		}
	}
	if r, err := (CodeQL{}).Read(scanner.Job{}, create, exited(0, "")); err != nil || len(r.Doubts) > 0 || r.Coverage.Files != -1 {
		t.Errorf("a database: %+v, %v", r, err)
	}
	for name, ran := range map[string]isolate.Ran{"status 2": exited(2, ""), "killed": {Ending: isolate.Signalled}} {
		if _, err := (CodeQL{}).Read(scanner.Job{}, create, ran); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, text := range map[string]string{
		"no files":      `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"CodeQL"}},"artifacts":[],"results":[]}]}`,
		"not succeeded": strings.ReplaceAll(codeqlText(t), `"executionSuccessful": true`, `"executionSuccessful": false`),
	} {
		r, err := CodeQL{}.Read(scanner.Job{}, analyze, exited(0, text))
		if err != nil || len(r.Doubts) != 1 {
			t.Errorf("%s: doubts %q, %v", name, r.Doubts, err)
		}
	}
}

func TestCodeQLBelievesWholeReportsOnly(t *testing.T) {
	t.Parallel()
	text := codeqlText(t)
	for name, ran := range map[string]isolate.Ran{
		"status":    exited(2, text),
		"nothing":   exited(0, ""),
		"truncated": exited(0, text[:len(text)/2]),
		"no runs":   exited(0, `{"version":"2.1.0","runs":[]}`),
		"another":   exited(0, strings.Replace(text, `"name": "CodeQL"`, `"name": "Other"`, 1)),
	} {
		if r, err := (CodeQL{}).Read(scanner.Job{}, analyze, ran); err == nil {
			t.Errorf("%s: no error, %+v", name, r)
		}
	}
}

func TestCodeQLCommandsAreTwoForEachLanguage(t *testing.T) {
	t.Parallel()
	job := scanner.Job{Workspace: "/workspace", Scratch: "/scratch", Tree: scanner.Tree{Files: []string{"a.ts", "b.py", "c.go", "d.java"}}}
	commands, err := CodeQL{}.Commands(job)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range commands {
		got = append(got, strings.Join(c.Args, " "))
	}
	want := []string{
		"database create --language=java --source-root=/workspace --overwrite --build-mode=none -- /scratch/database-java",
		"database analyze --format=sarifv2.1.0 --output=/scratch/java.sarif --sarif-category=java -- /scratch/database-java codeql/java-queries:codeql-suites/java-security-extended.qls",
		"database create --language=javascript --source-root=/workspace --overwrite -- /scratch/database-javascript",
		"database analyze --format=sarifv2.1.0 --output=/scratch/javascript.sarif --sarif-category=javascript -- /scratch/database-javascript codeql/javascript-queries:codeql-suites/javascript-security-extended.qls",
		"database create --language=python --source-root=/workspace --overwrite -- /scratch/database-python",
		"database analyze --format=sarifv2.1.0 --output=/scratch/python.sarif --sarif-category=python -- /scratch/database-python codeql/python-queries:codeql-suites/python-security-extended.qls",
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("commands (-want +got):\n%s", d)
	}
	for files, want := range map[string]string{"c.go": "Go needs a build", "README.md": "no source code"} {
		if ok, why := (CodeQL{}).Applies(scanner.Job{Tree: scanner.Tree{Files: []string{files}}}); ok || !strings.HasPrefix(why, want) {
			t.Errorf("Applies(%s) = %t, %q", files, ok, why)
		}
	}
}

func TestCodeQLReportsOfElsewhere(t *testing.T) {
	t.Parallel()
	workspace := t.TempDir()
	if err := os.WriteFile(filepath.Join(workspace, "one.sarif"), []byte(codeqlText(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	job := scanner.Job{Workspace: workspace, Settings: map[string]string{"codeql-sarif": "one.sarif\n" + filepath.Join(workspace, "one.sarif")}}
	chosen, ok := CodeQL{}.Choose(job).(CodeQLReport)
	if _, program := (CodeQL{}).Choose(scanner.Job{}).(scanner.Program); !ok || !program {
		t.Fatalf("Choose() = %T", chosen)
	}
	if applies, why := chosen.Applies(job); !applies || chosen.About().Name != "codeql" || chosen.About().Tool != "" {
		t.Errorf("Applies() = %t, %q, %+v", applies, why, chosen.About())
	}
	r, err := chosen.Scan(t.Context(), job)
	if err != nil || len(r.Sightings) != 4 || r.Coverage.Files != 4 || r.Version != "2.23.3" {
		t.Errorf("Scan() = %+v, %v", r, err)
	}
	job.Settings["codeql-sarif"] = "none.sarif"
	if _, err := (CodeQLReport{}).Scan(t.Context(), job); err == nil || !strings.Contains(err.Error(), "none.sarif") {
		t.Errorf("a missing report: %v", err)
	}
}
