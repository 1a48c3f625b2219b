package kube

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// AtOnce is how many requests of one kind a run sends side by side. It turns
// the round trips of a large release from minutes into seconds and stays below
// what the API server grants one client (its fairness queues hold 50 requests).
const AtOnce = 16

// Each calls f for every index from 0 to n-1, up to limit at a time, and returns
// when all calls have returned. The first error cancels the context of the other
// calls, starts no more of them, and is the result.
func Each(ctx context.Context, n, limit int, f func(ctx context.Context, i int) error) error {
	g, all := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	for i := range n {
		g.Go(func() error {
			if err := all.Err(); err != nil {
				return err
			}
			return f(all, i)
		})
	}
	return g.Wait()
}

// Together calls functions side by side, like Each.
func Together(ctx context.Context, functions ...func(context.Context) error) error {
	return Each(ctx, len(functions), len(functions), func(ctx context.Context, i int) error { return functions[i](ctx) })
}
