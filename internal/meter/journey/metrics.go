package journey

import (
	"cmp"
	"errors"
	"slices"

	"github.com/candlefish/deploy-action/internal/measure"
)

// The metrics. In 13 rounds of one version on two cores that others kept busy, medians of
// five differed, in 19 of 20 draws, by less than: inp 16 ms on desktop and 176 on mobile,
// long-tasks 0 and 98 ms, heap 1 and 3 KiB, cls nothing. The floors are no test: that the
// difference is none of chance, the comparison has to show.
var (
	inp       = measure.Metric{Name: "inp", Title: "Interaction to Next Paint", Unit: measure.Milliseconds, Better: measure.Lower, Compared: true, Floor: measure.Floor{Absolute: 40, Relative: 0.1}}
	longTasks = measure.Metric{Name: "long-tasks", Title: "Blocking time of long tasks", Unit: measure.Milliseconds, Better: measure.Lower, Compared: true, Floor: measure.Floor{Absolute: 100, Relative: 0.1}}
	cls       = measure.Metric{Name: "cls", Title: "Cumulative Layout Shift", Unit: measure.Shift, Better: measure.Lower, Compared: true, Floor: measure.Floor{Absolute: 0.01}}
	heap      = measure.Metric{Name: "heap", Title: "Memory that a repetition leaves", Unit: measure.Bytes, Better: measure.Lower, Compared: true, Floor: measure.Floor{Absolute: 50 << 10}}
	heapSize  = measure.Metric{Name: "heap-size", Title: "Memory after the journey", Unit: measure.Bytes, Better: measure.Lower}
	lcp       = measure.Metric{Name: "lcp", Title: "Largest Contentful Paint", Unit: measure.Milliseconds, Better: measure.Lower}
	fcp       = measure.Metric{Name: "fcp", Title: "First Contentful Paint", Unit: measure.Milliseconds, Better: measure.Lower}
	ttfb      = measure.Metric{Name: "ttfb", Title: "Time to First Byte", Unit: measure.Milliseconds, Better: measure.Lower}
	duration  = measure.Metric{Name: "duration", Title: "Duration of the journey", Unit: measure.Milliseconds, Better: measure.Lower}
)

// Metrics are all that a journey measures.
func Metrics() []measure.Metric {
	return []measure.Metric{inp, longTasks, cls, heap, heapSize, lcp, fcp, ttfb, duration}
}

// A document is what the browser noted of one of a journey's documents. Times are in
// milliseconds from its navigation on.
type document struct {
	URL          string      `json:"url"`
	TTFB         *float64    `json:"ttfb"`
	FCP          *float64    `json:"fcp"`
	LCP          *float64    `json:"lcp"`
	Shifts       [][]float64 `json:"shifts"` // time and value; those after an input are not among them
	Tasks        [][]float64 `json:"tasks"`  // duration of those over 50 ms
	Events       [][]float64 `json:"events"` // interaction, time, duration
	Interactions float64     `json:"interactions"`
}

var errNone = errors.New("none")

// worst returns the largest value of all documents that have one.
func worst(documents []document, of func(document) (float64, bool)) (float64, error) {
	result, err := 0.0, errNone
	for _, d := range documents {
		if v, ok := of(d); ok && (err != nil || v > result) {
			result, err = v, nil
		}
	}
	return result, err
}

func given(v *float64) (float64, bool) {
	if v == nil {
		return 0, false
	}
	return *v, true
}

// inp returns the Interaction to Next Paint as web.dev/articles/inp defines it: the
// longest interaction, but for one in each 50.
func (d document) inp() (float64, bool) {
	longest := map[float64]float64{}
	for _, e := range d.Events {
		longest[e[0]] = max(longest[e[0]], e[2])
	}
	if len(longest) == 0 {
		return 0, false
	}
	var all []float64
	for _, v := range longest {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b float64) int { return cmp.Compare(b, a) })
	return all[min(len(all)-1, int(max(d.Interactions, float64(len(all)))/50))], true
}

// cls returns the Cumulative Layout Shift: the largest session window, whose shifts are
// less than a second apart, within five seconds (web.dev/articles/cls).
func (d document) cls() float64 {
	shifts := slices.Clone(d.Shifts)
	slices.SortStableFunc(shifts, func(a, b []float64) int { return cmp.Compare(a[0], b[0]) })
	var largest, window, began, last float64
	for i, s := range shifts {
		if i == 0 || s[0]-last >= 1000 || s[0]-began >= 5000 {
			window, began = 0, s[0]
		}
		last = s[0]
		window += s[1]
		largest = max(largest, window)
	}
	return largest
}

// blocking is the time of long tasks beyond 50 ms each: for so long nothing answered.
func blocking(documents []document) float64 {
	var total float64
	for _, d := range documents {
		for _, t := range d.Tasks {
			total += max(0, t[0]-50)
		}
	}
	return total
}

// slope is the median of the slopes between all pairs of values, Theil and Sen's: one
// repetition that did something once does not move it.
func slope(values []float64) float64 {
	var all []float64
	for i := range values {
		for j := i + 1; j < len(values); j++ {
			all = append(all, (values[j]-values[i])/float64(j-i))
		}
	}
	return measure.Median(all)
}
