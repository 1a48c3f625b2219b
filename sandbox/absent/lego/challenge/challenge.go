// Package challenge has the interface that a challenge solver meets.
package challenge

import "time"

// Provider presents the answer to a challenge and takes it away again.
type Provider interface {
	Present(domain, token, keyAuth string) error
	CleanUp(domain, token, keyAuth string) error
}

// ProviderTimeout is a Provider with limits of its own.
type ProviderTimeout interface {
	Provider
	Timeout() (timeout, interval time.Duration)
}
