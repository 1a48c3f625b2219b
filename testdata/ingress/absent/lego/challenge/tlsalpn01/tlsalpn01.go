// Package tlsalpn01 has the options of the TLS challenge; none has an effect.
package tlsalpn01

import (
	"errors"
	"time"
)

// ACMETLS1Protocol is the ALPN name of the challenge.
const ACMETLS1Protocol = "acme-tls/1"

// ChallengeOption qualifies a TLS challenge.
type ChallengeOption func()

// SetDelay has no effect.
func SetDelay(time.Duration) ChallengeOption { return func() {} }

// ChallengeBlocks always returns an error.
func ChallengeBlocks(domain, keyAuth string) (cert, key []byte, err error) {
	return nil, nil, errors.New("this build has no ACME client")
}
