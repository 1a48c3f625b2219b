package netlify

import (
	"archive/zip"
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

const token = "nfp_plantedTokenOfTheTests42"

// A clock goes on by what is waited for, and at once.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.waits = append(c.waits, d)
	fired := make(chan time.Time, 1)
	fired <- c.now
	return fired
}

// longest is the longest pause that was made.
func (c *clock) longest() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var most time.Duration
	for _, w := range c.waits {
		most = max(most, w)
	}
	return most
}

// setup is a server that takes the token, and an account there with a clock of its
// own.
func setup(t *testing.T, b netlifytest.Behaviour, faults ...netlifytest.Fault) (*netlifytest.Server, *Account, *clock) {
	t.Helper()
	c := newClock()
	s := netlifytest.NewT(t, netlifytest.Options{Token: token, Behaviour: b, Now: c.Now})
	s.Inject(faults...)
	return s, &Account{Token: token, BaseURL: s.URL(), Now: c.Now, After: c.After, Rand: func() float64 { return .5 }}, c
}

// small is a site of three files.
func small(t *testing.T) Upload {
	t.Helper()
	return Upload{SiteID: "site", Alias: "pr-12", Title: "Preview", Dir: netlifytest.Folder(t, map[string]string{
		"index.html": "<p>commit abc</p>", "app.js": "let a", "css/a b.css": "p{}",
	})}
}

// has fails unless text holds all parts.
func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not hold %q", text, p)
		}
	}
}

// zipOf is a zip of one file.
func zipOf(name, text string) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.Create(name)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return nil, err
	}
	err = z.Close()
	return out.Bytes(), err
}
