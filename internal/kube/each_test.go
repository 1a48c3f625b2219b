package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func TestEachCallsAllWithinTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 4
	called := make([]int, 20)
	var now, most atomic.Int32
	var once sync.Once
	full := make(chan struct{}) // closed when limit calls run at once
	err := Each(t.Context(), len(called), limit, func(_ context.Context, i int) error {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if n == limit {
			once.Do(func() { close(full) })
		}
		<-full
		called[i]++
		return nil
	})
	if err != nil || most.Load() != limit {
		t.Errorf("error %v, %d calls at once, want %d", err, most.Load(), limit)
	}
	for i, n := range called {
		if n != 1 {
			t.Errorf("call %d: %d times", i, n)
		}
	}
}

func TestEachStopsAtAnError(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	var calls atomic.Int32
	err := Each(t.Context(), 1000, 2, func(ctx context.Context, i int) error {
		calls.Add(1)
		if i == 0 {
			return fmt.Errorf("call %d: %w", i, refused)
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, refused) || calls.Load() > 2 {
		t.Errorf("error %v after %d calls, want the first one after 2", err, calls.Load())
	}
}

func TestEachEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Each(ctx, 3, 2, func(context.Context, int) error {
		t.Error("called after the end")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
