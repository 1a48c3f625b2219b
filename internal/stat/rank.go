package stat

import (
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"
)

// A Weighted is a value with its count N.
type Weighted struct{ V, N float64 }

// A Sample is a list of distinct values in rising order.
type Sample []Weighted

// SampleOf sorts values into a Sample.
func SampleOf(vs ...float64) Sample {
	sorted := slices.Sorted(slices.Values(vs))
	var s Sample
	for _, v := range sorted {
		if n := len(s); n > 0 && s[n-1].V == v {
			s[n-1].N++
			continue
		}
		s = append(s, Weighted{v, 1})
	}
	return s
}

// Size returns the number of values.
func (s Sample) Size() float64 {
	n := 0.0
	for _, w := range s {
		n += w.N
	}
	return n
}

// A Block has the values of two streams over the same period.
type Block struct{ First, Second Sample }

// A Comparison is the Mann-Whitney statistic of two samples.
type Comparison struct {
	M, N float64 // sizes of the first and the second sample
	// Theta is the probability that a value of the first sample exceeds one
	// of the second, ties counting half: U/(M·N). 0.5 means no difference.
	Theta float64
	// NullVar is the variance of Theta if both samples come from the same
	// distribution with independent values, corrected for ties.
	NullVar float64
	// Spreads are the empirical variances between blocks, one for each length of
	// blocks that there are enough of, the shortest first; empty with fewer than
	// two blocks.
	Spreads []Spread
	Blocks  int
}

// A HistBlock is a Block whose values are in histograms.
type HistBlock struct{ First, Second Hist }

// Compare computes the statistic from blocks in the order of time. The variance
// between blocks is the clustered version of DeLong's estimator (Obuchowski 1997)
// with the covariance of the two streams: a slowdown of both does not count as a
// difference. What is left of the correlation between neighbouring blocks widens it
// (see Spread).
func Compare(blocks []Block) Comparison {
	var values []float64
	for _, b := range blocks {
		for _, w := range slices.Concat(b.First, b.Second) {
			values = append(values, w.V)
		}
	}
	slices.Sort(values)
	values = slices.Compact(values)
	ranked := func(s Sample) []cell {
		cells := make([]cell, len(s))
		for i, w := range s {
			at, _ := slices.BinarySearch(values, w.V)
			cells[i] = cell{at, w.N}
		}
		return cells
	}
	cells := make([][2][]cell, len(blocks))
	for i, b := range blocks {
		cells[i] = [2][]cell{ranked(b.First), ranked(b.Second)}
	}
	return compare(cells, len(values))
}

// CompareHists is Compare for histograms, whose buckets already are ranks.
func CompareHists(blocks []HistBlock) Comparison {
	low, high := math.MaxInt, math.MinInt
	for _, b := range blocks {
		for _, h := range []Hist{b.First, b.Second} {
			if h.total > 0 {
				low, high = min(low, h.first), max(high, h.first+len(h.n))
			}
		}
	}
	cells := make([][2][]cell, len(blocks))
	for i, b := range blocks {
		cells[i] = [2][]cell{b.First.cells(low), b.Second.cells(low)}
	}
	return compare(cells, max(high-low, 0))
}

func (h Hist) cells(low int) []cell {
	cells := make([]cell, 0, len(h.n))
	for i, n := range h.n {
		if n > 0 {
			cells = append(cells, cell{h.first + i - low, n})
		}
	}
	return cells
}

// A cell is the count of the value with a rank.
type cell struct {
	rank int
	n    float64
}

func compare(blocks [][2][]cell, ranks int) Comparison {
	first, second := make([]float64, ranks), make([]float64, ranks)
	var c Comparison
	for _, b := range blocks {
		c.M += add(first, b[0])
		c.N += add(second, b[1])
	}
	if c.M == 0 || c.N == 0 {
		c.Theta, c.NullVar = .5, math.Inf(1)
		return c
	}
	c.NullVar = nullVar(first, second, c.M, c.N)
	// below is the share of the second sample below each rank, above the share of
	// the first above it; ties count half.
	below, above := shares(second, c.N), shares(first, c.M)
	for r, n := range first {
		c.Theta += n * below[r] / c.M
		above[r] = 1 - above[r]
	}
	xs := make([]float64, 0, len(blocks)) // each block's part in Theta - E(Theta)
	for _, b := range blocks {
		x := 0.0
		for _, w := range b[0] {
			x += w.n * (below[w.rank] - c.Theta) / c.M
		}
		for _, w := range b[1] {
			x += w.n * (above[w.rank] - c.Theta) / c.N
		}
		if len(b[0])+len(b[1]) > 0 {
			xs = append(xs, x)
		}
	}
	c.Blocks = len(xs)
	c.Spreads = spreads(xs)
	return c
}

