package replay

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/rollout"
)

const recordings = "../../testdata/judge"

var update = flag.Bool("update", false, "write the recordings of testdata/judge anew")

// rollouts are what the recordings of testdata/judge are made of: the share of the
// canary's requests that fail.
var rollouts = map[string]float64{"healthy.jsonl": .001, "errors.jsonl": .3}

// record records a rollout through 5, 50 and 100 %, 40 s each, of 100 requests a
// second, until it is judged.
func record(failing float64) []byte {
	var b bytes.Buffer
	now := time.Date(2026, 7, 1, 3, 0, 0, 0, time.UTC)
	weights := []int{5, 50, 100}
	r := recording.New(&b, recording.Start{Target: "shop/web", Image: "registry.example/web:2", Steps: len(weights), Config: config.Default()})
	random := rand.New(rand.NewPCG(7, 7))
	second := func(weight int) {
		now = now.Add(time.Second)
		canary := 0
		for range 100 {
			if random.IntN(100) < weight {
				canary++
			}
		}
		r.Add(config.ProbeMetric, answers(random, now, rollout.SideCanary, canary, failing), answers(random, now, rollout.SideStable, 100-canary, .001))
	}
	for range 3 {
		second(0) // what is usual before
	}
	const dwell = 40 * time.Second
	for i, weight := range weights {
		r.Begin(analysis.Begin{Step: i, Weight: weight, At: now})
		r.Confirmed(now)
		for began := now; ; {
			second(weight)
			result := r.Look(analysis.Moment{Now: now, Elapsed: now.Sub(began), Dwell: dwell})
			if result.Verdict == rollout.VerdictPending {
				continue
			}
			if result.Verdict == rollout.VerdictFailed {
				return b.Bytes()
			}
			break
		}
	}
	return b.Bytes()
}

// answers are n answers of a version within a second, in buckets of 10 ms.
func answers(r *rand.Rand, at time.Time, v rollout.Side, n int, failing float64) analysis.Point {
	p := analysis.Point{At: at, Side: v, Total: float64(n)}
	var buckets [4]float64
	for range n {
		if r.Float64() < failing {
			p.Failed++
			continue
		}
		buckets[min(r.IntN(len(buckets)), r.IntN(len(buckets)))]++
	}
	for i, count := range buckets {
		if count > 0 {
			p.Latency = append(p.Latency, analysis.Bucket{Over: analysis.Number(i+1) / 100, Upto: analysis.Number(i+2) / 100, N: count})
		}
	}
	return p
}

// write puts a file below a folder of the test's own.
func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func replayed(t *testing.T, args ...string) string {
	t.Helper()
	var out strings.Builder
	if err := Run(t.Context(), &out, args); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var stepRow = regexp.MustCompile(`^\d+ of \d+  (.*)`)

// rows are the lines of the table, each as its cells.
func rows(out string) [][]string {
	var all [][]string
	for line := range strings.Lines(out) {
		if row := stepRow.FindStringSubmatch(line); row != nil {
			var cells []string
			for cell := range strings.SplitSeq(strings.TrimSpace(row[1]), "  ") {
				if cell != "" {
					cells = append(cells, strings.TrimSpace(cell))
				}
			}
			all = append(all, cells)
		}
	}
	return all
}

func TestSameSettingsSayTheSame(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][][]string{
		"healthy.jsonl": {{"5 %", "Successful", "Successful", "40s"}, {"50 %", "Successful", "Successful", "40s"}, {"100 %", "Successful", "Successful", "40s"}},
		"errors.jsonl":  {{"5 %", "Failed", "Failed", "4s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(recordings, name)
			if *update {
				if err := os.WriteFile(file, record(rollouts[name]), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			out := replayed(t, "-file="+file)
			if diff := cmp.Diff(want, rows(out)); diff != "" {
				t.Errorf("table (-want +got):\n%s\n%s", diff, out)
			}
			if strings.Contains(out, "changed:") {
				t.Errorf("something changed:\n%s", out)
			}
		})
	}
}

func TestOtherSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file, settings string
		rows                 [][]string
		says                 []string
	}{
		{
			"stricter", "healthy.jsonl", "version: 1\nmetrics: [{name: probe, latency: {p95: 1ms}}]\n",
			// stable is over the limit as well, and at 100 % the canary warms up
			[][]string{{"5 %", "Successful", "Inconclusive, extend", "40s"}, {"50 %", "Successful", "Inconclusive, extend", "40s"}, {"100 %", "Successful", "Inconclusive, extend", "40s"}},
			[]string{"changed: probe, latency-max: Inconclusive, was Successful: the canary has a p95 of", "limit 1ms", "stable has one of"},
		},
		{
			"stricter than the canary and not than stable", "errors.jsonl", "version: 1\nmetrics: [{name: probe, errors: {rate: 1, success: 0}}]\n",
			[][]string{{"5 %", "Failed", "Failed", "4s"}},
			nil,
		},
		{
			"more samples", "healthy.jsonl", "version: 1\nmetrics: [{name: probe, min-samples: 100000, on-few-samples: hold}]\n",
			[][]string{{"5 %", "Successful", "Inconclusive, hold", "40s"}, {"50 %", "Successful", "Inconclusive, hold", "40s"}, {"100 %", "Successful", "Inconclusive, hold", "40s"}},
			[]string{"too few to judge", "it would have waited here"},
		},
		{
			"lax", "errors.jsonl", "version: 1\nmetrics: [{name: probe, errors: {rate: 90, success: 5, ratio: 1000, floor: 90}}]\n",
			[][]string{{"5 %", "Failed", "Pending", "4s"}},
			[]string{"The recording ends here"},
		},
		{
			"one metric more", "healthy.jsonl", "version: 1\nmetrics: [{name: cpu, kubernetes: {resource: cpu}, limit: {max: 90}, on-no-data: ignore}]\n",
			[][]string{{"5 %", "Successful", "Successful", "40s"}, {"50 %", "Successful", "Successful", "40s"}, {"100 %", "Successful", "Successful", "40s"}},
			[]string{"changed: cpu, data: Inconclusive, was not judged", "warning: not judged, as asked: cpu"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := replayed(t, "-file="+filepath.Join(recordings, c.file), "-analysis="+write(t, "analysis.yaml", c.settings))
			if diff := cmp.Diff(c.rows, rows(out)); diff != "" {
				t.Errorf("table (-want +got):\n%s\n%s", diff, out)
			}
			for _, part := range c.says {
				if !strings.Contains(out, part) {
					t.Errorf("it does not say %q:\n%s", part, out)
				}
			}
		})
	}
}

