package network

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/scanner"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// good are headers that no rule finds fault with.
func good() http.Header {
	return http.Header{
		"Strict-Transport-Security": {"max-age=31536000; includeSubDomains"},
		"Content-Security-Policy":   {"default-src 'self'; frame-ancestors 'none'"},
		"X-Content-Type-Options":    {"nosniff"},
		"Referrer-Policy":           {"strict-origin-when-cross-origin"},
		"Permissions-Policy":        {"camera=()"},
		"Server":                    {"nginx"},
		"Set-Cookie":                {"id=not-to-be-told; Secure; HttpOnly; SameSite=Lax"},
	}
}

func scanHeaders(t *testing.T, hosts ...string) scanner.Report {
	t.Helper()
	r, err := Headers{}.Scan(t.Context(), scanner.Job{Hosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHeadersFindsEachFault(t *testing.T) {
	t.Parallel()
	certificate, err := expired()
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	for name, c := range map[string]struct {
		set  http.Header // "" removes
		want []string
	}{
		"nothing":                      {nil, nil},
		"no HSTS":                      {http.Header{"Strict-Transport-Security": nil}, []string{"hsts-missing medium"}},
		"HSTS ended":                   {http.Header{"Strict-Transport-Security": {"max-age=0"}}, []string{"hsts-missing medium"}},
		"HSTS for a day":               {http.Header{"Strict-Transport-Security": {`includeSubDomains; Max-Age = "86400"`}}, []string{"hsts-short low"}},
		"no policy":                    {http.Header{"Content-Security-Policy": nil}, []string{"csp-missing medium", "frames-allowed medium"}},
		"no policy, but frames":        {http.Header{"Content-Security-Policy": nil, "X-Frame-Options": {"SAMEORIGIN"}}, []string{"csp-missing medium"}},
		"frames from an old header":    {http.Header{"Content-Security-Policy": {"script-src 'self'"}, "X-Frame-Options": {"ALLOW-FROM https://a.example"}}, []string{"frames-allowed medium"}},
		"a policy without scripts":     {http.Header{"Content-Security-Policy": {"img-src *; frame-ancestors 'self'"}}, []string{"csp-missing medium"}},
		"scripts of the page":          {http.Header{"Content-Security-Policy": {"script-src 'self' 'unsafe-inline'; frame-ancestors 'self'"}}, []string{"csp-unsafe low"}},
		"scripts of the page, a nonce": {http.Header{"Content-Security-Policy": {"script-src 'nonce-abc' 'unsafe-inline' https:; frame-ancestors 'self'"}}, nil},
		"scripts of anybody":           {http.Header{"Content-Security-Policy": {"default-src *; frame-ancestors 'self'"}}, []string{"csp-unsafe low"}},
		"two policies":                 {http.Header{"Content-Security-Policy": {"frame-ancestors 'self'", "default-src 'none'"}}, nil},
		"types are guessed":            {http.Header{"X-Content-Type-Options": {"sniff"}}, []string{"nosniff-missing low"}},
		"no referrer policy":           {http.Header{"Referrer-Policy": nil}, []string{"referrer-missing low"}},
		"the whole address":            {http.Header{"Referrer-Policy": {"unsafe-url"}}, []string{"referrer-missing low"}},
		"no permissions":               {http.Header{"Permissions-Policy": nil}, []string{"permissions-missing info"}},
		"a cookie for http":            {http.Header{"Set-Cookie": {"id=not-to-be-told; HttpOnly; SameSite=Strict"}}, []string{"cookie-not-secure:id medium"}},
		"a cookie for scripts":         {http.Header{"Set-Cookie": {"id=not-to-be-told; Secure; SameSite=Strict"}}, []string{"cookie-script:id low"}},
		"a cookie for all sites":       {http.Header{"Set-Cookie": {"id=not-to-be-told; Secure; HttpOnly"}}, []string{"cookie-cross-site:id low"}},
		"two cookies":                  {http.Header{"Set-Cookie": {"a=not-to-be-told; Secure; SameSite=Lax", "b=not-to-be-told; Secure; SameSite=Lax"}}, []string{"cookie-script:a low", "cookie-script:b low"}},
		"versions":                     {http.Header{"Server": {"nginx/1.18.0"}, "X-Powered-By": {"PHP/8.1"}}, []string{"version-told info", "version-told info"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := good()
			for k, v := range c.set {
				header[k] = v
			}
			host := site(t, config, header)
			r := scanHeaders(t, host)
			if d := cmp.Diff(c.want, rules(r.Sightings)); d != "" || len(r.Doubts) > 0 {
				t.Errorf("rules (-want +got), doubts %q:\n%s", r.Doubts, d)
			}
			if text := fmt.Sprintf("%+v", r); strings.Contains(text, "not-to-be-told") {
				t.Errorf("the cookie's value is in %s", text)
			}
			for _, s := range r.Sightings {
				if s.Location.Host != host || s.Class != finding.ClassNetwork || s.Message == "" {
					t.Errorf("%+v", s)
				}
			}
		})
	}
	for id, r := range headerRules {
		if _, ok := finding.ParseSeverity(r.severity); !ok || r.cwe == "" || r.title == "" {
			t.Errorf("%s: %+v", id, r)
		}
	}
}

func TestHeadersOfHTTP(t *testing.T) {
	t.Parallel()
	header := good()
	delete(header, "Set-Cookie")
	if r := scanHeaders(t, plainSite(t, header)); !slices.Equal(rules(r.Sightings), []string{"http-not-redirected medium"}) || len(r.Doubts) > 0 {
		t.Errorf("a page by http: %+v", r)
	}
	secure := site(t, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}, header)
	redirect := httptest.NewServer(http.RedirectHandler("https://"+secure+"/", http.StatusMovedPermanently))
	t.Cleanup(redirect.Close)
	if r := scanHeaders(t, redirect.URL); len(r.Sightings) > 0 || len(r.Doubts) > 0 {
		t.Errorf("a redirect to https: %+v", r)
	}
}

func TestHeadersFollowsRedirectsOnTheHostAlone(t *testing.T) {
	t.Parallel()
	var asked int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(other.Close)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(other.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.RedirectHandler("/home", http.StatusFound))
	mux.Handle("/home", http.RedirectHandler("http://localhost:"+port+"/", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	r := scanHeaders(t, server.URL)
	if asked != 0 || len(r.Doubts) > 0 || !strings.Contains(r.Notes[0], "/home with status 302") {
		t.Errorf("another host was asked %d times: %+v", asked, r)
	}
	if r := scanHeaders(t, server.URL+"/loop"); len(r.Notes) != 1 {
		t.Errorf("a loop: %+v", r)
	}
}

func TestHeadersNoAnswerIsADoubt(t *testing.T) {
	t.Parallel()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(broken.Close)
	for name, host := range map[string]string{
		"nobody listens": unused(t),
		"a reset":        listen(t, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() }),
		"not HTTP":       "http://" + listen(t, func(c net.Conn) { _, _ = c.Write([]byte("220 mail.example\r\n")); _ = c.Close() }),
		"a broken host":  broken.URL,
		"no such name":   "host.invalid",
		"a bad name":     "two words",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r := scanHeaders(t, host); len(r.Doubts) != 1 || len(r.Sightings) > 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}
