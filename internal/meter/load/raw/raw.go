// Package raw merges the samples of several generators of load.
//
// The percentiles of a load that several k6 made together are those of all its samples.
// They cannot be had from the percentiles of each: the mean of two 95th percentiles is
// the 95th percentile of nothing. So the samples are read, as k6 writes them with
// "--out json", one after another, into distributions of a bounded size.
package raw

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/meter/load/summary"
)

// Limits of what one set keeps.
const (
	maxLine    = 1 << 20 // bytes
	maxMetrics = 2000
	maxHosts   = 1000
	largest    = 1e15 // a value: thirty thousand years in milliseconds
)

// A Set has the samples of all generators. The zero value is not ready: see [New].
type Set struct {
	scenario string
	kinds    map[string]summary.Kind
	trends   map[string]*distribution
	rates    map[string]*share
	counters map[string]float64
	hosts    map[string]bool
	first    time.Time
	last     time.Time
	readers  int
}

type share struct{ yes, total int64 }

// New returns a set of the samples of one scenario, without those of other scenarios, of
// setup and of teardown; of all samples if scenario is "".
func New(scenario string) *Set {
	return &Set{scenario: scenario, kinds: map[string]summary.Kind{}, trends: map[string]*distribution{}, rates: map[string]*share{}, counters: map[string]float64{}, hosts: map[string]bool{}}
}

// An entry is one line of k6.
type entry struct {
	Type   string `json:"type"`
	Metric string `json:"metric"`
	Data   struct {
		Type  summary.Kind      `json:"type"`
		Time  time.Time         `json:"time"`
		Value *float64          `json:"value"`
		Tags  map[string]string `json:"tags"`
	} `json:"data"`
}

// Read adds the samples of one generator, which may be compressed by gzip. An error
// says that they are not whole; then the set is of no use.
func (s *Set) Read(r io.Reader) error {
	buffered := bufio.NewReader(r)
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("read samples of k6: %w", err)
		}
		buffered = bufio.NewReader(unpacked)
	}
	lines := bufio.NewScanner(buffered)
	lines.Buffer(nil, maxLine)
	n, before := 0, s.samples()
	for lines.Scan() {
		n++
		if err := s.line(lines.Bytes()); err != nil {
			return fmt.Errorf("read samples of k6, line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read samples of k6, after line %d: %w", n, err)
	}
	if s.samples() == before {
		return fmt.Errorf("read samples of k6: none of its %d lines is a request of the scenario", n)
	}
	s.readers++
	return nil
}

// samples is how many requests there are.
func (s *Set) samples() int64 {
	if d := s.trends["http_req_duration"]; d != nil {
		return d.count
	}
	return 0
}

func (s *Set) line(raw []byte) error {
	var e entry
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("it is not JSON of k6: %w", err)
	}
	switch e.Type {
	case "Metric":
		return s.metric(e.Metric, e.Data.Type)
	case "Point":
		return s.point(e)
	}
	return fmt.Errorf("the type %q is none of k6's", e.Type)
}

// metric notes how a metric gathers its samples.
func (s *Set) metric(name string, kind summary.Kind) error {
	known := []summary.Kind{summary.Trend, summary.Rate, summary.Counter, summary.Gauge}
	switch before, ok := s.kinds[name]; {
	case name == "" || !slices.Contains(known, kind):
		return fmt.Errorf("the metric %q has the type %q", name, kind)
	case ok && before != kind:
		return fmt.Errorf("the metric %s is a %s, and was a %s", name, kind, before)
	case !ok && len(s.kinds) == maxMetrics:
		return fmt.Errorf("there are more than %d metrics", maxMetrics)
	}
	s.kinds[name] = kind
	return nil
}

func (s *Set) point(e entry) error {
	kind, ok := s.kinds[e.Metric]
	if !ok {
		return fmt.Errorf("a sample of %q, of which nothing was said before", e.Metric)
	}
	if e.Data.Value == nil || e.Data.Time.IsZero() {
		return fmt.Errorf("a sample of %s without a value or a time", e.Metric)
	}
	v := *e.Data.Value
	if math.IsNaN(v) || v < 0 || v > largest {
		return fmt.Errorf("a sample of %s is %v", e.Metric, v)
	}
	s.host(e.Data.Tags["url"])
	if s.scenario != "" && e.Data.Tags["scenario"] != s.scenario {
		return nil
	}
	if s.first.IsZero() || e.Data.Time.Before(s.first) {
		s.first = e.Data.Time
	}
	if e.Data.Time.After(s.last) {
		s.last = e.Data.Time
	}
	switch kind {
	case summary.Trend:
		if s.trends[e.Metric] == nil {
			s.trends[e.Metric] = newDistribution()
		}
		s.trends[e.Metric].add(v)
	case summary.Rate:
		if s.rates[e.Metric] == nil {
			s.rates[e.Metric] = &share{}
		}
		s.rates[e.Metric].total++
		if v != 0 {
			s.rates[e.Metric].yes++
		}
	case summary.Counter:
		s.counters[e.Metric] += v
	case summary.Gauge: // users at a moment: of several generators there is no one value
	}
	return nil
}

// host notes whom a request was for.
func (s *Set) host(raw string) {
	if u, err := url.Parse(raw); raw != "" && err == nil && u.Host != "" && len(s.hosts) < maxHosts {
		s.hosts[strings.ToLower(u.Host)] = true
	}
}

// Hosts are those that requests were for, whether they were reached or not, with ports
// where URLs have them.
func (s *Set) Hosts() []string { return slices.Sorted(maps.Keys(s.hosts)) }

// Generators is how many were read.
func (s *Set) Generators() int { return s.readers }

// Summary makes one summary of all samples. A metric of a scenario has the scenario in
// its name, as in a summary of k6: "http_reqs{scenario:load}".
func (s *Set) Summary() (summary.Summary, error) {
	if s.readers == 0 {
		return summary.Summary{}, errors.New("no samples of any generator were read")
	}
	seconds := s.last.Sub(s.first).Seconds()
	all := summary.Summary{Format: summary.Export, Seconds: seconds, Metrics: map[string]summary.Metric{}}
	put := func(name string, kind summary.Kind, stats map[string]float64) {
		if s.scenario != "" {
			name += "{scenario:" + s.scenario + "}"
		}
		all.Metrics[name] = summary.Metric{Kind: kind, Stats: stats}
	}
	for name, d := range s.trends {
		p := d.percentiles(0.5, 0.9, 0.95, 0.99)
		put(name, summary.Trend, map[string]float64{"avg": d.sum / float64(d.count), "min": d.min, "med": p[0], "max": d.max, "p90": p[1], "p95": p[2], "p99": p[3], "count": float64(d.count)})
	}
	for name, r := range s.rates {
		put(name, summary.Rate, map[string]float64{"rate": float64(r.yes) / float64(r.total), "total": float64(r.total)})
	}
	for name, n := range s.counters {
		stats := map[string]float64{"count": n, "rate": 0}
		if seconds > 0 {
			stats["rate"] = n / seconds
		}
		put(name, summary.Counter, stats)
	}
	return all, nil
}
