// Package config says how a rollout is judged: metrics with their limits, policies,
// the score. It is what the analysis file holds, without the YAML.
package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// Version is the version of the analysis file that this package reads.
const Version = 1

// ProbeMetric is the name of the metric that the probe stream feeds. It is always
// judged, named in the file or not.
const ProbeMetric = "probe"

// A Config says how a rollout is judged. Default is what counts without a
// file. Percentages are numbers from 0 to 100, as in the inputs.
type Config struct {
	Version int `json:"version"`
	// Alpha is the probability with which a rollout is stopped whose canary
	// keeps every limit, over all steps, metrics and looks.
	Alpha float64 `json:"alpha,omitempty"`
	// MaxExtensions is how often a dwell is repeated that ended inconclusive;
	// Then is what follows: hold or abort.
	MaxExtensions *int           `json:"max-extensions,omitempty"`
	Then          rollout.Policy `json:"then,omitempty"`
	// Stale is the age from which a metric's newest point is too old to
	// judge by, and how far into the future one may be: 30s without, longer
	// for sources that are late by their nature.
	Stale   Duration           `json:"stale,omitempty"`
	Metrics []Metric           `json:"metrics,omitempty"`
	Groups  map[string]float64 `json:"groups,omitempty"` // weight by name; all 1 without
	Score   *Score             `json:"score,omitempty"`
	Checks  []CustomCheck      `json:"checks,omitempty"`
}

// A Score turns the metrics that are not critical into one number.
type Score struct {
	Pass     float64 `json:"pass"`     // at least this: successful
	Marginal float64 `json:"marginal"` // under this: failed; in between inconclusive
}

// A Metric is one source and what it is judged by.
type Metric struct {
	Name   string `json:"name"`
	Source `json:",inline"`

	Errors  *ErrorLimits   `json:"errors,omitempty"`
	Latency *LatencyLimits `json:"latency,omitempty"`
	Limit   *GaugeLimit    `json:"limit,omitempty"`

	// Critical (the default) means that failing it fails the step at once.
	Critical *bool   `json:"critical,omitempty"`
	Group    string  `json:"group,omitempty"`
	Weight   float64 `json:"weight,omitempty"` // in its group; 1 without

	MinSamples   float64        `json:"min-samples,omitempty"`
	OnNoData     rollout.Policy `json:"on-no-data,omitempty"`
	OnNaN        rollout.Policy `json:"on-nan,omitempty"`
	OnFewSamples rollout.Policy `json:"on-few-samples,omitempty"`
	// Baseline "previous" lets the last release's measurements at the same
	// elapsed time stand in where stable has too few; "stable" never does.
	Baseline string `json:"baseline,omitempty"`
}

// ErrorLimits are what a canary's failures have to keep, in percent.
type ErrorLimits struct {
	Rate    *float64 `json:"rate,omitempty"`    // the most that may fail
	Success *float64 `json:"success,omitempty"` // the fewest that must succeed
	// Ratio is how many times as often as stable's the canary's requests may
	// fail; it counts only over the Floor, a share in percent.
	Ratio float64  `json:"ratio,omitempty"`
	Floor *float64 `json:"floor,omitempty"`
}

// LatencyLimits are what a canary's latencies have to keep.
type LatencyLimits struct {
	Ratio float64   `json:"ratio,omitempty"` // times stable's at the same time
	Floor *Duration `json:"floor,omitempty"` // the least difference that matters
	P95   *Duration `json:"p95,omitempty"`   // the highest 95th percentile; 0 is none
}

// A GaugeLimit is what a value of the canary has to keep.
type GaugeLimit struct {
	Max *float64 `json:"max,omitempty"`
	Min *float64 `json:"min,omitempty"`
	// For is how long the limit has to be exceeded without a break. A value
	// counts as back within it only when it has reached Clear.
	For   Duration `json:"for,omitempty"`
	Clear *float64 `json:"clear,omitempty"`
}

// A Source says where a metric comes from. Exactly one is set, and none for the
// probe stream.
type Source struct {
	Prometheus *PrometheusSource `json:"prometheus,omitempty"`
	Datadog    *DatadogSource    `json:"datadog,omitempty"`
	CloudWatch *CloudWatchSource `json:"cloudwatch,omitempty"`
	Kubernetes *KubernetesSource `json:"kubernetes,omitempty"`
	HTTP       *HTTPSource       `json:"http,omitempty"`
}

