package datadog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

const (
	apiKey = "0123456789abcdef-api"
	appKey = "0123456789abcdef-app"
)

var shop = source.Names{Namespace: "shop", Service: "web"}

// A peer answers as Datadog does: to each query with the series that it knows, as
// far as they are of the time that was asked for.
type peer struct {
	t      *testing.T
	series map[string][]series
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.URL.Path != "/api/v1/query" || r.Header.Get("DD-API-KEY") != apiKey || r.Header.Get("DD-APPLICATION-KEY") != appKey {
		p.t.Errorf("%s %s, want GET of /api/v1/query with both keys", r.Method, r.URL.Path)
	}
	from, _ := strconv.ParseFloat(r.FormValue("from"), 64)
	to, _ := strconv.ParseFloat(r.FormValue("to"), 64)
	if to-from < span.Seconds() {
		p.t.Errorf("asked for %v s, want at least %v", to-from, span)
	}
	answer := []map[string]any{}
	for _, s := range p.series[r.FormValue("query")] {
		var points [][]*float64
		for _, point := range s.Points {
			if *point[0] >= from*1000 && *point[0] <= to*1000 {
				points = append(points, point)
			}
		}
		answer = append(answer, map[string]any{"metric": "m", "expression": "e", "scope": "s", "unit": nil, "interval": s.Interval, "tag_set": s.TagSet, "pointlist": points, "length": len(points)})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "ok", "res_type": "time_series", "resp_version": 1, "query": r.FormValue("query"), "series": answer, "message": "", "group_by": []string{"version"}})
}

// line is a series of buckets of 20 s from 1000 s on.
func line(tag string, values ...float64) series {
	s := series{Interval: 20}
	if tag != "" {
		s.TagSet = []string{tag}
	}
	for i, v := range values {
		ms := float64(1000+20*i) * 1000
		if math.IsNaN(v) {
			s.Points = append(s.Points, []*float64{&ms, nil})
			continue
		}
		s.Points = append(s.Points, []*float64{&ms, &v})
	}
	return s
}

