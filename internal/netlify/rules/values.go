package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A value is one of a TOML file, with its key.
type value struct {
	key string
	v   any
}

// wrong is the error of a value of the wrong type.
func (v value) wrong(want string) error { return fmt.Errorf("%s: want %s, not %v", v.key, want, v.v) }

func (v value) text() (string, error) {
	s, ok := v.v.(string)
	if !ok {
		return "", v.wrong("a text")
	}
	return s, nil
}

// table returns a table, nil without a value.
func (v value) table() (map[string]any, error) {
	m, ok := v.v.(map[string]any)
	if !ok && v.v != nil {
		return nil, v.wrong("a table")
	}
	return m, nil
}

// tables returns an array of tables, in either of TOML's spellings.
func (v value) tables() ([]map[string]any, error) {
	switch list := v.v.(type) {
	case nil:
		return nil, nil
	case []map[string]any:
		return list, nil
	case []any:
		var out []map[string]any
		for _, item := range list {
			m, ok := item.(map[string]any)
			if !ok {
				return nil, v.wrong("tables")
			}
			out = append(out, m)
		}
		return out, nil
	}
	return nil, v.wrong("tables, as in [[" + v.key + "]]")
}

// headerValues returns the values of headers: texts, or lists of texts to be joined.
func (v value) headerValues(warn warner) (map[string]string, error) {
	m, err := v.table()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		name := trim(key)
		if err := checkName(name, warn); err != nil {
			return nil, err
		}
		switch item := m[key].(type) {
		case string:
			out[name] = joinedValue(item)
		case []any:
			if out[name], err = joinedList(item); err != nil {
				return nil, fmt.Errorf("%s.%s: %w", v.key, key, err)
			}
		default:
			return nil, value{v.key + "." + key, item}.wrong("a text or a list of texts")
		}
	}
	return out, nil
}

func (v value) boolean() (bool, error) {
	b, ok := v.v.(bool)
	if !ok {
		return false, v.wrong("true or false")
	}
	return b, nil
}

// status sets the status of a rule.
func (v value) status(r *Redirect, warn warner) error {
	switch status := v.v.(type) {
	case int64, float64:
		return r.setStatus(fmt.Sprint(status), warn)
	case string:
		return r.setStatus(status, warn)
	}
	return v.wrong("a status of three digits")
}

func joinedList(items []any) (string, error) {
	var out []string
	for _, item := range items {
		s, ok := item.(string)
		if !ok {
			return "", errors.New("want texts")
		}
		out = append(out, trim(s))
	}
	return joinedValue(strings.Join(out, ", ")), nil
}