// add adds cells to counts and returns the number of their values.
func add(counts []float64, cells []cell) float64 {
	total := 0.0
	for _, w := range cells {
		counts[w.rank] += w.n
		total += w.n
	}
	return total
}

// shares returns, for each rank, the share of the counts below it plus half of
// those at it.
func shares(counts []float64, total float64) []float64 {
	under, sum := make([]float64, len(counts)), 0.0
	for r, n := range counts {
		under[r] = (sum + n/2) / total
		sum += n
	}
	return under
}

// nullVar returns the variance of U/(mn) under the null hypothesis, corrected
// for ties: ((N+1) - Σ(t³-t)/(N(N-1))) / (12mn), N = m+n.
func nullVar(first, second []float64, m, n float64) float64 {
	all, ties := m+n, 0.0
	for r := range first {
		t := first[r] + second[r]
		ties += max(0, t*t*t-t) // parts of values tie with nothing
	}
	if all <= 1 {
		return math.Inf(1)
	}
	return (all + 1 - ties/(all*(all-1))) / (12 * m * n)
}

// leastBlocks is the minimum number of blocks for a usable variance.
const leastBlocks = 10

// Greater returns the one-sided p-value of "the first sample's values are not
// greater", 1 with too few blocks to estimate their variance. It is the largest of
// several p-values: from the normal distribution with NullVar, and from Student's
// with each of the Spreads.
func (c Comparison) Greater() float64 {
	if c.Blocks < leastBlocks {
		return 1
	}
	d := c.Theta - .5
	p := upper(d, c.NullVar)
	for _, s := range c.Spreads {
		if s.Variance > 0 {
			p = max(p, stats.TDist{V: s.Freedom}.CDF(-d/math.Sqrt(s.Variance)))
		}
	}
	return p
}

// Independent returns the p-value of Greater if all values were independent.
func (c Comparison) Independent() float64 { return upper(c.Theta-.5, c.NullVar) }

// upper returns the probability of d or more under a normal distribution around
// 0.
func upper(d, variance float64) float64 {
	switch {
	case math.IsInf(variance, 1):
		return 1
	case variance <= 0:
		return .5 // nothing but ties
	}
	return math.Erfc(d/math.Sqrt(2*variance)) / 2
}

// Variance returns the variance for intervals: the largest of all.
func (c Comparison) Variance() float64 {
	v := c.NullVar
	for _, s := range c.Spreads {
		v = max(v, s.Variance)
	}
	return v
}

// Shift returns the Hodges-Lehmann estimate of the difference between the first
// sample and the second, the median of all pairwise differences, and its
// interval: the differences at the ranks z standard deviations of Theta away.
// All are 0 if a sample is empty.
func Shift(first, second Sample, variance, z float64) (estimate, low, high float64) {
	if len(first) == 0 || len(second) == 0 {
		return 0, 0, 0
	}
	spread := 0.0
	if variance > 0 && !math.IsInf(variance, 1) {
		spread = z * math.Sqrt(variance)
	}
	pairs := first.Size() * second.Size()
	low = difference(first, second, (.5-spread)*pairs)
	high = difference(first, second, (.5+spread)*pairs)
	return middle(first, second, pairs), low, high
}

// middle returns the median of all differences: the mean of the two middle ones
// if their number is even.
func middle(first, second Sample, pairs float64) float64 {
	lower := difference(first, second, pairs/2)
	if whole := math.Round(pairs); math.Abs(pairs-whole) < 1e-6*pairs && int64(whole)%2 == 0 {
		return (lower + difference(first, second, pairs/2+.5)) / 2
	}
	return lower
}

// difference returns the smallest difference d of a value of first and one of
// second such that at least rank pairs have a difference of d or less. It
// bisects, and counts pairs in one pass over both samples.
func difference(first, second Sample, rank float64) float64 {
	pairs := first.Size() * second.Size()
	rank = min(max(rank, 1e-9*pairs), pairs)
	lo := first[0].V - second[len(second)-1].V
	hi := first[len(first)-1].V - second[0].V
	if count(first, second, lo) >= rank*(1-1e-12) {
		return lo
	}
	for range 200 { // until the bounds are neighbours among the differences
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			break
		}
		if count(first, second, mid) >= rank*(1-1e-12) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return nearest(first, second, hi)
}

// count returns the number of pairs with a difference of d or less.
func count(first, second Sample, d float64) float64 {
	total, tail, j := 0.0, second.Size(), 0
	for _, w := range first {
		for j < len(second) && w.V-second[j].V > d {
			tail -= second[j].N
			j++
		}
		total += w.N * tail
	}
	return total
}

// nearest returns the greatest difference that is d or less.
func nearest(first, second Sample, d float64) float64 {
	best, j := math.Inf(-1), 0
	for _, w := range first {
		for j < len(second) && w.V-second[j].V > d {
			j++
		}
		if j < len(second) {
			best = max(best, w.V-second[j].V)
		}
	}
	return best
}
