package access

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	if h, err := Parse(nil); h != nil || err != nil || h.Secrets() != nil || h.Transport(http.DefaultTransport) != http.DefaultTransport {
		t.Errorf("no lines: %v, %v", h, err)
	}
	for line, ok := range map[string]bool{
		"Authorization: Basic cGxhbnRlZDpwbGFudGVk": true, "x-key:planted": true, "X-Key: planted: 2": true,
		"planted": false, ": planted": false, "X Key: planted": false, "X-Key:": false, "Host: planted": false, "content-length: 5planted": false,
	} {
		_, err := Parse([]string{"A: b", line})
		if (err == nil) != ok || err != nil && (!strings.Contains(err.Error(), "line 2:") || strings.Contains(err.Error(), "planted")) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	basic := base64.StdEncoding.EncodeToString([]byte("anna:planted-password"))
	h, err := Parse([]string{"Authorization: Basic " + basic, "Cookie: a=planted-cookie; b=c", "X-Key: Bearer planted-token"})
	if err != nil {
		t.Fatal(err)
	}
	got := h.Secrets()
	for _, want := range []string{"Basic " + basic, basic, "anna:planted-password", "planted-password", "planted-cookie", "planted-token"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is shown; hidden are %q", want, got)
		}
	}
	if slices.Contains(got, "Basic") {
		t.Errorf("%q hides an ordinary word", got)
	}
}

// Only the preview's own origins get the headers: not a host that a page redirects to, not
// the same host on another port, and nobody once they are withheld.
func TestTransport(t *testing.T) {
	t.Parallel()
	var seen []string
	record := func(name string, next http.Handler) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, name+" "+r.Header.Get("Authorization")+" "+r.Header.Get("X-Key"))
			next.ServeHTTP(w, r)
		}))
		t.Cleanup(s.Close)
		return s
	}
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	other := record("other", nothing)
	own := record("own", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, other.URL, http.StatusFound)
		}
	}))
	h, err := Parse([]string{"Authorization: Basic planted", "X-Key: planted"})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: h.Transport(http.DefaultTransport)}
	get := func(address, authorization string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	get(own.URL, "")
	h.Trust(own.URL + "/page")
	get(own.URL, "")
	get(own.URL, "Bearer mine")
	get(own.URL+"/away", "")
	get(other.URL, "")
	h.Withhold()
	get(own.URL, "")
	want := []string{"own  ", "own Basic planted planted", "own Bearer mine planted", "own Basic planted planted", "other  ", "other  ", "own  "}
	if !slices.Equal(seen, want) {
		t.Errorf("requests %q, want %q", seen, want)
	}
}
