package prometheus

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
	"github.com/candlefish/deploy-action/internal/source/prometheus/client"
)

// A peer is a Prometheus that has been told what to answer: for each metric, a list
// of results of which each question takes the next, and repeats the last.
type peer struct {
	t       *testing.T
	results map[string][]string
	date    string // of all answers
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/api/v1/query" || r.Method != http.MethodPost {
		p.t.Errorf("%s %s was asked for", r.Method, r.URL.Path)
	}
	if r.FormValue("time") != "" {
		p.t.Error("the time of the evaluation was ours, want the server's")
	}
	if r.FormValue("partial_response") != "false" || r.FormValue("deny_partial_response") != "1" {
		p.t.Error("a partial answer would do, want all or nothing")
	}
	query := r.FormValue("query")
	for part, results := range p.results {
		if !strings.Contains(query, part) {
			continue
		}
		if len(results) > 1 {
			p.results[part] = results[1:]
		}
		w.Header().Set("Date", p.date)
		_, _ = io.WriteString(w, `{"status":"success","data":`+results[0]+`}`)
		return
	}
	p.t.Errorf("nothing is known of %s", query)
}

func matrix(series ...string) string {
	return `{"resultType":"matrix","result":[` + strings.Join(series, ",") + `]}`
}

func vector(series ...string) string {
	return `{"resultType":"vector","result":[` + strings.Join(series, ",") + `]}`
}

// stream is a series of a matrix; pairs are seconds and values.
func stream(labels string, pairs ...string) string {
	var values []string
	for i := 0; i < len(pairs); i += 2 {
		values = append(values, fmt.Sprintf(`[%s,"%s"]`, pairs[i], pairs[i+1]))
	}
	return fmt.Sprintf(`{"metric":{%s},"values":[%s]}`, labels, strings.Join(values, ","))
}

func serve(t *testing.T, results map[string][]string) Server {
	t.Helper()
	server := httptest.NewServer(&peer{t: t, results: results, date: at(1001).Format(http.TimeFormat)})
	t.Cleanup(server.Close)
	return Server{URL: server.URL}
}

func at(seconds float64) time.Time { return time.UnixMilli(int64(seconds * 1000)).UTC() }

func number(f float64) *analysis.Number {
	n := analysis.Number(f)
	return &n
}

// read reads n times and returns the points of each.
func read(t *testing.T, a *API, n int) [][]analysis.Point {
	t.Helper()
	var readings [][]analysis.Point
	for range n {
		points, err := a.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		readings = append(readings, points)
	}
	return readings
}

