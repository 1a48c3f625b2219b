package summary

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// stats are the names of a trend's numbers in k6's own words.
var stats = map[string]string{"avg": "avg", "min": "min", "med": "med", "max": "max", "count": "count", "p(90)": "p90", "p(95)": "p95", "p(99)": "p99"}

// parseExport reads the format of --summary-export. Metrics have no type: it follows
// from the numbers that they have.
func parseExport(raw []byte) (Summary, error) {
	var r struct {
		Metrics map[string]map[string]json.RawMessage `json:"metrics"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return Summary{}, fmt.Errorf("as the export of k6: %w", err)
	}
	s := Summary{Format: Export, Metrics: map[string]Metric{}}
	for name, fields := range r.Metrics {
		values, crossed := map[string]float64{}, map[string]bool{}
		for key, v := range fields {
			if key == "thresholds" {
				if err := json.Unmarshal(v, &crossed); err != nil {
					return s, fmt.Errorf("the thresholds of %s: %w", name, err)
				}
				continue
			}
			n, err := number(v)
			if err != nil {
				return s, fmt.Errorf("%s of %s: %w", key, name, err)
			}
			values[key] = n
		}
		for text, isCrossed := range crossed {
			s.Thresholds = append(s.Thresholds, Threshold{Metric: name, Text: text, Holds: !isCrossed})
		}
		if _, ok := values["passes"]; ok {
			values["rate"] = values["value"]
		}
		m, err := metric(kindOf(values), values)
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		s.Metrics[name] = m
	}
	return s, nil
}

// number reads a number. To encoding/json null would be 0.
func number(raw json.RawMessage) (float64, error) {
	var v *float64
	if err := json.Unmarshal(raw, &v); err != nil {
		return 0, err
	}
	if v == nil {
		return 0, errors.New("null instead of a number")
	}
	return *v, nil
}

// kindOf tells the types apart by the numbers that only one of them has.
func kindOf(values map[string]float64) Kind {
	has := func(names ...string) bool {
		for _, name := range names {
			if _, ok := values[name]; !ok {
				return false
			}
		}
		return true
	}
	switch {
	case has("passes", "fails", "value"):
		return Rate
	case has("avg"), has("med"), has("p(95)"):
		return Trend
	case has("count", "rate"):
		return Counter
	case has("value", "min", "max"):
		return Gauge
	}
	return ""
}

// parseHandle reads what handleSummary got.
func parseHandle(raw []byte) (Summary, error) {
	var r struct {
		State struct {
			TestRunDurationMs *float64 `json:"testRunDurationMs"`
		} `json:"state"`
		Metrics map[string]struct {
			Type       Kind                `json:"type"`
			Values     map[string]*float64 `json:"values"`
			Thresholds map[string]struct {
				OK *bool `json:"ok"`
			} `json:"thresholds"`
		} `json:"metrics"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return Summary{}, fmt.Errorf("as the data of handleSummary: %w", err)
	}
	s := Summary{Format: Handle, Metrics: map[string]Metric{}}
	if r.State.TestRunDurationMs == nil {
		return s, errors.New("it does not say how long the test took")
	}
	s.Seconds = *r.State.TestRunDurationMs / 1000
	for name, m := range r.Metrics {
		values, err := all(m.Values)
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		for text, t := range m.Thresholds {
			if t.OK == nil {
				return s, fmt.Errorf("the threshold %s of %s does not say whether it holds", text, name)
			}
			s.Thresholds = append(s.Thresholds, Threshold{Metric: name, Text: text, Holds: *t.OK})
		}
		if s.Metrics[name], err = metric(m.Type, values); err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

// parseMachine reads the machine-readable summary, version 1.0.0. The schema's version
// is not in it; its form is.
func parseMachine(raw []byte) (Summary, error) {
	type reported struct {
		Name   string              `json:"name"`
		Type   Kind                `json:"type"`
		Values map[string]*float64 `json:"values"`
	}
	var r struct {
		Config struct {
			Duration *float64 `json:"duration"`
		} `json:"config"`
		Metadata struct {
			Version string `json:"k6_version"`
		} `json:"metadata"`
		Results struct {
			Metrics []reported `json:"metrics"`
			Checks  struct {
				Metrics []reported `json:"metrics"`
			} `json:"checks"`
		} `json:"results"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return Summary{}, fmt.Errorf("as a machine-readable summary: %w", err)
	}
	s := Summary{Format: Machine, Version: r.Metadata.Version, Metrics: map[string]Metric{}}
	if r.Config.Duration == nil || r.Results.Metrics == nil {
		return s, errors.New("it does not say how long the test took, or what it measured")
	}
	s.Seconds = *r.Config.Duration
	for _, m := range append(r.Results.Metrics, r.Results.Checks.Metrics...) {
		name := m.Name
		if name == "checks_succeeded" {
			name = "checks" // its name in the other formats
		}
		if _, twice := s.Metrics[name]; twice {
			return s, fmt.Errorf("%s is there twice", name)
		}
		values, err := all(m.Values)
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		if m.Type == Counter && s.Seconds > 0 {
			values["rate"] = values["count"] / s.Seconds
		}
		if s.Metrics[name], err = metric(m.Type, values); err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

// all refuses null, which encoding/json takes for 0.
func all(values map[string]*float64) (map[string]float64, error) {
	full := map[string]float64{}
	for name, v := range values {
		if v == nil {
			return nil, fmt.Errorf("%s is null instead of a number", name)
		}
		full[name] = *v
	}
	return full, nil
}

// metric keeps the numbers that we have names for, and says what is missing.
func metric(kind Kind, values map[string]float64) (Metric, error) {
	m := Metric{Kind: kind, Stats: map[string]float64{}}
	take := func(names ...string) error {
		for _, name := range names {
			v, ok := values[name]
			if !ok {
				return fmt.Errorf("the %s has no %s", kind, name)
			}
			m.Stats[name] = v
		}
		return nil
	}
	switch kind {
	case Trend:
		for name, v := range values {
			if known, ok := stats[name]; ok {
				m.Stats[known] = v
			} else if strings.HasPrefix(name, "p") && !strings.Contains(name, "(") {
				m.Stats[name] = v // the machine-readable summary has p95
			}
		}
		if len(m.Stats) == 0 {
			return m, errors.New("the trend has no numbers")
		}
		return m, nil
	case Rate:
		if err := take("rate"); err != nil {
			return m, err
		}
		return m, m.takeTotal(values)
	case Counter:
		return m, take("count", "rate")
	case Gauge:
		return m, take("value")
	}
	return m, fmt.Errorf("it has the type %q, or numbers of none", kind)
}

// takeTotal takes the number of a rate's samples and compares it with the rate.
func (m Metric) takeTotal(values map[string]float64) error {
	yes, hasYes := values["passes"]
	no, hasNo := values["fails"]
	total, hasTotal := values["total"]
	if matches, ok := values["matches"]; ok && hasTotal {
		yes, no, hasYes, hasNo = matches, total-matches, true, true
	}
	if !hasYes || !hasNo || yes < 0 || no < 0 {
		return fmt.Errorf("the rate has %v samples for yes and %v for no", yes, no)
	}
	m.Stats["total"] = yes + no
	if want := yes / max(1, yes+no); math.Abs(want-m.Stats["rate"]) > 1e-6 {
		return fmt.Errorf("the rate is %v, and its samples give %v", m.Stats["rate"], want)
	}
	return nil
}
