package summary

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Both versions write the same things in each format, which the recordings, of one
// script, show.
func TestRecordings(t *testing.T) {
	t.Parallel()
	thresholds := []Threshold{
		{"checks{absent:yes}", "rate>0.9", true}, // without a sample: k6 counts that as held
		{"http_req_duration", "p(95)<2000", true},
		{"http_req_duration", "p(99)<1", false},
		{"http_req_failed", "rate<0.01", false},
	}
	for name, format := range map[string]Format{"legacy": Export, "handle": Handle, "machine": Machine} {
		for _, version := range []string{"1.5.0", "2.2.0"} {
			got, err := Parse(recorded(t, name+"-"+version))
			if err != nil {
				t.Errorf("%s %s: %v", name, version, err)
				continue
			}
			want := thresholds
			if format == Machine {
				want = nil
			}
			if diff := cmp.Diff(want, got.Thresholds); got.Format != format || diff != "" {
				t.Errorf("%s %s is %s: %s", name, version, got.Format, diff)
			}
			failed, requests := got.Metrics["http_req_failed"], got.Metrics["http_reqs"]
			if failed.Kind != Rate || failed.Stats["rate"] < 0.19 || failed.Stats["rate"] > 0.22 || failed.Stats["total"] != requests.Stats["count"] {
				t.Errorf("%s %s: failed %+v of %+v", name, version, failed, requests)
			}
			if rate := requests.Stats["rate"]; rate < 45 || rate > 55 {
				t.Errorf("%s %s: %v requests a second", name, version, rate)
			}
			if checks := got.Metrics["checks"].Stats["rate"]; checks < 0.78 || checks > 0.81 {
				t.Errorf("%s %s: %v of the checks passed", name, version, checks)
			}
			duration := got.Metrics["http_req_duration"]
			if _, has := duration.Stats["p99"]; has == (format == Machine) || duration.Stats["p95"] < 5 || duration.Kind != Trend {
				t.Errorf("%s %s: %+v", name, version, duration)
			}
		}
	}
}

func TestEmptyMetrics(t *testing.T) {
	t.Parallel()
	got, err := Parse(recorded(t, "legacy-2.2.0"))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Metrics["checks{absent:yes}"].Empty() || got.Metrics["checks"].Empty() {
		t.Errorf("%+v", got.Metrics)
	}
}

func TestWhatIsNoSummary(t *testing.T) {
	t.Parallel()
	legacy := string(recorded(t, "legacy-2.2.0"))
	for name, raw := range map[string]string{
		"nothing":                  "",
		"a list":                   "[]",
		"foreign JSON":             `{"metrics":{}}`,
		"another tool":             `{"requestedUrl":"/","audits":{}}`,
		"a key twice":              `{"root_group":{},"metrics":{"a":{"count":1,"count":2,"rate":1}}}`,
		"a number too large":       `{"root_group":{},"metrics":{"a":{"count":1e999,"rate":1}}}`,
		"null":                     `{"root_group":{},"metrics":{"a":{"count":null,"rate":1}}}`,
		"half of a count":          `{"root_group":{},"metrics":{"a":{"avg":1,"count":1.5}}}`,
		"percentiles that descend": `{"root_group":{},"metrics":{"a":{"med":9,"p(95)":8}}}`,
		"a rate over 1":            `{"root_group":{},"metrics":{"a":{"passes":2,"fails":0,"value":2}}}`,
		"a rate of other samples":  `{"root_group":{},"metrics":{"a":{"passes":1,"fails":1,"value":0.1}}}`,
		"no known kind":            `{"root_group":{},"metrics":{"a":{"speed":2}}}`,
		"a threshold without ok":   `{"state":{"testRunDurationMs":1},"options":{},"metrics":{"a":{"type":"counter","values":{"count":1,"rate":1},"thresholds":{"count<1":{}}}}}`,
		"more after it":            legacy + "{}",
	} {
		if s, err := Parse([]byte(raw)); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if _, err := Parse(bytes.Repeat([]byte(" "), maxSize+1)); err == nil || !strings.Contains(err.Error(), "MiB") {
		t.Errorf("too large: %v", err)
	}
}

// No beginning of a summary is one.
func TestCutSummaries(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"legacy-2.2.0", "handle-2.2.0", "machine-2.2.0", "legacy-1.5.0", "handle-1.5.0", "machine-1.5.0"} {
		raw := bytes.TrimSpace(recorded(t, name))
		for n := 0; n < len(raw); n += 7 {
			if _, err := Parse(raw[:n]); err == nil {
				t.Errorf("%s: its first %d bytes are a summary", name, n)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"legacy-2.2.0", "handle-2.2.0", "machine-1.5.0"} {
		f.Add(recorded(f, name))
	}
	f.Add([]byte(`{"root_group":{},"metrics":{"a":{"avg":0,"count":0}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := Parse(raw)
		if err != nil {
			return
		}
		for name, m := range s.Metrics {
			if err := m.check(); err != nil || m.Kind == "" {
				t.Errorf("%s: %+v, %v", name, m, err)
			}
		}
	})
}
