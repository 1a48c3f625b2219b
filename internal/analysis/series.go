package analysis

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
)

// maxBlocks is how many blocks of time latencies are compared in at most; when
// there are more, each two neighbours become one. firstBlock is how long they are
// at first.
const (
	maxBlocks  = 48
	firstBlock = time.Second
)

// A side is what one version did since the step began.
type side struct {
	total, failed float64
	latency       stat.Hist
	newest        time.Time // of all its points, whenever they count from
}

// A block is the latencies of both versions over one stretch of time, and what
// stable's may become; those are worked out when they are asked for.
type block struct {
	canary, stable stat.Hist
	allowed        stat.Hist
	of             float64 // how many of stable's are in allowed
	slow           [2]float64
}

// A gauge is the newest value of one subject of the canary.
type gauge struct {
	at    time.Time
	value float64
	since time.Time // when the value went past the limit; zero while within it
}

// A series is all that is known of one metric in the current step.
type series struct {
	config.Metric
	began     time.Time // of the step
	confirmed time.Time // when answers showed its weight; zero before
	weight    float64   // share of traffic to the canary

	sides  map[rollout.Side]*side
	blocks map[int64]*block
	length time.Duration
	gauges map[string]*gauge
	values int // of the canary's gauges, and how many of them were NaN
	nans   int

	problem   string // why the source could not be read last time
	problemAt time.Time

	before    side // what was answered before any weight was written
	beganAt   time.Time
	previous  []stat.HistBlock
	looks     int
	nextLook  time.Duration
	pLatency  float64 // smallest so far, each valid at every look
	slowFrom  float64 // what counts as slow on stable, in seconds; 0 while unknown
	slow      [2]float64
	watched   [2]float64 // requests that slow ones were looked for among; canary, stable
	evidences map[Check]float64
}

func newSeries(m config.Metric) *series {
	s := &series{Metric: m, gauges: map[string]*gauge{}, sides: map[rollout.Side]*side{}}
	for _, v := range []rollout.Side{rollout.SideStable, rollout.SideCanary, rollout.SideUnattributed} {
		s.sides[v] = &side{}
	}
	s.begin(time.Time{}, 0)
	return s
}

// begin forgets what belongs to the step before. Gauges and the times of the
// newest points stay.
func (s *series) begin(at time.Time, weight float64) {
	for _, side := range s.sides {
		*side = side.afresh()
	}
	s.began, s.confirmed, s.weight = at, time.Time{}, weight
	s.blocks, s.length = map[int64]*block{}, firstBlock
	s.looks, s.nextLook, s.pLatency = 0, 0, 1
	s.slowFrom, s.slow, s.watched = 0, [2]float64{}, [2]float64{}
	s.evidences, s.previous = map[Check]float64{}, nil
	s.values, s.nans = 0, 0
}

func (s side) afresh() side { return side{newest: s.newest} }

func (s *series) add(p Point) {
	v := s.sides[p.Side]
	if v == nil {
		return
	}
	from := v.newest
	if p.At.After(v.newest) {
		v.newest = p.At
	}
	s.problem = ""
	if p.Value != nil {
		s.gauge(p)
	}
	switch {
	case s.began.IsZero():
		s.usual(p)
	case inside(from, p.At, s.began):
		v.total += p.Total
		v.failed += p.Failed
		if !s.confirmed.IsZero() && inside(from, p.At, s.confirmed) {
			s.latencies(p, v)
		}
	}
}

// usual takes what was measured before any change. before.failed are unattributed
// failures alone.
func (s *series) usual(p Point) {
	if s.beganAt.IsZero() {
		s.beganAt = p.At
	}
	if p.At.After(s.before.newest) {
		s.before.newest = p.At
	}
	s.before.total += p.Total
	if p.Side == rollout.SideUnattributed {
		s.before.failed += p.Failed
	}
}

// inside says whether all of what a point is about, from the one before it, came
// after a moment. What was never there before can't have been before.
func inside(from, at, moment time.Time) bool {
	return !from.Before(moment) || from.IsZero() && at.After(moment)
}

func (s *series) latencies(p Point, v *side) {
	if len(p.Latency) == 0 {
		return
	}
	var h stat.Hist
	for _, b := range p.Latency {
		h.AddRange(float64(b.Over), float64(b.Upto), b.N)
	}
	v.latency.Merge(h)
	if p.Side == rollout.SideUnattributed {
		return
	}
	b := s.block(p.At)
	if p.Side == rollout.SideCanary {
		b.canary.Merge(h)
	} else {
		b.stable.Merge(h)
	}
	if s.slowFrom > 0 && s.Latency != nil {
		side, slow := 1, s.slowFrom
		if p.Side == rollout.SideCanary {
			side, slow = 0, s.Latency.Allowed(s.slowFrom)
		}
		n := h.Above(slow)
		b.slow[side] += n
		s.slow[side] += n
		s.watched[side] += h.Total()
	}
}

// block is the one that a point at this time belongs to.
func (s *series) block(at time.Time) *block {
	i := int64(at.Sub(s.began) / s.length)
	if b := s.blocks[i]; b != nil {
		return b
	}
	if len(s.blocks) >= maxBlocks {
		s.length *= 2
		halved := map[int64]*block{}
		for i, b := range s.blocks {
			into := halved[i/2]
			if into == nil {
				into = &block{}
				halved[i/2] = into
			}
			into.canary.Merge(b.canary)
			into.stable.Merge(b.stable)
			into.slow[0], into.slow[1] = into.slow[0]+b.slow[0], into.slow[1]+b.slow[1]
		}
		s.blocks = halved
		i /= 2
	}
	b := s.blocks[i]
	if b == nil {
		b = &block{}
		s.blocks[i] = b
	}
	return b
}

