package config

import (
	"cmp"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

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
	if c.WarmUp == nil {
		c.WarmUp = new(Duration(45 * time.Second))
	}
	if c.Score == nil {
		c.Score = &Score{}
	}
	c.Score = &Score{Pass: cmp.Or(c.Score.Pass, new(95.0)), Marginal: cmp.Or(c.Score.Marginal, new(75.0))}
	base = base.withDefaults(Metric{Errors: &ErrorLimits{}, Latency: &LatencyLimits{}})
	metrics := slices.Clone(c.Metrics)
	if !slices.ContainsFunc(metrics, func(m Metric) bool { return m.Name == ProbeMetric }) {
		probe := base
		probe.Name = ProbeMetric
		metrics = append([]Metric{probe}, metrics...)
	}
	for i, m := range metrics {
		if m.Name == ProbeMetric { // it has both, and is judged by both
			if m.Errors == nil {
				m.Errors = base.Errors
			}
			if m.Latency == nil {
				m.Latency = base.Latency
			}
		}
		metrics[i] = m.withDefaults(base)
	}
	c.Metrics = metrics
	return c
}

// withDefaults fills in what m leaves open, from base and then by itself.
func (m Metric) withDefaults(base Metric) Metric {
	if m.Errors == nil && m.Latency == nil && m.Limit == nil {
		m.Errors, m.Latency = base.Errors, base.Latency
	}
	m.Errors = m.Errors.from(base.Errors)
	m.Latency = m.Latency.from(base.Latency)
	if m.Name == ProbeMetric {
		m.Answers = m.Answers.withDefaults()
	}
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

func (l *AnswerLimits) withDefaults() *AnswerLimits {
	if l == nil {
		l = &AnswerLimits{}
	}
	n := *l
	for _, of := range []**float64{&n.Status, &n.Redirect, &n.Empty, &n.Smaller, &n.Type, &n.Expect} {
		*of = cmp.Or(*of, new(1.0))
	}
	if n.Faster == 0 {
		n.Faster = 5
	}
	return &n
}

// Limit is the highest share of failures, the stricter of rate and success.
func (l ErrorLimits) Limit() float64 { return min(*l.Rate, 100-*l.Success) / 100 }

// Allowed is the slowest that an answer may become that takes v on stable.
func (l LatencyLimits) Allowed(v float64) float64 {
	return max(v*l.Ratio, v+time.Duration(*l.Floor).Seconds())
}

// StaleAfter is the age from which the newest point of m is too old to judge by: Stale
// where the file says it, else what its source needs, else 30 s.
func (c Config) StaleAfter(m Metric) time.Duration {
	if c.Stale > 0 {
		return time.Duration(c.Stale)
	}
	if m.Source != nil && m.Source.StaleAfter() > 0 {
		return m.Source.StaleAfter()
	}
	return 30 * time.Second
}

// Limit is the highest share of answers that may be wrong in one way, which is the name
// of the field in the file.
func (l AnswerLimits) Limit(way string) float64 { return *l.share(way) / 100 }

// share is the field for one way, in percent; nil where it is not set.
func (l AnswerLimits) share(way string) *float64 {
	return map[string]*float64{"status": l.Status, "redirect": l.Redirect, "empty": l.Empty, "smaller": l.Smaller, "content-type": l.Type, "expect": l.Expect}[way]
}
