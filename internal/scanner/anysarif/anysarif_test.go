package anysarif

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/scanner"
)

// two has a run with one result and a run without.
const two = `{"version": "2.1.0", "runs": [
  {"tool": {"driver": {"name": "Some Linter", "version": "1.2"}},
   "results": [{"ruleId": "L1", "level": "error", "message": {"text": "bad"},
    "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/a.c"}, "region": {"startLine": 2}}}]}]},
  {"tool": {"driver": {"name": "Other"}}, "results": []}
]}`

func job(t *testing.T, files map[string]string) scanner.Job {
	t.Helper()
	j := scanner.Job{Workspace: t.TempDir()}
	for name, text := range files {
		path := filepath.Join(j.Workspace, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

func TestFilesAreReadUnderTheNamesOfTheirTools(t *testing.T) {
	t.Parallel()
	j := job(t, map[string]string{"two.sarif": two, "src/a.c": "int a;\n  gets(b);\n"})
	j.SARIF = []string{"two.sarif", filepath.Join(j.Workspace, "two.sarif")}
	r, err := Files{}.Scan(t.Context(), j)
	if err != nil || len(r.Sightings) != 2 || len(r.Doubts) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	s := r.Sightings[0]
	if got, want := fmt.Sprint(s.Tool, s.Rule, s.Rating.Level, s.Location.Path, s.Location.Line, s.Location.Context), fmt.Sprint("some-linter", "L1", "error", "src/a.c", 2, "gets(b);"); got != want {
		t.Errorf("sighting %q, want %q", got, want)
	}
	want := []string{"two.sarif of Some Linter 1.2: 1 results", "two.sarif of Other: 0 results"}
	if d := cmp.Diff(want, r.Notes[:2]); d != "" {
		t.Errorf("notes (-want +got):\n%s", d)
	}
}

func TestAFileThatIsNotWholeIsAnError(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty": "", "cut": two[:200], "another": "{}", "text": "hello", "older": strings.Replace(two, "2.1.0", "2.0.0", 1)} {
		j := job(t, map[string]string{"good.sarif": two, "bad.sarif": text})
		j.SARIF = []string{"good.sarif", "bad.sarif"}
		if r, err := (Files{}).Scan(t.Context(), j); err == nil || !strings.Contains(err.Error(), "bad.sarif") || len(r.Sightings) > 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	j := job(t, nil)
	j.SARIF = []string{"gone.sarif"}
	if _, err := (Files{}).Scan(t.Context(), j); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestDoubtsNameFileAndTool(t *testing.T) {
	t.Parallel()
	j := job(t, map[string]string{
		"none.sarif":   `{"version": "2.1.0", "runs": []}`,
		"failed.sarif": `{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "X"}}, "invocations": [{"executionSuccessful": false}], "results": []}]}`,
	})
	j.SARIF = []string{"none.sarif", "failed.sarif"}
	r, err := Files{}.Scan(t.Context(), j)
	if err != nil || len(r.Doubts) != 2 || !strings.HasPrefix(r.Doubts[0], "none.sarif has no run") || !strings.HasPrefix(r.Doubts[1], "failed.sarif of X: ") {
		t.Errorf("doubts %q, %v", r.Doubts, err)
	}
}

func TestFilesApply(t *testing.T) {
	t.Parallel()
	if ok, why := (Files{}).Applies(scanner.Job{}); ok || why == "" {
		t.Errorf("Applies() = %t, %q", ok, why)
	}
	if ok, why := (Files{}).Applies(scanner.Job{SARIF: slices.Repeat([]string{"a"}, 3)}); !ok || why != "3 SARIF files" {
		t.Errorf("Applies() = %t, %q", ok, why)
	}
}
