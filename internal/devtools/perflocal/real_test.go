package perflocal

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/perf/record"
	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

// What a person types who has no website: the gate refuses the planted script by what
// it delays, and a load of the clean site passes, twice.
func TestSampleWebsite(t *testing.T) {
	t.Parallel()
	toolboxtest.Need(t, "lighthouse", "k6")
	dir := t.TempDir()
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		e := action.Env{Getenv: os.Getenv, Stdout: &out, Stderr: &out}
		return Main(e, append([]string{"--dir=" + dir, "--report-dir=" + filepath.Join(dir, "report")}, args...)), out.String()
	}
	for range 2 {
		if code, out := run("--meters=load", "--duration=10s"); code != 0 || !strings.Contains(out, "measuring the sample website") {
			t.Errorf("a load of the clean site: exit status %d:\n%s", code, out)
		}
	}
	code, out := run("--compare=base", "--defect=blocking-script", "--meters=lighthouse", "--devices=desktop")
	if code != 3 {
		t.Fatalf("exit status %d:\n%s", code, out)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "report", record.Name))
	if err != nil {
		t.Fatal(err)
	}
	r, err := record.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	var worse []string
	for _, c := range r.Comparisons {
		if c.Change == compare.Worse {
			worse = append(worse, c.Key.Metric)
		}
	}
	if !slices.Contains(worse, "total-blocking-time") || slices.Contains(worse, "cumulative-layout-shift") {
		t.Errorf("worse are %q:\n%s", worse, out)
	}
}