func at(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

func reading(f float64) *analysis.Number {
	n := analysis.Number(f)
	return &n
}

// readAt reads at the times given, in seconds.
func readAt(t *testing.T, q Query, times ...int64) [][]analysis.Point {
	t.Helper()
	var now time.Time
	q.Now = func() time.Time { return now }
	q.APIKey, q.AppKey, q.Names = apiKey, appKey, shop
	s, err := New(q)
	if err != nil {
		t.Fatal(err)
	}
	var readings [][]analysis.Point
	for _, seconds := range times {
		now = at(seconds)
		points, err := s.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		readings = append(readings, points)
	}
	return readings
}

func TestRead(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	tests := []struct {
		name   string
		query  Query
		series map[string][]series
		times  []int64
		want   [][]analysis.Point
	}{
		{
			"counts of complete buckets, once", Query{Total: "t{${version}}.as_count()", Failed: "f{${version}}.as_count()"},
			map[string][]series{
				"t{stable}.as_count()": {line("", 100, 110, 120, 130, 140)},
				"f{stable}.as_count()": {line("", nan, nan, 1, nan, nan)},
				"t{canary}.as_count()": {line("", nan, nan, 10, 11, 12)},
				"f{canary}.as_count()": {},
			},
			[]int64{1080, 1119, 1120, 1140},
			[][]analysis.Point{ // of 1020, 1059, 1060 and 1080
				nil,
				{{At: at(1040), Side: rollout.SideStable, Total: 110}},
				{{At: at(1060), Side: rollout.SideCanary, Total: 10}, {At: at(1060), Side: rollout.SideStable, Total: 120, Failed: 1}},
				{{At: at(1080), Side: rollout.SideCanary, Total: 11}, {At: at(1080), Side: rollout.SideStable, Total: 130}},
			},
		},
		{
			"no part of a bucket before the baseline", Query{Total: "t{${version}}.as_count()", Failed: "f{${version}}.as_count()"},
			map[string][]series{"t{stable}.as_count()": {line("", 100, 110, 120)}},
			[]int64{1081, 1140},
			[][]analysis.Point{nil, {{At: at(1060), Side: rollout.SideStable, Total: 120}}},
		},
		{
			"by tag, several of a version", Query{Total: "t{*} by {version,pod}.rollup(sum, 20)", Failed: "f{*} by {version}.as_count()", By: "Version"},
			map[string][]series{
				"t{*} by {version,pod}.rollup(sum, 20)": {line("version:canary", 1, 2), line("version:canary", 1, 3), line("version:stable", 1, 4), line("version:old", 1, 5)},
				"f{*} by {version}.as_count()":          {line("version:canary", 1, 1)},
			},
			[]int64{1080, 1100},
			[][]analysis.Point{nil, {{At: at(1040), Side: rollout.SideCanary, Total: 5, Failed: 1}, {At: at(1040), Side: rollout.SideStable, Total: 4}}},
		},
		{
			"values at once, and NaN", Query{Value: "avg:cpu{version:${version}}"},
			map[string][]series{
				"avg:cpu{version:stable}": {line("", 0.1, 0.2, 0.3)},
				"avg:cpu{version:canary}": {line("pod:a", 0.4, 0.5, nan), line("pod:b", 0.6)},
			},
			[]int64{1100, 1120},
			[][]analysis.Point{
				{
					{At: at(1020), Side: rollout.SideCanary, Subject: "pod:b", Value: reading(0.6)},
					{At: at(1040), Side: rollout.SideCanary, Subject: "pod:a", Value: reading(0.5)},
					{At: at(1040), Side: rollout.SideStable, Value: reading(0.2)},
				},
				{
					{At: at(1060), Side: rollout.SideCanary, Subject: "pod:a", Value: reading(nan)},
					{At: at(1060), Side: rollout.SideStable, Value: reading(0.3)},
				},
			},
		},
		{
			"values by tag", Query{Value: "avg:cpu{*} by {version,pod}", By: "version"},
			map[string][]series{"avg:cpu{*} by {version,pod}": {{Interval: 20, TagSet: []string{"pod:a", "version:canary"}, Points: line("", 0.5).Points}, line("version:stable", 0.1)}},
			[]int64{1080},
			[][]analysis.Point{{{At: at(1020), Side: rollout.SideCanary, Subject: "pod:a", Value: reading(0.5)}, {At: at(1020), Side: rollout.SideStable, Value: reading(0.1)}}},
		},
		{
			"a pause longer than the span", Query{Total: "t{${version}}.as_count()", Failed: "f{${version}}.as_count()"},
			map[string][]series{"t{stable}.as_count()": {line("", 100, 110)}},
			[]int64{1080, 5000},
			[][]analysis.Point{nil, {{At: at(1040), Side: rollout.SideStable, Total: 110}}},
		},
		{"nothing", Query{Value: "avg:cpu{version:${version}}"}, nil, []int64{1100, 1120}, [][]analysis.Point{nil, nil}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(&peer{t, test.series})
			defer server.Close()
			test.query.BaseURL = server.URL
			same := cmp.Comparer(func(a, b analysis.Number) bool { return a == b || math.IsNaN(float64(a)) && math.IsNaN(float64(b)) })
			if diff := cmp.Diff(test.want, readAt(t, test.query, test.times...), same); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func open(t *testing.T, h http.HandlerFunc) *Source {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s, err := New(Query{BaseURL: server.URL, APIKey: apiKey, AppKey: appKey, Names: shop, Total: "t{${version}}.as_count()", Failed: "f{${version}}.as_count()"})
	if err != nil {
		t.Fatal(err)
	}
	s.begun, s.upto = at(900), at(900)
	return s
}

func TestReadRefusesWhatItCannotUnderstand(t *testing.T) {
	t.Parallel()
	const ok = `{"status":"ok","series":[%s]}`
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"bad query", 400, `{"errors":["Error parsing query: t{"]}`, "400 Bad Request: Error parsing query"},
		{"the key sent back", 400, `{"errors":["what is ` + apiKey + `?"]}`, "400 Bad Request: what is ***?"},
		{"down", 503, "<html>", "503 Service Unavailable: no reason is given"},
		{"a redirect", 302, "", "302 Found"},
		{"error with 200", 200, `{"status":"error","error":"timeout","series":[]}`, `status "error": timeout`},
		{"error with ok", 200, `{"status":"ok","error":"partial","series":[]}`, "partial"},
		{"no status", 200, `{"series":[]}`, `status ""`},
		{"no series", 200, `{"status":"ok"}`, "no list of series"},
		{"html", 200, "<html>", "no JSON"},
		{"cut off", 200, `{"status":"ok","ser`, "no JSON"},
		{"wrong type", 200, `{"status":"ok","series":{}}`, "no JSON"},
		{"a string for a number", 200, fmt.Sprintf(ok, `{"interval":20,"pointlist":[[1000000,"1"]]}`), "no JSON"},
		{"a number alone", 200, fmt.Sprintf(ok, `{"interval":20,"pointlist":[[1000000]]}`), "not a time and a value"},
		{"no time", 200, fmt.Sprintf(ok, `{"interval":20,"pointlist":[[null,1]]}`), "not a time and a value"},
		{"no interval", 200, fmt.Sprintf(ok, `{"pointlist":[[1000000,1]]}`), "an interval of 0 s"},
		{"disorder", 200, fmt.Sprintf(ok, `{"interval":20,"pointlist":[[1000000,1],[1000000,1]]}`), "not in order"},
		{"negative", 200, fmt.Sprintf(ok, `{"interval":20,"pointlist":[[1000000,-1]]}`), "-1 requests are no count"},
		{"a key twice", 200, `{"status":"error","status":"ok","series":[]}`, "twice"},
		{"a key in two cases", 200, `{"status":"error","series":[],"Status":"ok"}`, "twice"},
		{"two answers", 200, `{"status":"ok","series":[]}{"status":"error"}`, "more than one JSON value"},
		{"beyond a float", 200, fmt.Sprintf(ok, `{"interval":20,"pointlist":[[1000000,1e999]]}`), "no JSON"},
		{"a time beyond any", 200, fmt.Sprintf(ok, `{"interval":20,"pointlist":[[1e300,1]]}`), "not a time and a value"},
		{"see other", 303, `{"status":"ok","series":[]}`, "303 See Other"},
		{"created", 201, `{"status":"ok","series":[]}`, "201 Created"},
		{"huge", 200, `{"status":"ok","message":"` + strings.Repeat("x", maxSize) + `"}`, "too large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			points, err := s.Read(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) || points != nil {
				t.Fatalf("Read = %v, error %v, want %q", points, err, test.want)
			}
			if !strings.Contains(err.Error(), "ask http://127.0.0.1") || !strings.Contains(err.Error(), "for requests (t{stable}.as_count())") || strings.Contains(err.Error(), apiKey) {
				t.Errorf("error = %v, want one that says what was asked of whom, and no key", err)
			}
		})
	}
}

