// Package judgebench measures the judge on simulated rollouts: how often it stops
// a healthy one, how often and how soon it stops a bad one, beside what is usually
// done instead:
//
//   - a fixed threshold, looked at once a minute: over 5 % errors, or a mean
//     latency of over twice stable's;
//   - a plain Mann-Whitney at the end of a step: the canary's latencies, or its
//     failures a second, differ from those of a baseline of its own size at 2 %,
//     two-sided, as Kayenta's judge asks.
//
// The simulated requests come one by one, with errors and latencies of their own;
// nothing here knows what the judge looks for.
package judgebench

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
)

// ResultFile is where the figures go, below the repository's root.
const ResultFile = "out/bench-judge.json"

// dwell is how long each of the steps is held.
const dwell = 5 * time.Minute

var steps = []int{5, 25, 50, 100}

// A world is what both versions live in, a second at a time.
type world struct {
	r    *rand.Rand
	rate float64 // requests per second
	// level and noise are factors on all latencies and on all errors that
	// last for a while; slow is the canary's alone, and own stable's.
	level, noise float64
	drift        map[rollout.Side]float64
}

// A scenario is a kind of rollout.
type scenario struct {
	name    string
	healthy bool
	rate    float64
	runs    int
	// errors and latency are the canary's: its share of failed requests and
	// its latency where stable's would be v.
	errors  float64
	latency func(w *world, v float64) float64
	// each changes the world as seconds go by.
	each func(w *world, second int)
}

const (
	usualErrors  = .001
	usualLatency = .05
	usualSpread  = .5
)

func times(f float64) func(*world, float64) float64 {
	return func(_ *world, v float64) float64 { return v * f }
}

func same(_ *world, v float64) float64 { return v }

// scenarios are the rows of the table. runs is for the slowest of them to end in
// about a minute on two cores.
func scenarios(scale float64) []scenario {
	n := func(runs int) int { return max(int(float64(runs)*scale), 2) }
	list := []scenario{
		{name: "healthy, 10 requests/s", healthy: true, rate: 10, runs: n(10_000)},
		{name: "healthy, 30 requests/s", healthy: true, rate: 30, runs: n(10_000)},
		{name: "healthy, 100 requests/s", healthy: true, rate: 100, runs: n(10_000)},
		{name: "healthy, 1000 requests/s", healthy: true, rate: 1000, runs: n(200)},
		{name: "bursts that hit both versions", healthy: true, rate: 100, runs: n(1000), each: bursts},
		{name: "daily waves of load and latency", healthy: true, rate: 100, runs: n(1000), each: waves},
		{name: "autocorrelated latencies", healthy: true, rate: 100, runs: n(1000), each: autocorrelated},
		{name: "5 % errors against 0.1 %", rate: 100, runs: n(1000), errors: .05},
		{name: "2 % errors against 0.1 %", rate: 100, runs: n(1000), errors: .02},
		{name: "1 % errors against 0.1 %", rate: 100, runs: n(1000), errors: .01},
		{name: "30 % errors against 0.1 %", rate: 100, runs: n(1000), errors: .3},
		{name: "sparse errors, 0.3 % against none", rate: 100, runs: n(1000), errors: .003, each: func(w *world, _ int) { w.noise = 0 }},
		{name: "latency 20 % up (within the limit)", rate: 100, runs: n(500), latency: times(1.2)},
		{name: "latency 50 % up (at the limit)", rate: 100, runs: n(500), latency: times(1.5)},
		{name: "latency twice", rate: 100, runs: n(500), latency: times(2)},
		{name: "7 of 10 answers 100 times as slow", rate: 100, runs: n(500), latency: func(w *world, v float64) float64 {
			if w.r.IntN(10) < 7 {
				return 100 * v
			}
			return v
		}},
		{name: "same median, three times the spread", rate: 100, runs: n(500), latency: func(_ *world, v float64) float64 {
			r := v / usualLatency
			return usualLatency * r * r * r
		}},
	}
	for i := range list {
		if list[i].latency == nil {
			list[i].latency = same
		}
		if list[i].errors == 0 {
			list[i].errors = usualErrors
		}
	}
	return list
}

