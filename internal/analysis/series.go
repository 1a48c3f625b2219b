package analysis

import (
	"math"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
)

// A series is one metric in the current step. It decides which points belong to the
// step, and keeps what they say by kind: failures, latencies and gauges.
type series struct {
	config.Metric
	began     time.Time // of the step
	confirmed time.Time // when answers showed its weight; zero before
	weight    float64   // share of traffic to the canary
	last      float64   // weight of the step before

	newest    map[rollout.Side]time.Time // of all points, of any step
	failures  *evidence.Failures
	latencies *evidence.Latencies
	gauges    *evidence.Gauges
	strongest strongest
	before    level // of the step before
	rises     []Rise

	problem   string // why the source could not be read last time
	problemAt time.Time
	nonsense  string // the first point of the step that had impossible numbers
}

// A level is the canary's median latency in one step; 0 if it is not known.
type level struct {
	weight int
	median float64
}

func newSeries(m config.Metric) *series {
	s := &series{Metric: m, newest: map[rollout.Side]time.Time{}, strongest: strongest{}}
	s.failures = evidence.NewFailures(&s.Metric)
	s.latencies = evidence.NewLatencies(&s.Metric)
	s.gauges = evidence.NewGauges(&s.Metric)
	return s
}

// begin forgets what belongs to the step before. Gauges and the times of the
// newest points stay.
func (s *series) begin(at time.Time, weight float64) {
	if r, ok := s.rise(); ok {
		s.rises = append(s.rises, r)
	}
	s.before, s.last = s.level(), s.weight
	s.gauges.Begin(at, s.began.IsZero())
	s.began, s.confirmed, s.weight, s.nonsense = at, time.Time{}, weight, ""
	s.failures.Begin(at, weight)
	s.latencies.Begin(at)
	s.strongest = strongest{}
}

// level is that of the current step.
func (s *series) level() level {
	canary := s.latencies.Of(rollout.SideCanary)
	if canary.Total() < s.MinSamples {
		return level{}
	}
	return level{int(math.Round(100 * s.weight)), canary.Quantile(.5)}
}

func (s *series) add(p Point) {
	switch p.Side {
	case rollout.SideCanary, rollout.SideStable, rollout.SideUnattributed:
	default:
		return
	}
	if err := p.Check(); err != nil {
		s.nonsense = err.Error()
		return
	}
	from := s.newest[p.Side]
	if p.At.After(from) {
		s.newest[p.Side] = p.At
	}
	s.problem = ""
	if p.Value != nil && p.Side == rollout.SideCanary { // stable's only show that the source tells the versions apart
		s.gauges.Add(p)
	}
	switch {
	case s.began.IsZero():
		s.failures.Before(p)
	case inside(from, p.At, s.began):
		s.failures.Add(p)
		if !s.confirmed.IsZero() && inside(from, p.At, s.confirmed) {
			s.latencies.Add(p)
		}
	}
}

// inside says whether all of what a point is about, from the one before it, came
// after a moment. What was never there before can't have been before.
func inside(from, at, moment time.Time) bool {
	return !from.Before(moment) || from.IsZero() && at.After(moment)
}

// look compares the latencies if they are judged and count already. A warm-up that is
// over by then ends.
func (s *series) look(m Moment, warm time.Time) {
	if s.Latency == nil || s.confirmed.IsZero() {
		return
	}
	if !m.Now.Before(warm) {
		s.latencies.Warm(warm)
	}
	s.latencies.Look(m.Elapsed)
}

// numbers are what was measured of one version.
func (s *series) numbers(v rollout.Side) Numbers {
	var n Numbers
	n.Total, n.Failed = s.failures.Of(v)
	if n.Total > 0 {
		n.ErrorRate = n.Failed / n.Total
	}
	n.ErrorLow, n.ErrorHigh = stat.ShareInterval(int(math.Round(n.Failed)), int(math.Round(n.Total)), .95)
	if v != rollout.SideUnattributed {
		h := s.latencies.Of(v)
		n.P50, n.P95, n.P99 = h.Quantile(.5), h.Quantile(.95), h.Quantile(.99)
	}
	return n
}

// measured are the numbers of both versions.
func (s *series) measured() Measured {
	_, lost := s.failures.Of(rollout.SideUnattributed)
	return Measured{Metric: s.Name, Canary: s.numbers(rollout.SideCanary), Stable: s.numbers(rollout.SideStable), Unattributed: lost}
}

// strongest is the most evidence that each check has had against the canary in a step.
type strongest map[Check]float64

// p turns evidence into a p-value that never rises again within the step.
func (e strongest) p(check Check, now float64) float64 {
	e[check] = max(e[check], now)
	return stat.PValue(e[check])
}
