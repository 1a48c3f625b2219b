// Package summary reads what k6 says at its end, in each of its three formats: the
// export of --summary-export, the data of handleSummary, and the machine-readable
// summary 1.0.0. Which of them it is, is seen in the content.
//
// The first has thresholds the other way round, true for crossed, and the third has
// neither thresholds nor the 99th percentile.
package summary

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/jsonkeys"
)

// A Format is one way in which k6 writes its summary.
type Format string

// Formats.
const (
	Export  Format = "export"           // of --summary-export
	Handle  Format = "handleSummary"    // the argument of handleSummary, as JSON
	Machine Format = "machine-readable" // of --new-machine-readable-summary
)

// A Kind is how a metric gathers its samples.
type Kind string

// Kinds.
const (
	Trend   Kind = "trend"
	Rate    Kind = "rate"
	Counter Kind = "counter"
	Gauge   Kind = "gauge"
)

// A Metric is one metric, or a part of one: "http_reqs{scenario:load}".
type Metric struct {
	Kind Kind
	// Stats of a trend: avg, min, med, max, p90, p95, p99, count; of a rate: rate, and
	// total, the number of its samples; of a counter: count, and rate per second; of a
	// gauge: value, min, max. What the summary lacks is not there.
	Stats map[string]float64
}

// Empty reports whether a trend or a rate is known to have no samples. A counter
// without samples is a true zero.
func (m Metric) Empty() bool {
	n, known := m.Stats[map[Kind]string{Trend: "count", Rate: "total"}[m.Kind]]
	return known && n == 0
}

// A Threshold is a condition of the script.
type Threshold struct {
	Metric string
	Text   string // "p(95)<2000"
	Holds  bool
}

// A Summary is what k6 says at its end.
type Summary struct {
	Format     Format
	Version    string  // of k6, if the summary has it
	Seconds    float64 // that the test took, with setup; 0 if the summary does not say
	Metrics    map[string]Metric
	Thresholds []Threshold // by metric and text; a machine-readable summary has none
}

// maxSize bounds a summary, in bytes. One of k6 has some kilobytes, and some hundred
// more for each metric of the script.
const maxSize = 32 << 20

// Parse reads a summary. An error says that it is not a whole one.
func Parse(raw []byte) (Summary, error) {
	if len(raw) > maxSize {
		return Summary{}, fmt.Errorf("read k6's summary: it has more than %d MiB", maxSize>>20)
	}
	s, err := parse(raw)
	if err != nil {
		return Summary{}, fmt.Errorf("read k6's summary: %w", err)
	}
	slices.SortFunc(s.Thresholds, func(a, b Threshold) int {
		return strings.Compare(a.Metric+"\x00"+a.Text, b.Metric+"\x00"+b.Text)
	})
	for name, m := range s.Metrics {
		if err := m.check(); err != nil {
			return Summary{}, fmt.Errorf("read k6's summary: %s: %w", name, err)
		}
	}
	return s, nil
}

func parse(raw []byte) (Summary, error) {
	if err := jsonkeys.Unique(raw); err != nil {
		return Summary{}, err
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw, &top); err != nil {
		return Summary{}, errors.New("it is not a JSON object")
	}
	has := func(name string) bool { _, ok := top[name]; return ok }
	switch {
	case has("results") && has("config") && has("metadata"):
		return parseMachine(raw)
	case has("metrics") && has("state") && has("options"):
		return parseHandle(raw)
	case has("metrics") && has("root_group"):
		return parseExport(raw)
	}
	return Summary{}, errors.New("it has the form of none of k6's three formats")
}

// check says whether the numbers of a metric can belong to each other.
func (m Metric) check() error {
	for name, v := range m.Stats {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s is not a number", name)
		}
		if (name == "count" || name == "total") && (v < 0 || m.Kind != Counter && v != math.Trunc(v)) {
			return fmt.Errorf("%s is %v", name, v)
		}
	}
	switch m.Kind {
	case Trend:
		last, lastName := math.Inf(-1), ""
		for _, name := range []string{"min", "med", "p90", "p95", "p99", "max"} {
			v, ok := m.Stats[name]
			if ok && v < last-1e-6*math.Abs(last) {
				return fmt.Errorf("%s is %v and %s is %v", name, v, lastName, last)
			}
			if ok {
				last, lastName = v, name
			}
		}
	case Rate:
		if r := m.Stats["rate"]; r < 0 || r > 1 {
			return fmt.Errorf("the rate is %v", r)
		}
	case Counter, Gauge:
	}
	return nil
}
