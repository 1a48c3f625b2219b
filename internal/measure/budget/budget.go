// Package budget holds measurements against absolute limits: those that the gate has
// by default, and those of a budget.json or a lighthouserc file. It is pure.
package budget

import "github.com/candlefish/deploy-action/internal/measure"

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

// An Operator compares a value with a limit: value Operator limit must hold.
type Operator string

// Operators.
const (
	Less    Operator = "<"
	AtMost  Operator = "<="
	More    Operator = ">"
	AtLeast Operator = ">="
)

// A Severity says what follows from a limit that does not hold.
type Severity string

// Severities. A failed Warn changes no verdict, nor does a value for it that is
// missing.
const (
	Error Severity = "error"
	Warn  Severity = "warn"
)

// A Budget is one limit.
type Budget struct {
	Meter string
	// Subject is a pattern for subjects, in which * stands for any text; "" for all of
	// the meter.
	Subject     string
	Metric      string // Metric.Name
	Operator    Operator
	Limit       float64 // in the metric's unit
	Aggregation Aggregation
	Severity    Severity
	From        string // where it is written: "default", "budget.json:12"
}

// A Checked budget is one that was held against a series.
type Checked struct {
	Budget
	Key    measure.Key // of the series; for a missing one as much as is known
	Metric measure.Metric
	Value  float64 // aggregated; meaningless if Missing is set
	Rounds int     // with a value
	Met    bool
	// Missing says why there is no value: "Lighthouse 13.5.0 has no audit speed-index".
	// A budget of severity Error without a value makes the gate inconclusive.
	Missing string
}
