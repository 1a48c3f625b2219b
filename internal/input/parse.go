package input

import (
	"fmt"
	"slices"
	"strings"
)

// A Source is where a value came from.
type Source struct {
	Kind string // "flag", "argument", "input", "env", "default"
	Name string // as it is spelled there
}

// String returns both parts, such as "env STEP_DURATION".
func (s Source) String() string {
	if s.Name == "" {
		return s.Kind
	}
	return s.Kind + " " + s.Name
}

// given is one value as text, not yet parsed.
type given struct {
	text   string
	source Source
}

// Parse resolves all inputs in this order: flag, action input, environment,
// default. The error is [ErrHelp] or [Problems]. Parse returns the values even
// then, so the caller can mask secrets before it shows the problems.
func (s Spec) Parse(args []string, getenv func(string) string) (Values, error) {
	scan := scanner{spec: s, flags: map[string]given{}}
	scan.run(args)
	values := Values{spec: s.Name, settings: map[string]Setting{}}
	problems := scan.problems
	for _, d := range s.Inputs {
		set, p := d.read(scan.flags, getenv)
		if p != nil {
			problems = append(problems, *p)
		}
		values.order = append(values.order, d.Name)
		values.settings[d.Name] = set
	}
	problems = slices.DeleteFunc(problems, func(p Problem) bool {
		d, ok := s.Def(p.Name)
		return ok && p.Reason == isRequired && (scan.misplaced && d.Positional || d.RequiredFor != "" && values.settings[d.Name].Text == "" && !values.holds(d.RequiredFor))
	})
	problems = append(problems, values.idle(s.Inputs)...)
	if s.Together != nil {
		problems = append(problems, s.Together(values)...)
	}
	if scan.help {
		return values, ErrHelp
	}
	return values, problems.Err()
}

// read resolves and parses one input.
func (d Def) read(flags map[string]given, getenv func(string) string) (Setting, *Problem) {
	g := d.find(flags, getenv)
	set := Setting{Def: d, Text: g.text, Source: g.source}
	if g.text == "" {
		set.value = d.zero()
		if d.Required {
			return set, &Problem{Name: d.Name, Reason: isRequired, Allowed: d.Allows() + d.places()}
		}
		return set, nil
	}
	v, err := d.parse(g.text)
	if err != nil {
		set.value = d.zero()
		p := Problem{Name: d.Name, Source: g.source, Value: g.text, Reason: err.Error(), Allowed: d.Allows()}
		if d.Secret {
			p.Value = ""
		}
		return set, &p
	}
	set.value = v
	return set, nil
}

// isRequired is the reason of a problem with an unset input.
const isRequired = "is required"

// idle returns a problem for every input that would have no effect on this run.
func (v Values) idle(defs []Def) Problems {
	var problems Problems
	for _, d := range defs {
		if d.OnlyFor != "" && v.Differs(d.Name) && !v.holds(d.OnlyFor) {
			problems = append(problems, v.Problem(d.Name, "has an effect only with "+strings.ReplaceAll(d.OnlyFor, "=", " ")))
		}
	}
	return problems
}

// holds reports whether inputs have values, given as "name=value" with spaces
// between.
func (v Values) holds(conditions string) bool {
	for condition := range strings.FieldsSeq(conditions) {
		if name, value, _ := strings.Cut(condition, "="); v.settings[name].Text != value {
			return false
		}
	}
	return true
}

func (d Def) find(flags map[string]given, getenv func(string) string) given {
	if g, ok := flags[d.Name]; ok && g.text != "" {
		return g
	}
	if text := strings.TrimSpace(getenv(d.ActionEnv())); text != "" {
		return given{text, Source{"input", d.Name}}
	}
	if d.Env != "" {
		if text := strings.TrimSpace(getenv(d.Env)); text != "" {
			return given{text, Source{"env", d.Env}}
		}
	}
	return given{d.Default, Source{Kind: "default"}}
}

// ActionEnv is the environment variable in which the runner passes the action
// input. The runner puts '_' for a space and keeps hyphens.
func (d Def) ActionEnv() string { return "INPUT_" + strings.ToUpper(d.Name) }

func (d Def) places() string {
	if d.Env == "" {
		return fmt.Sprintf(" (as --%s or the action input)", d.Name)
	}
	return fmt.Sprintf(" (as --%s, the action input or %s)", d.Name, d.Env)
}

// zero is the value of an unset input.
func (d Def) zero() any {
	v, err := d.parse(d.Default)
	if d.Default == "" || err != nil {
		return nil
	}
	return v
}