// A PrometheusSource is a gateway's ready-made queries, or queries of one's own.
type PrometheusSource struct {
	URL string `json:"url"`
	// Gateway chooses ready-made queries: traefik, istio, envoy-gateway,
	// nginx-gateway-fabric, haproxy, or app for the application's own
	// http_requests_total.
	Gateway string `json:"gateway,omitempty"`
	// Plus says that NGINX Gateway Fabric runs NGINX Plus, which alone counts
	// by backend.
	Plus bool `json:"plus,omitempty"`
	Queries
	TokenEnv string `json:"token-env,omitempty"` // environment variable with a bearer token
}

// Queries tell the versions apart by ${version}, ${service} or a label.
type Queries struct {
	Total   string `json:"total,omitempty"`
	Failed  string `json:"failed,omitempty"`
	Latency string `json:"latency-buckets,omitempty"` // a histogram's buckets
	Value   string `json:"value,omitempty"`           // a gauge
	By      string `json:"by,omitempty"`              // the label that carries the version
	Stable  string `json:"stable,omitempty"`          // its values, "stable" and "canary" without
	Canary  string `json:"canary,omitempty"`
}

// A DatadogSource asks Datadog. Keys come from the environment: DD_API_KEY and
// DD_APP_KEY.
type DatadogSource struct {
	Site string `json:"site,omitempty"` // datadoghq.com without
	Queries
}

// A CloudWatchSource asks CloudWatch with the usual AWS credentials: by a preset,
// or for metrics of one's own.
type CloudWatchSource struct {
	Region string `json:"region,omitempty"`
	// Preset is alb, which needs LoadBalancer, or lambda, which needs Function
	// and Alias. With a limit it asks for a latency, else for requests and
	// failed ones.
	Preset       string `json:"preset,omitempty"`
	LoadBalancer string `json:"load-balancer,omitempty"` // app/NAME/ID
	Function     string `json:"function,omitempty"`
	Alias        string `json:"alias,omitempty"`
	Percentile   string `json:"percentile,omitempty"` // of a preset's latency, such as p95, the default

	Namespace  string            `json:"namespace,omitempty"`
	Total      string            `json:"total,omitempty"` // names of metrics
	Failed     string            `json:"failed,omitempty"`
	Value      string            `json:"value,omitempty"`
	Stat       string            `json:"stat,omitempty"`       // of Value; Average without
	Dimensions map[string]string `json:"dimensions,omitempty"` // with ${version}
	// Sparse says that Failed has no data where nothing failed.
	Sparse bool     `json:"sparse,omitempty"`
	Period Duration `json:"period,omitempty"` // 1m without

	// Stable and Canary are what the versions are called: target groups,
	// function versions, or what ${version} stands for.
	Stable string `json:"stable"`
	Canary string `json:"canary"`
}

// A KubernetesSource reads the pods of both versions.
type KubernetesSource struct {
	Resource string `json:"resource"`     // cpu, memory, restarts or oom-kills
	Of       string `json:"of,omitempty"` // limits (the default) or requests
}

// An HTTPSource is any endpoint that answers JSON.
type HTTPSource struct {
	URL        string `json:"url"` // with ${version}
	HeaderEnv  string `json:"authorization-env,omitempty"`
	Total      string `json:"total,omitempty"` // JSON paths (RFC 9535)
	Failed     string `json:"failed,omitempty"`
	Value      string `json:"value,omitempty"`
	Cumulative bool   `json:"cumulative,omitempty"` // counters that only grow
}

// A CustomCheck is somebody's own program that judges a step. Exactly one of Job,
// Command and Webhook is set.
type CustomCheck struct {
	Name    string   `json:"name"`
	Command []string `json:"command,omitempty"`
	Job     string   `json:"job,omitempty"` // a manifest's path
	Webhook string   `json:"webhook,omitempty"`
	// SecretEnv is the environment variable with the webhook's secret.
	SecretEnv string         `json:"secret-env,omitempty"`
	Timeout   Duration       `json:"timeout,omitempty"` // 60s without
	At        []int          `json:"at,omitempty"`      // weights; every step without
	OnError   rollout.Policy `json:"on-error,omitempty"`
}

// A Duration is a time.Duration whose JSON is text such as "30s".
type Duration time.Duration

// UnmarshalJSON reads a duration with its unit.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("duration %s: want text with a unit, such as \"30s\"", b)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q: want a number with a unit, such as 30s or 5m", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// Default judges the probe stream alone: at most 5 % errors, at least 95 %
// success, not over twice stable's error rate (from 0.2 % on), not over 1.5 times
// its latency (from 5 ms on), a p95 of 2 s at most, 100 answers, one healthy
// rollout in a hundred stopped at most.
func Default() Config { return Config{Version: Version}.WithDefaults(Metric{}) }

