package servertime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
)

const queries = `version: 1
queries:
  - name: p95
    subject: /api/list
    query: histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{side="${side}"}[${window}]))) * 1000
    unit: ms
    better: lower
    floor: {absolute: 5, relative: 0.05}
`

func job(t *testing.T, text, url string, took time.Duration) meter.Job {
	t.Helper()
	file := filepath.Join(t.TempDir(), "queries.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	return meter.Job{
		Side: measure.Head, Began: now.Add(-took), Now: func() time.Time { return now },
		Settings: map[string]string{Queries: file, URL: url},
	}
}

// prometheus answers each query as the API does, if it is the one that is wanted.
func prometheus(t *testing.T, want, result string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v1/query" || r.FormValue("query") != want && want != "" {
			http.Error(w, "not this", http.StatusTeapot)
			return
		}
		fmt.Fprint(w, result)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func vector(series string) string {
	return `{"status":"success","data":{"resultType":"vector","result":[` + series + `]}}`
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	want := `histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{side="base"}[30s]))) * 1000`
	j := job(t, queries, prometheus(t, want, vector(`{"metric":{},"value":[1700000000,"12.5"]}`)), 30*time.Second+400*time.Millisecond)
	j.Side = measure.Base
	for range 2 { // the second time as the first
		r, err := ServerTime{}.Measure(t.Context(), j)
		if err != nil || len(r.Values) != 1 || len(r.Gaps) > 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		if v := r.Values[0]; v.Value != 12.5 || v.Subject != "/api/list" || v.Metric.Name != "p95" || v.Metric.Floor.Absolute != 5 || !v.Metric.Compared {
			t.Errorf("%+v", v)
		}
	}
}

// What is no number is a gap, and never 0.
func TestGaps(t *testing.T) {
	t.Parallel()
	one := `{"metric":{"a":"1"},"value":[1,"1"]}`
	for want, result := range map[string]string{
		"there is no data":    vector(""),
		"2 series":            vector(one + "," + one),
		"the value is NaN":    vector(`{"metric":{},"value":[1,"NaN"]}`),
		"the value is +Inf":   vector(`{"metric":{},"value":[1,"+Inf"]}`),
		"a histogram":         vector(`{"metric":{},"histogram":[1,{"count":"1"}]}`),
		"a matrix instead":    `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}}`,
		"a string instead":    `{"status":"success","data":{"resultType":"string","result":[1,"1"]}}`,
		"the value is NaN of": `{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}`,
	} {
		r, err := ServerTime{}.Measure(t.Context(), job(t, queries, prometheus(t, "", result), time.Minute))
		if err != nil || len(r.Values) > 0 || len(r.Gaps) != 1 || !strings.Contains(r.Gaps[0].Why, strings.TrimSuffix(want, " of")) {
			t.Errorf("%s: %+v, %v", want, r, err)
		}
	}
}

