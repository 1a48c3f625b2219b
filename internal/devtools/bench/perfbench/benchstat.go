package perfbench

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/compare"
)

// recorded are outputs of `go test -bench` of one program, built once: base and same
// are it twice, slow is it with more work in some of the benchmarks. The three were run
// in turn, ten times.
//
//go:embed testdata/*.txt
var recorded embed.FS

// A Row is one metric of a benchmark, and what both say of it.
type Row struct {
	Head              string // "same" or "slow"
	Rounds            int
	Key               measure.Key
	Planted           bool    // the benchmark has more work in head
	Delta             float64 // of the medians, relative to base
	Benchstat, Gate   compare.Change
	BenchstatP, GateP float64
	Agree             bool
	Why               string // of a difference
}

// planted are the benchmarks that do more in slow.
var planted = []string{"Hash-2", "Sort-2", "Match-2"}

// Benchstat prints what benchstat's rule and the gate's say of the same Go benchmarks,
// with 5 and with 10 rounds, and why they differ where they do.
func Benchstat(ctx context.Context, out io.Writer) error {
	rows, err := BenchstatRows(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "head\trounds\tbenchmark\tmetric\tdelta\tbenchstat\tgate\t")
	agree := 0
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%+.1f %%\t%s (p=%.3f)\t%s (p=%.3f)\t%s\n",
			r.Head, r.Rounds, r.Key.Subject, r.Key.Metric, 100*r.Delta, r.Benchstat, r.BenchstatP, r.Gate, r.GateP, r.Why)
		if r.Agree {
			agree++
		}
	}
	fmt.Fprintf(w, "%d of %d agree\n", agree, len(rows))
	return w.Flush()
}

// BenchstatRows compares the recorded benchmarks by both rules.
func BenchstatRows(ctx context.Context) ([]Row, error) {
	base, err := read("base")
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, name := range []string{"same", "slow"} {
		head, err := read(name)
		if err != nil {
			return nil, err
		}
		for _, rounds := range []int{5, 10} {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			rows = append(rows, rowsOf(name, rounds, base, head)...)
		}
	}
	return rows, nil
}

// samples are the values of each benchmark's metrics, in the order of rounds.
type samples map[measure.Key][]float64

func read(name string) (samples, error) {
	path := "testdata/" + name + ".txt"
	raw, err := recorded.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all := samples{}
	r := benchfmt.NewReader(bytes.NewReader(raw), path)
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, rec
		case *benchfmt.Result:
			for _, v := range rec.Values {
				key := measure.Key{Meter: "gobench", Subject: string(rec.Name), Metric: v.Unit}
				all[key] = append(all[key], v.Value)
			}
		}
	}
	return all, r.Err()
}

func rowsOf(head string, rounds int, base, changed samples) []Row {
	var series []measure.Series
	for key, values := range changed {
		series = append(series, measure.Series{
			Key:    key,
			Metric: measure.Metric{Name: key.Metric, Unit: measure.Unit(key.Metric), Better: measure.Lower, Compared: true},
			Head:   points(values[:rounds]), Base: points(base[key][:rounds]),
		})
	}
	slices.SortFunc(series, func(a, b measure.Series) int { return a.Key.Compare(b.Key) })
	var rows []Row
	for _, c := range compare.Compare(series, compare.DefaultRule()) {
		r := Row{Head: head, Rounds: rounds, Key: c.Key, Gate: c.Change, GateP: c.Adjusted}
		r.Planted = head == "slow" && slices.Contains(planted, c.Key.Subject)
		r.Benchstat, r.BenchstatP = benchstat(base[c.Key][:rounds], changed[c.Key][:rounds])
		if c.Base != 0 {
			r.Delta = c.Head/c.Base - 1
		}
		r.Agree = r.Benchstat == r.Gate
		if !r.Agree {
			r.Why = difference(r, c)
		}
		rows = append(rows, r)
	}
	return rows
}

// benchstat is the rule of cmd/benchstat with its defaults: a two-sided Mann-Whitney
// test at 5 % for each row.
func benchstat(base, head []float64) (compare.Change, float64) {
	thresholds := benchmath.DefaultThresholds
	a := benchmath.NewSample(slices.Clone(base), &thresholds)
	b := benchmath.NewSample(slices.Clone(head), &thresholds)
	c := benchmath.AssumeNothing.Compare(a, b)
	before, after := measure.Median(base), measure.Median(head)
	switch {
	case c.P > c.Alpha || before == after:
		return compare.Same, c.P
	case after > before:
		return compare.Worse, c.P
	}
	return compare.BetterThan, c.P
}

// difference says why the two do not say the same.
func difference(r Row, c compare.Comparison) string {
	size := max(c.Shift, -c.Shift)
	switch floor := max(c.Floor.Absolute, c.Floor.Relative*max(c.Base, -c.Base)); {
	case r.Gate == compare.NotEnoughData:
		return "the gate says that so few rounds can't prove it"
	case r.Gate == compare.Same && size <= floor:
		return fmt.Sprintf("real or not, %.1f %% is below the gate's floor of %.0f %%", 100*size/c.Base, 100*c.Floor.Relative)
	case r.Gate == compare.Same:
		return "benchstat tests each row at 5 %, the gate all rows together"
	}
	return fmt.Sprintf("one-sided p = %.3f is enough for the gate; benchstat's is two-sided", c.P)
}

func points(values []float64) []measure.Point {
	all := make([]measure.Point, len(values))
	for i, v := range values {
		all[i] = measure.Point{Round: i, Value: v}
	}
	return all
}
