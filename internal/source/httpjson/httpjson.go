// Package httpjson reads numbers of both versions out of any JSON that an HTTP
// endpoint answers with, by JSONPath (RFC 9535).
//
// Points have the time at which they were asked for, by our clock, unless a path leads
// to the document's own. A document that does not change, of an endpoint that is stuck
// or a cache before it, is not counted again, and after a while it is an error. What one
// path selects must be one number: none or several are an error, since to pick one would
// be a guess.
package httpjson

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/theory/jsonpath"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/jsonkeys"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

const (
	patience = 15 * time.Second // for an answer
	maxSize  = 1 << 20          // of an answer, in bytes
	// stuckAfter is how long a document with requests in it may stay the same.
	stuckAfter = 20 * time.Second
)

// An Endpoint is where the numbers are. URL and Paths may hold ${version}, ${service}
// and ${namespace}; for each path, it or the URL must differ between the versions.
type Endpoint struct {
	// URL is asked by GET. A user, a password and the query are taken for
	// secret.
	URL string
	// Header of the request, which is taken for secret.
	Header http.Header
	Paths  Paths
	// Cumulative says that Total and Failed count since some start, as
	// Prometheus' counters do. Else an answer holds what was added since the
	// one before, and what is lost with a failed reading is lost.
	Cumulative bool
	Names      source.Names
	// Client to ask with; nil for one that waits 15 s for an answer.
	// Redirects are not followed.
	Client *http.Client
	// Now is the clock; nil for the system's.
	Now func() time.Time
}

// Paths are where the numbers are in the JSON, such as
//
//	$.versions[?@.name == "${version}"].requests
//
// Total and Failed requests come together or not at all. Value is a gauge.
type Paths struct {
	Total, Failed, Value string
	// Time is when the document was true: text as of RFC 3339, or seconds or
	// milliseconds since 1970. A document with the time of the one before is
	// that one.
	Time string
}

// A Source reads the points of an Endpoint. It remembers what it has seen, and is for
// one goroutine.
type Source struct {
	client     *http.Client
	header     http.Header
	now        func() time.Time
	cumulative bool
	sides      []side
	last       map[rollout.Side]state // nil before the baseline
	resets     int
}

// A side is how one version is asked for. Paths that are not given are nil.
type side struct {
	version              rollout.Side
	url, where           string // where: the URL without what is secret
	total, failed, value *jsonpath.Path
	time                 *jsonpath.Path
}

type counts struct{ total, failed float64 }

// A state is what a document said of one version when it was read.
type state struct {
	counts
	value *analysis.Number
	text  string    // the document
	at    time.Time // its own time; zero where it has none
	since time.Time // when this document was read first, by our clock
}

