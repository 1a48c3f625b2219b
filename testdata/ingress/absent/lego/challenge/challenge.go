// Package challenge has the interface that a challenge solver meets.
package challenge

import (
	"context"
	"time"
)

// Provider presents the answer to a challenge and takes it away again.
type Provider interface {
	Present(ctx context.Context, domain, token, keyAuth string) error
	CleanUp(ctx context.Context, domain, token, keyAuth string) error
}

// ProviderTimeout is a Provider with limits of its own.
type ProviderTimeout interface {
	Provider
	Timeout() (timeout, interval time.Duration)
}
