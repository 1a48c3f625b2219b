package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/deploy/fleet/member"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// coordinate drives all members to the end of the group, or until a signal has
// stopped them.
func (f *Fleet) coordinate(ctx context.Context) error {
	interrupted := ctx.Done()
	for {
		select {
		case <-interrupted:
			interrupted = nil
			f.interrupt(ctx)
		default:
		}
		if interrupted == nil {
			f.hurry(ctx)
			if !running(f) {
				return nil
			}
			f.wait(interrupted, fleet.Decision{})
			continue
		}
		d := f.decide()
		if d.End {
			return nil
		}
		for _, a := range d.Do {
			f.do(ctx, a)
		}
		if len(d.Do) == 0 {
			f.wait(interrupted, d)
		}
	}
}

// decide makes one decision and shows what is new in it.
func (f *Fleet) decide() fleet.Decision {
	var statuses []fleet.Status
	for _, m := range f.members {
		statuses = append(statuses, m.Status())
	}
	f.mu.Lock()
	before := f.state
	var d fleet.Decision
	f.state, d = fleet.Next(f.group.Plan(), before, statuses, time.Now())
	after := f.state
	f.mu.Unlock()
	switch {
	case after.Failure != before.Failure:
		f.logf("%s", backWords(f, after))
	case after.Pause != before.Pause:
		f.logf("pausing: %s", after.Pause)
	case after.Committed && !before.Committed:
		f.logf("all %d members have the new version and have baked: removing the old versions", len(f.members))
	}
	if d.Until.After(f.until) {
		f.until = d.Until
		f.logf("waiting for %s, until %s", d.Await, d.Until.UTC().Format(time.TimeOnly))
	}
	return d
}

// backWords says what goes back and why.
func backWords(f *Fleet, s fleet.State) string {
	scope := map[fleet.Policy]string{
		fleet.RollbackAll:  "every member goes back",
		fleet.RollbackWave: fmt.Sprintf("the members of wave %d go back", s.Wave+1),
		fleet.Stop:         "the members that were not promoted go back",
	}[f.group.OnFailure]
	if s.All {
		scope = "every member goes back"
	}
	return fmt.Sprintf("%s: %s", s.Failure, scope)
}

// do begins an action.
func (f *Fleet) do(ctx context.Context, a fleet.Action) {
	m := f.members[a.Member]
	m.Began(a.Kind)
	running, _ := m.Driven()
	by := "its group"
	f.mu.Lock()
	if f.state.Failure != "" {
		by += " (" + f.state.Failure + ")"
	}
	f.mu.Unlock()
	f.logf("%s %s", a.Kind, m.Name)
	switch a.Kind {
	case fleet.Start:
		m.Start(ctx, f.terms(), f.resuming)
	case fleet.Promote:
		m.Ask(rollout.RequestPromote, by)
	case fleet.Pause:
		m.Ask(rollout.RequestPause, by)
	case fleet.Leave:
		m.Signal("the pause of its group")
	case fleet.Rollback:
		if running {
			m.Ask(rollout.RequestRollback, by)
		} else {
			m.Take(ctx, f.terms(), rollout.RequestRollback)
		}
	case fleet.Release:
		if running {
			m.Ask(rollout.RequestRelease, by)
		} else {
			m.Take(ctx, f.terms(), rollout.RequestPromote) // of a warm version: it ends the warm time
		}
	}
}

// wait returns after a change, a signal or the deadline of a decision.
func (f *Fleet) wait(interrupted <-chan struct{}, d fleet.Decision) {
	var timer <-chan time.Time
	if !d.Until.IsZero() {
		t := time.NewTimer(time.Until(d.Until))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-f.changed:
	case <-timer:
	case <-interrupted:
	}
}

// running reports whether an operation drives a member.
func running(f *Fleet) bool {
	return slices.ContainsFunc(f.members, func(m *member.Member) bool {
		running, _ := m.Driven()
		return running
	})
}

// interrupt remembers a signal as the reason why the group goes back.
func (f *Fleet) interrupt(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state.Failure == "" && f.state.Pause == "" {
		f.state.Failure = "interrupted by " + signalOf(ctx)
		for _, m := range f.members {
			if p := m.Status().Phase; p != fleet.Waiting {
				f.state.Wave = m.Wave
			}
		}
	}
}

// signalOf names the signal that cancelled a run.
func signalOf(ctx context.Context) string {
	var s *action.SignalError
	if errors.As(context.Cause(ctx), &s) {
		return s.Signal.String()
	}
	return "the end of the run"
}

// hurry passes a signal on to the members that are driven: those that rise abort at
// once, those that were promoted go back first if the policy says so. What nobody
// drives is left to the next run.
func (f *Fleet) hurry(ctx context.Context) {
	f.mu.Lock()
	state := f.state
	f.mu.Unlock()
	name := signalOf(ctx)
	for _, m := range f.members {
		p := m.Status().Phase
		running, asked := m.Driven()
		back := (p == fleet.Promoting || p == fleet.Baking || p == fleet.Kept) && !state.Committed &&
			(f.group.OnFailure == fleet.RollbackAll || f.group.OnFailure == fleet.RollbackWave && m.Wave == state.Wave)
		switch {
		case !running:
		case back && asked != rollout.RequestRollback:
			m.Ask(rollout.RequestRollback, state.Failure)
		case !back:
			m.Signal(name)
		}
	}
}

// request takes what a person asks of a member, which is asked of its group.
func (f *Fleet) request(m *member.Member, s rollout.Steer) {
	words := fmt.Sprintf("%s by %s", s.Request, s.By)
	f.logf("%s asks for %s of %s", s.By, s.Request, m.Name)
	p := m.Status().Phase
	on := s.Request == rollout.RequestPromote || s.Request == rollout.RequestPromoteFull
	f.mu.Lock()
	switch s.Request {
	case rollout.RequestAbort, rollout.RequestRollback:
		f.state.Failure, f.state.All = words, true
	case rollout.RequestPause:
		f.state.Pause = words
	default:
		if on && p == fleet.Kept { // the next wave need not wait
			f.group.Bake = 0
		}
	}
	f.mu.Unlock()
	switch {
	case on && p == fleet.Rising:
		m.Ask(s.Request, s.By)
	case on && p != fleet.Kept:
		f.logf("%s is %s: the group promotes it together with the others", m.Name, p)
	}
	member.Notify(f.changed)
}
