package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source/gateway"
	"github.com/candlefish/deploy-action/internal/stat"
)

// A traffic is the probe stream of one rollout with what it learns from the
// answers: which version serves what share, whether requests fail, and the
// judge's verdict. It implements rollout.Traffic.
//
// An answer counts for the weight that was in force when its request was
// sent, so an answer under way during a write is not blamed on the new weight.
type traffic struct {
	cfg    Config
	plan   rollout.Plan
	book   *probe.Book
	mark   probe.Marker
	tally  probe.Tally
	stream *probe.Stream
	cancel context.CancelFunc
	why    string // why versions cannot be told apart, "" when they can

	record   *kube.Record
	counters *counters     // stand in for a marker; nil unless needed
	sized    chan struct{} // closed when the canary's slot exists

	changed chan struct{}
	// ask runs a custom check at a weight; nil where none is to be run.
	ask func(config.CustomCheck, int) analysis.Finding

	mu         sync.Mutex
	parts      int // of the tally
	steps      []*stepRecord
	weights    []weightAt
	share      int       // the weight that was written last
	writtenAt  time.Time // answers sent before belong to what was before
	confirmer  *stat.Confirmer
	judge      *judging // nil where an earlier run is brought to its end
	confirmed  bool
	followed   time.Time // when the gateway likely began to follow the weight
	countErr   error     // of the newest reading of the counters
	warmAt     time.Time
	old, new   int
	notifiedAt time.Time
	reach      rollout.Split // whether marked requests reach the canary
}

// A weightAt is one weight and when it was written.
type weightAt struct {
	At     time.Time
	Weight int
}

// A stepRecord is what is known of one weight from its write to the next.
type stepRecord struct {
	key       int // of the tally, from the write on
	seenKey   int // of the tally, from when answers showed the weight; 0 before
	Name      string
	Weight    int
	WrittenAt time.Time
	Accepted  time.Duration // from the write; 0 while unknown
	Observed  time.Duration
	DwellFrom time.Time
	Dwell     time.Duration
	Split     stat.Progress
	Confirmed bool
	Verdict   analysis.Result
}

// A markerRecord is what a later process needs to read this run's answers.
type markerRecord struct {
	Marker string   `json:"marker"`
	Stable []string `json:"stable,omitempty"`
	Canary []string `json:"canary,omitempty"`
	Status int      `json:"status"`
}

// baselineAnswers is how many answers of the stable version are looked at
// before anything is changed.
const baselineAnswers = 20

// probe starts the stream against the entry point. When an earlier run is
// resumed the marker is taken from its record: what stable says of itself
// cannot be learnt while two versions answer.
func (r *run) probe(ctx context.Context, entry kube.EntryPoint, record *kube.Record, resumed bool) (*traffic, error) {
	t := &traffic{cfg: r.cfg, changed: make(chan struct{}, 1), record: record,
		sized: make(chan struct{}), reach: rollout.SplitBlind}
	target := probe.Target{URL: strings.TrimSuffix(entry.URL, "/") + r.cfg.ProbePath, Host: entry.Host}
	status := 0
	if resumed && len(record.Marker) > 0 {
		var m markerRecord
		if err := json.Unmarshal(record.Marker, &m); err != nil {
			return nil, fmt.Errorf("read the version marker of run %s: %w", record.Run, err)
		}
		var err error
		if t.mark, err = probe.ParseMarker(m.Marker); m.Marker != "" && err != nil {
			return nil, fmt.Errorf("read the version marker of run %s: %w", record.Run, err)
		}
		t.book = &probe.Book{}
		t.book.Learn(rollout.SideStable, m.Stable...)
		t.book.Learn(rollout.SideCanary, m.Canary...)
		status = m.Status
	} else if !resumed {
		var err error
		if status, err = t.learn(ctx, target); err != nil {
			return nil, err
		}
	}
	if t.book == nil {
		t.book = &probe.Book{}
	}
	if t.mark.String() == "" && t.why == "" {
		t.why = "the earlier run could not tell the versions apart"
	}
	t.teach()
	ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	t.stream, err = probe.Start(ctx, probe.Config{
		Target: target, Rate: r.cfg.ProbeRate, Timeout: r.cfg.ProbeTimeout,
		Marker: t.mark, Book: t.book, Baseline: status, Version: Version, OnAnswer: t.answer,
	})
	if err != nil {
		t.cancel()
		return nil, fmt.Errorf("start the probe stream: %w", err)
	}
	if t.why == "" && record.Reach != "" {
		t.reach = rollout.SplitPending
		marked := target
		marked.Header = http.Header{kube.ReachHeader: {record.Reach}}
		go t.reachOut(ctx, marked)
	}
	if t.why != "" && r.cfg.MetricsURL != "" {
		t.counters = &counters{
			source: gateway.Source{URL: r.cfg.MetricsURL, Namespace: record.Namespace},
			names:  []string{record.Service, record.SecondName()},
		}
		if _, err := t.counters.source.Read(ctx, t.counters.names...); err != nil {
			t.cancel()
			return nil, exit.Refuse("gateway-metrics-url names the gateway's own metrics in Prometheus' text format", err.Error())
		}
		go t.count(ctx, t.counters)
	}
	return t, nil
}

