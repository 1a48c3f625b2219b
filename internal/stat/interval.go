package stat

import "math"

// Interval returns the central range of the number of canary answers among n,
// with the given confidence, if each comes from the canary with probability p:
// fewer than lo, and likewise more than hi, have a probability of at most
// (1-confidence)/2. It is exact (binomial, no normal approximation) for any n
// up to 1e7 and confidences up to 1-1e-9. p and confidence are clamped to 0..1.
func Interval(n int, p, confidence float64) (lo, hi int) {
	tail := (1 - min(max(confidence, 0), 1)) / 2
	first, mass := masses(n, p)
	last := first + len(mass) - 1
	sum := 0.0
	for lo = first; lo < last; lo++ {
		if sum += mass[lo-first]; sum > tail {
			break
		}
	}
	sum = 0
	for hi = last; hi > lo; hi-- {
		if sum += mass[hi-first]; sum > tail {
			break
		}
	}
	return lo, hi
}

// ShareInterval returns the confidence interval of a share measured as k of n
// (Clopper and Pearson: Biometrika 26, 1934; R's binom.test). For n = 0, and a confidence
// of 1, it is 0..1. k is clamped to 0..n, confidence to 0..1.
func ShareInterval(k, n int, confidence float64) (lo, hi float64) {
	tail := (1 - min(max(confidence, 0), 1)) / 2
	if n <= 0 || !(tail > 0) { // NaN is not over 0 either
		return 0, 1
	}
	k = min(max(k, 0), n)
	lo, hi = 0, 1
	if k > 0 {
		lo = root(k, n, tail)
	}
	if k < n {
		hi = root(k+1, n, 1-tail)
	}
	return lo, hi
}

// AtLeast returns the probability of k or more of n. It is the regularized
// incomplete beta function I_p(k, n-k+1), by its continued fraction.
func AtLeast(k, n int, p float64) float64 {
	switch {
	case k <= 0 || p >= 1 && k <= n:
		return 1
	case k > n || p <= 0:
		return 0
	}
	a, b := float64(k), float64(n-k+1)
	if p > (a+1)/(a+b+2) { // the fraction converges fast on the other side
		return 1 - beta(b, a, 1-p)
	}
	return beta(a, b, p)
}

// beta is the regularized incomplete beta function for x under about a/(a+b),
// by Lentz's method (Numerical Recipes 6.4, own code).
func beta(a, b, x float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab-la-lb+a*math.Log(x)+b*math.Log1p(-x)) / a
	const tiny = 1e-300
	nonzero := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/nonzero(1-(a+b)*x/(a+1))
	f := d
	for m := 1.0; m < 1e5; m++ { // about √(a+b) rounds at most
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		var step float64
		for _, t := range [2]float64{even, odd} {
			d = 1 / nonzero(1+t*d)
			c = nonzero(1 + t/c)
			step = c * d
			f *= step
		}
		if math.Abs(step-1) < 1e-15 {
			break
		}
	}
	return min(front*f, 1)
}

// root returns the p at which AtLeast(k, n, p) is want, for 1 <= k <= n and
// want inside 0..1, by Newton's method inside a shrinking bracket.
func root(k, n int, want float64) float64 {
	a, b := float64(k), float64(n-k+1)
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	lo, hi, p := 0.0, 1.0, a/(a+b)
	for range 100 {
		off := AtLeast(k, n, p) - want
		if off > 0 {
			hi = p
		} else {
			lo = p
		}
		slope := math.Exp(lab - la - lb + (a-1)*math.Log(p) + (b-1)*math.Log1p(-p))
		next := p - off/slope
		if !(next > lo && next < hi) {
			next = (lo + hi) / 2
		}
		if math.Abs(next-p) < 1e-11 {
			return next
		}
		p = next
	}
	return p
}

// masses returns the probabilities of first, first+1, ... of n. It omits counts
// less likely than 1e-18 of the likeliest. It starts at the mode and multiplies
// outward, which needs no factorials: nothing can overflow, and only omitted
// counts underflow.
func masses(n int, p float64) (first int, mass []float64) {
	p = min(max(p, 0), 1)
	if n <= 0 || p == 0 {
		return 0, []float64{1}
	}
	if p == 1 {
		return n, []float64{1}
	}
	const least = 1e-18
	mode := min(int(float64(n+1)*p), n)
	odds := p / (1 - p)
	var below []float64 // from mode-1 downward
	for k, w := mode, 1.0; k > 0; k-- {
		if w *= float64(k) / float64(n-k+1) / odds; w < least {
			break
		}
		below = append(below, w)
	}
	mass = make([]float64, 0, 2*len(below)+2)
	for i := range below {
		mass = append(mass, below[len(below)-1-i])
	}
	mass = append(mass, 1)
	for k, w := mode, 1.0; k < n; k++ {
		if w *= float64(n-k) / float64(k+1) * odds; w < least {
			break
		}
		mass = append(mass, w)
	}
	// Sum from the small ends, so the largest terms come last.
	sum := 0.0
	for i, j := 0, len(mass)-1; i <= j; i, j = i+1, j-1 {
		sum += mass[i]
		if i != j {
			sum += mass[j]
		}
	}
	for i := range mass {
		mass[i] = mass[i] / sum
	}
	return mode - len(below), mass
}

// disjoint reports whether the intervals of p and q have no count in common.
func disjoint(n int, p, q float64) bool {
	a, b := Interval(n, p, confidence)
	c, d := Interval(n, q, confidence)
	return b < c || d < a
}