// What the file leaves open is as it was.
func TestTheRestStaysAsRecorded(t *testing.T) {
	t.Parallel()
	recorded := config.Default()
	rate := 1.5
	recorded.Metrics[0].Errors.Rate, recorded.Metrics[0].MinSamples = &rate, 33
	c, err := options{analysis: write(t, "a.yaml", "version: 1\nmetrics: [{name: probe, latency: {ratio: 3}}]\n")}.settings(recorded)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Metrics[0]; got.MinSamples != 33 || got.Latency.Ratio != 3 {
		t.Errorf("the probe is judged by %+v", got)
	}
	c, err = options{analysis: write(t, "b.yaml", "version: 1\nmetrics: [{name: probe, errors: {ratio: 3}}]\n")}.settings(recorded)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Metrics[0].Errors; *got.Rate != rate || got.Ratio != 3 {
		t.Errorf("the probe's errors are judged by %+v", got)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	healthy := filepath.Join(recordings, "healthy.jsonl")
	started := strings.SplitAfter(string(record(.3)), "\n")[0]
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"no file is named", nil, "file: required"},
		{"an unknown flag", []string{"-fiel=a"}, "fiel"},
		{"a word", []string{"-file=" + healthy, "healthy"}, `"healthy" is not known`},
		{"it is not there", []string{"-file=" + filepath.Join(t.TempDir(), "none.jsonl")}, "read the recording"},
		{"it is empty", []string{"-file=" + write(t, "a.jsonl", "")}, "it is empty"},
		{"it is something else", []string{"-file=" + write(t, "a.jsonl", "canary: yes\n")}, "line 1"},
		{"it has no start", []string{"-file=" + write(t, "a.jsonl", `{"confirmed":"2026-07-01T03:00:00Z"}`+"\n")}, "does not begin with the start"},
		{"it has another version", []string{"-file=" + write(t, "a.jsonl", `{"start":{"version":9}}`+"\n")}, "it has version 9"},
		{"it is broken", []string{"-file=" + write(t, "a.jsonl", started+`{"begin":{"st`+"\n"+started)}, "line 2"},
		{"nothing was judged", []string{"-file=" + write(t, "a.jsonl", started)}, "nothing was judged"},
		{"the settings are not there", []string{"-file=" + healthy, "-analysis=" + filepath.Join(t.TempDir(), "none.yaml")}, "read the analysis file"},
		{"the settings are bad", []string{"-file=" + healthy, "-analysis=" + write(t, "a.yaml", "version: 1\nlimits: 3\n")}, "limits"},
		{"the settings are out of range", []string{"-file=" + healthy, "-analysis=" + write(t, "a.yaml", "version: 1\nalpha: 2\n")}, "alpha is 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := Run(t.Context(), &out, c.args)
			if status, _ := exit.Of(err); status != exit.BadInput || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want bad input that says %q", err, c.says)
			}
			if out.Len() > 0 {
				t.Errorf("it prints\n%s", &out)
			}
		})
	}
}

// A recording that cannot be printed is no bad input.
func TestClosedOutput(t *testing.T) {
	t.Parallel()
	err := Run(t.Context(), full{}, []string{"-file=" + filepath.Join(recordings, "errors.jsonl")})
	var exit *exit.Error
	if err == nil || errors.As(err, &exit) {
		t.Errorf("error %v, want that of writing", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// Rollouts whose canary was as good as stable, and which an earlier judge failed: this
// one does not, at the same answers.
func TestFalseAborts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(recordings, "false-aborts", "*.jsonl"))
	if err != nil || len(files) < 8 {
		t.Fatalf("%d recordings, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			out := replayed(t, "-file="+file)
			all := rows(out)
			last := all[len(all)-1]
			if last[1] != "Failed" || strings.HasPrefix(last[2], "Failed") {
				t.Errorf("%v, want Failed then and not now:\n%s", last, out)
			}
		})
	}
}

// A run that was killed leaves half a line. Its recording is judged up to there; what it
// recorded is no command to a terminal or to the runner.
func TestHalfALineAndControlCharacters(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(recordings, "errors.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(raw), "\n")
	text := strings.Replace(strings.Join(lines[:len(lines)-2], ""), `"image":"`, `"image":"\u001b]0;evil\u0007\n::error::boom`, 1)
	out := replayed(t, "-file="+write(t, "a.jsonl", text+lines[len(lines)-2][:40]))
	if !strings.Contains(out, "Step 1 at 5 %") || strings.ContainsAny(out, "\x1b\a") || strings.Contains(out, "\n::") {
		t.Errorf("it prints\n%q", out)
	}
}
