// Package dns01 has the options of the DNS challenge; none has an effect.
package dns01

import (
	"strings"
	"time"
)

// ChallengeOption qualifies a DNS challenge.
type ChallengeOption func()

// AddRecursiveNameservers has no effect.
func AddRecursiveNameservers([]string) ChallengeOption { return func() {} }

// RecursiveNSsPropagationRequirement has no effect.
func RecursiveNSsPropagationRequirement() ChallengeOption { return func() {} }

// DisableAuthoritativeNssPropagationRequirement has no effect.
func DisableAuthoritativeNssPropagationRequirement() ChallengeOption { return func() {} }

// PropagationWait has no effect.
func PropagationWait(time.Duration, bool) ChallengeOption { return func() {} }

// Options configures a Client.
type Options struct{ RecursiveNameservers []string }

// Client asks name servers.
type Client struct{}

// NewClient returns a client that does nothing.
func NewClient(*Options) *Client { return &Client{} }

// SetDefaultClient has no effect.
func SetDefaultClient(*Client) {}

// CondOptions returns the options if the condition holds.
func CondOptions(condition bool, options ...ChallengeOption) ChallengeOption { return func() {} }

// DisableRecursiveNSsPropagationRequirement has no effect.
func DisableRecursiveNSsPropagationRequirement() ChallengeOption { return func() {} }

// UnFqdn returns name without its final dot.
func UnFqdn(name string) string { return strings.TrimSuffix(name, ".") }
