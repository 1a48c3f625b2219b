package engine

import (
	"context"
	"time"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Membership connects the run of one member with its group, which holds the lease
// and steers the rollout. The methods take nil for a run without a group.
type Membership struct {
	// Record is what the records of new releases have; nil for a release outside of the
	// group's order, such as that of a previous image.
	Record *release.Group
	// Lease is the target's, held by the group before and after the run.
	Lease *kube.Lease
	// Hold bounds the waits for the other members.
	Hold time.Duration
	// Requests yields what the group asks of the rollout until ctx ends, and closes
	// the channel then.
	Requests func(ctx context.Context) <-chan rollout.Steer
	// Watch is told every state of the rollout. It must not block.
	Watch func(rollout.State)

	// quiet: what is driven now is an earlier release, of no interest to the group.
	quiet bool
}

// finishing keeps the group out of the end of an earlier release, until the returned
// function is called.
func (m *Membership) finishing() func() {
	if m == nil {
		return func() {}
	}
	m.quiet = true
	return func() { m.quiet = false }
}

// join makes a release that begins a member's.
func (m *Membership) join(record *release.Record) {
	if m == nil || m.Record == nil {
		return
	}
	record.Group = m.Record
	record.Plan.Hold, record.Plan.HoldPromotion = m.Hold, m.Record.Together
}

// requests returns what is asked of a rollout: by its group, else by people.
func (m *Membership) requests(ctx context.Context, lease *kube.Lease) <-chan rollout.Steer {
	switch {
	case m == nil:
		return lease.Requests(ctx)
	case m.quiet:
		none := make(chan rollout.Steer)
		context.AfterFunc(ctx, func() { close(none) })
		return none
	}
	return m.Requests(ctx)
}

// watched adds the group to those who are told of the loop's decisions.
func (m *Membership) watched(report func(rollout.State, rollout.Action, rollout.Observation)) func(rollout.State, rollout.Action, rollout.Observation) {
	if m == nil || m.quiet {
		return report
	}
	return func(s rollout.State, a rollout.Action, o rollout.Observation) {
		report(s, a, o)
		m.Watch(s)
	}
}
