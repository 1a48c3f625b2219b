package datadog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/jsonkeys"
	"github.com/candlefish/deploy-action/internal/redact"
)

const (
	patience = 15 * time.Second // for an answer
	maxSize  = 8 << 20          // of an answer, in bytes
)

// A client asks Datadog's API.
type client struct {
	where          string // without a slash at its end
	http           *http.Client
	apiKey, appKey string
	secrets        *redact.Redactor
}

var site = regexp.MustCompile(`^[a-z0-9.-]+$`)

func newClient(q Query) (client, error) {
	if q.APIKey == "" || q.AppKey == "" {
		return client{}, errors.New("an API key and an application key are needed")
	}
	base := q.BaseURL
	if base == "" {
		if q.Site == "" {
			q.Site = "datadoghq.com"
		}
		if !site.MatchString(q.Site) {
			return client{}, fmt.Errorf("site %q: want one such as datadoghq.eu", q.Site)
		}
		base = "https://api." + q.Site
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "http" && u.Scheme != "https" {
		return client{}, errors.New("the base URL is none of http or https with nothing but a host and a path")
	}
	c := client{
		where:  strings.TrimRight(u.String(), "/"),
		http:   &http.Client{Timeout: patience},
		apiKey: q.APIKey, appKey: q.AppKey,
		secrets: redact.New(q.APIKey, q.AppKey),
	}
	if q.Client != nil {
		copied := *q.Client
		c.http = &copied
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the keys would go along
	return c, nil
}

// A RateLimitError says that the account has used up its questions for now.
type RateLimitError struct {
	after time.Duration
}

// Error implements error.
func (e *RateLimitError) Error() string {
	if e.after == 0 {
		return "the rate limit is reached"
	}
	return fmt.Sprintf("the rate limit is reached; it is lifted in %s", e.after)
}

// RetryAfter is how long it lasts, five minutes at most; 0 if Datadog did not say.
func (e *RateLimitError) RetryAfter() time.Duration { return e.after }

// longestReset bounds what is believed of a rate limit: to ask once in five minutes is no
// burden, and a number that is not meant so would end the analysis.
const longestReset = 5 * time.Minute

// reset reads the number of seconds until a rate limit is lifted; 0 for none.
func reset(header string) time.Duration {
	seconds, err := strconv.ParseUint(header, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(min(seconds, uint64(longestReset/time.Second))) * time.Second
}

// series asks for a query's answer between two times.
func (c client) series(ctx context.Context, query string, from, to time.Time) ([]series, error) {
	parameters := url.Values{
		"query": {query},
		"from":  {strconv.FormatInt(from.Unix(), 10)},
		"to":    {strconv.FormatInt(to.Unix(), 10)},
	}
	status, header, body, err := c.get(ctx, "/api/v1/query?"+parameters.Encode())
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, c.refusal(ctx, status, header, body)
	}
	var answer struct {
		Status string    `json:"status"`
		Error  string    `json:"error"`
		Series *[]series `json:"series"`
	}
	if err := jsonkeys.UniqueFold(body); err != nil {
		return nil, fmt.Errorf("the answer is refused: %w", err)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("the answer is no JSON of a time series: %w", err)
	}
	if answer.Status != "ok" || answer.Error != "" {
		return nil, fmt.Errorf("status %q: %s", answer.Status, c.words(answer.Error))
	}
	if answer.Series == nil {
		return nil, errors.New("the answer holds no list of series")
	}
	return *answer.Series, nil
}

func (c client) get(ctx context.Context, path string) (status int, header http.Header, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.where+path, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("DD-API-KEY", c.apiKey)
	req.Header.Set("DD-APPLICATION-KEY", c.appKey)
	resp, err := c.http.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the address and its query
		}
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxSize+1))
	if err == nil && len(body) > maxSize {
		err = errors.New("the answer is too large")
	}
	return resp.StatusCode, resp.Header, body, err
}

// refusal explains a status other than 200.
func (c client) refusal(ctx context.Context, status int, header http.Header, body []byte) error {
	switch status {
	case http.StatusTooManyRequests:
		return &RateLimitError{reset(header.Get("X-RateLimit-Reset"))}
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%d %s: %s", status, http.StatusText(status), c.whichKey(ctx))
	}
	var answer struct {
		Errors []string `json:"errors"`
	}
	_ = json.Unmarshal(body, &answer) // a proxy's page says no more than its status
	return fmt.Errorf("%d %s: %s", status, http.StatusText(status), c.words(strings.Join(answer.Errors, "; ")))
}

// whichKey asks whether the API key is good: the same refusal is given for either.
func (c client) whichKey(ctx context.Context) string {
	status, _, body, err := c.get(ctx, "/api/v1/validate")
	var answer struct {
		Valid bool `json:"valid"`
	}
	switch {
	case err == nil && status == http.StatusOK && json.Unmarshal(body, &answer) == nil && answer.Valid:
		return "the API key is good, so it is the application key: it must be of the same account and have the scope timeseries_query"
	case err == nil && (status == http.StatusUnauthorized || status == http.StatusForbidden):
		return "the API key is not known at this site: is the site the account's?"
	}
	return "the API key or the application key, or the site is not the account's"
}

func (c client) words(text string) string {
	return cmp.Or(c.secrets.Excerpt(text), "no reason is given")
}

// A series is one line of an answer.
type series struct {
	Points   [][]*float64 `json:"pointlist"` // ms and value
	Interval float64      `json:"interval"`  // of a bucket, in seconds
	TagSet   []string     `json:"tag_set"`
}

// A bucket is what was measured in some seconds; NaN for nothing.
type bucket struct {
	start, end time.Time
	value      float64
}

// subject is what a series is of besides its version.
func (s series) subject(version string) string {
	var tags []string
	for _, tag := range s.TagSet {
		if strings.ToLower(tag) != version {
			tags = append(tags, tag)
		}
	}
	return strings.Join(tags, ",")
}

func (s series) buckets() ([]bucket, error) {
	var buckets []bucket
	for _, p := range s.Points {
		if len(p) != 2 || p[0] == nil || math.Abs(*p[0]) > 1e15 {
			return nil, fmt.Errorf("series %q: a point is not a time and a value", s.subject(""))
		}
		if s.Interval < 1 || s.Interval > 1e8 {
			return nil, fmt.Errorf("series %q: an interval of %v s", s.subject(""), s.Interval)
		}
		start := time.UnixMilli(int64(*p[0])).UTC()
		b := bucket{start: start, end: start.Add(time.Duration(s.Interval * float64(time.Second))), value: math.NaN()}
		if p[1] != nil {
			b.value = *p[1]
		}
		if n := len(buckets); n > 0 && !b.start.After(buckets[n-1].start) {
			return nil, fmt.Errorf("series %q: the points are not in order of time", s.subject(""))
		}
		buckets = append(buckets, b)
	}
	return buckets, nil
}
