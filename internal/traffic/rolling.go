package traffic

import (
	"time"

	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// roll starts the measurement of a rolling update after its controller was asked for
// more new pods, of which the entry point gives weight percent of the requests if it
// spreads them evenly.
func roll(m *Monitor, s rollout.State, weight int, at time.Time) {
	m.identity.teach(m.record) // now the new revision is known
	if m.relearning.Changed {
		m.record.Markers = m.identity.Markers()
	}
	presence(m, weight, at)
	m.steps.begin(Step{Number: s.Step + 1, Pods: s.Pods, Weight: weight, WrittenAt: at})
	if m.judge != nil && blind(m) {
		m.judge.begin(s.Step, 100, at) // nothing is known to be stable's, so there is nothing to compare with
		m.judge.confirmed(at)
		return
	}
	m.judge.begin(s.Step, weight, at)
}

// rolled starts the time in which the pods without the weight stop: 100 for the new
// version, 0 for the recorded one.
func rolled(m *Monitor, weight int, at time.Time) {
	presence(m, weight, at)
	m.steps.begin(Step{Promotion: weight > 0, Weight: weight, WrittenAt: at})
	m.judge.begin(0, 0, at) // ends the points of the step before
}

// presence begins a weight that one answer by the new version confirms.
func presence(m *Monitor, weight int, at time.Time) {
	m.share.begin(weight, at)
	m.share.presence = true
	m.steps.weights = append(m.steps.weights, WeightAt{At: at, Weight: weight})
}

// attributed returns an answer for a judge that cannot tell the versions apart: during
// a rolling update all answers are by the workload that has new pods.
func attributed(m *Monitor, a probe.Answer) probe.Answer {
	if m.share.presence && m.share.weight > 0 && blind(m) {
		a.Side = rollout.SideCanary
	}
	return a
}
