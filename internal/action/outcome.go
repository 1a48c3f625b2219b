package action

import (
	"errors"
	"fmt"

	"github.com/candlefish/deploy-action/internal/input"
)

// An Outcome says how a run ended. Its number is the exit status: this is the
// only exit table of the project.
type Outcome int

// The outcomes.
const (
	Done        Outcome = iota // what was asked for is done
	CouldNotRun                // it could not be found out or acted upon
	BadInput                   // the inputs are wrong; nothing was touched
	GateRefused                // a gate said no
	Aborted                    // the rollout was aborted; stable is serving
	AbortFailed                // the abort failed too; the state is unknown
)

var outcomes = []struct{ word, meaning string }{
	Done:        {"done", "done"},
	CouldNotRun: {"failed", "could not run"},
	BadInput:    {"bad-input", "bad input; nothing was touched"},
	GateRefused: {"refused", "a gate said no"},
	Aborted:     {"aborted", "aborted; stable is serving"},
	AbortFailed: {"abort-failed", "the abort failed; the state is unknown: look at once"},
}

// ExitCode is the status the process ends with.
func (o Outcome) ExitCode() int { return int(o) }

// String returns the outcome in one word, as the output "status" has it when
// the use case says nothing better.
func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomes) {
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
	return outcomes[o].word
}

// Meaning returns the outcome in a few words for people.
func (o Outcome) Meaning() string {
	if o < 0 || int(o) >= len(outcomes) {
		return o.String()
	}
	return outcomes[o].meaning
}

// Outcomes returns all outcomes in the order of their exit status.
func Outcomes() []Outcome {
	all := make([]Outcome, len(outcomes))
	for i := range all {
		all[i] = Outcome(i)
	}
	return all
}

// An ExitError is an error that knows its outcome, and perhaps what a person
// can do about it.
type ExitError struct {
	Outcome Outcome
	Err     error
	Hint    string // the permission to grant, the input to set; shown on a line of its own
}

// Error returns the cause's message without the hint.
func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Err }

// outcomeOf finds the outcome of an error. An error that says nothing of it is
// CouldNotRun.
func outcomeOf(err error) (Outcome, string) {
	var exit *ExitError
	var problems input.Problems
	switch {
	case err == nil:
		return Done, ""
	case errors.As(err, &exit):
		return exit.Outcome, exit.Hint
	case errors.As(err, &problems):
		return BadInput, ""
	}
	return CouldNotRun, ""
}
