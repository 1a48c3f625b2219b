// Package loop drives a rollout: observe, decide, record, act, wait for a change.
// The decision is decide.Next; what it observes and changes are a Target and a
// Traffic.
package loop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/decide"
)

// A Target is the workload and its route. Implementations retry transient
// errors until the context ends. Their actions are idempotent: a previous
// process may have executed a part of one.
type Target interface {
	// Observe returns the current observation, from a watch and without a request
	// where possible. It sets the fields of pods, Accepted and Drift.
	Observe(ctx context.Context, s rollout.State) (rollout.Observation, error)
	// Do executes one action of a kind other than KindWait and KindStop.
	Do(ctx context.Context, a rollout.Action, s rollout.State) error
	// Save records the state. It returns ErrFenced if another run has taken over.
	Save(ctx context.Context, s rollout.State) error
	// Changed returns a channel that signals a change of the data behind Observe.
	Changed() <-chan struct{}
}

// Traffic is the stream of answers and its judge.
type Traffic interface {
	// ActionDone reports that an action was executed; requests sent before at do
	// not count for the new weight.
	ActionDone(a rollout.Action, s rollout.State, at time.Time)
	// Annotate adds the results from the answers: split, verdict, reason and the
	// counts of StageSettle.
	Annotate(o rollout.Observation, s rollout.State) rollout.Observation
	// Changed returns a channel that signals a change of the data behind Annotate.
	Changed() <-chan struct{}
}

// A Runner has the dependencies of Run.
type Runner struct {
	Target  Target
	Traffic Traffic
	Now     func() time.Time
	// After is time.After or a test's clock.
	After func(time.Duration) <-chan time.Time
	// Report is called after every decision, even if only the observation changed.
	// It must not block.
	Report func(rollout.State, rollout.Action, rollout.Observation)
	// Interrupted yields the name of a signal, once.
	Interrupted <-chan string
	// Steered yields what people ask for; nil for nothing.
	Steered <-chan rollout.Steer
	// Woken signals a change of what the Target observes beside its own; nil for none.
	Woken <-chan struct{}
}

// actionError adds the failed stage to the error.
func actionError(stage rollout.Stage, err error) error { return fmt.Errorf("%s: %w", stage, err) }

// Run drives a rollout from s to a terminal phase and returns the last state.
// The error is non-nil only if Run could not record the terminal state; the
// state has the outcome, also of a failed rollout.
//
// A signal interrupts the actions of the rise. The actions of an abort or a
// promotion have their own context, bounded by the plan.
func (r Runner) Run(ctx context.Context, p rollout.Plan, s rollout.State) (rollout.State, error) {
	l := loop{Runner: r, plan: p, state: s}
	for {
		action, changed, now := l.decide(ctx)
		if changed && l.fenced == "" {
			recorded, err := l.record(ctx, action)
			if err != nil {
				return l.state, err
			}
			if !recorded {
				continue
			}
		}
		switch action.Kind {
		case rollout.KindStop:
			return l.state, nil
		case rollout.KindWait:
			until := action.Until
			if !action.Wake.IsZero() {
				until = action.Wake
			}
			l.wait(until.Sub(now))
		default:
			l.carryOut(ctx, action)
		}
	}
}

// A loop is one call of Run: the state, and the input of the next decision that
// Observe does not provide.
type loop struct {
	Runner
	plan   rollout.Plan
	state  rollout.State
	before rollout.State // before the last decision

	signal, fenced string
	done           rollout.Stage
	failed         error
	drift          *rollout.DriftError
	steer          rollout.Steer // not yet decided on
}

// decide observes and decides. changed says that the state must be recorded.
func (l *loop) decide(ctx context.Context) (action rollout.Action, changed bool, now time.Time) {
	s := l.state
	o, err := l.Target.Observe(ctx, s)
	if err != nil && l.failed == nil {
		l.failed = fmt.Errorf("observe: %w", err)
	}
	l.receive()
	o.Now, o.Done, o.Err, o.Interrupted = l.Now(), l.done, l.failed, l.signal
	l.fenced = cmp.Or(l.fenced, o.Fenced) // then it records nothing either
	o.Fenced = l.fenced
	o.Request, o.By = l.steer.Request, l.steer.By
	if l.drift != nil && o.Drift == "" {
		o.Drift = l.drift.Error()
	}
	o = l.Traffic.Annotate(o, s)
	l.state, action = decide.Next(l.plan, s, o)
	l.done, l.failed, l.steer = "", nil, rollout.Steer{}
	next := l.state
	changed = next.Phase != s.Phase || next.Stage != s.Stage || next.Step != s.Step || next.Extensions != s.Extensions || next.Sized != s.Sized || !next.QuickBy.Equal(s.QuickBy) ||
		next.Full != s.Full || next.Pods != s.Pods || next.Skip != s.Skip || next.Back != s.Back || next.Hold != s.Hold
	l.before = s
	l.Report(next, action, o)
	return action, changed, o.Now
}

