// Package credential keeps the identity of a connection valid: it repeats what
// was refused with a new credential, adds tokens to requests, and knows when a
// credential ends.
package credential

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// Renewing returns a transport that repeats a request that the API server
// refused with 401, once, over the transport that renew returns. A rollout may
// outlast the token it began with.
func Renewing(first http.RoundTripper, renew func() (http.RoundTripper, error)) http.RoundTripper {
	return &renewing{current: first, renew: renew}
}

type renewing struct {
	renew func() (http.RoundTripper, error)

	mu      sync.Mutex
	current http.RoundTripper
	renewed int // how often
}

// use returns the transport for a request, and how often it was renewed.
func (t *renewing) use() (http.RoundTripper, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current, t.renewed
}

// RoundTrip implements http.RoundTripper.
func (t *renewing) RoundTrip(r *http.Request) (*http.Response, error) {
	used, renewed := t.use()
	// The transport may add headers to its request; the second one begins without.
	response, err := used.RoundTrip(r.Clone(r.Context()))
	if err != nil || response.StatusCode != http.StatusUnauthorized || r.Body != nil && r.GetBody == nil {
		return response, err
	}
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return response, nil //nolint:nilerr // the answer explains more than the request that cannot be repeated
		}
	}
	fresh, err := t.after(renewed)
	if err != nil {
		return response, nil //nolint:nilerr // the API server's answer is the cause
	}
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // so that the connection can be used again
	_ = response.Body.Close()
	return fresh.RoundTrip(again)
}

// after returns the transport that follows the one of a number of renewals.
// Requests that fail together renew it once.
func (t *renewing) after(renewed int) (http.RoundTripper, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.renewed != renewed {
		return t.current, nil
	}
	fresh, err := t.renew()
	if err != nil {
		return nil, err
	}
	t.current, t.renewed = fresh, renewed+1
	return fresh, nil
}

// Bearer returns a transport that adds a token to every request.
func Bearer(next http.RoundTripper, token func(context.Context) (string, error)) http.RoundTripper {
	return bearer{next, token}
}

type bearer struct {
	next  http.RoundTripper
	token func(context.Context) (string, error)
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.token(r.Context())
	if err != nil {
		return nil, fmt.Errorf("get a token for %s: %w", r.URL.Host, err)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return b.next.RoundTrip(r)
}

// Expires returns when the credential of a configuration ends, zero if that is
// unknown or something else renews it: a plugin, or who writes the token's file.
func Expires(c *rest.Config) time.Time {
	switch {
	case c.ExecProvider != nil || c.AuthProvider != nil || c.BearerTokenFile != "":
		return time.Time{}
	case c.BearerToken != "":
		return jwtExpiry(c.BearerToken)
	}
	raw := c.CertData
	if len(raw) == 0 && c.CertFile != "" {
		raw, _ = os.ReadFile(c.CertFile) // the transport reports a file that cannot be read
	}
	return certExpiry(raw)
}

// jwtExpiry returns the claim exp of a JSON web token, zero if there is none. It
// does not check the signature: the API server does.
func jwtExpiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp float64 `json:"exp"` // seconds since 1970
	}
	if json.Unmarshal(raw, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Exp), 0).UTC()
}

// certExpiry returns the end of the first certificate in PEM, zero if there is
// none.
func certExpiry(raw []byte) time.Time {
	block, _ := pem.Decode(raw)
	if block == nil {
		return time.Time{}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}
	}
	return cert.NotAfter.UTC()
}
