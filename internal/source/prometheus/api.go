// Package prometheus reads what a Prometheus server can tell of either version, where
// it scrapes gateways or the application.
//
// Its API is asked for raw samples, not for rates: an instant query of a range, so that
// each sample comes with the time of its scrape, and what counters gained between two
// of them is worked out here. A rate over a window would smear a step's first failures
// over the time before it, guess at the window's edges, and never say how many requests
// it stands for, which is what a test needs to know. Nothing here judges: a version
// that is missing gives no points, and what cannot be understood is an error.
package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/redact"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// window is how far back a question looks: as long as the usual scrape interval of
// a minute, and half of it again.
const window = 90 * time.Second

// maxSize bounds an answer, in bytes. A thousand pods with ten series each, a scrape
// every 5 s, answer with 5 MB for the usual window.
const maxSize = 8 << 20

// A Server is a Prometheus, or what speaks its HTTP API, such as Thanos, Mimir or
// VictoriaMetrics.
type Server struct {
	// URL of the server, without /api/v1. It may hold a user and a password.
	URL string
	// Header of every request, such as Authorization or X-Scope-OrgID. It is
	// taken for secret.
	Header http.Header
	// Client to ask with; nil for one that waits 15 s for an answer.
	// Redirects are not followed, whatever it says about them.
	Client *http.Client
	// Window is how old a sample may be to be seen; 90 s if 0. It must be
	// longer than the scrape interval. A longer pause between two readings
	// loses nothing, since counters are cumulative.
	Window time.Duration
	// Now is our clock, against which the server's is held; nil for the
	// system's. Points carry the server's time only.
	Now func() time.Time

	limit int64 // of an answer, in bytes; maxSize if 0
}

// An API reads the points of both versions from a Server. It remembers what it has
// seen, and is for one goroutine.
type API struct {
	where     string // the server, without credentials
	endpoint  url.URL
	client    *http.Client
	wire      *wire
	window    time.Duration
	secrets   *redact.Redactor
	questions []*question
	since     model.Time // the baseline, by the server; 0 before it
	held      []increment
}

func (s Server) open(questions []*question) (*API, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("prometheus: the URL is none of http or https with a host") // which may hold a password
	}
	if s.Window != 0 && s.Window < time.Second {
		return nil, fmt.Errorf("prometheus: a window of %v: want 1 s or more, and more than the scrape interval", s.Window)
	}
	a := &API{
		where:     u.Scheme + "://" + u.Host + u.Path,
		wire:      &wire{header: s.Header, limit: cmp.Or(s.limit, maxSize), now: s.Now},
		window:    cmp.Or(s.Window, window),
		secrets:   secrets(u, s.Header),
		questions: questions,
	}
	if a.wire.now == nil {
		a.wire.now = time.Now
	}
	a.client = a.wire.client(s.Client)
	a.endpoint = whole(u)
	return a, nil
}

// whole is an address that asks for all or nothing where an answer may come of a
// part of the stores: Thanos by the one, VictoriaMetrics by the other, which would
// not even warn. Others ignore both.
func whole(u *url.URL) url.URL {
	query := u.Query()
	query.Set("partial_response", "false")
	query.Set("deny_partial_response", "1")
	asking := *u.JoinPath("api/v1/query")
	asking.RawQuery, asking.Fragment = query.Encode(), ""
	return asking
}

func secrets(u *url.URL, header http.Header) *redact.Redactor {
	r := redact.New()
	if password, ok := u.User.Password(); ok {
		r.Add(password)
	}
	for _, values := range u.Query() {
		for _, v := range values {
			r.Add(v)
		}
	}
	for _, values := range header {
		for _, v := range values {
			for _, part := range append(strings.Fields(v), v) { // the token without its scheme, too
				r.Add(part)
			}
		}
	}
	return r
}

// Read returns what the server has learnt since the call before, oldest first, in
// one point for each version and time of a scrape. Of counters the first call
// returns nothing: it sets the baseline. An answer that is empty, lacks a version
// or has no new sample gives fewer points or none, and judging that is the
// caller's. An error, a warning (an answer of a part of the stores, for one) and
// an answer that cannot be understood are errors; then nothing counts as seen, and
// the next call returns it.
func (a *API) Read(ctx context.Context) ([]analysis.Point, error) {
	answers := make([][]series, len(a.questions))
	var date time.Time
	for i, q := range a.questions {
		answer, err := a.ask(ctx, q)
		if err == nil {
			answers[i], err = q.sort(answer)
		}
		if err != nil {
			return nil, fmt.Errorf("ask %s for %s (%s): %w", a.where, q.field, q.text, err)
		}
		if i == 0 {
			date = a.wire.date
		}
	}
	begun := a.since != 0
	if !begun {
		a.since = baseline(date, answers)
	}
	var added []increment
	for i, q := range a.questions {
		if !begun {
			q.begin(answers[i], a.since)
		}
		if begun || q.field == value {
			added = append(added, q.read(answers[i], a.since)...)
		}
	}
	return points(a.release(added)), nil
}

