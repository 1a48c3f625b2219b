// Command perf-gate is the action that measures performance and gives one verdict.
// Everything it does is in internal/perf, which the mage targets call too.
package main

import (
	"os"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/perf"
)

func main() {
	os.Exit(perf.Main(action.OS(), os.Args[1:]))
}
