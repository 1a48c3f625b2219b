package stat

import (
	"math"
)

// growth is the ratio of one bucket's bound to the previous one. Values below
// least count as least, values above most as most.
const (
	growth = 1.01
	least  = 1e-5
	most   = 1e4
)

var logGrowth = math.Log(growth)

// A Hist counts values, such as latencies in seconds, in buckets of 1 %. The
// zero Hist is empty. Counts need not be whole: a bucket of a coarser histogram
// is spread over several.
type Hist struct {
	first int       // index of the first bucket in n
	n     []float64 // counts
	total float64
	low   float64 // lowest and highest value, before rounding to buckets
	high  float64
}

func bucketOf(v float64) int {
	return int(math.Floor(math.Log(min(max(v, least), most)) / logGrowth))
}

// valueOf returns the middle of a bucket, in logarithms.
func valueOf(bucket int) float64 { return math.Exp((float64(bucket) + .5) * logGrowth) }

// Add counts v n times.
func (h *Hist) Add(v, n float64) {
	if n <= 0 || math.IsNaN(v) {
		return
	}
	h.note(v, v)
	h.put(bucketOf(v), n)
}

// note updates the extreme values; call it before changing the counts.
func (h *Hist) note(low, high float64) {
	if h.total == 0 {
		h.low, h.high = low, high
	}
	h.low, h.high = min(h.low, low), max(h.high, high)
}

func (h *Hist) put(bucket int, n float64) {
	switch {
	case len(h.n) == 0:
		h.first, h.n = bucket, append(h.n, 0)
	case bucket < h.first:
		grown := make([]float64, len(h.n)+h.first-bucket)
		copy(grown[h.first-bucket:], h.n)
		h.first, h.n = bucket, grown
	}
	for bucket >= h.first+len(h.n) {
		h.n = append(h.n, 0)
	}
	h.n[bucket-h.first] += n
	h.total += n
}

// AddRange counts n values above one bound and up to another. It spreads them
// evenly in between, as Prometheus does for quantiles. Values above the last
// finite bound count as that bound.
func (h *Hist) AddRange(over, upto, n float64) {
	if n <= 0 {
		return
	}
	over = max(over, 0)
	if upto <= over*growth || math.IsInf(upto, 1) {
		v := upto
		if math.IsInf(upto, 1) {
			v = over
		}
		h.Add(v, n)
		return
	}
	h.note(max(over, least), upto)
	from, to := bucketOf(max(over, upto*1e-3)), bucketOf(upto)
	for b := from; b <= to; b++ {
		lo, hi := math.Exp(float64(b)*logGrowth), math.Exp(float64(b+1)*logGrowth)
		if b == from {
			lo = over
		}
		if b == to {
			hi = upto
		}
		if part := (min(hi, upto) - max(lo, over)) / (upto - over); part > 0 {
			h.put(b, n*part)
		}
	}
}

// Merge adds the counts of o.
func (h *Hist) Merge(o Hist) {
	if o.total == 0 {
		return
	}
	h.note(o.low, o.high)
	for i, n := range o.n {
		if n > 0 {
			h.put(o.first+i, n)
		}
	}
}

// Total returns the number of values.
func (h Hist) Total() float64 { return h.total }

// Quantile returns the q-quantile of the values, within 1 %; 0 if there are
// none.
func (h Hist) Quantile(q float64) float64 {
	if h.total == 0 {
		return 0
	}
	rank, sum := q*h.total, 0.0
	for i, n := range h.n {
		if sum += n; n > 0 && sum >= rank*(1-1e-12) {
			return min(max(valueOf(h.first+i), h.low), h.high)
		}
	}
	return h.high
}

// Above returns the number of values greater than v, within 1 % of v.
func (h Hist) Above(v float64) float64 {
	sum, limit := 0.0, bucketOf(v)
	for i, n := range h.n {
		if h.first+i > limit {
			sum += n
		}
	}
	return sum
}

// Map returns the histogram of f of each value; f must not decrease.
func (h Hist) Map(f func(float64) float64) Hist {
	var mapped Hist
	for i, n := range h.n {
		if n > 0 {
			mapped.Add(f(valueOf(h.first+i)), n)
		}
	}
	return mapped
}

// Sample returns the values in rising order with their counts.
func (h Hist) Sample() Sample {
	s := make(Sample, 0, len(h.n))
	for i, n := range h.n {
		if n > 0 {
			s = append(s, Weighted{valueOf(h.first + i), n})
		}
	}
	return s
}
