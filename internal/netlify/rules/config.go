package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// ParseConfig reads the rules of a netlify.toml. It reports all invalid entries. The
// warnings name edge functions and contexts, which are not published.
func ParseConfig(text string) (Rules, error) {
	var top map[string]any
	text = strings.ToValidUTF8(strings.TrimPrefix(text, "\uFEFF"), "\uFFFD")
	if _, err := toml.Decode(text, &top); err != nil {
		var wrong toml.ParseError
		if errors.As(err, &wrong) {
			return Rules{}, fmt.Errorf("line %d: %s", wrong.Position.Line, wrong.Message)
		}
		return Rules{}, err
	}
	var r Rules
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	err0 := checkConfig(top, warn)
	var err1, err2, err3, err4 error
	r.Images, err1 = value{"images", top["images"]}.table()
	r.Redirects, err2 = entries(value{"redirects", top["redirects"]}, warn, configRedirect)
	r.Headers, err3 = entries(value{"headers", top["headers"]}, warn, configHeader)
	r.Headers = slices.DeleteFunc(r.Headers, func(h Header) bool { return len(h.Values) == 0 })
	r.Build, err4 = processing(top)
	return r, errors.Join(err0, err1, err2, err3, err4)
}

// entries reads each table of an array, and joins the errors.
func entries[T any](v value, warn warner, parse func(map[string]any, warner) (T, error)) ([]T, error) {
	tables, err := v.tables()
	errs := []error{err}
	var all []T
	for i, table := range tables {
		at := fmt.Sprintf("%s, entry %d", v.key, i+1)
		one, err := parse(table, func(format string, args ...any) { warn("%s: %s", at, fmt.Sprintf(format, args...)) })
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
		}
		all = append(all, one)
	}
	return all, errors.Join(errs...)
}

// names are the keys of a redirect, each with its older names.
var names = map[string][]string{
	"from": {"from", "origin"}, "to": {"to", "destination"}, "query": {"query", "params", "parameters"}, "signed": {"signed", "signing", "sign"},
	"status": {"status"}, "force": {"force"}, "conditions": {"conditions"}, "headers": {"headers"}, "rate_limit": {"rate_limit"},
}

func configRedirect(entry map[string]any, warn warner) (Redirect, error) {
	var r Redirect
	var errs []error
	known := map[string]string{} // key to name
	for name, keys := range names {
		for _, key := range keys {
			known[key] = name
		}
	}
	for _, key := range slices.Sorted(maps.Keys(entry)) {
		name, ok := known[key]
		first := slices.IndexFunc(names[name], func(k string) bool { return entry[k] != nil })
		switch {
		case !ok:
			warn("unknown key %q is ignored", key)
		case names[name][first] != key:
			warn("%s and %s are the same: %s counts", names[name][first], key, names[name][first])
		default:
			errs = append(errs, r.set(name, value{key, entry[key]}, warn))
		}
	}
	if entry["from"] == nil && entry["origin"] == nil {
		errs = append(errs, errors.New("the path to redirect from is missing"))
	}
	if err := errors.Join(errs...); err != nil {
		return r, err
	}
	return r.normalized(entry["to"] != nil || entry["destination"] != nil, warn)
}

// set sets one key of a rule.
func (r *Redirect) set(name string, v value, warn warner) (err error) {
	switch name {
	case "from":
		r.From, err = v.text()
	case "to":
		r.To, err = v.text()
	case "signed":
		r.Signed, err = v.text()
	case "query":
		r.Query, err = v.table()
	case "headers":
		r.Headers, err = v.table()
	case "rate_limit":
		r.RateLimit, err = v.table()
	case "conditions":
		r.Conditions, err = v.table()
	case "status":
		err = v.status(r, warn)
	case "force":
		r.Force, err = v.boolean()
	}
	return err
}

func configHeader(entry map[string]any, warn warner) (Header, error) {
	var h Header
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(entry)) {
		v := value{key, entry[key]}
		var err error
		switch key {
		case "for":
			h.For, err = v.text()
			h.For = trim(h.For)
		case "values":
			h.Values, err = v.headerValues(warn)
		default:
			warn("unknown key %q is ignored", key)
		}
		errs = append(errs, err)
	}
	if entry["for"] == nil {
		errs = append(errs, errors.New(`"for" is missing`))
	}
	if h.For != "" && !strings.HasPrefix(h.For, "/") {
		warn(`%q does not begin with "/"`, h.For)
	}
	return h, errors.Join(errs...)
}

// lower returns a value by its key, which may begin with a capital.
func lower(table map[string]any, key string) value {
	if v, ok := table[key]; ok {
		return value{key, v}
	}
	return value{key, table[strings.ToUpper(key[:1])+key[1:]]}
}

// processing returns the settings of Netlify's post-processing, nil without any.
func processing(top map[string]any) (*Build, error) {
	build, err := lower(top, "build").table()
	if err != nil {
		return nil, err
	}
	settings, err := lower(build, "processing").table()
	if err != nil || len(settings) == 0 {
		return nil, err
	}
	return &Build{settings}, nil
}

// checkConfig checks what netlify-cli checks of the parts that are not published, as far
// as it is about their types, and warns of those that change a site and are not
// published.
func checkConfig(top map[string]any, warn warner) error {
	var errs []error
	build, _ := lower(top, "build").table() // processing returns its error
	for _, key := range []string{"command", "base", "publish", "functions", "ignore", "edge_functions"} {
		if v := lower(build, key); v.v != nil {
			_, err := v.text()
			errs = append(errs, err)
		}
	}
	_, err1 := value{"functions", top["functions"]}.table()
	contexts, err2 := value{"context", top["context"]}.table()
	errs = append(errs, err1, err2)
	for _, name := range slices.Sorted(maps.Keys(contexts)) {
		context, err := value{"context." + name, contexts[name]}.table()
		errs = append(errs, err)
		for _, key := range []string{"redirects", "headers", "edge_functions", "processing"} {
			if context[key] != nil {
				warn("context.%s.%s is not published: a preview has no context of Netlify's", name, key)
			}
		}
	}
	if v := top["spa_fallback"]; v != nil {
		_, err := value{"spa_fallback", v}.boolean()
		errs = append(errs, err)
	}
	return errors.Join(append(errs, checkPlugins(top), checkEdge(top, warn))...)
}

func checkPlugins(top map[string]any) error {
	plugins, err := value{"plugins", top["plugins"]}.tables()
	errs := []error{err}
	for i, p := range plugins {
		if _, ok := p["package"].(string); !ok {
			errs = append(errs, fmt.Errorf("plugins, entry %d: \"package\" is missing", i+1))
		}
	}
	return errors.Join(errs...)
}

// checkEdge names the edge functions.
func checkEdge(top map[string]any, warn warner) error {
	edge, err := value{"edge_functions", top["edge_functions"]}.tables()
	errs := []error{err}
	for i, e := range edge {
		path, pattern := e["path"], e["pattern"]
		if name, ok := e["function"].(string); ok && (path == nil) != (pattern == nil) {
			warn("edge function %q of %v is not deployed: only Netlify's own builds and netlify-cli bundle edge functions", name, cmpOr(path, pattern))
		} else {
			errs = append(errs, fmt.Errorf("edge_functions, entry %d: \"function\" and one of \"path\" and \"pattern\" are required", i+1))
		}
	}
	return errors.Join(errs...)
}

func cmpOr(a, b any) any {
	if a != nil {
		return a
	}
	return b
}
