package prometheus

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/candlefish/deploy-action/internal/analysis"
)

var growths = cmp.AllowUnexported(growth{})

// samples are pairs of a time in ms and a value.
func samples(pairs ...float64) []model.SamplePair {
	var s []model.SamplePair
	for i := 0; i < len(pairs); i += 2 {
		s = append(s, model.SamplePair{Timestamp: model.Time(pairs[i]), Value: model.SampleValue(pairs[i+1])})
	}
	return s
}

func TestCountersGrow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		baseline []model.SamplePair
		readings [][]model.SamplePair
		want     []growth
		resets   int
	}{
		{"the baseline is history", samples(1000, 50), nil, nil, 0},
		{"each new sample", samples(1000, 50), [][]model.SamplePair{samples(1000, 50, 2000, 53, 3000, 60)}, []growth{{2000, 3}, {3000, 7}}, 0},
		{"no sample twice", samples(1000, 50), [][]model.SamplePair{samples(2000, 53), samples(1000, 50, 2000, 53), samples(2000, 53, 3000, 54)}, []growth{{2000, 3}, {3000, 1}}, 0},
		{"stale", samples(1000, 50), [][]model.SamplePair{samples(1000, 50), nil}, nil, 0},
		{"no requests", samples(1000, 50), [][]model.SamplePair{samples(2000, 50)}, []growth{{2000, 0}}, 0},
		{"reset", samples(1000, 50), [][]model.SamplePair{samples(2000, 4, 3000, 9)}, []growth{{2000, 4}, {3000, 5}}, 1},
		{"reset to zero", samples(1000, 50), [][]model.SamplePair{samples(2000, 0, 3000, 9)}, []growth{{2000, 0}, {3000, 9}}, 1},
		{"two resets", samples(1000, 50), [][]model.SamplePair{samples(2000, 4, 3000, 2)}, []growth{{2000, 4}, {3000, 2}}, 2},
		{"a gap longer than the window", samples(1000, 50), [][]model.SamplePair{nil, samples(900_000, 80)}, []growth{{900_000, 30}}, 0},
		{"a new series", nil, [][]model.SamplePair{samples(1600, 4, 2600, 9)}, []growth{{1600, 4}, {2600, 5}}, 0},
		{"a new series that is old", nil, [][]model.SamplePair{samples(1400, 4000, 2400, 4009)}, []growth{{2400, 9}}, 0},
		{"a series that was away", samples(1000, 50), [][]model.SamplePair{nil, nil, samples(9000, 51)}, []growth{{9000, 1}}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var c counters
			if got := c.grow("s", test.baseline); got != nil {
				t.Fatalf("the baseline grew by %v", got)
			}
			c.since = 1500
			var got []growth
			for _, s := range test.readings {
				got = append(got, c.grow("s", s)...)
			}
			if diff := cmp.Diff(test.want, got, growths); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.resets != test.resets {
				t.Errorf("%d resets, want %d", c.resets, test.resets)
			}
		})
	}
}

func TestHistogramsGrow(t *testing.T) {
	t.Parallel()
	inf := math.Inf(1)
	upto := []float64{0.1, 0.5, inf}
	bucket := func(over, upto, n float64) analysis.Bucket {
		return analysis.Bucket{Over: analysis.Number(over), Upto: analysis.Number(upto), N: n}
	}
	old := []moment{{1000, upto, []float64{10, 20, 30}}}
	tests := []struct {
		name           string
		baseline, next []moment
		scale          float64
		want           []spread
		resets         int
	}{
		{
			"each bucket from the next", old, []moment{{1000, upto, []float64{10, 20, 30}}, {2000, upto, []float64{11, 23, 36}}}, 1,
			[]spread{{2000, []analysis.Bucket{bucket(0, 0.1, 1), bucket(0.1, 0.5, 2), bucket(0.5, inf, 3)}}}, 0,
		},
		{"nothing", old, []moment{{2000, upto, []float64{10, 20, 30}}}, 1, []spread{{2000, nil}}, 0},
		{
			"milliseconds", []moment{{1000, []float64{50, inf}, []float64{0, 0}}}, []moment{{2000, []float64{50, inf}, []float64{2, 2}}}, 1e-3,
			[]spread{{2000, []analysis.Bucket{bucket(0, 0.05, 2)}}}, 0,
		},
		{
			"one bucket tells of the reset of all", old, []moment{{2000, upto, []float64{12, 21, 21}}}, 1,
			[]spread{{2000, []analysis.Bucket{bucket(0, 0.1, 12), bucket(0.1, 0.5, 9)}}}, 1,
		},
		{"caught while it counted", old, []moment{{2000, upto, []float64{12, 21, 32}}}, 1, []spread{{2000, []analysis.Bucket{bucket(0, 0.1, 2)}}}, 0},
		{"other bounds", old, []moment{{2000, []float64{1, inf}, []float64{40, 50}}, {3000, []float64{1, inf}, []float64{41, 51}}}, 1, []spread{{3000, []analysis.Bucket{bucket(0, 1, 1)}}}, 0},
		{"new", nil, []moment{{1600, upto, []float64{1, 1, 1}}}, 1, []spread{{1600, []analysis.Bucket{bucket(0, 0.1, 1)}}}, 0},
		{"new but old", nil, []moment{{1400, upto, []float64{1, 1, 1}}}, 1, nil, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var h histograms
			if got := h.grow("h", test.baseline, test.scale); got != nil {
				t.Fatalf("the baseline grew by %v", got)
			}
			h.since = 1500
			got := h.grow("h", test.next, test.scale)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(spread{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if h.resets != test.resets {
				t.Errorf("%d resets, want %d", h.resets, test.resets)
			}
		})
	}
}

// At the edge of the window, or while a scrape is being stored, some bounds of a
// histogram lack a sample that others have.
func TestMomentsNeedAllBounds(t *testing.T) {
	t.Parallel()
	inf := math.Inf(1)
	got := moments(map[float64][]model.SamplePair{1: samples(2000, 3), inf: samples(1000, 4, 2000, 5)}, 0)
	want := []moment{{2000, []float64{1, inf}, []float64{3, 5}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(moment{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMergeAddsUpEqualBounds(t *testing.T) {
	t.Parallel()
	got := merge([]analysis.Bucket{{Over: 1, Upto: 2, N: 3}}, []analysis.Bucket{{Over: 0, Upto: 1, N: 1}, {Over: 1, Upto: 2, N: 4}})
	want := []analysis.Bucket{{Over: 0, Upto: 1, N: 1}, {Over: 1, Upto: 2, N: 7}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
