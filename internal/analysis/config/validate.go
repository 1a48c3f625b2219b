package config

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// Validate names everything that is wrong with a Config that has its defaults.
func (c Config) Validate() error { return Joined(c.Problems()) }

// Problems returns the errors of a Config that has its defaults.
func (c Config) Problems() []Problem {
	p, found := NewProblems()
	p.Want(c.Version == Version, "version", c.Version, fmt.Sprint(Version))
	p.Want(c.Alpha > 0 && c.Alpha <= .2, "alpha", c.Alpha, "over 0 and at most 0.2")
	p.Want(*c.MaxExtensions >= 0 && *c.MaxExtensions <= 20, "max-extensions", *c.MaxExtensions, "0 to 20")
	p.OneOf("then", c.Then, rollout.PolicyHold, rollout.PolicyAbort)
	p.Want(*c.WarmUp >= 0 && time.Duration(*c.WarmUp) <= time.Hour, "warm-up", time.Duration(*c.WarmUp), "0s to 1h")
	p.Want(c.Stale >= 0, "stale", time.Duration(c.Stale), "over 0s")
	pass, marginal := *c.Score.Pass, *c.Score.Marginal
	p.Want(pass >= marginal && marginal >= 0 && pass <= 100, "score",
		fmt.Sprintf("pass %v, marginal %v", pass, marginal), "0 <= marginal <= pass <= 100")
	c.validateGroups(p)
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
	return found()
}

// validateGroups reports what is wrong with the weights of groups. One for no metric
// is most likely a name that is misspelt.
func (c Config) validateGroups(p Problems) {
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		w := c.Groups[name]
		p.Want(w > 0 && finite(w), "groups."+name, w, "over 0")
		used := slices.ContainsFunc(c.Metrics, func(m Metric) bool { return m.Group == name })
		p.Want(used, "groups."+name, "a group of no metric", "a metric with this group")
	}
}

// validate reports what is wrong with m, its name and source aside.
func (m Metric) validate(p Problems, groups map[string]float64) {
	p.Want(m.Weight > 0 && finite(m.Weight), "weight", m.Weight, "over 0")
	p.Want(m.MinSamples >= 1 && finite(m.MinSamples), "min-samples", m.MinSamples, "1 or more")
	_, known := groups[m.Group]
	p.Want(m.Group == "" || len(groups) == 0 || known, "group", fmt.Sprintf("%q", m.Group), "one of groups")
	p.Want(m.Baseline == "previous" || m.Baseline == "stable", "baseline", fmt.Sprintf("%q", m.Baseline), `"stable" or "previous"`)
	for _, of := range []struct {
		name   string
		policy rollout.Policy
	}{{"on-no-data", m.OnNoData}, {"on-nan", m.OnNaN}, {"on-few-samples", m.OnFewSamples}} {
		p.OneOf(of.name, of.policy, rollout.PolicyFail, rollout.PolicyHold, rollout.PolicyExtend, rollout.PolicyIgnore)
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
	if m.Limit != nil {
		m.Limit.validate(p.At("limit"))
	}
	if l := m.Answers; l != nil {
		p.Want(m.Name == ProbeMetric, "answers", "set", "no answers: only the metric probe has them")
		for _, way := range []string{"status", "redirect", "empty", "smaller", "content-type", "expect"} {
			if v := l.share(way); v != nil {
				p.Want(*v >= 0 && *v <= 100, "answers."+way, *v, "0 to 100")
			}
		}
		p.Want(l.Faster == 0 || l.Faster >= 1 && finite(l.Faster), "answers.faster", l.Faster, "1 or more")
	}
	if m.Name == ProbeMetric {
		p.Want(m.Limit == nil, "limit", "set", "errors and latency for the probe stream")
	}
}

// validate reports what is wrong with a limit. A value that is back within the limit
// only when it is past it would never fail a step.
func (l GaugeLimit) validate(p Problems) {
	p.Want(l.Max != nil || l.Min != nil, "", "empty", "max or min")
	p.Want(l.Max == nil || l.Min == nil, "", "both max and min", "one of them")
	p.Want(l.For >= 0, "for", time.Duration(l.For), "0s or more")
	p.number("max", l.Max)
	p.number("min", l.Min)
	p.number("clear", l.Clear)
	switch {
	case l.Clear == nil || l.Max != nil && l.Min != nil:
	case l.Max != nil:
		p.Want(*l.Clear <= *l.Max, "clear", *l.Clear, fmt.Sprintf("at most max, which is %v: a value beyond it would count as back within the limit", *l.Max))
	case l.Min != nil:
		p.Want(*l.Clear >= *l.Min, "clear", *l.Clear, fmt.Sprintf("at least min, which is %v: a value beyond it would count as back within the limit", *l.Min))
	}
}
