package probe

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// Before is the step of the answers sent before the first Begin.
const Before = -1

// keep is the number of failures recorded in full at each end of a step.
const keep = 5

// A Bucket counts latencies of at most Max and above the previous bucket's Max.
type Bucket struct {
	Max time.Duration `json:"max"`
	N   int64         `json:"n"`
}

// Latencies is a distribution as buckets in rising order, each within 1 % of
// the latencies in it. It excludes failed answers: a refused connection is fast
// and a timeout is slow, and both already count as failures.
type Latencies []Bucket

// Len returns the number of latencies.
func (l Latencies) Len() int64 {
	var n int64
	for _, b := range l {
		n += b.N
	}
	return n
}

// At returns the latency of the given rank, 1 being the lowest, 0 if there are
// no latencies. It clamps ranks outside 1..Len.
func (l Latencies) At(rank int64) time.Duration {
	for _, b := range l {
		if rank -= b.N; rank <= 0 {
			return b.Max
		}
	}
	if len(l) == 0 {
		return 0
	}
	return l[len(l)-1].Max
}

// Quantile returns the smallest latency that a share q of all does not exceed.
func (l Latencies) Quantile(q float64) time.Duration {
	n := l.Len()
	rank := int64(q * float64(n))
	if float64(rank) < q*float64(n) {
		rank++
	}
	return l.At(rank)
}

// Max returns the highest latency, 0 when there are none.
func (l Latencies) Max() time.Duration { return l.At(l.Len()) }

// Merge returns l and o together.
func (l Latencies) Merge(o Latencies) Latencies {
	all := slices.Concat(l, o)
	slices.SortFunc(all, func(a, b Bucket) int { return cmp.Compare(a.Max, b.Max) })
	out := all[:0]
	for _, b := range all {
		if n := len(out); n > 0 && out[n-1].Max == b.Max {
			out[n-1].N += b.N
			continue
		}
		out = append(out, b)
	}
	return slices.Clip(out)
}

// SideCounts are the counts of one side.
type SideCounts struct {
	Total   int64     `json:"total"`
	Failed  int64     `json:"failed"`
	Retried int64     `json:"retried"` // answers that needed more than one connection
	Newest  time.Time `json:"newest"`  // when the latest answer arrived
	// Wrong are the answers that did not fail and still were not what they should
	// be, in each way.
	Wrong map[evidence.Wrong]int64 `json:"wrong,omitempty"`
	// Latency of the answers that did not fail.
	Latency Latencies `json:"latency,omitempty"`
}

// Merge returns s and o together.
func (s SideCounts) Merge(o SideCounts) SideCounts {
	return SideCounts{
		Total: s.Total + o.Total, Failed: s.Failed + o.Failed, Retried: s.Retried + o.Retried,
		Newest:  later(s.Newest, o.Newest),
		Wrong:   addWrong(s.Wrong, o.Wrong),
		Latency: s.Latency.Merge(o.Latency),
	}
}

// addWrong returns the sum of both.
func addWrong(a, b map[evidence.Wrong]int64) map[evidence.Wrong]int64 {
	if len(a)+len(b) == 0 {
		return nil
	}
	sum := map[evidence.Wrong]int64{}
	for _, m := range []map[evidence.Wrong]int64{a, b} {
		for kind, n := range m {
			sum[kind] += n
		}
	}
	return sum
}

// A Failure is one failed request in full.
type Failure struct {
	At     time.Time    `json:"at"` // when it was sent
	Side   rollout.Side `json:"side"`
	Status int          `json:"status,omitempty"`
	Err    string       `json:"error,omitempty"`
}

// Counts are the counts of all sides over some time.
type Counts struct {
	Stable       SideCounts `json:"stable"`
	Canary       SideCounts `json:"canary"`
	Unattributed SideCounts `json:"unattributed"`
	// First and Last are the first and the last failures by time of sending, at
	// most five each, without duplicates.
	First []Failure `json:"first_failures,omitempty"`
	Last  []Failure `json:"last_failures,omitempty"`
}

// All returns the counts of all sides together.
func (c Counts) All() SideCounts { return c.Stable.Merge(c.Canary).Merge(c.Unattributed) }

// Total returns the number of answers.
func (c Counts) Total() int64 { return c.Stable.Total + c.Canary.Total + c.Unattributed.Total }

// Failed returns the number of failed requests.
func (c Counts) Failed() int64 { return c.Stable.Failed + c.Canary.Failed + c.Unattributed.Failed }

