package stat

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const tiny = 1e-9

func near(a, b, tolerance float64) bool {
	return a == b || math.Abs(a-b) <= tolerance*max(1, math.Abs(a), math.Abs(b))
}

// choose returns n over k.
func choose(n, k int) float64 {
	c := 1.0
	for i := range k {
		c = c * float64(n-i) / float64(i+1)
	}
	return c
}

// The bet is fair at the limit and loses below it: the mean of the stake, by
// enumeration of all outcomes.
func TestEvidenceIsFair(t *testing.T) {
	t.Parallel()
	for _, limit := range []float64{.002, .05, .3} {
		for _, rate := range []float64{limit, limit / 2} {
			for _, n := range []int{1, 7, 40} {
				mean := 0.0
				for k := range n + 1 {
					p := choose(n, k) * math.Pow(rate, float64(k)) * math.Pow(1-rate, float64(n-k))
					mean += p * math.Exp(Evidence(float64(n), float64(k), limit))
				}
				if rate == limit && !near(mean, 1, tiny) || mean > 1+tiny {
					t.Errorf("limit %v, rate %v, %d trials: mean stake %v, want 1 at the limit, less below", limit, rate, n, mean)
				}
			}
		}
	}
}

func TestEvidenceAtTheEdges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ total, hits, limit, want float64 }{
		{0, 0, .05, 0}, {100, 0, 0, 0}, {100, 1, 0, math.Inf(1)}, {100, 100, 1, 0},
	} {
		if got := Evidence(c.total, c.hits, c.limit); got != c.want {
			t.Errorf("Evidence(%v, %v, %v) = %v, want %v", c.total, c.hits, c.limit, got, c.want)
		}
	}
	if got := Evidence(1000, 10, .05); got >= 0 {
		t.Errorf("a fifth of the limit gains %v, want a loss", got)
	}
}

// Events that are as frequent on both sides, one side with a twentieth of the
// trials: the stake of TwoShares exceeds 100 in at most one of a hundred runs,
// with a look after every event.
func TestTwoSharesIsValidAtEveryLook(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	const runs = 4000
	crossed := 0
	for range runs {
		first, second := 0.0, 0.0
		for range 400 {
			if r.Float64() < .05 {
				first++
			} else {
				second++
			}
			if TwoShares(first, second, .05, 1) >= math.Log(100) {
				crossed++
				break
			}
		}
	}
	if crossed > runs/100+20 { // 3 standard deviations over 1 %
		t.Errorf("%d of %d runs crossed, want at most 1 %%", crossed, runs)
	}
	if e := TwoShares(20, 20, .05, 2); e < math.Log(1e6) {
		t.Errorf("nineteen times as frequent: evidence %v, want overwhelming", e)
	}
}

func TestHolm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ps   []float64
		want []bool
	}{
		{nil, []bool{}},
		{[]float64{.04}, []bool{true}},
		// Holm's own steps: .01 <= .05/4, .013 <= .05/3, .014 <= .05/2, .06 > .05
		{[]float64{.06, .013, .014, .01}, []bool{false, true, true, true}},
		// the second fails, so the third falls with it
		{[]float64{.01, .03, .04}, []bool{true, false, false}},
		{[]float64{math.NaN(), .001}, []bool{false, true}},
	} {
		if diff := cmp.Diff(c.want, Holm(c.ps, .05)); diff != "" {
			t.Errorf("Holm(%v) (-want +got):\n%s", c.ps, diff)
		}
	}
}

func TestSpendAddsUpToTheWhole(t *testing.T) {
	t.Parallel()
	sum := 0.0
	for look := 1; look <= 1_000_000; look++ {
		sum += 1 / (Spend(1e-20, look) / 1e-20)
	}
	if sum > 1 || sum < .999999 {
		t.Errorf("a million looks may be wrong with %v of the whole, want nearly 1 and no more", sum)
	}
}

// values returns numbers with ties.
func values(r *rand.Rand, n int) []float64 {
	var vs []float64
	for range n {
		vs = append(vs, float64(r.IntN(8)))
	}
	return vs
}

func bruteTheta(a, b []float64) float64 {
	u := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += .5
			}
		}
	}
	return u / float64(len(a)*len(b))
}

