package evidence

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
)

// Who names a version in a sentence about a metric: the probe stream needs no name.
func Who(metric string, v rollout.Side) string {
	name := map[rollout.Side]string{rollout.SideCanary: "the canary", rollout.SideStable: "stable"}[v]
	if metric != config.ProbeMetric {
		name = metric + ": " + name
	}
	return name
}

// FailedOf says "the canary failed 3 of 40 requests (7.5 %, 95 % interval 1.6 % to
// 20.4 %)".
func (f *Failures) FailedOf(v rollout.Side) string {
	total, failed := f.Of(v)
	return failedWords(Who(f.metric.Name, v), count{total, failed})
}

func failedWords(who string, of count) string {
	if of.total == 0 {
		return who + " answered nothing"
	}
	low, high := stat.ShareInterval(int(math.Round(of.failed)), int(math.Round(of.total)), .95)
	return fmt.Sprintf("%s failed %.0f of %.0f requests (%s, 95 %% interval %s to %s)", who, of.failed, of.total, Percent(of.failed/of.total), Percent(low), Percent(high))
}

// LimitWords say how the canary's failures stand to the limit.
func (f *Failures) LimitWords() string {
	also, limit := "", f.metric.Errors.Limit()
	if total, failed := f.Of(rollout.SideStable); failed > total*limit {
		also = "; " + f.FailedOf(rollout.SideStable) + " too"
	}
	own := f.FailedOf(rollout.SideCanary)
	if n := f.sum.nobody; f.weight >= 1 && n.failed > 0 {
		own = failedWords(Who(f.metric.Name, rollout.SideCanary), f.blamed(f.sum))
		also = fmt.Sprintf(", %.0f of them without an answer of either version", n.failed) + also
	}
	return fmt.Sprintf("%s, limit %s%s", own, Percent(limit), also)
}

// AgainstWords compare the failures of both versions.
func (f *Failures) AgainstWords() string {
	return fmt.Sprintf("%s; at the same time %s; limit %g times as often, from %s on",
		f.FailedOf(rollout.SideCanary), f.FailedOf(rollout.SideStable), f.metric.Errors.Ratio, Percent(*f.metric.Errors.Floor/100))
}

// LostWords tell of the requests that no version answered.
func (f *Failures) LostWords() string {
	s, limit := f.sum, fmt.Sprintf("limit %g times as often, from %s on", f.metric.Errors.Ratio, Percent(*f.metric.Errors.Floor/100))
	all := fmt.Sprintf("%.0f of %.0f requests to the entry point failed without an answer of either version", s.nobody.failed, s.all())
	switch c, st := s.canary.pinned, s.stable.pinned; {
	case c.total > 0:
		return fmt.Sprintf("the canary lost %.0f of %.0f test requests; at the same time %s; %s", c.failed, c.total, all, limit)
	case st.total > 0:
		return fmt.Sprintf("%s, at weight %.0f; at the same time stable lost %.0f of %.0f test requests; %s", all, 100*f.weight, st.failed, st.total, limit)
	}
	return fmt.Sprintf("%s, at weight %.0f; before the release %.0f of %.0f; whose they are is not known; %s", all, 100*f.weight, f.before.unattributed, f.before.total, limit)
}

// OutageWords say that nothing was answered.
func (f *Failures) OutageWords() string {
	d := f.now().dead
	if d.from < 0 {
		return "requests are answered"
	}
	return fmt.Sprintf("no request was answered for %d s, by either version", d.to-d.from)
}

// WrongWords say how often the canary answered wrongly in one way.
func (f *Failures) WrongWords(way Wrong) string {
	i := slices.Index(Wrongs, way)
	how := map[Wrong]string{
		WrongStatus:   "with another status than before the release",
		WrongRedirect: "with a redirect, and there was none before the release",
		WrongEmpty:    "without a body, and there was one before the release",
		WrongSmaller:  "with less than a quarter of the smallest body before the release",
		WrongType:     "with another content type than before the release",
		WrongExpect:   "without what probe-expect asks for",
	}[way]
	return fmt.Sprintf("%s answered %.0f of %.0f requests %s; at the same time stable %.0f of %.0f; limit %s",
		Who(f.metric.Name, rollout.SideCanary), f.sum.canary.wrong[i], f.sum.canary.total, how, f.sum.stable.wrong[i], f.sum.stable.total, Percent(f.wrongLimit(way)))
}

