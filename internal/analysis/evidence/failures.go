package evidence

import (
	"math"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
)

// Failures are the requests of one metric since a step began: how many failed, were
// lost without an answer, or were answered wrongly, and the evidence that they are.
//
// Evidence is the logarithm of a stake, see stat.Evidence; stat.PValue turns it into
// a p-value that is valid at every look.
type Failures struct {
	metric *config.Metric
	weight float64 // share of traffic to the canary
	sum    stretch
	before usual
	clock  clock
	tests  tests  // of the seconds that are over
	latest *tests // of all, nil when a point came
}

// tests are what is added up second by second.
type tests struct {
	errors, worse, lost contest // worse: than stable, by any ratio
	wrong               [6]contest
	nobody              clumps
	quiet               count // unattributed failures among all requests, without common outages
	dead                outage
}

// An outage is a time in which no request was answered.
type outage struct{ from, to int64 } // seconds; from is -1 while there is none

// NewFailures returns the failures of a metric before any step.
func NewFailures(m *config.Metric) *Failures {
	return &Failures{metric: m, tests: tests{dead: outage{from: -1}}}
}

// Begin starts a step: what was counted before no longer counts.
func (f *Failures) Begin(at time.Time, weight float64) {
	*f = Failures{metric: f.metric, weight: weight, before: f.before, clock: clock{began: at}, tests: tests{dead: outage{from: -1}}}
}

// Before takes a point from before the first step.
func (f *Failures) Before(p Point) { f.before.add(p) }

// RateBefore is how many requests came a second before the first step; ok is false
// if they were counted for less than two seconds.
func (f *Failures) RateBefore() (perSecond float64, ok bool) { return f.before.rate() }

// Add takes a point of the step.
func (f *Failures) Add(p Point) {
	f.latest = nil
	f.sum.of(p.Side).add(p)
	for _, s := range f.clock.add(p) {
		f.tests.add(f, s)
	}
}

// now are the tests with the seconds that are not over.
func (f *Failures) now() *tests {
	if f.latest == nil {
		t := f.tests
		for _, s := range f.clock.open {
			t.add(f, s)
		}
		f.latest = &t
	}
	return f.latest
}

func (t *tests) add(f *Failures, s second) {
	c, st := s.canary, s.stable
	t.nobody.add(s.at, count{s.all(), s.nobody.failed})
	if l := f.metric.Errors; l != nil {
		t.errors.add(s.at, l.Ratio, count{c.total, c.signed()}, count{st.total, st.signed()})
		t.worse.add(s.at, 1, f.blamed(s.stretch), f.likewise(st))
		t.addLost(f, s)
	}
	if f.metric.Answers != nil {
		for i := range t.wrong {
			t.wrong[i].add(s.at, wrongRatio, count{c.total, c.wrong[i]}, count{st.total, st.wrong[i]})
		}
	}
	switch {
	case !s.dead():
		t.dead.from = -1
	case t.dead.from < 0:
		t.dead = outage{s.at, s.at}
	default:
		t.dead.to = s.at
	}
}

// wrongRatio is how many times as often as stable a canary may answer wrongly: the
// same page may change for both during a release.
const wrongRatio = 2

// addLost takes what nobody signed. Of all requests a share of weight is the canary's,
// so if that one loses at most ratio times as many as stable, then a request that was
// pinned to it is lost at most ratio/(weight·ratio+1-weight) times as often as any,
// and any at most weight·ratio+1-weight times as often as one pinned to stable.
func (t *tests) addLost(f *Failures, s second) {
	mixed := f.weight*f.metric.Errors.Ratio + 1 - f.weight
	any := count{s.all(), s.nobody.failed}
	switch {
	case s.canary.pinned.total > 0:
		t.lost.add(s.at, f.metric.Errors.Ratio/mixed, s.canary.pinned, any)
	case s.stable.pinned.total > 0:
		t.lost.add(s.at, mixed, any, s.stable.pinned)
	}
	if !s.dead() && !f.common(any) {
		t.quiet.add(any.total, any.failed)
	}
}

// common says whether more requests were lost at the same time than can have been the
// canary's, but once in a thousand times: that says nothing of it.
func (f *Failures) common(any count) bool {
	if any.failed == 0 || f.weight >= 1 {
		return false
	}
	most := any.total*f.weight + 3.09*math.Sqrt(any.total*f.weight*(1-f.weight)) + 1
	return any.failed > most
}

// PastLimit is the evidence against "the canary keeps its limit, or fails no more
// often than stable at the same time".
func (f *Failures) PastLimit() float64 {
	t, c, limit := f.now(), f.blamed(f.sum), f.metric.Errors.Limit()
	evidence := stat.Evidence(c.total, c.failed, limit) / t.worse.index()
	if f.sum.stable.total > 0 && limit > 0 {
		return min(evidence, t.worse.evidence())
	}
	return evidence
}

