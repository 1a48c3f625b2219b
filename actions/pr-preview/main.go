// Command pr-preview is the action that keeps the preview of a pull request.
// Everything it does is in internal/preview, which the mage targets call too.
package main

import (
	"os"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/preview"
)

func main() {
	os.Exit(preview.Main(action.OS(), os.Args[1:]))
}
