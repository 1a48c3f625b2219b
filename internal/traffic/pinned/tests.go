package pinned

import (
	"time"

	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// Part is the part of the probe rate that goes to one version alone while a step is
// judged, as a divisor.
const Part = 5

// openLimit bounds the wait for open test requests to a canary that loses its
// traffic.
const openLimit = 5 * time.Second

// notifyEvery is the interval at which a prewarm is looked at.
const notifyEvery = 100 * time.Millisecond

// Tests are the requests of one rollout that go to one version alone.
type Tests struct {
	// Possible: the preflight route leads to both versions until the hand-over.
	Possible bool

	stream  *probe.Stream
	rate    int // of the probes while a step is judged, per second
	follow  Follow
	closed  time.Time // when the route was closed; zero while it is open
	prewarm *prewarm  // nil without one
}

// New returns the test requests of a stream with this rate while a step is judged.
func New(stream *probe.Stream, rate int, possible bool) *Tests {
	return &Tests{Possible: possible, stream: stream, rate: rate}
}

// A prewarm warms a canary before its first weight.
type prewarm struct {
	Warming
	since, until time.Time
	looked       time.Time
	result       *Prewarm // nil before the end
}

// A Prewarm is how a canary was warmed before its first weight.
type Prewarm struct {
	Took             time.Duration
	Requests, Failed int
	// First and Last are the medians of its latency at the beginning and at the end, 0
	// if there were too few answers.
	First, Last time.Duration
	Settled     bool // false if the time was up
}

// Aim sends the test requests to the version that has the smaller share at a weight;
// at 0 the route is closed.
func (t *Tests) Aim(weight int, at time.Time) {
	to := To(weight)
	if t.closed = (time.Time{}); len(to) == 0 {
		t.closed = at
	}
	if !t.Possible {
		to = nil
	}
	t.stream.Pin(probe.Pinning{PerSecond: float64(t.rate) / Part, To: to})
}

// Reached records that test requests reach the canary, and starts to warm it for at
// most so long, 0 for not at all, at a rate of the whole stream.
func (t *Tests) Reached(now time.Time, most time.Duration, rate int) {
	t.follow.Set(rollout.SideCanary)
	if most <= 0 {
		return
	}
	t.prewarm = &prewarm{since: now, until: now.Add(most)}
	t.stream.SetRate(rate)
	t.stream.Pin(probe.Pinning{PerSecond: float64(t.stream.Rate()) / 2, To: []rollout.Side{rollout.SideCanary}, Evenly: true})
}

// Prewarming reports whether so many pods of the canary are still being warmed, with
// requests for so many paths. It ends the prewarm when they are warm, or the time is
// up.
func (t *Tests) Prewarming(now time.Time, pods, paths int) bool {
	w := t.prewarm
	if w == nil || w.result != nil {
		return false
	}
	settled := w.Settled(pods, paths)
	if !settled && now.Before(w.until) {
		return true
	}
	w.result = &Prewarm{Took: now.Sub(w.since), Requests: w.Requests, Failed: w.Failed, First: w.First, Last: w.Last, Settled: settled}
	t.stream.SetRate(t.rate)
	t.stream.Pin(probe.Pinning{})
	return false
}

// Prewarm returns how the canary was warmed, nil before the end and without it.
func (t *Tests) Prewarm() *Prewarm {
	if t.prewarm == nil {
		return nil
	}
	return t.prewarm.result
}

// Warm takes one answer before the first weight. named says that the marker is a pod's
// name, known that the versions can be told apart. It reports whether Prewarming may
// have changed.
func (t *Tests) Warm(a probe.Answer, named, known bool, now time.Time) bool {
	w := t.prewarm
	if w == nil || w.result != nil || known && a.Side == rollout.SideStable {
		return false
	}
	pod := ""
	if named {
		pod = a.Value
	}
	if pod != "" || !named || a.Failed { // an answer without a name is nobody's
		w.Answer(a.Page, pod, a.Sent, a.Latency, a.Failed)
	}
	if now.Sub(w.looked) < notifyEvery {
		return false
	}
	w.looked = now
	return true
}

// Answer takes the answer to one request for a version and reports whether it is that
// version's, answered or not: the gateway is known to follow the route, and it was
// open.
func (t *Tests) Answer(a probe.Answer) bool {
	return t.follow.Answer(a.Pinned, a.Side) && (t.closed.IsZero() || !a.Sent.After(t.closed))
}

// Closed reports whether the route was closed.
func (t *Tests) Closed() bool { return !t.closed.IsZero() }

// Drains reports whether requests to a canary that has lost its traffic are still
// open. Its pods stay until they are answered, though not for ever.
func (t *Tests) Drains(now time.Time) bool {
	return t.Closed() && t.stream.Open(rollout.SideCanary) > 0 && now.Sub(t.closed) < openLimit
}
