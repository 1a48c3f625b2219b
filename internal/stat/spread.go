package stat

import (
	"math"

	"github.com/aclements/go-moremath/stats"
)

// A Spread is the variance of a sum of dependent parts, from the parts themselves,
// and the degrees of freedom that it has.
type Spread struct {
	Variance float64
	Freedom  float64
}

// batchesAtLeast is how many batches a longer block length needs to be used: from
// fewer, neither their variance nor their correlation can be told.
const batchesAtLeast = 20

// spreads returns the variance of the sum of xs, parts in the order of time whose
// mean is 0, for batches of 1, 2, 4, ... neighbours (batch means: Conway 1963;
// Schmeiser 1982). Batches longer than the correlation are independent; what is left
// of it at a length that is too short is taken for that of an autoregressive process
// of order 1, which has fewer independent parts (Andrews 1991).
func spreads(xs []float64) []Spread {
	var all []Spread
	for n := len(xs); n > 1 && (len(all) == 0 || n >= batchesAtLeast); n = len(xs) {
		squares, products := 0.0, 0.0
		for i, x := range xs {
			squares += x * x
			if i > 0 {
				products += x * xs[i-1]
			}
		}
		r := 0.0
		if squares > 0 {
			r = correlation(products/squares, float64(n))
		}
		wider := inflation(r, float64(n))
		all = append(all, Spread{
			// The parts vary around their own mean, which takes a share of
			// wider/n of their variance away.
			Variance: squares * wider / (1 - wider/float64(n)),
			Freedom:  max(float64(n)/wider-1, 1),
		})
		xs = paired(xs)
	}
	return all
}

// mostCorrelation bounds an estimated correlation: at 1 nothing can be told.
const mostCorrelation = .99

// correlation returns the correlation of neighbours to reckon with after r was
// estimated from n parts, 0 at least: the estimate is too low by (1+3r)/n (Kendall
// 1954), and uncertain by √((1-r²)/n) (Bartlett 1946), which is added.
func correlation(r, n float64) float64 {
	if n > 4 {
		r = (n*r + 1) / (n - 3)
	}
	r = min(max(r, 0), mostCorrelation)
	return min(r+math.Sqrt((1-r*r)/n), mostCorrelation)
}

// inflation returns how many times the variance of a sum of n independent parts that
// of an autoregressive process of order 1 with correlation r is.
func inflation(r, n float64) float64 {
	// 1 + 2·Σ(1-k/n)·r^k, in closed form
	return min((1+r)/(1-r)-2*r*(1-math.Pow(r, n))/(n*(1-r)*(1-r)), n*.99)
}

// paired returns the sums of each two neighbours; an odd one joins the last pair.
func paired(xs []float64) []float64 {
	pairs := make([]float64, 0, len(xs)/2)
	for i := 0; i+1 < len(xs); i += 2 {
		pairs = append(pairs, xs[i]+xs[i+1])
	}
	if len(xs)%2 == 1 && len(pairs) > 0 {
		pairs[len(pairs)-1] += xs[len(xs)-1]
	}
	return pairs
}

// Beyond returns the one-sided p-value of "x is one more value of the sample, and no
// greater than chance makes it": Student's prediction interval for a normal sample
// (Whitmore 1986). No standard deviation below least is believed. The sample has two
// values or more.
func Beyond(x float64, sample []float64, least float64) float64 {
	s := stats.Sample{Xs: sample}
	n := float64(len(sample))
	return stats.TDist{V: n - 1}.CDF((s.Mean() - x) / (max(s.StdDev(), least) * math.Sqrt(1+1/n)))
}
