package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
)

// ErrNotFound says that there is no such thing, or none that the token may see.
var ErrNotFound = errors.New("it is not there, or the token may not see it")

// A ForbiddenError says that the token may not do it. Nothing was done.
type ForbiddenError struct {
	What string // was to be done, and to what
	Said string // GitHub's own words
	Hint string // what to grant, for a line of its own
}

// Error implements error.
func (e *ForbiddenError) Error() string { return fmt.Sprintf("%s: 403 Forbidden: %s", e.What, e.Said) }

// A RateLimitError says that GitHub wants no more requests for now. Nothing was done.
type RateLimitError struct {
	What      string // was to be done, and to what
	Secondary bool   // too much at once, rather than too much in an hour
	after     time.Duration
}

// Error implements error.
func (e *RateLimitError) Error() string {
	kind := "rate limit"
	if e.Secondary {
		kind = "secondary rate limit"
	}
	return fmt.Sprintf("%s: the %s is reached; it is lifted in %s", e.What, kind, e.after.Round(time.Second))
}

// RetryAfter is how long it lasts, seen from when GitHub said so.
func (e *RateLimitError) RetryAfter() time.Duration { return e.after }

// A brokenError is GitHub's or the network's trouble, which often passes.
type brokenError struct {
	err   error
	after time.Duration // GitHub's advice, or 0
}

// Error implements error.
func (e *brokenError) Error() string { return e.err.Error() }

// Unwrap returns what went wrong.
func (e *brokenError) Unwrap() error { return e.err }

// Temporary says that another try may succeed.
func (e *brokenError) Temporary() bool { return true }

const (
	longestWait = 5 * time.Minute // of one request for limits to be lifted, in all
	firstLimit  = time.Minute     // where GitHub names no time; then twice as long each time
	firstPause  = time.Second     // after GitHub's trouble; then twice as long each time
	repetitions = 3               // after GitHub's trouble
)

// call sends a request until it is answered, or until waiting for another try
// is pointless. All errors of go-github end here.
func call[T any](ctx context.Context, c *Client, o op, send func() (T, *gh.Response, error)) (T, *gh.Response, error) {
	var none T
	limits, broken, waited := 0, 0, time.Duration(0)
	for {
		v, resp, err := send()
		if err == nil {
			return v, resp, nil
		}
		err = c.translate(ctx, o, err)
		pause := time.Duration(0)
		if limit, ok := errors.AsType[*RateLimitError](err); ok {
			if limit.after == 0 {
				limit.after = firstLimit << limits
			}
			limits++
			pause = limit.after
		} else if trouble, ok := errors.AsType[*brokenError](err); ok && !o.once && broken < repetitions {
			pause = max(firstPause<<broken, trouble.after)
			broken++
		}
		if waited += pause; pause == 0 || waited > longestWait || !c.fits(ctx, pause) {
			return none, nil, err
		}
		c.log.DebugContext(ctx, "github: waiting", "what", o.what, "for", pause, "because", err)
		select {
		case <-c.after(pause):
		case <-ctx.Done():
			return none, nil, fmt.Errorf("%s: %w", o.what, context.Cause(ctx))
		}
	}
}

func (c *Client) fits(ctx context.Context, pause time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || c.now().Add(pause).Before(deadline)
}

// translate makes go-github's errors ours, without secrets.
func (c *Client) translate(ctx context.Context, o op, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", o.what, context.Cause(ctx))
	}
	if status, said, header, ok := refusalOf(err); ok {
		return c.refusal(o, status, c.words(said), header)
	}
	if e, ok := errors.AsType[*gh.AcceptedError](err); ok {
		return fmt.Errorf("%s: %w", o.what, e)
	}
	if e, ok := errors.AsType[*graphQLError](err); ok {
		return c.graphQLRefusal(o, e)
	}
	lost := isLost(err)
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the address
	}
	err = c.wrap(o, err)
	if lost {
		return &brokenError{err: err}
	}
	return err
}

