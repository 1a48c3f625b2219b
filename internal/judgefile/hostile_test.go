package judgefile

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
	"github.com/candlefish/deploy-action/internal/source/datadog"
	"github.com/candlefish/deploy-action/internal/source/httpjson"
	"github.com/candlefish/deploy-action/internal/source/prometheus"
)

// A lie is how a server's answer differs from an honest one. What is not set is as it
// should be.
type lie struct {
	name   string
	from   int // the reading from which on it lies
	status int // of the answer
	body   func(honest string) string
	number string                    // instead of each number of requests
	failed string                    // instead of each number of failed requests
	at     func(time.Time) time.Time // instead of each time
}

func text(s string) func(string) string { return func(string) string { return s } }

// lies are told from the first reading on, and once there are enough samples.
func lies() []lie {
	frozen := epoch.Add(time.Second)
	all := []lie{
		{name: "nothing", body: text("")},
		{name: "cut off", body: func(s string) string { return s[:len(s)/2] }},
		{name: "twice", body: func(s string) string { return s + s }},
		{name: "no JSON", body: text("<html>all is well</html>")},
		{name: "null", body: text("null")},
		{name: "a list", body: text("[1,2,3]")},
		{name: "an error with 200", body: text(`{"status":"error","errorType":"internal","error":"no store"}`)},
		{name: "only ok", body: text(`{"status":"ok"}`)},
		{name: "no data", body: text(`{"status":"success","data":{"resultType":"matrix","result":[]},"series":[]}`)},
		{name: "forbidden", status: 403}, {name: "down", status: 503}, {name: "limited", status: 429}, {name: "empty", status: 204, body: text("")},
		{name: "moved", status: 301}, {name: "elsewhere", status: 302}, {name: "elsewhere for now", status: 307}, {name: "unchanged", status: 304, body: text("")},
		{name: "time stands", at: func(time.Time) time.Time { return frozen }},
		{name: "time goes back", at: func(t time.Time) time.Time { return epoch.Add(-t.Sub(epoch)) }},
		{name: "long ago", at: func(t time.Time) time.Time { return t.AddDate(-50, 0, 0) }},
		{name: "far ahead", at: func(t time.Time) time.Time { return t.AddDate(500, 0, 0) }},
	}
	for _, n := range []string{`"NaN"`, `"-1"`, `"+Inf"`, `"-Inf"`, `"1e308"`, "1e999", `"many"`, "null", "true", "{}", "[]"} {
		all = append(all, lie{name: n + " requests", number: n})
		if n != "null" && n != "[]" { // to some, no number of failures means none
			all = append(all, lie{name: n + " failed", failed: n})
		}
	}
	for i, n := 0, len(all); i < n; i++ {
		late := all[i]
		late.name, late.from = late.name+", late", 10
		all = append(all, late)
	}
	return all
}

var epoch = time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)

// A stand is a server that measures 500 requests a second of each version, and how it
// is asked.
type stand struct {
	lie     lie
	now     time.Time
	reading int
	answer  func(s *stand, r *http.Request) string
}

func (s *stand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/elsewhere" {
		_, _ = io.WriteString(w, s.answer(&stand{now: s.now}, r))
		return
	}
	told := s.lie
	if s.reading < told.from {
		told = lie{}
	}
	honest := s.answer(&stand{lie: told, now: s.now}, r)
	if told.body != nil {
		honest = told.body(honest)
	}
	if told.status != 0 {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(told.status)
	}
	_, _ = io.WriteString(w, honest)
}

func (s *stand) numbers(n int, quote string) (total, failed string) {
	total, failed = fmt.Sprint(quote, n, quote), quote+"0"+quote
	if s.lie.number != "" {
		total = s.lie.number
	}
	if s.lie.failed != "" {
		failed = s.lie.failed
	}
	return total, failed
}

func (s *stand) time(t time.Time) float64 {
	if s.lie.at != nil {
		t = s.lie.at(t)
	}
	return float64(t.UnixMilli()) / 1000
}

func (s *stand) seconds() int { return int(s.now.Sub(epoch).Seconds()) }

func (s *stand) json(*http.Request) string {
	total, failed := s.numbers(500*(100+s.seconds()), "")
	return fmt.Sprintf(`{"total":%s,"failed":%s,"at":%f}`, total, failed, s.time(s.now))
}

