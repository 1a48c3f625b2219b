package netlifytest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/netlify"
	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

// A site that was published is served as its rules say.
func TestSite(t *testing.T) {
	t.Parallel()
	s := netlifytest.NewT(t, netlifytest.Options{SiteID: "s1"})
	dir := t.TempDir()
	for name, text := range map[string]string{
		"index.html": "home", "about.html": "about", "docs/index.html": "docs", "404.html": "nothing here", "app.css": "a{}",
		"_redirects": "/old/:page/* /new/:page/:splat 302\n/app/* /index.html 200\n/gone /about 404\n/about /index.html 200\n/docs /index.html 200!",
		"_headers":   "/app.css\n  X-Style: yes",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := netlify.Account{Token: "any", BaseURL: s.URL(), After: func(time.Duration) <-chan time.Time {
		now := make(chan time.Time)
		close(now)
		return now
	}}
	d, _, err := a.Publish(t.Context(), netlify.Upload{SiteID: "s1", Alias: "pr-1", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path   string
		status int
		body   string
		header string
		value  string
	}{
		{"/", 200, "home", "Content-Type", "text/html; charset=utf-8"},
		{"/about", 200, "about", "", ""},
		{"/docs/", 200, "home", "", ""},
		{"/app/x/y", 200, "home", "", ""},
		{"/gone", 404, "about", "", ""},
		{"/no", 404, "nothing here", "", ""},
		{"/old/a/b/c", 302, "", "Location", "/new/a/b/c"},
		{"/app.css", 200, "a{}", "X-Style", "yes"},
		{"/netlify.toml", 404, "nothing here", "", ""},
	} {
		status, body, header := get(t, s.SiteURL("pr-1")+c.path)
		if status != c.status || c.body != "" && body != c.body || c.header != "" && header.Get(c.header) != c.value {
			t.Errorf("%s: %d %q %v", c.path, status, body, header)
		}
	}
	if status, body, _ := get(t, d.URL); status != 200 || body != "home" {
		t.Errorf("the deploy's own address: %d %q", status, body)
	}
	if status, _, _ := get(t, s.SiteURL("pr-2")); status != 404 {
		t.Errorf("an alias without a deploy: %d", status)
	}
}

func get(t *testing.T, address string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // which follows no redirects
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

// A recorder is a test that fails without failing this one.
type recorder struct {
	*testing.T
	said []string
}

// Errorf implements netlifytest.T.
func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func TestUnexpectedRequests(t *testing.T) {
	t.Parallel()
	r := &recorder{T: t}
	s := netlifytest.NewT(r, netlifytest.Options{Token: "right"})
	ask := func(method, path, token, body string) int {
		req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, s.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode
	}
	id := s.Add("pr-1", "t", time.Time{})
	for _, c := range []struct {
		method, path, token, body string
		want                      int
		told                      bool
	}{
		{"GET", "/user", "right", "", 501, true},
		{"PUT", "/deploys/" + id + "/files/x", "right", "x", 422, true},
		{"GET", "/sites/site/deploys", "wrong", "", 401, false},
		{"GET", "/sites/other/deploys", "right", "", 404, false},
		{"POST", "/sites/site/deploys", "right", "{", 400, false},
		{"POST", "/sites/site/deploys", "right", `{"environment": null}`, 422, false},
		{"DELETE", "/sites/site/deploys/nothing", "right", "", 404, false},
	} {
		before := len(r.said)
		if got := ask(c.method, c.path, c.token, c.body); got != c.want || (len(r.said) > before) != c.told {
			t.Errorf("%s %s: %d, told %q", c.method, c.path, got, r.said[before:])
		}
	}
}
