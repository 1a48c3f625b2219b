// Package budget holds measurements against absolute limits: those that the gate has
// by default, and those that people write to files. It is pure.
package budget

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
)

// An Aggregation makes one value of the rounds. The words are those of lighthouse-ci.
type Aggregation string

// Aggregations. Optimistic is the best round and Pessimistic the worst, by the
// direction of the limit. MedianRun is the value of the representative round.
const (
	Median      Aggregation = "median"
	Optimistic  Aggregation = "optimistic"
	Pessimistic Aggregation = "pessimistic"
	MedianRun   Aggregation = "median-run"
)

// Aggregations returns all of them.
func Aggregations() []Aggregation {
	return []Aggregation{Median, Optimistic, Pessimistic, MedianRun}
}

// An Operator compares a value with a limit: value Operator limit must hold.
type Operator string

// Operators.
const (
	Less    Operator = "<"
	AtMost  Operator = "<="
	More    Operator = ">"
	AtLeast Operator = ">="
)

// Holds reports whether value o limit. Nothing holds for a NaN.
func (o Operator) Holds(value, limit float64) bool {
	switch o {
	case Less:
		return value < limit
	case AtMost:
		return value <= limit
	case More:
		return value > limit
	case AtLeast:
		return value >= limit
	}
	return false
}

// above reports whether values above the limit hold, so that the largest is the best.
func (o Operator) above() bool { return o == More || o == AtLeast }

// A Severity says what follows from a limit that does not hold.
type Severity string

// Severities. A failed Warn changes no verdict, nor does a value for it that is
// missing. Off is no limit, and takes the place of a default one.
const (
	Error Severity = "error"
	Warn  Severity = "warn"
	Off   Severity = "off"
)

// Suffixes of metrics of Lighthouse that belong to an audit: Score is its score, 0 to
// 1, Length the number of items in its details, Waste the bytes that it would save.
const (
	Score  = ".score"
	Length = ".length"
	Waste  = ".bytes"
)

// A Budget is one limit.
type Budget struct {
	Meter string
	// Subject is a pattern for subjects, in which * stands for any text; "" for all of
	// the meter.
	Subject string
	// URL is a regular expression that the page's URL must match somewhere; "" for any.
	URL         string
	Metric      string // Metric.Name
	Operator    Operator
	Limit       float64      // in the metric's unit
	Unit        measure.Unit // of Limit; "" if it is the metric's, whichever that is
	Aggregation Aggregation
	Severity    Severity
	From        string // where it is written: "default", "budget.json:12"
	// Implied says that nobody wrote this very limit: it is one of a default table or
	// of a preset. What the version of a tool cannot have of it does not apply.
	Implied bool
}

// String is the limit as people write it: "largest-contentful-paint < 2500 ms".
func (b Budget) String() string { return b.Metric + " " + b.Text() }

// Text is the limit without its metric, as files write it: "< 2500 ms".
func (b Budget) Text() string {
	return string(b.Operator) + " " + b.with(b.Limit)
}

// with is a value in the unit of the limit, with all of its digits: "2500 ms", "1 %".
func (b Budget) with(value float64) string {
	text := strconv.FormatFloat(value, 'f', -1, 64)
	switch b.Unit {
	case "", measure.Score, measure.Count, measure.Shift:
		return text
	case measure.Share:
		return strconv.FormatFloat(value*100, 'g', 12, 64) + " %" // 0.07 * 100 is a little more than 7
	default:
		return text + " " + string(b.Unit)
	}
}

// A State is what became of a budget.
type State string

// States.
const (
	Met            State = "met"
	Failed         State = "failed"
	NoValue        State = "no value"
	DoesNotConcern State = "not applicable"
)

// A Checked budget is one that was held against a series.
type Checked struct {
	Budget
	Key    measure.Key    // of the series; for a missing one as much as is known
	Metric measure.Metric `record:"definition"` // a record has "metric" for Budget.Metric
	Value  float64        // aggregated; meaningless if Missing or NotApplicable is set
	Rounds int            // with a value
	Met    bool
	// Missing says why there is no value: "Lighthouse 13.5.0 has no audit speed-index".
	// A budget of severity Error without a value makes the gate inconclusive.
	Missing string
	// NotApplicable says why the limit is not for this run. It changes no verdict.
	NotApplicable string
	// Note says what of the limit is not as it is written: "viewport-insight stands in
	// for viewport, which Lighthouse 13 does not have".
	Note string
}

// State says what became of the budget.
func (c Checked) State() State {
	switch {
	case c.NotApplicable != "":
		return DoesNotConcern
	case c.Missing != "":
		return NoValue
	case c.Met:
		return Met
	}
	return Failed
}

// convert returns a limit in the unit of a metric. Both "" and an equal unit leave it
// as it is.
func convert(limit float64, from, to measure.Unit) (float64, error) {
	switch {
	case from == "" || from == to,
		from == measure.Share && to == measure.Score,
		from == measure.Bytes && strings.HasPrefix(string(to), "B/"):
		return limit, nil
	case from == measure.Milliseconds && strings.HasPrefix(string(to), "sec"):
		return limit / 1000, nil
	}
	return 0, fmt.Errorf("the limit is in %s, and the metric in %s", from, to)
}