func TestReadRefusesMoreFailuresThanRequests(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&peer{t, map[string][]series{"t{stable}.as_count()": {line("", 1, 1)}, "f{stable}.as_count()": {line("", 0, 2)}}})
	defer server.Close()
	now := at(1080)
	s, err := New(Query{BaseURL: server.URL, APIKey: apiKey, AppKey: appKey, Names: shop, Total: "t{${version}}.as_count()", Failed: "f{${version}}.as_count()", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = at(1100)
	for range 2 { // it does not count as seen
		if _, err := s.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "2 failed requests of 1 of stable") {
			t.Errorf("error = %v, want one of too many failures", err)
		}
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"17": 17 * time.Second, "": 0, "soon": 0, "-5": 0, "1e9": 0, "0": 0, "300": 5 * time.Minute,
		"301": 5 * time.Minute, "2147483648": 5 * time.Minute, "99999999999999999999": 5 * time.Minute, // a time, or no number of seconds at all
	} {
		s := open(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-RateLimit-Reset", header)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		_, err := s.Read(t.Context())
		limit, ok := errors.AsType[*RateLimitError](err)
		if !ok || limit.RetryAfter() != want || !strings.Contains(err.Error(), "rate limit") {
			t.Errorf("X-RateLimit-Reset %q: error = %v, want a RateLimitError of %v", header, err, want)
		}
	}
}

func TestForbiddenTellsWhichKey(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"application key": {200, `{"valid":true}`, "it is the application key"},
		"API key":         {403, `{"errors":["Forbidden"]}`, "the API key is not known at this site"},
		"either":          {500, ``, "the API key or the application key"},
	} {
		s := open(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/v1/validate" {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
				return
			}
			http.Error(w, `{"errors":["Forbidden"]}`, http.StatusForbidden)
		})
		_, err := s.Read(t.Context())
		if err == nil || !strings.Contains(err.Error(), "403 Forbidden: ") || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), apiKey) || strings.Contains(err.Error(), appKey) {
			t.Errorf("%s: error = %v, want %q", name, err, test.want)
		}
	}
}

