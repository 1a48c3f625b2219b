// Package trialbench measures the judge on simulated rollouts, as judgebench does,
// and shares nothing with it: what one generator leaves out by mistake the other one
// may have.
//
// # What is simulated
//
// A rollout request by request, on a clock of its own. Requests leave with gaps that
// are uniform over 0 to twice their mean, as those of package probe do; the route
// follows a written weight some 0.2 to 1 s later; each request goes to the canary
// with the probability of the weight that the route has at that moment. Answers
// arrive when their latency is over, so a request may be overtaken; one of over 5 s
// has timed out, which says nothing of who should have answered. The answers reach
// the judge as package traffic passes them on: per side every 250 ms, a failure at
// once. The weight is confirmed by stat.Confirmer, at a higher rate until then. The
// judge is asked after every failure, every second, and at the end of the dwell, which
// is extended as the plan's policy says. The steps are 5, 25, 50 and 100 % unless a
// row says otherwise; before the first weight stable serves alone for 20 s.
//
// With -pinned, a fifth of the requests is pinned, by count and not at random: to the
// canary below 50 %, to stable from 50 % on. Who should have answered them is known
// even if no answer comes.
//
// # How each process is made
//
//   - Latencies: lognormal with a median of 20 ms and sigma 0.5, or 1 (Downey,
//     "Lognormal and Pareto distributions in the Internet", 2005); Pareto with a shape
//     of 1.5, which has no variance (Crovella and Bestavros, "Self-similarity in World
//     Wide Web traffic", 1997), by inversion and with the same median; a mixture of
//     two paths; rounded up to 1 or 10 ms for ties.
//   - Autocorrelation: the logarithm of each version's speed is a Gaussian AR(1) with
//     one value per second, x' = φx + σ√(1-φ²)ε, started in its stationary
//     distribution (Box and Jenkins, "Time Series Analysis", 1970), one for each
//     version, independent; σ = 0.15 unless a row says otherwise, so a second is between
//     0.75 and 1.35 times as fast as usual in 95 % of the cases.
//   - Clumps and bursts: an alternating renewal process with exponential lengths, on
//     or off (Gilbert, "Capacity of a burst-noise channel", 1960; Elliott 1963). A
//     burst has one state for both versions, clumps have one each.
//   - Stalls: nothing is answered until the end of the stall, so who asked first waits
//     longest, as in a stop-the-world collection or a leader election (Tene, "How not
//     to measure latency", 2013, on why the requests sent meanwhile must count).
//   - Outages: both versions fail alike from a moment on for some seconds, with a
//     version in the answer (a database that is down) or without one (the gateway's
//     own 502, a gateway that restarts).
//   - Day drift and waves of load: a sine with a period of 5 minutes or one, and a
//     random phase, for both versions.
//   - Warm-up: three or ten times as slow for 30 s, or exponentially less so (Barrett
//     et al., "Virtual machine warmup blows hot and cold", 2017: both shapes occur); a
//     cache that fills: the first request of a key misses and takes five times as long.
//     Keys that are asked for equally often, as Poisson processes, make the share of
//     misses decay exponentially; here from 1 with a time constant of 10 s.
//   - Lost requests: one half is reset at once, the other half times out. A canary that
//     is down is answered for by the gateway at once, without a version.
//   - Recorded latencies: real ones, by package recorded; the stationary bootstrap
//     (Politis and Romano, "The stationary bootstrap", 1994) replays them in blocks of
//     geometric lengths, 10 s on average, so dependence within seconds survives.
//
// Everything depends on the seed alone: each rollout has its own source of randomness,
// made of the seed, the row and its number, and runs share nothing.
package trialbench

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/bench/trialbench/recorded"
	"github.com/candlefish/deploy-action/internal/exit"
)

// options configure a measurement.
type options struct {
	runs   int
	step   time.Duration
	rate   float64 // requests per second, pinned ones included
	only   string
	seed   uint64
	pinned bool
	replay string // file of recorded latencies
	record string // file to record latencies to
	url    string // what to record; empty for a server of our own
	length time.Duration
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench:trial", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.runs, "runs", 100, "rollouts per row")
	flags.DurationVar(&o.step, "step", 30*time.Second, "dwell of each step")
	flags.Float64Var(&o.rate, "rate", 50, "requests per second")
	flags.StringVar(&o.only, "only", "", "healthy, sick, or a part of the names of the rows")
	flags.Uint64Var(&o.seed, "seed", 1, "what all randomness depends on")
	flags.BoolVar(&o.pinned, "pinned", true, "whether a fifth of the requests is pinned to a version")
	flags.StringVar(&o.replay, "replay", "", "file of recorded latencies, for more rows")
	flags.StringVar(&o.record, "record", "", "file to record latencies to; measures nothing")
	flags.StringVar(&o.url, "url", "", "what to record; a server of our own without it")
	flags.DurationVar(&o.length, "length", 5*time.Minute, "how long to record")
	err := flags.Parse(args)
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.runs < 1 || o.step < time.Second || !(o.rate >= 1 && o.rate <= 1000) || o.length < time.Second:
		err = fmt.Errorf("runs %d, step %s, rate %g, length %s: want at least 1, 1s, 1 to 1000, and 1s", o.runs, o.step, o.rate, o.length)
	case o.url != "" && o.record == "":
		err = fmt.Errorf("url %q without record", o.url)
	}
	if err != nil {
		return o, &exit.Error{Status: exit.BadInput, Err: err}
	}
	return o, nil
}

// file is where the table goes, below the repository's root.
func (o options) file() string {
	name := fmt.Sprintf("bench-trial-%gs-%g", o.step.Seconds(), o.rate)
	if !o.pinned {
		name += "-unpinned"
	}
	return filepath.Join("out", name+".md")
}

// Run is the mage target bench:trial: it prints a table of what the judge did in
// simulated rollouts and writes it below out. With -record it records latencies
// instead.
func Run(ctx context.Context, out io.Writer, args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.record != "" {
		return recorded.Record(ctx, out, o.record, o.url, o.length)
	}
	rows, err := choose(o)
	if err != nil {
		return err
	}
	t := table{options: o}
	began := time.Now()
	for _, s := range rows {
		l, err := measure(ctx, s, o)
		if err != nil {
			return err
		}
		t.lines = append(t.lines, l)
		fmt.Fprintf(out, "%6.1fs %s\n", time.Since(began).Seconds(), l)
	}
	text := t.String()
	if err := os.MkdirAll(filepath.Dir(o.file()), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(o.file(), []byte(text), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\nwritten to %s\n", text, o.file())
	return nil
}

// choose returns the rows that the options ask for.
func choose(o options) ([]row, error) {
	rows := rows()
	if o.replay != "" {
		s, err := recorded.Read(o.replay)
		if err != nil {
			return nil, &exit.Error{Status: exit.BadInput, Err: err}
		}
		rows = append(rows, replays(s)...)
	}
	var chosen []row
	for _, s := range rows {
		if o.only == s.group() || strings.Contains(s.name, o.only) {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return nil, &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("only %q: no row is called so", o.only)}
	}
	return chosen, nil
}

// measure runs all rollouts of one row on all cores.
func measure(ctx context.Context, s row, o options) (line, error) {
	results := make([]outcome, o.runs)
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				results[i] = simulate(s, o, i)
			}
		})
	}
	for i := range o.runs {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	return summarize(s, o, results), ctx.Err()
}
