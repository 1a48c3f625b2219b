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
	"time"

	"github.com/go-openapi/runtime"
	"github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	"github.com/netlify/open-api/v2/go/plumbing/operations"

	"github.com/candlefish/deploy-action/internal/redact"
)

const (
	patience  = time.Minute // for an answer to a request of no great size
	slowest   = 64 << 10    // bytes a second that an upload has to reach, on top
	maxAnswer = 32 << 20    // bytes of an answer: a deploy of all files it requires
	longest   = 300         // of Netlify's own words in an error
	userAgent = "candlefish-deploy-action"
)

// An api asks Netlify. It is made for one call of the package.
type api struct {
	*Account
	ops     operations.ClientService
	auth    runtime.ClientAuthInfoWriter
	http    *http.Client
	secrets *redact.Redactor
}

func (a *Account) open() (*api, error) {
	if a.Token == "" {
		return nil, errToken
	}
	u, err := a.base()
	if err != nil {
		return nil, err
	}
	asking := a.client()
	secrets := redact.New(a.Token)
	w := &wire{next: asking.Transport, log: cmp.Or(a.Log, slog.New(slog.DiscardHandler)), secrets: secrets}
	if w.next == nil {
		w.next = http.DefaultTransport
	}
	own := &http.Client{
		Transport:     w,
		Jar:           asking.Jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token would go along
	}
	rt := client.NewWithClient(u.Host, u.Path, []string{u.Scheme}, own)
	rt.Debug = false // which the environment's DEBUG sets, and it prints the token
	return &api{
		Account: a,
		ops:     operations.New(rt, strfmt.Default),
		auth:    client.BearerToken(a.Token),
		http:    asking,
		secrets: secrets,
	}, nil
}

// client is the caller's, or one whose connections are enough for the uploads.
func (a *Account) client() *http.Client {
	if a.Client != nil {
		return a.Client
	}
	return ours
}

// ours speaks HTTP/1.1 only: uploads side by side on one connection would wait for
// each other.
var ours = &http.Client{Transport: &http.Transport{
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

// A wire turns refusals into a StatusError before the plumbing takes their bodies
// for what it expects.
type wire struct {
	next    http.RoundTripper
	log     *slog.Logger
	secrets *redact.Redactor
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	req = req.Clone(ctx)
	req.Header.Set("User-Agent", userAgent)
	if b, ok := req.Body.(*content); ok {
		req.ContentLength = b.size
		if b.size == 0 {
			_ = b.Close()
			req.Body = http.NoBody
		}
	}
	begun := time.Now()
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		w.log.DebugContext(ctx, "netlify request", "method", req.Method, "path", req.URL.Path, "took", time.Since(begun))
		return nil, err
	}
	w.log.DebugContext(ctx, "netlify request", "method", req.Method, "path", req.URL.Path, "status", resp.StatusCode, "took", time.Since(begun))
	if resp.StatusCode/100 == 2 {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
		return resp, nil
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what was read will do
	return nil, &StatusError{Status: resp.StatusCode, Message: w.secrets.Excerpt(words(raw)), header: resp.Header}
}

// words are what a refusal says: the message of its JSON, or its text.
func words(raw []byte) string {
	var said struct{ Message, Error string }
	text := strings.TrimSpace(string(raw))
	if json.Unmarshal(raw, &said) == nil {
		text = cmp.Or(said.Message, said.Error)
	} else if strings.HasPrefix(text, "<") {
		text = "" // a page
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(text, "\uFFFD")), " ")
}

// A StatusError is Netlify's refusal of a request.
type StatusError struct {
	Status  int
	Message string // Netlify's own words, "" where it has none

	header http.Header
}

// Error implements error.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("Netlify answers %d %s", e.Status, http.StatusText(e.Status))
	if e.Status == http.StatusUnauthorized {
		text = "Netlify refuses the token (401): it is wrong, revoked or expired"
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Temporary says whether the same request may succeed later.
func (e *StatusError) Temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500
}

// retryAfter is how long Netlify asks us to wait, 0 if it does not say.
func (e *StatusError) retryAfter(now time.Time) time.Duration {
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

// temporary says whether the request that failed so may succeed later: it was
// refused for now, or was not answered.
func temporary(err error) bool {
	var refusal *StatusError
	if errors.As(err, &refusal) {
		return refusal.Temporary()
	}
	var ours *finalError
	return !errors.As(err, &ours)
}

// A finalError is of our own making; asking again would not help.
type finalError struct{ error }

func final(format string, args ...any) error { return &finalError{fmt.Errorf(format, args...)} }

// Unwrap lets others look inside.
func (e *finalError) Unwrap() error { return e.error }

// status is the one that Netlify refused with, 0 if it was not that.
func status(err error) int {
	var refusal *StatusError
	if errors.As(err, &refusal) {
		return refusal.Status
	}
	return 0
}

// plain takes the token out of an error, and the address that net/http adds, which
// may hold one.
func (a *api) plain(err error) error {
	if err == nil {
		return nil
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if text := err.Error(); a.secrets.String(text) != text {
		return errors.New(a.secrets.String(text))
	}
	return err
}

// limited bounds one request by its size.
func limited(ctx context.Context, size int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience+time.Duration(size/slowest)*time.Second)
}
