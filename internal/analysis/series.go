package analysis

import (
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
)

// A series is one metric in the current step. It decides which points belong to the
// step, and keeps what they say by kind: counts, latencies and gauges.
type series struct {
	config.Metric
	began     time.Time // of the step
	confirmed time.Time // when answers showed its weight; zero before
	weight    float64   // share of traffic to the canary

	newest    map[rollout.Side]time.Time // of all points, of any step
	counts    *counts
	latencies *latencies
	gauges    *gauges
	evidence  strongest

	problem   string // why the source could not be read last time
	problemAt time.Time
}

func newSeries(m config.Metric) *series {
	s := &series{Metric: m, newest: map[rollout.Side]time.Time{}}
	s.counts = &counts{metric: &s.Metric}
	s.latencies = &latencies{metric: &s.Metric}
	s.gauges = &gauges{metric: &s.Metric, subjects: map[string]*gauge{}}
	s.begin(time.Time{}, 0, nil)
	return s
}

// begin forgets what belongs to the step before. Gauges and the times of the
// newest points stay. Previous is what the last release showed in the same step.
func (s *series) begin(at time.Time, weight float64, previous []stat.HistBlock) {
	s.began, s.confirmed, s.weight = at, time.Time{}, weight
	s.counts.begin(weight)
	s.latencies.begin(at, weight, previous)
	s.gauges.begin()
	s.evidence = strongest{}
}

func (s *series) add(p Point) {
	switch p.Side {
	case rollout.SideCanary, rollout.SideStable, rollout.SideUnattributed:
	default:
		return
	}
	from := s.newest[p.Side]
	if p.At.After(from) {
		s.newest[p.Side] = p.At
	}
	s.problem = ""
	if p.Value != nil && p.Side == rollout.SideCanary { // stable's only show that the source tells the versions apart
		s.gauges.add(p)
	}
	switch {
	case s.began.IsZero():
		s.counts.before.add(p)
	case inside(from, p.At, s.began):
		s.counts.add(p)
		if !s.confirmed.IsZero() && inside(from, p.At, s.confirmed) {
			s.latencies.add(p)
		}
	}
}

// inside says whether all of what a point is about, from the one before it, came
// after a moment. What was never there before can't have been before.
func inside(from, at, moment time.Time) bool {
	return !from.Before(moment) || from.IsZero() && at.After(moment)
}

// look compares the latencies if they are judged and count already.
func (s *series) look(elapsed time.Duration) {
	if s.Latency != nil && !s.confirmed.IsZero() {
		s.latencies.look(elapsed)
	}
}

// numbers are what was measured of one version.
func (s *series) numbers(v rollout.Side) Numbers {
	n := s.counts.numbers(v)
	h := s.latencies.of(v)
	n.P50, n.P95, n.P99 = h.Quantile(.5), h.Quantile(.95), h.Quantile(.99)
	return n
}

// measured are the numbers of both versions.
func (s *series) measured() Measured {
	m := Measured{Metric: s.Name, Canary: s.numbers(rollout.SideCanary), Stable: s.numbers(rollout.SideStable), Unattributed: s.counts.unattributed.failed}
	if s.latencies.standIn() {
		m.Against = "previous"
	}
	return m
}

// strongest is the most evidence that each check has had against the canary in a step.
type strongest map[Check]float64

// p turns evidence into a p-value that never rises again within the step.
func (e strongest) p(check Check, now float64) float64 {
	e[check] = max(e[check], now)
	return stat.PValue(e[check])
}

// share is the canary's share of the requests: as it is asked for, while few have
// come, and then as it is.
func share(weight, canary, stable float64) float64 {
	const few = 20
	return (weight*few + canary) / (few + canary + stable)
}
