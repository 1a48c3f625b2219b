package perfbench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/candlefish/deploy-action/internal/exit"
)

// A part is one comparison or measurement.
type part struct {
	name string
	run  func(context.Context, io.Writer, settings) error
}

// settings are those of single parts.
type settings struct {
	pool string // of "aa": files of earlier runs, with commas between
}

func parts() []part {
	plain := func(run func(context.Context, io.Writer) error) func(context.Context, io.Writer, settings) error {
		return func(ctx context.Context, out io.Writer, _ settings) error { return run(ctx, out) }
	}
	return []part{
		{"benchstat", plain(Benchstat)}, {"lhci", plain(LHCI)}, {"k6", plain(K6Thresholds)},
		{"gate", gate}, {"planted", plantedDefects}, {"aa", falseAlarms},
	}
}

// Run runs the parts whose names begin with -only, and all without it.
func Run(ctx context.Context, out io.Writer, args []string) error {
	set := flag.NewFlagSet("bench:perf", flag.ContinueOnError)
	only := set.String("only", "", "the beginning of the names of the parts: benchstat, lhci, k6, gate, planted, aa")
	pool := set.String("pool", "", "of aa: analysis.json of earlier comparisons of the sample website, with commas between; it measures if not given")
	if err := set.Parse(args); err != nil {
		return &exit.Error{Status: exit.BadInput, Err: err}
	}
	var errs []error
	ran := 0
	for _, p := range parts() {
		if !strings.HasPrefix(p.name, *only) {
			continue
		}
		ran++
		fmt.Fprintf(out, "\n== %s\n", p.name)
		if err := p.run(ctx, out, settings{pool: *pool}); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if ran == 0 {
		return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("only: no part begins with %q", *only)}
	}
	return errors.Join(errs...)
}
