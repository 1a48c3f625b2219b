// Package printed takes apart what a k6 in a container prints: samples, its log and its
// summary, all in one stream, since a pod that ended has nothing but its log.
//
// k6 prints samples with "--out json=-", its log as JSON, and the summary with
// "--summary-export=/dev/stdout". The log of a pod can be cut: a kubelet rotates it. So
// the samples are held against the totals of the summary.
package printed

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/meter/load/summary"
)

// Env are the settings with which k6 prints so. Tags of its own are left out: each
// would be in every sample.
var Env = map[string]string{
	"K6_OUT": "json=-", "K6_LOG_FORMAT": "json", "K6_SUMMARY_EXPORT": "/dev/stdout", "K6_SYSTEM_TAGS": "scenario",
}

const (
	maxLine    = 1 << 20
	maxSummary = 4 << 20
	maxMetrics = 2000
)

// Output is what was in a stream.
type Output struct {
	Bytes   int64
	First   time.Time // of the requests; zero without one
	Summary []byte    // nil if the stream ended before it
	kinds   map[string]summary.Kind
	points  map[string]points
	trouble error // a line that no k6 writes
}

type points struct {
	count int64
	sum   float64 // of counters
}

// Read reads a stream to its end and writes the lines of samples and of the log to their
// writers. An error is one of reading, of writing, or of a stream longer than limit:
// what is wrong with the text itself is found by [Output.Whole].
func Read(stream io.Reader, limit int64, samples, log io.Writer) (Output, error) {
	limited := &io.LimitedReader{R: stream, N: limit}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLine)
	o := Output{kinds: map[string]summary.Kind{}, points: map[string]points{}}
	var exported []byte
	for lines.Scan() {
		line := lines.Bytes()
		o.Bytes += int64(len(line)) + 1
		var err error
		switch {
		case bytes.HasPrefix(line, []byte(`{"metric":`)), bytes.HasPrefix(line, []byte(`{"type":"Metric"`)):
			o.count(line)
			err = writeLine(samples, line)
		case bytes.HasPrefix(line, []byte(`{"`)):
			err = writeLine(log, line)
		case string(line) == "{":
			exported = []byte("{\n")
		case exported != nil && len(exported) < maxSummary:
			exported = append(append(exported, line...), '\n')
			if string(line) == "}" {
				o.Summary, exported = exported, nil
			}
		}
		if err != nil {
			return o, err
		}
	}
	if err := lines.Err(); err != nil {
		return o, fmt.Errorf("read what k6 prints: %w", err)
	}
	if limited.N == 0 {
		return o, fmt.Errorf("read what k6 prints: it is more than %d bytes", limit)
	}
	return o, nil
}

func writeLine(w io.Writer, line []byte) error {
	if _, err := w.Write(line); err != nil {
		return err
	}
	_, err := w.Write([]byte{'\n'})
	return err
}

// count counts a sample. Only of counters the value is read.
func (o *Output) count(line []byte) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"metric":"`))
	if !ok {
		o.note(line)
		return
	}
	raw, _, ok := bytes.Cut(rest, []byte(`","type":"Point",`))
	if !ok || len(o.points) > maxMetrics {
		o.trouble = errors.New("a line with a sample is not as k6 writes it")
		return
	}
	name := string(raw)
	p := o.points[name]
	p.count++
	if o.kinds[name] == summary.Counter {
		e, err := entryOf(line)
		if err != nil {
			o.trouble = err
			return
		}
		p.sum += e.Data.Value
		if name == "http_reqs" && (o.First.IsZero() || e.Data.Time.Before(o.First)) {
			o.First = e.Data.Time
		}
	}
	o.points[name] = p
}

// note notes of which kind a metric is.
func (o *Output) note(line []byte) {
	e, err := entryOf(line)
	if err != nil {
		o.trouble = err
		return
	}
	if len(o.kinds) < maxMetrics {
		o.kinds[e.Data.Name] = e.Data.Type
	}
}

// An entry is a line of k6: a metric or a sample of one.
type entry struct {
	Data struct {
		Name  string
		Type  summary.Kind
		Time  time.Time
		Value float64
	}
}

func entryOf(line []byte) (entry, error) {
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("a line with a sample is not as k6 writes it: %w", err)
	}
	return e, nil
}

// Samples is how many samples of a metric there were.
func (o Output) Samples(metric string) int64 { return o.points[metric].count }

// Whole returns an error unless the samples are all that k6 itself counted. It returns
// the summary otherwise.
func (o Output) Whole() (summary.Summary, error) {
	if o.trouble != nil {
		return summary.Summary{}, o.trouble
	}
	if o.Summary == nil {
		return summary.Summary{}, errors.New("its output ends before the summary")
	}
	s, err := summary.Parse(o.Summary)
	if err != nil {
		return summary.Summary{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Metrics)) {
		if strings.Contains(name, "{") {
			continue // a part of another one
		}
		if want, got, what := o.compare(name, s.Metrics[name]); want != got {
			return summary.Summary{}, fmt.Errorf("its log has %.0f of %.0f %s of %s: a part of it is lost", got, want, what, name)
		}
	}
	return s, nil
}

// compare returns what k6 counted of a metric and what was read of it.
func (o Output) compare(name string, m summary.Metric) (want, got float64, what string) {
	p := o.points[name]
	switch m.Kind {
	case summary.Counter:
		return round(m.Stats["count"]), round(p.sum), "units"
	case summary.Rate:
		return m.Stats["total"], float64(p.count), "samples"
	case summary.Trend:
		return m.Stats["count"], float64(p.count), "samples"
	case summary.Gauge: // k6 keeps its last value, and counts nothing
	}
	return 0, 0, ""
}

// round is for counters of a script that count parts: k6 adds them in another order.
func round(v float64) float64 { return float64(int64(v + 0.5)) }
