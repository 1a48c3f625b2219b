package prometheus

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/common/model"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A field is what a question is about.
type field string

const (
	total   field = "requests"
	failed  field = "failed requests"
	latency field = "latency"
	value   field = "value"
)

// A question is one query and how its answer is read.
type question struct {
	field field
	text  string
	// version of a series; false for one that belongs to neither.
	version func(model.Metric) (rollout.Side, bool)
	// failure says of a series of requests or latencies whether they failed;
	// nil if the query does not tell.
	failure func(model.Metric) (bool, error)
	scale   float64 // seconds in one unit of le

	counters   counters
	histograms histograms
}

// An increment is a part of a point.
type increment struct {
	field   field
	version rollout.Side
	at      model.Time
	by      float64 // requests; or the value
	buckets []analysis.Bucket
	subject string
	waited  bool // for the requests that it belongs to
}

// A series is what a question needs of one series of its answer.
type series struct {
	metric  model.Metric
	version rollout.Side
	failed  bool
	upto    float64
	samples []model.SamplePair
}

// sort checks an answer and keeps what belongs to a version. It changes nothing, so
// that an answer which is refused has left no trace.
func (q *question) sort(answer model.Value) ([]series, error) {
	if q.field == value {
		return q.values(answer)
	}
	matrix, ok := answer.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("the answer is a %s, want the samples of counters: ask for a metric, not for an expression", kindOf(answer))
	}
	var kept []series
	for _, stream := range matrix {
		s, ok, err := q.one(stream)
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, s)
		}
	}
	if q.field == latency {
		return kept, complete(kept)
	}
	return kept, nil
}

func (q *question) one(stream *model.SampleStream) (s series, ours bool, err error) {
	s = series{metric: stream.Metric, samples: stream.Values}
	if s.version, ours = q.version(s.metric); !ours {
		return s, false, nil
	}
	if len(stream.Histograms) > 0 {
		return s, false, fmt.Errorf("%s is a native histogram: ask for the classic one, whose series end in _bucket", s.metric)
	}
	if err := count(s.metric, s.samples); err != nil {
		return s, false, err
	}
	if !slices.IsSortedFunc(s.samples, func(a, b model.SamplePair) int { return int(a.Timestamp - b.Timestamp) }) {
		return s, false, fmt.Errorf("%s: the samples are not in order of time", s.metric)
	}
	if q.failure != nil {
		if s.failed, err = q.failure(s.metric); err != nil {
			return s, false, err
		}
	}
	if q.field != latency {
		return s, true, nil
	}
	s.upto, err = bound(s.metric)
	return s, !s.failed, err
}

// complete refuses histograms without their last bucket: all that is slower than
// the one before would be missing.
func complete(all []series) error {
	last := map[string]bool{}
	for _, s := range all {
		name := whose(s.metric)
		last[name] = last[name] || math.IsInf(s.upto, 1)
	}
	for name, ok := range last {
		if !ok {
			return fmt.Errorf("%s has no bucket with le=\"+Inf\"", name)
		}
	}
	return nil
}

// whose is the histogram that a bucket belongs to.
func whose(m model.Metric) string {
	m = m.Clone()
	delete(m, model.BucketLabel)
	return m.String()
}

func (q *question) values(answer model.Value) ([]series, error) {
	switch answer := answer.(type) {
	case *model.Scalar:
		v, ok := q.version(nil)
		if !ok {
			return nil, errors.New("the answer is a single number, which belongs to no version")
		}
		return []series{{version: v, samples: []model.SamplePair{{Timestamp: answer.Timestamp, Value: answer.Value}}}}, nil
	case model.Vector:
		var kept []series
		for _, s := range answer {
			if s.Histogram != nil {
				return nil, fmt.Errorf("%s is a histogram, want a number", s.Metric)
			}
			if v, ok := q.version(s.Metric); ok {
				kept = append(kept, series{metric: s.Metric, version: v, samples: []model.SamplePair{{Timestamp: s.Timestamp, Value: s.Value}}})
			}
		}
		return kept, nil
	}
	return nil, fmt.Errorf("the answer is a %s, want numbers at one time", kindOf(answer))
}

func kindOf(answer model.Value) string {
	if answer == nil {
		return "nothing"
	}
	return answer.Type().String()
}

// begin takes what a sorted answer holds up to the baseline for history. What is
// younger is left to the next reading.
func (q *question) begin(all []series, since model.Time) {
	var history []series
	for _, s := range all {
		n := 0
		for n < len(s.samples) && s.samples[n].Timestamp <= since {
			n++
		}
		if s.samples = s.samples[:n]; n > 0 {
			history = append(history, s)
		}
	}
	if q.field != value {
		q.read(history, 0)
	}
}

// read returns what is new in a sorted answer.
func (q *question) read(all []series, since model.Time) []increment {
	q.counters.since, q.histograms.since = since, since
	switch q.field {
	case value:
		return q.readValues(all)
	case latency:
		return q.readLatency(all)
	case total, failed:
	}
	var added []increment
	for _, s := range all {
		for _, g := range q.counters.grow(s.metric.String(), s.samples) {
			added = append(added, increment{field: q.field, version: s.version, at: g.at, by: g.by})
			if s.failed {
				added = append(added, increment{field: failed, version: s.version, at: g.at, by: g.by})
			}
		}
	}
	return added
}

func (q *question) readLatency(all []series) []increment {
	type histogram struct {
		version rollout.Side
		bounds  map[float64][]model.SamplePair
	}
	byName := map[string]histogram{}
	for _, s := range all {
		name := whose(s.metric)
		if byName[name].bounds == nil {
			byName[name] = histogram{s.version, map[float64][]model.SamplePair{}}
		}
		byName[name].bounds[s.upto] = s.samples
	}
	var added []increment
	for name, h := range byName {
		for _, g := range q.histograms.grow(name, moments(h.bounds, q.histograms.last[name].at), q.scale) {
			added = append(added, increment{field: latency, version: h.version, at: g.at, buckets: g.buckets})
		}
	}
	return added
}

func (q *question) readValues(all []series) []increment {
	several := map[rollout.Side]int{}
	for _, s := range all {
		several[s.version]++
	}
	var added []increment
	for _, s := range all {
		i := increment{field: value, version: s.version, at: s.samples[0].Timestamp, by: float64(s.samples[0].Value)}
		if i.subject = subject(s.metric); several[s.version] < 2 && s.metric["pod"] == "" {
			i.subject = ""
		}
		added = append(added, i)
	}
	return added
}

// subject names what a value is of: the pod if the series has one.
func subject(m model.Metric) string {
	for _, label := range []model.LabelName{"pod", model.InstanceLabel} {
		if name := m[label]; name != "" {
			return string(name)
		}
	}
	return m.String()
}
