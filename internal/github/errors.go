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

	"github.com/candlefish/deploy-action/internal/redact"
)

// ErrNotFound is in the error for something that does not exist, or that the token may not
// read.
var ErrNotFound = errors.New("not found, or the token has no access to it")

// A ForbiddenError says that the token lacks a permission. Nothing was changed.
type ForbiddenError struct {
	What string // the operation
	Said string // GitHub's reason
	Hint string // the permission to grant
}

// Error implements error.
func (e *ForbiddenError) Error() string { return fmt.Sprintf("%s: 403 Forbidden: %s", e.What, e.Said) }

// A RateLimitError says that a rate limit is exceeded. Nothing was changed.
type RateLimitError struct {
	What      string // the operation
	Secondary bool   // too many requests at once, not in an hour
	after     time.Duration
}

// Error implements error.
func (e *RateLimitError) Error() string {
	kind := "rate limit"
	if e.Secondary {
		kind = "secondary rate limit"
	}
	return fmt.Sprintf("%s: %s exceeded; it resets in %s", e.What, kind, e.after.Round(time.Second))
}

// RetryAfter is the time until the reset, from GitHub's response on.
func (e *RateLimitError) RetryAfter() time.Duration { return e.after }

// A transientError is a failure of GitHub or the network that may pass.
type transientError struct {
	err   error
	after time.Duration // as GitHub advises, or 0
}

// Error implements error.
func (e *transientError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *transientError) Unwrap() error { return e.err }

// Temporary reports that a retry may succeed.
func (e *transientError) Temporary() bool { return true }

const (
	maxWait    = 5 * time.Minute // of one operation, in all
	firstLimit = time.Minute     // for a limit without a time; doubled each time
	firstPause = time.Second     // after a transient failure; doubled each time
	maxRetries = 3               // after transient failures
)

// call sends a request until it succeeds, fails permanently, or a retry would come too
// late. It translates all errors of go-github.
func call[T any](ctx context.Context, c *Client, o op, send func() (T, *gh.Response, error)) (T, *gh.Response, error) {
	var none T
	limits, failures, waited := 0, 0, time.Duration(0)
	for {
		v, resp, err := send()
		if err == nil {
			return v, resp, nil
		}
		err = c.errors.error(ctx, o, err)
		pause := time.Duration(0)
		if limit, ok := errors.AsType[*RateLimitError](err); ok {
			if limit.after == 0 {
				limit.after = firstLimit << limits
			}
			limits++
			pause = limit.after
		} else if transient, ok := errors.AsType[*transientError](err); ok && !o.once && failures < maxRetries {
			pause = max(firstPause<<failures, transient.after)
			failures++
		}
		if waited += pause; pause == 0 || waited > maxWait || !c.fits(ctx, pause) {
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

// A translator replaces go-github's errors by those of this package, so that no caller
// depends on go-github and no error has a secret.
type translator struct {
	secrets *redact.Redactor
	now     func() time.Time
}

// error replaces go-github's errors by ours, without secrets.
func (t translator) error(ctx context.Context, o op, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", o.what, context.Cause(ctx))
	}
	if status, said, header, ok := refusalOf(err); ok {
		return t.refusal(o, status, t.words(said), header)
	}
	if e, ok := errors.AsType[*gh.AcceptedError](err); ok {
		return fmt.Errorf("%s: %w", o.what, e)
	}
	if e, ok := errors.AsType[*graphQLError](err); ok {
		return t.graphQL(o, e)
	}
	lost := isLost(err)
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the URL
	}
	err = t.wrap(o, err)
	if lost {
		return &transientError{err: err}
	}
	return err
}

// wrap adds the operation to an error and removes secrets: an error may quote a response.
func (t translator) wrap(o op, err error) error {
	err = fmt.Errorf("%s: %w", o.what, err)
	if text := t.secrets.String(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// isLost reports whether no complete response was received. The client's timeout hides
// the cause.
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
		// go-github recognizes it by its documentation URL.
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

// refusal translates a status other than 2xx.
func (t translator) refusal(o op, status int, said string, header http.Header) error {
	after := seconds(header.Get(hidden + headerRetryAfter))
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusForbidden && limited(said, header):
		return t.limit(o, after, header)
	case status == http.StatusForbidden:
		return &ForbiddenError{What: o.what, Said: said, Hint: hint(o, said)}
	case status == http.StatusNotFound || status == http.StatusGone:
		return fmt.Errorf("%s: %d %s: %w", o.what, status, said, ErrNotFound)
	}
	err := &StatusError{What: o.what, Status: status, Said: said}
	if status >= http.StatusInternalServerError {
		return &transientError{err: err, after: after}
	}
	return err
}

// limited tells a rate limit from a missing permission: both are 403.
func limited(said string, header http.Header) bool {
	said = strings.ToLower(said)
	return header.Get(hidden+headerRetryAfter) != "" || header.Get(hidden+headerRemaining) == "0" ||
		strings.Contains(said, "rate limit") || strings.Contains(said, "abuse detection")
}

func (t translator) limit(o op, after time.Duration, header http.Header) error {
	e := &RateLimitError{What: o.what, Secondary: true, after: after}
	reset, err := strconv.ParseInt(header.Get(hidden+headerReset), 10, 64)
	if after == 0 && header.Get(hidden+headerRemaining) == "0" && err == nil {
		// This clock may be ahead of GitHub's: wait at least a second.
		e.Secondary, e.after = false, max(time.Unix(reset, 0).Sub(t.now()), time.Second)
	}
	return e
}

func seconds(text string) time.Duration {
	n, _ := strconv.ParseUint(text, 10, 31) // GitHub sends no date, and 0 means unknown
	return time.Duration(n) * time.Second
}

const forkHint = "; a pull request from a fork always gets a read-only token"

// administrator is a permission that no GITHUB_TOKEN can have.
const administrator = "administration"

func hint(o op, said string) string {
	switch {
	case strings.Contains(strings.ToLower(said), "locked"):
		return "unlock the conversation"
	case strings.HasPrefix(o.needs, administrator):
		return "use the token of somebody who administers the repository (GITHUB_TOKEN cannot have that permission), or delete it under Settings, Environments"
	case strings.HasSuffix(o.needs, ": write"):
		return "grant the job permissions: " + o.needs + forkHint
	case o.needs == "":
		return ""
	}
	return "grant the job permissions: " + o.needs
}

func (t translator) words(text string) string {
	return cmp.Or(t.secrets.Excerpt(text), "no reason given")
}