// A server that does not answer makes the whole round an error, without its password.
func TestErrors(t *testing.T) {
	t.Parallel()
	full := vector(`{"metric":{},"value":[1,"1"]}`)
	for n := range len(full) - 1 {
		if r, err := (ServerTime{}).Measure(t.Context(), job(t, queries, prometheus(t, "", full[:n]), time.Minute)); err == nil {
			t.Fatalf("%d of %d bytes are taken: %+v", n, len(full), r)
		}
	}
	for name, c := range map[string]struct {
		url  string
		took time.Duration
	}{
		"refused":    {"http://user:secret-word@127.0.0.1:1", time.Minute},
		"a page":     {prometheus(t, "", "<html>"), time.Minute},
		"an error":   {prometheus(t, "", `{"status":"error","errorType":"bad_data","error":"parse"}`), time.Minute},
		"a warning":  {prometheus(t, "", `{"status":"success","warnings":["a store is away"],"data":{"resultType":"vector","result":[]}}`), time.Minute},
		"no time":    {prometheus(t, "", full), 500 * time.Millisecond},
		"wrong path": {prometheus(t, "up", full), time.Minute},
	} {
		r, err := ServerTime{}.Measure(t.Context(), job(t, queries, c.url, c.took))
		if err == nil || strings.Contains(err.Error(), "secret-word") || len(r.Values) > 0 {
			t.Errorf("%s: %+v, error = %v", name, r, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (ServerTime{}).Measure(ctx, job(t, queries, prometheus(t, "", full), time.Minute)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	change := func(old, by string) string { return strings.Replace(queries, old, by, 1) }
	for want, text := range map[string]string{
		"EOF":                  "",
		"version 2":            change("version: 1", "version: 2"),
		"there are no queries": "version: 1\n",
		"field p99 not found":  change("unit: ms", "unit: ms\n    p99: 1"),
		"already defined":      change("unit: ms", "unit: ms\n    unit: s"),
		"is there twice":       queries + strings.SplitAfterN(queries, "queries:\n", 2)[1],
		"unit is empty":        change("unit: ms", "unit: ''"),
		"want lower or higher": change("better: lower", "better: faster"),
		"floor is negative":    change("absolute: 5", "absolute: -5"),
		"floor is negative or": change("absolute: 5", "absolute: .nan"),
		"the placeholder":      change("${window}", "${range}"),
		"more than one":        queries + "---\n{}\n",
		"cannot unmarshal":     change("version: 1", "version: [1]"),
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v", want, err)
		}
		j := job(t, text, "no-url", time.Minute)
		if p := (ServerTime{}).Problems(j); len(p) != 2 {
			t.Errorf("%s: %v", want, p)
		}
	}
}

// The example of the document is taken as it is.
func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/performance-samples.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```yaml\nversion")
	block, _, _ = strings.Cut(block, "```")
	if all, err := parse([]byte("version" + block)); err != nil || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(queries))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := parse(raw)
		if err != nil {
			return
		}
		for _, q := range all {
			if text := q.text(time.Minute, measure.Head); strings.Contains(text, "${") || q.metric().Unit == "" {
				t.Errorf("%q of %q", text, raw)
			}
		}
	})
}

// One real Prometheus, that scrapes a server each second.
func TestRealPrometheus(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts Prometheus")
	}
	scrapes := make(chan struct{}, 100)
	n := 0
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		fmt.Fprintf(w, "# TYPE http_request_duration_seconds histogram\nhttp_request_duration_seconds_bucket{side=\"head\",le=\"0.1\"} %d\nhttp_request_duration_seconds_bucket{side=\"head\",le=\"+Inf\"} %[1]d\n", 10*n)
		scrapes <- struct{}{}
	}))
	defer app.Close()
	url := startPrometheus(t, app.Listener.Addr().String())
	for range 4 { // the last one may not be stored yet
		select {
		case <-scrapes:
		case <-time.After(time.Minute):
			t.Fatal("Prometheus does not scrape")
		}
	}
	r, err := ServerTime{}.Measure(t.Context(), job(t, queries, url, time.Minute))
	if err != nil || len(r.Values) != 1 || r.Values[0].Value <= 0 || r.Values[0].Value > 100 {
		t.Errorf("head: %+v, %v", r, err)
	}
	j := job(t, queries, url, time.Minute)
	j.Side = measure.Base // of which there is nothing
	if r, err = (ServerTime{}).Measure(t.Context(), j); err != nil || len(r.Values) > 0 || len(r.Gaps) != 1 {
		t.Errorf("base: %+v, %v", r, err)
	}
	j = job(t, strings.Replace(queries, "sum by (le)", "sum by (le", 1), url, time.Minute)
	if r, err = (ServerTime{}).Measure(t.Context(), j); err == nil || !strings.Contains(err.Error(), "parse error") {
		t.Errorf("a wrong query: %+v, %v", r, err)
	}
}

func startPrometheus(t *testing.T, target string) string {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatalf("%v; run the whole suite with go tool mage test, which installs Debian's package prometheus", err)
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	address, dir := l.Addr().String(), t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("scrape_configs:\n- job_name: web\n  scrape_interval: 1s\n  static_configs: [{targets: [%q]}]\n", target)
	if err := errors.Join(l.Close(), os.WriteFile(config, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	return "http://" + address
}
