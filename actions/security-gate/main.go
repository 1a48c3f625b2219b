// Command security-gate is the action that scans a repository and gives one verdict.
// Everything it does is in internal/security, which the mage targets call too.
package main

import (
	"os"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/security"
)

func main() {
	os.Exit(security.Main(action.OS(), os.Args[1:]))
}