// Merge returns c and o together.
func (c Counts) Merge(o Counts) Counts {
	m := Counts{Stable: c.Stable.Merge(o.Stable), Canary: c.Canary.Merge(o.Canary), Unattributed: c.Unattributed.Merge(o.Unattributed)}
	m.First, m.Last = ends(slices.Concat(c.First, c.Last, o.First, o.Last))
	return m
}

// ends sorts failures by time and returns the first and the last ones.
func ends(fs []Failure) (first, last []Failure) {
	slices.SortStableFunc(fs, func(a, b Failure) int { return a.At.Compare(b.At) })
	n := min(keep, len(fs))
	first = fs[:n:n]
	last = fs[max(n, len(fs)-keep):]
	if len(first) == 0 {
		first = nil
	}
	if len(last) == 0 {
		last = nil
	}
	return first, last
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// A Tally counts answers per step and side. An answer belongs to the step that
// was running when it was sent, however late it arrives. The zero Tally is
// ready to use. A Tally is safe for concurrent use.
type Tally struct {
	mu     sync.Mutex
	begins []begin
	cells  map[int]*cell
}

type begin struct {
	step int
	at   time.Time
}

// A cell is one step.
type cell struct {
	sides [sides]struct {
		SideCounts
		hist *hdrhistogram.Histogram
	}
	first, last []Failure
}

// Begin starts a step: answers sent at or after at belong to it. Call it in
// order of time, and before the change that starts the step: answers counted
// already do not move.
func (t *Tally) Begin(step int, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begins = append(t.begins, begin{step, at})
}

// Add counts one answer.
func (t *Tally) Add(a Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.cell(t.stepAt(a.Sent))
	s := &c.sides[index(a.Side)]
	s.Total++
	s.Newest = later(s.Newest, a.Sent.Add(a.Latency))
	if a.Retried > 0 {
		s.Retried++
	}
	if a.Failed {
		s.Failed++
		c.fail(Failure{At: a.Sent, Side: a.Side, Status: a.Status, Err: a.Err})
		return
	}
	for _, kind := range a.Wrong {
		if s.Wrong == nil {
			s.Wrong = map[evidence.Wrong]int64{}
		}
		s.Wrong[kind]++
	}
	if s.hist == nil {
		s.hist = hdrhistogram.New(1, longest.Microseconds(), 2)
	}
	// The clamped value is in the trackable range, so there is no error.
	_ = s.hist.RecordValue(min(max(a.Latency, time.Microsecond), longest).Microseconds())
}

// longest is the highest latency recorded; longer ones count as this.
const longest = 2 * time.Minute

func (t *Tally) stepAt(sent time.Time) int {
	for _, b := range slices.Backward(t.begins) {
		if !sent.Before(b.at) {
			return b.step
		}
	}
	return Before
}

func (t *Tally) cell(step int) *cell {
	if t.cells == nil {
		t.cells = map[int]*cell{}
	}
	c := t.cells[step]
	if c == nil {
		c = &cell{}
		t.cells[step] = c
	}
	return c
}

// fail records the first and last failures; answers arrive nearly in order.
func (c *cell) fail(f Failure) {
	if len(c.first) < keep {
		c.first = append(c.first, f)
		return
	}
	if len(c.last) == keep {
		c.last = slices.Delete(c.last, 0, 1)
	}
	c.last = append(c.last, f)
}

func (c *cell) counts() Counts {
	out := [sides]SideCounts{}
	for i := range c.sides {
		out[i] = c.sides[i].SideCounts
		out[i].Latency, out[i].Wrong = latencies(c.sides[i].hist), maps.Clone(out[i].Wrong)
	}
	r := Counts{Unattributed: out[index(rollout.SideUnattributed)], Stable: out[index(rollout.SideStable)], Canary: out[index(rollout.SideCanary)]}
	r.First, r.Last = ends(slices.Concat(c.first, c.last))
	return r
}

func latencies(h *hdrhistogram.Histogram) Latencies {
	if h == nil {
		return nil
	}
	var l Latencies
	for _, b := range h.Distribution() {
		if b.Count > 0 {
			l = append(l, Bucket{Max: time.Duration(b.To) * time.Microsecond, N: b.Count})
		}
	}
	return l
}

// Step returns a snapshot of one step, which may be Before.
func (t *Tally) Step(step int) Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.cells[step]; c != nil {
		return c.counts()
	}
	return Counts{}
}

// Total returns a snapshot of all steps together, answers before the first
// included.
func (t *Tally) Total() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	var sum Counts
	for _, c := range t.cells {
		sum = sum.Merge(c.counts())
	}
	return sum
}
