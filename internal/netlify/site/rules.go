package site

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Redirect is one rule of _redirects or of netlify.toml, in the form of the generated
// netlify.toml. Its fields are Netlify's.
type Redirect struct {
	From       string            `toml:"from"`
	Query      map[string]string `toml:"query,omitempty"`
	To         string            `toml:"to"`
	Status     int               `toml:"status,omitzero"`
	Force      bool              `toml:"force,omitempty"`
	Conditions map[string]any    `toml:"conditions,omitempty"` // texts, and lists of them
	Signed     string            `toml:"signed,omitempty"`
	Headers    map[string]string `toml:"headers,omitempty"`
	RateLimit  map[string]any    `toml:"rate_limit,omitempty"`
}

// A Header sets response headers for some paths.
type Header struct {
	For    string            `toml:"for"`
	Values map[string]string `toml:"values"`
}

// A lineError is the line of a file that cannot be parsed.
type lineError struct {
	file string
	line int
	text string
	why  error
}

// maxQuoted is how much of a line an error quotes, in bytes.
const maxQuoted = 300

// Error implements error.
func (e *lineError) Error() string {
	text := e.text
	if len(text) > maxQuoted {
		text = strings.ToValidUTF8(text[:maxQuoted], "") + "..."
	}
	return fmt.Sprintf("%s, line %d: %q: %v", e.file, e.line, text, e.why)
}

// Unwrap returns the cause.
func (e *lineError) Unwrap() error { return e.why }

var errNotText = errors.New("not UTF-8")

// lines calls each with every line that is neither empty nor a comment, and joins the
// errors.
func lines(file, text string, each func(line string) error) error {
	text = strings.TrimPrefix(text, "\uFEFF")
	scanner := bufio.NewScanner(strings.NewReader(text))
	scanner.Buffer(nil, len(text)+1)
	var errs []error
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		err := errNotText
		if utf8.ValidString(line) {
			err = each(line)
		}
		if err != nil {
			errs = append(errs, &lineError{file, n, line, err})
		}
	}
	return errors.Join(append(errs, scanner.Err())...)
}

// ParseRedirects reads a _redirects file. A line is
//
//	from [name=value ...] [to] [status[!]] [condition=value ...]
//
// with a comment after #. The destination may be missing if from ends in /* and the status
// is 2xx. All invalid lines are reported together.
func ParseRedirects(text string) ([]Redirect, error) {
	var rules []Redirect
	err := lines(redirectsName, text, func(line string) error {
		r, err := parseRedirect(fields(line))
		if err == nil {
			rules = append(rules, r)
		}
		return err
	})
	return rules, err
}

// fields splits a line into words, up to a comment.
func fields(line string) []string {
	words := strings.Fields(line)
	if i := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "#") }); i >= 0 {
		words = words[:i]
	}
	return words
}

func parseRedirect(words []string) (Redirect, error) {
	if len(words) < 2 {
		return Redirect{}, errors.New("the destination is missing")
	}
	r := Redirect{From: words[0]}
	rest := words[1:]
	if !isStatus(rest[0]) {
		i := slices.IndexFunc(rest, isTarget)
		if i < 0 {
			return Redirect{}, errors.New(`the destination must begin with "/", "http://" or "https://"`)
		}
		query, err := pairs(rest[:i])
		if err != nil {
			return Redirect{}, err
		}
		r.Query, r.To, rest = query, rest[i], rest[i+1:]
	}
	if len(rest) > 0 && !strings.Contains(rest[0], "=") {
		if !isStatus(rest[0]) {
			return Redirect{}, fmt.Errorf("the status %q is not a number of three digits", rest[0])
		}
		r.Status, _ = strconv.Atoi(rest[0][:3])
		r.Force = strings.HasSuffix(rest[0], "!")
		rest = rest[1:]
	}
	given, err := pairs(rest)
	if err != nil {
		return Redirect{}, err
	}
	for _, name := range []string{"Sign", "signed"} {
		if v, ok := given[name]; ok {
			r.Signed = v
			delete(given, name)
		}
	}
	r.Conditions = map[string]any{}
	for name, v := range given {
		r.Conditions[name] = v
	}
	return r.normalized()
}

var statusForm = regexp.MustCompile(`^[1-5][0-9]{2}!?$`)

func isStatus(word string) bool { return statusForm.MatchString(word) }

func isTarget(word string) bool { return strings.HasPrefix(word, "/") || isURL(word) }

