package stat

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The bet is fair at its null and loses below it, whatever the null of each block:
// the mean of the stake, by enumeration of all outcomes of three blocks.
func TestWagerIsFair(t *testing.T) {
	t.Parallel()
	nulls, sizes := []float64{.05, .4, .002}, []int{3, 2, 4}
	for _, part := range []float64{1, .5} { // of the null
		mean := 0.0
		for outcome := range (sizes[0] + 1) * (sizes[1] + 1) * (sizes[2] + 1) {
			p, w := 1.0, Wager{}
			for b, n := range sizes {
				k := outcome % (n + 1)
				outcome /= n + 1
				rate := part * nulls[b]
				p *= choose(n, k) * math.Pow(rate, float64(k)) * math.Pow(1-rate, float64(n-k))
				w.Add(nulls[b], float64(k), float64(n-k))
			}
			mean += p * math.Exp(w.Evidence())
		}
		if part == 1 && !near(mean, 1, tiny) || mean > 1+tiny {
			t.Errorf("%v of the null: mean stake %v, want 1 at the null, less below", part, mean)
		}
	}
}

func TestWagerAtTheEdges(t *testing.T) {
	t.Parallel()
	var w Wager
	for _, null := range []float64{0, 1, math.NaN(), -1, 2} {
		w.Add(null, 5, 5)
	}
	w.Add(.1, 0, 0)
	if got := w.Evidence(); !near(got, 0, tiny) {
		t.Errorf("evidence %v of nothing, want 0", got)
	}
	after := w
	after.Add(.05, 10, 0)
	if got := after.Evidence(); got < 20 || !near(w.Evidence(), 0, tiny) {
		t.Errorf("ten hits of .05: %v, want over 20; and %v is left, want 0", got, w.Evidence())
	}
}

func TestNullShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ first, second, ratio, want float64 }{
		{5, 95, 1, .05}, {5, 95, 2, 10.0 / 105}, {0, 95, 2, 0}, {5, 0, 2, 1},
	} {
		if got := NullShare(c.first, c.second, c.ratio); !near(got, c.want, tiny) {
			t.Errorf("NullShare(%v, %v, %v) = %v, want %v", c.first, c.second, c.ratio, got, c.want)
		}
	}
}

// Independent events have an index of 1, events that come five at a time one of 5,
// and a stream that always fails, or fails from some time on, has no clumps.
func TestDispersion(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	var single, fives, dead, dying Dispersion
	for i := range 20_000 {
		one, five := 0.0, 0.0
		for range 20 {
			if r.Float64() < .02 {
				one++
			}
			if r.Float64() < .004 {
				five += 5
			}
		}
		single.Add(20, one)
		fives.Add(100, five)
		dead.Add(20, 20)
		dying.Add(20, 20*float64(i/10_000))
	}
	for _, c := range []struct {
		name string
		of   Dispersion
		want float64
	}{{"single", single, 1}, {"fives", fives, 5}, {"dead", dead, 1}, {"dead from the middle on", dying, 1}, {"none", Dispersion{}, 1}} {
		if got := c.of.Index(); math.Abs(got-c.want) > .1*c.want {
			t.Errorf("%s: index %v, want %v", c.name, got, c.want)
		}
	}
}

// noise is an autoregressive process of order 1 with variance 1.
func noise(r *rand.Rand, correlation float64, n int) []float64 {
	xs, x, mean := make([]float64, n), r.NormFloat64(), 0.0
	for i := range xs {
		xs[i] = x
		mean += x / float64(n)
		x = correlation*x + math.Sqrt(1-correlation*correlation)*r.NormFloat64()
	}
	for i := range xs {
		xs[i] -= mean
	}
	return xs
}

// How often a mean of correlated parts is taken for more than nothing at .1 %: the
// test that Comparison.Greater makes of a sum and its Spreads. Within a stretch that
// is no longer than the correlation nobody can tell; then it is wrong more often, but
// by far less than without the correlation (30 parts of .98: every third time).
func TestSpreadsUnderCorrelation(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{12, 30, 75} {
		for rho, most := range map[float64]float64{0: .001, .5: .002, .9: .02, .98: .04} {
			const runs = 20_000
			// of the mean that noise takes off, which is drawn again
			variance := 0.0
			for i := range n {
				for j := range n {
					variance += math.Pow(rho, math.Abs(float64(i-j)))
				}
			}
			wrong := 0
			for range runs {
				xs := noise(r, rho, n)
				c := Comparison{Theta: .5 + math.Sqrt(variance)*r.NormFloat64(), Blocks: n, NullVar: 1e-12, Spreads: spreads(xs)}
				if c.Greater() <= .001 {
					wrong++
				}
			}
			if share := float64(wrong) / runs; share > most {
				t.Errorf("%d parts, correlation %v: rejected in %.2f %%, want at most %.1f %%", n, rho, 100*share, 100*most)
			}
		}
	}
}

// The prediction interval of 10.2, 10.4, 9.9, 10.0, 10.5 at 95 % ends at their mean and
// 2.776445 (t on 4) times 0.254951 times the root of 1.2.
func TestBeyond(t *testing.T) {
	t.Parallel()
	sample := []float64{10.2, 10.4, 9.9, 10, 10.5}
	if got := Beyond(10.2+2.7764451051977987*0.2549509756796392*math.Sqrt(1.2), sample, .01); !near(got, .025, 1e-9) {
		t.Errorf("at the end of the 95 %% interval: %v, want .025", got)
	}
	if got := Beyond(10.2, sample, .01); !near(got, .5, 1e-9) {
		t.Errorf("at the mean: %v, want .5", got)
	}
	if got := Beyond(2, []float64{1, 1, 1}, 1e9); !near(got, .5, 1e-6) {
		t.Errorf("with a spread at least so large: %v, want .5", got)
	}
}
