package traffic

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// preflightAnswers is the number of consecutive test requests that the canary
// has to answer at each entry point. Each uses a new connection: a gateway may have replicas.
const preflightAnswers = 10

// preflightInterval is the interval between test requests.
const preflightInterval = 25 * time.Millisecond

// A preflight sends test requests through the gateway to the canary before it
// gets traffic. It checks only that the canary answers, not what.
type preflight struct {
	pods chan struct{} // closed when the canary was scaled up
	once *sync.Once
	at   *preflightState
}

type preflightState struct {
	mu    sync.Mutex
	split rollout.Split
	same  string // what the newest answer has in common with stable's
}

func newPreflight() preflight {
	return preflight{pods: make(chan struct{}), once: &sync.Once{}, at: &preflightState{split: rollout.SplitBlind}}
}

// begin announces test requests; without it the state is SplitBlind.
func (p preflight) begin() { p.set(rollout.SplitPending) }

func (p preflight) podsExist() { p.once.Do(func() { close(p.pods) }) }

func (p preflight) set(s rollout.Split) {
	p.at.mu.Lock()
	defer p.at.mu.Unlock()
	p.at.split = s
}

// state reports whether test requests reach the canary.
func (p preflight) state() rollout.Split {
	p.at.mu.Lock()
	defer p.at.mu.Unlock()
	return p.at.split
}

// alike returns what the newest answer to a test request has in common with stable's.
func (p preflight) alike() string {
	p.at.mu.Lock()
	defer p.at.mu.Unlock()
	return p.at.same
}

// compare notes what an answer to a test request has in common with stable's.
func compare(m *Monitor, sample probe.Sample) {
	same := ""
	if id := m.identity; !m.record.MarkPreflight && !id.Marker.Pod && !probe.Failed(sample.Status, id.Status) {
		if value := id.Marker.Value(sample.Header, sample.Body); id.Book.Side(value) == rollout.SideStable {
			same = fmt.Sprintf("%s %q", id.Marker, value)
		}
	}
	m.preflight.at.mu.Lock()
	defer m.preflight.at.mu.Unlock()
	if m.preflight.at.same != same {
		m.preflight.at.same = same
		m.notify()
	}
}

// run sends test requests, once the canary is scaled up, until it answers.
func (p preflight) run(ctx context.Context, m *Monitor, marked []probe.Target) {
	select {
	case <-ctx.Done():
		return
	case <-p.pods:
	}
	tick := time.NewTicker(preflightInterval)
	defer tick.Stop()
	for row := (samples{}); len(row.headers) < preflightAnswers*len(marked); {
		sample, ok := m.ask(ctx, marked[len(row.headers)%len(marked)])
		if !ok {
			row = samples{}
		} else {
			row.headers, row.bodies = append(row.headers, sample.Header), append(row.bodies, sample.Body)
		}
		if len(row.headers) == preflightAnswers*len(marked) {
			m.learnLate(row)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	m.preflighted()
	m.notify()
}

// samples are the canary's answers in a row.
type samples struct {
	headers []http.Header
	bodies  [][]byte
}

// ask sends one request on a new connection. It reports whether the canary
// answered: by the gateway's mark, or by the version marker.
func (m *Monitor) ask(ctx context.Context, t probe.Target) (probe.Sample, bool) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	sample, err := probe.Fetch(ctx, t, m.cfg.Version)
	if err != nil {
		return sample, false
	}
	if m.record.MarkPreflight {
		return sample, sample.Header.Get(m.cfg.PreflightHeader) == m.cfg.PreflightMark && !probe.Failed(sample.Status, m.identity.Status)
	}
	compare(m, sample)
	return sample, m.identity.Book.Side(m.identity.Marker.Value(sample.Header, sample.Body)) == rollout.SideCanary
}

// learnLate learns the canary's values from its answers to test requests.
func (m *Monitor) learnLate(row samples) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := &m.identity
	if !id.Late {
		return
	}
	if id.Marker.String() == "" {
		marker, _, err := m.cfg.discover(row.headers, m.record.Canary.ReplicaSet)
		if err != nil {
			id.Why = err.Error()
			return
		}
		id.Marker = marker
		if marker.Pod {
			id.Book.Strict()
			id.teach(m.record)
		}
	}
	for i := range row.headers {
		id.Book.Learn(rollout.SideCanary, id.Marker.Value(row.headers[i], row.bodies[i]))
	}
	m.stream.Mark(id.Marker)
	m.record.Markers = id.Markers()
}
