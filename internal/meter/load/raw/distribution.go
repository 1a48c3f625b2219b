package raw

import (
	"math"
	"slices"
)

// Precision is how far a percentile of a distribution may be from that of the samples
// themselves, as a share of it.
const Precision = 1.0 / 2048

// parts is how many equal parts a power of two is divided into: a value is known up to
// half of such a part.
const parts = 1024

// A distribution has how often each value occurred, values being rounded to a relative
// precision. So its size depends on the range of the values and not on their number,
// and two of them are merged without loss.
type distribution struct {
	counts   map[int32]int64
	count    int64
	sum      float64
	min, max float64
}

func newDistribution() *distribution {
	return &distribution{counts: map[int32]int64{}, min: math.Inf(1), max: math.Inf(-1)}
}

// add takes a value that is not negative and finite.
func (d *distribution) add(v float64) {
	d.counts[bucket(v)]++
	d.count++
	d.sum += v
	d.min, d.max = min(d.min, v), max(d.max, v)
}

// smallest is the value under which all values are one: a nanosecond, in milliseconds.
const smallest = 1e-6

// zero is the bucket of values under smallest. It is below all others.
const zero = math.MinInt32

func bucket(v float64) int32 {
	if v < smallest {
		return zero
	}
	fraction, exponent := math.Frexp(v) // fraction is in [0.5, 1)
	return int32(exponent)*parts + int32((fraction-0.5)*2*parts)
}

// middle is the value that stands for all of a bucket.
func middle(b int32) float64 {
	if b == zero {
		return 0
	}
	exponent := int(math.Floor(float64(b) / parts))
	part := float64(b) - float64(exponent)*parts
	return math.Ldexp(0.5+(part+0.5)/(2*parts), exponent)
}

// percentiles returns those of the shares, which ascend. Between two samples it
// interpolates as k6 does.
func (d *distribution) percentiles(shares ...float64) []float64 {
	values := make([]float64, len(shares))
	if d.count == 0 {
		return values
	}
	buckets := make([]int32, 0, len(d.counts))
	for b := range d.counts {
		buckets = append(buckets, b)
	}
	slices.Sort(buckets)
	// ends[i] is how many samples are in the buckets up to i.
	ends := make([]int64, len(buckets))
	var sum int64
	for i, b := range buckets {
		sum += d.counts[b]
		ends[i] = sum
	}
	at := func(rank int64) float64 { // from 0
		i, _ := slices.BinarySearch(ends, rank+1)
		return min(d.max, max(d.min, middle(buckets[i])))
	}
	for i, share := range shares {
		place := share * float64(d.count-1)
		low := math.Floor(place)
		a, b := at(int64(low)), at(int64(math.Ceil(place)))
		values[i] = a + (b-a)*(place-low)
	}
	return values
}
