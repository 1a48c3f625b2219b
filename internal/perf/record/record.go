// Package record is performance-report/analysis.json: a [verdict.Result] that later jobs,
// `mage perf:compare` and dashboards read.
//
// It has the fields that the pipeline's file had before, with the same names and units:
// timestamp, environment, results by scenario (p95 and p99 in ms, error_rate in percent,
// rps), thresholds and summary. What was not measured is null there, never 0. The other
// fields are those of a Result, see jsonrecord. A new field is a new name, and existing
// names keep their meaning as long as [Schema] stays.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/candlefish/deploy-action/internal/jsonkeys"
	"github.com/candlefish/deploy-action/internal/jsonrecord"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/words"
)

// Schema is the version of the format.
const Schema = 1

// Name is the name of the file.
const Name = "analysis.json"

// MaxSize bounds what is read, in bytes.
const MaxSize = 64 << 20

// A Scenario is what was measured of a load scenario: medians over its rounds.
type Scenario struct {
	P95       *float64 `json:"p95"`        // ms
	P99       *float64 `json:"p99"`        // ms
	ErrorRate *float64 `json:"error_rate"` // percent
	RPS       *float64 `json:"rps"`
}

// Thresholds are the limits of the first scenario that has them.
type Thresholds struct {
	P95       *float64 `json:"p95_threshold"`        // ms
	P99       *float64 `json:"p99_threshold"`        // ms
	ErrorRate *float64 `json:"error_rate_threshold"` // percent
}

// A Summary counts scenarios.
type Summary struct {
	Total   int `json:"total_scenarios"`
	Failing int `json:"failing_scenarios"`
}

// Names of the load meter's metrics.
const (
	p95    = "http_req_duration.p95"
	p99    = "http_req_duration.p99"
	failed = "http_req_failed"
	rate   = "http_reqs"
)

// Marshal renders a result.
func Marshal(r verdict.Result) ([]byte, error) {
	failing, total := words.Failing(r)
	raw, err := jsonrecord.Marshal([]jsonrecord.Entry{
		{Name: "schema_version", Value: Schema},
		{Name: "timestamp", Value: r.At.UTC().Format(time.RFC3339)},
		{Name: "environment", Value: r.Target},
		{Name: "status", Value: words.Status(r)},
		{Name: "environment_key", Value: r.Environment.Key()},
		{Name: "results", Value: Scenarios(r)},
		{Name: "thresholds", Value: thresholds(r)},
		{Name: "summary", Value: Summary{Total: total, Failing: failing}},
	}, r)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", Name, err)
	}
	return raw, nil
}

// Scenarios has what was measured of each load scenario. One that should have been
// measured, and was not, has nulls.
func Scenarios(r verdict.Result) map[string]Scenario {
	all := map[string]Scenario{}
	for _, c := range r.Budgets {
		if c.Meter == words.Load && c.Key.Subject != "" {
			all[c.Key.Subject] = Scenario{}
		}
	}
	for _, s := range r.Series {
		if s.Key.Meter != words.Load {
			continue
		}
		one := all[s.Key.Subject]
		if len(s.Head) > 0 {
			v := measure.Median(measure.Values(s.Head))
			switch s.Key.Metric {
			case p95:
				one.P95 = &v
			case p99:
				one.P99 = &v
			case failed:
				one.ErrorRate = percent(v)
			case rate:
				one.RPS = &v
			}
		}
		all[s.Key.Subject] = one
	}
	return all
}

// percent has no more digits than a share has.
func percent(share float64) *float64 { return new(math.Round(share*1e11) / 1e9) }

func thresholds(r verdict.Result) Thresholds {
	var t Thresholds
	for _, c := range r.Budgets {
		if c.Meter != words.Load {
			continue
		}
		switch limit := c.Limit; {
		case c.Budget.Metric == p95 && t.P95 == nil:
			t.P95 = &limit
		case c.Budget.Metric == p99 && t.P99 == nil:
			t.P99 = &limit
		case c.Budget.Metric == failed && t.ErrorRate == nil:
			t.ErrorRate = percent(limit)
		}
	}
	return t
}

// Parse reads what Marshal rendered, also in a later version of the same schema, which
// may have more fields.
func Parse(raw []byte) (verdict.Result, error) {
	var r verdict.Result
	refuse := func(err error) (verdict.Result, error) {
		return verdict.Result{}, fmt.Errorf("read %s: %w", Name, err)
	}
	if len(raw) > MaxSize {
		return refuse(fmt.Errorf("%d bytes, at most %d", len(raw), MaxSize))
	}
	if err := jsonkeys.Unique(raw); err != nil {
		return refuse(err)
	}
	var head struct {
		Schema      int    `json:"schema_version"`
		Environment string `json:"environment"`
		Status      string `json:"status"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return refuse(err)
	}
	if head.Schema != Schema {
		return refuse(fmt.Errorf("schema_version is %d, want %d", head.Schema, Schema))
	}
	if err := jsonrecord.Unmarshal(raw, &r); err != nil {
		return refuse(err)
	}
	if err := sound(r); err != nil {
		return refuse(err)
	}
	if head.Environment != r.Target || head.Status != words.Status(r) {
		return refuse(fmt.Errorf("environment and status are %q and %q, but the run says %q and %q", head.Environment, head.Status, r.Target, words.Status(r)))
	}
	return r, nil
}

// sound refuses what no run can say.
func sound(r verdict.Result) error {
	switch r.Verdict {
	case verdict.Pass, verdict.Refused, verdict.Inconclusive:
	default:
		return fmt.Errorf("%q is no verdict", r.Verdict)
	}
	if r.At.IsZero() {
		return errors.New("the run has no time")
	}
	seen := map[measure.Key]bool{}
	for _, s := range r.Series {
		if s.Key.Metric == "" || s.Key.Metric != s.Metric.Name {
			return fmt.Errorf("a series of %q has the metric %q", s.Key, s.Metric.Name)
		}
		if seen[s.Key] {
			return fmt.Errorf("%q is there twice", s.Key)
		}
		seen[s.Key] = true
		switch s.Metric.Better {
		case measure.Lower, measure.Higher:
		default:
			return fmt.Errorf("%q: better is %q, want lower or higher", s.Key, s.Metric.Better)
		}
		for _, points := range [][]measure.Point{s.Head, s.Base} {
			if err := ordered(points); err != nil {
				return fmt.Errorf("%q: %w", s.Key, err)
			}
		}
	}
	return nil
}

// ordered refuses rounds that are not in their order, and values that are infinite.
func ordered(points []measure.Point) error {
	last := -1
	for _, p := range points {
		if p.Round <= last {
			return fmt.Errorf("round %d after round %d", p.Round, last)
		}
		if p.Value-p.Value != 0 {
			return fmt.Errorf("round %d has no finite value", p.Round)
		}
		last = p.Round
	}
	return nil
}
