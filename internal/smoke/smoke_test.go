package smoke

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const limit = 3 * time.Second

// website answers as a small application does.
func website(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.HandleFunc("GET /broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	mux.HandleFunc("GET /away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/health", http.StatusFound) })
	mux.HandleFunc("GET /hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("GET /long", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxBody+1)) })
	mux.HandleFunc("POST /api/cart", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"got":%q,"type":%q,"token":%q,"mark":%q,"host":%q,"agent":%q}`, body, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), r.Header.Get("X-Mark"), r.Host, r.UserAgent())
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// places are two pods and the entry point of a website.
func places(s *httptest.Server) []Place {
	dial := func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", s.Listener.Addr().String())
	}
	return []Place{
		{Name: "pod web-1", Pod: true, URL: "http://pod", Host: "shop.example", Dial: dial},
		{Name: "pod web-2", Pod: true, URL: "http://pod", Host: "shop.example", Dial: dial},
		{Name: "the entry point", URL: s.URL, Host: "shop.example", Mark: http.Header{"X-Mark": {"secret"}}},
	}
}

var settings = Settings{UserAgent: "agent", Secret: func(name string) string { return "value of " + name }}

func load(t *testing.T, text string) Plan {
	t.Helper()
	p, err := Parse([]byte(text), limit)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if p, err = Decode(raw); err != nil { // as another process of the release reads it
		t.Fatal(err)
	}
	return p
}

func TestEveryTestAtEveryPlace(t *testing.T) {
	t.Parallel()
	p := load(t, `
requests:
  - path: /health
    expect: [status 200, body /^ok$/]
  - name: a cart
    method: POST
    path: /api/cart
    headers: {Content-Type: application/json, X-Mark: other}
    headers-env: {Authorization: TOKEN}
    body: '{"book":1}'
    expect:
      - header Content-Type /json/
      - json $.got == "{\"book\":1}"
      - json $.token == "value of TOKEN"
      - json $.host == "shop.example"
      - json $.agent == "agent"
    max-time: 2s
  - path: /health
    name: entry alone
    at: [entry-point]
  - path: /health
    name: pods alone
    at: [pods]
`)
	got := Run(t.Context(), settings, p, places(website(t)))
	want := []Result{
		{Place: "pod web-1", Test: "GET /health", Status: 200}, {Place: "pod web-1", Test: "a cart", Status: 200}, {Place: "pod web-1", Test: "pods alone", Status: 200},
		{Place: "pod web-2", Test: "GET /health", Status: 200}, {Place: "pod web-2", Test: "a cart", Status: 200}, {Place: "pod web-2", Test: "pods alone", Status: 200},
		{Place: "the entry point", Test: "GET /health", Status: 200}, {Place: "the entry point", Test: "a cart", Status: 200}, {Place: "the entry point", Test: "entry alone", Status: 200},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Result{}, "Took")); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if text := Failures(got); text != "" {
		t.Errorf("failures: %s", text)
	}
	if got[0].Took <= 0 {
		t.Errorf("took %s", got[0].Took)
	}
	if diff := cmp.Diff([]string{"TOKEN"}, p.Unset(func(string) string { return "" })); diff != "" {
		t.Errorf("unset (-want +got):\n%s", diff)
	}
}

// A request through the entry point always has the mark, whatever its headers say.
func TestTheMarkIsKept(t *testing.T) {
	t.Parallel()
	p := load(t, `requests: [{method: POST, path: /api/cart, headers: {X-Mark: other}, expect: ['json $.mark == "secret"'], at: [entry-point]}]`)
	if text := Failures(Run(t.Context(), settings, p, places(website(t)))); text != "" {
		t.Error(text)
	}
}

// One failing test of one pod fails all of them.
func TestFailures(t *testing.T) {
	t.Parallel()
	site := website(t)
	for name, c := range map[string]struct {
		request string
		bend    func([]Place)
		want    string
	}{
		"a status":   {"{path: /broken, at: [pods]}", nil, `smoke test "GET /broken" at pod web-1: its status is 500, want status 200; 2 of 2 failed in all`},
		"a redirect": {"{path: /away, at: [entry-point]}", nil, `smoke test "GET /away" at the entry point: its status is 302, want status 200`},
		"a body":     {"{path: /health, expect: [body /fine/], at: [entry-point]}", nil, `smoke test "GET /health" at the entry point: its body does not match, want body /fine/`},
		"too slow":   {"{path: /hangs, max-time: 10ms, at: [entry-point]}", nil, `smoke test "GET /hangs" at the entry point: no complete answer within 10ms`},
		"a slow pod": {"{path: /hangs, max-time: 10ms, at: [pods]}", nil, `smoke test "GET /hangs" at pod web-1: no complete answer within 10ms; 2 of 2 failed in all`},
		"too long":   {"{path: /long, expect: [body /./], at: [entry-point]}", nil, `smoke test "GET /long" at the entry point: its body of 4194305 bytes is too long: 4194304 are read`},
		"not read":   {"{path: /long, at: [entry-point]}", nil, ""},
		"one of pods": {"{path: /health}", func(ps []Place) {
			ps[1].Dial = func(context.Context) (net.Conn, error) { return nil, errors.New("no such pod") }
		}, `smoke test "GET /health" at pod web-2: no such pod`},
		"another version": {"{path: /health, at: [entry-point]}", func(ps []Place) {
			ps[2].Stranger = func(h http.Header, body []byte) string { return fmt.Sprint("stable ", len(h) > 0, string(body)) }
		}, `smoke test "GET /health" at the entry point: answered by stable trueok`},
	} {
		ps := places(site)
		if c.bend != nil {
			c.bend(ps)
		}
		if got := Failures(Run(t.Context(), settings, load(t, "requests: ["+c.request+"]"), ps)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The timeout of all tests is a bound: what was not answered then has failed.
func TestTheTimeoutOfAllTests(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the smoke tests did not end within 3m0s"))
	got := Run(ctx, settings, load(t, "requests: [{path: /hangs, max-time: 1h}, {path: /health}]"), places(website(t)))
	if len(got) != 6 {
		t.Fatalf("%d results", len(got))
	}
	for _, r := range got {
		if r.Failure != "the smoke tests did not end within 3m0s" {
			t.Errorf("%s at %s: %q", r.Test, r.Place, r.Failure)
		}
	}
}

// A connection to a pod is tried again, and a request is not.
func TestConnectingIsTriedAgain(t *testing.T) {
	t.Parallel()
	ps, tries := places(website(t))[:1], 0
	dial := ps[0].Dial
	ps[0].Dial = func(ctx context.Context) (net.Conn, error) {
		if tries++; tries < dialTries {
			return nil, errors.New("the API server is busy")
		}
		return dial(ctx)
	}
	if text := Failures(Run(t.Context(), settings, Plan{Tests: []Test{Page("/health", limit)}}, ps)); text != "" || tries != dialTries {
		t.Errorf("after %d tries: %s", tries, text)
	}
	closing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}))
	defer closing.Close()
	text := Failures(Run(t.Context(), settings, Plan{Tests: []Test{Page("/health", limit)}}, places(closing)[:1]))
	if !strings.Contains(text, "EOF") {
		t.Errorf("a pod that closes the connection: %q", text)
	}
}

func TestWhatAFileMayNotHave(t *testing.T) {
	t.Parallel()
	_, err := Parse([]byte(`
scheme: ftp
port: 70000
requests:
  - {path: health, method: get}
  - {path: /a b, headers: {"a:b": c}, headers-env: {Authorization: "not a name"}, at: [everywhere]}
  - {path: /, expect: [status ok, body Welcome], max-time: 3}
`), limit)
	want := []string{
		`scheme "ftp": want http or https`,
		`port 70000: want a number from 1 to 65535`,
		`requests[0]: method "get": want one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS`,
		`requests[0]: path "health": want one that starts with '/'`,
		`requests[1]: path "/a b": want one that starts with '/'`,
		`requests[1]: header "a:b": that is no name of a header`,
		`requests[1]: headers-env Authorization: want the name of an environment variable`,
		`requests[1]: at "everywhere": want pods or entry-point`,
		`requests[2]: max-time "3": want a duration such as 500ms`,
		"requests[2]: expect \"status ok\": \"ok\" is no status from 200 to 599\nexpect \"body Welcome\": \"Welcome\" is no pattern between two slashes",
	}
	if diff := cmp.Diff("the smoke file is refused: "+strings.Join(want, "\nthe smoke file is refused: "), fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{
		"":                                 "0 requests: want 1 to 100",
		"requests: [{url: /}]":             "field url not found\n",
		"requests: [{path: /, path: /a}]":  "already defined",
		"tests: []":                        "field tests not found\n",
		"requests: [{path: /, body: [1]}]": "cannot unmarshal",
	} {
		if _, err := Parse([]byte(text), limit); err == nil || !strings.Contains(err.Error()+"\n", want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