// A scanner parses arguments into flags and collects a problem for every
// invalid one.
type scanner struct {
	spec     Spec
	flags    map[string]given
	problems Problems
	help     bool
	rest     []string
	// misplaced: an argument without a flag was meant for another input, so the
	// positional one need not be missed too.
	misplaced bool
}

func (sc *scanner) run(args []string) {
	sc.rest = args
	for len(sc.rest) > 0 {
		arg := sc.rest[0]
		sc.rest = sc.rest[1:]
		switch {
		case arg == "":
		case arg == "-h" || arg == "-help" || arg == "--help":
			sc.help = true
		case strings.HasPrefix(arg, "-") && strings.Trim(arg, "-") != "":
			sc.flag(arg)
		default:
			sc.positional(arg)
		}
	}
}

func (sc *scanner) positional(arg string) {
	for _, d := range sc.spec.Inputs {
		if d.Positional && !strings.HasPrefix(arg, "-") {
			if flag := sc.meant(d, arg); flag != "" {
				sc.misplaced = true
				sc.problems = append(sc.problems, Problem{Name: d.Name, Source: Source{Kind: "argument"}, Value: arg, Reason: "invalid format; did you mean " + flag + "?"})
				return
			}
			sc.set(d, arg, Source{Kind: "argument"})
			return
		}
	}
	sc.refuse(arg, "is not an argument of "+sc.spec.Name)
}

// meant returns the flag that a person meant with an argument which the
// positional input refuses: the enum that has such a value, or the switch of
// that name. It returns "" if there is none.
func (sc *scanner) meant(positional Def, arg string) string {
	if _, err := positional.parse(strings.TrimSpace(arg)); err == nil {
		return ""
	}
	for _, d := range sc.spec.Inputs {
		if slices.Contains(d.Allowed, arg) {
			return "--" + d.Name + " " + arg
		}
	}
	if d, _, ok := sc.lookup(arg); ok && d.Kind == Bool {
		return "--" + arg
	}
	return ""
}

func (sc *scanner) flag(arg string) {
	name, text, hasText := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	flag := strings.TrimSuffix(arg, "="+text)
	d, off, ok := sc.lookup(name)
	if !ok || strings.HasPrefix(arg, "---") {
		// Do not repeat the value: it may be a secret for another flag.
		sc.refuse(flag, "is not a flag of "+sc.spec.Name)
		return
	}
	source := Source{"flag", flag}
	if !hasText {
		text, hasText = sc.next(d)
	}
	if !hasText {
		sc.problems = append(sc.problems, Problem{Name: d.Name, Source: source, Reason: "has no value", Allowed: d.Allows()})
		return
	}
	if off {
		text = invert(text)
	}
	sc.set(d, text, source)
}

// next takes the value of a flag from the next argument. A switch takes one
// only if it is "true" or "false". An argument that starts with '-' is the next
// flag, unless a digit follows: the parser of the kind then reports a negative
// number more clearly.
func (sc *scanner) next(d Def) (string, bool) {
	var text string
	if len(sc.rest) > 0 {
		text = sc.rest[0]
	}
	if d.Kind == Bool {
		if text != "true" && text != "false" {
			return "true", true
		}
	} else if len(sc.rest) == 0 || looksLikeFlag(text) {
		return "", false
	}
	sc.rest = sc.rest[1:]
	return text, true
}

func looksLikeFlag(text string) bool {
	return len(text) > 1 && text[0] == '-' && (text[1] < '0' || text[1] > '9')
}

func invert(text string) string {
	switch text {
	case "true":
		return "false"
	case "false":
		return "true"
	}
	return text
}

func (sc *scanner) lookup(name string) (d Def, off, ok bool) {
	for _, d := range sc.spec.Inputs {
		switch name {
		case "":
		case d.Name, d.Alias:
			return d, false, true
		case d.Off:
			return d, true, true
		}
	}
	return Def{}, false, false
}

func (sc *scanner) set(d Def, text string, source Source) {
	text = strings.TrimSpace(text)
	if before, ok := sc.flags[d.Name]; ok && before.text != text {
		sc.problems = append(sc.problems, Problem{
			Name: d.Name, Source: source,
			Reason: fmt.Sprintf("is given twice with different values, first by %s", before.source),
		})
		return
	}
	sc.flags[d.Name] = given{text, source}
}

func (sc *scanner) refuse(arg, reason string) {
	sc.problems = append(sc.problems, Problem{Name: arg, Reason: reason, Allowed: "see --help"})
}
