// Command supervisor is the process that a sandbox lives under. It is built and started by sandbox.Up and is of no use by hand.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/supervisor"
)

func main() {
	if err := supervisor.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "supervisor:", err)
		os.Exit(1)
	}
}
