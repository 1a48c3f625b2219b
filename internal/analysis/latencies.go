package analysis

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
	maxBlocks  = 48
	firstBlock = time.Second
)

// A block is the latencies of both versions over one stretch of time, and what
// stable's may become; those are worked out when they are asked for.
type block struct {
	canary, stable stat.Hist
	allowed        stat.Hist
	of             float64 // how many of stable's are in allowed
	slow           [2]float64
}

// latencies are how long the answers of one metric took since answers showed the
// weight of the step, and the evidence of slowness that they are.
type latencies struct {
	metric   *config.Metric
	began    time.Time // the step
	weight   float64   // share of traffic to the canary
	previous []stat.HistBlock

	canary, stable, unattributed stat.Hist
	blocks                       map[int64]*block
	length                       time.Duration // of a block

	looks    int
	nextLook time.Duration
	pShift   float64 // smallest so far, each valid at every look
	slowFrom float64 // what counts as slow on stable, in seconds; 0 while unknown
	slow     [2]float64
	watched  [2]float64 // requests that slow ones were looked for among; canary, stable
}

func (l *latencies) begin(at time.Time, weight float64, previous []stat.HistBlock) {
	*l = latencies{metric: l.metric, began: at, weight: weight, previous: previous, blocks: map[int64]*block{}, length: firstBlock, pShift: 1}
}

func (l *latencies) of(v rollout.Side) *stat.Hist {
	switch v {
	case rollout.SideCanary:
		return &l.canary
	case rollout.SideStable:
		return &l.stable
	default:
		return &l.unattributed
	}
}

func (l *latencies) add(p Point) {
	if len(p.Latency) == 0 {
		return
	}
	var h stat.Hist
	for _, b := range p.Latency {
		h.AddRange(float64(b.Over), float64(b.Upto), b.N)
	}
	l.of(p.Side).Merge(h)
	if p.Side == rollout.SideUnattributed {
		return
	}
	b := l.block(p.At)
	if p.Side == rollout.SideCanary {
		b.canary.Merge(h)
	} else {
		b.stable.Merge(h)
	}
	if l.slowFrom > 0 && l.metric.Latency != nil {
		side, slow := 1, l.slowFrom
		if p.Side == rollout.SideCanary {
			side, slow = 0, l.metric.Latency.Allowed(l.slowFrom)
		}
		n := h.Above(slow)
		b.slow[side] += n
		l.slow[side] += n
		l.watched[side] += h.Total()
	}
}

// block is the one that a point at this time belongs to.
func (l *latencies) block(at time.Time) *block {
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
		into.slow[0], into.slow[1] = into.slow[0]+b.slow[0], into.slow[1]+b.slow[1]
	}
	return half
}

// look compares the latencies when enough came since the last time. Looks become
// rarer: each one costs some of the error probability.
func (l *latencies) look(elapsed time.Duration) {
	if elapsed < l.nextLook {
		return
	}
	l.nextLook = max(elapsed+time.Second, elapsed*23/20)
	if l.stable.Total() >= l.metric.MinSamples {
		l.slowFrom = l.stable.Quantile(.95)
	}
	allowed := l.metric.Latency.Allowed
	blocks := l.comparable(func(b *block) stat.Hist {
		if b.of != b.stable.Total() {
			b.allowed, b.of = b.stable.Map(allowed), b.stable.Total()
		}
		return b.allowed
	}, allowed)
	if len(blocks) == 0 {
		return
	}
	l.looks++
	l.pShift = min(l.pShift, stat.Spend(stat.CompareHists(blocks).Greater(), l.looks))
}

// comparable is the blocks of both versions, with what stable's count as. Where
// stable has too few, the last release stands in.
func (l *latencies) comparable(stable func(*block) stat.Hist, previous func(float64) float64) []stat.HistBlock {
	var blocks []stat.HistBlock
	for _, i := range slices.Sorted(maps.Keys(l.blocks)) {
		b := l.blocks[i]
		blocks = append(blocks, stat.HistBlock{First: b.canary, Second: stable(b)})
	}
	if l.standIn() {
		for _, b := range l.previous {
			blocks = append(blocks, stat.HistBlock{Second: b.Second.Map(previous)})
		}
	}
	return blocks
}

// standIn says whether the last release stands in for stable.
func (l *latencies) standIn() bool {
	return len(l.previous) > 0 && l.stable.Total() < l.metric.MinSamples
}

// shift estimates how much slower the canary is, with its 95 % interval; nil when
// there is nothing to compare it with.
func (l *latencies) shift() *Shift {
	blocks := l.comparable(func(b *block) stat.Hist { return b.stable }, func(v float64) float64 { return v })
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

const slowRatio = 2

// moreSlow is the evidence against "answers are slow at most twice as often": over
// stable's 95th percentile there, over what that may become here.
func (l *latencies) moreSlow() float64 {
	once := 1 / l.clumping()
	return stat.TwoShares(l.slow[0]*once, l.slow[1]*once, share(l.weight, l.watched[0], l.watched[1]), slowRatio)
}

// clumping is how many times more the canary's part of the slow answers varies
// from block to block than if each one fell by itself; at least 1. Answers that
// are slow together are one piece of evidence. What slows both versions together
// does not count.
func (l *latencies) clumping() float64 {
	all := l.slow[0] + l.slow[1]
	if l.slow[0] == 0 || l.slow[1] == 0 {
		return 1
	}
	share, sum, n := l.slow[0]/all, 0.0, 0.0
	for _, b := range l.blocks {
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

// pastLimit is the evidence against "the canary's 95th percentile keeps the limit".
func (l *latencies) pastLimit() float64 {
	limit := time.Duration(*l.metric.Latency.P95).Seconds()
	if limit == 0 {
		return 0
	}
	return stat.Evidence(l.canary.Total(), l.canary.Above(limit), .05)
}
