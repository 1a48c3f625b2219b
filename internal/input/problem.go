package input

import (
	"errors"
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/exit"
)

// A Problem is one value that cannot be taken.
type Problem struct {
	Name    string // the input's name, or the argument that is none
	Source  Source // where the value came from; the zero value when it came from nowhere
	Value   string // as given; "" for a secret
	Reason  string // what is wrong with it
	Allowed string // what would be taken; "" when there is nothing to say
}

// Error says the problem on one line.
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

// Problems is everything wrong with the input of one run. It is the error of
// [Spec.Parse]; use cases return it too for values that do not go together.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// ExitStatus is that of bad input.
func (ps Problems) ExitStatus() exit.Status { return exit.BadInput }

// Err returns the problems as an error, or nil when there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// ErrHelp is returned by [Spec.Parse] when the arguments ask for help.
var ErrHelp = errors.New("help asked for")
