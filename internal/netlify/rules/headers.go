package rules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ParseHeaders reads a _headers file: a path on one line, and below it the headers of
// its responses, as "Name: value". A name given twice gets both values. All invalid
// lines are reported together.
func ParseHeaders(text string) ([]Header, []string, error) {
	var rules []Header
	warnings, err := lines(HeadersName, text, func(line string, warn func(string, ...any)) error {
		if strings.HasPrefix(line, "/") {
			rules = append(rules, Header{For: line, Values: map[string]string{}})
			return nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			warn(`neither a path, which begins with "/", nor "Name: value": it is ignored`)
			return nil
		}
		name, value = trim(name), trim(value)
		if value == "" && name != "" {
			return errors.New("the value is missing")
		}
		if err := checkName(name, warn); err != nil {
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
	rules = slices.DeleteFunc(rules, func(h Header) bool { return len(h.Values) == 0 })
	for _, h := range rules {
		for name, value := range h.Values {
			h.Values[name] = joinedValue(value)
		}
	}
	return rules, warnings, err
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// checkName checks the name of a header, of which netlify-cli refuses hardly any.
func checkName(name string, warn warner) error {
	if name == "" || name == "undefined" {
		return fmt.Errorf("%q is not a header name", name)
	}
	if !headerName.MatchString(name) {
		warn("%q is not a header name", name)
	}
	return nil
}

// joinedValue normalizes the commas of a value.
func joinedValue(value string) string { return comma.ReplaceAllString(trim(value), ", ") }
