package workflows

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
)

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// repository has the named workflows of testdata.
func repository(t testing.TB, names ...string) scanner.Job {
	t.Helper()
	job := scanner.Job{Workspace: t.TempDir(), Scratch: t.TempDir()}
	folder := filepath.Join(job.Workspace, ".github", "workflows")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(folder, n), []byte(read(t, n)), 0o600); err != nil {
			t.Fatal(err)
		}
		job.Tree.Files = append(job.Tree.Files, ".github/workflows/"+n)
	}
	return job
}

func exited(status int, stdout, stderr string) isolate.Ran {
	return isolate.Ran{Ending: isolate.Exited, Status: status, Stdout: []byte(stdout), Stderr: []byte(stderr)}
}

// lines are sightings in short.
func lines(sightings []finding.Sighting) []string {
	var all []string
	for _, s := range sightings {
		all = append(all, fmt.Sprintf("%s:%d %s %s | %s", filepath.Base(s.Location.Path), s.Location.Line, s.Rule, s.Rating.Word, s.Location.Context))
	}
	slices.Sort(all)
	return all
}

// actionlintWant is what actionlint says of testdata.
var actionlintWant = []string{
	"broken.yml:2 syntax-check low | jobs: [",
	"dangerous.yml:12 credentials high | password:",
	`dangerous.yml:18 expression/untrusted-input high | - run: echo "${{ github.event.pull_request.title }}"`,
	`dangerous.yml:19 deprecated-commands medium | - run: echo "::set-output name=a::b"`,
	`dangerous.yml:20 if-cond medium | - if: ${{ github.actor == 'x' }} && true`,
	"dangerous.yml:22 job-needs low | other:",
	"dangerous.yml:24 runner-label info | runs-on: my-own-label",
}

func TestActionlintReadsItsRealReport(t *testing.T) {
	t.Parallel()
	job := repository(t, "broken.yml", "dangerous.yml", "ok.yml")
	commands, err := Actionlint{}.Commands(job)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Actionlint{}.Read(job, commands[0], exited(1, read(t, "actionlint.json"), read(t, "actionlint.stderr")))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(actionlintWant, lines(r.Sightings)); d != "" {
		t.Errorf("sightings (-want +got):\n%s", d)
	}
	if r.Coverage.Files != 2 || r.Coverage.FilesExpected != 3 || !slices.Equal(r.Doubts, []string{"1 workflows could not be parsed: .github/workflows/broken.yml"}) {
		t.Errorf("coverage %+v, doubts %q", r.Coverage, r.Doubts)
	}
	for _, s := range r.Sightings {
		if strings.Contains(fmt.Sprintf("%+v", s), "not-really-a-password") {
			t.Errorf("the password is in %+v", s)
		}
	}
}

func TestActionlintBelievesWholeReportsOnly(t *testing.T) {
	t.Parallel()
	one := `[{"message":"m","filepath":"a.yml","line":1,"column":1,"kind":"events","snippet":"on","end_column":1}]`
	for name, ran := range map[string]isolate.Ran{
		"bad arguments":         exited(2, "[]", ""),
		"a file is missing":     exited(3, "[]", "could not read"),
		"nothing":               exited(0, "", ""),
		"null":                  exited(0, "null", ""),
		"problems but status 0": exited(0, one, ""),
		"status 1 but none":     exited(1, "[]", ""),
		"truncated":             exited(1, one[:40], ""),
		"no kind":               exited(1, `[{"filepath":"a.yml"}]`, ""),
		"outside":               exited(1, `[{"filepath":"../a.yml","kind":"events"}]`, ""),
	} {
		if r, err := (Actionlint{}).Read(scanner.Job{Workspace: "/workspace"}, isolate.Command{Args: []string{"--", "a.yml"}}, ran); err == nil {
			t.Errorf("%s: no error, %+v", name, r)
		}
	}
}

func TestActionlintSaysHowManyFilesItRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stderr   string
		expected int
		want     int
	}{
		{"verbose: Linting 3 files\nverbose: Found 7 errors in 3 files\n", 3, 3},
		{"verbose: Found 0 errors in 2 files", 3, 2},
		{"verbose: Found total 0 errors in 0 ms for a.yml\n", 1, 1},
		{"verbose: Found total 0 errors in 0 ms for a.yml\n", 2, 0},
		{"", 1, 0},
	} {
		if got := actionlintFiles([]byte(c.stderr), c.expected); got != c.want {
			t.Errorf("actionlintFiles(%q, %d) = %d, want %d", c.stderr, c.expected, got, c.want)
		}
	}
}

func TestZizmorReadsTheDocumentedReport(t *testing.T) {
	t.Parallel()
	job := repository(t, "dangerous.yml")
	r, err := Zizmor{}.Read(job, isolate.Command{}, exited(0, read(t, "zizmor.json"), ""))
	if err != nil {
		t.Fatal(err)
	}
	want := []finding.Sighting{{
		Tool: "zizmor", Rule: "template-injection", Class: finding.ClassWorkflow, Title: "code injection via template expansion",
		Message: "code injection via template expansion: may expand into attacker-controllable code",
		Help:    "https://docs.zizmor.sh/audits/#template-injection", Rating: finding.Rating{Word: "high"},
		Location: finding.Location{Path: ".github/workflows/dangerous.yml", Line: 18, Column: 24, End: 18, Context: `- run: echo "${{ github.event.pull_request.title }}"`},
	}, {
		Tool: "zizmor", Rule: "unpinned-uses", Class: finding.ClassWorkflow, Title: "unpinned action reference",
		Message: "unpinned action reference: action is not pinned to a hash (required by blanket policy)",
		Help:    "https://docs.zizmor.sh/audits/#unpinned-uses", Rating: finding.Rating{Word: "informational"},
		Location:   finding.Location{Path: "tools/action.yml", Line: 6, Column: 15, End: 6},
		Suppressed: "a comment or the configuration of zizmor",
	}}
	if d := cmp.Diff(want, r.Sightings); d != "" {
		t.Errorf("sightings (-want +got):\n%s", d)
	}
}

