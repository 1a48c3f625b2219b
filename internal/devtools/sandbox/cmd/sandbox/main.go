// Command sandbox is the mage targets sandbox:up, sandbox:down and sandbox:status. It is a program of its own so that it links next to
// nothing: the first start of the sandbox need not wait until all of this project is compiled.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: sandbox up|down|status")
	}
	switch args[0] {
	case "up":
		s, err := sandbox.Up(ctx, sandbox.Options{Progress: out})
		if err != nil {
			return err
		}
		commands, err := s.Curl(ctx)
		for _, command := range commands {
			fmt.Fprintln(out, "sandbox: try", command)
		}
		return errors.Join(err, s.Close())
	case "down":
		return sandbox.Down(ctx, sandbox.Options{Progress: out})
	case "status":
		status, err := sandbox.Inspect(ctx, sandbox.Options{})
		if err == nil {
			_, err = fmt.Fprint(out, status)
		}
		return err
	default:
		return fmt.Errorf("%q is none of up, down and status", args[0])
	}
}
