package prometheus

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

// An app counts, at each scrape, 10 more requests of stable and 5 of canary, of
// which 1 fails; all take up to 0.1 s but those that fail. It says when it is
// scraped, and forgets its counts when it is told to.
type app struct {
	scrapes chan struct{}
	restart atomic.Bool
	n       int
}

func (a *app) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if a.restart.CompareAndSwap(true, false) {
		a.n = 0
	}
	a.n++
	_, _ = fmt.Fprintf(w, `# TYPE http_requests_total counter
http_requests_total{version="stable",code="200"} %[1]d
http_requests_total{version="canary",code="200"} %[2]d
http_requests_total{version="canary",code="500"} %[3]d
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{version="stable",code="200",le="0.1"} %[1]d
http_request_duration_seconds_bucket{version="stable",code="200",le="+Inf"} %[1]d
http_request_duration_seconds_bucket{version="canary",code="500",le="0.1"} 0
http_request_duration_seconds_bucket{version="canary",code="500",le="+Inf"} %[3]d
# TYPE load gauge
load{version="stable"} 0.5
load{version="canary"} NaN
`, 10*a.n, 4*a.n, a.n)
	a.scrapes <- struct{}{}
}

// scraped waits for so many scrapes. All but the last one are stored then.
func (a *app) scraped(t *testing.T, n int) {
	t.Helper()
	for len(a.scrapes) > 0 {
		<-a.scrapes
	}
	for range n {
		select {
		case <-a.scrapes:
		case <-time.After(30 * time.Second):
			t.Fatal("Prometheus does not scrape")
		}
	}
}

func startPrometheus(t *testing.T, target string) (address string, stop func()) {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatalf("%v; run the whole suite with go tool mage test, which installs Debian's package prometheus", err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("scrape_configs:\n- job_name: web\n  scrape_interval: 1s\n  static_configs: [{targets: [%q]}]\n", target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address = freeAddress(t)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}
	t.Cleanup(stop)
	return address, stop
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// One real Prometheus, from the baseline through a restart of the application to
// its own end.
func TestReadOfARealPrometheus(t *testing.T) {
	t.Parallel()
	web := &app{scrapes: make(chan struct{}, 1000)}
	exposed := httptest.NewServer(web)
	defer exposed.Close()
	address, stop := startPrometheus(t, exposed.Listener.Addr().String())
	server := Server{URL: "http://" + address}
	requests, err := server.Ready(Ready{Preset: App, Names: shop, Match: `job="web"`, Errors: true, Latency: true})
	if err != nil {
		t.Fatal(err)
	}
	load, err := server.Ask(source.Queries{Value: `max by (version) (load{version="${version}"})`}, shop)
	if err != nil {
		t.Fatal(err)
	}

	web.scraped(t, 2)
	if points, err := requests.Read(t.Context()); err != nil || points != nil {
		t.Fatalf("the first reading = %v, %v, want the baseline", points, err)
	}
	web.scraped(t, 2)
	points, err := requests.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checkScrapes(t, points)

	values, err := load.Read(t.Context())
	if err != nil || len(values) != 2 {
		t.Errorf("load = %+v, %v, want one value of each version", values, err)
	}
	for _, p := range values {
		if v := float64(*p.Value); p.Side == rollout.SideCanary && !math.IsNaN(v) || p.Side == rollout.SideStable && v != 0.5 {
			t.Errorf("load of %s = %v, want NaN of canary and 0.5 of stable", p.Side, v)
		}
	}

	web.restart.Store(true)
	web.scraped(t, 3) // of which one may have begun before
	if points, err = requests.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkScrapes(t, points)
	if n := requests.Resets(); n != 4 { // three counters and a histogram
		t.Errorf("%d resets, want 5", n)
	}
	if s := requests.Skew(); s.Abs() > 2*time.Second {
		t.Errorf("Skew() = %v of the same machine", s)
	}

	stop()
	if points, err := requests.Read(t.Context()); err == nil {
		t.Errorf("the reading of a server that is gone = %v, want an error", points)
	}
}

// checkScrapes wants whole scrapes of both versions.
func checkScrapes(t *testing.T, points []analysis.Point) {
	t.Helper()
	if len(points) < 2 {
		t.Errorf("%d points, want those of both versions", len(points))
	}
	for _, p := range points {
		switch p.Side {
		case rollout.SideStable:
			if p.Total != 10 || p.Failed != 0 || len(p.Latency) != 1 || p.Latency[0] != (analysis.Bucket{Upto: 0.1, N: 10}) {
				t.Errorf("%+v, want 10 requests of up to 0.1 s", p)
			}
		case rollout.SideCanary:
			if p.Total != 5 || p.Failed != 1 || len(p.Latency) != 0 {
				t.Errorf("%+v, want 5 requests, 1 failed", p)
			}
		case rollout.SidePrevious, rollout.SideUnattributed:
			t.Errorf("%+v is of no version", p)
		}
		if time.Since(p.At).Abs() > time.Minute {
			t.Errorf("%+v is not of now", p)
		}
	}
}
