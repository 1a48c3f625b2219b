package perfbench

import (
	"bytes"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

// The gate and k6 decide alike on the same runs.
func TestK6Thresholds(t *testing.T) {
	t.Parallel()
	toolboxtest.Need(t, "k6")
	var out bytes.Buffer
	if err := K6Thresholds(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, c := range loadCases() {
		if n := strings.Count(out.String(), c.name+" "); n < 5 {
			t.Errorf("%s: %d rows, want one for each of four limits and one for the whole\n%s", c.name, n, &out)
		}
	}
	t.Log(out.String())
}
