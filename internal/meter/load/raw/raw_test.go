package raw

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/meter/load/summary"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// near says whether two numbers are equal up to the stated precision, and what more of
// it an interpolation between two of them can add.
func near(a, b float64) bool { return math.Abs(a-b) <= 2*Precision*math.Max(math.Abs(a), math.Abs(b)) }

// The samples of one run say what k6's own summary of the same run says.
func TestOneGenerator(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "b"} {
		want, err := summary.Parse(recorded(t, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		s := New("load")
		if err := s.Read(bytes.NewReader(recorded(t, name+".samples.json.gz"))); err != nil {
			t.Fatal(err)
		}
		got, err := s.Summary()
		if err != nil {
			t.Fatal(err)
		}
		for _, metric := range []string{"http_req_duration", "http_req_failed", "http_reqs", "iterations", "checks"} {
			metric += "{scenario:load}"
			for stat, v := range want.Metrics[metric].Stats {
				if stat != "rate" || got.Metrics[metric].Kind != summary.Counter { // k6 divides by its time with setup
					if !near(got.Metrics[metric].Stats[stat], v) {
						t.Errorf("%s: %s of %s is %v, k6 says %v", name, stat, metric, got.Metrics[metric].Stats[stat], v)
					}
				}
			}
		}
		if hosts := s.Hosts(); !slices.Equal(hosts, []string{"127.0.0.1:18911"}) {
			t.Errorf("hosts %q", hosts)
		}
	}
}

// lines are samples as k6 writes them.
func lines(values []float64) string {
	var b strings.Builder
	b.WriteString(`{"type":"Metric","metric":"http_req_duration","data":{"name":"http_req_duration","type":"trend"}}` + "\n")
	for i, v := range values {
		fmt.Fprintf(&b, `{"type":"Point","metric":"http_req_duration","data":{"time":"2026-12-01T05:00:%02dZ","value":%v,"tags":{"scenario":"load"}}}`+"\n", i%60, v)
	}
	return b.String()
}

func p95(t *testing.T, generators ...[]float64) float64 {
	t.Helper()
	s := New("load")
	for _, values := range generators {
		if err := s.Read(strings.NewReader(lines(values))); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Summary()
	if err != nil || s.Generators() != len(generators) {
		t.Fatalf("%d generators, %v", s.Generators(), err)
	}
	return got.Metrics["http_req_duration{scenario:load}"].Stats["p95"]
}

// of95 is the 95th percentile of the values themselves.
func of95(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	place := 0.95 * float64(len(sorted)-1)
	low := int(place)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(place-float64(low))
}

// One of two generators sees a slow site and has a tenth of the requests. The limit of
// 800 ms is broken for the users as a whole; the mean of the two percentiles keeps it.
func TestTheMeanOfPercentilesIsWrong(t *testing.T) {
	t.Parallel()
	fast, slow := make([]float64, 900), make([]float64, 100)
	for i := range fast {
		fast[i] = 10 + float64(i%7)
	}
	for i := range slow {
		slow[i] = 1000 + float64(i%9)
	}
	mean := (of95(fast) + of95(slow)) / 2
	truth := of95(slices.Concat(fast, slow))
	if got := p95(t, fast, slow); !near(got, truth) || got < 800 || mean > 800 {
		t.Errorf("the 95th percentile is %v, want %v; the mean of the two is %v", got, truth, mean)
	}
}

// However samples are spread over generators, the result is the same, and within the
// precision of the percentile of the samples themselves.
func TestPercentilesOfTheUnion(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 7))
		var all []float64
		generators := make([][]float64, 1+random.IntN(4))
		for i := range generators {
			for range 50 + random.IntN(400) {
				v := math.Exp(random.NormFloat64()*2) * 20
				generators[i], all = append(generators[i], v), append(all, v)
			}
		}
		if got, one, want := p95(t, generators...), p95(t, all), of95(all); got != one || !near(got, want) {
			t.Errorf("seed %d: %v, of one generator %v, of the samples %v", seed, got, one, want)
		}
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	for _, v := range []float64{0, 1e-9, 1e-6, 0.3, 1, 1.5, 2, 1023.9, 60000, 1e12, math.MaxFloat64} {
		if got := middle(bucket(v)); v >= smallest && math.Abs(got-v) > Precision*v {
			t.Errorf("%v became %v", v, got)
		}
	}
}

func TestWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	good := lines([]float64{1, 2, 3})
	for name, text := range map[string]string{
		"nothing":             "",
		"no request":          `{"type":"Metric","metric":"vus","data":{"type":"gauge"}}`,
		"cut":                 good[:len(good)-20],
		"foreign":             `{"requests": 3}`,
		"negative":            good + `{"type":"Point","metric":"http_req_duration","data":{"time":"2026-12-01T05:00:00Z","value":-1}}`,
		"too large":           lines([]float64{1e300}),
		"null":                good + `{"type":"Point","metric":"http_req_duration","data":{"time":"2026-12-01T05:00:00Z","value":null}}`,
		"without a time":      good + `{"type":"Point","metric":"http_req_duration","data":{"value":1}}`,
		"of an unknown one":   good + `{"type":"Point","metric":"x","data":{"time":"2026-12-01T05:00:00Z","value":1}}`,
		"of another type":     good + `{"type":"Metric","metric":"http_req_duration","data":{"type":"rate"}}`,
		"of no type":          good + `{"type":"Metric","metric":"y","data":{"type":"none"}}`,
		"a line without end":  good + strings.Repeat("x", maxLine+1),
		"gzip that ends":      string(recorded(t, "a.samples.json.gz")[:2000]),
		"of another scenario": strings.ReplaceAll(good, `"load"`, `"basic"`),
	} {
		if err := New("load").Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s: it is whole", name)
		}
	}
	if _, err := New("").Summary(); err == nil {
		t.Error("nothing was read, and there is a summary")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(lines([]float64{1, 0, 1e15})))
	f.Add(recorded(f, "b.samples.json.gz"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := New("load")
		if s.Read(bytes.NewReader(raw)) != nil {
			return
		}
		got, err := s.Summary()
		if err != nil {
			t.Fatal(err)
		}
		m := got.Metrics["http_req_duration{scenario:load}"].Stats
		if !(m["min"] <= m["med"] && m["med"] <= m["p95"] && m["p95"] <= m["max"]) {
			t.Errorf("%v", m)
		}
	})
}
