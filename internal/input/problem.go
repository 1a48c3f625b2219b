package input

import (
	"errors"
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/exit"
)

// A Problem is one invalid value or argument.
type Problem struct {
	Name    string // the input's name, or the unknown argument
	Source  Source // where the value came from; zero if there is no value
	Value   string // as given; "" for a secret
	Reason  string // what is wrong with it
	Allowed string // the allowed values; "" if there is nothing to add
}

// Error returns the problem on one line.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Name)
	if p.Source != (Source{}) {
		fmt.Fprintf(&b, " (%s)", p.Source)
	}
	if p.Value != "" {
		fmt.Fprintf(&b, ": %q", p.Value)
	}
	fmt.Fprintf(&b, ": %s", p.Reason)
	if p.Allowed != "" {
		fmt.Fprintf(&b, "; allowed: %s", p.Allowed)
	}
	return b.String()
}

// Problems are all input errors of one run. [Spec.Parse] returns it; use cases
// also return it for values that contradict each other.
type Problems []Problem

// Error lists the problems, one per line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// ExitStatus returns exit.BadInput.
func (ps Problems) ExitStatus() exit.Status { return exit.BadInput }

// Err returns the problems as an error, or nil when there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// ErrHelp is returned by [Spec.Parse] when the arguments ask for help.
var ErrHelp = errors.New("help requested")
