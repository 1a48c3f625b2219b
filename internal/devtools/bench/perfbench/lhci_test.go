package perfbench

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// lighthouse-ci and the gate decide the same about the same reports. It needs npm.
func TestLHCIAgrees(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it installs lighthouse-ci")
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	var out bytes.Buffer
	if err := LHCI(ctx, &out); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"failed / failed", "met / met", "no value / no value"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no assertion is %s", want)
		}
	}
}