// New returns the Source of an endpoint. It refuses one whose answers would mix the
// versions (source.ErrMixed).
func New(e Endpoint) (*Source, error) {
	if (e.Paths.Total == "") != (e.Paths.Failed == "") {
		return nil, errors.New("http endpoint: paths of total and failed come together: one says nothing without the other")
	}
	if e.Paths.Total+e.Paths.Value == "" {
		return nil, errors.New("http endpoint: there is no path")
	}
	stable, err := e.side(rollout.SideStable)
	if err != nil {
		return nil, fmt.Errorf("http endpoint: %w", err)
	}
	canary, err := e.side(rollout.SideCanary)
	if err != nil {
		return nil, fmt.Errorf("http endpoint: %w", err)
	}
	if err := tellApart(stable, canary); err != nil {
		return nil, fmt.Errorf("http endpoint %s: %w", stable.where, err)
	}
	s := &Source{client: &http.Client{Timeout: patience}, header: e.Header, now: e.Now, cumulative: e.Cumulative, sides: []side{canary, stable}}
	if e.Client != nil {
		copied := *e.Client
		s.client = &copied
	}
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the header would go along
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

func (e Endpoint) side(v rollout.Side) (side, error) {
	address, err := e.Names.Fill(e.URL, v)
	if err != nil {
		return side{}, errors.New("the URL has a ${name} that is not known or has no value, or no end") // the error shows the URL
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return side{}, errors.New("the URL is none of http or https with a host") // which may hold a password
	}
	s := side{version: v, url: address, where: u.Scheme + "://" + u.Host + u.EscapedPath()}
	for _, p := range []struct {
		text string
		to   **jsonpath.Path
	}{{e.Paths.Total, &s.total}, {e.Paths.Failed, &s.failed}, {e.Paths.Value, &s.value}, {e.Paths.Time, &s.time}} {
		if *p.to, err = e.path(p.text, v); err != nil {
			return side{}, err
		}
	}
	return s, nil
}

func (e Endpoint) path(text string, v rollout.Side) (*jsonpath.Path, error) {
	if text == "" {
		return nil, nil
	}
	filled, err := e.Names.Fill(text, v)
	if err != nil {
		return nil, err
	}
	path, err := jsonpath.Parse(filled)
	if err != nil {
		return nil, fmt.Errorf("path %q: %w", filled, err)
	}
	return path, nil
}

func tellApart(stable, canary side) error {
	if stable.url != canary.url {
		return nil
	}
	for _, pair := range [][2]*jsonpath.Path{{stable.total, canary.total}, {stable.failed, canary.failed}, {stable.value, canary.value}} {
		if pair[0] == nil {
			continue
		}
		if err := source.TellsApart(pair[0].String(), pair[1].String()); err != nil {
			return err
		}
	}
	return nil
}

// Read returns one point of each version whose document is new. The first call returns
// none of counts: they are of a time before it. A count that is smaller than before, if
// they are cumulative, has started anew, so all of it is new. An answer other than 2xx,
// one that is too large, no JSON, or older than the one before, and a path that does not
// lead to one number are errors; then nothing counts as seen. So is a document that has
// requests in it and stays the same for too long.
func (s *Source) Read(ctx context.Context) ([]analysis.Point, error) {
	documents := map[string]document{}
	seen := map[rollout.Side]state{}
	for _, side := range s.sides {
		d, ok := documents[side.url]
		if !ok { // once, if both versions are in it
			var err error
			if d, err = s.get(ctx, side.url); err != nil {
				return nil, fmt.Errorf("ask %s for %s: %w", side.where, side.version, err)
			}
			documents[side.url] = d
		}
		r, err := side.read(d)
		if err == nil {
			err = s.after(side, &r)
		}
		if err != nil {
			return nil, fmt.Errorf("ask %s for %s: %w", side.where, side.version, err)
		}
		seen[side.version] = r
	}
	return s.new(seen)
}

// after sets since when a document is there, and refuses one that is older than the one
// before.
func (s *Source) after(side side, r *state) error {
	last, known := s.last[side.version]
	if known && r.at.Before(last.at) {
		return fmt.Errorf("its time goes back from %s to %s", last.at.Format(time.RFC3339), r.at.Format(time.RFC3339))
	}
	r.since = s.now().UTC()
	if known && side.same(*r, last) {
		r.since = last.since
	}
	return nil
}

// same reports whether two readings are of one document: by its time or, without one, by
// its text. A value alone may stay what it is, and so may no requests at all.
func (s side) same(a, b state) bool {
	if s.time != nil {
		return a.at.Equal(b.at)
	}
	return s.total != nil && a.total > 0 && a.text == b.text
}

// new are the points of documents that are new. With them comes an error if one of the
// others is there for too long.
func (s *Source) new(seen map[rollout.Side]state) ([]analysis.Point, error) {
	var points []analysis.Point
	var errs []error
	for _, side := range s.sides {
		now, last := seen[side.version], s.last[side.version]
		if s.last != nil && side.same(now, last) {
			if age := s.now().Sub(now.since); age > stuckAfter {
				errs = append(errs, fmt.Errorf("ask %s for %s: the answer is the same for %v, so that its numbers count once; a path time tells an idle endpoint from a stuck one",
					side.where, side.version, age.Round(time.Second)))
			}
			continue
		}
		p := analysis.Point{At: now.at, Side: side.version, Value: now.value}
		if p.At.IsZero() {
			p.At = now.since
		}
		if s.last != nil {
			added := s.since(now.counts, last.counts)
			p.Total, p.Failed = added.total, added.failed
		}
		if p.Value != nil || s.last != nil {
			points = append(points, p)
		}
	}
	s.last = seen
	return points, errors.Join(errs...)
}

func (s *Source) since(now, before counts) counts {
	switch {
	case !s.cumulative:
		return now
	case now.total < before.total || now.failed < before.failed:
		s.resets++
		return now
	}
	added := counts{now.total - before.total, now.failed - before.failed}
	added.failed = min(added.failed, added.total) // an answer that was caught while it counted
	return added
}

// Resets is how many times a version's counts were seen to start anew.
func (s *Source) Resets() int { return s.resets }

// A document is an answer, decoded and as it came.
type document struct {
	value any
	text  string
}

func (s *Source) get(ctx context.Context, address string) (document, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return document{}, errors.New("the URL cannot be asked")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Cache-Control", "no-cache")
	for name, values := range s.header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	resp, err := s.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the address
		}
		return document{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		return document{}, fmt.Errorf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSize+1))
	if err != nil {
		return document{}, err
	}
	if len(body) > maxSize {
		return document{}, errors.New("the answer is larger than 1 MiB")
	}
	return decode(body)
}