func TestReadOfASlowServer(t *testing.T) {
	t.Parallel()
	s := open(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Read(ctx); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "api/v1") {
		t.Errorf("error = %v, want that of the deadline, without the address's query", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	counts := func(total, failed string) Query {
		return Query{APIKey: apiKey, AppKey: appKey, Names: shop, Total: total, Failed: failed}
	}
	gauge := func(change func(*Query)) Query {
		q := Query{APIKey: apiKey, AppKey: appKey, Names: shop, Value: "avg:cpu{${version}}"}
		change(&q)
		return q
	}
	tests := []struct {
		name  string
		query Query
		want  string
		mixed bool
	}{
		{"nothing", Query{}, "there is none", false},
		{"one alone", counts("t{${version}}.as_count()", ""), "come together", false},
		{"rates", counts("t{${version}}", "f{${version}}"), "add .as_count()", false},
		{"mixed", counts("t{${version}}.as_count()", "f{*}.as_count()"), "failed requests: cannot tell the versions apart", true},
		{"unknown name", counts("t{${pod}}.as_count()", "f{*}.as_count()"), "${pod} is not known", false},
		{"by and version", gauge(func(q *Query) { q.By = "version" }), "${version} is not known", false},
		{"by one value", gauge(func(q *Query) { q.By, q.Value, q.Names.Canary = "version", "a{*} by {version}", "STABLE" }), "cannot tell the versions apart", true},
		{"no API key", gauge(func(q *Query) { q.APIKey = "" }), "API key and an application key", false},
		{"no application key", gauge(func(q *Query) { q.AppKey = "" }), "API key and an application key", false},
		{"site", gauge(func(q *Query) { q.Site = "https://datadoghq.eu" }), "want one such as datadoghq.eu", false},
		{"base URL", gauge(func(q *Query) { q.BaseURL = "https://ann:" + appKey + "@host" }), "the base URL is none of", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := New(test.query)
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, source.ErrMixed) != test.mixed || strings.Contains(err.Error(), appKey) {
				t.Errorf("error = %v, want %q, ErrMixed %v", err, test.want, test.mixed)
			}
		})
	}
}

func TestSites(t *testing.T) {
	t.Parallel()
	for site, want := range map[string]string{"": "https://api.datadoghq.com", "us5.datadoghq.com": "https://api.us5.datadoghq.com"} {
		s, err := New(Query{Site: site, APIKey: apiKey, AppKey: appKey, Names: shop, Value: "a{${version}}"})
		if err != nil || s.client.where != want {
			t.Errorf("site %q: %v, %v, want %s", site, s, err, want)
		}
	}
}

type reply string

// RoundTrip implements http.RoundTripper.
func (r reply) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(r)))}, nil
}

func FuzzRead(f *testing.F) {
	f.Add(`{"status":"ok","series":[{"interval":20,"tag_set":["v:canary"],"pointlist":[[1000000,1],[1020000,null]]}]}`)
	f.Add(`{"status":"ok","series":[null,{"interval":1e300,"pointlist":[[1e300,1]]}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		s, err := New(Query{APIKey: apiKey, AppKey: appKey, Names: shop, Total: "t{*}.as_count()", Failed: "f{*}.as_count()", Value: "v{*}", By: "v", Client: &http.Client{Transport: reply(body)}})
		if err != nil {
			t.Fatal(err)
		}
		s.begun, s.upto = at(900), at(900)
		points, _ := s.Read(t.Context())
		for _, p := range points {
			if p.Total < 0 || p.Failed < 0 || p.Failed > p.Total {
				t.Errorf("Read = %+v", p)
			}
		}
	})
}
