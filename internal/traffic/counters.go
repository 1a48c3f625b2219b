package traffic

import (
	"context"
	"time"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source/gateway"
)

// counters replace the version marker if answers carry none: the gateway's own
// request counters of the two Services. They also count users' requests, not
// only the probes.
type counters struct {
	source gateway.Source
	names  []string // the user's Service, the canary's

	last []gateway.Counts // the newest reading, nil before the first of a weight
}

func newCounters(ctx context.Context, url string, record *release.Record) (*counters, error) {
	c := &counters{
		source: gateway.Source{URL: url, Namespace: record.Namespace},
		names:  []string{record.Service, record.CanaryService()},
	}
	_, err := c.source.Read(ctx, c.names...)
	return c, err
}

// run reads the counters until ctx ends. Without readings the weight stays unconfirmed
// until its deadline.
func (c *counters) run(ctx context.Context, m *Monitor) {
	c.source.Poll(ctx, c.names, func(now []gateway.Counts, began time.Time) { c.counted(m, now, began) })
}

// counted handles one reading. Its increase counts for the newest weight only
// if the previous reading started after the write.
func (c *counters) counted(m *Monitor, now []gateway.Counts, began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := c.last
	if began.Before(m.share.writtenAt) {
		c.last = nil
		return
	}
	c.last = now
	if last == nil || m.steps.newest() == nil {
		return
	}
	defer m.notify()
	stable, canary := now[0].Since(last[0]), now[1].Since(last[1])
	if !m.settled.Since.IsZero() && began.After(m.settled.Since) {
		// After the promotion the canary Service is the old revision.
		m.settled.New += int(stable.Total)
		m.settled.Old += int(canary.Total)
		if !m.reverted {
			m.judge.counted(rollout.SideCanary, stable.Total, stable.Failed)
			m.judge.flush(time.Now())
		}
		return
	}
	m.judge.counted(rollout.SideStable, stable.Total, stable.Failed)
	m.judge.counted(rollout.SideCanary, canary.Total, canary.Failed)
	m.judge.flush(time.Now())
	m.share.counted(int(stable.Total), int(canary.Total))
}