// ask leaves the time of the evaluation to the server. Ours may be another.
func (a *API) ask(ctx context.Context, q *question) (model.Value, error) {
	text := q.text
	if q.field != value {
		text += "[" + model.Duration(a.window).String() + "]"
	}
	form := url.Values{"query": {text}, "lookback_delta": {a.window.String()}}
	answer, err := post(ctx, a.client, a.endpoint, form)
	if r, ok := errors.AsType[*refusal](err); ok {
		return nil, fmt.Errorf("%s: %s", a.secrets.Excerpt(r.kind), a.secrets.Excerpt(r.words))
	}
	if err != nil {
		return nil, err
	}
	for _, w := range answer.warnings {
		if !strings.HasPrefix(w, hint) {
			return nil, fmt.Errorf("the server warns: %s", a.secrets.Excerpt(w))
		}
	}
	return answer.value()
}

// hint begins what is no warning about the answer but advice on the query, such as
// that a counter's name should end in _total. Prometheus 2.48 to 2.53 sent it among
// the warnings.
const hint = "PromQL info: "

// settled is how long a scrape may take to be stored. Samples have the time at
// which their scrape began.
const settled = time.Second

// baseline is the server's time of the first reading, less what a scrape may take:
// a scrape that is stored between two questions must be history to both or to
// neither. If the server did not say, it is the time of its youngest sample. 0
// leaves the baseline to the next reading.
func baseline(date time.Time, answers [][]series) model.Time {
	if !date.IsZero() {
		return model.TimeFromUnixNano(date.Add(-settled).UnixNano())
	}
	var youngest model.Time
	for _, answer := range answers {
		for _, s := range answer {
			if n := len(s.samples); n > 0 {
				youngest = max(youngest, s.samples[n-1].Timestamp)
			}
		}
	}
	return youngest
}

// release holds back what a scrape says of failures and latencies until the
// requests of the same scrape are there, so that no point has more failures than
// requests: a scrape may end between two questions. Where requests and latencies
// are scraped at different times, one call later is soon enough.
func (a *API) release(added []increment) []increment {
	type scrape struct {
		version rollout.Side
		at      model.Time
	}
	requests := map[scrape]bool{}
	asked := slices.ContainsFunc(a.questions, func(q *question) bool { return q.field == total })
	for _, i := range added {
		if i.field == total {
			requests[scrape{i.version, i.at}] = true
		}
	}
	var out, held []increment
	for _, i := range slices.Concat(a.held, added) {
		if !asked || i.field == total || i.field == value || i.waited || requests[scrape{i.version, i.at}] {
			out = append(out, i)
			continue
		}
		i.waited = true
		held = append(held, i)
	}
	a.held = held
	return out
}

// points adds up the increments of one version and time: pods, codes, paths.
func points(added []increment) []analysis.Point {
	type key struct {
		at      model.Time
		version rollout.Side
		subject string
	}
	joined := map[key]*analysis.Point{}
	for _, i := range added {
		k := key{i.at, i.version, i.subject}
		p := joined[k]
		if p == nil {
			p = &analysis.Point{At: i.at.Time().UTC(), Side: i.version, Subject: i.subject}
			joined[k] = p
		}
		switch i.field {
		case total:
			p.Total += i.by
		case failed:
			p.Failed += i.by
		case latency:
			p.Latency = merge(p.Latency, i.buckets)
		case value:
			n := analysis.Number(i.by)
			p.Value = &n
		}
	}
	keys := slices.SortedFunc(maps.Keys(joined), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.version, b.version), cmp.Compare(a.subject, b.subject))
	})
	var sorted []analysis.Point
	for _, k := range keys {
		sorted = append(sorted, *joined[k])
	}
	return sorted
}

// merge adds buckets to others; those of the same bounds become one.
func merge(into, more []analysis.Bucket) []analysis.Bucket {
	for _, b := range more {
		i := slices.IndexFunc(into, func(o analysis.Bucket) bool { return o.Over == b.Over && o.Upto == b.Upto })
		if i < 0 {
			into = append(into, b)
			continue
		}
		into[i].N += b.N
	}
	slices.SortFunc(into, func(a, b analysis.Bucket) int {
		return cmp.Or(cmp.Compare(a.Upto, b.Upto), cmp.Compare(a.Over, b.Over))
	})
	return into
}

// Skew is how far the server's clock was ahead of ours at the last answer, to a
// second or so; 0 if the server did not tell its time.
func (a *API) Skew() time.Duration { return a.wire.skew }

// Resets is how many counters, or histograms, were seen to start anew.
func (a *API) Resets() int {
	n := 0
	for _, q := range a.questions {
		n += q.counters.resets + q.histograms.resets
	}
	return n
}
