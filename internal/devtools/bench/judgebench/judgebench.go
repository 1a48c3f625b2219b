// Package judgebench measures the judge on simulated rollouts: how often it stops
// a healthy one, how often and how soon it stops a bad one, beside what is usually
// done instead:
//
//   - a fixed threshold, looked at once a minute: over 5 % errors, or a mean
//     latency of over twice stable's;
//   - Kayenta's rule at the end of a step: a Mann-Whitney of the mean latency and
//     of the share of failures, a value every ten seconds, at 98 %. It fails a
//     canary whose interval of the difference lies above a quarter of stable's mean
//     (MannWhitneyClassifier with its default tolerance of 0.25);
//   - the success-rate query of Argo Rollouts' documentation: at least 95 % of the
//     canary's answers, once a minute; the fourth that is less fails it
//     (failureLimit: 3).
//
// The simulated requests come one by one, with errors and latencies of their own;
// nothing here knows what the judge looks for. A fifth of them is pinned to one
// version, as in a release: to the canary below 50 %, to stable from there on.
package judgebench

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
)

// ResultFile is where the figures go, below the repository's root.
const ResultFile = "out/bench-judge.json"

// A Figure is one row: what a way of judging made of a scenario.
type Figure struct {
	Scenario string  `json:"scenario"`
	Judge    string  `json:"judge"`
	Healthy  bool    `json:"healthy"`
	Runs     int     `json:"runs"`
	Stopped  float64 `json:"stopped_share"`
	Held     float64 `json:"held_share"`
	// Median and P95 are seconds of canary traffic until it was stopped, of
	// the runs that were.
	Median float64 `json:"median_seconds"`
	P95    float64 `json:"p95_seconds"`
}

// judges are the columns.
var judges = []string{"this judge", "fixed threshold", "Kayenta's rule", "Argo's success rate"}

// Run measures every scenario, or those whose name contains -only, and writes
// ResultFile. -runs is how many rollouts each of them has.
func Run(ctx context.Context, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("bench:judge", flag.ContinueOnError)
	runs := flags.Int("runs", 100, "rollouts per scenario")
	only := flags.String("only", "", "a part of the names of the scenarios")
	if err := flags.Parse(args); err != nil {
		return &exit.Error{Status: exit.BadInput, Err: err}
	}
	if *runs < 1 || flags.NArg() > 0 {
		return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("bench:judge: runs is %d, want 1 or more; %q is not known", *runs, flags.Args())}
	}
	debug.SetGCPercent(800) // short-lived points by the million
	return run(ctx, out, *runs, *only, ResultFile)
}

func run(ctx context.Context, out io.Writer, runs int, only, file string) error {
	var figures []Figure
	line := func(name, runs string, cells []string) {
		fmt.Fprintf(out, "| %s | %s | %s |\n", name, runs, strings.Join(cells, " | "))
	}
	line("stopped (held), after median / p95 s", "runs", judges)
	for _, s := range scenarios(runs) {
		if !strings.Contains(s.name, only) {
			continue
		}
		rows, err := s.measure(ctx, out)
		if err != nil {
			return err
		}
		figures = append(figures, rows...)
		var cells []string
		for _, f := range rows {
			cells = append(cells, f.cell())
		}
		line(s.name, strconv.Itoa(s.runs), cells)
	}
	raw, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, append(raw, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "written to %s\n", file)
	return nil
}

func (f Figure) cell() string {
	text := fmt.Sprintf("%.2f %%", 100*f.Stopped)
	if f.Held > 0 {
		text += fmt.Sprintf(" (%.2f %%)", 100*f.Held)
	}
	if f.Stopped > 0 {
		text += fmt.Sprintf(", %.0f / %.0f s", f.Median, f.P95)
	}
	return text
}

// measure runs a scenario on all cores.
func (s scenario) measure(ctx context.Context, out io.Writer) ([]Figure, error) {
	results := make([][]outcome, s.runs)
	var next, done atomic.Int64
	var wg sync.WaitGroup
	stop := heartbeat(out, s.name, s.runs, &done)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(s.runs) && ctx.Err() == nil; i = next.Add(1) - 1 {
				results[i] = s.rollout(uint64(i))
				done.Add(1)
			}
		})
	}
	wg.Wait()
	stop()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: %w", s.name, context.Cause(ctx))
	}
	var figures []Figure
	for k, name := range judges {
		f := Figure{Scenario: s.name, Judge: name, Healthy: s.healthy, Runs: s.runs}
		var after []float64
		for _, r := range results {
			if r[k].held {
				f.Held++
			}
			if r[k].stopped {
				after = append(after, r[k].after)
			}
		}
		slices.SortFunc(after, cmp.Compare[float64])
		f.Held /= float64(s.runs)
		f.Stopped = float64(len(after)) / float64(s.runs)
		if n := len(after); n > 0 {
			f.Median, f.P95 = after[n/2], after[min(n*95/100, n-1)]
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// heartbeat says how far a scenario is, every four seconds.
func heartbeat(out io.Writer, name string, runs int, done *atomic.Int64) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(4 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				fmt.Fprintf(out, "  ... %s: %d of %d\n", strings.TrimSuffix(name, ","), done.Load(), runs)
			}
		}
	}()
	return func() { close(quit); <-ended }
}
