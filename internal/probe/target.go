package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Target is the real entry point and the request to send there.
type Target struct {
	URL    string      // absolute, http or https
	Host   string      // Host header and TLS server name, when the URL names an address
	Header http.Header // extra request headers
	TLS    *tls.Config // nil for the system's roots
	// GRPC sends gRPC health checks instead of GETs: the path names the service, "/"
	// all of the server.
	GRPC bool
	// Fresh sends each request on a new connection: the entry point balances
	// connections, and an open one stays with its pod.
	Fresh bool
}

func (t Target) validate() error {
	u, err := url.Parse(t.URL)
	switch {
	case err != nil:
		return errors.New("probe URL: not a URL") // the cause would repeat the text, secrets included
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("probe URL %q: want http://HOST/PATH or https://HOST/PATH", u.Redacted())
	}
	return nil
}

// header returns the headers of one probe.
func (t Target) header(version string) http.Header {
	h := t.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set("User-Agent", UserAgent(version))
	h.Set("Cache-Control", "no-cache")
	if t.Host != "" {
		h.Set("Host", t.Host) // vegeta moves it to Request.Host
	}
	return h
}

// transport returns a keep-alive transport for t with up to n idle connections.
func (t Target) transport(n int) *http.Transport {
	tlsConf := t.TLS.Clone()
	if tlsConf == nil {
		tlsConf = &tls.Config{}
	}
	if t.Host != "" && tlsConf.ServerName == "" {
		tlsConf.ServerName = (&url.URL{Host: t.Host}).Hostname()
	}
	tr := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       tlsConf,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   n,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableKeepAlives:     t.Fresh,
	}
	if t.GRPC {
		overHTTP2(tr)
	}
	return tr
}

// over returns what sends t's requests through a transport.
func (t Target) over(tr http.RoundTripper) http.RoundTripper {
	if t.GRPC {
		return health{tr}
	}
	return tr
}

// UserAgent identifies probes in the logs of the application.
func UserAgent(version string) string {
	if version == "" {
		version = "dev"
	}
	return "candlefish-deploy-action/" + version + " probe"
}

// A Sample is one whole answer with its headers and the start of its body.
type Sample struct {
	Status int
	Header http.Header
	Body   []byte // at most 64 KiB
	Size   int64  // of the whole body, in bytes
}

// Fetch sends one request to t, as the stream does, on a new connection.
// Callers use it to learn the baseline status and the marker. It does not
// follow redirects. Any status is a Sample; an error means that there was no
// answer, and does not contain the URL.
func Fetch(ctx context.Context, t Target, version string) (Sample, error) {
	if err := t.validate(); err != nil {
		return Sample{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		return Sample{}, fmt.Errorf("probe: %s", cleanError(err.Error()))
	}
	req.Header = t.header(version)
	req.Header.Del("Host")
	req.Host = t.Host
	tr := t.transport(1)
	defer tr.CloseIdleConnections()
	client := http.Client{Transport: t.over(tr), CheckRedirect: noRedirects}
	res, err := client.Do(req)
	if err != nil {
		return Sample{}, fmt.Errorf("probe: %s", cleanError(err.Error()))
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return Sample{}, fmt.Errorf("probe: read body: %s", cleanError(err.Error()))
	}
	rest, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return Sample{}, fmt.Errorf("probe: read body: %s", cleanError(err.Error()))
	}
	return Sample{Status: res.StatusCode, Header: res.Header, Body: body, Size: int64(len(body)) + rest}, nil
}

func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// cleanError removes the URL that net/http puts before the cause: its query may
// contain a secret, and it is the same for every probe.
func cleanError(s string) string {
	if rest, ok := strings.CutPrefix(s, `Get "`); ok {
		if _, cause, ok := strings.Cut(rest, `": `); ok {
			s = cause
		}
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}
