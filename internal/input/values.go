package input

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"time"
)

// A Setting is one input of one run: its text, its source, its typed value.
type Setting struct {
	Def    Def
	Text   string // as given, or the default; "" when there is none
	Source Source
	value  any
}

// Values are the typed inputs of one run. Getters panic if the name is not
// declared or has another kind: both are programming errors. An unset input
// without a default returns the zero value.
type Values struct {
	spec     string
	order    []string
	settings map[string]Setting
}

// All returns every setting in the order of the Spec.
func (v Values) All() []Setting {
	all := make([]Setting, len(v.order))
	for i, name := range v.order {
		all[i] = v.settings[name]
	}
	return all
}

// Secrets returns the texts of all secret inputs that are set.
func (v Values) Secrets() []string {
	var secrets []string
	for _, s := range v.All() {
		if s.Def.Secret && s.Text != "" {
			secrets = append(secrets, s.Text)
		}
	}
	return secrets
}

// IsSet reports whether the user gave a value, as opposed to the default.
func (v Values) IsSet(name string) bool {
	s := v.setting(name)
	return s.Text != "" && s.Source.Kind != "default"
}

// Differs reports whether the user gave another value than the default.
func (v Values) Differs(name string) bool {
	s := v.setting(name)
	return v.IsSet(name) && !reflect.DeepEqual(s.value, s.Def.zero())
}

// Source returns where the value came from.
func (v Values) Source(name string) Source { return v.setting(name).Source }

// Text returns a value as it was given, or the default: a List with its blank lines.
func (v Values) Text(name string) string { return v.setting(name).Text }

// Problem returns a problem with the named input, for rules that span several
// inputs.
func (v Values) Problem(name, reason string) Problem {
	s := v.setting(name)
	p := Problem{Name: name, Source: s.Source, Value: s.Text, Reason: reason}
	if s.Def.Secret {
		p.Value = ""
	}
	return p
}

// String returns a value of kind String or Enum.
func (v Values) String(name string) string {
	if v.setting(name).Def.Kind == Enum {
		return get[string](v, name, Enum)
	}
	return get[string](v, name, String)
}

// Int returns a value of kind Int.
func (v Values) Int(name string) int { return get[int](v, name, Int) }

// Float returns a value of kind Float.
func (v Values) Float(name string) float64 { return get[float64](v, name, Float) }

// Bool returns a value of kind Bool.
func (v Values) Bool(name string) bool { return get[bool](v, name, Bool) }

// Duration returns a value of kind Duration.
func (v Values) Duration(name string) time.Duration { return get[time.Duration](v, name, Duration) }

// List returns a value of kind List.
func (v Values) List(name string) []string { return get[[]string](v, name, List) }

// Steps returns a value of kind Steps.
func (v Values) Steps(name string) []Step { return get[[]Step](v, name, Steps) }

// URL returns a value of kind URL; nil when unset.
func (v Values) URL(name string) *url.URL { return get[*url.URL](v, name, URL) }

// Regexp returns a value of kind Regexp; nil when unset.
func (v Values) Regexp(name string) *regexp.Regexp { return get[*regexp.Regexp](v, name, Regexp) }

// Given returns the texts of the inputs that the user gave, without secrets.
func (v Values) Given() map[string]string {
	given := map[string]string{}
	for _, s := range v.All() {
		if !s.Def.Secret && v.IsSet(s.Def.Name) {
			given[s.Def.Name] = s.Text
		}
	}
	return given
}

// With returns v with other values for the inputs that the user did not give.
// Unknown names and invalid texts are errors.
func (v Values) With(recorded map[string]string) (Values, error) {
	return v.with(recorded, Source{Kind: "record"}, v.IsSet)
}

// Replace returns v with other values for some inputs, whoever gave them. source names
// where they come from. Unknown names and invalid texts are errors.
func (v Values) Replace(others map[string]string, source Source) (Values, error) {
	return v.with(others, source, func(string) bool { return false })
}

// Without returns v with some inputs as if the user had not given them.
func (v Values) Without(names ...string) Values {
	v.settings = maps.Clone(v.settings)
	for _, name := range names {
		d := v.setting(name).Def
		v.settings[name] = Setting{Def: d, Text: d.Default, Source: Source{Kind: "default"}, value: d.zero()}
	}
	return v
}

// with returns v with other values for the inputs that are not to be kept.
func (v Values) with(recorded map[string]string, source Source, keep func(string) bool) (Values, error) {
	settings := maps.Clone(v.settings)
	var problems Problems
	for _, name := range slices.Sorted(maps.Keys(recorded)) {
		s, ok := settings[name]
		if !ok {
			problems = append(problems, Problem{Name: name, Source: source, Reason: "is not an input of " + v.spec})
			continue
		}
		if keep(name) {
			continue
		}
		parsed, err := s.Def.parse(recorded[name])
		if err != nil {
			problems = append(problems, Problem{Name: name, Source: source, Value: recorded[name], Reason: err.Error(), Allowed: s.Def.Allows()})
			continue
		}
		s.Text, s.Source, s.value = recorded[name], source, parsed
		settings[name] = s
	}
	v.settings = settings
	return v, problems.Err()
}

func (v Values) setting(name string) Setting {
	s, ok := v.settings[name]
	if !ok {
		panic(fmt.Sprintf("input: %s declares no input %q", v.spec, name))
	}
	return s
}

func get[T any](v Values, name string, kind Kind) T {
	s := v.setting(name)
	if s.Def.Kind != kind {
		panic(fmt.Sprintf("input: %q is a %v, read as %v", name, s.Def.Kind, kind))
	}
	t, _ := s.value.(T) // nil when unset
	return t
}
