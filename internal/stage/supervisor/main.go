// Command supervisor is the process that a stage lives under. It is built and started by stage.Up and is of no use by hand.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/candlefish/deploy-action/internal/stage"
)

func main() {
	if err := stage.Supervise(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "supervisor:", err)
		os.Exit(1)
	}
}
