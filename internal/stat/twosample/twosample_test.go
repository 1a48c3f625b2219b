package twosample

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/aclements/go-moremath/stats"

	"github.com/candlefish/deploy-action/internal/stat"
)

// enumerated is Greater by trying every choice of the first sample.
func enumerated(first, second []float64) float64 {
	all := append(append([]float64{}, first...), second...)
	u := func(mask uint) float64 {
		sum := 0.0
		for i, a := range all {
			for j, b := range all {
				if mask>>i&1 == 0 || mask>>j&1 == 1 {
					continue
				}
				if a > b {
					sum++
				} else if a == b {
					sum += .5
				}
			}
		}
		return sum
	}
	observed, hits, tried := u(1<<len(first)-1), 0, 0
	for mask := range uint(1) << len(all) {
		if bits.OnesCount(mask) != len(first) {
			continue
		}
		tried++
		if u(mask) >= observed {
			hits++
		}
	}
	return float64(hits) / float64(tried)
}

func draw(r *rand.Rand, n, levels int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = r.NormFloat64()
		if levels > 0 {
			values[i] = float64(r.IntN(levels))
		}
	}
	return values
}

func TestGreaterIsEnumeration(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		first, second := draw(r, 1+r.IntN(5), r.IntN(5)), draw(r, 1+r.IntN(5), r.IntN(5))
		if got, want := Greater(first, second), enumerated(first, second); math.Abs(got-want) > 1e-12 {
			t.Errorf("Greater(%v, %v) = %v, want %v", first, second, got, want)
		}
	}
}

// The test of another author, go-moremath, which benchstat uses, agrees up to 25 values
// on each side, with ties too. It is asked for "second is less", since its "greater"
// counts the sums that are half a rank smaller, too.
func TestGreaterIsThatOfMoremath(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		levels := r.IntN(6)
		first, second := draw(r, 1+r.IntN(20), levels), draw(r, 1+r.IntN(20), levels)
		if levels == 0 && len(first) > 12 {
			first, second = draw(r, 25, 0), draw(r, 25, 0)
		}
		want, err := stats.MannWhitneyUTest(second, first, stats.LocationLess)
		if err != nil { // all values equal
			continue
		}
		if got := Greater(first, second); math.Abs(got-want.P) > 1e-9 {
			t.Errorf("Greater(%v, %v) = %v, go-moremath says %v", first, second, got, want.P)
		}
	}
}

// R: wilcox.test(c(0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46),
// c(1.15, 0.88, 0.90, 0.74, 1.21), alternative = "greater") has W = 35, p = 0.1272, the
// example of Hollander and Wolfe (1973, p. 69) in R's manual.
func TestGreaterInBooks(t *testing.T) {
	t.Parallel()
	x := []float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}
	y := []float64{1.15, 0.88, 0.90, 0.74, 1.21}
	if got := Greater(x, y); math.Abs(got-0.1272) > 5e-5 {
		t.Errorf("p = %v, R says 0.1272", got)
	}
	estimate, low, high := ShiftInterval(x, y, .95)
	if math.Abs(estimate-.305) > 1e-9 || math.Abs(low+.15) > 1e-9 || math.Abs(high-.76) > 1e-9 {
		t.Errorf("shift %v in %v..%v, want 0.305 in -0.15..0.76, as the definition gives by hand", estimate, low, high)
	}
}

// The critical values of Mann and Whitney's table (two-sided 5 %): the largest U that
// is significant is two for 5 and 5, 13 for 8 and 8, 23 for 10 and 10, 127 for 20 and 20.
func TestIntervalHasTheTablesRanks(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{3: 0, 4: 1, 5: 3, 8: 14, 10: 24, 20: 128} {
		if got := outside(n, n, .025); got != want {
			t.Errorf("%d and %d values: %d differences are outside, want %d", n, n, got, want)
		}
	}
}

