package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// A page behind a password is checked with its headers, and they go to its own origin
// alone: not to a host that it redirects to.
func TestHeadersStayWithTheirOrigin(t *testing.T) {
	t.Parallel()
	c := checker(t)
	var mu sync.Mutex
	var seen []string // of the other origin
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Header.Get("Authorization")+r.Header.Get("X-Key"))
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, head, "<body><main><h1>Other</h1></main></body></html>")
	}))
	t.Cleanup(other.Close)
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Basic planted" || r.Header.Get("X-Key") != "planted":
			http.Error(w, "no", http.StatusUnauthorized)
		case r.URL.Path == "/away":
			http.Redirect(w, r, other.URL+"/landed", http.StatusFound)
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, head, "<body><main><h1>Own</h1></main></body></html>")
		}
	}))
	t.Cleanup(own.Close)
	header := http.Header{"Authorization": {"Basic planted"}, "X-Key": {"planted"}}
	by := run(t, c, Options{Pages: []Page{{URL: own.URL + "/in", Header: header}, {URL: own.URL + "/away", Header: header}, {URL: own.URL + "/out"}},
		Viewports: Viewports()[:1], Accessibility: true})
	for page, want := range map[string]string{"in": "", "away": "", "out": "it answers 401 Unauthorized"} {
		if r := by[page+" desktop"]; r.Err != want {
			t.Errorf("%s: %q, want %q", page, r.Err, want)
		}
	}
	if len(seen) == 0 || slices.ContainsFunc(seen, func(s string) bool { return s != "" }) {
		t.Errorf("the other origin got %q, want requests without headers", seen)
	}
}