func want(t *testing.T, got, want [][]analysis.Point) {
	t.Helper()
	same := cmp.Comparer(func(a, b analysis.Number) bool { return a == b || math.IsNaN(float64(a)) && math.IsNaN(float64(b)) })
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadOfAPreset(t *testing.T) {
	t.Parallel()
	const stable, canary = `"service":"shop-web-80@kubernetesgateway"`, `"service":"shop-web-canary-80@kubernetesgateway"`
	a, err := serve(t, map[string][]string{
		"requests_total": {
			matrix(stream(stable+`,"code":"200"`, "990", "100", "1000", "110")),
			matrix(
				stream(stable+`,"code":"200"`, "1000", "110", "1005", "130", "1010", "150"),
				stream(stable+`,"code":"500"`, "1005", "2", "1010", "2"),
				stream(canary+`,"code":"200","pod":"a"`, "1005", "9"),
				stream(canary+`,"code":"200","pod":"b"`, "1005", "1"),
				stream(canary+`,"code":"502"`, "1005", "3"),
				stream(`"service":"shop-website-80@kubernetesgateway","code":"200"`, "1005", "77"),
			),
			matrix(),
		},
		"duration_seconds_bucket": {
			matrix(),
			matrix(
				stream(canary+`,"code":"200","le":"0.1"`, "1005", "8"),
				stream(canary+`,"code":"200","le":"+Inf"`, "1005", "10"),
				stream(canary+`,"code":"502","le":"0.1"`, "1005", "3"),
				stream(canary+`,"code":"502","le":"+Inf"`, "1005", "3"),
			),
			matrix(),
		},
	}).Ready(Ready{Preset: Traefik, Names: shop, Errors: true, Latency: true})
	if err != nil {
		t.Fatal(err)
	}
	want(t, read(t, a, 3), [][]analysis.Point{nil, {
		{At: at(1005), Side: rollout.SideCanary, Total: 13, Failed: 3, Latency: []analysis.Bucket{{Upto: 0.1, N: 8}, {Over: 0.1, Upto: analysis.Number(math.Inf(1)), N: 2}}},
		{At: at(1005), Side: rollout.SideStable, Total: 22, Failed: 2},
		{At: at(1010), Side: rollout.SideStable, Total: 20},
	}, nil})
	if a.Resets() != 0 {
		t.Errorf("%d resets, want 0", a.Resets())
	}
}

// The scrape of 1010 ended after the question for requests and before the one for
// failed ones.
func TestFailuresWaitForTheirRequests(t *testing.T) {
	t.Parallel()
	a, err := serve(t, map[string][]string{
		`r{v="stable"`: {matrix(stream("", "1000", "10")), matrix(stream("", "1005", "15")), matrix(stream("", "1010", "20")), matrix()},
		`f{v="stable"`: {matrix(stream("", "1000", "0")), matrix(stream("", "1005", "1", "1010", "4")), matrix(stream("", "1010", "4", "1013", "5")), matrix()},
		`r{v="canary"`: {matrix()},
		`f{v="canary"`: {matrix()},
	}).Ask(source.Queries{Total: `r{v="${version}"}`, Failed: `f{v="${version}"}`}, shop)
	if err != nil {
		t.Fatal(err)
	}
	want(t, read(t, a, 5), [][]analysis.Point{
		nil,
		{{At: at(1005), Side: rollout.SideStable, Total: 5, Failed: 1}},
		{{At: at(1010), Side: rollout.SideStable, Total: 5, Failed: 3}},
		{{At: at(1013), Side: rollout.SideStable, Failed: 1}}, // whose requests never came
		nil,
	})
}

func TestReadOfValues(t *testing.T) {
	t.Parallel()
	sample := func(labels, v string) string {
		return fmt.Sprintf(`{"metric":{%s},"value":[1000.5,"%s"]}`, labels, v)
	}
	tests := []struct {
		name    string
		queries source.Queries
		results map[string][]string
		want    []analysis.Point
	}{
		{
			"at once", source.Queries{Value: `cpu{v="${version}"}`},
			map[string][]string{"stable": {vector(sample("", "0.5"))}, "canary": {vector(sample("", "NaN"))}},
			[]analysis.Point{{At: at(1000.5), Side: rollout.SideCanary, Value: number(math.NaN())}, {At: at(1000.5), Side: rollout.SideStable, Value: number(0.5)}},
		},
		{
			"one version", source.Queries{Value: `cpu{v="${version}"}`},
			map[string][]string{"stable": {vector(sample("", "+Inf"))}, "canary": {vector()}},
			[]analysis.Point{{At: at(1000.5), Side: rollout.SideStable, Value: number(math.Inf(1))}},
		},
		{
			"a scalar", source.Queries{Value: `scalar(cpu{v="${version}"})`},
			map[string][]string{"stable": {`{"resultType":"scalar","result":[1000.5,"1"]}`}, "canary": {vector()}},
			[]analysis.Point{{At: at(1000.5), Side: rollout.SideStable, Value: number(1)}},
		},
		{
			"by label, pod by pod", source.Queries{Value: `cpu`, By: "v"},
			map[string][]string{"cpu": {vector(sample(`"v":"stable","pod":"a"`, "1"), sample(`"v":"stable","pod":"b"`, "2"), sample(`"v":"canary","x":"y"`, "3"), sample(`"v":"old"`, "4"))}},
			[]analysis.Point{
				{At: at(1000.5), Side: rollout.SideCanary, Value: number(3)},
				{At: at(1000.5), Side: rollout.SideStable, Value: number(1), Subject: "a"},
				{At: at(1000.5), Side: rollout.SideStable, Value: number(2), Subject: "b"},
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, err := serve(t, test.results).Ask(test.queries, shop)
			if err != nil {
				t.Fatal(err)
			}
			want(t, read(t, a, 1), [][]analysis.Point{test.want})
		})
	}
}

func TestReadCountsResets(t *testing.T) {
	t.Parallel()
	a, err := serve(t, map[string][]string{"http_requests_total": {
		matrix(stream(`"version":"canary","code":"200"`, "1000", "100")),
		matrix(stream(`"version":"canary","code":"200"`, "1000", "100", "1005", "7")),
	}}).Ready(Ready{Preset: App, Names: shop, Errors: true})
	if err != nil {
		t.Fatal(err)
	}
	want(t, read(t, a, 2), [][]analysis.Point{nil, {{At: at(1005), Side: rollout.SideCanary, Total: 7}}})
	if a.Resets() != 1 {
		t.Errorf("%d resets, want 1", a.Resets())
	}
}

// The scrape of 1000.9 was stored between the first two questions. It is history to
// neither.
func TestBaselineIsOneForAllQuestions(t *testing.T) {
	t.Parallel()
	a, err := serve(t, map[string][]string{
		`r{`: {matrix(stream(`"v":"canary"`, "999", "10")), matrix(stream(`"v":"canary"`, "999", "10", "1000.9", "15"))},
		`f{`: {matrix(stream(`"v":"canary"`, "999", "1", "1000.9", "3")), matrix(stream(`"v":"canary"`, "999", "1", "1000.9", "3"))},
	}).Ask(source.Queries{Total: `r{}`, Failed: `f{}`, By: "v"}, shop)
	if err != nil {
		t.Fatal(err)
	}
	want(t, read(t, a, 3), [][]analysis.Point{nil, {{At: at(1000.9), Side: rollout.SideCanary, Total: 5, Failed: 2}}, nil})
}

// What was answered before an error is not lost with it.
func TestReadAfterAnError(t *testing.T) {
	t.Parallel()
	a, err := serve(t, map[string][]string{
		"requests_total": {matrix(stream(`"version":"canary","code":"200"`, "1000", "5")), matrix(stream(`"version":"canary","code":"200"`, "1005", "9"))},
		"bucket":         {matrix(), vector(), matrix()},
	}).Ready(Ready{Preset: App, Names: shop, Errors: true, Latency: true})
	if err != nil {
		t.Fatal(err)
	}
	read(t, a, 1)
	if _, err := a.Read(t.Context()); err == nil {
		t.Fatal("a vector was taken for samples")
	}
	want(t, read(t, a, 1), [][]analysis.Point{{{At: at(1005), Side: rollout.SideCanary, Total: 4}}})
}

func TestReadRefusesWhatItCannotUnderstand(t *testing.T) {
	t.Parallel()
	success := func(data string) string { return `{"status":"success","data":` + data + `}` }
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"bad query", 400, `{"status":"error","errorType":"bad_data","error":"parse error: unexpected end"}`, "bad_data: parse error"},
		{"the token sent back", 400, `{"status":"error","errorType":"bad_data","error":"what is s3cr3t-token?"}`, "what is ***?"},
		{"execution", 422, `{"status":"error","errorType":"execution","error":"too many samples"}`, "execution: too many samples"},
		{"error with 200", 200, `{"status":"error","errorType":"internal","error":"no store"}`, "internal: no store"},
		{"forbidden", 403, `<html>token s3cr3t-token</html>`, "client error: 403"},
		{"down", 503, "", "server error: 503"},
		{"partial", 200, `{"status":"success","data":` + matrix() + `,"warnings":["store 10.0.0.1 is away"]}`, "the server warns: store 10.0.0.1 is away"},
		{"html", 200, "<html>", "is not that of a query"},
		{"cut off", 200, success(matrix(stream(`"code":"200"`, "1", "2")))[:60], "the answer is cut off"},
		{"nothing", 200, "", "the answer is cut off"},
		{"no data", 200, `{"status":"success"}`, ""},
		{"null", 200, success("null"), ""},
		{"a vector", 200, success(vector()), "the answer is a vector"},
		{"a scalar", 200, success(`{"resultType":"scalar","result":[1,"2"]}`), "the answer is a scalar"},
		{"a string", 200, success(`{"resultType":"string","result":[1,"2"]}`), "the answer is a string"},
		{"no counter", 200, success(matrix(stream(`"version":"canary","code":"200"`, "1", "NaN"))), "is NaN, which no counter can be"},
		{"negative", 200, success(matrix(stream(`"version":"canary","code":"200"`, "1", "-1"))), "is -1, which"},
		{"no number", 200, success(matrix(stream(`"version":"canary","code":"200"`, "1", "x"))), "invalid syntax"},
		{"no status", 200, success(matrix(stream(`"version":"canary"`, "1", "1"))), "no HTTP status in the label code or status"},
		{"disorder", 200, success(matrix(stream(`"version":"canary","code":"200"`, "2", "1", "1", "1"))), "not in order of time"},
		{"native histogram", 200, success(matrix(`{"metric":{"version":"canary","code":"200"},"histograms":[[1,{"count":"1","sum":"1","buckets":[]}]]}`)), "native histogram"},
		{"huge", 200, success(matrix(stream(`"code":"200","x":"`+strings.Repeat("x", 4096)+`"`, "1", "1"))), "too large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer server.Close()
			a, err := Server{URL: server.URL, limit: 2048, Header: http.Header{"Authorization": {"Bearer s3cr3t-token"}}}.Ready(Ready{Preset: App, Names: shop, Errors: true})
			if err != nil {
				t.Fatal(err)
			}
			points, err := a.Read(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) || points != nil {
				t.Fatalf("Read = %v, error %v, want %q", points, err, test.want)
			}
			if !strings.Contains(err.Error(), "ask "+server.URL+" for requests (http_requests_total{") || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("error = %v, want one that says what was asked of whom, and no secret", err)
			}
		})
	}
}

