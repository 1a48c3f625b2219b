// Package datadog reads counts and gauges of both versions from Datadog's
// time series query, GET /api/v1/query.
//
// Datadog answers in buckets of some seconds, which it goes on filling for a
// while. A bucket is handed out once, when it is complete: when its end is longer
// ago than the settling time. So the points lag behind by a minute or so, and a
// judge that must be quick takes the probe or Prometheus beside it.
//
// The client is our own, for one request of the API. Datadog's library,
// datadog-api-client-go v2.60.0, was measured first: 61 s to compile from cold on
// two cores (55 s of CPU, and 68 MB of sources), against 3.6 MB more in the
// binary. That is twice what all else here takes.
package datadog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

const (
	// settle is how long agents and intake take, with some to spare.
	settle = time.Minute
	// span is what is asked for at least. Datadog chooses the length of its
	// buckets by it, and must choose the same one each time.
	span = 15 * time.Minute
)

// A Query is what is asked of Datadog. Its texts may hold ${version}, ${service} and
// ${namespace}, and must differ between the versions, unless By is set.
type Query struct {
	// Site is where the account is, such as datadoghq.eu; datadoghq.com if
	// empty. BaseURL replaces https://api.SITE.
	Site, BaseURL string
	// APIKey and AppKey are secret. The application key needs the scope
	// timeseries_query.
	APIKey, AppKey string
	// Total and Failed requests, both or neither, as counts:
	//	sum:trace.http.request.hits{version:${version}}.as_count()
	// A bucket without failed requests may have no value of them, which
	// counts as none; a Failed query with a mistake in it looks the same.
	Total, Failed string
	// Value is a gauge. A bucket without a value is NaN.
	Value string
	// By is the tag that tells the series of one answer apart, as in
	// "... by {version}". Its values are Names.Stable and Names.Canary.
	By    string
	Names source.Names
	// Client to ask with; nil for one that waits 15 s for an answer.
	// Redirects are not followed.
	Client *http.Client
	// Now is the clock, since the API wants both ends of a time; nil for the
	// system's.
	Now func() time.Time
	// Settle is how long a bucket may still be filled after its end; 1 minute
	// if 0.
	Settle time.Duration
}

type field string

const (
	total  field = "requests"
	failed field = "failed requests"
	value  field = "value"
)

// A question is one query; version is empty where a tag tells.
type question struct {
	field   field
	text    string
	version rollout.Side
}

// A Source reads the points of a Query. It remembers what it has handed out, and is
// for one goroutine.
type Source struct {
	query     Query
	client    client
	questions []question
	begun     time.Time // the baseline; zero before it
	upto      time.Time // the end of what has been handed out
}

// New returns the Source of a query. It refuses one whose answers would mix the
// versions (source.ErrMixed), and counts that Datadog would turn into rates.
func New(q Query) (*Source, error) {
	questions, err := q.questions()
	if err != nil {
		return nil, fmt.Errorf("datadog query: %w", err)
	}
	q.Settle = cmp.Or(q.Settle, settle)
	if q.Now == nil {
		q.Now = time.Now
	}
	c, err := newClient(q)
	if err != nil {
		return nil, fmt.Errorf("datadog: %w", err)
	}
	return &Source{query: q, client: c, questions: questions}, nil
}

// counted is a query whose buckets hold a number of requests.
var counted = regexp.MustCompile(`\.(as_count\(\)|rollup\(\s*(sum|count)\b)`)

func (q Query) questions() ([]question, error) {
	if (q.Total == "") != (q.Failed == "") {
		return nil, errors.New("total and failed come together: one says nothing without the other")
	}
	var questions []question
	for _, part := range []question{{field: total, text: q.Total}, {field: failed, text: q.Failed}, {field: value, text: q.Value}} {
		if part.text == "" {
			continue
		}
		if part.field != value && !counted.MatchString(part.text) {
			return nil, fmt.Errorf("%s: %q gives rates: add .as_count()", part.field, part.text)
		}
		both, err := q.both(part)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.field, err)
		}
		questions = append(questions, both...)
	}
	if questions == nil {
		return nil, errors.New("there is none")
	}
	return questions, nil
}

func (q Query) both(part question) ([]question, error) {
	if q.By != "" {
		text, err := source.Fill(part.text, map[string]string{"namespace": q.Names.Namespace})
		if err != nil {
			return nil, err
		}
		return []question{{part.field, text, ""}}, source.TellsApart(q.tag(rollout.SideStable), q.tag(rollout.SideCanary))
	}
	stable, canary, err := q.Names.FillBoth(part.text)
	if err != nil {
		return nil, err
	}
	return []question{{part.field, stable, rollout.SideStable}, {part.field, canary, rollout.SideCanary}}, nil
}

