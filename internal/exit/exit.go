// Package exit has the exit statuses of every command and the one error type
// that carries them. An error gets its status where it arises, so no caller has
// to derive it from a type or a text.
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
	Done        Status = iota // the run did what it was asked to do
	CouldNotRun               // the run could not read or change something
	BadInput                  // the inputs are wrong; nothing was changed
	GateRefused               // a gate refused
	Aborted                   // the rollout was aborted; stable is serving
	AbortFailed               // the abort failed too, or nothing serves after it
)

var statuses = []struct{ word, meaning string }{
	Done:        {"done", "done"},
	CouldNotRun: {"failed", "could not run"},
	BadInput:    {"bad-input", "bad input; nothing was changed"},
	GateRefused: {"refused", "a gate refused"},
	Aborted:     {"aborted", "aborted; stable is serving"},
	AbortFailed: {"abort-failed", "the abort failed, or nothing serves after it: check it now"},
}

// Code returns the exit status of the process.
func (s Status) Code() int { return int(s) }

// String returns the status in one word. The output "status" has it unless the
// use case sets its own.
func (s Status) String() string {
	if s < 0 || int(s) >= len(statuses) {
		return fmt.Sprintf("Status(%d)", int(s))
	}
	return statuses[s].word
}

// Meaning describes the status in a few words.
func (s Status) Meaning() string {
	if s < 0 || int(s) >= len(statuses) {
		return s.String()
	}
	return statuses[s].meaning
}

// Statuses returns all statuses in the order of their numbers.
func Statuses() []Status {
	all := make([]Status, len(statuses))
	for i := range all {
		all[i] = Status(i)
	}
	return all
}

// An Error is an error with the exit status of the process and, if there is
// one, a hint what to do.
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

// Refuse returns an error with the reasons why a run did not start. Nothing was
// changed.
func Refuse(hint string, reasons ...string) *Error {
	text := strings.Join(reasons, "\n  - ")
	if len(reasons) > 1 {
		text = fmt.Sprintf("%d problems prevent the start:\n  - %s", len(reasons), text)
	}
	return &Error{Status: CouldNotRun, Err: errors.New(text), Hint: hint}
}

// Of returns the status of an error and its hint: Done for nil, CouldNotRun for
// an error without a status.
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
