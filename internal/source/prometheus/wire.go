package prometheus

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/candlefish/deploy-action/internal/redact"
)

// patience is how long an answer may take when the caller brings no client of
// its own.
const patience = 15 * time.Second

var (
	errRedirect = errors.New("the server sends elsewhere (a redirect): give the address it sends to, so that no credential goes anywhere else")
	errTooLarge = errors.New("the answer is too large")
)

// A wire is the transport below the library's client: it adds the headers,
// bounds what is read and keeps the server's time.
type wire struct {
	next   http.RoundTripper
	header http.Header
	limit  int64
	now    func() time.Time

	date time.Time     // of the last answer, by the server; zero if it did not say
	skew time.Duration // from our clock to the server's
}

// client returns a copy of a caller's client that goes through the wire.
func (w *wire) client(from *http.Client) *http.Client {
	client := http.Client{Timeout: patience}
	if from != nil {
		client = *from
	}
	w.next = client.Transport
	if w.next == nil {
		w.next = http.DefaultTransport
	}
	client.Transport = w
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return errRedirect }
	return &client
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if len(w.header) > 0 {
		req = req.Clone(req.Context())
		for name, values := range w.header {
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	sent := w.now()
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	w.stamp(resp.Header.Get("Date"), sent, w.now())
	resp.Body = &bounded{body: resp.Body, left: w.limit}
	return resp, nil
}

// stamp compares the server's clock with the middle of the exchange by ours. The
// header has whole seconds, cut off, hence the half.
func (w *wire) stamp(header string, sent, got time.Time) {
	w.date = time.Time{}
	date, err := http.ParseTime(header)
	if err != nil {
		return
	}
	w.date = date
	w.skew = date.Add(time.Second / 2).Sub(sent.Add(got.Sub(sent) / 2))
}

// A bounded body ends in an error, not in silence, where the bound is reached: half
// an answer must not pass for a whole one.
type bounded struct {
	body io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// Close implements io.Closer.
func (b *bounded) Close() error { return b.body.Close() }

// plain turns the library's errors into ones that hold neither the address, which
// may have credentials in it, nor a page of HTML.
func plain(err error, secrets *redact.Redactor) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*v1.Error](err); ok {
		return fmt.Errorf("%s: %s", e.Type, secrets.Excerpt(e.Msg))
	}
	return err
}