// ShiftWords compare the latencies of both versions.
func (l *Latencies) ShiftWords() string {
	canary, shift := Who(l.metric.Name, rollout.SideCanary), l.Shift()
	if shift == nil {
		return fmt.Sprintf("%s answers in %s at the median, and there is nothing to compare it with yet", canary, Short(l.canary.Quantile(.5)))
	}
	return fmt.Sprintf("%s answers in %s at the median against %s of stable: %s (95 %% interval of the difference %s to %s, %.0f answers); limit %g times, from %s on",
		canary, Short(l.canary.Quantile(.5)), Short(l.stable.Quantile(.5)), shift.Words(), Short(shift.Low), Short(shift.High),
		l.canary.Total(), l.metric.Latency.Ratio, time.Duration(*l.metric.Latency.Floor))
}

// Words say "slower by 3ms" or "faster by 3ms".
func (s Shift) Words() string {
	if s.Estimate < 0 {
		return "faster by " + Short(-s.Estimate)
	}
	return "slower by " + Short(s.Estimate)
}

// SlowWords compare the slow answers of both versions.
func (l *Latencies) SlowWords() string {
	canary := Who(l.metric.Name, rollout.SideCanary)
	if l.usual == 0 {
		return fmt.Sprintf("%s: its slow answers are not compared yet", canary)
	}
	limit := l.slowLimit()
	return fmt.Sprintf("%s took over %s for %.0f of %.0f answers, stable for %.0f of %.0f; limit %d times as often, from %s on",
		canary, Short(limit), l.canary.Above(limit), l.canary.Total(), l.stable.Above(limit), l.stable.Total(), slowRatio, Percent(SlowFloor))
}

// LimitWords say how the canary's 95th percentile stands to the limit.
func (l *Latencies) LimitWords() string {
	also, limit := "", time.Duration(*l.metric.Latency.P95)
	if p := l.stable.Quantile(.95); p > limit.Seconds() {
		also = "; stable has one of " + Short(p) + " too"
	}
	return fmt.Sprintf("%s has a p95 of %s, limit %s%s", Who(l.metric.Name, rollout.SideCanary), Short(l.canary.Quantile(.95)), limit, also)
}

// FasterWords say that the canary is suspiciously fast.
func (l *Latencies) FasterWords() string {
	return fmt.Sprintf("%s answers in %s at the median, stable in %s: over %g times faster, as empty or refused answers are",
		Who(l.metric.Name, rollout.SideCanary), Short(l.canary.Quantile(.5)), Short(l.stable.Quantile(.5)), l.metric.Answers.Faster)
}

// Words say how the worst value stands to its limit.
func (g *Gauges) Words() string {
	name := g.metric.Name
	subject, w, ok := g.worst()
	if !ok {
		return name + ": the canary has no value yet"
	}
	limit := ""
	switch l := g.metric.Limit; {
	case l.Max != nil:
		limit = fmt.Sprintf("at most %g", *l.Max)
	case l.Min != nil:
		limit = fmt.Sprintf("at least %g", *l.Min)
	}
	since := ""
	if !w.since.IsZero() {
		since = fmt.Sprintf(", past it for %v", w.at.Sub(w.since).Round(time.Second))
	}
	if g.metric.Limit.For > 0 {
		limit += fmt.Sprintf(" for %v or longer", time.Duration(g.metric.Limit.For))
	}
	return fmt.Sprintf("%s: %s has %.4g, limit %s%s", name, SubjectWords(subject), w.value, limit, since)
}

// SubjectWords name what has a value.
func SubjectWords(subject string) string {
	if subject == "" {
		return "the canary"
	}
	return subject
}

// Percent says a share as "7.5 %".
func Percent(x float64) string { return fmt.Sprintf("%.3g %%", 100*x) }

// Short rounds a number of seconds to what a person reads.
func Short(seconds float64) string {
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
