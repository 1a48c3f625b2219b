package stat

import "math"

// power80 is the 80 % quantile of the normal distribution: an effect counts as
// detectable if the test detects it four times out of five.
const power80 = 0.8416212335729143

// SeenShare returns the smallest share of hits above limit that Evidence
// detects with a probability of 80 % within total events, with a stake that
// must grow to 1/alpha. It is 1 if no share is large enough.
func SeenShare(total, limit, alpha float64) float64 {
	lo, hi := limit, 1.0
	if !sees(total, hi, limit, alpha) {
		return 1
	}
	for range 60 {
		if mid := (lo + hi) / 2; sees(total, mid, limit, alpha) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

// TrialsToSee returns the number of events that Evidence needs to detect a
// share of hits above limit with a probability of 80 %; +Inf if share is not
// above limit.
func TrialsToSee(share, limit, alpha float64) float64 {
	if share <= limit {
		return math.Inf(1)
	}
	lo, hi := 0.0, 1.0
	for !sees(hi, share, limit, alpha) {
		lo, hi = hi, 2*hi
		if hi > 1e12 {
			return math.Inf(1)
		}
	}
	for range 60 {
		if mid := (lo + hi) / 2; sees(mid, share, limit, alpha) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return math.Ceil(hi)
}

func sees(total, share, limit, alpha float64) bool {
	hits := total*share - power80*math.Sqrt(total*share*(1-share))
	return Evidence(total, hits, limit) >= math.Log(1/alpha)
}

// SeenRatio returns the smallest ratio between the medians of two samples of
// sizes m and n that the Mann-Whitney test detects with a probability of 80 %
// at a one-sided alpha, if their logarithms are normal with a standard
// deviation of sigma; +Inf if the samples are too small for any ratio.
func SeenRatio(m, n, sigma, alpha float64) float64 {
	if m <= 0 || n <= 0 {
		return math.Inf(1)
	}
	theta := .5 + (quantile(1-alpha)+power80)*math.Sqrt((1/m+1/n)/12)
	if theta >= 1 {
		return math.Inf(1)
	}
	return math.Exp(quantile(theta) * sigma * math.Sqrt2)
}

// quantile returns the p-quantile of the standard normal distribution.
func quantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
