// Package input has one definition for every input of a use case.
//
// A [Def] defines a value once. The flag, the action input, the environment
// variable, the help text, the inputs of action.yml and the tables of the
// documents all come from it. A [Spec] is what a use case exports: its inputs,
// outputs and permissions.
//
// Values are resolved in this order: flag, action input, environment, default.
// An empty value counts as unset. Nothing falls back silently: unknown flags,
// unknown values and values out of range are errors, and all input errors are
// reported together.
//
// The package reads no process state: arguments and environment are passed in.
package input

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Kind is the type of a value and selects its parser.
type Kind int

// The kinds of values. Each has one getter on [Values].
const (
	String   Kind = iota // any text on one line
	Int                  // a whole number
	Float                // a number
	Bool                 // true or false
	Duration             // Go units, or a whole number in units of Def.Bare
	List                 // several lines, one item each
	Enum                 // one of Def.Allowed
	Steps                // weights in percent, rising to 100
	URL                  // an absolute http or https URL
	Regexp               // a regular expression in Go's syntax
)

var kindNames = []string{"string", "int", "float", "bool", "duration", "list", "enum", "steps", "url", "regexp"}

// String returns the kind's name in lower case.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return kindNames[k]
}

// A Range bounds a number, inclusive. The unit for durations is the second.
type Range struct {
	Min, Max float64
}

// A Def defines one value.
type Def struct {
	Name       string        // in kebab case, as in action.yml and after "--"
	Kind       Kind          // the parser; the zero value is String
	Default    string        // as a person would type it; "" when there is none
	Discovered string        // describes what an unset value resolves to; "" for nothing
	Allowed    []string      // the values of an Enum
	Later      []string      // planned values of an Enum, refused with their own message
	Range      *Range        // bounds of an Int, Float or Duration; nil is no bounds
	Unit       string        // "%" may follow a number; shown in the tables
	Bare       time.Duration // the unit of a number without unit in a Duration; zero is a second
	Form       *Form         // the format of a String; nil is any
	Required   bool          // an error when unset everywhere
	// RequiredFor limits Required to values of other inputs, "name=value" with
	// spaces between; "" is all.
	RequiredFor string
	// OnlyFor limits the input to values of other inputs, in the form of
	// RequiredFor: elsewhere another value than the default is an error.
	OnlyFor    string
	Secret     bool   // never shown; masked before anything is printed
	Env        string // the environment variable it falls back to, if any
	Alias      string // another flag name for the same value
	Off        string // the name of the switch that sets a Bool to false
	Positional bool   // may be given as the only argument without a flag
	Group      string // the heading under which tables and help list it; "" for none
	Help       string // one sentence, no full stop needed at the start of a table
	Example    string // an example value
}

// An Output defines one output of a run.
type Output struct {
	Name string // in kebab case, as in action.yml
	Help string // one sentence
}

// A Permission is one permission that the use case needs, and why.
type Permission struct {
	Where string // "GitHub token" or "Kubernetes"
	What  string // such as "contents: read" or "patch deployments.apps"
	Why   string // one sentence
}

// A Spec is the public interface of a use case: inputs, outputs, permissions.
type Spec struct {
	Name        string   // the action's short name, such as "deploy"
	Title       string   // the action's name in a list of actions
	Description string   // one or two sentences
	Inputs      []Def    // grouped: the inputs of a group are adjacent
	First       []string // the most used inputs, in the order of their table
	Outputs     []Output
	Permissions []Permission
	// Together returns what is wrong with values that are right by themselves; nil
	// finds nothing. A value that is wrong by itself is unset for it.
	Together func(Values) Problems
}

// Def returns the definition of the named input.
func (s Spec) Def(name string) (Def, bool) {
	i := slices.IndexFunc(s.Inputs, func(d Def) bool { return d.Name == name })
	if i < 0 {
		return Def{}, false
	}
	return s.Inputs[i], true
}

// HasOutput reports whether the output is declared.
func (s Spec) HasOutput(name string) bool {
	return slices.ContainsFunc(s.Outputs, func(o Output) bool { return o.Name == name })
}

// Check returns an error for an inconsistent Spec: a duplicate name, an invalid
// default, an enum without values. The test of each use case calls it.
func (s Spec) Check() error {
	var problems Problems
	seen := map[string]string{}
	claim := func(name, by string) {
		if other, ok := seen[name]; ok && name != "" {
			problems = append(problems, Problem{Name: by, Reason: fmt.Sprintf("%q is taken by %s", name, other)})
		}
		seen[name] = by
	}
	positional := 0
	for _, d := range s.Inputs {
		for _, name := range []string{d.Name, d.Alias, d.Off, d.Env} {
			claim(name, d.Name)
		}
		if d.Positional {
			positional++
		}
		problems = append(problems, d.check()...)
	}
	for _, name := range s.First {
		if _, ok := s.Def(name); !ok {
			problems = append(problems, Problem{Name: name, Reason: "listed in First and not defined"})
		}
	}
	if positional > 1 {
		problems = append(problems, Problem{Name: s.Name, Reason: "more than one positional input"})
	}
	return problems.Err()
}

func (d Def) check() Problems {
	var problems Problems
	bad := func(reason string) { problems = append(problems, Problem{Name: d.Name, Reason: reason}) }
	if d.Name != strings.ToLower(d.Name) || strings.ContainsAny(d.Name, "_ ") {
		bad("the name is not in kebab case")
	}
	if (d.Kind == Enum) != (len(d.Allowed) > 0) {
		bad("allowed values belong to an enum, and only there")
	}
	if d.Off != "" && d.Kind != Bool {
		bad("only a bool has a switch that turns it off")
	}
	if d.Help == "" {
		bad("no help")
	}
	for _, text := range []string{d.Default, d.Example} {
		if text == "" {
			continue
		}
		if _, err := d.parse(text); err != nil {
			bad(fmt.Sprintf("its own value %q: %v", text, err))
		}
	}
	return problems
}

// Group lists inputs under a heading of the tables and the help.
func Group(name string, defs []Def) []Def {
	for i := range defs {
		defs[i].Group = name
	}
	return defs
}
