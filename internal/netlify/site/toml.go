package site

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
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

// texts returns a table of texts; numbers and booleans count as their text.
func (v value) texts() (map[string]string, error) {
	m, err := v.table()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		switch item := m[key].(type) {
		case string, int64, bool:
			out[key] = fmt.Sprint(item)
		default:
			return nil, value{v.key + "." + key, item}.wrong("a text")
		}
	}
	return out, nil
}

// headerValues returns the values of headers: texts, or lists of texts to be joined.
func (v value) headerValues() (map[string]string, error) {
	m, err := v.table()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		name := strings.TrimSpace(key)
		if !headerName.MatchString(name) {
			return nil, fmt.Errorf("%q is not a header name", key)
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

func (v value) status() (int, error) {
	switch value := v.v.(type) {
	case int64:
		if value >= 100 && value <= 599 {
			return int(value), nil
		}
	case string:
		if isStatus(value) {
			return strconv.Atoi(value[:3])
		}
	}
	return 0, v.wrong("a status of three digits")
}

func joinedList(items []any) (string, error) {
	var out []string
	for _, item := range items {
		s, ok := item.(string)
		if !ok {
			return "", errors.New("want texts")
		}
		out = append(out, strings.TrimSpace(s))
	}
	return strings.Join(out, ", "), nil
}
