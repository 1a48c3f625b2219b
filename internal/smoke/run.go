package smoke

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/probe/expect"
)

// A Place is where tests are sent: a pod, or the entry point.
type Place struct {
	Name string // for people: "pod web-canary-1"
	Pod  bool
	URL  string      // scheme, address and port
	Host string      // the Host header, "" for the URL's
	Mark http.Header // what leads a request through the entry point to the version
	// Dial connects to a pod; nil connects by the URL.
	Dial func(context.Context) (net.Conn, error)
	// Stranger says who else gave an answer, "" if it may be the version; nil knows
	// nobody.
	Stranger func(header http.Header, body []byte) string
}

// A Result is how one test went at one place.
type Result struct {
	Place string `json:"place"`
	Test  string `json:"test"`
	// Status is that of the answer, 0 without one; Took the time to its end.
	Status int           `json:"status"`
	Took   time.Duration `json:"-"`
	// Failure says why it did not pass, "" if it did.
	Failure string `json:"failure,omitempty"`
}

// atOnce is how many places are tested at the same time.
const atOnce = 8

// A Settings is what all requests have in common.
type Settings struct {
	UserAgent string
	// Secret returns the value of an environment variable.
	Secret func(string) string
}

// Run sends every test to each of its places, one after another within a place, and
// returns the results in the order of places and tests. When ctx ends, the rest has
// failed.
func Run(ctx context.Context, s Settings, p Plan, places []Place) []Result {
	results := make([][]Result, len(places))
	free := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, place := range places {
		all.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			for _, t := range p.Tests {
				if place.Pod && t.Pods || !place.Pod && t.Entry {
					results[i] = append(results[i], s.send(ctx, place, t))
				}
			}
		})
	}
	all.Wait()
	var list []Result
	for _, r := range results {
		list = append(list, r...)
	}
	return list
}

// Failures returns one sentence about the tests that did not pass, "" if all did.
func Failures(results []Result) string {
	text, more := "", 0
	for _, r := range results {
		switch {
		case r.Failure == "":
		case text == "":
			text = fmt.Sprintf("smoke test %q at %s: %s", r.Test, r.Place, r.Failure)
		default:
			more++
		}
	}
	if more > 0 {
		text += fmt.Sprintf("; %d of %d failed in all", more+1, len(results))
	}
	return text
}

// send sends one test to a place.
func (s Settings) send(ctx context.Context, at Place, t Test) Result {
	r := Result{Place: at.Name, Test: t.Name}
	transport, err := at.transport(ctx)
	if err != nil {
		r.Failure = clean(ctx, err)
		return r
	}
	defer transport.CloseIdleConnections()
	began := time.Now()
	limited, cancel := context.WithTimeoutCause(ctx, t.MaxTime, fmt.Errorf("no complete answer within %s", t.MaxTime))
	defer cancel()
	answer, err := s.fetch(limited, transport, at, t)
	r.Took, r.Status = time.Since(began), answer.Status
	if err != nil {
		r.Failure = clean(limited, err)
		return r
	}
	r.Failure = t.judge(at, answer)
	return r
}

// judge returns what is wrong with an answer, "" for nothing.
func (t Test) judge(at Place, a expect.Answer) string {
	if at.Stranger != nil {
		if by := at.Stranger(a.Header, a.Body); by != "" {
			return "answered by " + by
		}
	}
	if a.Size > int64(len(a.Body)) && t.reads() {
		return fmt.Sprintf("its body of %d bytes is too long: %d are read", a.Size, len(a.Body))
	}
	for i, e := range t.expectations {
		if miss := e.Miss(a); miss != "" {
			return fmt.Sprintf("%s, want %s", miss, t.Expect[i])
		}
	}
	return ""
}

// maxBody is how much of a body is read.
const maxBody = 4 << 20

// fetch sends the request and reads the answer. It follows no redirect.
func (s Settings) fetch(ctx context.Context, transport *http.Transport, at Place, t Test) (expect.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, t.Method, strings.TrimSuffix(at.URL, "/")+t.Path, strings.NewReader(t.Body))
	if err != nil {
		return expect.Answer{}, err
	}
	req.Header.Set("User-Agent", s.UserAgent)
	for name, value := range t.Headers {
		req.Header.Set(name, value)
	}
	for name, env := range t.HeadersEnv {
		req.Header.Set(name, s.Secret(env))
	}
	for name, values := range at.Mark { // last, so that no header of a test leads it elsewhere
		req.Header[name] = values
	}
	req.Host = at.Host
	if host := req.Header.Get("Host"); host != "" && at.Pod {
		req.Host = host
	}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return expect.Answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	a := expect.Answer{Status: res.StatusCode, Header: res.Header}
	if a.Body, err = io.ReadAll(io.LimitReader(res.Body, maxBody)); err != nil {
		return a, fmt.Errorf("read its body: %w", err)
	}
	rest, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return a, fmt.Errorf("read its body: %w", err)
	}
	a.Size = int64(len(a.Body)) + rest
	return a, nil
}

// transport returns what a request to the place is sent by. To a pod it is connected
// already: the way through the API server is not a part of its response time.
func (at Place) transport(ctx context.Context) (*http.Transport, error) {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSClientConfig: &tls.Config{}}
	if at.Host != "" {
		t.TLSClientConfig.ServerName = (&url.URL{Host: at.Host}).Hostname()
	}
	if at.Dial == nil {
		return t, nil
	}
	conn, err := at.connect(ctx)
	if err != nil {
		return nil, err
	}
	t.Proxy, t.TLSClientConfig.InsecureSkipVerify = nil, true //nolint:gosec // as the kubelet's own probes: a pod has no certificate for its address
	connected := make(chan net.Conn, 1)
	connected <- conn
	t.DialContext = func(context.Context, string, string) (net.Conn, error) {
		select {
		case conn := <-connected:
			return conn, nil
		default: // the request is not sent twice
			return nil, errors.New("the connection to the pod was lost")
		}
	}
	return t, nil
}

// The tries to connect to a pod: an API server may be busy.
const (
	dialTries = 3
	dialLimit = 10 * time.Second
)

func (at Place) connect(ctx context.Context) (net.Conn, error) {
	var conn net.Conn
	var err error
	for range dialTries {
		limited, cancel := context.WithTimeout(ctx, dialLimit)
		conn, err = at.Dial(limited)
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return conn, err
}

// clean returns the cause of a failure without the URL, which is at the place.
func clean(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return context.Cause(ctx).Error()
	}
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	return err.Error()
}
