// Command deploy is the action that releases an image. Everything it does is in
// internal/deploy, which the mage target calls too.
package main

import (
	"os"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/deploy"
)

func main() {
	os.Exit(deploy.Main(action.OS(), os.Args[1:]))
}