func decode(body []byte) (document, error) {
	if err := jsonkeys.Unique(body); err != nil {
		return document{}, fmt.Errorf("the answer is refused: %w", err)
	}
	d := document{text: string(body)}
	if err := json.Unmarshal(body, &d.value); err != nil {
		return document{}, fmt.Errorf("the answer is no JSON: %w", err)
	}
	return d, nil
}

// read finds the numbers of a version.
func (s side) read(d document) (state, error) {
	r := state{text: d.text}
	var err error
	if s.time != nil {
		if r.at, err = moment(d.value, s.time); err != nil {
			return r, err
		}
	}
	if s.total != nil {
		if r.total, err = count(d.value, s.total); err != nil {
			return r, err
		}
		if r.failed, err = count(d.value, s.failed); err != nil {
			return r, err
		}
		if r.failed > r.total {
			return r, fmt.Errorf("%v failed requests of %v", r.failed, r.total)
		}
	}
	if s.value != nil {
		v, err := number(d.value, s.value)
		if err != nil {
			return r, err
		}
		n := analysis.Number(v)
		r.value = &n
	}
	return r, nil
}

// moment is what a path selects, as a time.
func moment(document any, path *jsonpath.Path) (time.Time, error) {
	nodes := path.Select(document)
	if len(nodes) != 1 {
		return time.Time{}, fmt.Errorf("path %s selects %d values, want 1", path, len(nodes))
	}
	if text, ok := nodes[0].(string); ok {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			return at.UTC(), nil
		}
	}
	n, err := number(document, path)
	if err == nil && n > 1e11 { // from the year 5138 on they would be seconds
		n /= 1000
	}
	if err != nil || !(n > 0 && n < 1e11) {
		return time.Time{}, fmt.Errorf("path %s: no time, want one as of RFC 3339 or seconds since 1970", path)
	}
	return time.UnixMilli(int64(n * 1000)).UTC(), nil
}

func count(document any, path *jsonpath.Path) (float64, error) {
	n, err := number(document, path)
	if err == nil && !source.Countable(n) {
		return 0, fmt.Errorf("path %s: %v is no count", path, n)
	}
	return n, err
}

// number is what a path selects, as a number or as a string that is one. null is
// NaN.
func number(document any, path *jsonpath.Path) (float64, error) {
	nodes := path.Select(document)
	if len(nodes) != 1 {
		return 0, fmt.Errorf("path %s selects %d values, want 1", path, len(nodes))
	}
	switch v := nodes[0].(type) {
	case nil:
		return math.NaN(), nil
	case float64:
		return v, nil
	case string:
		n, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return 0, fmt.Errorf("path %s: a text that is no number", path)
		}
		return n, nil
	}
	return 0, fmt.Errorf("path %s: %s, want a number", path, kind(nodes[0]))
}

func kind(v any) string {
	switch v.(type) {
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	}
	return "an object"
}