// Theta by all pairs, and its variance by all ways to deal the same values out.
func TestCompareByEnumeration(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		a, b := values(r, 2+r.IntN(4)), values(r, 2+r.IntN(5))
		c := Compare([]Block{{SampleOf(a...), SampleOf(b...)}})
		if want := bruteTheta(a, b); !near(c.Theta, want, tiny) {
			t.Errorf("%v against %v: theta %v, want %v", a, b, c.Theta, want)
		}
		all := slices.Concat(a, b)
		mean, square, n := 0.0, 0.0, 0.0
		for pick := range 1 << len(all) {
			var x, y []float64
			for i, v := range all {
				if pick>>i&1 == 1 {
					x = append(x, v)
				} else {
					y = append(y, v)
				}
			}
			if len(x) == len(a) {
				theta := bruteTheta(x, y)
				mean, square, n = mean+theta, square+theta*theta, n+1
			}
		}
		if want := square/n - mean*mean/n/n; !near(c.NullVar, want, tiny) {
			t.Errorf("%v against %v: variance %v, want %v", a, b, c.NullVar, want)
		}
	}
}

// Histograms give the same results as samples of their buckets' values.
func TestCompareHists(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(15, 16))
	var blocks []Block
	hists := make([]HistBlock, 9)
	for i := range hists {
		for range 20 {
			hists[i].First.Add(math.Exp(r.NormFloat64()), 1)
			hists[i].Second.Add(math.Exp(r.NormFloat64()), 2.5)
		}
		blocks = append(blocks, Block{hists[i].First.Sample(), hists[i].Second.Sample()})
	}
	if got, want := CompareHists(hists), Compare(blocks); !near(got.Theta, want.Theta, tiny) || !near(got.NullVar, want.NullVar, tiny) || !slices.EqualFunc(got.Spreads, want.Spreads, func(a, b Spread) bool { return near(a.Variance, b.Variance, tiny) && near(a.Freedom, b.Freedom, tiny) }) || got.Blocks != want.Blocks {
		t.Errorf("histograms give %+v, samples %+v", got, want)
	}
	if got := CompareHists(nil).Greater(); got != 1 {
		t.Errorf("no blocks: p = %v, want 1", got)
	}
}

// The variance between blocks, from its definition; what their correlation adds
// is taken from the code.
func TestBlockVariance(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	var blocks []Block
	var raw [][2][]float64
	var a, b []float64
	for range 7 {
		x, y := values(r, 3), values(r, 5)
		raw = append(raw, [2][]float64{x, y})
		a, b = append(a, x...), append(b, y...)
		blocks = append(blocks, Block{SampleOf(x...), SampleOf(y...)})
	}
	c := Compare(blocks)
	want, products, last := 0.0, 0.0, 0.0
	for _, block := range raw {
		sum := 0.0
		for _, x := range block[0] {
			sum += (bruteTheta([]float64{x}, b) - c.Theta) / float64(len(a))
		}
		for _, y := range block[1] {
			sum += (bruteTheta(a, []float64{y}) - c.Theta) / float64(len(b))
		}
		want += sum * sum
		products += sum * last
		last = sum
	}
	wider := inflation(correlation(products/want, 7), 7)
	want *= wider / (1 - wider/7)
	if got := c.Spreads[0]; !near(got.Variance, want, tiny) || !near(got.Freedom, max(7/wider-1, 1), tiny) || len(c.Spreads) != 1 {
		t.Errorf("spreads %v, want one with variance %v", c.Spreads, want)
	}
}

