package record

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/perftest"
	"github.com/candlefish/deploy-action/internal/report/plain/plaintest"
)

func marshal(t *testing.T, r verdict.Result) []byte {
	t.Helper()
	raw, err := Marshal(r)
	if err != nil || !json.Valid(raw) {
		t.Fatalf("%v\n%s", err, raw)
	}
	return raw
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	cases := perftest.Cases()
	cases["many"] = perftest.Flood(60)
	for name, r := range cases {
		raw := marshal(t, r)
		got, err := Parse(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
		if again := marshal(t, got); !bytes.Equal(again, raw) {
			t.Errorf("%s: written again it differs", name)
		}
	}
	for _, h := range plaintest.Hostiles {
		r := perftest.Hostile(h)
		r.Series = nil // keys are one key now
		if _, err := Parse(marshal(t, r)); err != nil && !strings.Contains(h, "utf-8") {
			t.Errorf("%s: %v", plaintest.Name(h), err)
		}
	}
}

// The pipeline's file of before, as its readers know it.
type seed struct {
	Timestamp   time.Time
	Environment string
	Results     map[string]map[string]any
	Thresholds  map[string]any
	Summary     map[string]any
}

func seedOf(t *testing.T, r verdict.Result) seed {
	t.Helper()
	var s seed
	if err := json.Unmarshal(marshal(t, r), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFieldsOfBefore(t *testing.T) {
	t.Parallel()
	want := seed{
		Timestamp: perftest.Now, Environment: "staging",
		Results:    map[string]map[string]any{"basic": {"p95": 212., "p99": 341., "error_rate": 3.3, "rps": 104.}},
		Thresholds: map[string]any{"p95_threshold": 2000., "p99_threshold": 5000., "error_rate_threshold": 1.},
		Summary:    map[string]any{"total_scenarios": 1., "failing_scenarios": 1.},
	}
	if diff := cmp.Diff(want, seedOf(t, perftest.Cases()["both"])); diff != "" {
		t.Error(diff)
	}
}

// T1 of the predecessor: a file without results was healthy.
func TestNothingMeasuredIsNull(t *testing.T) {
	t.Parallel()
	empty := seedOf(t, perftest.Cases()["empty"])
	if len(empty.Results) != 0 || empty.Summary["total_scenarios"] != 0. || !strings.Contains(string(marshal(t, perftest.Cases()["empty"])), `"status": "unknown"`) {
		t.Errorf("%+v", empty)
	}
	r := perftest.Pass()
	for i := range r.Series {
		r.Series[i].Head = nil
	}
	for i := range r.Budgets {
		r.Budgets[i].Missing = "no samples"
	}
	got := seedOf(t, r)
	if diff := cmp.Diff(map[string]map[string]any{"basic": {"p95": nil, "p99": nil, "error_rate": nil, "rps": nil}}, got.Results); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(string(marshal(t, r)), `"status": "unknown"`) {
		t.Error("a pass without values is healthy")
	}
}

func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	raw := string(marshal(t, perftest.Cases()["worse"]))
	change := func(from, to string) string {
		if !strings.Contains(raw, from) {
			t.Errorf("no %s", from)
		}
		return strings.Replace(raw, from, to, 1)
	}
	for name, test := range map[string]struct{ text, want string }{
		"empty":            {"", "empty"},
		"truncated":        {raw[:len(raw)/2], "EOF"},
		"another schema":   {change(`"schema_version": 1`, `"schema_version": 2`), "schema_version is 2"},
		"no schema":        {change(`"schema_version": 1`, `"schema": 1`), "schema_version is 0"},
		"another verdict":  {change(`"verdict": "refused"`, `"verdict": "green"`), `"green" is no verdict`},
		"verdict of both":  {change(`"verdict": "refused"`, `"verdict": "refused", "verdict": "pass"`), "verdict"},
		"a pass by hand":   {change(`"verdict": "refused"`, `"verdict": "pass"`), "environment and status"},
		"another type":     {change(`"target": "staging"`, `"target": 1`), "target"},
		"a round twice":    {change(`{"round": 1,`, `{"round": 0,`), "round 0 after round 0"},
		"infinite":         {change(`"value": 61240`, `"value": "inf"`), "no finite value"},
		"not a number":     {change(`"value": 61240`, `"value": "wide"`), "value"},
		"another metric":   {change(`"metric": "gzip"}, "metric": {`, `"metric": "brotli"}, "metric": {`), `has the metric "gzip"`},
		"another better":   {change(`"better": "lower"`, `"better": "left"`), "better is"},
		"something behind": {raw + "{}", "more than one JSON value"},
	} {
		if r, err := Parse([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) || r.Verdict != "" {
			t.Errorf("%s: %q, %v", name, r.Verdict, err)
		}
	}
	if _, err := Parse([]byte(change(`"target"`, `"later": {"a": [1]}, "target"`))); err != nil {
		t.Errorf("a new field: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	raw, err := Marshal(perftest.Pass())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"schema_version": 1, "verdict": "pass", "at": "2026-01-01T00:00:00Z", "status": "unknown", "environment": ""}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := Parse(raw)
		if err != nil {
			return
		}
		if _, err := Marshal(r); err != nil {
			t.Errorf("read, and can't be written: %v", err)
		}
	})
}
