package stat

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// logMass returns the binomial probability by another method: factorials in log
// space.
func logMass(k, n int, p float64) float64 {
	g := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	return g(n) - g(k) - g(n-k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p)
}

func TestMassesAgainstFactorials(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 7, 30, 1000, 50_000} {
		for _, p := range []float64{1e-4, .01, .05, .25, .5, .75, .9999} {
			first, mass := masses(n, p)
			sum := 0.0
			for i, m := range mass {
				sum += m
				if want := math.Exp(logMass(first+i, n, p)); math.Abs(m-want) > 1e-7*want+1e-15 {
					t.Fatalf("n=%d p=%v: mass(%d) = %g, want %g", n, p, first+i, m, want)
				}
			}
			if math.Abs(sum-1) > 1e-12 {
				t.Errorf("n=%d p=%v: masses sum to %v", n, p, sum)
			}
		}
	}
}

func TestAtLeastAgainstMasses(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 30, 1000, 50_000} {
		for _, p := range []float64{1e-4, .01, .05, .25, .5, .75, .9999} {
			first, mass := masses(n, p)
			sum := 0.0
			for i := len(mass) - 1; i >= 0; i-- {
				sum += mass[i]
				if got := AtLeast(first+i, n, p); math.Abs(got-min(sum, 1)) > 1e-9*sum+1e-11 {
					t.Fatalf("AtLeast(%d, %d, %v) = %g, want %g", first+i, n, p, got, sum)
				}
			}
		}
	}
	for _, c := range []struct {
		k, n    int
		p, want float64
	}{{0, 5, 0, 1}, {1, 5, 0, 0}, {5, 5, 1, 1}, {6, 5, 1, 0}, {-1, 5, .5, 1}, {5, 5, .5, 1. / 32}} {
		if got := AtLeast(c.k, c.n, c.p); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("AtLeast(%d, %d, %v) = %v, want %v", c.k, c.n, c.p, got, c.want)
		}
	}
}

func TestInterval(t *testing.T) {
	t.Parallel()
	// The expected counts come from a sum of the masses in 30 digits or more.
	for _, c := range []struct {
		n      int
		p      float64
		conf   float64
		lo, hi int
	}{
		{0, .5, .999, 0, 0},
		{100, 0, .999, 0, 0},
		{100, 1, .999, 100, 100},
		{100, -1, .999, 0, 0},
		{1, .5, .999, 0, 1},
		{10, .5, .95, 2, 8}, // 11/1024 are outside on either side
		{100, .5, .95, 40, 60},
		{500, .05, .999, 11, 42},
		{2000, .05, .95, 81, 120},
		{10_000_000, .25, .999, 2_495_495, 2_504_507},
		{10_000_000, 1e-6, .95, 4, 17},
	} {
		lo, hi := Interval(c.n, c.p, c.conf)
		if lo != c.lo || hi != c.hi {
			t.Errorf("Interval(%d, %v, %v) = %d, %d, want %d, %d", c.n, c.p, c.conf, lo, hi, c.lo, c.hi)
		}
	}
}

func TestIntervalProperties(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		n, p, conf := 1+r.IntN(3000), r.Float64(), 1-math.Pow(10, -1-5*r.Float64())
		lo, hi := Interval(n, p, conf)
		tail := (1 - conf) / 2
		if lo < 0 || lo > hi || hi > n {
			t.Fatalf("Interval(%d, %v, %v) = %d, %d", n, p, conf, lo, hi)
		}
		if above := AtLeast(hi+1, n, p); above > tail*(1+1e-7) {
			t.Errorf("n=%d p=%v: %g above %d, want at most %g", n, p, above, hi, tail)
		}
		if hi > lo && AtLeast(hi, n, p) <= tail*(1-1e-7) {
			t.Errorf("n=%d p=%v: %d is higher than need be", n, p, hi)
		}
		if below := 1 - AtLeast(lo, n, p); below > tail+1e-10 {
			t.Errorf("n=%d p=%v: %g below %d, want at most %g", n, p, below, lo, tail)
		}
		// The other side's share has the mirrored interval.
		if mlo, mhi := Interval(n, 1-p, conf); abs(mlo-(n-hi)) > 1 || abs(mhi-(n-lo)) > 1 {
			t.Errorf("n=%d p=%v: %d..%d, mirrored %d..%d", n, p, lo, hi, mlo, mhi)
		}
	}
}

func abs(x int) int { return max(x, -x) }

func TestShareInterval(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		k, n   int
		lo, hi float64 // Clopper and Pearson, from a sum in 40 digits
	}{
		{0, 0, 0, 1},
		{0, 10, 0, 0.3084971},
		{10, 10, 0.6915029, 1},
		{5, 10, 0.1870860, 0.8129140},
		{1, 100, 0.0002531460, 0.05445939},
		{25, 500, 0.03261518, 0.07292762},
	} {
		lo, hi := ShareInterval(c.k, c.n, .95)
		if math.Abs(lo-c.lo) > 1e-7 || math.Abs(hi-c.hi) > 1e-7 {
			t.Errorf("ShareInterval(%d, %d) = %.7f, %.7f, want %.7f, %.7f", c.k, c.n, lo, hi, c.lo, c.hi)
		}
	}
}

