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
func (s *series) who(v rollout.Side) string {
	name := map[rollout.Side]string{rollout.SideCanary: "the canary", rollout.SideStable: "stable"}[v]
	if s.Name != config.ProbeMetric {
		name = s.Name + ": " + name
	}
	return name
}

// failedOf says "the canary failed 3 of 40 requests (7.5 %, 95 % interval 1.6 % to
// 20.4 %)".
func (s *series) failedOf(v rollout.Side) string {
	n := numbers(s.sides[v])
	if n.Total == 0 {
		return s.who(v) + " answered nothing"
	}
	return sentence("%s failed %.0f of %.0f requests (%s, 95 %% interval %s to %s)", s.who(v), n.Failed, n.Total, percent(n.ErrorRate), percent(n.ErrorLow), percent(n.ErrorHigh))
}

func (s *series) errorRateWords() string {
	also := ""
	if n := numbers(s.sides[rollout.SideStable]); n.ErrorRate > s.Errors.Limit() {
		also = "; " + s.failedOf(rollout.SideStable) + " too"
	}
	return sentence("%s, limit %s%s", s.failedOf(rollout.SideCanary), percent(s.Errors.Limit()), also)
}

func (s *series) errorsWords() string {
	return sentence("%s; at the same time %s; limit %g times as often, from %s on", s.failedOf(rollout.SideCanary), s.failedOf(rollout.SideStable), s.Errors.Ratio, percent(*s.Errors.Floor/100))
}

func (s *series) unattributedWords() string {
	return sentence("%.0f requests failed without an answer from either version, beside %.0f answers of the canary, at weight %.0f; whose they are is not known",
		s.sides[rollout.SideUnattributed].failed, s.sides[rollout.SideCanary].total, 100*s.weight)
}

func (s *series) latencyWords() string {
	c, st := numbers(s.sides[rollout.SideCanary]), numbers(s.sides[rollout.SideStable])
	shift := s.shift()
	if shift == nil {
		return sentence("%s answers in %s at the median, and there is nothing to compare it with yet", s.who(rollout.SideCanary), short(c.P50))
	}
	against := sentence("%s of stable", short(st.P50))
	if s.standIn() {
		against = "the last release at the same time of its step"
	}
	return sentence("%s answers in %s at the median against %s: %s (95 %% interval of the difference %s to %s, %.0f answers); limit %g times, from %s on",
		s.who(rollout.SideCanary), short(c.P50), against, shift.words(), short(shift.Low), short(shift.High),
		s.sides[rollout.SideCanary].latency.Total(), s.Latency.Ratio, time.Duration(*s.Latency.Floor))
}

// words says "slower by 3ms" or "faster by 3ms".
func (s Shift) words() string {
	if s.Estimate < 0 {
		return "faster by " + short(-s.Estimate)
	}
	return "slower by " + short(s.Estimate)
}

func (s *series) slowWords() string {
	if s.slowFrom == 0 {
		return sentence("%s: its slow answers are not compared yet", s.who(rollout.SideCanary))
	}
	return sentence("%s took over %s for %.0f of %.0f answers, while stable took over %s for %.0f of %.0f; limit %d times as often",
		s.who(rollout.SideCanary), short(s.Latency.Allowed(s.slowFrom)), s.slow[0], s.watched[0], short(s.slowFrom), s.slow[1], s.watched[1], slowRatio)
}

func (s *series) latencyMaxWords() string {
	return sentence("%s has a p95 of %s, limit %s", s.who(rollout.SideCanary), short(numbers(s.sides[rollout.SideCanary]).P95), time.Duration(*s.Latency.P95))
}

func (s *series) gaugeWords() string {
	subject, g, ok := s.worst()
	if !ok {
		return s.Name + ": the canary has no value yet"
	}
	limit := ""
	switch l := s.Limit; {
	case l.Max != nil:
		limit = sentence("at most %g", *l.Max)
	case l.Min != nil:
		limit = sentence("at least %g", *l.Min)
	}
	since := ""
	if !g.since.IsZero() {
		since = sentence(", past it for %v", g.at.Sub(g.since).Round(time.Second))
	}
	if s.Limit.For > 0 {
		limit += sentence(" for longer than %v", time.Duration(s.Limit.For))
	}
	return sentence("%s: %s has %.4g, limit %s%s", s.Name, subjectWords(subject), g.value, limit, since)
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
			c := s.sides[rollout.SideCanary]
			return sentence("%s failed %.0f of %.0f requests so far, limit %s", s.who(rollout.SideCanary), c.failed, c.total, percent(s.Errors.Limit()))
		}
	}
	return "watching"
}

// passed says why a step is a success: by its first metric, and how many more.
func (j *Judge) passed(r Result) string {
	var parts []string
	for _, s := range j.series {
		if s.Errors != nil {
			parts = append(parts, sentence("%s, limit %s", s.failedOf(rollout.SideCanary), percent(s.Errors.Limit())))
		}
		if s.Latency != nil {
			if shift := s.shift(); shift != nil {
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
