package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// patience is how long an answer may take when the caller brings no client of
// its own.
const patience = 15 * time.Second

// The errors of an answer that is not taken.
var (
	ErrRedirect = errors.New("the server sends elsewhere (a redirect): give the address it sends to, so that no credential goes anywhere else")
	ErrTooLarge = errors.New("the answer is too large: a query whose matchers pick the two versions alone has less than 8 MiB")
)

// A wire is the transport below the client: it adds the headers, bounds what is read
// and keeps the server's time.
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
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return ErrRedirect }
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
		return 0, ErrTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

// Close implements io.Closer.
func (b *bounded) Close() error { return b.body.Close() }

// post sends a form to an address and reads the reply; by GET where the server does not
// take a POST, as the API's own client does. An error holds neither the address, which
// may have credentials in it, nor a page of HTML.
func post(ctx context.Context, client *http.Client, to url.URL, form url.Values) (reply, error) {
	resp, err := send(ctx, client, http.MethodPost, to.String(), form.Encode())
	if err == nil && (resp.StatusCode == http.StatusMethodNotAllowed || resp.StatusCode == http.StatusNotImplemented) {
		_ = resp.Body.Close()
		query := to.Query()
		for name, values := range form {
			query[name] = values
		}
		to.RawQuery = query.Encode()
		resp, err = send(ctx, client, http.MethodGet, to.String(), "")
	}
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	return replyOf(resp)
}

func send(ctx context.Context, client *http.Client, method, to, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL cannot be asked")
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header["Idempotency-Key"] = nil // not sent: it tells the transport that the request may be repeated
	}
	return client.Do(req)
}

// replyOf takes the statuses with which the API says what is wrong with a query, and
// refuses any other but 2xx.
func replyOf(resp *http.Response) (reply, error) {
	refused := resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusUnprocessableEntity
	switch {
	case refused || resp.StatusCode/100 == 2:
	case resp.StatusCode/100 == 4:
		return reply{}, fmt.Errorf("client error: %d", resp.StatusCode)
	case resp.StatusCode/100 == 5:
		return reply{}, fmt.Errorf("server error: %d", resp.StatusCode)
	default:
		return reply{}, fmt.Errorf("status %d", resp.StatusCode)
	}
	a, err := readReply(resp.Body)
	switch {
	case errors.Is(err, ErrTooLarge) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return a, err
	case err != nil && refused:
		return a, fmt.Errorf("client error: %d", resp.StatusCode)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return a, errors.New("the answer is cut off")
	case err != nil:
		return a, fmt.Errorf("the answer is not that of a query: %w", err)
	case a.status == "error":
		return a, &refusal{a.errorType, a.err}
	case a.status != "success" || refused:
		return a, fmt.Errorf("status %d, and the answer says %.40q", resp.StatusCode, a.status)
	}
	return a, nil
}

// A refusal is what the server says is wrong. Its words are the server's, and may have
// a secret in them.
type refusal struct{ kind, words string }

// Error implements error.
func (r *refusal) Error() string { return r.kind + ": " + r.words }
