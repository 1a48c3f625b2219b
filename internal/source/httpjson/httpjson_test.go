package httpjson

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/theory/jsonpath"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

var shop = source.Names{Namespace: "shop", Service: "web"}

var now = time.Unix(1000, 0).UTC()

// A script is what an endpoint answers, by path; the last answer is repeated.
type script map[string][]string

func (s script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answers := s[r.URL.Path]
	if len(answers) > 1 {
		s[r.URL.Path] = answers[1:]
	}
	_, _ = io.WriteString(w, answers[0])
}

func reading(f float64) *analysis.Number {
	n := analysis.Number(f)
	return &n
}

func TestRead(t *testing.T) {
	t.Parallel()
	point := func(v rollout.Side, total, failed float64) analysis.Point {
		return analysis.Point{At: now, Side: v, Total: total, Failed: failed}
	}
	counts := Paths{Total: "$.total", Failed: "$.failed"}
	tests := []struct {
		name     string
		endpoint Endpoint
		script   script
		want     [][]analysis.Point
		resets   int
	}{
		{
			"cumulative, by URL", Endpoint{URL: "/${version}", Paths: counts, Cumulative: true},
			script{
				"/stable": {`{"total":100,"failed":1}`, `{"total":130,"failed":1}`, `{"total":130,"failed":1,"at":3}`},
				"/canary": {`{"total":"10","failed":"0"}`, `{"total":"25","failed":"2"}`, `{"total":"4","failed":"1"}`},
			},
			[][]analysis.Point{
				nil,
				{point(rollout.SideCanary, 15, 2), point(rollout.SideStable, 30, 0)},
				{point(rollout.SideCanary, 4, 1), point(rollout.SideStable, 0, 0)},
			}, 1,
		},
		{
			"not cumulative, by path", Endpoint{URL: "/", Paths: Paths{Total: `$[?@.name == "${service}"].total`, Failed: `$[?@.name == "${service}"].failed`}},
			script{"/": {
				`[{"name":"web","total":9,"failed":9},{"name":"web-canary","total":9,"failed":9}]`,
				`[{"name":"web","total":5,"failed":0},{"name":"web-canary","total":3,"failed":1}]`,
			}},
			[][]analysis.Point{nil, {point(rollout.SideCanary, 3, 1), point(rollout.SideStable, 5, 0)}}, 0,
		},
		{
			"values at once", Endpoint{URL: "/", Paths: Paths{Value: "$.${version}"}},
			script{"/": {`{"stable":0.5,"canary":null}`, `{"stable":"+Inf","canary":"NaN"}`}},
			[][]analysis.Point{
				{{At: now, Side: rollout.SideCanary, Value: reading(math.NaN())}, {At: now, Side: rollout.SideStable, Value: reading(0.5)}},
				{{At: now, Side: rollout.SideCanary, Value: reading(math.NaN())}, {At: now, Side: rollout.SideStable, Value: reading(math.Inf(1))}},
			}, 0,
		},
		{
			"counts and a value", Endpoint{URL: "/${version}", Paths: Paths{Total: "$.total", Failed: "$.failed", Value: "$.load"}, Cumulative: true},
			script{"/stable": {`{"total":1,"failed":0,"load":1}`, `{"total":2,"failed":0,"load":2}`}, "/canary": {`{"total":1,"failed":0,"load":3}`, `{"total":1,"failed":0,"load":4}`}},
			[][]analysis.Point{
				{{At: now, Side: rollout.SideCanary, Value: reading(3)}, {At: now, Side: rollout.SideStable, Value: reading(1)}},
				{{At: now, Side: rollout.SideCanary, Value: reading(4)}, {At: now, Side: rollout.SideStable, Total: 1, Value: reading(2)}},
			}, 0,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.script)
			defer server.Close()
			test.endpoint.URL, test.endpoint.Names, test.endpoint.Now = server.URL+test.endpoint.URL, shop, func() time.Time { return now }
			s, err := New(test.endpoint)
			if err != nil {
				t.Fatal(err)
			}
			var got [][]analysis.Point
			for range test.want {
				points, err := s.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, points)
			}
			same := cmp.Comparer(func(a, b analysis.Number) bool { return a == b || math.IsNaN(float64(a)) && math.IsNaN(float64(b)) })
			if diff := cmp.Diff(test.want, got, same); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if s.Resets() != test.resets {
				t.Errorf("%d resets, want %d", s.Resets(), test.resets)
			}
		})
	}
}

