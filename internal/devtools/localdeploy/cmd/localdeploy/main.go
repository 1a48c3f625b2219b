// Command localdeploy is the mage target deploy:canary. It is a program of its own so that it links no more than it needs.
package main

import (
	"os"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/devtools/localdeploy"
)

func main() {
	os.Exit(localdeploy.Main(action.OS(), os.Args[1:]))
}
