package traffic

import (
	"github.com/candlefish/deploy-action/internal/probe"
)

// Counts are the answers of one side: how many, how many failed, and the
// latencies of those that did not.
type Counts = probe.SideCounts

// A Snapshot is all that a monitor has seen so far. It is a value.
type Snapshot struct {
	Steps   []Step
	Weights []WeightAt
	Total   probe.Counts
	Stats   probe.Stats
	// Why says why answers do not tell the versions apart, "" when they do.
	Why string
	// Evidence is what confirmations were read off, such as
	// "header:X-Version"; Counters that it is the gateway's counters.
	Evidence string
	Counters bool
}

// Snapshot returns what was seen so far.
func (m *Monitor) Snapshot() Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Snapshot{Total: m.steps.tally.Total(), Stats: m.stream.Stats(), Why: m.identity.Why, Evidence: m.identity.Marker.String(), Counters: m.counters != nil}
	if s.Counters {
		s.Evidence = "the gateway's request counters"
	}
	s.Weights = append(s.Weights, m.steps.weights...)
	for _, step := range m.steps.list {
		c := *step
		c.Counts = m.steps.counts(step)
		s.Steps = append(s.Steps, c)
	}
	return s
}

// Current returns the step that runs with its counts; ok is false before the
// first weight, and the counts are then those so far.
func (m *Monitor) Current() (step Step, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := m.steps.newest()
	if newest == nil {
		return Step{Counts: m.steps.tally.Step(probe.Before)}, false
	}
	step = *newest
	step.Counts = m.steps.counts(newest)
	return step, true
}

// RateBefore is how many requests a second a metric saw before the first weight; ok is
// false where nothing is judged or nothing was seen.
func (m *Monitor) RateBefore(metric string) (perSecond float64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.judge == nil {
		return 0, false
	}
	return m.judge.RateBefore(metric)
}
