// Package exit has the exit statuses of every command and the one kind of error
// that carries them. An error gets its status where it arises, so that nobody
// has to guess it later from a type or a text.
package exit

import (
	"errors"
	"fmt"
	"strings"
)

// A Status says how a run ended. Its number is the exit status of the process:
// this is the only exit table of the project.
type Status int

// The statuses.
const (
	Done        Status = iota // what was asked for is done
	CouldNotRun               // it could not be found out or acted upon
	BadInput                  // the inputs are wrong; nothing was touched
	GateRefused               // a gate said no
	Aborted                   // the rollout was aborted; stable is serving
	AbortFailed               // the abort failed too; the state is unknown
)

var statuses = []struct{ word, meaning string }{
	Done:        {"done", "done"},
	CouldNotRun: {"failed", "could not run"},
	BadInput:    {"bad-input", "bad input; nothing was touched"},
	GateRefused: {"refused", "a gate said no"},
	Aborted:     {"aborted", "aborted; stable is serving"},
	AbortFailed: {"abort-failed", "the abort failed; the state is unknown: look at once"},
}

// Code is the status the process ends with.
func (s Status) Code() int { return int(s) }

// String returns the status in one word, as the output "status" has it when
// the use case says nothing better.
func (s Status) String() string {
	if s < 0 || int(s) >= len(statuses) {
		return fmt.Sprintf("Status(%d)", int(s))
	}
	return statuses[s].word
}

// Meaning returns the status in a few words for people.
func (s Status) Meaning() string {
	if s < 0 || int(s) >= len(statuses) {
		return s.String()
	}
	return statuses[s].meaning
}

// Outcomes returns all statuses in the order of their exit status.
func Statuses() []Status {
	all := make([]Status, len(statuses))
	for i := range all {
		all[i] = Status(i)
	}
	return all
}

// An Error is an error with the status that the process ends with because of it,
// and perhaps with what a person can do about it.
type Error struct {
	Status Status
	Err    error
	Hint   string // the permission to grant, the input to set; shown on a line of its own
}

// Error returns the cause's message without the hint.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExitStatus returns the error's status.
func (e *Error) ExitStatus() Status { return e.Status }

// Refuse is an error that says why a run did not start. Nothing was changed.
func Refuse(hint string, reasons ...string) *Error {
	text := strings.Join(reasons, "\n  - ")
	if len(reasons) > 1 {
		text = fmt.Sprintf("%d reasons not to start:\n  - %s", len(reasons), text)
	}
	return &Error{Status: CouldNotRun, Err: errors.New(text), Hint: hint}
}

// Of returns the status of an error and its hint: Done for nil, CouldNotRun for
// an error that carries none.
func Of(err error) (Status, string) {
	if err == nil {
		return Done, ""
	}
	var hint string
	var own *Error
	if errors.As(err, &own) {
		hint = own.Hint
	}
	var carrier interface{ ExitStatus() Status }
	if errors.As(err, &carrier) {
		return carrier.ExitStatus(), hint
	}
	return CouldNotRun, hint
}
