package netlify

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/go-openapi/runtime"
	openapi "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	"github.com/netlify/open-api/v2/go/plumbing/operations"

	"github.com/candlefish/deploy-action/internal/netlify/wire"
	"github.com/candlefish/deploy-action/internal/redact"
)

const (
	requestTimeout = time.Minute // without the time for the body
	minUploadRate  = 64 << 10    // bytes a second
	userAgent      = "candlefish-deploy-action"
)

// A client sends requests to Netlify. It is made for one call of the package.
type client struct {
	*Account
	ops     operations.ClientService
	auth    runtime.ClientAuthInfoWriter
	http    *http.Client // for pages, not for the API
	wire    *wire.Transport
	secrets *redact.Redactor
}

// skew is how far Netlify's clock is ahead of ours, by its last answer; 0 before one.
func (c *client) skew() time.Duration { return c.wire.Skew() }

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
	w := &wire.Transport{
		Next: cmp.Or(pages.Transport, http.DefaultTransport), Now: a.now, UserAgent: userAgent,
		Log: cmp.Or(a.Log, slog.New(slog.DiscardHandler)), Clean: secrets.Excerpt,
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

var defaultClient = &http.Client{Transport: NewTransport()}

// NewTransport returns the transport of an Account without a Client, for a caller that adds
// to it. It speaks HTTP/1.1 only: parallel uploads on one HTTP/2 connection would wait for
// each other.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: uploaders,
		IdleConnTimeout:     30 * time.Second,
		Protocols:           onlyHTTP1(),
	}
}

func onlyHTTP1() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
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
