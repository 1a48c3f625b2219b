// Package client asks a Prometheus server's HTTP API an instant query. It bounds what
// it reads, reads it as it comes, follows no redirect, and keeps credentials out of
// errors.
//
// It is our own, for one request of the API: the library's client holds an answer three
// times over, whatever its size.
package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/candlefish/deploy-action/internal/redact"
)

// MaxSize bounds an answer, in bytes. A thousand pods with ten series each, a scrape
// every 5 s, answer with 5 MB for the usual window.
const MaxSize = 8 << 20

// A Config says whom to ask.
type Config struct {
	// URL of the server, without /api/v1. It may hold a user and a password.
	URL string
	// Header of every request, such as Authorization. It is taken for secret.
	Header http.Header
	// Client to ask with; nil for one that waits 15 s for an answer.
	Client *http.Client
	// Now is our clock, against which the server's is held; nil for the
	// system's.
	Now func() time.Time
	// Limit of an answer, in bytes; MaxSize if 0.
	Limit int64
}

// A Client asks one server. It is for one goroutine.
type Client struct {
	where    string // the server, without credentials
	endpoint url.URL
	http     *http.Client
	wire     *wire
	secrets  *redact.Redactor
}

// New returns a client. The error does not repeat the URL, which may hold a password.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the URL is none of http or https with a host")
	}
	w := &wire{header: c.Header, limit: cmp.Or(c.Limit, MaxSize), now: c.Now}
	if w.now == nil {
		w.now = time.Now
	}
	return &Client{
		where: u.Scheme + "://" + u.Host + u.Path, endpoint: whole(u),
		http: w.client(c.Client), wire: w, secrets: secrets(u, c.Header),
	}, nil
}

// Where is the server's address without credentials.
func (c *Client) Where() string { return c.where }

// Date is the server's time of the last answer; zero if it did not say.
func (c *Client) Date() time.Time { return c.wire.date }

// Skew is how far the server's clock was ahead of ours at the last answer, to a second
// or so; 0 if the server did not tell its time.
func (c *Client) Skew() time.Duration { return c.wire.skew }

// Query asks an instant query at the server's own time; samples older than lookback are
// not seen. nil is an answer without data. What the server warns of is an error: the
// answer may be of a part of the stores.
func (c *Client) Query(ctx context.Context, text string, lookback time.Duration) (model.Value, error) {
	form := url.Values{"query": {text}, "lookback_delta": {lookback.String()}}
	answer, err := post(ctx, c.http, c.endpoint, form)
	if r, ok := errors.AsType[*refusal](err); ok {
		return nil, fmt.Errorf("%s: %s", c.secrets.Excerpt(r.kind), c.secrets.Excerpt(r.words))
	}
	if err != nil {
		return nil, err
	}
	for _, w := range answer.warnings {
		if !strings.HasPrefix(w, hint) {
			return nil, fmt.Errorf("the server warns: %s", c.secrets.Excerpt(w))
		}
	}
	return answer.value()
}

// hint begins what is no warning about the answer but advice on the query, such as
// that a counter's name should end in _total. Prometheus 2.48 to 2.53 sent it among
// the warnings.
const hint = "PromQL info: "

// whole is an address that asks for all or nothing where an answer may come of a
// part of the stores: Thanos by the one, VictoriaMetrics by the other, which would
// not even warn. Others ignore both.
func whole(u *url.URL) url.URL {
	query := u.Query()
	query.Set("partial_response", "false")
	query.Set("deny_partial_response", "1")
	asking := *u.JoinPath("api/v1/query")
	asking.RawQuery, asking.Fragment = query.Encode(), ""
	return asking
}

func secrets(u *url.URL, header http.Header) *redact.Redactor {
	r := redact.New()
	if password, ok := u.User.Password(); ok {
		r.Add(password)
	}
	for _, values := range u.Query() {
		for _, v := range values {
			r.Add(v)
		}
	}
	for _, values := range header {
		for _, v := range values {
			for _, part := range append(strings.Fields(v), v) { // the token without its scheme, too
				r.Add(part)
			}
		}
	}
	return r
}
