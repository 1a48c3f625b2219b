package probe

import (
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// grpcServer answers health checks as a gRPC server does, by the statuses of its
// services, and refuses what one refuses. It speaks HTTP/2 alone.
func grpcServer(t *testing.T, version string, services map[string]byte) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/grpc" || r.Header.Get("Te") != "trailers" {
			t.Errorf("no gRPC server takes %s %s %s with %v", r.Proto, r.Method, r.URL, r.Header)
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("X-Version", version)
		if r.URL.Path != "/grpc.health.v1.Health/Check" {
			w.Header().Set("Grpc-Status", "12") // unimplemented, in an answer of headers alone
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) < 5 || int(binary.BigEndian.Uint32(body[1:5])) != len(body)-5 {
			t.Errorf("request %x, %v", body, err)
			return
		}
		service := ""
		if len(body) > 5 {
			if body[5] != 0x0a || int(body[6]) != len(body)-7 {
				t.Errorf("request %x", body)
			}
			service = string(body[7:])
		}
		status, known := services[service]
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		if known {
			_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, status})
			w.Header().Set("Grpc-Status", "0")
			return
		}
		w.WriteHeader(http.StatusOK)
		w.Header().Set("Grpc-Status", "5")
		w.Header().Set("Grpc-Message", "unknown service")
	}))
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func TestAHealthCheckIsAnAnswer(t *testing.T) {
	t.Parallel()
	srv := grpcServer(t, "2", map[string]byte{"": 1, "shop.Cart": 1, "shop.Slow": 2, "shop.Odd": 0})
	var got []string
	for _, path := range []string{"/", "/shop.Cart", "/shop.Slow", "/shop.Odd", "/none"} {
		sample, err := Fetch(t.Context(), Target{URL: srv.URL + path, GRPC: true}, "test")
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		got = append(got, strings.Join([]string{path, http.StatusText(sample.Status), sample.Header.Get("X-Version"), string(sample.Body)}, " "))
	}
	want := []string{"/ OK 2 serving", "/shop.Cart OK 2 serving", "/shop.Slow Service Unavailable 2 not serving", "/shop.Odd Service Unavailable 2 not serving", "/none Not Found 2 the server does not know the service"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestAStreamOfHealthChecks(t *testing.T) {
	t.Parallel()
	srv := grpcServer(t, "2", map[string]byte{"": 1})
	book := &Book{}
	book.Learn(rollout.SideCanary, "2")
	answers, stats := collect(t, Config{Target: Target{URL: srv.URL + "/", GRPC: true}, Rate: 200, Marker: MarkerIn("X-Version", nil), Book: book}, atLeast(20))
	for _, a := range answers {
		if a.Failed || a.Side != rollout.SideCanary || a.Retried != 0 {
			t.Fatalf("answer %+v", a)
		}
	}
	if stats.Missed > 0 {
		t.Errorf("stats %+v", stats)
	}
}

// A server of HTTP/1 alone, or a page, is no gRPC server.
func TestWhatIsNoGRPCServer(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(plain.Close)
	if sample, err := Fetch(t.Context(), Target{URL: plain.URL, GRPC: true}, "test"); err == nil {
		t.Errorf("a server of HTTP/1 gave %+v", sample)
	}
	pages := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Gone") != "" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, "hello")
	}))
	pages.Config.Protocols = new(http.Protocols)
	pages.Config.Protocols.SetUnencryptedHTTP2(true)
	pages.Start()
	t.Cleanup(pages.Close)
	for gone, status := range map[string]int{"": http.StatusServiceUnavailable, "x": http.StatusNotFound} {
		target := Target{URL: pages.URL, GRPC: true, Header: http.Header{}}
		if gone != "" {
			target.Header.Set("X-Gone", gone)
		}
		if sample, err := Fetch(t.Context(), target, "test"); err != nil || sample.Status != status {
			t.Errorf("a page with status %d gave %+v, %v", status, sample, err)
		}
	}
}

func FuzzServes(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 2, 8, 1})
	f.Add([]byte{0, 0, 0, 0, 4, 16, 7, 8, 1})
	f.Add([]byte{1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, message []byte) {
		if serves(message) && len(message) < 7 {
			t.Errorf("%x serves", message)
		}
	})
}