// bursts make both versions slow and fail ten times as often for twenty seconds,
// once in two minutes or so.
func bursts(w *world, _ int) {
	if w.level > 1 {
		if w.r.IntN(20) == 0 {
			w.level, w.noise = 1, 1
		}
	} else if w.r.IntN(120) == 0 {
		w.level, w.noise = 4, 10
	}
}

// waves go up and down by half within ten minutes, so that a rollout sees two.
func waves(w *world, second int) {
	w.level = 1 + .5*math.Sin(2*math.Pi*float64(second)/600)
	w.rate = 100 * w.level
}

// autocorrelated latencies drift by some 20 % over ten seconds, each version on
// its own.
func autocorrelated(w *world, _ int) {
	for _, v := range []rollout.Side{rollout.SideStable, rollout.SideCanary} {
		w.drift[v] = .9*w.drift[v] + .09*w.r.NormFloat64()
	}
}

// A second is what both versions did in it.
type second struct{ stable, canary analysis.Point }

func (s scenario) second(w *world, weight int, at time.Time) second {
	stable, canary := analysis.Point{At: at, Side: rollout.SideStable}, analysis.Point{At: at, Side: rollout.SideCanary}
	for range poisson(w.r, w.rate) {
		p, failing := &stable, usualErrors*w.noise
		if w.r.IntN(100) < weight {
			p, failing = &canary, max(s.errors, usualErrors*w.noise)
		}
		p.Total++
		if w.r.Float64() < failing {
			p.Failed++
			continue
		}
		v := usualLatency * w.level * math.Exp(usualSpread*w.r.NormFloat64()+w.drift[p.Side])
		if p == &canary {
			v = s.latency(w, v)
		}
		seconds := analysis.Number(v)
		p.Latency = append(p.Latency, analysis.Bucket{Over: seconds, Upto: seconds, N: 1})
	}
	return second{stable, canary}
}

// poisson draws how many requests come in a second.
func poisson(r *rand.Rand, mean float64) int {
	if mean > 50 {
		return max(int(math.Round(mean+math.Sqrt(mean)*r.NormFloat64())), 0)
	}
	limit, p, n := math.Exp(-mean), 1.0, 0
	for {
		if p *= r.Float64(); p < limit {
			return n
		}
		n++
	}
}

// An outcome is what one way of judging made of one rollout: stopped after so many
// seconds of canary traffic, held, or neither.
type outcome struct {
	stopped, held bool
	after         float64
}

// rollout runs one rollout to its end by each of the judges.
func (s scenario) rollout(seed uint64) (ours, fixed, plain outcome) {
	config := analysis.DefaultConfig()
	judge := analysis.NewJudge(config, len(steps))
	w := &world{r: rand.New(rand.NewPCG(seed, 11)), rate: s.rate, level: 1, noise: 1, drift: map[rollout.Side]float64{}}
	now, passed := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 0
	var peers rivals
	oursEnded, fixedEnded, plainEnded := false, false, false
	for i, weight := range steps {
		judge.Begin(analysis.Begin{Step: i, Weight: weight, At: now})
		judge.Confirmed(now)
		began := now
		peers.begin()
		for extensions := 0; ; {
			now, passed = now.Add(time.Second), passed+1
			if s.each != nil {
				s.each(w, passed)
			}
			sec := s.second(w, weight, now)
			elapsed := now.Sub(began)
			if !fixedEnded || !plainEnded {
				peers.add(w, sec, weight)
				if !fixedEnded && peers.threshold(elapsed) {
					fixed, fixedEnded = outcome{stopped: true, after: float64(passed)}, true
				}
				if !plainEnded && elapsed == dwell && peers.mannWhitney() {
					plain, plainEnded = outcome{stopped: true, after: float64(passed)}, true
				}
			}
			verdict := rollout.VerdictSuccessful
			if !oursEnded {
				judge.Add(analysis.ProbeMetric, sec.stable, sec.canary)
				verdict = judge.Look(analysis.Moment{Now: now, Elapsed: elapsed, Dwell: dwell * time.Duration(1+extensions)}).Verdict
			}
			switch {
			case verdict == rollout.VerdictFailed:
				ours, oursEnded = outcome{stopped: true, after: float64(passed)}, true
			case verdict == rollout.VerdictInconclusive && extensions < *config.MaxExtensions:
				extensions++
				continue
			case verdict == rollout.VerdictInconclusive:
				ours, oursEnded = outcome{held: true, after: float64(passed)}, true
			}
			if elapsed >= dwell && verdict != rollout.VerdictPending {
				break
			}
		}
		if oursEnded && fixedEnded && plainEnded {
			break
		}
	}
	return ours, fixed, plain
}

