package lighthouse

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A guarded site answers those that have a header, and its pages load a picture and a
// frame of another origin, which redirects back and must not see the header.
type guarded struct {
	URL   string
	other *httptest.Server

	mu      sync.Mutex
	refused []string // requests to it without the header
	leaked  []string // requests to the other origin with it
	asked   int      // requests to the other origin
}

func newGuarded(t *testing.T, site http.Handler, secret string) *guarded {
	t.Helper()
	g := &guarded{}
	g.other = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.asked++
		if strings.Contains(headerText(r.Header), secret) {
			g.leaked = append(g.leaked, r.URL.Path)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(g.other.Close)
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Bypass") != secret {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.refused = append(g.refused, r.URL.Path)
			http.Error(w, "log in", http.StatusUnauthorized)
			return
		}
		switch r.URL.Path {
		case "/":
			rec := httptest.NewRecorder()
			site.ServeHTTP(rec, uncompressed(r))
			for name, values := range rec.Header() {
				w.Header()[name] = values
			}
			w.Header().Del("Content-Length")
			frames := `<img alt="" width="1" height="1" src="` + g.other.URL + `/direct"><img alt="" width="1" height="1" src="/away"></body>`
			_, _ = w.Write([]byte(strings.Replace(rec.Body.String(), "</body>", frames, 1)))
		case "/away":
			http.Redirect(w, r, g.other.URL+"/redirected", http.StatusFound)
		default:
			site.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(own.Close)
	g.URL = own.URL
	return g
}

// uncompressed is a request whose answer can be changed: not compressed.
func uncompressed(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Del("Accept-Encoding")
	return r
}

func headerText(h http.Header) string {
	var b strings.Builder
	_ = h.Write(&b)
	return b.String()
}

func (g *guarded) check(t *testing.T) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.refused) > 0 {
		t.Errorf("requests without the header: %q", g.refused)
	}
	if len(g.leaked) > 0 || g.asked < 4 {
		t.Errorf("of %d requests to the other origin these had the header: %q", g.asked, g.leaked)
	}
}
