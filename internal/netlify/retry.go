package netlify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/netlify/wire"
)

// Retries of requests, as netlify-cli retries uploads.
const (
	maxTries   = 5
	firstPause = 5 * time.Second
	maxPause   = 90 * time.Second
	maxJitter  = .5 // of a pause, added to it
	// maxWaits is how often one request waits for a rate limit. These waits do
	// not count as tries: Netlify did not process the request.
	maxWaits = 20
	limit    = 20 * time.Minute // of a publication
)

// backoff is the pause before the nth retry, from 1, without its jitter: 5, 5, 10, 15,
// 25 s and so on.
func backoff(n int) time.Duration {
	a, b := firstPause, firstPause
	for range n - 1 {
		a, b = b, a+b
	}
	return min(a, maxPause)
}

// A call is one call of the package: its deadline, and its requests so far.
type call struct {
	*client
	deadline time.Time

	mu       sync.Mutex
	requests map[string]int
	retries  int
}

func (a *Account) newCall() (*call, error) {
	opened, err := a.open()
	if err != nil {
		return nil, err
	}
	return &call{client: opened, deadline: a.now().Add(limit), requests: map[string]int{}}, nil
}

func (c *call) count(kind string, retry bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[kind]++
	if retry {
		c.retries++
	}
}

// do sends a request of a kind until it succeeds, fails permanently, or was tried often
// enough. The number passed to once counts the retries.
func (c *call) do(ctx context.Context, kind string, once func(ctx context.Context, retries int) error) error {
	return c.doUnless(ctx, kind, once, nil)
}

// doUnless is do for a request that must not take effect twice: done is called before
// each further try, and reports whether none is needed.
func (c *call) doUnless(ctx context.Context, kind string, once func(ctx context.Context, retries int) error, done func(context.Context) (bool, error)) error {
	failures, waits := 0, 0
	for {
		c.count(kind, failures+waits > 0)
		err := once(ctx, failures+waits)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return contextError(ctx)
		}
		err = c.sanitize(err)
		pause, again := c.pause(err, &failures, &waits)
		if !again {
			if failures > 1 {
				return fmt.Errorf("tried %d times: %w", failures, err)
			}
			return err
		}
		if waitErr := c.wait(ctx, pause); waitErr != nil {
			return fmt.Errorf("%w; before that: %w", waitErr, err)
		}
		if done == nil {
			continue
		}
		if is, doneErr := done(ctx); is || doneErr != nil {
			return doneErr
		}
	}
}

// pause returns the time until the next try after an error, and whether there is one.
func (c *call) pause(err error, failures, waits *int) (time.Duration, bool) {
	var refusal *wire.StatusError
	var requested time.Duration // by Netlify
	if errors.As(err, &refusal) {
		requested = refusal.RetryAfter(c.now())
	}
	if wire.StatusOf(err) == 429 && *waits < maxWaits {
		*waits++
		if requested == 0 {
			requested = backoff(*waits)
		}
		return requested + c.jitter(time.Second), true
	}
	*failures++
	if !wire.IsTransient(err) || *failures >= maxTries {
		return 0, false
	}
	pause := backoff(*failures)
	return max(pause+c.jitter(pause), requested), true
}

func (c *call) jitter(d time.Duration) time.Duration {
	return time.Duration(c.random() * maxJitter * float64(d))
}

// wait waits. If ctx or the deadline would end first, it returns their error at once.
func (c *call) wait(ctx context.Context, d time.Duration) error {
	if c.now().Add(d).After(c.deadline) {
		return fmt.Errorf("%w: the next attempt would be in %s", errDeadline, d.Round(time.Second))
	}
	select {
	case <-ctx.Done():
		return contextError(ctx)
	default:
	}
	select {
	case <-ctx.Done():
		return contextError(ctx)
	case <-c.after(d):
		return nil
	}
}

var errDeadline = fmt.Errorf("not done within %s", limit)

// contextError says why a context ended.
func contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("out of time: %w", context.Cause(ctx))
	}
	return fmt.Errorf("interrupted: %w", context.Cause(ctx))
}
