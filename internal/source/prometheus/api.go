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
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source/prometheus/client"
)

// window is how far back a question looks: as long as the usual scrape interval of
// a minute, and half of it again.
const window = 90 * time.Second

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

	limit int64 // of an answer, in bytes; client.MaxSize if 0
}

// An API reads the points of both versions from a Server. It remembers what it has
// seen, and is for one goroutine.
type API struct {
	client    *client.Client
	window    time.Duration
	questions []*question
	since     model.Time // the baseline, by the server; 0 before it
	held      []increment
}

func (s Server) open(questions []*question) (*API, error) {
	if s.Window != 0 && s.Window < time.Second {
		return nil, fmt.Errorf("prometheus: a window of %v: want 1 s or more, and more than the scrape interval", s.Window)
	}
	c, err := client.New(client.Config{URL: s.URL, Header: s.Header, Client: s.Client, Now: s.Now, Limit: s.limit})
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	return &API{client: c, window: cmp.Or(s.Window, window), questions: questions}, nil
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
			return nil, fmt.Errorf("ask %s for %s (%s): %w", a.client.Where(), q.field, q.text, err)
		}
		if i == 0 {
			date = a.client.Date()
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
	return a.client.Query(ctx, text, a.window)
}

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
func (a *API) Skew() time.Duration { return a.client.Skew() }

// Resets is how many counters, or histograms, were seen to start anew.
func (a *API) Resets() int {
	n := 0
	for _, q := range a.questions {
		n += q.counters.resets + q.histograms.resets
	}
	return n
}