func TestReadTakesAdviceForNoWarning(t *testing.T) {
	t.Parallel()
	body := `{"status":"success","data":` + vector(`{"metric":{"v":"canary"},"value":[1000,"2"]}`) + `,"warnings":["PromQL info: metric might not be a counter"],"infos":["x"]}`
	a, err := Server{URL: "http://prometheus", Client: &http.Client{Transport: answer(body)}}.Ask(source.Queries{Value: "rate(a[1m])", By: "v"}, shop)
	if err != nil {
		t.Fatal(err)
	}
	want(t, read(t, a, 1), [][]analysis.Point{{{At: at(1000), Side: rollout.SideCanary, Value: number(2)}}})
}

func TestWindowMustHoldAScrape(t *testing.T) {
	t.Parallel()
	for _, window := range []time.Duration{-time.Minute, time.Millisecond} {
		if _, err := (Server{URL: "http://prometheus", Window: window}).Ask(source.Queries{Value: "x", By: "v"}, shop); err == nil {
			t.Errorf("a window of %v is taken", window)
		}
	}
}

func TestReadOfBucketsWithoutTheLast(t *testing.T) {
	t.Parallel()
	for name, labels := range map[string]string{"no last bucket": `"le":"1"`, "no buckets": `"x":"y"`, "no bound": `"le":"x"`} {
		a, err := serve(t, map[string][]string{"bucket": {matrix(stream(`"version":"canary",`+labels, "1", "1"))}}).Ready(Ready{Preset: App, Names: shop, Latency: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "le") {
			t.Errorf("%s: error = %v, want one about le", name, err)
		}
	}
}

func TestReadKeepsSecrets(t *testing.T) {
	t.Parallel()
	const password = "s3cr3t-password"
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect took %s along", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	var authorization, tenant string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization, tenant = r.Header.Get("Authorization"), r.Header.Get("X-Scope-Orgid")
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	a, err := Server{
		URL:    strings.Replace(server.URL, "http://", "http://ann:"+password+"@", 1) + "/prometheus?key=" + password,
		Header: http.Header{"x-scope-orgid": {"tenant"}},
	}.Ready(Ready{Preset: App, Names: shop, Errors: true})
	if err != nil {
		t.Fatal(err)
	}
	_, redirected := a.Read(t.Context())
	if !errors.Is(redirected, client.ErrRedirect) {
		t.Errorf("error = %v, want ErrRedirect", redirected)
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:"+password)); authorization != want || tenant != "tenant" {
		t.Errorf("Authorization %q and X-Scope-OrgID %q, want %q and tenant", authorization, tenant, want)
	}
	server.Close()
	_, refused := a.Read(t.Context())
	_, invalid := Server{URL: "ftp://ann:" + password + "@host"}.Ready(Ready{Preset: App, Names: shop, Errors: true})
	_, malformed := Server{URL: "http://ann:" + password + "@ho st"}.Ready(Ready{Preset: App, Names: shop, Errors: true})
	for _, err := range []error{redirected, refused, invalid, malformed} {
		if err == nil || strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "ann") {
			t.Errorf("error = %v, want one without user and password", err)
		}
	}
}

func TestReadOfASlowServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that the caller is gone
		<-r.Context().Done()
	}))
	defer server.Close()
	a, err := Server{URL: server.URL}.Ready(Ready{Preset: App, Names: shop, Errors: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := a.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want that of the deadline", err)
	}
}

func TestSkew(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		now  time.Time
		want time.Duration
	}{
		"equal":  {at(1001.5), 0},
		"ahead":  {at(941), time.Minute + time.Second/2},
		"behind": {at(1031), -30*time.Second + time.Second/2},
	} {
		s := serve(t, map[string][]string{"http_requests_total": {matrix()}})
		s.Now = func() time.Time { return test.now }
		a, err := s.Ready(Ready{Preset: App, Names: shop, Errors: true})
		if err != nil {
			t.Fatal(err)
		}
		read(t, a, 1)
		if got := a.Skew(); got != test.want {
			t.Errorf("%s: Skew() = %v, want %v", name, got, test.want)
		}
	}
}

// Without a Date the youngest sample is the baseline, and without that either the
// next reading sets it.
func TestBaselineWithoutADate(t *testing.T) {
	t.Parallel()
	series := func(pod string, pairs ...string) string {
		return stream(`"version":"canary","code":"200","pod":"`+pod+`"`, pairs...)
	}
	server := httptest.NewServer(&peer{t: t, date: "soon", results: map[string][]string{"http_requests_total": {
		matrix(),
		matrix(series("a", "1000", "100")),
		matrix(series("a", "1000", "100"), series("b", "990", "40", "1001", "41"), series("c", "1002", "3")),
	}}})
	defer server.Close()
	a, err := Server{URL: server.URL}.Ready(Ready{Preset: App, Names: shop, Errors: true})
	if err != nil {
		t.Fatal(err)
	}
	want(t, read(t, a, 3), [][]analysis.Point{nil, nil, {
		{At: at(1001), Side: rollout.SideCanary, Total: 1},
		{At: at(1002), Side: rollout.SideCanary, Total: 3},
	}})
	if a.Skew() != 0 {
		t.Errorf("Skew() = %v without a Date, want 0", a.Skew())
	}
}