// reachAnswers is how many marked requests in a row have to be answered by the
// canary. Each is sent on a connection of its own: a gateway may have replicas.
const reachAnswers = 10

// reachOut asks for the canary through the gateway, once it has pods, until it
// answers. What it answers is not judged here: it is the canary that answers.
func (t *traffic) reachOut(ctx context.Context, marked probe.Target) {
	select {
	case <-ctx.Done():
		return
	case <-t.sized:
	}
	tick := time.NewTicker(reachInterval)
	defer tick.Stop()
	for row := 0; row < reachAnswers; {
		attempt, cancel := context.WithTimeout(ctx, t.cfg.ProbeTimeout)
		sample, err := probe.Fetch(attempt, marked, Version)
		cancel()
		if err == nil && t.book.Side(t.mark.Value(sample.Header, sample.Body)) == rollout.SideCanary {
			row++
		} else {
			row = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	t.mu.Lock()
	t.reach = rollout.SplitConfirmed
	t.mu.Unlock()
	t.notify()
}

// reachInterval is the time between two marked requests.
const reachInterval = 25 * time.Millisecond

// learn asks the entry point a few times before the change and finds what
// tells stable's answers from others. It returns the status they have.
func (t *traffic) learn(ctx context.Context, target probe.Target) (int, error) {
	var headers []http.Header
	var bodies [][]byte
	status := 0
	for range baselineAnswers {
		attempt, cancel := context.WithTimeout(ctx, t.cfg.ProbeTimeout)
		sample, err := probe.Fetch(attempt, target, Version)
		cancel()
		if err != nil {
			return 0, exit.Refuse("set probe-url to where users' requests come in, probe-path to a page that always works", fmt.Sprintf("the stable version does not answer at the entry point %s: %v", target.URL, err))
		}
		if sample.Status >= 400 || status != 0 && sample.Status != status {
			return 0, exit.Refuse("set probe-path to a page that always works", fmt.Sprintf("the stable version answers %s with status %d before any change", target.URL, sample.Status))
		}
		status = sample.Status
		headers, bodies = append(headers, sample.Header), append(bodies, sample.Body)
	}
	switch {
	case t.cfg.VersionBody != nil:
		t.mark = probe.Marker{Body: t.cfg.VersionBody}
	case t.cfg.VersionHeader != "":
		m, err := probe.ParseMarker(t.cfg.VersionHeader)
		if err != nil {
			return 0, exit.Refuse("", "version-header: "+err.Error())
		}
		t.mark = m
	default:
		var err error
		if t.mark, t.book, err = probe.Discover(headers, nil); err != nil {
			if !errors.Is(err, probe.ErrNoMarker) {
				return 0, err
			}
			t.why = err.Error()
		}
		return status, nil
	}
	t.book = &probe.Book{}
	for i := range headers {
		value := t.mark.Value(headers[i], bodies[i])
		if value == "" {
			return 0, exit.Refuse("", fmt.Sprintf("the stable version's answers do not carry %s", t.mark))
		}
		t.book.Learn(rollout.SideStable, value)
	}
	return status, nil
}

// teach tells a marker that holds pod names which pods are whose.
func (t *traffic) teach() {
	if !t.mark.Pod {
		return
	}
	t.book.LearnPrefix(rollout.SideStable, t.record.Stable.ReplicaSet+"-")
	if t.record.Canary.ReplicaSet != "" {
		t.book.LearnPrefix(rollout.SideCanary, t.record.Canary.ReplicaSet+"-")
	}
}

// marker is what is recorded for a process that has to go on.
func (t *traffic) marker() json.RawMessage {
	raw, err := json.Marshal(markerRecord{Marker: t.mark.String(), Stable: t.book.Values(rollout.SideStable), Canary: t.book.Values(rollout.SideCanary)})
	if err != nil {
		panic("deploy: encode strings: " + err.Error())
	}
	return raw
}

// answer takes one answer from the stream.
func (t *traffic) answer(a probe.Answer) {
	t.tally.Add(a)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.warmAt.IsZero() && !a.Sent.Before(t.warmAt) {
		switch a.Side {
		case rollout.SideStable:
			t.old++
		case rollout.SideCanary:
			t.new++
		}
		if t.old == 1 || t.new%10 == 0 {
			t.notify()
		}
	}
	if t.writtenAt.IsZero() {
		if t.judge != nil { // what is usual before any change
			t.judge.answer(a, time.Now())
		}
		return
	}
	if a.Sent.Before(t.writtenAt) {
		return
	}
	if a.Side == rollout.SideUnattributed || t.counters != nil {
		t.confirmer.Unattributed()
	} else {
		confirmed := t.confirmer.Observe(a.Side == rollout.SideCanary)
		if !t.confirmed && t.confirmer.Run() <= 1 {
			t.followed = a.Sent
		}
		if confirmed && !t.confirmed {
			t.confirmed = true
			t.notify()
		}
	}
	now := time.Now()
	if t.judge != nil && t.counters == nil {
		t.judge.answer(a, now)
	}
	// The judge's tests are valid at every answer, so a failure is looked
	// at when it comes; without one a look a second is enough.
	if a.Failed || now.Sub(t.notifiedAt) >= time.Second {
		t.notifiedAt = now
		t.notify()
	}
}

func (t *traffic) notify() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// Changed implements rollout.Traffic.
func (t *traffic) Changed() <-chan struct{} { return t.changed }

// Written implements rollout.Traffic.
func (t *traffic) Written(a rollout.Action, s rollout.State, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch a.Kind {
	case rollout.KindScale:
		t.teach() // the canary's ReplicaSet is known now
		if s.Sized == 0 {
			close(t.sized)
		}
	case rollout.KindWeight:
		name := fmt.Sprintf("%d %%", a.Weight)
		if a.Weight == 0 {
			name = "back to stable"
		}
		t.begin(name, a.Weight, at)
		if t.judge != nil {
			t.judge.begin(s.Step, a.Weight, at)
		}
	case rollout.KindHandOver:
		// From here the weight of the route says nothing about versions:
		// both sides are the promoted pods.
		t.keepBaselines()
		t.tallyFrom(promotionStep, 100, at)
	case rollout.KindWarm:
		t.warmAt, t.old, t.new = at, 0, 0
	case rollout.KindUnwarm:
		t.warmAt = time.Time{}
	}
}

// begin starts the record of a weight that answers will show.
func (t *traffic) begin(name string, weight int, at time.Time) {
	t.confirmer = stat.NewConfirmer(float64(t.share)/100, float64(weight)/100)
	t.confirmed, t.followed = false, time.Time{}
	t.share, t.writtenAt = weight, at
	t.weights = append(t.weights, weightAt{At: at, Weight: weight})
	t.tallyFrom(name, weight, at)
}

// begun begins the next part of the tally and returns its key, from 1.
func (t *traffic) begun(at time.Time) int {
	t.parts++
	t.tally.Begin(t.parts, at)
	return t.parts
}

// since is everything that was answered since the weight was written.
func (t *traffic) since(s *stepRecord) probe.Counts {
	c := t.tally.Step(s.key)
	if s.seenKey > 0 {
		c = c.Merge(t.tally.Step(s.seenKey))
	}
	return c
}

// promotionStep names the time after the last step, in which the two sides of
// the route are the same pods.
const promotionStep = "promotion"

// tallyFrom counts the answers sent from at on under a name of their own.
func (t *traffic) tallyFrom(name string, weight int, at time.Time) {
	t.steps = append(t.steps, &stepRecord{key: t.begun(at), Name: name, Weight: weight, WrittenAt: at})
}

// Fill implements rollout.Traffic.
func (t *traffic) Fill(o rollout.Observation, s rollout.State) rollout.Observation {
	t.mu.Lock()
	defer t.mu.Unlock()
	o.Reach, o.Split, o.Verdict = t.reach, rollout.SplitPending, rollout.VerdictPending
	blind := t.why != "" && t.counters == nil
	if blind {
		o.Split = rollout.SplitBlind
	}
	o.OldAnswers, o.NewAnswers = t.old, t.new
	if len(t.steps) == 0 {
		// Nothing but preparations: what fails now fails because of them.
		if c := t.tally.Step(probe.Before); c.Total() >= baselineAnswers && 100*float64(c.Failed()) > t.cfg.ErrorRate*float64(c.Total()) {
			o.Verdict, o.Reason = rollout.VerdictFailed, fmt.Sprintf("%d of %d requests failed before any weight was written", c.Failed(), c.Total())
		}
		return o
	}
	step := t.steps[len(t.steps)-1]
	if s.Phase == rollout.PhasePromoting && s.Stage != rollout.StageDrain {
		return o
	}
	if step.Accepted == 0 && o.Accepted {
		step.Accepted = o.Now.Sub(step.WrittenAt)
	}
	if !step.Confirmed {
		step.Split = t.confirmer.Progress()
	}
	if !blind && t.confirmed {
		o.Split, o.Followed = rollout.SplitConfirmed, t.followed
		if !step.Confirmed {
			step.Confirmed, step.Observed = true, o.Now.Sub(step.WrittenAt)
			step.Split = t.confirmer.Progress()
			step.seenKey = t.begun(o.Now)
			if t.judge != nil {
				t.judge.confirmed(o.Now)
				t.startChecks(step.Weight)
			}
		}
	}
	if t.judge == nil || s.Phase != rollout.PhaseProgressing {
		return o
	}
	var elapsed, dwell time.Duration = 0, t.plan.Steps[s.Step].Dwell * time.Duration(1+s.Extensions)
	if s.Stage == rollout.StageDwell {
		elapsed = o.Now.Sub(s.Since)
		step.DwellFrom, step.Dwell = s.Since, elapsed
	}
	result := t.judge.Look(analysis.Moment{Now: o.Now, Elapsed: elapsed, Dwell: dwell})
	o.Verdict, o.Reason, o.Policy = result.Verdict, result.Reason, result.Policy
	// After the dwell the judge goes on watching, until the next weight is
	// written; the step's verdict is then spoken and only a failure changes it.
	over := s.Stage == rollout.StageScale || s.Stage == rollout.StageReady || s.Stage == rollout.StageWeight
	if !over || result.Verdict == rollout.VerdictFailed {
		step.Verdict = result
	}
	return o
}

// judgeBy gives the rollout a judge.
func (t *traffic) judgeBy(start recording.Start) error {
	if t.counters != nil {
		// A gateway's request counters have no latencies to compare.
		start.Config.Metrics = slices.Clone(start.Config.Metrics)
		for i := range start.Config.Metrics {
			if m := &start.Config.Metrics[i]; m.Name == config.ProbeMetric {
				m.Latency = nil
			}
		}
	}
	j, err := newJudging(t.cfg, start, t.record.Baseline)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.judge = j
	t.mu.Unlock()
	return nil
}

// endJudging ends the recording of the judge.
func (t *traffic) endJudging(tell *teller) {
	t.mu.Lock()
	j := t.judge
	t.judge = nil
	t.mu.Unlock()
	if err := j.close(); err != nil {
		tell.warn(err.Error())
	}
}

// before is how many requests a second a metric saw before the first weight.
func (t *traffic) before(metric string) (perSecond float64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.judge == nil {
		return 0, false
	}
	return t.judge.RateBefore(metric)
}

// keepBaselines puts this release's latencies into its record, where the next
// release finds them.
func (t *traffic) keepBaselines() {
	if t.judge == nil {
		return
	}
	t.judge.keep()
	raw, err := json.Marshal(t.judge.kept)
	if err != nil {
		panic("deploy: encode numbers: " + err.Error())
	}
	t.record.Baseline = raw
}

// stop ends the stream and waits for the answers that are under way.
func (t *traffic) stop() {
	t.cancel()
	<-t.stream.Done()
}

// baseline waits until the stream has shown that stable answers without a
// failure.
func (t *traffic) baseline(ctx context.Context, tell *teller) error {
	until := time.Now().Add(30 * time.Second)
	tell.await(fmt.Sprintf("%d answers of the stable version", baselineAnswers), until)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c := t.tally.Step(probe.Before)
		switch {
		case c.Failed() > 0:
			return exit.Refuse("", fmt.Sprintf("%d of %d requests to the stable version failed before any change", c.Failed(), c.Total()))
		case c.Total() >= baselineAnswers:
			return nil
		case time.Now().After(until):
			return exit.Refuse("", fmt.Sprintf("the stable version gave %d answers in 30s, want %d", c.Total(), baselineAnswers))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
