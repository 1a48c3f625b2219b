package analysis

import (
	"math"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
)

// A count is requests, and how many of them failed.
type count struct{ total, failed float64 }

func (c *count) add(p Point) {
	c.total += p.Total
	c.failed += p.Failed
}

// counts are the requests of one metric since the step began, and the evidence of
// failures that they are.
type counts struct {
	metric                       *config.Metric
	weight                       float64 // share of traffic to the canary
	canary, stable, unattributed count
	before                       usual
}

func (c *counts) begin(weight float64) {
	*c = counts{metric: c.metric, weight: weight, before: c.before}
}

func (c *counts) add(p Point) { c.of(p.Side).add(p) }

func (c *counts) of(v rollout.Side) *count {
	switch v {
	case rollout.SideCanary:
		return &c.canary
	case rollout.SideStable:
		return &c.stable
	default:
		return &c.unattributed
	}
}

// all is the number of requests, whoever answered them.
func (c *counts) all() float64 { return c.canary.total + c.stable.total + c.unattributed.total }

// numbers are those of one version, without latencies.
func (c *counts) numbers(v rollout.Side) Numbers {
	of := c.of(v)
	n := Numbers{Total: of.total, Failed: of.failed}
	if of.total > 0 {
		n.ErrorRate = of.failed / of.total
	}
	n.ErrorLow, n.ErrorHigh = stat.ShareInterval(int(math.Round(of.failed)), int(math.Round(of.total)), .95)
	return n
}

// pastLimit is the evidence against "the canary keeps the limit".
func (c *counts) pastLimit() float64 {
	return stat.Evidence(c.canary.total, c.canary.failed, c.metric.Errors.Limit())
}

// againstStable is the evidence against "the canary fails at most Ratio times as
// often as stable, or at most as often as the floor": both have to be refuted.
func (c *counts) againstStable() float64 {
	if c.stable.total == 0 || c.canary.total == 0 {
		return 0
	}
	ratio := stat.TwoShares(c.canary.failed, c.stable.failed, share(c.weight, c.canary.total, c.stable.total), c.metric.Errors.Ratio)
	floor := stat.Evidence(c.canary.total, c.canary.failed, *c.metric.Errors.Floor/100)
	return min(ratio, floor)
}

// ofNobody is the evidence against "all unattributed failures would be there without
// the canary, or are within its limit". No marker came with them, so they are not
// known to be the canary's; but the canary is what changed.
func (c *counts) ofNobody() float64 { return stat.Evidence(c.blamed()) }

// blamed is the canary's answers and failures with every unattributed failure added,
// and the highest share of failures in these that a canary within its limit makes. Of
// all answers a share of weight is the canary's and a share of background fails
// unattributed as it did before.
func (c *counts) blamed() (total, failed, limit float64) {
	u := c.unattributed.failed
	if u == 0 || c.weight <= 0 {
		return 0, 0, 1
	}
	background := c.before.background()
	return c.canary.total + u, c.canary.failed + u, (c.metric.Errors.Limit()*c.weight + background) / (c.weight + background)
}

// usual is what was answered before any weight was written.
type usual struct {
	total        float64
	unattributed float64 // failures
	first, last  time.Time
}

func (u *usual) add(p Point) {
	if u.first.IsZero() {
		u.first = p.At
	}
	if p.At.After(u.last) {
		u.last = p.At
	}
	u.total += p.Total
	if p.Side == rollout.SideUnattributed {
		u.unattributed += p.Failed
	}
}

// rate is how many requests came a second; ok is false if they were counted for less
// than two seconds.
func (u usual) rate() (perSecond float64, ok bool) {
	seconds := u.last.Sub(u.first).Seconds()
	if u.first.IsZero() || seconds < 2 {
		return 0, false
	}
	return u.total / seconds, true
}

// background is the share of unattributed failures that is usual. What was not seen
// before may still be usual; up to 1 % of it is allowed.
func (u usual) background() float64 {
	if u.total == 0 {
		return 0
	}
	_, high := stat.ShareInterval(int(u.unattributed), int(u.total), .95)
	return max(u.unattributed/u.total, min(high, .01))
}
