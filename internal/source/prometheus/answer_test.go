package prometheus

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/source"
	"github.com/candlefish/deploy-action/internal/source/prometheus/client"
)

// An answer over the bound is refused as such, and its text is not kept: what is
// allocated for all of it, dropped parts included, is a small multiple of the bound.
func TestReadOfAHugeAnswer(t *testing.T) { //nolint:paralleltest // it measures what the process allocates
	a, err := Server{URL: "http://prometheus", Client: &http.Client{Transport: big{60 << 20}}}.Ready(Ready{Preset: App, Names: shop, Errors: true})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	points, err := a.Read(t.Context())
	runtime.ReadMemStats(&after)
	if !errors.Is(err, client.ErrTooLarge) || points != nil || !strings.Contains(err.Error(), "8 MiB") {
		t.Errorf("Read = %d points, %v; want client.ErrTooLarge", len(points), err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 6*client.MaxSize {
		t.Errorf("%d MiB were allocated for an answer of at most 8 MiB", allocated>>20)
	}
}

// A server that takes no POST is asked by GET, with all that a POST would say.
func TestReadFallsBackToGet(t *testing.T) {
	t.Parallel()
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, fmt.Sprint(r.Method, " ", r.URL.RawQuery, " ", string(bytes.TrimSpace(body))))
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		_, _ = io.WriteString(w, `{"status":"success","data":`+vector(`{"metric":{"v":"canary"},"value":[1000,"2"]}`)+`}`)
	}))
	defer server.Close()
	a, err := Server{URL: server.URL + "?tenant=x"}.Ask(source.Queries{Value: "up", By: "v"}, shop)
	if err != nil {
		t.Fatal(err)
	}
	if points := read(t, a, 1)[0]; len(points) != 1 {
		t.Errorf("%+v", points)
	}
	want := []string{
		"POST deny_partial_response=1&partial_response=false&tenant=x lookback_delta=1m30s&query=up",
		"GET deny_partial_response=1&lookback_delta=1m30s&partial_response=false&query=up&tenant=x ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A $ in a password is a $; only ${NAME} is a variable. The password is masked.
func TestPasswordsWithADollar(t *testing.T) {
	t.Parallel()
	var user, password string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		_, _ = io.WriteString(w, `{"status":"success","data":`+vector()+`}`)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	env := map[string]string{"PASSWORD": "pa$HOME$$x", "HOST": host, "ALL": "http://ann:pa$1@" + host}
	for address, want := range map[string]string{
		"http://ann:pa$$word$1@" + host:  "pa$$word$1",
		"http://ann:${PASSWORD}@${HOST}": "pa$HOME$$x",
		"${ALL}":                         "pa$1",
	} {
		var masked []string
		e := source.Env{Getenv: func(name string) string { return env[name] }, Mask: func(s string) { masked = append(masked, s) }, Names: shop}
		c := &Config{URL: address, Queries: source.Queries{Value: "up", By: "v"}}
		r, err := c.Open(t.Context(), config.Metric{}, e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if user != "ann" || password != want {
			t.Errorf("%s: asked as %q with %q, want %q", address, user, password, want)
		}
		if diff := cmp.Diff([]string{want}, masked); diff != "" {
			t.Errorf("%s: masked (-want +got):\n%s", address, diff)
		}
	}
	e := source.Env{Getenv: func(string) string { return "" }, Names: shop}
	if _, err := (&Config{URL: "http://${NONE}"}).Open(t.Context(), config.Metric{}, e); err == nil || !strings.Contains(err.Error(), "NONE") {
		t.Errorf("a variable that is not set: %v", err)
	}
}