// WithDefaults fills in what is not set. Metrics inherit the limits that base has;
// a metric for the probe stream is added where there is none.
func (c Config) WithDefaults(base Metric) Config {
	if c.Alpha == 0 {
		c.Alpha = .01
	}
	if c.MaxExtensions == nil {
		c.MaxExtensions = new(2)
	}
	if c.Then == "" {
		c.Then = rollout.PolicyHold
	}
	if c.Score == nil {
		c.Score = &Score{Pass: 95, Marginal: 75}
	}
	base = base.withDefaults(Metric{Errors: &ErrorLimits{}, Latency: &LatencyLimits{}})
	metrics := slices.Clone(c.Metrics)
	if !slices.ContainsFunc(metrics, func(m Metric) bool { return m.Name == ProbeMetric }) {
		probe := base
		probe.Name = ProbeMetric
		metrics = append([]Metric{probe}, metrics...)
	}
	for i, m := range metrics {
		if m.Name == ProbeMetric && m.Errors == nil && m.Latency == nil {
			m.Errors, m.Latency = base.Errors, base.Latency
		}
		metrics[i] = m.withDefaults(base)
	}
	c.Metrics = metrics
	c.Checks = slices.Clone(c.Checks)
	for i := range c.Checks {
		if c.Checks[i].Timeout == 0 {
			c.Checks[i].Timeout = Duration(time.Minute)
		}
		if c.Checks[i].OnError == "" {
			c.Checks[i].OnError = rollout.PolicyExtend
		}
	}
	return c
}

// withDefaults fills in what m leaves open, from base and then by itself.
func (m Metric) withDefaults(base Metric) Metric {
	if m.Errors == nil && m.Latency == nil && m.Limit == nil {
		m.Errors, m.Latency = base.Errors, base.Latency
	}
	m.Errors = m.Errors.from(base.Errors)
	m.Latency = m.Latency.from(base.Latency)
	if m.Critical == nil {
		m.Critical = new(true)
	}
	if m.Weight == 0 {
		m.Weight = 1
	}
	if m.MinSamples == 0 {
		m.MinSamples = base.MinSamples
	}
	if m.MinSamples == 0 {
		m.MinSamples = 100
	}
	for _, p := range []struct {
		own  *rollout.Policy
		base rollout.Policy
	}{{&m.OnNoData, base.OnNoData}, {&m.OnNaN, base.OnNaN}, {&m.OnFewSamples, base.OnFewSamples}} {
		if *p.own == "" {
			*p.own = p.base
		}
		if *p.own == "" {
			*p.own = rollout.PolicyExtend
		}
	}
	if m.Baseline == "" {
		m.Baseline = "previous"
	}
	return m
}

// from fills in what l leaves open; nil stays nil.
func (l *ErrorLimits) from(base *ErrorLimits) *ErrorLimits {
	if l == nil {
		return nil
	}
	if base == nil {
		base = &ErrorLimits{}
	}
	n := *l
	n.Rate = cmp.Or(n.Rate, base.Rate, new(5.0))
	n.Success = cmp.Or(n.Success, base.Success, new(95.0))
	n.Floor = cmp.Or(n.Floor, base.Floor, new(.2))
	if n.Ratio == 0 {
		n.Ratio = base.Ratio
	}
	if n.Ratio == 0 {
		n.Ratio = 2
	}
	return &n
}

func (l *LatencyLimits) from(base *LatencyLimits) *LatencyLimits {
	if l == nil {
		return nil
	}
	if base == nil {
		base = &LatencyLimits{}
	}
	n := *l
	n.Floor = cmp.Or(n.Floor, base.Floor, new(Duration(5*time.Millisecond)))
	n.P95 = cmp.Or(n.P95, base.P95, new(Duration(2*time.Second)))
	if n.Ratio == 0 {
		n.Ratio = base.Ratio
	}
	if n.Ratio == 0 {
		n.Ratio = 1.5
	}
	return &n
}

// Limit is the highest share of failures, the stricter of rate and success.
func (l ErrorLimits) Limit() float64 { return min(*l.Rate, 100-*l.Success) / 100 }

// Allowed is the slowest that an answer may become that takes v on stable.
func (l LatencyLimits) Allowed(v float64) float64 {
	return max(v*l.Ratio, v+time.Duration(*l.Floor).Seconds())
}

