package code

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
)

func TestSemgrepReadsTheDocumentedReport(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/semgrep.json")
	if err != nil {
		t.Fatal(err)
	}
	workspace := t.TempDir()
	if err := os.Mkdir(filepath.Join(workspace, "src"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(workspace, "src/run.js"), []byte("function run(cmd) {\n  exec(cmd);\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Semgrep{}.Read(scanner.Job{Workspace: workspace}, isolate.Command{}, exited(1, string(text)))
	if err != nil {
		t.Fatal(err)
	}
	want := finding.Sighting{
		Tool: "semgrep", Rule: "javascript.lang.security.detect-child-process.detect-child-process", Class: finding.ClassCode,
		Title:   "Detected calls to child_process from a function argument `cmd`",
		Message: "Detected calls to child_process from a function argument `cmd`. This could lead to a command injection if the input is user controllable.",
		Help:    "https://sg.run/l2lo", CWE: []string{"CWE-78"}, Rating: finding.Rating{Word: "high"},
		Location: finding.Location{Path: "src/run.js", Line: 2, Column: 3, End: 2, Context: "exec(cmd);"},
	}
	if d := gocmp.Diff(want, r.Sightings[0]); d != "" {
		t.Errorf("sighting (-want +got):\n%s", d)
	}
	var got []string
	for _, s := range r.Sightings[1:] {
		got = append(got, fmt.Sprintf("%s:%d %s %v %q", s.Location.Path, s.Location.Line, s.Rating.Word, s.CWE, s.Suppressed))
	}
	wantRest := []string{`src/app.ts:1 low [CWE-352] "a nosemgrep comment"`, `tool.py:7 medium [] ""`, `tool.py:9 critical [] ""`}
	if d := gocmp.Diff(wantRest, got); d != "" {
		t.Errorf("sightings (-want +got):\n%s", d)
	}
	if r.Version != "1.140.0" || r.Coverage.Files != 4 || r.Coverage.FilesExpected != -1 {
		t.Errorf("version %q, coverage %+v", r.Version, r.Coverage)
	}
	wantDoubts := []string{"2 errors of Semgrep: Syntax error bad.c, Timeout src/run.js javascript.slow", "1 files were skipped: big.js (exceeded_size_limit)"}
	if d := gocmp.Diff(wantDoubts, r.Doubts); d != "" {
		t.Errorf("doubts (-want +got):\n%s", d)
	}
	wantNotes := []string{"1 files were parsed in part: src/app.ts", "1 files are left out by .semgrepignore or its default: tests/a.js"}
	if d := gocmp.Diff(wantNotes, r.Notes); d != "" {
		t.Errorf("notes (-want +got):\n%s", d)
	}
}

func TestSemgrepBelievesWholeReportsOnly(t *testing.T) {
	t.Parallel()
	whole := `{"version":"1","results":[],"errors":[],"paths":{"scanned":["a.js"]}}`
	if r, err := (Semgrep{}).Read(scanner.Job{}, isolate.Command{}, exited(0, whole)); err != nil || r.Coverage.Files != 1 {
		t.Fatalf("a whole report: %+v, %v", r, err)
	}
	for name, ran := range map[string]isolate.Ran{
		"fatal":           exited(2, whole),
		"no rules":        exited(7, whole),
		"nothing":         exited(0, ""),
		"truncated":       exited(0, whole[:30]),
		"no results":      exited(0, `{"errors":[],"paths":{"scanned":[]}}`),
		"no errors":       exited(0, `{"results":[],"paths":{"scanned":[]}}`),
		"no paths":        exited(0, `{"results":[],"errors":[]}`),
		"a list":          exited(0, `[]`),
		"a nameless rule": exited(1, `{"results":[{"path":"a"}],"errors":[],"paths":{"scanned":[]}}`),
		"another folder":  exited(1, `{"results":[{"check_id":"x","path":"/etc/passwd"}],"errors":[],"paths":{"scanned":[]}}`),
	} {
		if r, err := (Semgrep{}).Read(scanner.Job{Workspace: "/workspace"}, isolate.Command{}, ran); err == nil {
			t.Errorf("%s: no error, %+v", name, r)
		}
	}
}

func TestSemgrepCommands(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		setting string
		offline bool
		network bool
		refused bool
	}{
		"the registry":       {"", false, true, false},
		"offline":            {"", true, false, true},
		"local rules":        {"rules/own.yaml rules/more", true, false, false},
		"a URL, offline":     {"https://example.com/r.yaml", true, false, true},
		"auto needs metrics": {"auto", false, false, true},
	} {
		job := scanner.Job{Scratch: t.TempDir(), Offline: c.offline, Settings: map[string]string{"semgrep-config": c.setting}}
		commands, err := Semgrep{}.Commands(job)
		if (err != nil) != c.refused {
			t.Errorf("%s: error %v", name, err)
		}
		if err != nil {
			continue
		}
		line := strings.Join(commands[0].Args, " ")
		if commands[0].Network != c.network || !strings.Contains(line, "--metrics off") || !strings.Contains(line, "--config "+filepath.Join(job.Scratch, "planted-problem.yaml")) {
			t.Errorf("%s: network %t, %s", name, commands[0].Network, line)
		}
	}
}

func BenchmarkSemgrepRead100k(b *testing.B) {
	var in semgrepReport
	if err := json.Unmarshal([]byte(`{"results":[{"check_id":"a.b","path":"a.js","start":{"line":1,"col":1},"extra":{"message":"m","severity":"ERROR"}}]}`), &in); err != nil {
		b.Fatal(err)
	}
	one, err := json.Marshal(in.Results[0])
	if err != nil {
		b.Fatal(err)
	}
	ran := exited(1, `{"results":[`+strings.TrimSuffix(strings.Repeat(string(one)+",", 100_000), ",")+`],"errors":[],"paths":{"scanned":["a.js"]}}`)
	b.ReportAllocs()
	for b.Loop() {
		r, err := Semgrep{}.Read(scanner.Job{Workspace: "/workspace"}, isolate.Command{}, ran)
		if err != nil || len(r.Sightings) != 100_000 {
			b.Fatal(len(r.Sightings), err)
		}
	}
}

func FuzzSemgrepRead(f *testing.F) {
	text, err := os.ReadFile("testdata/semgrep.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, report []byte) {
		r, err := Semgrep{}.Read(scanner.Job{Workspace: "/nowhere"}, isolate.Command{}, exited(0, string(report)))
		checkRead(t, r, err)
	})
}
