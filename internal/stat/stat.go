// Package stat has the statistics of the judge. Each is small enough to check
// against exact enumeration:
//
//   - Evidence: a betting martingale for "this share is above that limit",
//     valid at every look;
//   - Compare: the Mann-Whitney statistic of two samples taken in blocks of
//     time, with a variance that stays valid under bursts and autocorrelation
//     inside a block, and the Hodges-Lehmann shift with its interval;
//   - Holm: which of several hypotheses to reject, at one error probability for
//     all;
//   - Confirmer: since when answers show the share of a weight;
//   - Hist: latencies in 1 % buckets, so a million samples cost as much as a
//     thousand.
//
// The package does not know what the numbers mean or what follows from a
// result.
package stat

import (
	"cmp"
	"math"
	"slices"
)

// bets is the number of rates over which Evidence spreads its stake.
const bets = 32

// Evidence returns the logarithm of a stake, 1 at the start, after betting that
// the share of hits is above limit, with hits out of total events. It spreads
// the stake evenly over rates from limit to nearly 1, evenly in log-odds. If
// each event is a hit with probability limit or less, given all before it, the
// stake is a nonnegative supermartingale, so the probability that it ever
// exceeds x is at most 1/x (Ville 1939): exp(-Evidence) is a p-value that is
// valid at every look.
//
// hits need not be whole; power calculations use that. With a limit of 1 or more,
// within 1e-9, the result is 0; with a limit of 0 or less it is +Inf from the first
// hit.
func Evidence(total, hits, limit float64) float64 {
	switch {
	case hits <= 0 && limit <= 0, limit >= 1-1e-9, total <= 0:
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
// frequent in the first of two concurrent streams as in the second. share is
// the first stream's share of all requests. Otherwise the probability that an
// event belongs to the first stream is at most share·ratio/(share·ratio + 1 -
// share), whatever the rate of events is and however it changes, provided that
// it changes for both.
func TwoShares(first, second, share, ratio float64) float64 {
	return Evidence(first+second, first, NullShare(share, 1-share, ratio))
}

// PValue converts evidence to a p-value.
func PValue(evidence float64) float64 { return min(1, math.Exp(-evidence)) }

// Holm returns which of the hypotheses with these p-values to reject; the
// probability of rejecting any true one is at most alpha (Holm 1979). With
// p-values that are valid at every look, so is the result.
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

// Spend corrects the p-value p of the look-th look, from 1, at a test that is
// valid for a single look, so that all looks together are valid: look j spends
// a share 6/(π·j)² of the error probability, and these shares add up to one.
func Spend(p float64, look int) float64 {
	return min(1, p*math.Pi*math.Pi*float64(look)*float64(look)/6)
}
