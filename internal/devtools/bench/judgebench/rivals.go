package judgebench

import (
	"math"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
)

// rivals are the usual ways to judge a step. They get the pinned requests, too. What
// nobody signed they count by the weight, as a gateway's own counters would.
type rivals struct {
	weight         int
	minute, ten    [2]tally // canary, stable
	times, shares  [2][]float64
	canaryFailures int // of Argo's measurements
}

type tally struct{ total, failed, sum float64 }

func (t *tally) add(p analysis.Point, share float64) {
	t.total += share * p.Total
	t.failed += share * p.Failed
	for _, b := range p.Latency {
		t.sum += float64(b.Upto)
	}
}

func (t tally) mean() float64 { return t.sum / max(t.total-t.failed, 1) }

func (t tally) share() float64 { return t.failed / max(t.total, 1) }

func (r *rivals) add(s second) {
	for _, t := range []*[2]tally{&r.minute, &r.ten} {
		for _, p := range []analysis.Point{s.canary, s.stable, s.pinned} {
			if p.Side == rollout.SideCanary {
				t[0].add(p, 1)
			} else {
				t[1].add(p, 1)
			}
		}
		t[0].add(s.nobody, float64(r.weight)/100)
		t[1].add(s.nobody, 1-float64(r.weight)/100)
	}
}

// judge lets each of them look, if it does so at this time.
func (r *rivals) judge(elapsed time.Duration, outcomes []outcome, after float64) {
	if elapsed%(10*time.Second) == 0 {
		for i, t := range r.ten {
			r.times[i], r.shares[i] = append(r.times[i], t.mean()), append(r.shares[i], t.share())
		}
		r.ten = [2]tally{}
	}
	stopped := [3]bool{1: elapsed == dwell && r.kayenta()}
	if elapsed%time.Minute == 0 {
		stopped[0], stopped[2] = r.threshold(), r.argo()
		r.minute = [2]tally{}
	}
	for i, s := range stopped {
		if o := &outcomes[i]; s && !o.ended {
			*o = outcome{ended: true, stopped: true, after: after}
		}
	}
}

// threshold looks at the last minute.
func (r *rivals) threshold() bool {
	canary, stable := r.minute[0], r.minute[1]
	return canary.share() > .05 || stable.total > 0 && canary.mean() > 2*stable.mean()
}

// argo counts measurements of less than 95 %.
func (r *rivals) argo() bool {
	if r.minute[0].total > 0 && 1-r.minute[0].share() < .95 {
		r.canaryFailures++
	}
	return r.canaryFailures > 3
}

// kayenta compares the whole step once.
func (r *rivals) kayenta() bool {
	if r.weight == 100 {
		return false
	}
	return high(r.times[0], r.times[1]) || high(r.shares[0], r.shares[1])
}

// high says whether the interval of the difference lies above a quarter of the
// control's mean.
func high(canary, control []float64) bool {
	first, second := stat.SampleOf(canary...), stat.SampleOf(control...)
	c := stat.Compare([]stat.Block{{First: first, Second: second}})
	_, low, _ := stat.Shift(first, second, c.NullVar, twoSided98)
	mean := 0.0
	for _, v := range control {
		mean += v / float64(len(control))
	}
	return low > .25*math.Abs(mean)
}

// twoSided98 is the 99 % quantile of the normal distribution.
const twoSided98 = 2.3263478740408408
