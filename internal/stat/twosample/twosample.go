// Package twosample compares two small samples without assuming a distribution: the
// exact test of Mann and Whitney, the shift of Hodges and Lehmann with the interval that
// belongs to it, and Cliff's delta. It also has Student's distribution, for samples that
// are too small for that.
package twosample

import (
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"
)

// exactUnits is up to how many values of both samples together the distribution of
// Ranks is exact. Beyond, the normal one with a correction for ties is within 1e-3 of
// it, relative to 1, in the middle.
const exactUnits = 60

// DoubleRanks returns twice the rank of each value among all, from 2; equal values
// have the mean of their ranks, which doubling makes whole.
func DoubleRanks(values []float64) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if values[a] < values[b] {
			return -1
		}
		if values[a] > values[b] {
			return 1
		}
		return 0
	})
	ranks := make([]int, len(values))
	for from := 0; from < len(order); {
		to := from
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			ranks[i] = from + to + 1 // twice the mean of from+1 and to
		}
		from = to
	}
	return ranks
}

// Ranks is the distribution of a sum of ranks if the values of two samples are equally
// likely to be in either: the null distribution of Mann and Whitney (Annals of
// Mathematical Statistics 18, 1947), with the ties that these ranks have.
type Ranks struct {
	// tail has the probability of each doubled sum or more; nil if not exact.
	tail       []float64
	mean, sd   float64 // of the doubled sum
	least, all int     // doubled sums possible
}

// NewRanks returns the distribution of the sum of first of the doubled ranks. It is
// exact for up to 60 ranks.
func NewRanks(doubled []int, first int) Ranks {
	n := len(doubled)
	first = min(max(first, 0), n)
	sorted := slices.Sorted(slices.Values(doubled))
	r := Ranks{}
	for i, d := range sorted {
		if i < first {
			r.least += d
		}
		if i >= n-first {
			r.all += d
		}
	}
	if n > exactUnits {
		r.mean, r.sd = moments(sorted, first)
		return r
	}
	r.tail = tails(subsets(sorted, first, r.all))
	return r
}

// subsets counts, for each sum up to most, the choices of first of the weights.
func subsets(weights []int, first, most int) []float64 {
	counts := make([][]float64, first+1)
	for k := range counts {
		counts[k] = make([]float64, most+1)
	}
	counts[0][0] = 1
	for i, w := range weights {
		for k := min(first, i+1); k > 0; k-- {
			to, from := counts[k], counts[k-1]
			for sum := most; sum >= w; sum-- {
				to[sum] += from[sum-w]
			}
		}
	}
	return counts[first]
}

// tails turns counts into the probabilities of each index or more.
func tails(counts []float64) []float64 {
	sum := 0.0
	for i := len(counts) - 1; i >= 0; i-- {
		sum += counts[i]
		counts[i] = sum
	}
	for i := range counts {
		counts[i] /= sum
	}
	return counts
}

// moments are those of the sum of first of the weights, drawn without replacement.
func moments(weights []int, first int) (mean, sd float64) {
	n, sum, square := float64(len(weights)), 0.0, 0.0
	for _, w := range weights {
		sum += float64(w)
	}
	for _, w := range weights {
		d := float64(w) - sum/n
		square += d * d
	}
	k := float64(first)
	return k * sum / n, math.Sqrt(k * (n - k) * square / (n * (n - 1)))
}

// AtLeast returns the probability of a doubled sum of this or more.
func (r Ranks) AtLeast(doubled int) float64 {
	switch {
	case doubled <= r.least:
		return 1
	case doubled > r.all:
		return 0
	case r.tail != nil:
		return r.tail[doubled]
	case !(r.sd > 0):
		return 1
	}
	return math.Erfc((float64(doubled)-1-r.mean)/(r.sd*math.Sqrt2)) / 2 // continuity
}