// gauge takes a value of the canary. Those of stable only show that the source
// tells the versions apart.
func (s *series) gauge(p Point) {
	if p.Side != rollout.SideCanary {
		return
	}
	s.values++
	v := float64(*p.Value)
	if math.IsNaN(v) {
		s.nans++
		return
	}
	g := s.gauges[p.Subject]
	if g == nil {
		g = &gauge{}
		s.gauges[p.Subject] = g
	}
	g.at, g.value = p.At, v
	switch past, back := s.past(v); {
	case past && g.since.IsZero():
		g.since = p.At
	case back:
		g.since = time.Time{}
	}
}

// past says whether v is past the limit, and whether it is back within it: in
// between it is neither.
func (s *series) past(v float64) (past, back bool) {
	l := s.Limit
	switch {
	case l == nil:
		return false, true
	case l.Max != nil:
		return v > *l.Max, v <= *cmp.Or(l.Clear, l.Max)
	}
	return v < *l.Min, v >= *cmp.Or(l.Clear, l.Min)
}

// worst is the subject furthest past its limit, by how long it has been there;
// ok is false when the canary has no value.
func (s *series) worst() (subject string, g gauge, ok bool) {
	for _, name := range slices.Sorted(maps.Keys(s.gauges)) {
		c := *s.gauges[name]
		longer := !c.since.IsZero() && (g.since.IsZero() || c.since.Before(g.since))
		farther := s.Limit != nil && g.since.IsZero() && c.since.IsZero() &&
			(s.Limit.Max != nil && c.value > g.value || s.Limit.Max == nil && c.value < g.value)
		if !ok || longer || farther {
			subject, g, ok = name, c, true
		}
	}
	return subject, g, ok
}

// share is the canary's share of the requests: as it is asked for, while few have
// come, and then as it is.
func share(weight, canary, stable float64) float64 {
	const few = 20
	return (weight*few + canary) / (few + canary + stable)
}

// look compares the latencies when enough came since the last time. Looks become
// rarer: each one costs some of the error probability.
func (s *series) look(elapsed time.Duration) {
	if s.Latency == nil || s.confirmed.IsZero() || elapsed < s.nextLook {
		return
	}
	s.nextLook = max(elapsed+time.Second, elapsed*23/20)
	stable := s.sides[rollout.SideStable].latency
	if stable.Total() >= s.MinSamples {
		s.slowFrom = stable.Quantile(.95)
	}
	blocks := s.comparable(func(b *block) stat.Hist {
		if b.of != b.stable.Total() {
			b.allowed, b.of = b.stable.Map(s.Latency.Allowed), b.stable.Total()
		}
		return b.allowed
	}, s.Latency.Allowed)
	if len(blocks) == 0 {
		return
	}
	s.looks++
	s.pLatency = min(s.pLatency, stat.Spend(stat.CompareHists(blocks).Greater(), s.looks))
}

// comparable is the blocks of both versions, with what stable's count as. Where
// stable has too few, the last release stands in.
func (s *series) comparable(stable func(*block) stat.Hist, previous func(float64) float64) []stat.HistBlock {
	var blocks []stat.HistBlock
	for _, i := range slices.Sorted(maps.Keys(s.blocks)) {
		b := s.blocks[i]
		blocks = append(blocks, stat.HistBlock{First: b.canary, Second: stable(b)})
	}
	if s.standIn() {
		for _, b := range s.previous {
			blocks = append(blocks, stat.HistBlock{Second: b.Second.Map(previous)})
		}
	}
	return blocks
}

// standIn says whether the last release stands in for stable.
func (s *series) standIn() bool {
	return len(s.previous) > 0 && s.sides[rollout.SideStable].latency.Total() < s.MinSamples
}

// shift estimates how much slower the canary is, with its 95 % interval; nil when
// there is nothing to compare it with.
func (s *series) shift() *Shift {
	blocks := s.comparable(func(b *block) stat.Hist { return b.stable }, func(v float64) float64 { return v })
	var canary, stable stat.Hist
	for _, b := range blocks {
		canary.Merge(b.First)
		stable.Merge(b.Second)
	}
	if canary.Total() == 0 || stable.Total() == 0 {
		return nil
	}
	var sh Shift
	sh.Estimate, sh.Low, sh.High = stat.Shift(canary.Sample(), stable.Sample(), stat.CompareHists(blocks).Variance(), 1.96)
	return &sh
}

// clumping is how many times more the canary's part of the slow answers varies
// from block to block than if each one fell by itself; at least 1. Answers that
// are slow together are one piece of evidence. What slows both versions together
// does not count.
func (s *series) clumping() float64 {
	all := s.slow[0] + s.slow[1]
	if s.slow[0] == 0 || s.slow[1] == 0 {
		return 1
	}
	share, sum, n := s.slow[0]/all, 0.0, 0.0
	for _, b := range s.blocks {
		if k := b.slow[0] + b.slow[1]; k > 0 {
			d := b.slow[0] - share*k
			sum += d * d / (k * share * (1 - share))
			n++
		}
	}
	if n < 2 {
		return 1
	}
	return max(1, sum/(n-1))
}

// p turns evidence into a p-value that never rises again within the step.
func (s *series) p(check Check, evidence float64) float64 {
	s.evidences[check] = max(s.evidences[check], evidence)
	return stat.PValue(s.evidences[check])
}
