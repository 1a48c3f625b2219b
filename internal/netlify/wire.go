package netlify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/go-openapi/runtime"
	openapi "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	"github.com/netlify/open-api/v2/go/plumbing/operations"

	"github.com/candlefish/deploy-action/internal/redact"
)

const (
	requestTimeout = time.Minute // without the time for the body
	minUploadRate  = 64 << 10    // bytes a second
	maxResponse    = 32 << 20    // bytes: a deploy that lists all files it requires
	userAgent      = "candlefish-deploy-action"
)

// A client sends requests to Netlify. It is made for one call of the package.
type client struct {
	*Account
	ops     operations.ClientService
	auth    runtime.ClientAuthInfoWriter
	http    *http.Client // for pages, not for the API
	wire    *transport
	secrets *redact.Redactor
}

// skew is how far Netlify's clock is ahead of ours, by its last answer; 0 before one.
func (c *client) skew() time.Duration { return time.Duration(c.wire.skew.Load()) }

func (a *Account) open() (*client, error) {
	if a.Token == "" {
		return nil, errNoToken
	}
	u, err := a.base()
	if err != nil {
		return nil, err
	}
	pages := a.httpClient()
	secrets := redact.New(a.Token)
	w := &transport{next: pages.Transport, now: a.now, log: cmp.Or(a.Log, slog.New(slog.DiscardHandler)), secrets: secrets}
	if w.next == nil {
		w.next = http.DefaultTransport
	}
	own := &http.Client{
		Transport:     w,
		Jar:           pages.Jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token would be sent along
	}
	rt := openapi.NewWithClient(u.Host, u.Path, []string{u.Scheme}, own)
	rt.Debug = false // set by the environment's DEBUG; it prints the token
	return &client{
		Account: a,
		ops:     operations.New(rt, strfmt.Default),
		auth:    openapi.BearerToken(a.Token),
		http:    pages,
		wire:    w,
		secrets: secrets,
	}, nil
}

// httpClient returns the caller's client, or one with enough connections for the uploads.
func (a *Account) httpClient() *http.Client {
	if a.Client != nil {
		return a.Client
	}
	return defaultClient
}

// defaultClient speaks HTTP/1.1 only: parallel uploads on one HTTP/2 connection would
// wait for each other.
var defaultClient = &http.Client{Transport: &http.Transport{
	Proxy:               http.ProxyFromEnvironment,
	DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	TLSHandshakeTimeout: 10 * time.Second,
	MaxIdleConnsPerHost: uploaders,
	IdleConnTimeout:     30 * time.Second,
	Protocols:           onlyHTTP1(),
}}

func onlyHTTP1() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
}

// A transport turns refusals into a StatusError before the plumbing decodes their
// bodies as something else.
type transport struct {
	next    http.RoundTripper
	now     func() time.Time
	log     *slog.Logger
	secrets *redact.Redactor
	skew    atomic.Int64 // see client.skew
}

// RoundTrip implements http.RoundTripper.
func (w *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	req = req.Clone(ctx)
	req.Header.Set("User-Agent", userAgent)
	if b, ok := req.Body.(*body); ok {
		req.ContentLength = b.size
		if b.size == 0 {
			_ = b.Close()
			req.Body = http.NoBody
		}
	}
	started := time.Now()
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		w.log.DebugContext(ctx, "netlify request", "method", req.Method, "path", req.URL.Path, "took", time.Since(started))
		return nil, err
	}
	if at, ok := dateOf(resp.Header); ok {
		w.skew.Store(int64(at.Sub(w.now())))
	}
	w.log.DebugContext(ctx, "netlify request", "method", req.Method, "path", req.URL.Path, "status", resp.StatusCode, "took", time.Since(started))
	if resp.StatusCode/100 == 2 {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxResponse), resp.Body}
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // a part will do
	return nil, &StatusError{Status: resp.StatusCode, Message: w.secrets.Excerpt(message(raw)), header: resp.Header}
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
	return printable(text)
}

// printable makes one line of a text of Netlify's: without control characters, which a
// terminal would obey, and without those that change the direction of text.
func printable(text string) string {
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

	header http.Header
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

// retryAfter returns how long Netlify asks us to wait, 0 if it does not. Points in time
// count from the answer's own Date: our clock may be wrong. Now is used without one.
func (e *StatusError) retryAfter(now time.Time) time.Duration {
	if at, ok := dateOf(e.header); ok {
		now = at
	}
	if v, err := strconv.ParseInt(e.header.Get("X-RateLimit-Reset"), 10, 64); err == nil && e.Status == http.StatusTooManyRequests {
		return max(time.Unix(v, 0).Sub(now), time.Second)
	}
	v := e.header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(v, 10, 32); err == nil && seconds >= 0 {
		return max(time.Duration(seconds)*time.Second, time.Second)
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), time.Second)
	}
	return 0
}

// isTransient reports whether a failed request may succeed later: it was refused for
// now, or not answered.
func isTransient(err error) bool {
	var refusal *StatusError
	if errors.As(err, &refusal) {
		return refusal.Temporary()
	}
	var own *permanentError
	return !errors.As(err, &own)
}

// A permanentError is our own; a retry would not help.
type permanentError struct{ error }

func permanent(format string, args ...any) error { return &permanentError{fmt.Errorf(format, args...)} }

// Unwrap returns the cause.
func (e *permanentError) Unwrap() error { return e.error }

// statusOf returns the HTTP status of a refusal, 0 for any other error.
func statusOf(err error) int {
	var refusal *StatusError
	if errors.As(err, &refusal) {
		return refusal.Status
	}
	return 0
}

// sanitize removes the token from an error, and the URL that net/http adds, which may
// contain one.
func (c *client) sanitize(err error) error {
	if err == nil {
		return nil
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if text := err.Error(); c.secrets.String(text) != text {
		return errors.New(c.secrets.String(text))
	}
	return err
}

// withTimeout bounds one request by its size in bytes.
func withTimeout(ctx context.Context, size int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, requestTimeout+time.Duration(size/minUploadRate)*time.Second)
}
