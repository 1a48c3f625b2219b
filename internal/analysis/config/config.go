// Package config says how a rollout is judged: metrics with their limits, policies,
// the score. It is what the analysis file holds, without the YAML.
package config

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// Version is the version of the analysis file that this package reads.
const Version = 1

// ProbeMetric is the name of the metric that the probe stream feeds. It is always
// judged, named in the file or not.
const ProbeMetric = "probe"

// A Config says how a rollout is judged. Default is what counts without a file.
// Percentages are numbers from 0 to 100, as in the inputs. The help of each field is
// its description in the JSON Schema of the analysis file.
type Config struct {
	Version       int                `json:"version" jsonschema:"enum=1" help:"Version of this format."`
	Alpha         float64            `json:"alpha,omitempty" jsonschema:"exclusiveMinimum=0,maximum=0.2" help:"Probability of stopping a rollout whose canary keeps every limit, over all steps, metrics and looks. Default: 0.01."`
	MaxExtensions *int               `json:"max-extensions,omitempty" jsonschema:"minimum=0,maximum=20" help:"How often a dwell that ended inconclusive is repeated. Default: 2."`
	Then          rollout.Policy     `json:"then,omitempty" jsonschema:"enum=hold,enum=abort" help:"What follows when no extension is left: hold for a person, or abort. Default: hold."`
	Stale         Duration           `json:"stale,omitempty" help:"Maximum age of a metric's newest data, and how far in the future it may be. Default: 30s; longer for sources that are late by their nature."`
	WarmUp        *Duration          `json:"warm-up,omitempty" help:"How long the canary's answers to a higher weight count for errors and not against its latency, so that cold caches and compilers fail no step. A canary that keeps its limits meanwhile waits for nothing. 0s for none. Default: 45s."`
	Metrics       []Metric           `json:"metrics,omitempty" help:"What is measured. The metric probe, the stream of requests that the tool sends itself, is always judged, named here or not."`
	Groups        map[string]float64 `json:"groups,omitempty" help:"Weight of each group of metrics in the score. Default: 1."`
	Score         *Score             `json:"score,omitempty" help:"Limits for the score of the metrics, from 0 to 100."`
	Checks        []CustomCheck      `json:"checks,omitempty" help:"Your own programs that judge a step."`
}

// A Score turns the metrics that are not critical into one number.
type Score struct {
	Pass     *float64 `json:"pass,omitempty" jsonschema:"minimum=0,maximum=100" help:"Minimum score of a successful step. Default: 95."`
	Marginal *float64 `json:"marginal,omitempty" jsonschema:"minimum=0,maximum=100" help:"A step with a lower score has failed; from it up to pass, a person decides. Default: 75."`
}

// A Metric is what a source measures and what it is judged by.
type Metric struct {
	Name string `json:"name" jsonschema:"pattern=^[A-Za-z0-9._-]{1\\,63}$" help:"Name of the metric in reports, unique among metrics and checks."`

	// Source is where its points come from. It is nil for the probe stream,
	// and in a replay, which has the points already. Its JSON has a key of its
	// own beside the others.
	Source Source `json:"-"`

	Errors  *ErrorLimits   `json:"errors,omitempty" help:"The metric counts requests; their failures keep these limits. An empty object stands for the inputs' limits."`
	Latency *LatencyLimits `json:"latency,omitempty" help:"The metric has latencies, which keep these limits. An empty object stands for the inputs' limits."`
	Answers *AnswerLimits  `json:"answers,omitempty" help:"Answers that are no errors and still not what they should be. The metric probe alone has them."`
	Limit   *GaugeLimit    `json:"limit,omitempty" help:"The metric is a value, which keeps this limit."`

	Critical *bool   `json:"critical,omitempty" help:"Whether failing this metric fails the step at once, rather than lowering the score. Default: true."`
	Group    string  `json:"group,omitempty" help:"Group in the score."`
	Weight   float64 `json:"weight,omitempty" jsonschema:"exclusiveMinimum=0" help:"Weight of the metric in its group. Default: 1."`

	MinSamples   float64        `json:"min-samples,omitempty" jsonschema:"minimum=1" help:"Minimum number of canary requests for a verdict. Default: the input min-samples."`
	OnNoData     rollout.Policy `json:"on-no-data,omitempty" jsonschema:"enum=fail,enum=hold,enum=extend,enum=ignore" help:"What follows when there is no data, or only old data: fail, hold, extend or ignore. Default: the input inconclusive-policy."`
	OnNaN        rollout.Policy `json:"on-nan,omitempty" jsonschema:"enum=fail,enum=hold,enum=extend,enum=ignore" help:"What follows when the values are not numbers. Default: the input inconclusive-policy."`
	OnFewSamples rollout.Policy `json:"on-few-samples,omitempty" jsonschema:"enum=fail,enum=hold,enum=extend,enum=ignore" help:"What follows with fewer requests than min-samples, or when a difference may be chance. Default: the input inconclusive-policy."`
	Baseline     string         `json:"baseline,omitempty" jsonschema:"enum=previous,enum=stable" help:"previous: in a step without stable, a rise in latency that the last releases did not have makes the step inconclusive. stable: it does not. Default: previous."`
}

