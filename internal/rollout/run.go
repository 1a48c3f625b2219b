package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrFenced is returned (wrapped, naming the other run) by a Target when
// another run has taken the lease. Nothing may be changed after it.
var ErrFenced = errors.New("another run holds the lease")

// A DriftError says that somebody else changed what this rollout wrote. A
// rollout stops at it, it does not write over it.
type DriftError struct {
	What string // the object and the field
	Who  string // the field manager, as far as it is known
}

func (e *DriftError) Error() string { return e.Who + " changed " + e.What }

// A Target is the workload and its route. Implementations retry what may heal
// until the context ends, and repeat safely: an action may have been carried
// out in part by a process that is gone.
type Target interface {
	// Observe says what is seen now, from a watch and without a request
	// where possible. It fills in the fields of pods, Accepted and Drift.
	Observe(ctx context.Context, s State) (Observation, error)
	// Do carries out one action of a kind other than KindWait and KindStop.
	Do(ctx context.Context, a Action, s State) error
	// Save records the state. It returns ErrFenced when this run is no
	// longer the one.
	Save(ctx context.Context, s State) error
	// Changed is signalled after something that Observe reads has changed.
	Changed() <-chan struct{}
}

// Traffic is the stream of answers and its judge.
type Traffic interface {
	// ActionDone says that an action was carried out, so that answers sent
	// before it do not count for the weight after it.
	ActionDone(a Action, s State, at time.Time)
	// Annotate adds what the answers say: split, verdict, reason and the counts
	// of StageSettle.
	Annotate(o Observation, s State) Observation
	// Changed is signalled when an answer changed what Annotate says.
	Changed() <-chan struct{}
}

// A Runner joins what Run needs.
type Runner struct {
	Target  Target
	Traffic Traffic
	Now     func() time.Time
	// After is time.After or a test's clock.
	After func(time.Duration) <-chan time.Time
	// Report is called after every decision, also when nothing changed but
	// the observation. It must not block.
	Report func(State, Action, Observation)
	// Interrupted yields the name of a signal, once.
	Interrupted <-chan string
}

// actionError carries which stage could not be carried out.
func actionError(stage Stage, err error) error { return fmt.Errorf("%s: %w", stage, err) }

// Run drives a rollout from s to a terminal phase and returns the last state.
// The error is non-nil only when the terminal state could not be recorded;
// outcomes, failed ones included, are in the state.
//
// Actions on the way up are cut short by a signal. Actions of an abort and of
// a promotion run on a context of their own, bounded by the plan.
func (r Runner) Run(ctx context.Context, p Plan, s State) (State, error) {
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
		case KindStop:
			return l.state, nil
		case KindWait:
			until := action.Until
			if !action.Wake.IsZero() {
				until = action.Wake
			}
			l.signal = r.wait(until.Sub(now), l.signal)
		default:
			l.carryOut(ctx, action)
		}
	}
}

// A loop is one Run: the state, and what the next decision has to know beside
// what Observe says.
type loop struct {
	Runner
	plan  Plan
	state State

	signal, fenced string
	done           Stage
	failed         error
	drift          *DriftError
}

// decide observes and decides. changed says that the state is to be recorded.
func (l *loop) decide(ctx context.Context) (action Action, changed bool, now time.Time) {
	s := l.state
	o, err := l.Target.Observe(ctx, s)
	if err != nil && l.failed == nil {
		l.failed = fmt.Errorf("observe: %w", err)
	}
	o.Now, o.Done, o.Err, o.Interrupted, o.Fenced = l.Now(), l.done, l.failed, l.signal, l.fenced
	if l.drift != nil && o.Drift == "" {
		o.Drift = l.drift.Error()
	}
	o = l.Traffic.Annotate(o, s)
	l.state, action = Next(l.plan, s, o)
	l.done, l.failed = "", nil
	next := l.state
	changed = next.Phase != s.Phase || next.Stage != s.Stage || next.Step != s.Step || next.Extensions != s.Extensions || next.Sized != s.Sized || !next.QuickBy.Equal(s.QuickBy)
	l.Report(next, action, o)
	return action, changed, o.Now
}

// record saves the state. When it returns false, the action must not be carried
// out; an error means that the end could not be recorded.
func (l *loop) record(ctx context.Context, action Action) (recorded bool, err error) {
	err = l.save(ctx, l.plan, l.state)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrFenced):
		l.fenced = err.Error()
		return false, nil
	case action.Kind == KindStop:
		return false, fmt.Errorf("record the end of the rollout (%s: %s): %w", l.state.Phase, l.state.Reason, err)
	case l.state.Phase == PhaseProgressing: // never raise a weight that is not on record
		l.failed = actionError(l.state.Stage, err)
		return false, nil
	}
	return true, nil // on the way back traffic comes first, the record second
}

// carryOut does what was decided and keeps what came of it for the next decision.
func (l *loop) carryOut(ctx context.Context, action Action) {
	err := l.act(ctx, l.plan, l.state, action, &l.signal)
	switch {
	case errors.Is(err, ErrFenced):
		l.fenced = err.Error()
	case errors.As(err, &l.drift) && l.state.Phase == PhaseProgressing:
		// seen by the next decision
	case err != nil:
		l.failed = actionError(l.state.Stage, err)
	default:
		l.done = action.Stage
		l.Traffic.ActionDone(action, l.state, l.Now())
	}
}

// wait returns when something may have changed, the deadline has come or a
// signal arrived. A signal that already arrived does not wake it again.
func (r Runner) wait(d time.Duration, signal string) string {
	var interrupted <-chan string
	if signal == "" {
		interrupted = r.Interrupted
	}
	select {
	case <-r.Target.Changed():
	case <-r.Traffic.Changed():
	case <-r.After(max(d, 0)):
	case signal = <-interrupted:
	}
	return signal
}

// act carries out one action. A signal ends one of the way up, or the removal
// of a canary that no traffic goes to, at once; the reversed or later repeated
// action copes with a part of it done. Any other action gets the time that a
// quick abort has.
func (r Runner) act(ctx context.Context, p Plan, s State, a Action, signal *string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), budget(p, s, r.Now()))
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- r.Target.Do(ctx, a, s) }()
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
			if s.Phase == PhaseProgressing || s.Stage == StageAbortRemove {
				cancel()
			} else {
				patience = r.After(p.QuickAbort)
			}
		case <-patience:
			cancel()
		}
	}
}

func (r Runner) save(ctx context.Context, p Plan, s State) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), budget(p, s, r.Now()))
	defer cancel()
	return r.Target.Save(ctx, s)
}

// budget is how long one action may take.
func budget(p Plan, s State, now time.Time) time.Duration {
	if !s.QuickBy.IsZero() {
		return max(s.QuickBy.Sub(now), time.Second)
	}
	return p.Finish
}
