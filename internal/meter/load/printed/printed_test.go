package printed

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// stream is what a k6 prints that made two requests, cut to two metrics.
const stream = `{"type":"Metric","data":{"name":"http_reqs","type":"counter","contains":"default","thresholds":[],"submetrics":null},"metric":"http_reqs"}
{"type":"Metric","data":{"name":"http_req_duration","type":"trend","contains":"time","thresholds":[],"submetrics":null},"metric":"http_req_duration"}
{"metric":"http_reqs","type":"Point","data":{"time":"2026-12-01T09:00:01Z","value":1,"tags":{"scenario":"load"}}}
{"metric":"http_req_duration","type":"Point","data":{"time":"2026-12-01T09:00:01Z","value":3.5,"tags":{"scenario":"load"}}}
{"level":"warning","msg":"slow","time":"2026-12-01T09:00:01Z"}
{"metric":"http_reqs","type":"Point","data":{"time":"2026-12-01T09:00:02Z","value":1,"tags":{"scenario":"load"}}}
{"metric":"http_req_duration","type":"Point","data":{"time":"2026-12-01T09:00:02Z","value":4.5,"tags":{"scenario":"load"}}}
{
    "root_group": {"name": "", "path": "", "id": "d41d8cd98f00b204e9800998ecf8427e", "groups": {}, "checks": {}},
    "metrics": {
        "http_reqs": {"count": 2, "rate": 1},
        "http_req_duration": {"avg": 4, "min": 3.5, "med": 4, "max": 4.5, "p(90)": 4.4, "p(95)": 4.45, "p(99)": 4.49, "count": 2}
    }
}
`

func read(t *testing.T, text string) (Output, string, string) {
	t.Helper()
	var samples, log bytes.Buffer
	o, err := Read(strings.NewReader(text), 1<<20, &samples, &log)
	if err != nil {
		t.Fatal(err)
	}
	return o, samples.String(), log.String()
}

func TestRead(t *testing.T) {
	t.Parallel()
	o, samples, log := read(t, stream)
	if s, err := o.Whole(); err != nil || s.Metrics["http_reqs"].Stats["count"] != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	if strings.Count(samples, "\n") != 6 || strings.Count(log, "\n") != 1 || o.Samples("http_req_duration") != 2 || o.First.Second() != 1 {
		t.Errorf("samples:\n%s\nlog:\n%s\n%+v", samples, log, o)
	}
}

// A log that lacks any one of its lines gives no numbers.
func TestALostLineIsNoticed(t *testing.T) {
	t.Parallel()
	lines := strings.SplitAfter(stream, "\n")
	for i, line := range lines {
		if line == "" || strings.Contains(line, `"level"`) || strings.Contains(line, `root_group`) || strings.Contains(line, `"type":"trend"`) { // no samples
			continue
		}
		o, _, _ := read(t, strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), ""))
		if s, err := o.Whole(); err == nil && len(s.Metrics) == 2 {
			t.Errorf("without line %d, %s", i+1, line)
		}
	}
}

// A stream that ends anywhere before its end gives no numbers.
func TestACutStream(t *testing.T) {
	t.Parallel()
	for n := range len(stream) - 2 {
		o, _, _ := read(t, stream[:n])
		if _, err := o.Whole(); err == nil {
			t.Fatalf("cut after %d bytes: no error", n)
		}
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	if _, err := Read(strings.NewReader(stream), 100, io.Discard, io.Discard); err == nil {
		t.Error("no error")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(stream))
	f.Add([]byte("{\n}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := Read(bytes.NewReader(text), 1<<16, io.Discard, io.Discard)
		if err == nil {
			_, _ = o.Whole()
		}
		if o.Bytes < 0 || o.Samples("http_reqs") < 0 {
			t.Errorf("%+v", o)
		}
	})
}
