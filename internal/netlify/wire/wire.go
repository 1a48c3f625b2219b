// Package wire is what passes between us and Netlify's API below its requests: refusals and
// what they ask for, Netlify's clock, and bodies that must be what was hashed.
package wire

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
)

// maxResponse is how much is read of an answer, in bytes: a deploy lists all files that it
// requires.
const maxResponse = 32 << 20

// A Transport turns refusals into a StatusError before the plumbing decodes their
// bodies as something else. All fields must be set.
type Transport struct {
	Next      http.RoundTripper
	UserAgent string
	Now       func() time.Time
	Log       *slog.Logger        // receives each request, at debug level
	Clean     func(string) string // takes secrets out of a reason

	skew atomic.Int64
}

// Skew is how far Netlify's clock is ahead of ours, by its last answer; 0 before one.
func (w *Transport) Skew() time.Duration { return time.Duration(w.skew.Load()) }

// RoundTrip implements http.RoundTripper.
func (w *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	req = req.Clone(ctx)
	req.Header.Set("User-Agent", w.UserAgent)
	if b, ok := req.Body.(*Body); ok {
		req.ContentLength = b.Size
		if b.Size == 0 {
			_ = b.Close()
			req.Body = http.NoBody
		}
	}
	started := time.Now()
	resp, err := w.Next.RoundTrip(req)
	if err != nil {
		w.Log.DebugContext(ctx, "netlify request", "method", req.Method, "path", req.URL.Path, "took", time.Since(started))
		return nil, err
	}
	if at, ok := dateOf(resp.Header); ok {
		w.skew.Store(int64(at.Sub(w.Now())))
	}
	w.Log.DebugContext(ctx, "netlify request", "method", req.Method, "path", req.URL.Path, "status", resp.StatusCode, "took", time.Since(started))
	if resp.StatusCode/100 == 2 {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxResponse), resp.Body}
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // a part will do
	return nil, &StatusError{Status: resp.StatusCode, Message: w.Clean(message(raw)), Header: resp.Header}
}

// message returns the reason of a refusal: the message of its JSON, or its text.
func message(raw []byte) string {
	var reason struct{ Message, Error string }
	text := strings.TrimSpace(string(raw))
	if json.Unmarshal(raw, &reason) == nil {
		text = cmp.Or(reason.Message, reason.Error)
	} else if strings.HasPrefix(text, "<") {
		text = "" // an HTML page
	}
	return Printable(text)
}

// Printable makes one line of a text of Netlify's: without control characters, which a
// terminal would obey, and without those that change the direction of text.
func Printable(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return strings.Join(strings.Fields(text), " ")
}

// dateOf returns the time at which a server says that it answered.
func dateOf(h http.Header) (time.Time, bool) {
	at, err := http.ParseTime(h.Get("Date"))
	return at, err == nil
}

// A StatusError is Netlify's refusal of a request.
type StatusError struct {
	Status  int
	Message string // Netlify's reason, may be empty

	Header http.Header // of the answer
}

// Error implements error.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("Netlify answers %d %s", e.Status, http.StatusText(e.Status))
	if e.Status == http.StatusUnauthorized {
		text = "Netlify refuses the token (401): it is invalid, revoked or expired"
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Temporary reports whether the same request may succeed later.
func (e *StatusError) Temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500
}

// RetryAfter returns how long Netlify asks us to wait, 0 if it does not. Points in time
// count from the answer's own Date: our clock may be wrong. Now is used without one.
func (e *StatusError) RetryAfter(now time.Time) time.Duration {
	if at, ok := dateOf(e.Header); ok {
		now = at
	}
	if v, err := strconv.ParseInt(e.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil && e.Status == http.StatusTooManyRequests {
		return max(time.Unix(v, 0).Sub(now), time.Second)
	}
	v := e.Header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(v, 10, 32); err == nil && seconds >= 0 {
		return max(time.Duration(seconds)*time.Second, time.Second)
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), time.Second)
	}
	return 0
}

// IsTransient reports whether a failed request may succeed later: it was refused for
// now, or not answered.
func IsTransient(err error) bool {
	var refusal *StatusError
	if errors.As(err, &refusal) {
		return refusal.Temporary()
	}
	var own *permanentError
	return !errors.As(err, &own)
}

// A permanentError is our own; a retry would not help.
type permanentError struct{ error }

// Permanent returns an error as fmt.Errorf does, which no retry would mend.
func Permanent(format string, args ...any) error { return &permanentError{fmt.Errorf(format, args...)} }

// Unwrap returns the cause.
func (e *permanentError) Unwrap() error { return e.error }

// StatusOf returns the HTTP status of a refusal, 0 for any other error.
func StatusOf(err error) int {
	var refusal *StatusError
	if errors.As(err, &refusal) {
		return refusal.Status
	}
	return 0
}