// record saves the state. If it returns false, the caller must not execute the
// action; an error means that the end could not be recorded.
func (l *loop) record(ctx context.Context, action rollout.Action) (recorded bool, err error) {
	err = l.save(ctx, l.plan, l.state)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, rollout.ErrFenced):
		// Whatever this decision was, the other run decides now.
		l.fenced, l.state = err.Error(), l.before
		return false, nil
	case action.Kind == rollout.KindStop:
		return false, fmt.Errorf("record the end of the rollout (%s: %s): %w", l.state.Phase, l.state.Reason, err)
	case l.state.Phase == rollout.PhaseProgressing: // never raise a weight that is not recorded
		l.failed = actionError(l.state.Stage, err)
		return false, nil
	}
	return true, nil // on the way back, traffic comes before the record
}

// carryOut executes the action and keeps its result for the next decision.
func (l *loop) carryOut(ctx context.Context, action rollout.Action) {
	err := l.act(ctx, l.plan, l.state, action, &l.signal)
	switch {
	case errors.Is(err, rollout.ErrFenced):
		l.fenced = err.Error()
	case errors.As(err, &l.drift) && l.state.Phase == rollout.PhaseProgressing:
		// seen by the next decision
	case err != nil:
		l.failed = actionError(l.state.Stage, err)
	default:
		l.done = action.Stage
		l.Traffic.ActionDone(action, l.state, l.Now())
	}
}

// wait returns after a change, at the deadline, on a request or on a signal. A
// signal that has already arrived does not wake it again.
func (l *loop) wait(d time.Duration) {
	var interrupted <-chan string
	if l.signal == "" {
		interrupted = l.Interrupted
	}
	select {
	case <-l.Target.Changed():
	case <-l.Traffic.Changed():
	case <-l.Woken:
	case <-l.After(max(d, 0)):
	case l.steer = <-l.Steered:
	case l.signal = <-interrupted:
	}
}

// receive takes a request that arrived during an action.
func (l *loop) receive() {
	if l.steer.Request != "" {
		return
	}
	select {
	case l.steer = <-l.Steered:
	default:
	}
}

// act executes one action. A signal immediately interrupts an action of the
// rise and the removal of a canary without traffic; the reversed or repeated
// action handles a partial result. Any other action gets the time of a quick
// abort.
func (r Runner) act(ctx context.Context, p rollout.Plan, s rollout.State, a rollout.Action, signal *string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), budget(p, s, r.Now()))
	defer cancel()
	result := make(chan error, 1)
	go func() {
		// A crash here must not end the process: its status would say that nothing was
		// touched, and traffic would stay split.
		defer func() {
			if p := recover(); p != nil {
				result <- fmt.Errorf("crashed: %v\n%s", p, debug.Stack())
			}
		}()
		result <- r.Target.Do(ctx, a, s)
	}()
	var interrupted <-chan string
	if *signal == "" {
		interrupted = r.Interrupted
	}
	var patience <-chan time.Time
	for {
		select {
		case err := <-result:
			return err
		case *signal = <-interrupted:
			interrupted = nil
			if s.Phase == rollout.PhaseProgressing || s.Stage == rollout.StageAbortRemove {
				cancel()
			} else {
				patience = r.After(p.QuickAbort)
			}
		case <-patience:
			cancel()
		}
	}
}

func (r Runner) save(ctx context.Context, p rollout.Plan, s rollout.State) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), budget(p, s, r.Now()))
	defer cancel()
	return r.Target.Save(ctx, s)
}

// budget returns the time limit of one action.
func budget(p rollout.Plan, s rollout.State, now time.Time) time.Duration {
	if !s.QuickBy.IsZero() {
		return max(s.QuickBy.Sub(now), time.Second)
	}
	return p.Finish
}
