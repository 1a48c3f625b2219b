package netlify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// How often and when a request is repeated: as netlify-cli repeats uploads.
const (
	tries    = 5
	firstGap = 5 * time.Second
	longGap  = 90 * time.Second
	jitter   = .5 // of a pause, at most, on top of it
	// maxWaits is how often a rate limit is waited for. It is not counted as
	// a try: the request was never looked at.
	maxWaits = 20
	limit    = 20 * time.Minute // of a publication
)

// gap is the pause before the nth repetition, from 1, without its random part: 5,
// 5, 10, 15, 25 s and so on.
func gap(n int) time.Duration {
	a, b := firstGap, firstGap
	for range n - 1 {
		a, b = b, a+b
	}
	return min(a, longGap)
}

// A flow is one call of the package: its deadline, and what it asked so far.
type flow struct {
	*api
	deadline time.Time

	mu       sync.Mutex
	requests map[string]int
	retries  int
}

func (a *Account) begin() (*flow, error) {
	opened, err := a.open()
	if err != nil {
		return nil, err
	}
	return &flow{api: opened, deadline: a.now().Add(limit), requests: map[string]int{}}, nil
}

func (f *flow) count(kind string, repeated bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests[kind]++
	if repeated {
		f.retries++
	}
}

// ask makes a request of a kind until it succeeds, is refused for good, or was
// tried often enough. The number that once gets is that of repetitions.
func (f *flow) ask(ctx context.Context, kind string, once func(ctx context.Context, repetition int) error) error {
	failures, waits := 0, 0
	for {
		f.count(kind, failures+waits > 0)
		err := once(ctx, failures+waits)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ended(ctx)
		}
		err = f.plain(err)
		pause, again := f.pause(err, &failures, &waits)
		if !again {
			if failures > 1 {
				return fmt.Errorf("tried %d times: %w", failures, err)
			}
			return err
		}
		if waitErr := f.wait(ctx, pause); waitErr != nil {
			return fmt.Errorf("%w; before that: %w", waitErr, err)
		}
	}
}

// pause says when to ask again after an error, if at all.
func (f *flow) pause(err error, failures, waits *int) (time.Duration, bool) {
	var refusal *StatusError
	var asked time.Duration
	if errors.As(err, &refusal) {
		asked = refusal.retryAfter(f.now())
	}
	if status(err) == 429 && *waits < maxWaits {
		*waits++
		if asked == 0 {
			asked = gap(*waits)
		}
		return asked + f.spread(time.Second), true
	}
	*failures++
	if !temporary(err) || *failures >= tries {
		return 0, false
	}
	pause := gap(*failures)
	return max(pause+f.spread(pause), asked), true
}

func (f *flow) spread(d time.Duration) time.Duration {
	return time.Duration(f.random() * jitter * float64(d))
}

// wait lets time pass. It returns an error where ctx or the deadline would end it,
// and then at once.
func (f *flow) wait(ctx context.Context, d time.Duration) error {
	if f.now().Add(d).After(f.deadline) {
		return fmt.Errorf("%w: the next attempt would be in %s", errDeadline, d.Round(time.Second))
	}
	select {
	case <-ctx.Done():
		return ended(ctx)
	default:
	}
	select {
	case <-ctx.Done():
		return ended(ctx)
	case <-f.after(d):
		return nil
	}
}

var errDeadline = fmt.Errorf("not done within %s", limit)

// ended says why a context is over.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("out of time: %w", context.Cause(ctx))
	}
	return fmt.Errorf("interrupted: %w", context.Cause(ctx))
}
