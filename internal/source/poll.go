package source

import (
	"context"
	"errors"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
)

// How often a source is read, and how long one reading may take. A source that is
// slower than the interval is read again when it has answered.
const (
	readEvery = 2 * time.Second
	readLimit = 20 * time.Second
	// longestPause bounds how long a source may ask to be left alone.
	longestPause = 5 * time.Minute
)

// Poll reads a source at once and then every two seconds, or as seldom as its errors
// ask for, until ctx ends. Each reading is delivered, with the metric's name, before
// the next one begins; points and an error may come together.
func Poll(ctx context.Context, metric string, r Reader, deliver func(metric string, points []analysis.Point, err error)) {
	for {
		next := time.After(readEvery)
		attempt, cancel := context.WithTimeout(ctx, readLimit)
		points, err := r.Read(attempt)
		cancel()
		if ctx.Err() != nil {
			return
		}
		deliver(metric, points, err)
		var limited interface{ RetryAfter() time.Duration }
		if errors.As(err, &limited) {
			next = time.After(pause(limited.RetryAfter()))
		}
		select {
		case <-ctx.Done():
			return
		case <-next:
		}
	}
}

// pause is how long a source is left alone that asks for it.
func pause(asked time.Duration) time.Duration { return min(max(asked, readEvery), longestPause) }
