package source

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// ErrMixed says that a question asked of a source is the same for both
// versions. Its answer would mix them, and a number that mixes them says nothing
// about either.
var ErrMixed = errors.New("cannot tell the versions apart")

// Names are what the two versions are called where a source knows them.
type Names struct {
	// Namespace of both.
	Namespace string
	// Service is the stable Service, CanaryService the canary's; empty for
	// Service with "-canary" added.
	Service, CanaryService string
	// Stable and Canary are what the source calls the versions, such as the
	// values of a label; empty for "stable" and "canary".
	Stable, Canary string
}

// ServiceOf returns the name of a version's Service.
func (n Names) ServiceOf(v rollout.Side) string {
	switch {
	case v != rollout.SideCanary:
		return n.Service
	case n.CanaryService != "":
		return n.CanaryService
	}
	return n.Service + "-canary"
}

// Of returns what the source calls a version.
func (n Names) Of(v rollout.Side) string {
	switch {
	case v == rollout.SideStable && n.Stable != "":
		return n.Stable
	case v == rollout.SideCanary && n.Canary != "":
		return n.Canary
	}
	return string(v)
}

// Fill replaces ${version}, ${service} and ${namespace} in a text by those of a
// version. Any other ${name} is an error, and so is a name that is empty.
func (n Names) Fill(text string, v rollout.Side) (string, error) {
	return Fill(text, map[string]string{"version": n.Of(v), "service": n.ServiceOf(v), "namespace": n.Namespace})
}

// FillBoth fills a text for either version and returns ErrMixed if the two are
// the same.
func (n Names) FillBoth(text string) (stable, canary string, err error) {
	if stable, err = n.Fill(text, rollout.SideStable); err != nil {
		return "", "", err
	}
	if canary, err = n.Fill(text, rollout.SideCanary); err != nil {
		return "", "", err
	}
	return stable, canary, TellsApart(stable, canary)
}

// Fill replaces each ${name} in a text by its value. A name that has no value, or
// an empty one, and a ${ without an end are errors: a query with a hole in it
// would ask for something else. A $ that is not followed by { is left alone.
func Fill(text string, values map[string]string) (string, error) {
	var filled strings.Builder
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "${")
		filled.WriteString(before)
		if !found {
			return filled.String(), nil
		}
		name, next, closed := strings.Cut(after, "}")
		if !closed {
			return "", fmt.Errorf("%q: ${ has no }", text)
		}
		value, known := values[name]
		if !known {
			return "", fmt.Errorf("%q: ${%s} is not known, want one of %s", text, name, choices(values))
		}
		if value == "" {
			return "", fmt.Errorf("%q: ${%s} has no value", text, name)
		}
		filled.WriteString(value)
		rest = next
	}
}

func choices(values map[string]string) string {
	var names []string
	for name := range values {
		names = append(names, "${"+name+"}")
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// TellsApart returns ErrMixed if what is asked for the stable version is what is
// asked for the canary.
func TellsApart(stable, canary string) error {
	if stable == canary {
		return fmt.Errorf("%w: %q is asked for both", ErrMixed, stable)
	}
	return nil
}
