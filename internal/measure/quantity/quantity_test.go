package quantity

import (
	"math"
	"testing"

	"github.com/candlefish/deploy-action/internal/measure"
)

func TestValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit  measure.Unit
		value float64
		want  string
	}{
		{measure.Milliseconds, 2500, "2.5 s"}, {measure.Milliseconds, 340, "340 ms"}, {measure.Milliseconds, 0, "0 ms"}, {measure.Milliseconds, 0.42, "420 µs"}, {measure.Milliseconds, 999.9, "1 s"},
		{measure.Milliseconds, -12.34, "-12.3 ms"}, {measure.Milliseconds, 75_000, "75 s"}, {measure.Bytes, 12_345, "12.3 kB"}, {measure.Bytes, 0, "0 B"}, {measure.Bytes, 999, "999 B"}, {measure.Bytes, 1.5e12, "1,500 GB"},
		{measure.Share, 0.0123, "1.23 %"}, {measure.Share, 0, "0 %"}, {measure.Score, 0.85, "85 of 100"}, {measure.Score, 1, "100 of 100"}, {measure.PerSecond, 104.02, "104/s"},
		{measure.Shift, 0.08, "0.08"}, {measure.Count, 1234567, "1,234,567"}, {"sec/op", 1.234e-6, "1.23 µs/op"}, {"B/op", 2048, "2.05 kB/op"}, {"allocs/op", 12, "12 allocs/op"}, {"s", 0.25, "250 ms"}, {"ns/op", 1500, "1.5 µs/op"},
		{"", 3, "3"}, {measure.Milliseconds, math.NaN(), "–"}, {measure.Bytes, math.Inf(1), "–"}, {"wid\x1b[31mgets", 1, "1 widgets"}, {measure.Count, -0.0000000000001, "0"}, {measure.Bytes, 1e300, Value(measure.Bytes, 1e300)},
	} {
		if got := Value(c.unit, c.value); got != c.want {
			t.Errorf("%v %s: %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}

// A value above its limit never looks like it.
func TestBeside(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit    measure.Unit
		a, b    float64
		one, to string
	}{
		{measure.Milliseconds, 2501, 2500, "2.501 s", "2.5 s"}, {measure.Milliseconds, 2500.4, 2500, "2.5004 s", "2.5 s"}, {measure.Shift, 0.1, 0.1, "0.1", "0.1"}, {measure.Share, 0.010001, 0.01, "1.0001 %", "1 %"},
		{measure.Score, 0.85, 0.75, "85 of 100", "75 of 100"}, {measure.Bytes, 61_240, 60_000, "61.2 kB", "60 kB"},
	} {
		if one, to := Beside(c.unit, c.a, c.b), Beside(c.unit, c.b, c.a); one != c.one || to != c.to {
			t.Errorf("%v beside %v: %q, %q", c.a, c.b, one, to)
		}
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		Signed(measure.Milliseconds, -180): "-180 ms", Signed(measure.Bytes, 0): "±0 B", Size(measure.Share, -0.002): "0.2 percentage points", Size(measure.Score, 0.03): "3 points",
		Size(measure.Bytes, math.Inf(1)): "–", Relative(measure.Milliseconds, -120, 1500): "8 % (120 ms)", Relative(measure.Milliseconds, 120, 0): "120 ms",
		Exact(measure.Bytes, 61_240): "61.24 kB", Exact(measure.Share, 0.07): "7 %", Exact(measure.Milliseconds, 2500.25): "2.50025 s", SignedPercent(-0.0031): "-0.31 %",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