// StaleAfter is Stale for a metric. CloudWatch and Datadog fill their buckets of a minute
// for a while, and metrics-server measures up to once a minute.
func (c Config) StaleAfter(m Metric) time.Duration {
	switch {
	case c.Stale > 0:
		return time.Duration(c.Stale)
	case m.CloudWatch != nil:
		return 4*time.Minute + 2*time.Duration(m.CloudWatch.Period)
	case m.Datadog != nil:
		return 4 * time.Minute
	case m.Kubernetes != nil:
		return 2 * time.Minute
	}
	return 30 * time.Second
}

// Validate names everything that is wrong with a Config that has its defaults.
func (c Config) Validate() error {
	var p problems
	p.want(c.Version == Version, "version", c.Version, fmt.Sprint(Version))
	p.want(c.Alpha > 0 && c.Alpha <= .2, "alpha", c.Alpha, "over 0 and at most 0.2")
	p.want(*c.MaxExtensions >= 0 && *c.MaxExtensions <= 20, "max-extensions", *c.MaxExtensions, "0 to 20")
	p.oneOf("then", c.Then, rollout.PolicyHold, rollout.PolicyAbort)
	p.want(c.Stale >= 0, "stale", time.Duration(c.Stale), "over 0s")
	p.want(c.Score.Pass >= c.Score.Marginal && c.Score.Marginal >= 0 && c.Score.Pass <= 100, "score", *c.Score, "0 <= marginal <= pass <= 100")
	for name, w := range c.Groups {
		p.want(w > 0, "groups."+name, w, "over 0")
	}
	seen := map[string]bool{}
	for i, m := range c.Metrics {
		p.metric(fmt.Sprintf("metrics[%d]", i), m, c.Groups, seen)
	}
	for i, k := range c.Checks {
		p.check(fmt.Sprintf("checks[%d]", i), k, seen)
	}
	return errors.Join(p...)
}

// problems collects what is wrong.
type problems []error

func (p *problems) want(ok bool, field string, have any, want string) {
	if !ok {
		*p = append(*p, fmt.Errorf("%s is %v: want %s", field, have, want))
	}
}

func (p *problems) oneOf(field string, have rollout.Policy, allowed ...rollout.Policy) {
	p.want(slices.Contains(allowed, have), field, fmt.Sprintf("%q", have), fmt.Sprintf("one of %q", allowed))
}

func (p *problems) name(field, name string, seen map[string]bool) {
	ok := name != "" && len(name) <= 63 && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	p.want(ok, field+".name", fmt.Sprintf("%q", name), "letters, digits, '-', '_' and '.', at most 63")
	p.want(!seen[name], field+".name", fmt.Sprintf("%q", name), "a name of its own")
	seen[name] = true
}

func (p *problems) metric(field string, m Metric, groups map[string]float64, seen map[string]bool) {
	p.name(field, m.Name, seen)
	p.source(field, m)
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	p.want(m.Weight > 0 && finite(m.Weight), field+".weight", m.Weight, "over 0")
	p.want(m.MinSamples >= 1 && finite(m.MinSamples), field+".min-samples", m.MinSamples, "1 or more")
	_, known := groups[m.Group]
	p.want(m.Group == "" || len(groups) == 0 || known, field+".group", fmt.Sprintf("%q", m.Group), "one of groups")
	p.want(m.Baseline == "previous" || m.Baseline == "stable", field+".baseline", fmt.Sprintf("%q", m.Baseline), `"stable" or "previous"`)
	for name, policy := range map[string]rollout.Policy{"on-no-data": m.OnNoData, "on-nan": m.OnNaN, "on-few-samples": m.OnFewSamples} {
		p.oneOf(field+"."+name, policy, rollout.PolicyFail, rollout.PolicyHold, rollout.PolicyExtend, rollout.PolicyIgnore)
	}
	if l := m.Errors; l != nil {
		p.want(*l.Rate >= 0 && *l.Rate < 100, field+".errors.rate", *l.Rate, "0 to less than 100")
		p.want(*l.Success >= 0 && *l.Success <= 100, field+".errors.success", *l.Success, "0 to 100")
		p.want(l.Ratio >= 1 && finite(l.Ratio), field+".errors.ratio", l.Ratio, "1 or more")
		p.want(*l.Floor >= 0 && *l.Floor < 100, field+".errors.floor", *l.Floor, "0 to less than 100")
	}
	if l := m.Latency; l != nil {
		p.want(l.Ratio >= 1 && finite(l.Ratio), field+".latency.ratio", l.Ratio, "1 or more")
		p.want(*l.Floor >= 0, field+".latency.floor", time.Duration(*l.Floor), "0s or more")
		p.want(*l.P95 >= 0, field+".latency.p95", time.Duration(*l.P95), "0s or more")
	}
	if l := m.Limit; l != nil {
		p.want(l.Max != nil || l.Min != nil, field+".limit", "empty", "max or min")
		p.want(l.Max == nil || l.Min == nil, field+".limit", "both max and min", "one of them")
		p.want(l.For >= 0, field+".limit.for", time.Duration(l.For), "0s or more")
	}
	if m.Name == ProbeMetric {
		p.want(m.Limit == nil, field+".limit", "set", "errors and latency for the probe stream")
	}
}