// Student's t against the tables: 95 %, 97.5 % and 99.5 % of 10 degrees of
// freedom are 1.812461, 2.228139 and 3.169273; of the normal, 1.644854 and so on.
func TestGreaterAgainstTables(t *testing.T) {
	t.Parallel()
	for tail, quantile := range map[float64]float64{.05: 1.8124611228107335, .025: 2.2281388519649385, .005: 3.1692726726169503} {
		c := Comparison{Theta: .5 + quantile*.1, Spreads: []Spread{{.01, 10}}, NullVar: 1e-9, Blocks: 11}
		if got := c.Greater(); math.Abs(got-tail) > tiny {
			t.Errorf("t of %v on 10: %v, want %v", quantile, got, tail)
		}
	}
	for tail, quantile := range map[float64]float64{.05: 1.6448536269514722, .001: 3.090232306167813} {
		c := Comparison{Theta: .5 + quantile*.1, Spreads: []Spread{{1e-9, 10}}, NullVar: .01, Blocks: 11}
		if got := c.Greater(); math.Abs(got-tail) > tiny {
			t.Errorf("normal %v: %v, want %v", quantile, got, tail)
		}
	}
	if got := (Comparison{Theta: 1, Blocks: 2, NullVar: 1e-9, Spreads: []Spread{{1e-9, 1}}}).Greater(); got != 1 {
		t.Errorf("two blocks: p = %v, want 1", got)
	}
	if got := Compare(nil).Greater(); got != 1 {
		t.Errorf("no blocks: p = %v, want 1", got)
	}
}

func TestShiftByEnumeration(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		var a, b []float64
		for range 1 + r.IntN(9) {
			a = append(a, math.Round(r.NormFloat64()*20)/4)
		}
		for range 1 + r.IntN(9) {
			b = append(b, math.Round(r.NormFloat64()*20)/4)
		}
		var all []float64
		for _, x := range a {
			for _, y := range b {
				all = append(all, x-y)
			}
		}
		slices.Sort(all)
		n := len(all)
		want := (all[(n-1)/2] + all[n/2]) / 2
		got, low, high := Shift(SampleOf(a...), SampleOf(b...), 1.0/144, 1.96)
		if !near(got, want, tiny) {
			t.Errorf("shift of %v and %v = %v, want %v", a, b, got, want)
		}
		at := func(q float64) float64 {
			return all[min(max(int(math.Ceil(q*float64(n)*(1-1e-12))), 1), n)-1]
		}
		if wl, wh := at(.5-1.96/12), at(.5+1.96/12); low != wl || high != wh {
			t.Errorf("interval of %v and %v = %v, %v, want %v, %v", a, b, low, high, wl, wh)
		}
	}
	if e, l, h := Shift(nil, SampleOf(1), 1, 2); e != 0 || l != 0 || h != 0 {
		t.Errorf("an empty sample gives %v, %v, %v", e, l, h)
	}
}

// Values that keep a level for a second mislead the ordinary test, not this
// one.
func TestAutocorrelationIsNoDifference(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	const runs = 2000
	fooled, wrong := 0, 0
	for range runs {
		var blocks []Block
		for range 40 {
			first, second := r.NormFloat64(), r.NormFloat64()
			var x, y []float64
			for range 8 {
				x, y = append(x, first+.3*r.NormFloat64()), append(y, second+.3*r.NormFloat64())
			}
			blocks = append(blocks, Block{SampleOf(x...), SampleOf(y...)})
		}
		c := Compare(blocks)
		if upper(c.Theta-.5, c.NullVar) < .01 {
			fooled++
		}
		if c.Greater() < .01 {
			wrong++
		}
	}
	if wrong > runs/100+15 {
		t.Errorf("%d of %d equal pairs differ at 1 %%", wrong, runs)
	}
	if fooled < runs/10 {
		t.Errorf("the ordinary test was fooled %d times of %d only: this test tests nothing", fooled, runs)
	}
}

func TestHist(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(11, 12))
	var h Hist
	var vs []float64
	for range 5000 {
		v := math.Exp(r.NormFloat64()) / 50
		vs = append(vs, v)
		h.Add(v, 1)
	}
	slices.Sort(vs)
	for _, q := range []float64{0, .01, .5, .95, .999, 1} {
		want := vs[max(int(math.Ceil(q*5000))-1, 0)]
		if got := h.Quantile(q); math.Abs(got/want-1) > .0101 {
			t.Errorf("quantile %v = %v, want %v within 1 %%", q, got, want)
		}
	}
	if got := h.Above(vs[2499]); math.Abs(got-2500) > 60 {
		t.Errorf("above the median: %v of 5000", got)
	}
	if got := h.Map(func(v float64) float64 { return 3 * v }).Quantile(.5); math.Abs(got/(3*vs[2499])-1) > .0202 {
		t.Errorf("median times three = %v, want %v", got, 3*vs[2499])
	}
	var empty Hist
	if empty.Quantile(.5) != 0 || empty.Total() != 0 || len(empty.Sample()) != 0 {
		t.Error("an empty histogram has values")
	}
	before := h.Total()
	h.Merge(empty)
	empty.Merge(h)
	if h.Total() != before || empty.Quantile(.5) != h.Quantile(.5) {
		t.Error("merging changes more than it should")
	}
}

