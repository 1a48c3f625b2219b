// Package traffic measures a rollout from outside: it sends the probe stream
// through the entry point, measures each version's share and failures, and
// calls the judge.
//
// A Monitor implements loop.Traffic. It returns its data as values
// (Snapshot, Current); other packages display them.
//
// An answer counts for the weight at the time of its request, so a request open
// during a write does not count for the new weight.
package traffic

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/probe/expect"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/traffic/baseline"
	"github.com/candlefish/deploy-action/internal/traffic/entry"
	"github.com/candlefish/deploy-action/internal/traffic/pace"
	"github.com/candlefish/deploy-action/internal/traffic/pinned"
)

// Config configures what a Monitor sends and how it reads the answers.
type Config struct {
	URL        string        // of the entry point; without Paths, with the path to ask for
	Paths      []expect.Path // behind the URL
	Host       string        // the Host header where the URL names an address
	Fresh      bool          // each request opens a connection; see probe.Target
	More       []entry.Point // the other entry points; each shows a weight by its own answers
	GRPC       bool          // gRPC health checks; the paths name services
	Rate, Most int           // requests per second; Most while a weight is confirmed, 0 for the usual bound
	Timeout    time.Duration // of one request
	Version    string        // of this tool, for the User-Agent
	Marker     probe.Marker  // the place of the version in an answer; the zero Marker is discovered
	// ReplicaSet is that of the stable version's pods if the new version has the same
	// image, else "": then what an answer says of the version may be the same in both,
	// and only the pod's name is discovered.
	ReplicaSet string
	// ErrorRate is the maximum error rate, in percent, during the preparations;
	// above it the rollout stops before it writes any weight.
	ErrorRate float64
	// CountersURL is the URL of the gateway's own metrics, which confirm the
	// weights if answers carry no version; "" for none.
	CountersURL string
	// PreflightHeader is the header of test requests; its value is the record's
	// secret.
	PreflightHeader string
	// PreflightMark is the value of the same header in the canary's answers to them, if
	// the record asks the gateway to mark them.
	PreflightMark string
}

// A Monitor measures the traffic of one rollout.
type Monitor struct {
	cfg       Config
	record    *release.Record
	identity  Identity
	pace      pace.Pace
	stream    *probe.Stream
	cancel    context.CancelFunc
	changed   chan struct{}
	preflight preflight
	counters  *counters // replace a marker; nil unless needed
	checks    Checks

	mu         sync.Mutex
	plan       rollout.Plan
	steps      steps
	share      confirmation
	settled    entry.Settlement
	tests      *pinned.Tests
	judge      *judge // nil if the run only finishes an earlier one
	handedOver bool   // the user's Service and Deployment belong to the new version
	reverted   bool   // the sides are exchanged, and nothing is judged any more
	notifiedAt time.Time
	failing    int // failed answers since the last success
	relearning baseline.Relearning
}

// Checks runs one custom check at a weight; nil runs none. It may block.
type Checks func(check config.CustomCheck, weight int) analysis.Finding

// Start starts the stream against the entry point.
func Start(ctx context.Context, cfg Config, record *release.Record, id Identity) (*Monitor, error) {
	m := &Monitor{cfg: cfg, record: record, identity: id, pace: pace.Pace{Judging: cfg.Rate, Size: id.Size, Most: cfg.Most}, changed: make(chan struct{}, 1), preflight: newPreflight()}
	m.steps.tally, m.steps.tests = &probe.Tally{}, &probe.Tally{}
	if id.Why == "" { // else the gateway's counters count all entry points together
		m.share.pages = entry.Division{Pages: len(cfg.paths()), Points: cfg.entries()}
		m.settled.By = m.share.pages
	}
	m.identity.teach(record)
	ctx, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	m.stream, err = probe.Start(ctx, probe.Config{
		Target: cfg.target(""), Pages: cfg.pages(id), Pins: cfg.pins(record), Rate: cfg.Rate, Timeout: cfg.Timeout,
		Marker: id.Marker, Book: id.Book, Version: cfg.Version, OnAnswer: m.answer,
	})
	if err != nil {
		m.cancel()
		return nil, fmt.Errorf("start the probe stream: %w", err)
	}
	m.reverted = record.Reverted
	m.tests = pinned.New(m.stream, cfg.Rate, record.PreflightStable != "" && id.Why == "")
	if (id.Why == "" || record.MarkPreflight) && record.Preflight != "" {
		var marked []probe.Target
		for i := range cfg.entries() {
			target := cfg.at(i).target(cfg.paths()[0].Path)
			target.Header = http.Header{cfg.PreflightHeader: {record.Preflight}}
			marked = append(marked, target)
		}
		m.preflight.begin()
		go m.preflight.run(ctx, m, marked)
	}
	if id.Why != "" && cfg.CountersURL != "" {
		if m.counters, err = newCounters(ctx, cfg.CountersURL, record); err != nil {
			m.cancel()
			return nil, exit.Refuse("set gateway-metrics-url to the gateway's own metrics in the Prometheus text format", err.Error())
		}
		go m.counters.run(ctx, m)
	}
	return m, nil
}

