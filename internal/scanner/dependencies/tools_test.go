package dependencies

import (
	"testing"

	"github.com/candlefish/deploy-action/internal/toolbox"
	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

// need returns a tool, installed.
func need(t testing.TB, name string) toolbox.Tool {
	t.Helper()
	return toolboxtest.Need(t, name)[name]
}
