// Command targets is what the magefile's targets are made of. It is a program of
// its own so that the magefile, which every call compiles first, imports next to
// nothing, and what takes long to compile can say how far it is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/devtools/bench/deploybench"
	"github.com/candlefish/deploy-action/internal/devtools/bench/judgebench"
	"github.com/candlefish/deploy-action/internal/devtools/bench/perfbench"
	"github.com/candlefish/deploy-action/internal/devtools/bench/previewbench"
	"github.com/candlefish/deploy-action/internal/devtools/bench/securitybench"
	"github.com/candlefish/deploy-action/internal/devtools/bench/soakbench"
	"github.com/candlefish/deploy-action/internal/devtools/bench/trialbench"
	"github.com/candlefish/deploy-action/internal/devtools/build"
	"github.com/candlefish/deploy-action/internal/devtools/figures"
	"github.com/candlefish/deploy-action/internal/devtools/perflocal"
	"github.com/candlefish/deploy-action/internal/devtools/previewlocal"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/replay"
	"github.com/candlefish/deploy-action/internal/security"
)

// A target writes to out what it has to say. It gets the arguments behind its
// name; one that takes none is made by plain.
type target func(ctx context.Context, out io.Writer, args []string) error

var targets = map[string]target{
	"bench:deploy": func(ctx context.Context, out io.Writer, args []string) error {
		flags := flag.NewFlagSet("bench:deploy", flag.ContinueOnError)
		only := flags.String("only", "", "the beginning of the names of the scenarios")
		if err := flags.Parse(args); err != nil {
			return &exit.Error{Status: exit.BadInput, Err: err}
		}
		return deploybench.Run(ctx, out, *only)
	},
	"bench:judge":    judgebench.Run,
	"bench:perf":     perfbench.Run,
	"bench:preview":  plain(previewbench.Run),
	"bench:security": securitybench.Run,
	"bench:soak":     soakbench.Run,
	"bench:trial":    trialbench.Run,
	"build":          plain(build.Build),
	"figures":        figures.Run,
	"generate":       plain(func(context.Context, io.Writer) error { return build.Generate(".") }),
	"judge:replay":   replay.Run,
	"lint":           plain(build.Lint),
	"perf": func(_ context.Context, _ io.Writer, args []string) error {
		return exitStatus(perflocal.Main(action.OS(), args))
	},
	"preview": func(ctx context.Context, _ io.Writer, args []string) error {
		return exitStatus(previewlocal.Main(ctx, action.OS(), args))
	},
	"rbac":          rbac,
	"test":          plain(build.Test),
	"tools:install": build.InstallTools,
	"tools:list":    build.ListTools,
	"tools:sum":     build.SumTools,
	"vuln":          plain(build.Vulnerabilities),
	"security": func(_ context.Context, _ io.Writer, args []string) error {
		return exitStatus(security.Main(action.OS(), args))
	},
}

// plain is a target without arguments.
func plain(run func(context.Context, io.Writer) error) target {
	return func(ctx context.Context, out io.Writer, args []string) error {
		if len(args) > 0 {
			return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("%q: it takes no arguments", args)}
		}
		return run(ctx, out)
	}
}

// exitStatus is how a run ended that has said all there is to say.
type exitStatus int

// Error is for those who print it all the same.
func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() {
	ctx, stop := untilStopped(context.Background())
	defer stop()
	if len(os.Args) < 2 || targets[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "targets: want one of %q\n", slices.Sorted(maps.Keys(targets)))
		os.Exit(exit.BadInput.Code())
	}
	if err := targets[os.Args[1]](ctx, os.Stdout, os.Args[2:]); err != nil {
		os.Exit(failed(err))
	}
}

// untilStopped returns a context that the first signal ends, and the death of mage: an
// hour of tests must not go on with nobody to stop them, see [action.EnvMage].
func untilStopped(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals, stop := action.Notify()
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		stop()
	}
}

// failed says what went wrong and returns the exit status.
func failed(err error) int {
	var status exitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	fmt.Fprintln(os.Stderr, "Error:", err)
	code, hint := exit.Of(err)
	if hint != "" {
		fmt.Fprintln(os.Stderr, hint)
	}
	return code.Code()
}
