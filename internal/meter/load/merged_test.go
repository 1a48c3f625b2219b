package load

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// Two recorded runs of k6, of 30 and of 10 iterations, one in five of which failed.
func TestMerged(t *testing.T) {
	t.Parallel()
	a, err := os.ReadFile("raw/testdata/a.samples.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("raw/testdata/b.samples.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Merged("load", 10*time.Second, bytes.NewReader(a), bytes.NewReader(b))
	if err != nil || len(r.Gaps)+len(r.Doubts) > 0 || len(r.Values) != len(metrics) {
		t.Fatalf("%+v, %v", r, err)
	}
	for metric, want := range map[string]float64{"http_reqs": 4, "iterations": 4, "http_req_failed": 0.2, "checks": 0.8, "dropped_iterations": 0} {
		if got := value(r, "load", metric); got != want {
			t.Errorf("%s is %v, want %v", metric, got, want)
		}
	}
	if p95, p99 := value(r, "load", "http_req_duration.p95"), value(r, "load", "http_req_duration.p99"); p95 < 5 || p99 < p95 {
		t.Errorf("p95 %v, p99 %v", p95, p99)
	}
	if _, err := Merged("load", time.Second, bytes.NewReader(a), bytes.NewReader(b[:500])); err == nil || !strings.Contains(err.Error(), "generator 2 of 2") {
		t.Errorf("half of the second: %v", err)
	}
}