func TestAddRangeSpreads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ over, upto, median float64 }{{0, .1, .05}, {.1, .2, .15}, {.25, .5, .375}, {.1, .1, .1}, {2.5, math.Inf(1), 2.5}} {
		var h Hist
		h.AddRange(c.over, c.upto, 1000)
		if !near(h.Total(), 1000, 1e-6) {
			t.Errorf("%v to %v holds %v, want 1000", c.over, c.upto, h.Total())
		}
		if got := h.Quantile(.5); math.Abs(got/c.median-1) > .02 {
			t.Errorf("%v to %v has the median %v, want %v", c.over, c.upto, got, c.median)
		}
	}
}

// The power calculation's detection rate of four out of five, checked by
// simulation.
func TestPowerByTrial(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(13, 14))
	const limit, alpha, n, runs = .05, .005, 600, 1500
	share := SeenShare(n, limit, alpha)
	seen := 0
	for range runs {
		hits := 0.0
		for i := 1; i <= n; i++ {
			if r.Float64() < share {
				hits++
				if Evidence(float64(i), hits, limit) >= math.Log(1/alpha) {
					seen++
					break
				}
			}
		}
	}
	if got := float64(seen) / runs; got < .78 || got > .93 { // looking on the way helps a little
		t.Errorf("a share of %.3f is seen in %.2f of all runs, want about 0.8 or a little more", share, got)
	}
	if got := TrialsToSee(share, limit, alpha); math.Abs(got/n-1) > .01 {
		t.Errorf("trials to see %.3f = %v, want %v", share, got, n)
	}
	if got := TrialsToSee(.05, .05, alpha); !math.IsInf(got, 1) {
		t.Errorf("the limit itself is seen after %v trials", got)
	}
	if got := SeenShare(3, .05, 1e-6); got != 1 {
		t.Errorf("three trials show a share of %v", got)
	}
	ratio := SeenRatio(200, 2000, .5, .001)
	found := 0
	for range 400 {
		var a, b []float64
		for range 200 {
			a = append(a, ratio*math.Exp(.5*r.NormFloat64()))
		}
		for range 2000 {
			b = append(b, math.Exp(.5*r.NormFloat64()))
		}
		c := Compare([]Block{{SampleOf(a...), SampleOf(b...)}})
		if upper(c.Theta-.5, c.NullVar) < .001 {
			found++
		}
	}
	if got := float64(found) / 400; got < .7 || got > .9 {
		t.Errorf("a ratio of %.3f is found in %.2f of all runs, want about 0.8", ratio, got)
	}
}

func BenchmarkMillion(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	vs := make([]float64, 1_000_000)
	for i := range vs {
		vs[i] = math.Exp(r.NormFloat64()) / 20
	}
	b.ReportAllocs()
	for b.Loop() {
		blocks := make([]HistBlock, 50)
		var all HistBlock
		for k := range blocks {
			first, second := &blocks[k].First, &blocks[k].Second
			for i := k * 20_000; i < (k+1)*20_000; i++ {
				if i%4 == 0 {
					first.Add(vs[i], 1)
				} else {
					second.Add(vs[i], 1)
				}
			}
			all.First.Merge(*first)
			all.Second.Merge(*second)
		}
		c := CompareHists(blocks)
		Shift(all.First.Sample(), all.Second.Sample(), c.Variance(), 1.96)
	}
}

func ExampleShift() {
	shift, _, _ := Shift(SampleOf(12, 14, 19), SampleOf(10, 11, 13), 0, 0)
	fmt.Println(shift)
	// Output: 3
}