func TestZizmorBelievesWholeReportsOnly(t *testing.T) {
	t.Parallel()
	for name, ran := range map[string]isolate.Ran{
		"an error":       exited(1, "[]", "fatal: no audit was performed"),
		"exit codes":     exited(14, "[]", ""),
		"no inputs":      exited(3, "[]", ""),
		"nothing":        exited(0, "", ""),
		"null":           exited(0, "null", ""),
		"SARIF":          exited(0, `{"runs":[]}`, ""),
		"truncated":      exited(0, read(t, "zizmor.json")[:500], ""),
		"no location":    exited(0, `[{"ident":"x","locations":[]}]`, ""),
		"a remote file":  exited(0, `[{"ident":"x","locations":[{"symbolic":{"key":{"Remote":{}},"kind":"Primary"}}]}]`, ""),
		"a file outside": exited(0, `[{"ident":"x","locations":[{"symbolic":{"key":{"Local":{"verbatim_path":"../a.yml"}},"kind":"Primary"}}]}]`, ""),
	} {
		if r, err := (Zizmor{}).Read(scanner.Job{Workspace: "/workspace"}, isolate.Command{}, ran); err == nil {
			t.Errorf("%s: no error, %+v", name, r)
		}
	}
	r, err := Zizmor{}.Read(scanner.Job{}, isolate.Command{}, exited(0, "[]", " WARN collect_inputs: zizmor::registry::input: failed to parse input: invalid YAML\n INFO audit: ok\n"))
	if err != nil || len(r.Doubts) != 1 {
		t.Errorf("a file that was passed by: %q, %v", r.Doubts, err)
	}
}

func TestZizmorNamesFilesAsPaths(t *testing.T) {
	t.Parallel()
	job := scanner.Job{Tree: scanner.Tree{Files: []string{".github/workflows/a.yml", ".github/workflows/notes.md", "action.yml", "docs/action.yaml", "node_modules/x/action.yml", "src/workflows/a.yml"}}}
	commands, err := Zizmor{}.Commands(job)
	if err != nil {
		t.Fatal(err)
	}
	args := commands[0].Args
	if got := args[slices.Index(args, "--")+1:]; !slices.Equal(got, []string{"./.github/workflows/a.yml", "./action.yml", "./docs/action.yaml"}) {
		t.Errorf("files %q", got)
	}
	for _, s := range []scanner.Scanner{Actionlint{}, Zizmor{}, Rules{}} {
		if ok, why := s.Applies(scanner.Job{Tree: scanner.Tree{Files: []string{"main.go"}}}); ok || why == "" {
			t.Errorf("%s applies to a repository without workflows: %q", s.About().Name, why)
		}
	}
}

func BenchmarkActionlintRead100k(b *testing.B) {
	one := `{"message":"label \"x\" is unknown","filepath":".github/workflows/a.yml","line":3,"column":1,"kind":"runner-label","snippet":"runs-on: x\n^~~","end_column":1},`
	ran := exited(1, "["+strings.TrimSuffix(strings.Repeat(one, 100_000), ",")+"]", "")
	b.ReportAllocs()
	for b.Loop() {
		r, err := Actionlint{}.Read(scanner.Job{Workspace: "/workspace"}, isolate.Command{Args: []string{"--", "a.yml"}}, ran)
		if err != nil || len(r.Sightings) != 100_000 {
			b.Fatal(len(r.Sightings), err)
		}
	}
}

func BenchmarkZizmorRead100k(b *testing.B) {
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(read(b, "zizmor.json")), &all); err != nil {
		b.Fatal(err)
	}
	ran := exited(0, "["+strings.TrimSuffix(strings.Repeat(string(all[0])+",", 100_000), ",")+"]", "")
	b.ReportAllocs()
	for b.Loop() {
		r, err := Zizmor{}.Read(scanner.Job{Workspace: "/workspace"}, isolate.Command{}, ran)
		if err != nil || len(r.Sightings) != 100_000 {
			b.Fatal(len(r.Sightings), err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(read(f, "actionlint.json")))
	f.Add([]byte(read(f, "zizmor.json")))
	f.Fuzz(func(t *testing.T, report []byte) {
		for _, p := range []scanner.Program{Actionlint{}, Zizmor{}} {
			for status := range 2 {
				r, err := p.Read(scanner.Job{Workspace: "/nowhere"}, isolate.Command{Args: []string{"--", "a.yml"}}, exited(status, string(report), ""))
				for _, s := range r.Sightings {
					if err != nil || s.Rule == "" || !filepath.IsLocal(s.Location.Path) || s.Location.Line < 0 {
						t.Errorf("%v, %+v", err, s)
					}
				}
			}
		}
	})
}
