// Command targets is what the magefile's targets are made of. It is a program of
// its own so that the magefile, which every call compiles first, imports next to
// nothing, and what takes long to compile can say how far it is.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/candlefish/deploy-action/internal/build"
	"github.com/candlefish/deploy-action/internal/deploybench"
	"github.com/candlefish/deploy-action/internal/stage"
)

var targets = map[string]func(context.Context, io.Writer) error{
	"bench:deploy": deploybench.Run,
	"build":        build.Build,
	"check":        build.Check,
	"generate":     func(context.Context, io.Writer) error { return build.Generate(".") },
	"lint":         build.Lint,
	"stage:up": func(ctx context.Context, out io.Writer) error {
		s, err := stage.Up(ctx, stage.Options{Progress: out})
		if err != nil {
			return err
		}
		return s.Close()
	},
	"stage:down": func(ctx context.Context, out io.Writer) error { return stage.Down(ctx, stage.Options{Progress: out}) },
	"stage:status": func(ctx context.Context, out io.Writer) error {
		status, err := stage.Inspect(ctx, stage.Options{})
		return errors.Join(err, first(fmt.Fprint(out, status)))
	},
	"test": build.Test,
	"vuln": build.Vulnerabilities,
}

func first(_ int, err error) error { return err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if len(os.Args) != 2 || targets[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "targets: want one of %q\n", slices.Sorted(maps.Keys(targets)))
		os.Exit(2)
	}
	if err := targets[os.Args[1]](ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}
