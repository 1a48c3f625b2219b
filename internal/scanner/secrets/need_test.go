package secrets

import (
	"testing"

	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

// need returns the program of a tool, verified.
func need(t testing.TB, name string) string {
	t.Helper()
	return toolboxtest.Need(t, name)[name].Program
}
