package trialbench

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// What the probe stream does; see the inputs and packages probe and traffic.
const (
	timeout     = 5 * time.Second
	flushEvery  = 0.25 // seconds
	lookEvery   = 1.0  // seconds without a failure
	confirmRate = 400  // requests per second at most while a weight is not confirmed
)

// A pacer says when requests leave: with gaps that are uniform over 0 to twice their
// mean.
type pacer struct {
	r   *rand.Rand
	due float64 // seconds
}

// next is the time of the next request at a rate per second.
func (p *pacer) next(rate float64) float64 {
	sent := p.due
	p.due += 2 / rate * p.r.Float64()
	return sent
}

// An arrival is an answer that is on its way.
type arrival struct {
	at float64
	request
	answer
}

// arrivals are a heap by time.
type arrivals []arrival

func (h arrivals) Len() int           { return len(h) }
func (h arrivals) Less(i, j int) bool { return h[i].at < h[j].at }
func (h arrivals) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *arrivals) Push(x any)        { *h = append(*h, x.(arrival)) }

// Pop implements heap.Interface.
func (h *arrivals) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// send adds the answer to a request, which comes when its latency is over.
func (h *arrivals) send(q request, a answer) {
	if limit := timeout.Seconds(); a.latency >= limit {
		a.latency, a.lost = limit, true
	}
	if a.lost {
		a.failed = true
	}
	if a.failed {
		a.wrong = ""
	}
	heap.Push(h, arrival{at: q.at + a.latency, request: q, answer: a})
}

// A source is whose answers one point has.
type source struct {
	side   rollout.Side
	pinned bool
}

// sources lists them in the order in which the judge gets them.
var sources = []source{
	{rollout.SideStable, false},
	{rollout.SideCanary, false},
	{rollout.SideUnattributed, false},
	{rollout.SideStable, true},
	{rollout.SideCanary, true},
}

// A feed passes answers to the judge as package traffic does.
type feed struct {
	judge   judge
	pending map[source]*analysis.Point
	flushed float64
}

func newFeed(j judge) feed { return feed{judge: j, pending: map[source]*analysis.Point{}} }

func (f *feed) of(s source) *analysis.Point {
	p := f.pending[s]
	if p == nil {
		p = &analysis.Point{Side: s.side, Pinned: s.pinned}
		f.pending[s] = p
	}
	return p
}

// add takes an answer at the time when it arrives.
func (f *feed) add(x arrival) {
	from := source{x.side, x.pinned}
	if x.lost && !x.pinned {
		from.side = rollout.SideUnattributed
	}
	p := f.of(from)
	p.Total++
	if x.lost && x.pinned {
		p.Lost++
	}
	if x.failed {
		p.Failed++
	} else {
		l := analysis.Number(x.latency)
		p.Latency = append(p.Latency, analysis.Bucket{Over: l, Upto: l, N: 1})
	}
	if x.wrong != "" {
		if p.Wrong == nil {
			p.Wrong = map[evidence.Wrong]float64{}
		}
		p.Wrong[x.wrong]++
	}
	if x.failed || x.at-f.flushed >= flushEvery {
		f.flush(x.at)
	}
}

func (f *feed) flush(now float64) {
	f.flushed = now
	for _, s := range sources {
		if p := f.pending[s]; p != nil {
			p.At = clock(now)
			f.judge.Add(config.ProbeMetric, *p)
		}
	}
	clear(f.pending)
}

// cut ends the points at a time, so that no point spans it.
func (f *feed) cut(now float64) {
	for _, s := range sources {
		if !s.pinned {
			f.of(s)
		}
	}
	f.flush(now)
}

// clock is the time after so many seconds.
func clock(seconds float64) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}
