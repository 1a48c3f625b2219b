package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
)

// Retry repeats f while its error is transient: a conflict, an overloaded or
// unreachable API server. When ctx ends, it returns f's last own error.
func Retry(ctx context.Context, f func(context.Context) error) error {
	backoff := wait.Backoff{Duration: 50 * time.Millisecond, Factor: 1.6, Jitter: 0.2, Steps: 1 << 20, Cap: 2 * time.Second}
	for {
		// A timeout per attempt: a connection that hangs is retried like one that is
		// refused.
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := f(attempt)
		cancel()
		if err == nil || !IsTransient(err) {
			return err
		}
		timer := time.NewTimer(backoff.Step())
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// reachLimit bounds the wait for the first answer of an API server. Later ones are
// waited for as long as the work that needs them: an upgrade of its control plane
// takes a while.
const reachLimit = 30 * time.Second

// Reach returns once the API server answers, whatever it answers. It calls waiting
// once, before it waits.
func (c *Cluster) Reach(ctx context.Context, waiting func(why error, until time.Time)) error {
	until := time.Now().Add(reachLimit)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	waits := false
	err := Retry(ctx, func(ctx context.Context) error {
		err := c.Typed.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Error()
		var answer apierrors.APIStatus
		if err == nil || errors.As(err, &answer) && !IsTransient(err) {
			return nil
		}
		if !waits && IsTransient(err) {
			waits = true
			waiting(err, until)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reach the API server %s: %w", c.Host, err)
	}
	return nil
}

// IsTransient reports whether a retry can fix an error.
func IsTransient(err error) bool {
	if errors.Is(err, ErrNotYet) { // also if what is not there yet is "not found"
		return true
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		switch {
		case apierrors.IsConflict(err), apierrors.IsTooManyRequests(err), apierrors.IsServerTimeout(err),
			apierrors.IsTimeout(err), apierrors.IsServiceUnavailable(err), apierrors.IsInternalError(err):
			return true
		}
		return status.Status().Code >= 500
	}
	var netErr net.Error
	return errors.As(err, &netErr) || utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) ||
		utilnet.IsProbableEOF(err) || errors.Is(err, context.DeadlineExceeded)
}

// ErrNotYet is the error of a condition that Retry and Until wait for; callers
// wrap it.
var ErrNotYet = errors.New("not yet")