func (p *problems) source(field string, m Metric) {
	set := 0
	for _, is := range []bool{m.Prometheus != nil, m.Datadog != nil, m.CloudWatch != nil, m.Kubernetes != nil, m.HTTP != nil} {
		if is {
			set++
		}
	}
	want := 1
	if m.Name == ProbeMetric {
		want = 0
	}
	p.want(set == want, field, fmt.Sprintf("a metric with %d sources", set), fmt.Sprintf("%d: prometheus, datadog, cloudwatch, kubernetes or http (none for %q)", want, ProbeMetric))
	if s := m.Prometheus; s != nil {
		p.want(s.URL != "", field+".prometheus.url", `""`, "the server's address")
		p.want((s.Gateway != "") != s.asks(), field+".prometheus", "without or with both of gateway and queries", "one of them")
	}
	if s := m.Datadog; s != nil {
		p.want(s.asks(), field+".datadog", "without a query", "total and failed, or value")
		p.want(s.Latency == "", field+".datadog.latency-buckets", "set", "a value with a limit: Datadog has no histogram to compare")
	}
	if s := m.CloudWatch; s != nil {
		p.want(s.Preset == "" || s.Preset == "alb" || s.Preset == "lambda", field+".cloudwatch.preset", fmt.Sprintf("%q", s.Preset), "alb or lambda")
		p.want(s.Preset != "alb" || s.LoadBalancer != "", field+".cloudwatch.load-balancer", `""`, "app/NAME/ID")
		p.want(s.Preset != "lambda" || s.Function != "" && s.Alias != "", field+".cloudwatch", "without function or alias", "both")
		p.want((s.Preset != "") != (s.Total+s.Failed+s.Value != ""), field+".cloudwatch", "without or with both of preset and metrics", "one of them")
		p.want(s.Stable != s.Canary, field+".cloudwatch", "the same for both versions", "stable and canary, which differ")
	}
	if s := m.HTTP; s != nil {
		p.want(s.URL != "", field+".http.url", `""`, "the endpoint's address")
		p.want(s.Total+s.Failed+s.Value != "", field+".http", "without a path", "total and failed, or value")
	}
	if s := m.Kubernetes; s != nil {
		p.want(slices.Contains([]string{"cpu", "memory", "restarts", "oom-kills"}, s.Resource), field+".kubernetes.resource", fmt.Sprintf("%q", s.Resource), "cpu, memory, restarts or oom-kills")
		p.want(s.Of == "" || s.Of == "limits" || s.Of == "requests", field+".kubernetes.of", fmt.Sprintf("%q", s.Of), "limits or requests")
		p.want(m.Limit != nil, field+".limit", "missing", "a limit for what pods use")
	}
}

func (q Queries) asks() bool { return q.Total+q.Failed+q.Latency+q.Value != "" }

func (p *problems) check(field string, k CustomCheck, seen map[string]bool) {
	p.name(field, k.Name, seen)
	set := 0
	for _, is := range []bool{len(k.Command) > 0, k.Job != "", k.Webhook != ""} {
		if is {
			set++
		}
	}
	p.want(set == 1, field, fmt.Sprintf("a check with %d ways to run", set), "one of command, job and webhook")
	p.want(k.Webhook == "" || k.SecretEnv != "", field+".secret-env", `""`, "the variable with the secret that signs the webhook")
	p.want(k.Timeout > 0 && k.Timeout <= Duration(time.Hour), field+".timeout", time.Duration(k.Timeout), "over 0s and at most 1h")
	p.oneOf(field+".on-error", k.OnError, rollout.PolicyFail, rollout.PolicyHold, rollout.PolicyExtend, rollout.PolicyIgnore)
	for _, w := range k.At {
		p.want(w >= 1 && w <= 100, field+".at", w, "weights from 1 to 100")
	}
}
