package traffic

import (
	"net/http"
	"time"

	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/traffic/pinned"
)

// preflighted records that test requests reach the canary, and starts to warm it.
func (m *Monitor) preflighted() {
	m.mu.Lock()
	defer m.mu.Unlock()
	most := m.plan.Prewarm
	if m.share.begun() || m.identity.Recalled {
		most = 0
	}
	m.tests.Reached(time.Now(), most, m.pace.Confirming(2*m.cfg.Rate))
	m.preflight.set(rollout.SplitConfirmed)
}

// Prewarm returns how the canary was warmed, nil before the end and without it.
func (m *Monitor) Prewarm() *pinned.Prewarm {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tests.Prewarm()
}

// tested handles the answer to a request that was sent to one version alone.
func (m *Monitor) tested(a probe.Answer, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.share.begun() {
		if m.tests.Warm(a, m.identity.Marker.Pod, m.identity.Why == "", now) {
			m.notify()
		}
		return
	}
	if m.tests.Closed() {
		m.notify() // somebody may wait for the open ones
	}
	if !m.tests.Answer(a) {
		return
	}
	own := a
	own.Side = a.Pinned
	m.steps.tests.Add(own)
	if a.Sent.Before(m.share.writtenAt) || m.reverted || m.handedOver {
		return
	}
	m.judge.answer(a, now)
	if a.Failed {
		m.notifiedAt = now
		m.notify()
	}
}

// Preflighted reports whether test requests were seen to reach the canary through the
// entry point.
func Preflighted(m *Monitor) bool { return m.preflight.state() == rollout.SplitConfirmed }

// Stranger says who else than the canary gave an answer to a test request, "" if it
// may be the canary.
func Stranger(m *Monitor, header http.Header, body []byte) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.record.MarkPreflight && header.Get(m.cfg.PreflightHeader) != m.cfg.PreflightMark:
		return "the stable version: the gateway did not mark it"
	case !m.record.MarkPreflight && m.identity.Book.Side(m.identity.Marker.Value(header, body)) == rollout.SideStable:
		return "the stable version"
	}
	return ""
}