// Where the exact distribution ends, the normal one goes on from it.
func TestNormalContinuesExact(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 30 {
		ranks := DoubleRanks(append(draw(r, 30, 9), draw(r, 30, 9)...))
		exact := NewRanks(ranks, 30)
		approximate := exact
		approximate.tail = nil
		approximate.mean, approximate.sd = moments(ranks, 30)
		for sum := exact.least; sum <= exact.all; sum += 7 {
			if a, b := exact.AtLeast(sum), approximate.AtLeast(sum); math.Abs(a-b) > .004 {
				t.Fatalf("sum %d: exactly %v, approximately %v", sum, a, b)
			}
		}
	}
	if p := Greater(draw(r, 200, 0), draw(r, 200, 0)); !(p > 0 && p < 1) {
		t.Errorf("p = %v for two large samples of one distribution", p)
	}
	if p := Greater(make([]float64, 100), make([]float64, 100)); p != 1 {
		t.Errorf("p = %v for nothing but ties", p)
	}
}

// The interval is the set of shifts that the test does not reject.
func TestIntervalInvertsTheTest(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	for range 100 {
		first, second := draw(r, 4+r.IntN(8), 0), draw(r, 4+r.IntN(8), 0)
		_, low, high := ShiftInterval(first, second, .95)
		shifted := func(by float64) []float64 {
			moved := make([]float64, len(first))
			for i, v := range first {
				moved[i] = v - by
			}
			return moved
		}
		rejects := func(by float64) bool {
			return Greater(shifted(by), second) <= .025 || Greater(second, shifted(by)) <= .025
		}
		const step = 1e-9
		if rejects(low+step) || rejects(high-step) || !rejects(low-step) || !rejects(high+step) {
			t.Errorf("%v and %v: the interval %v..%v is not where the test changes", first, second, low, high)
		}
	}
}

func TestAdjustedIsHolm(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	for range 500 {
		ps := make([]float64, 1+r.IntN(8))
		for i := range ps {
			ps[i] = math.Round(r.Float64()*r.Float64()*200) / 1000
		}
		adjusted := Adjusted(ps)
		for i, rejected := range stat.Holm(ps, .0499) {
			if rejected != (adjusted[i] <= .0499) {
				t.Errorf("%v: Holm rejects %d: %v, adjusted to %v", ps, i, rejected, adjusted[i])
			}
		}
	}
}

func TestStudent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ freedom, above, want float64 }{
		{4, .05, 2.1318}, {4, .025, 2.7764}, {9, .01, 2.8214}, {30, .005, 2.7500}, {1, .025, 12.7062},
	} {
		if got := StudentAt(c.above, c.freedom); math.Abs(got-c.want) > 1e-4 {
			t.Errorf("StudentAt(%v, %v) = %v, tables say %v", c.above, c.freedom, got, c.want)
		}
		if got := StudentAbove(c.want, c.freedom); math.Abs(got-c.above) > 1e-5 {
			t.Errorf("StudentAbove(%v, %v) = %v, want %v", c.want, c.freedom, got, c.above)
		}
	}
}

func TestSplits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		m, n int
		want float64
	}{{3, 3, 20}, {4, 4, 70}, {5, 5, 252}, {6, 6, 924}, {0, 5, 1}, {30, 30, 118264581564861424}} {
		if got := Splits(c.m, c.n); math.Abs(got/c.want-1) > 1e-12 {
			t.Errorf("Splits(%d, %d) = %v, want %v", c.m, c.n, got, c.want)
		}
	}
}

func TestCliff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, second []float64
		want          float64
	}{
		{[]float64{3, 4}, []float64{1, 2}, 1}, {[]float64{1, 2}, []float64{3, 4}, -1},
		{[]float64{1, 2}, []float64{1, 2}, 0}, {[]float64{2, 2}, []float64{1, 2}, .5}, {nil, []float64{1}, 0},
	} {
		if got := Cliff(c.first, c.second); got != c.want {
			t.Errorf("Cliff(%v, %v) = %v, want %v", c.first, c.second, got, c.want)
		}
	}
}
