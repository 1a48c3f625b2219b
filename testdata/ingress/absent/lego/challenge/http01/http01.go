// Package http01 has the options of the HTTP challenge; none has an effect.
package http01

import "time"

// ChallengeOption qualifies an HTTP challenge.
type ChallengeOption func()

// SetDelay has no effect.
func SetDelay(time.Duration) ChallengeOption { return func() {} }

// PathPrefix is where the answers are served.
const PathPrefix = "/.well-known/acme-challenge/"

// ChallengePath is the path at which the answer for token is served.
func ChallengePath(token string) string { return "/.well-known/acme-challenge/" + token }