func isURL(word string) bool {
	return strings.HasPrefix(word, "http://") || strings.HasPrefix(word, "https://")
}

func pairs(words []string) (map[string]string, error) {
	got := map[string]string{}
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("%q is not of the form name=value", w)
		}
		if _, twice := got[name]; twice {
			return nil, fmt.Errorf("%q is given twice", name)
		}
		got[name] = value
	}
	return got, nil
}

// listConditions are the conditions that are lists. Their names may be lower case.
var listConditions = []string{"Role", "Language", "Country"}

// normalized checks a rule of either file, and brings it into the form that is sent.
func (r Redirect) normalized() (Redirect, error) {
	if r.From == "" {
		return r, errors.New("the path to redirect from is missing")
	}
	path := r.From
	if isURL(path) {
		_, after, _ := strings.Cut(path, "://")
		_, after, _ = strings.Cut(after, "/")
		path = "/" + after
	}
	if !strings.HasPrefix(path, "/") {
		return r, fmt.Errorf(`%q must begin with "/", "http://" or "https://"`, r.From)
	}
	if strings.HasPrefix(path, "/.netlify") {
		return r, fmt.Errorf("%q: paths below /.netlify are reserved by Netlify", r.From)
	}
	if r.To == "" {
		if !strings.HasSuffix(r.From, "/*") || r.Status/100 != 2 {
			return r, errors.New("the destination is missing")
		}
		r.To = strings.TrimSuffix(r.From, "*") + ":splat"
	}
	if r.Status != 0 && (r.Status < 100 || r.Status > 599) {
		return r, fmt.Errorf("%d is not an HTTP status", r.Status)
	}
	if len(r.Query) == 0 {
		r.Query = nil
	}
	if len(r.Conditions) == 0 {
		r.Conditions = nil
	}
	return r, r.splitConditions()
}

// splitConditions splits the conditions that are lists, under their proper names.
func (r *Redirect) splitConditions() error {
	for _, name := range listConditions {
		lower := strings.ToLower(name)
		v, ok := r.Conditions[lower]
		if ok {
			delete(r.Conditions, lower)
			r.Conditions[name] = v
		}
		text, ok := r.Conditions[name].(string)
		if !ok {
			continue
		}
		var list []string
		for _, item := range strings.Split(text, ",") {
			if item = strings.TrimSpace(item); item == "" {
				return fmt.Errorf("condition %s: %q holds an empty item", name, text)
			}
			list = append(list, item)
		}
		r.Conditions[name] = list
	}
	return nil
}

// ParseHeaders reads a _headers file: a path on one line, and below it the headers of
// its responses, as "Name: value". A name given twice gets both values. All invalid
// lines are reported together.
func ParseHeaders(text string) ([]Header, error) {
	var rules []Header
	err := lines(headersName, text, func(line string) error {
		if strings.HasPrefix(line, "/") {
			rules = append(rules, Header{For: line, Values: map[string]string{}})
			return nil
		}
		name, value, err := parseHeader(line)
		if err != nil {
			return err
		}
		if len(rules) == 0 {
			return errors.New("there is no path above it")
		}
		values := rules[len(rules)-1].Values
		if before, ok := values[name]; ok {
			value = before + ", " + value
		}
		values[name] = value
		return nil
	})
	return slices.DeleteFunc(rules, func(h Header) bool { return len(h.Values) == 0 }), err
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func parseHeader(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, ":")
	name, value = strings.TrimSpace(name), joinedValue(value)
	switch {
	case !ok:
		return "", "", errors.New(`neither a path, which begins with "/", nor "Name: value"`)
	case !headerName.MatchString(name):
		return "", "", fmt.Errorf("%q is not a header name", name)
	case value == "":
		return "", "", errors.New("the value is missing")
	}
	return name, value, nil
}

var comma = regexp.MustCompile(`\s*,\s*`)

// joinedValue normalizes the commas of a value.
func joinedValue(value string) string {
	return comma.ReplaceAllString(strings.TrimSpace(value), ", ")
}

// lastOfEqual keeps the last of equal rules.
func lastOfEqual[T any](rules []T) []T {
	seen := map[string]bool{}
	var kept []T
	for _, r := range slices.Backward(rules) {
		key, _ := json.Marshal(r) // texts, numbers and maps, which it sorts
		if !seen[string(key)] {
			seen[string(key)] = true
			kept = append(kept, r)
		}
	}
	slices.Reverse(kept)
	return kept
}