// blamed are the requests of the canary with the failures that it signed; with all of
// the traffic, those that nobody signed are its own, too.
func (f *Failures) blamed(s stretch) count {
	c := count{s.canary.total, s.canary.signed()}
	if f.weight >= 1 {
		c.add(s.nobody.total, s.nobody.failed)
	}
	return c
}

// likewise are the requests of stable with as much counted as blamed counts of the
// canary: its lost ones, too, with all of the traffic.
func (f *Failures) likewise(stable side) count {
	if f.weight >= 1 {
		return stable.count
	}
	return count{stable.total, stable.signed()}
}

// AgainstStable is the evidence against "the canary fails at most Ratio times as
// often as stable at the same time, or at most as often as Floor".
func (f *Failures) AgainstStable() float64 {
	t, c := f.now(), f.sum.canary
	return f.overFloor(&t.errors, c.total, c.signed(), 1)
}

func (f *Failures) overFloor(of *contest, total, failed, share float64) float64 {
	return min(of.evidence(), stat.Evidence(total, failed, share**f.metric.Errors.Floor/100)/of.index())
}

// Lost is the evidence against "the canary loses requests at most Ratio times as often
// as stable, or at most as often as Floor". Lost are those that no version signed.
// Requests pinned to a version tell whose they are. Without any, the share of lost
// requests is compared with that from before the step, which is as uncertain as it is.
func (f *Failures) Lost() float64 {
	t, s := f.now(), f.sum
	switch {
	case s.canary.pinned.total > 0:
		return f.overFloor(&t.lost, s.canary.pinned.total, s.canary.pinned.failed, 1)
	case s.stable.pinned.total > 0:
		return f.overFloor(&t.lost, s.all(), s.nobody.failed, f.weight)
	case t.quiet.failed == 0 || f.weight <= 0:
		return 0
	}
	rise := 1 + f.weight*(f.metric.Errors.Ratio-1)
	risen := stat.TwoShares(t.quiet.failed, f.before.unattributed, t.quiet.total/(t.quiet.total+f.before.total), rise)
	return min(risen, stat.Evidence(t.quiet.total, t.quiet.failed, f.weight**f.metric.Errors.Floor/100)) / t.nobody.index()
}

// Wrong is the evidence against "the canary answers wrongly in this way at most as
// often as its limit, or at most twice as often as stable at the same time".
func (f *Failures) Wrong(way Wrong) float64 {
	i := slices.Index(Wrongs, way)
	if i < 0 || f.metric.Answers == nil || f.sum.canary.wrong[i] == 0 {
		return 0
	}
	t := &f.now().wrong[i]
	evidence := stat.Evidence(f.sum.canary.total, f.sum.canary.wrong[i], f.wrongLimit(way)) / t.index()
	if f.sum.stable.total > 0 {
		evidence = min(evidence, t.evidence())
	}
	return evidence
}

// wrongLimit is the highest share of answers that may be wrong in this way.
func (f *Failures) wrongLimit(way Wrong) float64 { return f.metric.Answers.Limit(string(way)) }

// WrongPastLimit says whether the measured share of answers that are wrong in this way
// is over its limit, certain or not.
func (f *Failures) WrongPastLimit(way Wrong) bool {
	n := f.sum.canary.wrong[slices.Index(Wrongs, way)]
	return n > 0 && n > f.sum.canary.total*f.wrongLimit(way)
}

// OverLimit says whether the measured share of the canary's failures is over its
// limit, certain or not. Seconds in which nobody was answered do not count.
func (f *Failures) OverLimit() bool {
	c := f.sum.canary.count
	if quiet := f.now().quiet; f.weight >= 1 {
		c.add(quiet.failed, quiet.failed)
	}
	return c.failed > c.total*f.metric.Errors.Limit()
}

// longestOutage is how long a release goes on while nothing at all is answered.
const longestOutage = 10

// Outage says whether no request was answered for so long that a release has to go
// back, whoever is to blame.
func (f *Failures) Outage() bool {
	d := f.now().dead
	return d.from >= 0 && d.to-d.from >= longestOutage
}

// Of are the requests of one version, and how many of them failed.
func (f *Failures) Of(v rollout.Side) (total, failed float64) {
	s := f.sum.of(v)
	return s.total, s.failed
}

// All is the number of requests, whoever answered them.
func (f *Failures) All() float64 {
	return f.sum.canary.total + f.sum.stable.total + f.sum.nobody.total
}

// usual is what was answered before any weight was written.
type usual struct {
	total        float64
	unattributed float64 // failures
	first, last  time.Time
}

func (u *usual) add(p Point) {
	if u.first.IsZero() {
		u.first = p.At
	}
	if p.At.After(u.last) {
		u.last = p.At
	}
	u.total += p.Total
	if p.Side == rollout.SideUnattributed {
		u.unattributed += p.Failed
	}
}

// rate is how many requests came a second; ok is false if they were counted for less
// than two seconds.
func (u usual) rate() (perSecond float64, ok bool) {
	seconds := u.last.Sub(u.first).Seconds()
	if u.first.IsZero() || seconds < 2 {
		return 0, false
	}
	return u.total / seconds, true
}
