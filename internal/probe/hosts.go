package probe

import (
	"net/http"
)

// byHost sends each request through the transport of its Host header: the name in a
// TLS handshake belongs to a connection.
type byHost struct {
	first http.RoundTripper
	of    map[string]http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if tr, ok := b.of[r.Host]; ok {
		return tr.RoundTrip(r)
	}
	return b.first.RoundTrip(r)
}

// transports returns what sends the requests of a stream, and what closes its idle
// connections.
func transports(c Config) (tr http.RoundTripper, idle func()) {
	var all []*http.Transport
	through := func(host string) http.RoundTripper {
		target := c.Target
		target.Host = host
		tr := target.transport(c.MaxInFlight)
		all = append(all, tr)
		return target.over(counting{tr})
	}
	b := byHost{first: through(c.Target.Host), of: map[string]http.RoundTripper{}}
	for _, page := range c.Pages {
		if page.Host != "" && page.Host != c.Target.Host && b.of[page.Host] == nil {
			b.of[page.Host] = through(page.Host)
		}
	}
	return b, func() {
		for _, tr := range all {
			tr.CloseIdleConnections()
		}
	}
}