// rivals are the usual ways to judge.
type rivals struct {
	weight         int
	minute, step   [2]tally // canary, stable
	failures       [2][]float64
	canary, stable stat.Hist
}

type tally struct{ total, failed, sum float64 }

func (t *tally) add(p analysis.Point) {
	t.total += p.Total
	t.failed += p.Failed
	for _, b := range p.Latency {
		t.sum += float64(b.Upto)
	}
}

func (t tally) mean() float64 { return t.sum / max(t.total-t.failed, 1) }

func (r *rivals) begin() { *r = rivals{} }

// thinned is how many of the failures would be there if both versions had as many
// requests as the one with fewer.
func thinned(w *world, failed float64, side, weight int) float64 {
	own := []float64{float64(weight), float64(100 - weight)}
	keep, n := min(own[0], own[1])/own[side], 0.0
	for range int(failed) {
		if w.r.Float64() < keep {
			n++
		}
	}
	return n
}

func (r *rivals) add(w *world, s second, weight int) {
	r.weight = weight
	for i, p := range []analysis.Point{s.canary, s.stable} {
		r.minute[i].add(p)
		r.step[i].add(p)
		r.failures[i] = append(r.failures[i], thinned(w, p.Failed, i, weight))
		for _, b := range p.Latency {
			if i == 0 {
				r.canary.Add(float64(b.Upto), b.N)
			} else {
				r.stable.Add(float64(b.Upto), b.N)
			}
		}
	}
}

// threshold looks once a minute at the last minute.
func (r *rivals) threshold(elapsed time.Duration) bool {
	if elapsed%time.Minute != 0 {
		return false
	}
	canary, stable := r.minute[0], r.minute[1]
	r.minute = [2]tally{}
	return canary.total > 0 && canary.failed/canary.total > .05 || stable.total > 0 && canary.mean() > 2*stable.mean()
}

// mannWhitney compares the whole step once.
func (r *rivals) mannWhitney() bool {
	if r.weight == 100 {
		return false
	}
	differ := func(c stat.Comparison) bool {
		z := math.Abs(c.Theta-.5) / math.Sqrt(c.NullVar)
		return z > 2.3263478740408408
	}
	return differ(stat.CompareHists([]stat.HistBlock{{First: r.canary, Second: r.stable}})) ||
		differ(stat.Compare([]stat.Block{{First: stat.SampleOf(r.failures[0]...), Second: stat.SampleOf(r.failures[1]...)}}))
}

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
var judges = []string{"this judge", "fixed threshold", "plain Mann-Whitney"}

// Run measures every scenario and writes ResultFile.
func Run(ctx context.Context, out io.Writer) error {
	debug.SetGCPercent(800) // short-lived points by the million
	return run(ctx, out, 1, ResultFile)
}

func run(ctx context.Context, out io.Writer, scale float64, file string) error {
	var figures []Figure
	fmt.Fprintf(out, "%-38s %6s  %-28s %-28s %-28s\n", "stopped (held), after median / p95 s", "runs", judges[0], judges[1], judges[2])
	for _, s := range scenarios(scale) {
		rows, err := s.measure(ctx, out)
		if err != nil {
			return err
		}
		figures = append(figures, rows...)
		fmt.Fprintf(out, "%-38s %6d  %-28s %-28s %-28s\n", s.name, s.runs, rows[0].cell(), rows[1].cell(), rows[2].cell())
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
	results := make([][3]outcome, s.runs)
	var next, done atomic.Int64
	var wg sync.WaitGroup
	stop := heartbeat(out, s.name, s.runs, &done)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(s.runs) && ctx.Err() == nil; i = next.Add(1) - 1 {
				ours, fixed, plain := s.rollout(uint64(i))
				results[i] = [3]outcome{ours, fixed, plain}
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