// Greater returns the one-sided p-value of "the values of first are not greater than
// those of second", by Mann and Whitney's test; 1 if one is empty.
func Greater(first, second []float64) float64 {
	if len(first) == 0 || len(second) == 0 {
		return 1
	}
	ranks := DoubleRanks(slices.Concat(first, second))
	sum := 0
	for _, r := range ranks[:len(first)] {
		sum += r
	}
	return NewRanks(ranks, len(first)).AtLeast(sum)
}

// Differences are all pairwise differences of a value of first and one of second, in
// rising order.
func Differences(first, second []float64) []float64 {
	all := make([]float64, 0, len(first)*len(second))
	for _, a := range first {
		for _, b := range second {
			all = append(all, a-b)
		}
	}
	slices.Sort(all)
	return all
}

// ShiftInterval returns the Hodges-Lehmann estimate of first minus second, the median
// of all differences (Annals of Mathematical Statistics 34, 1963), and the interval of
// all shifts that a two-sided Mann-Whitney test at 1 - confidence does not reject. The
// interval is -Inf to +Inf if there are too few values to bound it, and all are 0
// without values.
func ShiftInterval(first, second []float64, confidence float64) (estimate, low, high float64) {
	all := Differences(first, second)
	n := len(all)
	if n == 0 {
		return 0, 0, 0
	}
	estimate = all[(n-1)/2]/2 + all[n/2]/2
	out := outside(len(first), len(second), (1-confidence)/2)
	if out == 0 {
		return estimate, math.Inf(-1), math.Inf(1)
	}
	return estimate, all[out-1], all[n-out]
}

// outside returns how many differences on each side are outside of the interval: the
// largest k for which k-1 or fewer of the pairs have a probability of tail at most.
func outside(m, n int, tail float64) int {
	ranks := make([]int, m+n)
	for i := range ranks {
		ranks[i] = 2 * (i + 1)
	}
	null, most := NewRanks(ranks, m), m*(2*n+m+1) // of the doubled sum
	k := 0
	for k < m*n/2 && null.AtLeast(most-2*k) <= tail {
		k++
	}
	return k
}

// Cliff returns Cliff's delta: the probability that a value of first exceeds one of
// second, minus that of the reverse (Psychological Bulletin 114, 1993); -1 to 1, and 0
// without values.
func Cliff(first, second []float64) float64 {
	sum := 0
	for _, a := range first {
		for _, b := range second {
			switch {
			case a > b:
				sum++
			case a < b:
				sum--
			}
		}
	}
	return float64(sum) / float64(max(1, len(first)*len(second)))
}

// Splits is the number of ways to choose first of first + second values, rounded
// beyond 2^53. One divided by it is the smallest p-value that Greater can have.
func Splits(first, second int) float64 {
	ways := 1.0
	for i := 1; i <= first; i++ {
		ways = ways * float64(second+i) / float64(i)
	}
	return math.Round(ways)
}

// StudentAbove returns the probability of t or more under Student's distribution
// (Biometrika 6, 1908).
func StudentAbove(t, freedom float64) float64 {
	return min(max(stats.TDist{V: freedom}.CDF(-t), 0), 1)
}

// StudentAt returns the value that Student's distribution exceeds with probability
// above, 0 to 1/2.
func StudentAt(above, freedom float64) float64 {
	if !(above > 0) {
		return math.Inf(1)
	}
	lo, hi := 0.0, 1.0
	for StudentAbove(hi, freedom) > above {
		if lo, hi = hi, 2*hi; hi > 1e12 {
			return math.Inf(1)
		}
	}
	for range 100 {
		if mid := (lo + hi) / 2; StudentAbove(mid, freedom) > above {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// Adjusted returns the p-values after Holm's method: Holm rejects those that are alpha
// or less.
func Adjusted(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case ps[a] < ps[b]:
			return -1
		case ps[a] > ps[b]:
			return 1
		}
		return 0
	})
	adjusted, most := make([]float64, len(ps)), 0.0
	for rank, i := range order {
		most = max(most, min(1, float64(len(ps)-rank)*ps[i]))
		adjusted[i] = most
	}
	return adjusted
}