// Stop ends the stream and waits for the open requests.
func (m *Monitor) Stop() {
	m.cancel()
	<-m.stream.Done()
}

// Follow sets the plan for the judge.
func (m *Monitor) Follow(p rollout.Plan) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plan = p
}

// Check sets the custom checks to run when a weight is confirmed.
func (m *Monitor) Check(checks Checks) { m.checks = checks }

// blind reports whether the versions cannot be distinguished.
func blind(m *Monitor) bool { return m.identity.Why != "" && m.counters == nil }

// Changed implements loop.Traffic.
func (m *Monitor) Changed() <-chan struct{} { return m.changed }

func (m *Monitor) notify() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// answer handles one answer of the stream.
func (m *Monitor) answer(a probe.Answer) {
	now := time.Now()
	if a.Pinned != "" {
		m.tested(a, now)
		return
	}
	m.steps.tally.Add(a)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing++; !a.Failed {
		m.failing = 0
	}
	if m.settled.Answer(a) {
		m.notify()
	}
	if !m.share.begun() {
		relearn(m, a.Value, a.Side)
		m.judge.answer(a, now) // also before any change, as the judge's baseline
		return
	}
	if a.Sent.Before(m.share.writtenAt) {
		return
	}
	a = attributed(m, a)
	if m.counters != nil {
		m.share.of[0].Unattributed()
	} else {
		if m.share.answer(a) {
			m.notify()
		}
		if !m.reverted && !m.share.downStill(a, m.plan.Replace) {
			m.judge.answer(a, now)
		}
	}
	// The judge's tests are valid at every answer, so a failure triggers an
	// evaluation immediately; without one, once a second is enough.
	if a.Failed || now.Sub(m.notifiedAt) >= time.Second {
		m.notifiedAt = now
		m.notify()
	}
}

// ActionDone implements loop.Traffic.
func (m *Monitor) ActionDone(a rollout.Action, s rollout.State, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch a.Kind {
	case rollout.KindScale:
		m.identity.teach(m.record) // now the canary's ReplicaSet is known
		if !s.Written {
			m.preflight.podsExist()
		}
	case rollout.KindWeight:
		if m.relearning.Changed {
			m.record.Markers = m.identity.Markers()
		}
		if m.identity.Recalled && !m.share.begun() {
			m.share.resume(a.Weight, at)
		} else {
			m.share.begin(a.Weight, at)
		}
		m.stream.SetRate(m.pace.Confirming(m.share.needed()))
		m.tests.Aim(a.Weight, at)
		m.steps.begin(Step{Weight: a.Weight, WrittenAt: at})
		m.steps.weights = append(m.steps.weights, WeightAt{At: at, Weight: a.Weight})
		m.judge.begin(s.Step, a.Weight, at)
	case rollout.KindHandOver:
		// From here on the route's weight is independent of the version: both sides
		// are the promoted pods.
		if !m.reverted {
			m.judge.keepRises(m.record)
		}
		m.tests.Aim(0, at)
		m.handedOver = true
		m.steps.begin(Step{Promotion: true, Reverted: s.Reverted, Weight: 100, WrittenAt: at})
	case rollout.KindWarm:
		m.settled = entry.Settlement{Since: at, By: m.settled.By}
		m.stream.SetRate(m.pace.Confirming(2 * settleAnswers * m.cfg.entries()))
	case rollout.KindUnwarm:
		m.settled.Since = time.Time{}
	case rollout.KindRevert:
		m.revert(at)
	case rollout.KindRoll:
		roll(m, s, a.Weight, at)
	case rollout.KindComplete, rollout.KindUndo:
		rolled(m, a.Weight, at)
	case rollout.KindUnroute:
		if !m.reverted {
			m.judge.keepRises(m.record)
		}
		if m.settled.Since.IsZero() {
			m.settled = entry.Settlement{Since: at, By: m.settled.By}
		}
	default: // the answers do not show the other actions
	}
}

