package prometheus

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/prometheus/common/model"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/source"
)

// A growth is by how much a counter grew up to a moment.
type growth struct {
	at model.Time
	by float64
}

// counters remember the last sample of each series. What a series held at the
// first reading, the baseline, is history. A series that turns up later belongs
// to something that has just started, and counters start at 0, so all of its
// first value is new; but only if that sample is younger than the baseline. Else
// it was there all along, unseen, and begins to count with its second sample. What
// this takes for new, and is not, is a target that could not be scraped for longer
// than the window before the baseline, and can be scraped after it.
type counters struct {
	since  model.Time // the baseline; 0 while it is taken
	last   map[string]model.SamplePair
	resets int
}

// grow takes the samples of one series, oldest first, and returns what those
// added that were not seen before. A value that is smaller than the one before
// comes from a counter that started anew: all of it is new.
func (c *counters) grow(series string, samples []model.SamplePair) []growth {
	last, known := c.last[series]
	if !known && c.since != 0 && len(samples) > 0 && samples[0].Timestamp > c.since {
		known = true // last is the 0 that it started at
	}
	var grown []growth
	for _, s := range samples {
		switch {
		case known && s.Timestamp <= last.Timestamp:
			continue
		case c.since == 0 || !known:
		case s.Value < last.Value:
			c.resets++
			grown = append(grown, growth{s.Timestamp, float64(s.Value)})
		default:
			grown = append(grown, growth{s.Timestamp, float64(s.Value - last.Value)})
		}
		last, known = s, true
	}
	if known && len(samples) > 0 {
		if c.last == nil {
			c.last = map[string]model.SamplePair{}
		}
		c.last[series] = last
	}
	return grown
}

// A moment is a histogram at one time: how many were at or below each bound.
type moment struct {
	at    model.Time
	upto  []float64 // ascending, the last one infinite
	count []float64
}

// A spread is which latencies a histogram gained up to a moment.
type spread struct {
	at      model.Time
	buckets []analysis.Bucket
}

// histograms are counters whose series belong together: one that is smaller than
// before means that all of them started anew.
type histograms struct {
	since  model.Time
	last   map[string]moment
	resets int
}

// grow is grow of counters for one histogram; scale is how many seconds one unit
// of its bounds is. A histogram whose bounds have changed begins again with a
// baseline.
func (h *histograms) grow(series string, moments []moment, scale float64) []spread {
	last, known := h.last[series]
	young := !known && h.since != 0 && len(moments) > 0 && moments[0].at > h.since
	var grown []spread
	for _, m := range moments {
		switch {
		case known && m.at <= last.at:
			continue
		case h.since == 0:
		case young:
			grown, young = append(grown, spread{m.at, buckets(m, nil, scale)}), false
		case !known || !slices.Equal(m.upto, last.upto):
		case smaller(m.count, last.count):
			h.resets++
			grown = append(grown, spread{m.at, buckets(m, nil, scale)})
		default:
			grown = append(grown, spread{m.at, buckets(m, last.count, scale)})
		}
		last, known = m, true
	}
	if known && len(moments) > 0 {
		if h.last == nil {
			h.last = map[string]moment{}
		}
		h.last[series] = last
	}
	return grown
}

func smaller(count, before []float64) bool {
	for i := range count {
		if count[i] < before[i] {
			return true
		}
	}
	return false
}

// buckets takes the counts before (nil for none) from a moment's, and each bucket
// from the next. A bucket below 0 comes of a server that was caught while it
// counted, and is empty.
func buckets(m moment, before []float64, scale float64) []analysis.Bucket {
	var filled []analysis.Bucket
	over, below := 0.0, 0.0
	for i, upto := range m.upto {
		n := m.count[i]
		if before != nil {
			n -= before[i]
		}
		upto *= scale
		if n > below {
			filled = append(filled, analysis.Bucket{Over: analysis.Number(over), Upto: analysis.Number(upto), N: n - below})
			below = n
		}
		over = upto
	}
	return filled
}

// moments joins the series of one histogram, one for each bound, by time: those after a
// time that was seen already. Of a scrape that the edge of the window cut, it makes none.
func moments(series map[float64][]model.SamplePair, after model.Time) []moment {
	upto := slices.Sorted(maps.Keys(series))
	rest := make([][]model.SamplePair, len(upto))
	for i, bound := range upto {
		rest[i] = series[bound]
	}
	var joined []moment
	for {
		at, whole, more := next(rest)
		if !more {
			return joined
		}
		if whole && at > after {
			m := moment{at: at, upto: upto, count: make([]float64, len(upto))}
			for i := range rest {
				m.count[i] = float64(rest[i][0].Value)
			}
			joined = append(joined, m)
		}
		for i := range rest {
			if len(rest[i]) > 0 && rest[i][0].Timestamp == at {
				rest[i] = rest[i][1:]
			}
		}
	}
}

// next is the earliest time at which one of the series has its next sample, and whether
// all have it then; there are no more when all have ended.
func next(rest [][]model.SamplePair) (at model.Time, whole, more bool) {
	whole = true
	for _, samples := range rest {
		switch {
		case len(samples) == 0:
			whole = false
		case !more:
			at, more = samples[0].Timestamp, true
		case samples[0].Timestamp != at:
			whole = false
			at = min(at, samples[0].Timestamp)
		}
	}
	return at, whole, more
}

// bound reads the label of a histogram's bucket.
func bound(m model.Metric) (float64, error) {
	le, ok := m[model.BucketLabel]
	if !ok {
		return 0, fmt.Errorf("%s has no label le: want the _bucket series of a histogram", m)
	}
	upto, err := strconv.ParseFloat(string(le), 64)
	if err != nil || math.IsNaN(upto) {
		return 0, fmt.Errorf("%s: le=%q is no number", m, string(le))
	}
	return upto, nil
}

// count refuses what cannot be the value of a counter.
func count(m model.Metric, samples []model.SamplePair) error {
	for _, s := range samples {
		if v := float64(s.Value); !source.Countable(v) {
			return fmt.Errorf("%s is %v, which no counter can be", m, v)
		}
	}
	return nil
}
