// Command securitytools installs the security gate's tools into its image: those that
// its arguments name, else those that the gate needs by default. It is what mage
// tools:install does, in a program that takes seconds to compile.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
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

func install(ctx context.Context, names []string) error {
	box, err := toolbox.Open("", "", os.Environ())
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = box.Default(toolbox.Security)
	}
	return box.Install(ctx, names, func(line string) { fmt.Println(line) })
}
