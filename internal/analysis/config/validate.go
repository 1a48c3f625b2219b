package config

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// Validate names everything that is wrong with a Config that has its defaults.
func (c Config) Validate() error {
	p, found := NewProblems()
	p.Want(c.Version == Version, "version", c.Version, fmt.Sprint(Version))
	p.Want(c.Alpha > 0 && c.Alpha <= .2, "alpha", c.Alpha, "over 0 and at most 0.2")
	p.Want(*c.MaxExtensions >= 0 && *c.MaxExtensions <= 20, "max-extensions", *c.MaxExtensions, "0 to 20")
	p.OneOf("then", c.Then, rollout.PolicyHold, rollout.PolicyAbort)
	p.Want(c.Stale >= 0, "stale", time.Duration(c.Stale), "over 0s")
	p.Want(c.Score.Pass >= c.Score.Marginal && c.Score.Marginal >= 0 && c.Score.Pass <= 100, "score", *c.Score, "0 <= marginal <= pass <= 100")
	for name, w := range c.Groups {
		p.Want(w > 0, "groups."+name, w, "over 0")
	}
	names := map[string]bool{}
	for i, m := range c.Metrics {
		at := p.At(fmt.Sprintf("metrics[%d]", i))
		at.name(m.Name, names)
		if m.Source != nil {
			m.Source.Validate(m, at)
		}
		m.validate(at, c.Groups)
	}
	for i, k := range c.Checks {
		at := p.At(fmt.Sprintf("checks[%d]", i))
		at.name(k.Name, names)
		if k.Program != nil {
			k.Program.Validate(at)
		}
	}
	return errors.Join(found()...)
}

// validate reports what is wrong with m, its name and source aside.
func (m Metric) validate(p Problems, groups map[string]float64) {
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	p.Want(m.Weight > 0 && finite(m.Weight), "weight", m.Weight, "over 0")
	p.Want(m.MinSamples >= 1 && finite(m.MinSamples), "min-samples", m.MinSamples, "1 or more")
	_, known := groups[m.Group]
	p.Want(m.Group == "" || len(groups) == 0 || known, "group", fmt.Sprintf("%q", m.Group), "one of groups")
	p.Want(m.Baseline == "previous" || m.Baseline == "stable", "baseline", fmt.Sprintf("%q", m.Baseline), `"stable" or "previous"`)
	for name, policy := range map[string]rollout.Policy{"on-no-data": m.OnNoData, "on-nan": m.OnNaN, "on-few-samples": m.OnFewSamples} {
		p.OneOf(name, policy, rollout.PolicyFail, rollout.PolicyHold, rollout.PolicyExtend, rollout.PolicyIgnore)
	}
	if l := m.Errors; l != nil {
		p.Want(*l.Rate >= 0 && *l.Rate < 100, "errors.rate", *l.Rate, "0 to less than 100")
		p.Want(*l.Success >= 0 && *l.Success <= 100, "errors.success", *l.Success, "0 to 100")
		p.Want(l.Ratio >= 1 && finite(l.Ratio), "errors.ratio", l.Ratio, "1 or more")
		p.Want(*l.Floor >= 0 && *l.Floor < 100, "errors.floor", *l.Floor, "0 to less than 100")
	}
	if l := m.Latency; l != nil {
		p.Want(l.Ratio >= 1 && finite(l.Ratio), "latency.ratio", l.Ratio, "1 or more")
		p.Want(*l.Floor >= 0, "latency.floor", time.Duration(*l.Floor), "0s or more")
		p.Want(*l.P95 >= 0, "latency.p95", time.Duration(*l.P95), "0s or more")
	}
	if l := m.Limit; l != nil {
		p.Want(l.Max != nil || l.Min != nil, "limit", "empty", "max or min")
		p.Want(l.Max == nil || l.Min == nil, "limit", "both max and min", "one of them")
		p.Want(l.For >= 0, "limit.for", time.Duration(l.For), "0s or more")
	}
	if m.Name == ProbeMetric {
		p.Want(m.Limit == nil, "limit", "set", "errors and latency for the probe stream")
	}
}
