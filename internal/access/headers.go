// Package access has the headers with which a preview's own checks get into a site that
// asks for a password. They are secrets, so they go to the addresses of the preview alone:
// not to its API, not to where a page redirects.
package access

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Headers are the headers of a run and the origins that get them. A nil one has no
// headers. It may be used by several goroutines.
type Headers struct {
	header http.Header

	mu      sync.Mutex
	origins []string
	off     bool
}

var (
	nameForm  = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]+$`)
	valueForm = regexp.MustCompile(`^[\x20-\x7e]+$`)
)

// connection are headers that belong to a connection, or to the request itself.
var connection = []string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Te", "Trailer"}

// Parse parses lines of the form "Name: value". The error names all lines that have
// another form, and shows none of them. Without lines it returns nil.
func Parse(lines []string) (*Headers, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	h := &Headers{header: http.Header{}}
	var bad []string
	for i, line := range lines {
		name, value, found := strings.Cut(line, ":")
		name, value = http.CanonicalHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !found || !nameForm.MatchString(name) || !valueForm.MatchString(value) || slices.Contains(connection, name) {
			bad = append(bad, fmt.Sprint(i+1))
			continue
		}
		h.header.Add(name, value)
	}
	if len(bad) > 0 {
		return nil, fmt.Errorf("line %s: want NAME: value, with the name of a header that a request may have", strings.Join(bad, ", line "))
	}
	return h, nil
}

// All returns the headers, for a program that sends them to the trusted origin itself.
func (h *Headers) All() http.Header {
	if h == nil {
		return nil
	}
	return h.header.Clone()
}

// minSecret is the length from which a part of a value is a secret of its own, in bytes. A
// shorter one, such as "Basic", would hide ordinary words.
const minSecret = 6

// Secrets returns what must not be shown: each value, and what of it may be shown alone: the
// credentials behind a scheme, user and password in them, the values of cookies.
func (h *Headers) Secrets() (all []string) {
	if h == nil {
		return nil
	}
	for _, values := range h.header {
		for _, v := range values {
			all = append(all, v)
			scheme, credentials, _ := strings.Cut(v, " ")
			parts := strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(" ;,=", r) })
			if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(credentials)); err == nil && strings.EqualFold(scheme, "Basic") {
				_, password, _ := strings.Cut(string(raw), ":")
				parts = append(parts, string(raw), password)
			}
			all = append(all, slices.DeleteFunc(append(parts, credentials), func(s string) bool { return len(s) < minSecret })...)
		}
	}
	return all
}

// Trust lets the origin of an address, its scheme, host and port, get the headers.
func (h *Headers) Trust(address string) {
	u, err := url.Parse(address)
	if h == nil || err != nil || u.Host == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.origins, origin(u)) {
		h.origins = append(h.origins, origin(u))
	}
}

// Withhold lets nobody get the headers any more.
func (h *Headers) Withhold() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.off = true
}

// For returns the headers for an address, nil if it gets none.
func (h *Headers) For(address *url.URL) http.Header {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.off || !slices.Contains(h.origins, origin(address)) {
		return nil
	}
	return h.header
}

func origin(u *url.URL) string { return u.Scheme + "://" + strings.ToLower(u.Host) }

// Transport adds the headers to requests, redirected ones among them, and never replaces
// one that a request has.
func (h *Headers) Transport(next http.RoundTripper) http.RoundTripper {
	if h == nil {
		return next
	}
	return transport{h, next}
}

type transport struct {
	headers *Headers
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	add := t.headers.For(req.URL)
	out := req.Clone(req.Context())
	for name, values := range t.headers.header {
		switch given := out.Header.Values(name); {
		case len(given) == 0 && add != nil:
			out.Header[name] = values
		case add == nil && slices.Equal(given, values):
			out.Header.Del(name) // a redirect took it along
		}
	}
	return t.next.RoundTrip(out)
}
