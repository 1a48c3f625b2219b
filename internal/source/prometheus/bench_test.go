package prometheus

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/source/prometheus/client"
)

// big is the answer of so many bytes to a query of counters, without being in memory as
// a whole.
type big struct{ size int }

// RoundTrip implements http.RoundTripper.
func (b big) RoundTrip(*http.Request) (*http.Response, error) {
	var one strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&one, `,[%d.5,"%d"]`, 1_700_000_000+i, i)
	}
	series := one.String()[1:]
	parts := []io.Reader{strings.NewReader(`{"status":"success","data":{"resultType":"matrix","result":[`)}
	for n := 0; n*len(series) < b.size; n++ {
		head := fmt.Sprintf(`{"metric":{"__name__":"http_requests_total","version":"canary","code":"200","pod":"web-%d"},"values":[`, n)
		if n > 0 {
			head = "," + head
		}
		parts = append(parts, strings.NewReader(head), strings.NewReader(series), strings.NewReader("]}"))
	}
	parts = append(parts, strings.NewReader("]}}"))
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(io.MultiReader(parts...))}, nil
}

// latencies is the answer of some pods with 20 buckets each and a scrape every second
// for the usual window, which is much.
func latencies(pods int) string {
	var text strings.Builder
	for pod := range pods {
		for le := range 20 {
			bound := fmt.Sprint(float64(le) / 10)
			if le == 19 {
				bound = "+Inf"
			}
			fmt.Fprintf(&text, `,{"metric":{"__name__":"http_request_duration_seconds_bucket","version":"canary","le":%q,"pod":"web-%d"},"values":[[1700000000.5,"0"]`, bound, pod)
			for i := range 90 {
				fmt.Fprintf(&text, `,[%d.5,"%d"]`, 1_700_000_001+i, i*(le+1))
			}
			text.WriteString("]}")
		}
	}
	return `{"status":"success","data":{"resultType":"matrix","result":[` + text.String()[1:] + "]}}"
}

func BenchmarkReadHistograms(b *testing.B) {
	body := latencies(150)
	a, err := Server{URL: "http://prometheus", Client: &http.Client{Transport: answer(body)}}.Ready(Ready{Preset: App, Names: shop, Latency: true})
	if err != nil {
		b.Fatal(err)
	}
	a.since = 1
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Read(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, mib := range []int{1, 7, 60} {
		b.Run(fmt.Sprintf("%dMiB", mib), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a, err := Server{URL: "http://prometheus", Client: &http.Client{Transport: big{mib << 20}}}.Ready(Ready{Preset: App, Names: shop, Errors: true})
				if err != nil {
					b.Fatal(err)
				}
				_, err = a.Read(b.Context())
				if (err != nil) != (mib<<20 > client.MaxSize) {
					b.Fatal(err)
				}
			}
		})
	}
}
