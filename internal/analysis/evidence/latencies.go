package evidence

import (
	"maps"
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
	maxBlocks  = 128
	firstBlock = time.Second
)

// A block is the latencies of both versions over one stretch of time, and what
// stable's may become; those are worked out when they are asked for.
type block struct {
	canary, stable stat.Hist
	allowed        stat.Hist
	of             float64 // how many of stable's are in allowed
}

// Latencies are how long the answers of one metric took since answers showed the
// weight of a step, and the evidence of slowness that they are. Those of a warm-up are
// kept, and not compared.
type Latencies struct {
	metric *config.Metric
	began  time.Time // the step
	warmed time.Time // end of the warm-up; zero before it is known

	canary, stable stat.Hist  // without the warm-up once it is over
	all            [2]float64 // how many came of both, the warm-up included
	blocks         map[int64]*block
	length         time.Duration // of a block

	looks    int
	nextLook time.Duration
	pShift   float64 // smallest so far, each valid at every look
	usual    float64 // stable's 99th percentile, in seconds; 0 while unknown
}

// NewLatencies returns the latencies of a metric before any step.
func NewLatencies(m *config.Metric) *Latencies {
	l := &Latencies{metric: m}
	l.Begin(time.Time{})
	return l
}

// Begin starts a step: what was measured before no longer counts.
func (l *Latencies) Begin(at time.Time) {
	*l = Latencies{metric: l.metric, began: at, blocks: map[int64]*block{}, length: firstBlock, pShift: 1}
}

// Of are the latencies of one version, the warm-up left out once it is over.
func (l *Latencies) Of(v rollout.Side) *stat.Hist {
	if v == rollout.SideCanary {
		return &l.canary
	}
	return &l.stable
}

// Add takes a point of the step.
func (l *Latencies) Add(p Point) {
	if len(p.Latency) == 0 || p.Side == rollout.SideUnattributed {
		return
	}
	var h stat.Hist
	for _, b := range p.Latency {
		h.AddRange(float64(b.Over), float64(b.Upto), b.N)
	}
	b := l.block(p.At)
	if p.Side == rollout.SideCanary {
		b.canary.Merge(h)
	} else {
		b.stable.Merge(h)
	}
	if p.Side == rollout.SideCanary {
		l.all[0] += h.Total()
	} else {
		l.all[1] += h.Total()
	}
	if !p.At.Before(l.warmed) {
		l.Of(p.Side).Merge(h)
	}
}

// block is the one that a point at this time belongs to.
func (l *Latencies) block(at time.Time) *block {
	i := int64(at.Sub(l.began) / l.length)
	if b := l.blocks[i]; b != nil {
		return b
	}
	if len(l.blocks) >= maxBlocks {
		l.length *= 2
		l.blocks = halved(l.blocks)
		i /= 2
	}
	b := l.blocks[i]
	if b == nil {
		b = &block{}
		l.blocks[i] = b
	}
	return b
}

// halved joins each two neighbours.
func halved(blocks map[int64]*block) map[int64]*block {
	half := map[int64]*block{}
	for i, b := range blocks {
		into := half[i/2]
		if into == nil {
			into = &block{}
			half[i/2] = into
		}
		into.canary.Merge(b.canary)
		into.stable.Merge(b.stable)
	}
	return half
}

// Warm ends the warm-up at a time: what came before it is no longer compared.
func (l *Latencies) Warm(at time.Time) {
	if !l.warmed.IsZero() {
		return
	}
	l.warmed = at
	l.canary, l.stable = stat.Hist{}, stat.Hist{}
	for _, b := range l.since(l.warmed) {
		l.canary.Merge(b.canary)
		l.stable.Merge(b.stable)
	}
}

// Warming says whether the warm-up is not over.
func (l *Latencies) Warming() bool { return l.warmed.IsZero() }

// All is how many latencies of both versions came in the step, the warm-up included.
func (l *Latencies) All() (canary, stable float64) { return l.all[0], l.all[1] }

// since are the blocks from a time on, in order. Compared are those since warmed: all
// of them until the warm-up is over, then those after it.
func (l *Latencies) since(from time.Time) []*block {
	var bs []*block
	for _, i := range slices.Sorted(maps.Keys(l.blocks)) {
		if !l.began.Add(time.Duration(i) * l.length).Before(from) {
			bs = append(bs, l.blocks[i])
		}
	}
	return bs
}

// Look compares the latencies when enough came since the last time. Looks become
// rarer: each one costs some of the error probability.
func (l *Latencies) Look(elapsed time.Duration) {
	if l.usual == 0 && l.stable.Total() >= tailAfter {
		l.usual = l.stable.Quantile(.99)
	}
	if l.Warming() || elapsed < l.nextLook {
		return
	}
	l.nextLook = max(elapsed+time.Second, elapsed*23/20)
	if p := l.compare(l.since(l.warmed)).Greater(); p < 1 {
		l.looks++
		l.pShift = min(l.pShift, stat.Spend(p, l.looks))
	}
}

// compare compares the canary's answers with what stable's may become.
func (l *Latencies) compare(in []*block) stat.Comparison {
	var blocks []stat.HistBlock
	for _, b := range in {
		if b.of != b.stable.Total() {
			b.allowed, b.of = b.stable.Map(l.metric.Latency.Allowed), b.stable.Total()
		}
		blocks = append(blocks, stat.HistBlock{First: b.canary, Second: b.allowed})
	}
	return stat.CompareHists(blocks)
}

