package stat

import (
	"math"
	"testing"
)

// The values are those of R's binom.test(k, n, conf.level = c)$conf.int.
func TestShareIntervalIsThatOfR(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		k, n           int
		confidence     float64
		wantLo, wantHi float64
	}{
		{0, 10, .95, 0, .3084971},
		{10, 10, .95, .6915029, 1},
		{1, 10, .95, .002528579, .4450161},
		{5, 10, .95, .1870860, .8129140},
		{0, 1, .95, 0, .975},
	} {
		lo, hi := ShareInterval(c.k, c.n, c.confidence)
		if math.Abs(lo-c.wantLo) > 1e-7 || math.Abs(hi-c.wantHi) > 1e-7 {
			t.Errorf("ShareInterval(%d, %d, %v) = %.9f, %.9f; want %.9f, %.9f", c.k, c.n, c.confidence, lo, hi, c.wantLo, c.wantHi)
		}
	}
}

// Numbers that cannot be give an interval all the same: it holds the share that they
// are nearest to, and is never not a number.
func TestShareIntervalOfImpossibleNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		k, n       int
		confidence float64
	}{
		{-1, 10, .95}, {11, 10, .95}, {math.MaxInt, 10, .95}, {math.MinInt, 10, .95}, {5, -3, .95}, {0, 0, .95}, {1, 0, .95},
		{5, 10, 1}, {5, 10, 2}, {5, 10, -1}, {5, 10, 0}, {5, 10, math.NaN()}, {5, 10, math.Inf(1)}, {1 << 30, 1 << 31, .95},
	} {
		lo, hi := ShareInterval(c.k, c.n, c.confidence)
		if !(lo >= 0 && lo <= hi && hi <= 1) {
			t.Errorf("ShareInterval(%d, %d, %v) = %v, %v", c.k, c.n, c.confidence, lo, hi)
		}
		if c.n > 0 {
			share := float64(min(max(c.k, 0), c.n)) / float64(c.n)
			if share < lo-1e-9 || share > hi+1e-9 {
				t.Errorf("ShareInterval(%d, %d, %v) = %v, %v: without the share %v", c.k, c.n, c.confidence, lo, hi, share)
			}
		}
	}
}
