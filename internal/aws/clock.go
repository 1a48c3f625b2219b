package aws

import (
	"context"
	"time"
)

// A Clock is the clock of all waits. Tests set their own, so that nothing sleeps.
type Clock struct {
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error // returns the context's error when the context ends first
}

// orSystem replaces nil functions with the system's.
func (c Clock) orSystem() Clock {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	return c
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
