package images

import (
	"testing"

	"github.com/candlefish/deploy-action/internal/toolbox"
	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

// needTrivy returns the tool, installed.
func needTrivy(t testing.TB) toolbox.Tool {
	t.Helper()
	return toolboxtest.Need(t, "trivy")["trivy"]
}
