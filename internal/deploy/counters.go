package deploy

import (
	"context"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source/gateway"
)

// counterInterval is how often the gateway's counters are read.
const counterInterval = 500 * time.Millisecond

// counters stand in for the version marker where answers carry none: the
// gateway's own count of requests to the two Services. They cover users'
// requests too, not only the probes.
type counters struct {
	source gateway.Source
	names  []string // the user's Service, the second one

	last []gateway.Counts // the newest reading, nil before the first of a weight
}

// count reads the counters until ctx ends. A reading that fails adds nothing:
// what is not seen is not confirmed, and the deadline of the wait says so.
func (t *traffic) count(ctx context.Context, c *counters) {
	tick := time.NewTicker(counterInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		attempt, cancel := context.WithTimeout(ctx, 4*counterInterval)
		now, err := c.source.Read(attempt, c.names...)
		cancel()
		t.mu.Lock()
		t.countErr = err
		if err == nil {
			t.counted(c, now, began)
		}
		t.mu.Unlock()
	}
}

// counted takes one reading. Its difference to the one before belongs to the
// newest weight only when that one was begun after the write.
func (t *traffic) counted(c *counters, now []gateway.Counts, began time.Time) {
	last := c.last
	if began.Before(t.writtenAt) {
		c.last = nil
		return
	}
	c.last = now
	if last == nil || len(t.steps) == 0 {
		return
	}
	stable, canary := now[0].Since(last[0]), now[1].Since(last[1])
	if !t.warmAt.IsZero() && began.After(t.warmAt) {
		// After the promotion the second Service is the old revision.
		t.new += int(stable.Total)
		t.old += int(canary.Total)
		t.notify()
		return
	}
	if t.judge != nil {
		t.judge.counted(rollout.SideStable, stable.Total, stable.Failed)
		t.judge.counted(rollout.SideCanary, canary.Total, canary.Failed)
		t.judge.flush(time.Now())
	}
	t.confirm(int(stable.Total), int(canary.Total))
}

// confirm shows the confirmer so many answers of each version, mixed as evenly
// as they can be: the order within one reading is not known.
func (t *traffic) confirm(stable, canary int) {
	total := stable + canary
	for i := range total {
		isCanary := (i+1)*canary/total > i*canary/total
		if t.confirmer.Observe(isCanary) && !t.confirmed {
			t.confirmed = true
		}
	}
	t.notify()
}

// evidence is what a confirmation was read off, for the report.
func (t *traffic) evidence() string {
	if t.counters != nil {
		return "the gateway's request counters"
	}
	return t.mark.String()
}