func TestReadRefusesWhatItCannotUnderstand(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"not found", 404, `{"total":1,"failed":0}`, "404 Not Found"},
		{"down", 503, "s3cr3t", "503 Service Unavailable"},
		{"a redirect", 302, "", "302 Found"},
		{"html", 200, "<html>", "no JSON"},
		{"nothing", 200, "", "no JSON"},
		{"cut off", 200, `{"total":1,"fai`, "no JSON"},
		{"two values", 200, `{"total":1,"failed":0}{}`, "more than one JSON value"},
		{"garbage behind", 200, `{"total":1,"failed":0}x`, "more than one JSON value"},
		{"missing", 200, `{"failed":0}`, `path $["total"] selects 0 values, want 1`},
		{"an object", 200, `{"total":{},"failed":0}`, "an object, want a number"},
		{"a list", 200, `{"total":[1],"failed":0}`, "a list, want a number"},
		{"a boolean", 200, `{"total":true,"failed":0}`, "a boolean, want a number"},
		{"a text", 200, `{"total":"s3cr3t","failed":0}`, "a text that is no number"},
		{"null is no count", 200, `{"total":null,"failed":0}`, "NaN is no count"},
		{"infinite", 200, `{"total":"Inf","failed":0}`, "+Inf is no count"},
		{"negative", 200, `{"total":1,"failed":-1}`, "-1 is no count"},
		{"more failed than all", 200, `{"total":1,"failed":2}`, "2 failed requests of 1"},
		{"a key twice", 200, `{"total":1,"failed":1,"failed":0}`, "twice"},
		{"an error with 200", 200, `{"error":"no store","status":500}`, "selects 0 values"},
		{"beyond a float", 200, `{"total":1e999,"failed":0}`, "no JSON"},
		{"see other", 303, `{"total":1,"failed":0}`, "303 See Other"},
		{"the same as before", 304, "", "304 Not Modified"},
		{"huge", 200, `{"total":1,"failed":0,"x":"` + strings.Repeat("x", maxSize) + `"}`, "larger than 1 MiB"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("X-Token") + r.URL.Query().Get("key"); got != "s3cr3ts3cr3t" {
					t.Errorf("token and key = %q", got)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer server.Close()
			s, err := New(Endpoint{
				URL:    strings.Replace(server.URL, "://", "://ann:s3cr3t@", 1) + "/${version}?key=s3cr3t",
				Header: http.Header{"x-token": {"s3cr3t"}}, Paths: Paths{Total: "$.total", Failed: "$.failed"}, Names: shop,
			})
			if err != nil {
				t.Fatal(err)
			}
			points, err := s.Read(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) || points != nil {
				t.Fatalf("Read = %v, error %v, want %q", points, err, test.want)
			}
			if !strings.Contains(err.Error(), "ask "+server.URL+"/canary for canary: ") || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "ann:") {
				t.Errorf("error = %v, want one that says what was asked of whom, and no secret", err)
			}
		})
	}
}

// A clock that is set.
type clock struct{ now time.Time }

