package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Problem is one thing that is wrong with a configuration. It is an error.
type Problem struct {
	// Path of the field, such as metrics[1].errors.rate; empty for the
	// configuration itself.
	Path string
	// Have is what the field has, Want what is allowed there.
	Have, Want string
}

// Error implements error.
func (p Problem) Error() string {
	where := p.Path
	if where == "" {
		where = "it"
	}
	return fmt.Sprintf("%s is %s: want %s", where, p.Have, p.Want)
}

// Problems collects what is wrong with a configuration, each with the field it is
// about.
type Problems struct {
	at  string // the path of the object that is validated
	all *[]Problem
}

// NewProblems returns an empty list, and the function that returns what was added to
// it.
func NewProblems() (p Problems, found func() []Problem) {
	var all []Problem
	return Problems{all: &all}, func() []Problem { return all }
}

// Joined is all of them in one error; nil for none.
func Joined(all []Problem) error {
	var errs []error
	for _, p := range all {
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// At is the same list for the fields of an object below.
func (p Problems) At(field string) Problems { return Problems{at: p.path(field), all: p.all} }

// Want adds a problem unless ok: what the field has, and what is wanted there. An
// empty field is the object itself.
func (p Problems) Want(ok bool, field string, have any, want string) {
	if !ok {
		*p.all = append(*p.all, Problem{Path: p.path(field), Have: fmt.Sprint(have), Want: want})
	}
}

// OneOf adds a problem unless have is one of the policies that are allowed.
func (p Problems) OneOf(field string, have rollout.Policy, allowed ...rollout.Policy) {
	p.Want(slices.Contains(allowed, have), field, fmt.Sprintf("%q", have), fmt.Sprintf("one of %q", allowed))
}

func (p Problems) path(field string) string {
	if p.at == "" || field == "" {
		return p.at + field
	}
	return p.at + "." + field
}

// name holds a name to what may be one, and to being the only one of its kind.
func (p Problems) name(name string, seen map[string]bool) {
	ok := name != "" && len(name) <= 63 && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	p.Want(ok, "name", fmt.Sprintf("%q", name), "letters, digits, '-', '_' and '.', at most 63")
	p.Want(!seen[name], "name", fmt.Sprintf("%q", name), "a name of its own")
	seen[name] = true
}

// finite says whether v is a number that can be compared with others.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// number adds a problem unless a value that may be left out is a number.
func (p Problems) number(field string, v *float64) {
	if v != nil {
		p.Want(finite(*v), field, *v, "a number")
	}
}