type answer string

// RoundTrip implements http.RoundTripper.
func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a)))}, nil
}

func FuzzRead(f *testing.F) {
	const head = `{"status":"success","data":`
	f.Add(head + matrix(stream(`"version":"canary","code":"200","le":"+Inf"`, "1", "2", "2", "1")) + "}")
	f.Add(head + vector(`{"metric":{"version":"canary"},"value":[1,"NaN"]}`) + "}")
	f.Add(head + `{"resultType":"scalar","result":[1,"2"]}}`)
	f.Add(`{"status":"error"}`)
	f.Fuzz(func(t *testing.T, body string) {
		s := Server{URL: "http://prometheus", Client: &http.Client{Transport: answer(body)}}
		for _, open := range []func() (*API, error){
			func() (*API, error) {
				return s.Ready(Ready{Preset: App, Names: shop, Errors: true, Latency: true})
			},
			func() (*API, error) { return s.Ask(source.Queries{Value: "x", By: "version"}, shop) },
		} {
			a, err := open()
			if err != nil {
				t.Fatal(err)
			}
			a.since = 1
			points, _ := a.Read(t.Context())
			for _, p := range points {
				if p.Total < 0 || p.Failed < 0 || p.Failed > p.Total || p.Side == "" {
					t.Errorf("Read = %+v", p)
				}
			}
		}
	})
}
