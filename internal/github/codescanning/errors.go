package codescanning

import (
	"errors"
	"net/http"
	"strings"

	"github.com/candlefish/deploy-action/internal/github"
)

// A Kind says why GitHub does not show a file.
type Kind string

// Kinds. The first two need somebody who changes settings, the next two another file,
// the last only time.
const (
	NotEnabled Kind = "not enabled"
	NotAllowed Kind = "not allowed"
	Invalid    Kind = "invalid"
	TooLarge   Kind = "too large"
	NotThere   Kind = "not there" // the repository, or the commit in it
	Transient  Kind = "transient"
	Other      Kind = "other"
)

// An Error says why a file is not shown.
type Error struct {
	Kind Kind
	Hint string // what to set; "" for nothing
	Err  error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

const enableHint = "enable code scanning under Settings, Advanced Security; a private repository needs GitHub Code Security. " +
	"Without it leave the upload out: the report has all findings"

// classify tells apart what people must do.
func classify(err error) error {
	e := &Error{Kind: Other, Err: err}
	if forbidden, ok := errors.AsType[*github.ForbiddenError](err); ok {
		e.Kind, e.Hint = NotAllowed, forbidden.Hint
		if said := strings.ToLower(forbidden.Said); strings.Contains(said, "enabled") || strings.Contains(said, "advanced security") || strings.Contains(said, "code security") {
			e.Kind, e.Hint = NotEnabled, enableHint
		}
		return e
	}
	var temporary interface{ Temporary() bool }
	if _, ok := errors.AsType[*github.RateLimitError](err); ok || errors.As(err, &temporary) && temporary.Temporary() {
		e.Kind, e.Hint = Transient, "run it again"
		return e
	}
	if refused, ok := errors.AsType[*github.StatusError](err); ok {
		switch refused.Status {
		case http.StatusRequestEntityTooLarge:
			e.Kind = TooLarge
		case http.StatusBadRequest, http.StatusUnprocessableEntity:
			e.Kind = Invalid
		}
		return e
	}
	if errors.Is(err, github.ErrNotFound) {
		e.Kind, e.Hint = NotThere, "check that the token may see the repository, and that the commit was pushed to it"
	}
	return e
}