// Annotate implements loop.Traffic.
func (m *Monitor) Annotate(o rollout.Observation, s rollout.State) rollout.Observation {
	m.mu.Lock()
	defer m.mu.Unlock()
	o.Preflight, o.Split, o.Verdict = m.preflight.state(), rollout.SplitPending, rollout.VerdictPending
	o.Alike = m.preflight.alike()
	if m.record.Preflight == "" {
		o.Preflight = rollout.SplitNone
	}
	o.Prewarming = m.tests.Prewarming(o.Now, o.CanaryWanted, len(m.cfg.paths())*m.cfg.entries())
	if blind(m) {
		o.Split = rollout.SplitBlind
	}
	o.OldAnswers, o.NewAnswers, o.CanaryAnswers = m.settled.Old, m.settled.Least(), m.share.canary
	o.SinceCanary, o.SinceStable = m.share.since, m.share.sinceStable
	step := m.steps.newest()
	if s.Stage == rollout.StageBake && (step == nil || !step.Bake) {
		m.handedOver, step = true, m.bake(o.Now)
	}
	if step == nil {
		if !m.plan.Replace && !m.identity.Recalled { // what fails already does not tell of the preparations
			o.Verdict, o.Reason = m.steps.preparing(m.cfg.ErrorRate)
		}
		return o
	}
	if !step.Promotion && !step.Bake {
		m.confirm(step, &o, s)
	}
	judged := s.Phase == rollout.PhaseProgressing || s.Phase == rollout.PhasePromoting || s.Phase == rollout.PhaseBaking
	if m.judge != nil && judged && !m.reverted {
		m.evaluate(step, &o, s)
	}
	return o
}

// bake judges the promoted version in one more step, the first one of some processes.
func (m *Monitor) bake(now time.Time) *Step {
	m.share.begin(100, now)
	m.stream.SetRate(m.cfg.Rate)
	m.steps.begin(Step{Bake: true, Weight: 100, WrittenAt: now})
	if m.judge != nil {
		m.judge.begin(len(m.plan.Steps), 100, now)
		m.judge.confirmed(now)
		m.startChecks(100)
	}
	return m.steps.newest()
}

// revert exchanges the sides: the warm version is the one whose share grows to
// 100 %.
func (m *Monitor) revert(at time.Time) {
	if !m.reverted {
		m.identity.Book.Swap()
	}
	m.reverted, m.settled = true, entry.Settlement{By: m.settled.By}
	m.record.Rises = nil // they are of the version that loses the traffic
	if m.judge != nil {
		m.record.Rises = m.judge.previous
	}
	m.share = confirmation{pages: m.share.pages}
	m.share.begin(100, at)
	m.stream.SetRate(m.pace.Confirming(m.share.needed()))
	m.steps.begin(Step{Reverted: true, Weight: 0, WrittenAt: at})
	m.steps.weights = append(m.steps.weights, WeightAt{At: at, Weight: 0})
}

// confirm records when the gateway and the answers followed the newest weight.
func (m *Monitor) confirm(step *Step, o *rollout.Observation, s rollout.State) {
	if step.Accepted == 0 && o.Accepted {
		step.Accepted = o.Now.Sub(step.WrittenAt)
	}
	if !step.Confirmed {
		step.Share = m.share.progress()
	}
	// A signal leaves no time for open requests, and the pods too.
	drains := step.Weight == 0 && !m.reverted && s.QuickBy.IsZero() && m.tests.Drains(o.Now)
	if blind(m) || !m.share.confirmed || drains {
		return
	}
	o.Split, o.Followed = rollout.SplitConfirmed, m.share.followed
	if step.Confirmed {
		return
	}
	step.Confirmed, step.Observed = true, o.Now.Sub(step.WrittenAt)
	m.stream.SetRate(m.cfg.Rate)
	m.steps.confirmed(step, o.Now)
	if m.judge != nil {
		m.judge.confirmed(o.Now)
		m.startChecks(step.Weight)
	}
}

// evaluate adds the judge's verdict on the step.
func (m *Monitor) evaluate(step *Step, o *rollout.Observation, s rollout.State) {
	moment := analysis.Moment{Now: o.Now, Dwell: m.plan.DwellFor(s)}
	switch s.Stage {
	case rollout.StageDwell, rollout.StageBake:
		moment.Elapsed = o.Now.Sub(s.Since)
		step.Dwell = moment.Elapsed
	case rollout.StagePause, rollout.StageHold, rollout.StageKept:
		moment.Elapsed = moment.Dwell
	default: // the end of the dwell is not near
	}
	result := m.judge.Look(moment)
	o.Verdict, o.Reason, o.Policy = result.Verdict, result.Reason, result.Policy
	// After the dwell the judge continues until the next weight is written; then
	// only a failure changes the step's verdict.
	over := s.Stage == rollout.StageScale || s.Stage == rollout.StageReady || s.Stage == rollout.StageWeight
	if !over || result.Verdict == rollout.VerdictFailed {
		step.Verdict = result
	}
}

// startChecks starts the custom checks of a step in the background. The judge
// gets their results while it judges that step.
func (m *Monitor) startChecks(weight int) {
	if m.checks == nil {
		return
	}
	for _, check := range m.judge.Due() {
		go func() {
			f := m.checks(check, weight)
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.judge != nil && m.share.weight == weight {
				m.judge.Custom(f)
				m.notify()
			}
		}()
	}
}