func (s *stand) prometheus(r *http.Request) string {
	total, failed := s.numbers(500*(100+s.seconds()), `"`)
	if strings.HasPrefix(r.FormValue("query"), "f") {
		total = failed
	}
	return fmt.Sprintf(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[%f,%s]]}]}}`, s.time(s.now), total)
}

func (s *stand) datadog(r *http.Request) string {
	number, failed := s.numbers(10_000, "")
	if strings.HasPrefix(r.FormValue("query"), "f") {
		number = failed
	}
	var points []string
	for at := epoch.Add(-15 * time.Minute); at.Before(s.now); at = at.Add(20 * time.Second) {
		points = append(points, fmt.Sprintf("[%f,%s]", 1000*s.time(at), number))
	}
	return `{"status":"ok","series":[{"interval":20,"pointlist":[` + strings.Join(points, ",") + `]}]}`
}

// opened is a source that a test has opened.
type opened struct {
	recordedSource
	source.Reader
}

func (o opened) Open(context.Context, config.Metric, source.Env) (source.Reader, error) {
	return o.Reader, nil
}

type recordedSource struct{}

func (recordedSource) Key() string                             { return "opened" }
func (recordedSource) StaleAfter() time.Duration               { return 0 }
func (recordedSource) Validate(config.Metric, config.Problems) {}

// stands are the sources that ask a server, and how each is opened.
var stands = map[string]struct {
	answer func(*stand, *http.Request) string
	open   func(url string, now func() time.Time, names source.Names) (source.Reader, error)
}{
	"http": {(*stand).json, func(url string, now func() time.Time, names source.Names) (source.Reader, error) {
		return httpjson.New(httpjson.Endpoint{URL: url + "/${version}", Paths: httpjson.Paths{Total: "$.total", Failed: "$.failed", Time: "$.at"}, Cumulative: true, Names: names, Now: now})
	}},
	"prometheus": {(*stand).prometheus, func(url string, now func() time.Time, names source.Names) (source.Reader, error) {
		return prometheus.Server{URL: url, Now: now}.Ask(source.Queries{Total: `t{v="${version}"}`, Failed: `f{v="${version}"}`}, names)
	}},
	"datadog": {(*stand).datadog, func(url string, now func() time.Time, names source.Names) (source.Reader, error) {
		return datadog.New(datadog.Query{BaseURL: url, APIKey: "api-key", AppKey: "app-key", Total: "t{v:${version}}.as_count()", Failed: "f{v:${version}}.as_count()", Names: names, Now: now, Settle: time.Second})
	}},
}

// judged reads a source every two seconds through a dwell of two minutes, and returns
// the verdict at its end for each policy.
func judged(t *testing.T, kind string, l lie) map[rollout.Policy]analysis.Result {
	t.Helper()
	of := stands[kind]
	s := &stand{lie: l, now: epoch, answer: of.answer}
	server := httptest.NewServer(s)
	defer server.Close()
	r, err := of.open(server.URL, func() time.Time { return s.now }, source.Names{Namespace: "shop", Service: "web"})
	if err != nil {
		t.Fatal(err)
	}
	m := config.Metric{Name: "users", Source: opened{Reader: r}, Errors: &config.ErrorLimits{}}
	if r, err = source.Open(t.Context(), m, source.Env{}); err != nil {
		t.Fatal(err)
	}
	judges := map[rollout.Policy]*analysis.Judge{}
	for _, p := range []rollout.Policy{rollout.PolicyFail, rollout.PolicyHold, rollout.PolicyExtend, rollout.PolicyIgnore} {
		m.OnNoData, m.OnNaN, m.OnFewSamples = p, p, p
		c := config.Config{Version: 1, Metrics: []config.Metric{m}}.WithDefaults(config.Metric{})
		c.Metrics = c.Metrics[1:] // without the probe stream
		judges[p] = analysis.NewJudge(c, 1)
	}
	const dwell = 2 * time.Minute
	begun := epoch.Add(3 * time.Second)
	for ; s.now.Before(begun.Add(dwell)); s.now, s.reading = s.now.Add(2*time.Second), s.reading+1 {
		points, err := r.Read(t.Context())
		for _, j := range judges {
			j.Add(m.Name, points...)
			if err != nil {
				j.Problem(m.Name, err.Error(), s.now)
			}
			if s.reading == 1 {
				j.Begin(analysis.Begin{Weight: 50, At: begun})
				j.Confirmed(begun)
			}
		}
	}
	verdicts := map[rollout.Policy]analysis.Result{}
	for p, j := range judges {
		verdicts[p] = j.Look(analysis.Moment{Now: s.now, Elapsed: dwell, Dwell: dwell})
	}
	return verdicts
}

// No answer of a hostile server is a success, under any policy. An honest one is.
func TestNoHostileAnswerIsASuccess(t *testing.T) {
	t.Parallel()
	for kind := range stands {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for policy, r := range judged(t, kind, lie{name: "honest"}) {
				if r.Verdict != rollout.VerdictSuccessful {
					t.Errorf("an honest server, %s: %s: %s", policy, r.Verdict, r.Reason)
				}
			}
			for _, l := range lies() {
				for policy, r := range judged(t, kind, l) {
					if r.Verdict == rollout.VerdictSuccessful || r.Verdict == rollout.VerdictPending || r.Reason == "" {
						t.Errorf("%s, %s: %s: %s", l.name, policy, r.Verdict, r.Reason)
					}
				}
			}
		})
	}
}
