package scannertest

import (
	"math/rand/v2"
	"strings"
)

// A maker makes credentials that look real and that no service ever gave out. The
// same seed makes the same ones.
type maker struct{ *rand.Rand }

func newMaker(seed uint64) maker { return maker{rand.New(rand.NewPCG(seed, seed))} }

const (
	lower    = "abcdefghijklmnopqrstuvwxyz"
	upper    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits   = "0123456789"
	alphanum = upper + lower + digits
)

func (m maker) of(alphabet string, n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(alphabet[m.IntN(len(alphabet))])
	}
	return b.String()
}

// Credentials of one seed, in the formats of services that tools know.
type Credentials struct {
	GitHub   string // a personal access token
	GitLab   string // a personal access token
	NPM      string // an access token
	SendGrid string // an API key
	Slack    string // a bot's token
	Stripe   string // a live secret key
}

// Seed is that of the credentials in the planted repository.
const Seed = 20260102

// NewCredentials makes credentials that look real, from a seed.
func NewCredentials(seed uint64) Credentials {
	m := newMaker(seed)
	return Credentials{
		GitHub:   "ghp" + "_" + m.of(alphanum, 36),
		GitLab:   "glpat" + "-" + m.of(alphanum, 20),
		NPM:      "npm" + "_" + m.of(alphanum, 36),
		SendGrid: "SG" + "." + m.of(alphanum, 22) + "." + m.of(alphanum, 43),
		Slack:    "xoxb" + "-" + m.of(digits, 12) + "-" + m.of(digits, 12) + "-" + m.of(alphanum, 24),
		Stripe:   "sk" + "_live_" + m.of(alphanum, 24),
	}
}

// All returns them in the order of their names.
func (c Credentials) All() []string {
	return []string{c.GitHub, c.GitLab, c.NPM, c.SendGrid, c.Slack, c.Stripe}
}
