package trialbench

import (
	"container/heap"
	"math/rand/v2"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
)

// A traffic is all requests of one rollout, on their way through a gateway that
// follows its route late.
type traffic struct {
	r         *rand.Rand
	rate      float64 // per second, pinned requests included
	usePinned bool
	effects   []effect
	dwell     float64
	now       float64
	leaving   pacer
	credit    float64 // of pinned requests; each takes 1
	onTheWay  arrivals

	step           int // -1 before the first weight
	weight, former float64
	written        float64 // when the weight was
	follows        float64 // when the route does
	first          float64 // when the route followed the first weight
	confirmer      *stat.Confirmer
	confirmed      bool
	followed       float64 // when the answers began to show the weight
}

// write writes the weight of a step, which the route follows after a lag.
func (t *traffic) write(step int, weight, lag float64) {
	t.step, t.former, t.weight = step, t.weight, weight
	t.written, t.follows = t.now, t.now+lag
	t.followed, t.confirmed = t.now, false
	t.confirmer = stat.NewConfirmer(t.former, weight)
	if step == 0 {
		t.first = t.follows
	}
}

// pace is the rate of now: higher while a weight is not confirmed.
func (t *traffic) pace() float64 {
	if t.confirmed || t.confirmer == nil {
		return t.rate
	}
	return max(t.rate, min(float64(t.confirmer.Needed()), confirmRate))
}

// next goes on to the next answer, or to a time if none comes before it.
func (t *traffic) next(until float64) (arrival, bool) {
	for {
		due := t.leaving.due
		if len(t.onTheWay) > 0 && t.onTheWay[0].at <= min(due, until) {
			x := heap.Pop(&t.onTheWay).(arrival)
			t.now = x.at
			return x, true
		}
		if due > until {
			t.now = until
			return arrival{}, false
		}
		rate := t.pace()
		t.now = max(t.now, t.leaving.next(rate))
		if side, ok := t.pin(rate); ok {
			t.send(side, true)
		} else {
			t.send(t.route(), false)
		}
	}
}

// pin reports whether the request of now is pinned, and to whom. The number of pinned
// requests per second is fixed, so the more there are in all, the fewer of them.
func (t *traffic) pin(rate float64) (rollout.Side, bool) {
	if !t.usePinned || t.step < 0 {
		return "", false
	}
	if t.credit += pinnedShare * t.rate / rate; t.credit < 1 {
		return "", false
	}
	t.credit--
	if t.weight < 0.5 {
		return rollout.SideCanary, true
	}
	return rollout.SideStable, true
}

// route chooses who serves a request of now.
func (t *traffic) route() rollout.Side {
	share := t.weight
	if t.now < t.follows {
		share = t.former
	}
	if t.r.Float64() < share {
		return rollout.SideCanary
	}
	return rollout.SideStable
}

func (t *traffic) send(side rollout.Side, pinned bool) {
	q := request{at: t.now, step: t.step, side: side, pinned: pinned, dwell: t.dwell}
	if t.step >= 0 {
		q.in, q.trial = t.now-t.written, max(0, t.now-t.first)
		q.fresh = (t.weight - t.former) / t.weight
	}
	var a answer
	for _, e := range t.effects {
		e(q, &a)
	}
	t.onTheWay.send(q, a)
}

// see takes the answer to a request that was not pinned as a sign of the weight. It
// reports whether it confirms it.
func (t *traffic) see(x arrival) bool {
	if x.lost {
		t.confirmer.Unattributed()
		return false
	}
	confirmed := t.confirmer.Observe(x.canary())
	if t.confirmed {
		return false
	}
	if t.confirmer.Run() <= 1 {
		t.followed = x.request.at
	}
	t.confirmed = confirmed
	return confirmed
}