// tag is a version's tag as Datadog writes tags: in lower case.
func (q Query) tag(v rollout.Side) string { return strings.ToLower(q.By + ":" + q.Names.Of(v)) }

// Read returns the buckets that were completed since the call before, in one point
// for each version, and subject of a value, at the end of the bucket. Of counts the
// first call returns nothing, of values the last complete bucket. A series without
// data gives no points. An error leaves all to the next call; errors.As finds a
// *RateLimitError in it if it was asked too often.
func (s *Source) Read(ctx context.Context) ([]analysis.Point, error) {
	now := s.query.Now()
	upto := now.Add(-s.query.Settle)
	from := now.Add(-span)
	if !s.upto.IsZero() && s.upto.Before(from) {
		from = s.upto
	}
	joined := points{}
	for _, q := range s.questions {
		answer, err := s.client.series(ctx, q.text, from, now)
		if err == nil {
			err = s.add(joined, q, answer, upto)
		}
		if err != nil {
			return nil, fmt.Errorf("ask %s for %s (%s): %w", s.client.where, q.field, q.text, err)
		}
	}
	sorted, err := joined.sorted()
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.client.where, err)
	}
	s.upto = upto
	if s.begun.IsZero() {
		s.begun = upto
	}
	return sorted, nil
}

// add joins the new buckets of an answer to the points.
func (s *Source) add(joined points, q question, answer []series, upto time.Time) error {
	for _, one := range answer {
		version, ok := s.versionOf(q, one)
		if !ok {
			continue
		}
		buckets, err := one.buckets()
		if err != nil {
			return err
		}
		for _, b := range s.fresh(q.field, buckets, upto) {
			if err := joined.add(q.field, version, one.subject(s.query.tag(version)), b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Source) versionOf(q question, one series) (rollout.Side, bool) {
	if q.version != "" {
		return q.version, true
	}
	for _, v := range []rollout.Side{rollout.SideStable, rollout.SideCanary} {
		for _, tag := range one.TagSet {
			if strings.ToLower(tag) == s.query.tag(v) {
				return v, true
			}
		}
	}
	return "", false
}

// fresh are the buckets that have been completed since the last reading and, if they
// hold counts, began after the baseline.
func (s *Source) fresh(f field, buckets []bucket, upto time.Time) []bucket {
	var complete []bucket
	for _, b := range buckets {
		if b.end.After(upto) || !b.end.After(s.upto) {
			continue
		}
		if f != value && (s.begun.IsZero() || b.start.Before(s.begun)) {
			continue
		}
		complete = append(complete, b)
	}
	if f == value && s.begun.IsZero() && len(complete) > 0 {
		return complete[len(complete)-1:]
	}
	return complete
}

// points are joined by what tells them apart.
type points map[key]*analysis.Point

type key struct {
	at      int64 // in ms
	version rollout.Side
	subject string
}

func (p points) add(f field, version rollout.Side, subject string, b bucket) error {
	if f != value {
		subject = ""
		if math.IsNaN(b.value) {
			return nil // nothing was counted
		}
		if !source.Countable(b.value) {
			return fmt.Errorf("%v requests are no count", b.value)
		}
	}
	k := key{b.end.UnixMilli(), version, subject}
	if p[k] == nil {
		p[k] = &analysis.Point{At: b.end, Side: version, Subject: subject}
	}
	switch f {
	case total:
		p[k].Total += b.value
	case failed:
		p[k].Failed += b.value
	case value:
		n := analysis.Number(b.value)
		p[k].Value = &n
	}
	return nil
}

// sorted refuses more failures than requests: then the one query does not count a
// part of what the other counts, or the answers are of different moments.
func (p points) sorted() ([]analysis.Point, error) {
	keys := slices.SortedFunc(maps.Keys(p), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.version, b.version), cmp.Compare(a.subject, b.subject))
	})
	var sorted []analysis.Point
	for _, k := range keys {
		one := *p[k]
		if one.Failed > one.Total {
			return nil, fmt.Errorf("%v failed requests of %v of %s until %s", one.Failed, one.Total, one.Side, one.At.Format(time.TimeOnly))
		}
		sorted = append(sorted, one)
	}
	return sorted, nil
}
