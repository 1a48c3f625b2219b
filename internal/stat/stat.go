// Package stat has the statistics of the judge, each small enough to be checked
// against exact enumeration:
//
//   - Evidence: a betting martingale for "this share is above that limit", valid
//     however often one looks at it;
//   - Compare: the Mann-Whitney statistic of two samples that were taken in
//     blocks of time, with a variance that neither bursts nor autocorrelation
//     inside a block fool, and the Hodges-Lehmann shift with its interval;
//   - Holm: which of several hypotheses fall, at one error probability for all;
//   - Confirmer: since when answers show the share that a weight asks for;
//   - Hist: latencies in 1 % buckets, so that a million samples cost what a
//     thousand do.
//
// Nothing here knows what is compared or what follows from it.
package stat

import (
	"cmp"
	"math"
	"slices"
)

// bets is the number of error rates that Evidence spreads its stake over.
const bets = 32

// Evidence returns the logarithm of what a stake of 1 has grown to by betting
// that more than a share limit of all trials are hits, having seen hits of
// total. The stake is spread evenly over rates from limit to nearly 1, evenly in
// log-odds. If each trial is a hit with probability limit or less, given all
// before it, the stake is a nonnegative supermartingale, so that it ever exceeds
// x with probability 1/x at most (Ville 1939): exp(-Evidence) is a p-value that
// is valid at every look.
//
// hits need not be whole, which power calculations use. A limit of 1 or more is
// never exceeded (0), one of 0 or less is at the first hit (+Inf).
func Evidence(total, hits, limit float64) float64 {
	switch {
	case hits <= 0 && limit <= 0, limit >= 1, total <= 0:
		return 0
	case limit <= 0:
		return math.Inf(1)
	}
	low, high := logit(limit), max(logit(limit)+1, logit(0.9999))
	logs, most := [bets]float64{}, math.Inf(-1)
	for i := range logs {
		q := 1 / (1 + math.Exp(-(low + (high-low)*(float64(i)+.5)/bets)))
		logs[i] = hits*math.Log(q/limit) + (total-hits)*(math.Log1p(-q)-math.Log1p(-limit))
		most = max(most, logs[i])
	}
	sum := 0.0
	for _, l := range logs {
		sum += math.Exp(l - most)
	}
	return most + math.Log(sum/bets)
}

func logit(p float64) float64 { return math.Log(p) - math.Log1p(-p) }

// TwoShares returns the Evidence that events are more than ratio times as
// frequent in the first of two streams as in the second, at the same time. The
// first carries a share of all trials. An event is then the first stream's with
// probability share·ratio/(share·ratio + 1 - share) at most, whatever the rate of
// events is and however it changes, as long as it changes for both.
func TwoShares(first, second, share, ratio float64) float64 {
	return Evidence(first+second, first, share*ratio/(share*ratio+1-share))
}

// PValue turns evidence into a p-value.
func PValue(evidence float64) float64 { return min(1, math.Exp(-evidence)) }

// Holm returns which of the hypotheses with these p-values are to be rejected so
// that the probability of rejecting any true one is at most alpha (Holm 1979).
// With p-values that are valid at every look it may be asked at every look.
func Holm(ps []float64, alpha float64) []bool {
	order := make([]int, len(ps))
	known := func(i int) float64 {
		if math.IsNaN(ps[i]) {
			return 1 // no evidence
		}
		return ps[i]
	}
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(known(a), known(b)) })
	rejected := make([]bool, len(ps))
	for rank, i := range order {
		if known(i) > alpha/float64(len(ps)-rank) {
			break
		}
		rejected[i] = true
	}
	return rejected
}

// Spend returns the p-value of the look-th look, from 1, at a test that is valid
// for one look only, such that all looks together are valid: look j gets a share
// 6/(π·j)² of the whole, and these shares add up to one.
func Spend(p float64, look int) float64 {
	return min(1, p*math.Pi*math.Pi*float64(look)*float64(look)/6)
}
