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
	var signal, fenced string
	var done Stage
	var failed error
	var drift *DriftError
	for {
		o, err := r.Target.Observe(ctx, s)
		if err != nil && failed == nil {
			failed = fmt.Errorf("observe: %w", err)
		}
		o.Now, o.Done, o.Err, o.Interrupted, o.Fenced = r.Now(), done, failed, signal, fenced
		if drift != nil && o.Drift == "" {
			o.Drift = drift.Error()
		}
		o = r.Traffic.Annotate(o, s)
		next, action := Next(p, s, o)
		done, failed = "", nil
		changed := next.Phase != s.Phase || next.Stage != s.Stage || next.Step != s.Step || next.Extensions != s.Extensions || next.Sized != s.Sized || !next.QuickBy.Equal(s.QuickBy)
		s = next
		r.Report(s, action, o)

		if changed && fenced == "" {
			if err := r.save(ctx, p, s); errors.Is(err, ErrFenced) {
				fenced = err.Error()
				continue
			} else if err != nil {
				if action.Kind == KindStop {
					return s, fmt.Errorf("record the end of the rollout (%s: %s): %w", s.Phase, s.Reason, err)
				}
				if s.Phase == PhaseProgressing { // never raise a weight that is not on record
					failed = actionError(s.Stage, err)
					continue
				}
				// On the way back traffic comes first, the record second.
			}
		}
		switch action.Kind {
		case KindStop:
			return s, nil
		case KindWait:
			until := action.Until
			if !action.Wake.IsZero() {
				until = action.Wake
			}
			signal = r.wait(until.Sub(o.Now), signal)
		default:
			err := r.act(ctx, p, s, action, &signal)
			switch {
			case errors.Is(err, ErrFenced):
				fenced = err.Error()
			case errors.As(err, &drift) && s.Phase == PhaseProgressing:
				// seen by the next decision
			case err != nil:
				failed = actionError(s.Stage, err)
			default:
				done = action.Stage
				r.Traffic.ActionDone(action, s, r.Now())
			}
		}
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
// of a slot that no traffic goes to, at once; the reversed or later repeated
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
