package evidence

import (
	"cmp"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// A count is requests, and how many of them failed.
type count struct{ total, failed float64 }

func (c *count) add(total, failed float64) {
	c.total += total
	c.failed += failed
}

// A side is what was counted of one version, or of requests that no version signed.
type side struct {
	count        // all requests, the pinned ones included
	pinned count // with lost ones as failed
	lost   float64
	wrong  [6]float64 // in the order of Wrongs
}

func (s *side) add(p Point) {
	s.count.add(p.Total, p.Failed)
	if p.Pinned {
		s.pinned.add(p.Total, p.Lost)
		s.lost += p.Lost
	}
	for i, w := range Wrongs {
		s.wrong[i] += p.Wrong[w]
	}
}

// signed are the failures that the version signed: the lost ones are compared with
// those that nobody signed.
func (s side) signed() float64 { return s.failed - s.lost }

// A stretch is what was counted of all requests over one stretch of time.
type stretch struct {
	canary, stable, nobody side
}

func (s *stretch) of(v rollout.Side) *side {
	switch v {
	case rollout.SideCanary:
		return &s.canary
	case rollout.SideStable:
		return &s.stable
	default:
		return &s.nobody
	}
}

// all are the requests to the entry point, the pinned ones aside.
func (s stretch) all() float64 {
	return s.canary.total - s.canary.pinned.total + s.stable.total - s.stable.pinned.total + s.nobody.total
}

// dead says whether requests were sent and none was answered.
func (s stretch) dead() bool {
	total := s.canary.total + s.stable.total + s.nobody.total
	return total > 0 && s.canary.failed+s.stable.failed+s.nobody.failed >= total
}

// openSeconds is how many seconds stay open for points that come late or in another
// order, as those of two versions do.
const openSeconds = 16

// A clock sorts points into seconds and hands on each one when it is over.
type clock struct {
	began time.Time
	next  int64    // the first second that is not over
	open  []second // in order
}

// A second is a stretch with its number since the step began.
type second struct {
	at int64
	stretch
}

// add counts p in its second, or in the first open one if that is over, and returns
// the seconds that are over now.
func (c *clock) add(p Point) (over []second) {
	at := max(int64(p.At.Sub(c.began)/time.Second), c.next)
	i, found := slices.BinarySearchFunc(c.open, at, func(s second, at int64) int { return cmp.Compare(s.at, at) })
	if !found {
		c.open = slices.Insert(c.open, i, second{at: at})
	}
	c.open[i].of(p.Side).add(p)
	for len(c.open) > openSeconds {
		over = append(over, c.open[0])
		c.next = c.open[0].at + 1
		c.open = slices.Delete(c.open, 0, 1)
	}
	return over
}
