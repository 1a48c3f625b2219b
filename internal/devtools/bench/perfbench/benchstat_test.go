package perfbench

import (
	"bytes"
	"testing"

	"github.com/candlefish/deploy-action/internal/measure/compare"
)

// On recorded benchmarks the gate finds each planted slow-down over its floor, accuses
// nothing else, and each difference to benchstat has its reason.
func TestBenchstat(t *testing.T) {
	t.Parallel()
	rows, err := BenchstatRows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, r := range rows {
		if r.Gate == compare.Worse && !r.Planted {
			t.Errorf("%s, %d rounds: %v is worse, and nothing was changed", r.Head, r.Rounds, r.Key)
		}
		if r.Gate == compare.Worse && r.Rounds == 10 && r.Key.Metric == "sec/op" {
			found[r.Key.Subject] = true
		}
		if !r.Agree && r.Why == "" {
			t.Errorf("%s, %d rounds: %v: benchstat says %s, the gate %s, without a reason", r.Head, r.Rounds, r.Key, r.Benchstat, r.Gate)
		}
	}
	for _, name := range planted[1:] {
		if !found[name] {
			t.Errorf("the planted slow-down of %s is not found", name)
		}
	}
	var out bytes.Buffer
	if err := Benchstat(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", out.String())
}
