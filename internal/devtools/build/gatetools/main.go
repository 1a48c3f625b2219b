// Command gatetools installs the tools of a gate into its image. Its arguments are the
// gate and the tools; without tools it installs those that the gate needs by default. It
// is what mage tools:install does, in a program that takes seconds to compile.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/candlefish/deploy-action/internal/toolbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := install(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func install(ctx context.Context, args []string) error {
	if len(args) == 0 || !slices.Contains(toolbox.Gates(), toolbox.Gate(args[0])) {
		return fmt.Errorf("arguments %q: want one of the gates %v, and names of tools", args, toolbox.Gates())
	}
	box, err := toolbox.Open("", "", os.Environ())
	if err != nil {
		return err
	}
	names := args[1:]
	if len(names) == 0 {
		names = box.Default(toolbox.Gate(args[0]))
	}
	return box.Install(ctx, names, func(line string) { fmt.Println(line) })
}