func TestShareIntervalInverts(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(13, 14))
	for range 2000 {
		n := 1 + r.IntN(1<<r.IntN(21))
		k := r.IntN(n + 1)
		lo, hi := ShareInterval(k, n, .95)
		if lo < 0 || lo > float64(k)/float64(n) || hi < float64(k)/float64(n) || hi > 1 {
			t.Fatalf("%d of %d: %v..%v", k, n, lo, hi)
		}
		if p := AtLeast(k, n, lo); k > 0 && math.Abs(p-.025) > 1e-5 {
			t.Errorf("%d of %d: %d or more at %v has probability %v", k, n, k, lo, p)
		}
		if p := 1 - AtLeast(k+1, n, hi); k < n && math.Abs(p-.025) > 1e-5 {
			t.Errorf("%d of %d: %d or fewer at %v has probability %v", k, n, k, hi, p)
		}
	}
}

// The changes of a usual canary release, both ways.
var changes = []struct{ from, to float64 }{
	{0, .05}, {.05, .25}, {.25, .50}, {.50, 1}, {.25, 0}, {1, 0}, {.05, 0}, {.05, .50}, {0, 1},
}

func TestNoConfirmationWithoutChange(t *testing.T) {
	t.Parallel()
	const runs, answers = 1000, 2000
	for i, c := range changes {
		t.Run(fmt.Sprintf("%v-%v", c.from, c.to), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(5, uint64(i)))
			wrong := 0
			for range runs {
				x := NewConfirmer(c.from, c.to)
				for range answers {
					if x.Observe(r.Float64() < c.from) {
						wrong++
						break
					}
				}
			}
			if wrong > 0 { // under 1e-3
				t.Errorf("%d of %d runs of %d answers each confirmed a change that did not happen", wrong, runs, answers)
			}
		})
	}
}

// delays returns, sorted, the numbers of answers until the confirmation of a
// change that comes after late answers of the old share.
func delays(t *testing.T, r *rand.Rand, from, to float64, late, runs int) []int {
	t.Helper()
	var ds []int
	for range runs {
		x := NewConfirmer(from, to)
		for range late {
			x.Observe(r.Float64() < from)
		}
		d := 1
		for !x.Observe(r.Float64() < to) {
			if d++; d > 5000 {
				t.Fatal("not confirmed after 5000 answers")
			}
		}
		ds = append(ds, d)
	}
	slices.Sort(ds)
	return ds
}

func TestDetectionDelay(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		from, to    float64
		median, p99 int // answers, at most
	}{
		{0, .05, 170, 260},
		{.05, .25, 130, 190},
		{.25, .50, 165, 240},
		{.50, 1, 100, 100},
		{.25, 0, 100, 100},
		{1, 0, 100, 100},
		{.05, 0, 270, 270},
		{.05, .50, 205, 225},
		{.50, .50, 30, 60},
		{0, 0, 100, 100},
	} {
		for _, late := range []int{0, 300} {
			if c.from == c.to && late > 0 {
				continue // confirmed already
			}
			ds := delays(t, rand.New(rand.NewPCG(7, uint64(i))), c.from, c.to, late, 300)
			t.Logf("%3.0f %% -> %3.0f %% after %3d late answers: median %3d, p95 %3d, p99 %3d answers",
				100*c.from, 100*c.to, late, ds[len(ds)/2], ds[len(ds)*95/100], ds[len(ds)*99/100])
			if m, p := ds[len(ds)/2], ds[len(ds)*99/100]; m > c.median || p > c.p99 {
				t.Errorf("%v -> %v: median %d, p99 %d answers, want at most %d, %d", c.from, c.to, m, p, c.median, c.p99)
			}
		}
	}
}

// wrr is smooth weighted round robin, as in nginx and Traefik.
type wrr struct{ weight, current [2]int }

func (w *wrr) canary() bool {
	best := 0
	for i := range w.weight {
		w.current[i] += w.weight[i]
		if w.current[i] > w.current[best] {
			best = i
		}
	}
	w.current[best] -= w.weight[0] + w.weight[1]
	return best == 1
}

func TestRoundRobin(t *testing.T) {
	t.Parallel()
	for _, c := range changes {
		old := &wrr{weight: [2]int{100 - int(100*c.from), int(100 * c.from)}}
		x := NewConfirmer(c.from, c.to)
		for i := range 3000 {
			if x.Observe(old.canary()) {
				t.Errorf("%v -> %v: confirmed by answer %d without a change", c.from, c.to, i)
				break
			}
		}
		now := &wrr{weight: [2]int{100 - int(100*c.to), int(100 * c.to)}}
		n := 1
		for !x.Observe(now.canary()) && n < 1000 {
			n++
		}
		if n > 280 {
			t.Errorf("%v -> %v: %d answers to confirm", c.from, c.to, n)
		}
	}
}

