package check

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var release = Release{Namespace: "shop", Deployment: "web", Image: "web:2", Weight: 25, RunID: "7.1", EntryPoint: "http://gw"}

func none(string) string { return "" }

func TestCommand(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, c := range []struct {
		name, script string
		passed       *bool
		reason       string
		output       string
	}{
		{"passes", "echo $CANDLEFISH_NAMESPACE/$CANDLEFISH_DEPLOYMENT $CANDLEFISH_IMAGE at $CANDLEFISH_WEIGHT", &yes, "exit status 0", "shop/web web:2 at 25"},
		{"fails", "echo one; echo two >&2; exit 3", &no, "exit status 3", "one\ntwo"},
		{"cannot tell", "exit 75", nil, "exit status 75", ""},
		{"says much", "i=0; while [ $i -lt 99 ]; do echo line $i; i=$((i+1)); done", &yes, "exit status 0", "line 98"},
		{"sees no token", "env", &yes, "exit status 0", "CANDLEFISH_RUN_ID=7.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, err := Command(t.Context(), []string{"/bin/sh", "-c", c.script}, release, func(name string) string {
				return map[string]string{"PATH": "/usr/bin:/bin", "GITHUB_TOKEN": "s3cret"}[name]
			})
			if err != nil {
				t.Fatal(err)
			}
			if (a.Passed == nil) != (c.passed == nil) || a.Passed != nil && *a.Passed != *c.passed {
				t.Errorf("passed %v, want %v", a.Passed, c.passed)
			}
			out := strings.Join(a.Output, "\n")
			if !strings.Contains(a.Reason, c.reason) || !strings.Contains(out, c.output) || len(a.Output) > keptLines || strings.Contains(out, "s3cret") {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestCommandThatCannotAnswer(t *testing.T) {
	t.Parallel()
	if _, err := Command(t.Context(), []string{"/no/such/program"}, release, none); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("a missing program: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if a, err := Command(ctx, []string{"/bin/sh", "-c", "echo begun; exec sleep 60"}, release, none); err == nil || !strings.Contains(err.Error(), "in time") || a.Passed != nil {
		t.Errorf("one that does not end: %+v, %v", a, err)
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_780_000_000, 0)
	yes, no := true, false
	for _, c := range []struct {
		name, contentType, body string
		status                  int
		passed                  *bool
		err                     string
	}{
		{"passes", "application/json; charset=utf-8", `{"verdict":"successful","reason":"all well"}`, 200, &yes, ""},
		{"fails", "application/json", `{"verdict":"failed","reason":"orders dropped"}`, 200, &no, ""},
		{"cannot tell", "application/json", `{"verdict":"inconclusive"}`, 200, nil, ""},
		{"says something else", "application/json", `{"verdict":"ok"}`, 200, nil, `it says "ok"`},
		{"says nothing", "application/json", `{}`, 200, nil, `it says ""`},
		{"is broken", "application/json", `{`, 200, nil, "read its answer"},
		{"is a page", "text/html", `<h1>successful</h1>`, 200, nil, "text/html"},
		{"says it twice", "application/json", `{"verdict":"failed","verdict":"successful"}`, 200, nil, "twice"},
		{"says it in two cases", "application/json", `{"verdict":"failed","Verdict":"successful"}`, 200, nil, "twice"},
		{"says it in capitals", "application/json", `{"Verdict":"successful"}`, 200, nil, `it says ""`},
		{"says two things", "application/json", `{"verdict":"successful"}{"verdict":"failed"}`, 200, nil, "more than one"},
		{"says a list", "application/json", `["successful"]`, 200, nil, "read its answer"},
		{"says true", "application/json", `{"verdict":true}`, 200, nil, "verdict is no text"},
		{"says too much", "application/json", `{"verdict":"successful","reason":"` + strings.Repeat("x", 64<<10) + `"}`, 200, nil, "larger than 64 KiB"},
		{"was created", "application/json", `{"verdict":"successful"}`, 201, nil, "201"},
		{"is down", "application/json", `{"verdict":"successful"}`, 503, nil, "503"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || r.Method != http.MethodPost {
					t.Errorf("%s: %v", r.Method, err)
				}
				if got := r.Header.Get(HeaderSignature); got != Sign("k3y", now, body) || r.Header.Get(HeaderTimestamp) != "1780000000" {
					t.Errorf("signature %q at %q", got, r.Header.Get(HeaderTimestamp))
				}
				if !strings.Contains(string(body), `"weight":25`) {
					t.Errorf("body %s", body)
				}
				w.Header().Set("Content-Type", c.contentType)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			a, err := Webhook(t.Context(), server.Client(), server.URL+"/x?token=hidden", "k3y", release, now)
			if (err != nil) != (c.err != "") || err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "hidden")) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if (a.Passed == nil) != (c.passed == nil) || a.Passed != nil && *a.Passed != *c.passed {
				t.Errorf("passed %v, want %v", a.Passed, c.passed)
			}
		})
	}
	if _, err := Webhook(t.Context(), http.DefaultClient, "http://127.0.0.1:1/x?token=hidden", "k", release, now); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("nobody there: %v", err)
	}
	// HMAC-SHA256 of "0." under "key", by openssl dgst.
	if got, want := Sign("key", time.Unix(0, 0), nil), "sha256=85841b4efc3cd7776c3c8f9b7cca9e281c550e5d19889d78e9e669c6337f000d"; got != want {
		t.Errorf("signature %q", got)
	}
}

// A redirect is an answer that is no pass, wherever it leads: body and signature are for
// the one server, and a GET of another page says nothing about the release.
func TestWebhookFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 304, 307, 308} {
		var elsewhere atomic.Int32
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			elsewhere.Add(1)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"verdict":"successful"}`)
		}))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", other.URL)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			if status != http.StatusNotModified {
				_, _ = io.WriteString(w, `{"verdict":"successful"}`)
			}
		}))
		a, err := Webhook(t.Context(), http.DefaultClient, server.URL, "k3y", release, time.Unix(0, 0))
		if err == nil || !strings.Contains(err.Error(), "redirect is not followed") || a.Passed != nil {
			t.Errorf("%d: %+v, %v", status, a, err)
		}
		if n := elsewhere.Load(); n != 0 {
			t.Errorf("%d: the other server was asked %d times", status, n)
		}
		server.Close()
		other.Close()
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("application/json", []byte(`{"verdict":"successful"}`))
	f.Add("text/plain", []byte("\xff"))
	f.Fuzz(func(t *testing.T, contentType string, raw []byte) {
		a, err := decode(contentType, raw)
		if err != nil && a.Passed != nil && *a.Passed {
			t.Errorf("passes with error %v", err)
		}
	})
}
