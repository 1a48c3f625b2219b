package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/candlefish/deploy-action/internal/redact"
)

const (
	publicAPI    = "https://api.github.com"
	userAgent    = "candlefish-deploy-action"
	timeout      = 30 * time.Second // of one request
	maxResponse  = 64 << 20         // bytes: 100 comments of the maximum length
	maxRedirects = 5                // of a renamed repository
	perPage      = 100              // GitHub's maximum
	maxPages     = 1000
)

// MaxComment is the maximum length of a comment, in characters.
const MaxComment = 65536

// Options configure a Client. Only Token has no default.
type Options struct {
	Token   string
	BaseURL string // of the API, as in GITHUB_API_URL; empty means https://api.github.com
	Client  *http.Client
	Now     func() time.Time
	After   func(time.Duration) <-chan time.Time
	Log     *slog.Logger // requests, at debug
}

// A Client sends requests to GitHub with a token. It may be used by several goroutines.
type Client struct {
	gh      *gh.Client
	graphQL string
	wire    *transport
	now     func() time.Time
	after   func(time.Duration) <-chan time.Time
	log     *slog.Logger
	errors  translator

	mu     sync.Mutex
	viewer string // empty until requested
}

// New returns a Client. It sends no request.
func New(o Options) (*Client, error) {
	if o.Token == "" || strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the token is empty or has characters that no token has")
	}
	base, err := apiURL(o.BaseURL)
	if err != nil {
		return nil, err
	}
	c := &Client{graphQL: graphQL(base), now: o.Now, after: o.After, log: o.Log}
	if c.now == nil {
		c.now = time.Now
	}
	if c.after == nil {
		c.after = time.After
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.errors = translator{redact.New(o.Token), c.now}
	web := &http.Client{Timeout: timeout}
	if o.Client != nil {
		*web = *o.Client
	}
	if web.Transport == nil {
		web.Transport = http.DefaultTransport
	}
	c.wire = &transport{base: web.Transport, scheme: base.Scheme, host: base.Host, token: o.Token, log: c.log}
	web.Transport, web.CheckRedirect = c.wire, checkRedirect
	c.gh = gh.NewClient(web)
	c.gh.BaseURL, c.gh.UserAgent = base, userAgent
	return c, nil
}

// Requests returns the number of requests so far, including retries.
func (c *Client) Requests() int { return int(c.wire.requests.Load()) }

func apiURL(text string) (*url.URL, error) {
	if text == "" {
		text = publicAPI
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the API's URL must be http or https with only a host and a path")
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/"
	return u, nil
}

// graphQL returns the URL of the GraphQL API: /graphql at github.com, /api/graphql beside
// /api/v3 on GitHub Enterprise Server.
func graphQL(base *url.URL) string {
	u := *base
	u.Path = strings.TrimSuffix(u.Path, "v3/") + "graphql"
	return u.String()
}

var errForeign = errors.New("GitHub redirects to another host, which must not get the token")

// checkRedirect lets a request follow a renamed repository, with the same method.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects || req.Method != via[0].Method {
		return errForeign
	}
	return nil
}

// A transport adds the token, counts requests and bounds responses.
type transport struct {
	base         http.RoundTripper
	scheme, host string
	token        string
	requests     atomic.Int64
	log          *slog.Logger
}

// The headers of rate limits, and the prefix by which the transport hides them from
// go-github: it would refuse later requests by the wall clock.
const (
	headerRemaining  = "X-Ratelimit-Remaining"
	headerReset      = "X-Ratelimit-Reset"
	headerRetryAfter = "Retry-After"
	hidden           = "Candlefish-"
)

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != t.host || req.URL.Scheme != t.scheme {
		return nil, errForeign
	}
	ctx := req.Context()
	sent := req.Clone(ctx)
	sent.Header.Set("Authorization", "Bearer "+t.token)
	t.requests.Add(1)
	resp, err := t.base.RoundTrip(sent)
	if err != nil {
		return nil, &lostError{err}
	}
	t.log.DebugContext(ctx, "github", "method", req.Method, "path", req.URL.Path, "status", resp.StatusCode)
	for _, name := range []string{headerRemaining, headerReset, headerRetryAfter} {
		if values, ok := resp.Header[name]; ok {
			resp.Header[hidden+name] = values
			delete(resp.Header, name)
		}
	}
	resp.Body = http.MaxBytesReader(nil, body{resp.Body}, maxResponse)
	return resp, nil
}

// A lostError is a failure of the connection.
type lostError struct{ error }

// Unwrap returns the cause.
func (e *lostError) Unwrap() error { return e.error }

// A body marks read errors as lost responses, as opposed to invalid ones.
type body struct{ io.ReadCloser }

// Read implements io.Reader.
func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = &lostError{err}
	}
	return n, err
}

// An op is one operation on GitHub.
type op struct {
	what  string // "list the comments of acme/shop#7"
	needs string // the permission, as in a workflow
	once  bool   // it creates something: retry only if GitHub did not process it
}

func read(needs, format string, args ...any) op {
	return op{what: fmt.Sprintf(format, args...), needs: needs + ": read"}
}

func write(needs, format string, args ...any) op {
	return op{what: fmt.Sprintf(format, args...), needs: needs + ": write"}
}

func create(needs, format string, args ...any) op {
	o := write(needs, format, args...)
	o.once = true
	return o
}

// pages reads a list to its end and calls each for every item.
func pages[T any](ctx context.Context, c *Client, o op, list func(gh.ListOptions) ([]T, *gh.Response, error), each func(T) error) (int, error) {
	for page := 1; page <= maxPages; page++ {
		items, resp, err := call(ctx, c, o, func() ([]T, *gh.Response, error) {
			return list(gh.ListOptions{Page: page, PerPage: perPage})
		})
		if err != nil {
			return page, err
		}
		if items == nil {
			return page, fmt.Errorf("%s: page %d contains no list", o.what, page)
		}
		for _, item := range items {
			if err := each(item); err != nil {
				return page, c.errors.wrap(o, fmt.Errorf("page %d: %w", page, err))
			}
		}
		switch next := resp.NextPage; {
		case next == 0 && len(items) == perPage && resp.Header.Get("Link") == "":
			// Exactly full, or a proxy dropped the header: read one more page.
		case next == 0:
			return page, nil
		case next != page+1:
			return page, fmt.Errorf("%s: page %d is followed by page %d", o.what, page, next)
		}
	}
	return maxPages, fmt.Errorf("%s: no end after %d pages", o.what, maxPages)
}

var (
	repoName = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9_-]*)/([A-Za-z0-9_.-]+)$`)
	commitID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

// split splits owner/name. It validates both, since go-github does not escape them.
func split(repo string) (owner, name string, err error) {
	m := repoName.FindStringSubmatch(repo)
	if m == nil || m[2] == "." || m[2] == ".." {
		return "", "", fmt.Errorf("repository %q: want owner/name", repo)
	}
	return m[1], m[2], nil
}