// Blocks of one side, as a gateway sends them that picks by ranges of a counter.
func TestBlocks(t *testing.T) {
	t.Parallel()
	x := NewConfirmer(0, .25)
	n := 0
	for !x.Observe(n%100 < 25) && n < 2000 {
		n++
	}
	if p := x.Progress(); !p.Confirmed || n > 800 {
		t.Errorf("%d answers, %+v", n, p)
	}
}

func TestHalfAppliedChangeIsNotConfirmed(t *testing.T) {
	t.Parallel()
	for i, c := range []struct{ from, to float64 }{{0, .5}, {.05, .5}, {.05, 1}, {.5, 1}, {0, 1}, {1, 0}, {.5, 0}, {.25, 0}} {
		t.Run(fmt.Sprintf("%v-%v", c.from, c.to), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(9, uint64(i)))
			wrong := 0
			for range 300 {
				x := NewConfirmer(c.from, c.to)
				for range 1500 {
					p := c.from
					if r.IntN(2) == 0 { // the replica that follows
						p = c.to
					}
					if x.Observe(r.Float64() < p) {
						wrong++
						break
					}
				}
			}
			if wrong > 1 {
				t.Errorf("confirmed in %d of 300 runs", wrong)
			}
		})
	}
	// Strictly alternating replicas too, which is what one connection each makes.
	x := NewConfirmer(.5, 1)
	old := &wrr{weight: [2]int{50, 50}}
	for i := range 5000 {
		if x.Observe(i%2 == 0 || old.canary()) {
			t.Fatal("confirmed while one of two replicas had not followed")
		}
	}
}

func TestOvershootIsNotConfirmed(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(11, 12))
	x := NewConfirmer(.05, .25)
	for range 3000 { // another writer wrote 60
		if x.Observe(r.Float64() < .60) {
			t.Fatalf("60 %% taken for 25 %%: %+v", x.Progress())
		}
	}
}

func TestEndsStartAfresh(t *testing.T) {
	t.Parallel()
	x := NewConfirmer(.25, 0)
	for range 99 {
		x.Observe(false)
	}
	x.Observe(true) // one late answer of the canary
	for i := range 99 {
		if x.Observe(false) {
			t.Fatalf("confirmed after %d in a row, want 100", i+1)
		}
	}
	if !x.Observe(false) {
		t.Errorf("100 in a row not confirmed: %+v", x.Progress())
	}
	if !x.Observe(true) {
		t.Error("a confirmation does not stay")
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	x := NewConfirmer(0, .05)
	x.Unattributed()
	p := x.Progress()
	if p.Confirmed || p.N != 0 || p.MinN < 30 || p.Evidence != 0 || p.Unattributed != 1 || p.Share() != 0 || p.To != .05 {
		t.Errorf("at the start: %+v", p)
	}
	for i := 1; ; i++ {
		if x.Observe(i%20 == 0) {
			break
		}
		if i > 1000 {
			t.Fatal("never confirmed")
		}
	}
	p = x.Progress()
	if !p.Confirmed || p.Evidence != 1 || p.K < p.Lo || p.K > p.Hi || p.ConfirmedAfter != p.Seen || p.N < p.MinN {
		t.Errorf("confirmed: %+v", p)
	}
	x.Observe(true)
	if q := x.Progress(); q.N != p.N || q.K != p.K || q.ConfirmedAfter != p.ConfirmedAfter || q.Seen != p.Seen+1 {
		t.Errorf("after it: %+v, was %+v", q, p)
	}
}

// A process that goes on with a rollout does not know what the answers showed
// before: another share for a while, or half of it for good.
func TestSettlingNeedsTheLastAnswers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	answers := func(c *Confirmer, share float64, n int) bool {
		confirmed := false
		for range n {
			confirmed = c.Observe(r.Float64() < share) || confirmed
		}
		return confirmed
	}
	const tries = 200
	wrong, late := 0, 0
	for range tries {
		for _, to := range []float64{.25, .5} {
			c := NewSettling(to)
			if answers(c, 2*to, 4*c.Needed()) {
				wrong++
			}
			if !answers(c, to, 4*c.Needed()) {
				late++
			}
			if answers(NewSettling(to), to/2, 4*c.Needed()) {
				wrong++
			}
		}
	}
	if limit := 2 * tries * 3 / 100; wrong > limit || late > limit {
		t.Errorf("of %d shares each, %d that differ were confirmed, %d that agree were not", 2*tries, wrong, late)
	}
	if c := NewSettling(1); answers(c, .99, 99) || !answers(c, 1, 100) {
		t.Error("100 % needs 100 answers in a row")
	}
}
