package traffic

import (
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/traffic/pinned"
)

// Counts are the counts of one side's answers and failures, and the latencies
// of the successful ones.
type Counts = probe.SideCounts

// A Snapshot is a copy of everything that a monitor has measured so far.
type Snapshot struct {
	Steps   []Step
	Weights []WeightAt
	Total   probe.Counts
	Stats   probe.Stats
	// Failing counts the failed answers since the last success.
	Failing int
	// Why is the reason why the versions cannot be distinguished, "" if they can.
	Why string
	// Evidence is the source of the confirmations, such as "header:X-Version";
	// Counters says that it is the gateway's request counters.
	Evidence string
	Counters bool
	// Tests are the requests that were sent to one version alone since the first
	// weight, by that version; Total has none of them.
	Tests probe.Counts
	// Tested: the gateway was asked for such requests.
	Tested  bool
	Prewarm *pinned.Prewarm // nil for none
}

// Snapshot returns the measurements so far.
func (m *Monitor) Snapshot() Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Snapshot{Total: m.steps.tally.Total(), Stats: m.stream.Stats(), Failing: m.failing, Why: m.identity.Why, Evidence: m.identity.Marker.String(), Counters: m.counters != nil}
	if s.Counters {
		s.Evidence = "the gateway's request counters"
	}
	s.Tests, s.Tested, s.Prewarm = m.steps.tests.Total(), m.tests.Possible, m.tests.Prewarm()
	s.Weights = append(s.Weights, m.steps.weights...)
	for _, step := range m.steps.list {
		s.Steps = append(s.Steps, m.steps.view(step))
	}
	return s
}

// Current returns the running step with its counts; before the first weight ok
// is false and the counts are those so far.
func (m *Monitor) Current() (step Step, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := m.steps.newest()
	if newest == nil {
		return Step{Counts: m.steps.tally.Step(probe.Before)}, false
	}
	return m.steps.view(newest), true
}

// RateBefore returns a metric's requests per second before the first weight; ok
// is false if there is no judge or no traffic.
func (m *Monitor) RateBefore(metric string) (perSecond float64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.judge == nil {
		return 0, false
	}
	return m.judge.RateBefore(metric)
}