// wrap says what was being done, without secrets: what is wrong with an answer
// may quote it.
func (c *Client) wrap(o op, err error) error {
	err = fmt.Errorf("%s: %w", o.what, err)
	if text := c.secrets.String(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// isLost reports whether no whole answer came. The client's timeout hides what
// it broke off.
func isLost(err error) bool {
	if _, ok := errors.AsType[*lostError](err); ok || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func refusalOf(err error) (status int, said string, header http.Header, ok bool) {
	if e, ok := errors.AsType[*gh.ErrorResponse](err); ok {
		return e.Response.StatusCode, reasons(e), e.Response.Header, true
	}
	if e, ok := errors.AsType[*gh.TwoFactorAuthError](err); ok {
		return e.Response.StatusCode, e.Message, e.Response.Header, true
	}
	if e, ok := errors.AsType[*gh.AbuseRateLimitError](err); ok {
		// Known by the address of its manual, whatever the words.
		return http.StatusTooManyRequests, e.Message, e.Response.Header, true
	}
	return 0, "", nil, false
}

func reasons(e *gh.ErrorResponse) string {
	texts := []string{e.Message}
	for _, one := range e.Errors {
		if one.Message != "" {
			texts = append(texts, one.Message)
		} else if one.Field != "" {
			texts = append(texts, one.Field+": "+one.Code)
		}
	}
	return strings.Join(texts, ": ")
}

// refusal is what an answer other than 2xx means.
func (c *Client) refusal(o op, status int, said string, header http.Header) error {
	after := seconds(header.Get(hidden + headerRetryAfter))
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusForbidden && limited(said, header):
		return c.limit(o, after, header)
	case status == http.StatusForbidden:
		return &ForbiddenError{What: o.what, Said: said, Hint: hint(o, said)}
	case status == http.StatusNotFound || status == http.StatusGone:
		return fmt.Errorf("%s: %d %s: %w", o.what, status, said, ErrNotFound)
	}
	err := fmt.Errorf("%s: %d %s: %s", o.what, status, http.StatusText(status), said)
	if status >= http.StatusInternalServerError {
		return &brokenError{err: err, after: after}
	}
	return err
}

// limited tells a limit from a missing right: both are 403.
func limited(said string, header http.Header) bool {
	said = strings.ToLower(said)
	return header.Get(hidden+headerRetryAfter) != "" || header.Get(hidden+headerRemaining) == "0" ||
		strings.Contains(said, "rate limit") || strings.Contains(said, "abuse detection")
}

func (c *Client) limit(o op, after time.Duration, header http.Header) error {
	e := &RateLimitError{What: o.what, Secondary: true, after: after}
	reset, err := strconv.ParseInt(header.Get(hidden+headerReset), 10, 64)
	if after == 0 && header.Get(hidden+headerRemaining) == "0" && err == nil {
		// The clock here may be ahead of GitHub's: never at once.
		e.Secondary, e.after = false, max(time.Unix(reset, 0).Sub(c.now()), time.Second)
	}
	return e
}

func seconds(text string) time.Duration {
	n, _ := strconv.ParseUint(text, 10, 31) // a date is not sent by GitHub, and 0 means unknown
	return time.Duration(n) * time.Second
}

const forkHint = "; a pull request from a fork gets a read-only token, whatever the workflow says"

// administrator is a right that no GITHUB_TOKEN can have.
const administrator = "administration"

func hint(o op, said string) string {
	switch {
	case strings.Contains(strings.ToLower(said), "locked"):
		return "unlock the conversation"
	case strings.HasPrefix(o.needs, administrator):
		return "give the token of somebody who administers the repository (GITHUB_TOKEN can't have that right), or delete it by hand below Settings, Environments"
	case strings.HasSuffix(o.needs, ": write"):
		return "give the job permissions: " + o.needs + forkHint
	case o.needs == "":
		return ""
	}
	return "give the job permissions: " + o.needs
}

func (c *Client) words(text string) string {
	return cmp.Or(c.secrets.Excerpt(text), "no reason is given")
}