// A document that stays what it is says nothing new: its requests count once, and after
// a while it is an error.
func TestReadCountsAStuckDocumentOnce(t *testing.T) {
	t.Parallel()
	const one, two, idle = `{"total":10,"failed":0}`, `{"total":25,"failed":1}`, `{"total":0,"failed":0}`
	for _, c := range []struct {
		name       string
		cumulative bool
		paths      Paths
		answers    []string
		want       []string // of each reading: the canary's requests, "-" for no point, or a part of the error
	}{
		{"since the last reading", false, Paths{Total: "$.total", Failed: "$.failed"}, []string{one, one, one, two, two, one, one, one, one, one}, []string{"-", "-", "-", "25", "-", "10", "-", "-", "-", "the same for 24s"}},
		{"since some start", true, Paths{Total: "$.total", Failed: "$.failed"}, []string{one, two, two, two, two, two}, []string{"-", "15", "-", "-", "-", "the same for 24s"}},
		{"nobody asks", false, Paths{Total: "$.total", Failed: "$.failed"}, []string{idle, idle, idle, idle, idle, idle, idle}, []string{"-", "0", "0", "0", "0", "0", "0"}},
		{"a value alone", false, Paths{Value: "$.total"}, []string{two, two, two, two, two, two, two}, []string{"0", "0", "0", "0", "0", "0", "0"}},
		{"with its time", false, Paths{Total: "$.total", Failed: "$.failed", Time: "$.at"},
			[]string{`{"at":1000,"total":9,"failed":0}`, `{"at":1003,"total":9,"failed":0}`, `{"at":1003,"total":9,"failed":0,"x":1}`, `{"at":1009500,"total":9,"failed":0}`, `{"at":"1970-01-01T00:16:52Z","total":9,"failed":0}`, `{"at":1011,"total":9,"failed":0}`, `{"at":null,"total":9,"failed":0}`, `{"total":9,"failed":0}`, `{"at":"soon","total":9,"failed":0}`},
			[]string{"-", "9", "-", "9", "9", "its time goes back", "no time", "selects 0 values", "no time"}},
		{"a value with its time", false, Paths{Value: "$.total", Time: "$.at"}, []string{`{"at":1000,"total":9}`, `{"at":1000,"total":9}`, `{"at":1006,"total":9}`}, []string{"0", "-", "0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all := script{"/stable": c.answers, "/canary": slices.Clone(c.answers)}
			server := httptest.NewServer(all)
			defer server.Close()
			at := &clock{now}
			s, err := New(Endpoint{URL: server.URL + "/${version}", Paths: c.paths, Cumulative: c.cumulative, Names: shop, Now: func() time.Time { return at.now }})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range c.answers {
				points, err := s.Read(t.Context())
				switch {
				case err != nil && strings.Contains(err.Error(), c.want[i]):
					got = append(got, c.want[i])
				case err != nil:
					got = append(got, err.Error())
				case len(points) == 0:
					got = append(got, "-")
				default:
					got = append(got, fmt.Sprint(points[0].Total))
				}
				at.now = at.now.Add(6 * time.Second)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPointsHaveTheDocumentsTime(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(script{"/": {`{"at":990.5,"stable":1,"canary":2}`}})
	defer server.Close()
	s, err := New(Endpoint{URL: server.URL + "/", Paths: Paths{Value: "$.${version}", Time: "$.at"}, Names: shop, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	points, err := s.Read(t.Context())
	if want := time.UnixMilli(990_500).UTC(); err != nil || len(points) != 2 || !points[0].At.Equal(want) {
		t.Errorf("%+v, %v; want points of %v", points, err, want)
	}
}

func TestReadRefusesSeveralMatches(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(script{"/stable": {`[1,2]`}, "/canary": {`[1,2]`}})
	defer server.Close()
	s, err := New(Endpoint{URL: server.URL + "/${version}", Paths: Paths{Value: "$[*]"}, Names: shop})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "selects 2 values, want 1") {
		t.Errorf("error = %v, want one of two values", err)
	}
}

func TestReadOfASlowServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	s, err := New(Endpoint{URL: server.URL + "/${version}?key=s3cr3t", Paths: Paths{Value: "$"}, Names: shop})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Read(ctx); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("error = %v, want that of the deadline and no secret", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	const url = "http://host/${version}"
	tests := []struct {
		name     string
		endpoint Endpoint
		want     string
		mixed    bool
	}{
		{"no path", Endpoint{URL: url}, "there is no path", false},
		{"total alone", Endpoint{URL: url, Paths: Paths{Total: "$.a"}}, "come together", false},
		{"failed alone", Endpoint{URL: url, Paths: Paths{Failed: "$.a"}}, "come together", false},
		{"mixed", Endpoint{URL: "http://host/?key=s3cr3t", Paths: Paths{Value: "$.a"}}, "http endpoint http://host/: cannot tell the versions apart", true},
		{"one of two mixed", Endpoint{URL: "http://host/", Paths: Paths{Total: "$.${version}", Failed: "$.b"}}, "cannot tell the versions apart", true},
		{"no JSONPath", Endpoint{URL: url, Paths: Paths{Value: ".a"}}, `path ".a"`, false},
		{"unknown name", Endpoint{URL: url, Paths: Paths{Value: "$.${pod}"}}, "${pod} is not known", false},
		{"unknown name in the URL", Endpoint{URL: "http://host/${pod}?key=s3cr3t", Paths: Paths{Value: "$.a"}}, "the URL has a ${name}", false},
		{"scheme", Endpoint{URL: "file:///${version}?s3cr3t", Paths: Paths{Value: "$.a"}}, "none of http or https", false},
		{"malformed", Endpoint{URL: "http://ann:s3cr3t@ho st/${version}", Paths: Paths{Value: "$.a"}}, "none of http or https", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.endpoint.Names = shop
			_, err := New(test.endpoint)
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, source.ErrMixed) != test.mixed || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("error = %v, want %q, ErrMixed %v", err, test.want, test.mixed)
			}
		})
	}
}

func FuzzNumber(f *testing.F) {
	f.Add(`{"a":[1,"2",null]}`, "$.a[0]")
	f.Add(`{"a":"NaN"}`, "$..a")
	f.Add(`[{"n":"x","v":1}]`, `$[?@.n == "x"].v`)
	f.Add(`[1] [2]`, "$[?length(@) > 1]")
	f.Fuzz(func(t *testing.T, body, text string) {
		path, err := jsonpath.Parse(text)
		if err != nil {
			return
		}
		document, err := decode([]byte(body))
		if err != nil {
			return
		}
		if n, err := count(document.value, path); err == nil && (math.IsNaN(n) || n < 0) {
			t.Errorf("count = %v", n)
		}
	})
}