// Slower is the p-value, valid at every look so far, of "the canary's answers take no
// longer than stable's may take". While the warm-up lasts it is 1.
func (l *Latencies) Slower() float64 { return l.pShift }

// Cold is the p-value of the same with the warm-up, at this look alone and as if answers
// were independent: a reason to wait, and none to go back. It is 1 once least answers of the canary after its warm-up
// keep the limit. A canary that is fast while it is cold has nothing more to show.
func (l *Latencies) Cold(least float64) float64 {
	if !l.Warming() && l.canary.Total() >= least {
		if c := l.compare(l.since(l.warmed)); c.Blocks >= warmBlocks && c.Theta <= .5 {
			return 1
		}
	}
	return l.compare(l.since(time.Time{})).Independent()
}

// warmBlocks is how many blocks after a warm-up show that it is over.
const warmBlocks = 10

// A Shift is how much slower the canary's answers are: the median of all
// differences to stable's (Hodges and Lehmann), with its 95 % interval, in
// seconds.
type Shift struct {
	Estimate float64 `json:"estimate_seconds"`
	Low      float64 `json:"low_seconds"`
	High     float64 `json:"high_seconds"`
}

// Shift estimates how much slower the canary is; nil when there is nothing to compare
// it with.
func (l *Latencies) Shift() *Shift {
	if l.canary.Total() == 0 || l.stable.Total() == 0 {
		return nil
	}
	var blocks []stat.HistBlock
	for _, b := range l.since(l.warmed) {
		blocks = append(blocks, stat.HistBlock{First: b.canary, Second: b.stable})
	}
	var sh Shift
	sh.Estimate, sh.Low, sh.High = stat.Shift(l.canary.Sample(), l.stable.Sample(), stat.CompareHists(blocks).Variance(), 1.96)
	return &sh
}

// Slow answers take over twice what stable's 99th percentile may become: a canary that
// keeps its limit for all answers has hardly more of them than stable. They count from
// a share of SlowFloor on, and from slowRatio times stable's.
const (
	slowTimes = 2
	slowRatio = 3
	SlowFloor = .001
	// tailAfter is how many answers of stable its 99th percentile is taken from.
	tailAfter = 300
)

// slowLimit is from how many seconds on an answer of either version is slow; 0 while
// that is not known.
func (l *Latencies) slowLimit() float64 { return slowTimes * l.metric.Latency.Allowed(l.usual) }

// MoreSlow is the evidence against "the canary's answers are slow at most three times
// as often as stable's at the same time, or in at most 0.1 % of all".
func (l *Latencies) MoreSlow() float64 {
	if l.Warming() {
		return 0
	}
	return l.moreSlow(l.since(l.warmed))
}

// ColdSlow is the same with the warm-up, until warmBlocks came after it: like Cold a
// reason to wait, and none to go back.
func (l *Latencies) ColdSlow() float64 {
	if !l.Warming() && len(l.since(l.warmed)) >= warmBlocks {
		return 0
	}
	return l.moreSlow(l.since(time.Time{}))
}

func (l *Latencies) moreSlow(in []*block) float64 {
	if l.usual == 0 {
		return 0
	}
	over, c := l.over(in, l.slowLimit(), slowRatio)
	return min(c.evidence(), stat.Evidence(over.total, over.failed, SlowFloor)/c.index())
}

// PastLimit is the evidence against "the canary's 95th percentile keeps the limit, or
// its answers are over it no more often than stable's at the same time".
func (l *Latencies) PastLimit() float64 {
	limit := time.Duration(*l.metric.Latency.P95).Seconds()
	if limit == 0 || l.Warming() {
		return 0
	}
	over, c := l.over(l.since(l.warmed), limit, 1)
	evidence := stat.Evidence(over.total, over.failed, .05) / c.index()
	if l.stable.Total() > 0 {
		return min(evidence, c.evidence())
	}
	return evidence
}

// OverLimit says whether the canary's measured 95th percentile is over the limit,
// certain or not.
func (l *Latencies) OverLimit() bool {
	limit := time.Duration(*l.metric.Latency.P95).Seconds()
	return limit > 0 && l.canary.Quantile(.95) > limit
}

// over compares how many answers of both versions take longer than limit. It returns
// the canary's, too.
func (l *Latencies) over(in []*block, limit, ratio float64) (canary count, c contest) {
	for i, b := range in {
		first := count{b.canary.Total(), b.canary.Above(limit)}
		canary.add(first.total, first.failed)
		c.add(int64(i)*int64(l.length/time.Second), ratio, first, count{b.stable.Total(), b.stable.Above(limit)})
	}
	return canary, c
}

// Faster says whether the canary's answers are suspiciously fast: at the median, by
// the factor of the limits, and by more than differences count from.
func (l *Latencies) Faster() bool {
	if l.metric.Answers == nil || l.canary.Total() < l.metric.MinSamples || l.stable.Total() < l.metric.MinSamples {
		return false
	}
	c, st := l.canary.Quantile(.5), l.stable.Quantile(.5)
	return c*l.metric.Answers.Faster < st && st-c > time.Duration(*l.metric.Latency.Floor).Seconds()
}
