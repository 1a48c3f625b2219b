package rules

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
)

// A warner receives what is ignored, or most likely wrong.
type warner func(format string, args ...any)

// ParseRedirects reads a _redirects file. A line is
//
//	from [name=value ...] [to] [status[!]] [condition=value ...]
//
// with a comment after #. The destination may be missing if from ends in /* and the status
// is 2xx. All invalid lines are reported together.
func ParseRedirects(text string) ([]Redirect, []string, error) {
	var rules []Redirect
	warnings, err := lines(RedirectsName, text, func(line string, warn func(string, ...any)) error {
		r, err := parseRedirect(fields(line), warn)
		if err == nil {
			rules = append(rules, r)
		}
		return err
	})
	return rules, warnings, err
}

// fields splits a line into words, up to a comment.
func fields(line string) []string {
	words := strings.FieldsFunc(line, isSpace)
	if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "#") }); i >= 0 {
		words = words[:i]
	}
	return words
}

func parseRedirect(words []string, warn warner) (Redirect, error) {
	if len(words) < 2 {
		return Redirect{}, errors.New("the destination is missing")
	}
	r := Redirect{From: words[0]}
	rest, hasTo := words[1:], false
	var err error
	if _, ok := leadingInteger(rest[0]); !ok {
		i := slices.IndexFunc(rest, isTarget)
		if i < 0 {
			return Redirect{}, errors.New(`the destination must begin with "/", "http://" or "https://"`)
		}
		if r.Query, err = pairs(rest[:i], warn); err != nil {
			return Redirect{}, err
		}
		r.To, hasTo, rest = rest[i], true, rest[i+1:]
	}
	if len(rest) > 0 {
		if err := r.setStatus(rest[0], warn); err != nil {
			return Redirect{}, err
		}
		r.Force = strings.HasSuffix(rest[0], "!")
		rest = rest[1:]
	}
	if r.Conditions, err = pairs(rest, warn); err != nil {
		return Redirect{}, err
	}
	for _, name := range []string{"Sign", "signed"} {
		if v, ok := r.Conditions[name].(string); ok {
			r.Signed = v
			delete(r.Conditions, name)
		}
	}
	return r.normalized(hasTo, warn)
}

// setStatus sets the status to the integer at the beginning of a text.
func (r *Redirect) setStatus(text string, warn warner) error {
	n, ok := leadingInteger(text)
	if !ok {
		return fmt.Errorf("the status %q is not a number", text)
	}
	r.Status = &n
	if n < 100 || n > 599 || strings.TrimSuffix(text, "!") != fmt.Sprint(n) {
		warn("the status %q is taken for %d", text, n)
	}
	return nil
}

func isTarget(word string) bool { return strings.HasPrefix(word, "/") || isURL(word) }

func isURL(word string) bool {
	return strings.HasPrefix(word, "http://") || strings.HasPrefix(word, "https://")
}

// pairs reads name=value. A name alone has no value, and takes an earlier one away.
func pairs(words []string, warn warner) (map[string]any, error) {
	got := map[string]any{}
	for _, w := range words {
		name, rest, ok := strings.Cut(w, "=")
		value, more, isMore := strings.Cut(rest, "=")
		if ok && name == "" {
			return nil, fmt.Errorf("%q has no name before the =", w)
		}
		if _, twice := got[name]; twice {
			warn("%q is given twice: the last one counts", name)
		}
		switch {
		case !ok:
			warn("%q is not of the form name=value and is ignored", w)
			delete(got, name)
			continue
		case isMore:
			warn("%q: %q is ignored", w, "="+more)
		case value == "":
			warn("%q has no value", w)
		}
		got[name] = value
	}
	return got, nil
}

// normalized checks a rule of either file, and brings it into the form that is
// published.
func (r Redirect) normalized(hasTo bool, warn warner) (Redirect, error) {
	if err := r.checkFrom(warn); err != nil {
		return r, err
	}
	if !hasTo {
		if !strings.HasSuffix(r.From, "/*") || r.Status == nil || *r.Status/100 != 2 {
			return r, errors.New("the destination is missing")
		}
		r.To = strings.TrimSuffix(r.From, "*") + ":splat"
	}
	r.splitConditions(warn)
	for _, table := range []*map[string]any{&r.Query, &r.Conditions, &r.Headers} {
		if len(*table) == 0 {
			*table = nil
		}
	}
	return r, nil
}

func (r Redirect) checkFrom(warn warner) error {
	at := r.From
	if isURL(at) {
		u, err := url.Parse(at)
		if err != nil || u.Hostname() == "" {
			return fmt.Errorf("%q is not a URL", r.From)
		}
		at = path.Clean("/" + u.Path)
	} else if !strings.HasPrefix(at, "/") {
		warn(`%q begins neither with "/" nor with "http://" or "https://": it will hardly match a request`, r.From)
	}
	if strings.HasPrefix(at, "/.netlify") {
		return fmt.Errorf("%q: paths below /.netlify are reserved by Netlify", r.From)
	}
	return nil
}

// listConditions are the conditions that are lists. Their names may be lower case.
var listConditions = []string{"Role", "Language", "Country"}

// splitConditions splits the conditions that are lists, under their proper names.
func (r *Redirect) splitConditions(warn warner) {
	for _, name := range listConditions {
		lower := strings.ToLower(name)
		if v, ok := r.Conditions[lower]; ok {
			if _, both := r.Conditions[name]; both {
				warn("the conditions %s and %s are the same: %s counts", name, lower, lower)
			}
			delete(r.Conditions, lower)
			r.Conditions[name] = v
		}
		text, ok := r.Conditions[name].(string)
		if !ok {
			continue
		}
		list := comma.Split(trim(text), -1)
		if slices.Contains(list, "") {
			warn("condition %s: %q holds an empty item", name, text)
		}
		r.Conditions[name] = list
	}
}