// ErrorLimits are what a canary's failures have to keep, in percent.
type ErrorLimits struct {
	Rate    *float64 `json:"rate,omitempty" jsonschema:"minimum=0,exclusiveMaximum=100" help:"Maximum error rate of the canary, in percent."`
	Success *float64 `json:"success,omitempty" jsonschema:"minimum=0,maximum=100" help:"Minimum success rate of the canary, in percent. The stricter of rate and success counts."`
	Ratio   float64  `json:"ratio,omitempty" jsonschema:"minimum=1" help:"Maximum canary/stable error ratio, at the same time. Default: 2."`
	Floor   *float64 `json:"floor,omitempty" jsonschema:"minimum=0,exclusiveMaximum=100" help:"Error rate, in percent, below which ratio does not count. Default: 0.2."`
}

// LatencyLimits are what a canary's latencies have to keep.
type LatencyLimits struct {
	Ratio float64   `json:"ratio,omitempty" jsonschema:"minimum=1" help:"Maximum canary/stable latency ratio, at the same time."`
	Floor *Duration `json:"floor,omitempty" help:"Minimum difference in latency that counts. Default: 5ms."`
	P95   *Duration `json:"p95,omitempty" help:"Maximum 95th percentile of the canary's latencies; 0s for no such limit."`
}

// AnswerLimits are the shares of the canary's answers, in percent, that may be wrong
// without being errors. 100 switches a check off.
type AnswerLimits struct {
	Status   *float64 `json:"status,omitempty" jsonschema:"minimum=0,maximum=100" help:"Maximum share of answers with another status than before the release, in percent. Default: 1."`
	Redirect *float64 `json:"redirect,omitempty" jsonschema:"minimum=0,maximum=100" help:"Maximum share of redirects where there was none, in percent. Default: 1."`
	Empty    *float64 `json:"empty,omitempty" jsonschema:"minimum=0,maximum=100" help:"Maximum share of answers without a body where there was one, in percent. Default: 1."`
	Smaller  *float64 `json:"smaller,omitempty" jsonschema:"minimum=0,maximum=100" help:"Maximum share of bodies less than a quarter of the smallest one before the release, in percent. Default: 1."`
	Type     *float64 `json:"content-type,omitempty" jsonschema:"minimum=0,maximum=100" help:"Maximum share of answers with another content type than before the release, in percent. Default: 1."`
	Expect   *float64 `json:"expect,omitempty" jsonschema:"minimum=0,maximum=100" help:"Maximum share of answers that miss an expectation of the input probe-expect, in percent. Default: 1."`
	Faster   float64  `json:"faster,omitempty" jsonschema:"minimum=1" help:"Answers that are this many times faster than stable's, at the same time, are suspicious: the step is inconclusive. Default: 5."`
}

// A GaugeLimit is what a value of the canary has to keep.
type GaugeLimit struct {
	Max   *float64 `json:"max,omitempty" help:"Maximum value. Either max or min."`
	Min   *float64 `json:"min,omitempty" help:"Minimum value."`
	For   Duration `json:"for,omitempty" help:"How long a value must exceed the limit, without a break, to fail the step. Default: 0s, which is at once."`
	Clear *float64 `json:"clear,omitempty" help:"Value that counts as back within the limit. Default: the limit itself."`
}

// A Source is the configuration of where a metric's points come from, as far as the
// judge has to know it. Package source has the rest.
type Source interface {
	// Key is the source's key in the analysis file, such as prometheus.
	Key() string
	// StaleAfter is the age from which its newest point is too old to judge
	// by; 0 for the usual 30 s.
	StaleAfter() time.Duration
	// Validate reports to p what is wrong with it as the source of m.
	Validate(m Metric, p Problems)
}

// A CustomCheck is one of the user's own programs, as far as the judge has to know
// it: it is asked in each step, or where its At has the step's weight.
type CustomCheck struct {
	Name string `json:"name"`
	At   []int  `json:"at,omitempty"`
	// Program is all of its configuration, which package check knows; nil in
	// a replay.
	Program Program `json:"-"`
}

// A Program is the configuration of a custom check.
type Program interface {
	// Validate reports to p what is wrong with it.
	Validate(p Problems)
}

// MarshalJSON writes m with its source, as it stands in the analysis file.
// UnmarshalJSON is left out on purpose: who reads a metric from a file knows the
// sources, and a replay does without.
func (m Metric) MarshalJSON() ([]byte, error) {
	type plain Metric
	raw, err := json.Marshal(plain(m))
	if err != nil || m.Source == nil {
		return raw, err
	}
	own, err := json.Marshal(map[string]Source{m.Source.Key(): m.Source})
	if err != nil {
		return nil, err
	}
	return slices.Concat(raw[:len(raw)-1], []byte{','}, own[1:]), nil
}

// MarshalJSON writes all of the check, as it stands in the analysis file.
func (k CustomCheck) MarshalJSON() ([]byte, error) {
	if k.Program != nil {
		return json.Marshal(k.Program)
	}
	type plain CustomCheck
	return json.Marshal(plain(k))
}
