package analysis

import (
	"fmt"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

func sentence(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// who names the version of a metric: the probe stream needs no name.
func who(metric string, v rollout.Side) string {
	name := map[rollout.Side]string{rollout.SideCanary: "the canary", rollout.SideStable: "stable"}[v]
	if metric != config.ProbeMetric {
		name = metric + ": " + name
	}
	return name
}

// failedOf says "the canary failed 3 of 40 requests (7.5 %, 95 % interval 1.6 % to
// 20.4 %)".
func (c *counts) failedOf(v rollout.Side) string {
	n, who := c.numbers(v), who(c.metric.Name, v)
	if n.Total == 0 {
		return who + " answered nothing"
	}
	return sentence("%s failed %.0f of %.0f requests (%s, 95 %% interval %s to %s)", who, n.Failed, n.Total, percent(n.ErrorRate), percent(n.ErrorLow), percent(n.ErrorHigh))
}

func (c *counts) limitWords() string {
	also, limit := "", c.metric.Errors.Limit()
	if n := c.numbers(rollout.SideStable); n.ErrorRate > limit {
		also = "; " + c.failedOf(rollout.SideStable) + " too"
	}
	return sentence("%s, limit %s%s", c.failedOf(rollout.SideCanary), percent(limit), also)
}

func (c *counts) againstWords() string {
	return sentence("%s; at the same time %s; limit %g times as often, from %s on",
		c.failedOf(rollout.SideCanary), c.failedOf(rollout.SideStable), c.metric.Errors.Ratio, percent(*c.metric.Errors.Floor/100))
}

func (c *counts) ofNobodyWords() string {
	return sentence("%.0f requests failed without an answer from either version, beside %.0f answers of the canary, at weight %.0f; whose they are is not known",
		c.unattributed.failed, c.canary.total, 100*c.weight)
}

func (l *latencies) shiftWords() string {
	canary, shift := who(l.metric.Name, rollout.SideCanary), l.shift()
	if shift == nil {
		return sentence("%s answers in %s at the median, and there is nothing to compare it with yet", canary, short(l.canary.Quantile(.5)))
	}
	against := sentence("%s of stable", short(l.stable.Quantile(.5)))
	if l.standIn() {
		against = "the last release at the same time of its step"
	}
	return sentence("%s answers in %s at the median against %s: %s (95 %% interval of the difference %s to %s, %.0f answers); limit %g times, from %s on",
		canary, short(l.canary.Quantile(.5)), against, shift.words(), short(shift.Low), short(shift.High),
		l.canary.Total(), l.metric.Latency.Ratio, time.Duration(*l.metric.Latency.Floor))
}

// words says "slower by 3ms" or "faster by 3ms".
func (s Shift) words() string {
	if s.Estimate < 0 {
		return "faster by " + short(-s.Estimate)
	}
	return "slower by " + short(s.Estimate)
}

func (l *latencies) slowWords() string {
	canary := who(l.metric.Name, rollout.SideCanary)
	if l.slowFrom == 0 {
		return sentence("%s: its slow answers are not compared yet", canary)
	}
	return sentence("%s took over %s for %.0f of %.0f answers, while stable took over %s for %.0f of %.0f; limit %d times as often",
		canary, short(l.metric.Latency.Allowed(l.slowFrom)), l.slow[0], l.watched[0], short(l.slowFrom), l.slow[1], l.watched[1], slowRatio)
}

func (l *latencies) limitWords() string {
	return sentence("%s has a p95 of %s, limit %s", who(l.metric.Name, rollout.SideCanary), short(l.canary.Quantile(.95)), time.Duration(*l.metric.Latency.P95))
}

func (g *gauges) words() string {
	name := g.metric.Name
	subject, w, ok := g.worst()
	if !ok {
		return name + ": the canary has no value yet"
	}
	limit := ""
	switch l := g.metric.Limit; {
	case l.Max != nil:
		limit = sentence("at most %g", *l.Max)
	case l.Min != nil:
		limit = sentence("at least %g", *l.Min)
	}
	since := ""
	if !w.since.IsZero() {
		since = sentence(", past it for %v", w.at.Sub(w.since).Round(time.Second))
	}
	if g.metric.Limit.For > 0 {
		limit += sentence(" for longer than %v", time.Duration(g.metric.Limit.For))
	}
	return sentence("%s: %s has %.4g, limit %s%s", name, subjectWords(subject), w.value, limit, since)
}

func subjectWords(subject string) string {
	if subject == "" {
		return "the canary"
	}
	return subject
}

// soFar is what a dwell that goes on looks like.
func (j *Judge) soFar() string {
	for _, s := range j.series {
		if s.Errors != nil {
			c := s.counts.canary
			return sentence("%s failed %.0f of %.0f requests so far, limit %s", who(s.Name, rollout.SideCanary), c.failed, c.total, percent(s.Errors.Limit()))
		}
	}
	return "watching"
}

// passed says why a step is a success: by its first metric, and how many more.
func (j *Judge) passed(r Result) string {
	var parts []string
	for _, s := range j.series {
		if s.Errors != nil {
			parts = append(parts, sentence("%s, limit %s", s.counts.failedOf(rollout.SideCanary), percent(s.Errors.Limit())))
		}
		if s.Latency != nil {
			if shift := s.latencies.shift(); shift != nil {
				parts = append(parts, sentence("%s than stable (95 %% interval of the difference %s to %s)", shift.words(), short(shift.Low), short(shift.High)))
			}
		}
		if len(parts) > 0 {
			break
		}
	}
	switch n := len(j.series) - 1; {
	case n == 1:
		parts = append(parts, "one more metric passed too")
	case n > 1:
		parts = append(parts, sentence("%d more metrics passed too", n))
	}
	if r.Score != nil && *r.Score < 100 {
		parts = append(parts, sentence("score %g of 100", *r.Score))
	}
	return strings.Join(parts, "; ")
}

// losers names the findings that cost score.
func losers(fs []Finding) string {
	var names []string
	for _, f := range fs {
		if f.Verdict == rollout.VerdictFailed {
			names = append(names, f.Sentence)
		}
	}
	return strings.Join(names, "; ")
}

// ignored says which metrics did not speak although they were asked for.
func ignored(fs []Finding) []string {
	var warnings []string
	for _, f := range fs {
		if f.Verdict == rollout.VerdictInconclusive && f.Policy == rollout.PolicyIgnore {
			warnings = append(warnings, "not judged, as asked: "+f.Sentence)
		}
	}
	return warnings
}

func percent(x float64) string { return fmt.Sprintf("%.3g %%", 100*x) }

// short rounds a number of seconds to what a person reads.
func short(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch abs := max(d, -d); {
	case abs > 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case abs > 100*time.Millisecond:
		d = d.Round(time.Millisecond)
	default:
		d = d.Round(10 * time.Microsecond)
	}
	return d.String()
}
