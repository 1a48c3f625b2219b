package netlify

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A t is a value of a TOML file, with the key that it has there.
type t struct {
	key   string
	value any
}

func keys(m map[string]any) iter.Seq[string] { return maps.Keys(m) }

func (v t) wrong(want string) error { return fmt.Errorf("%s: want %s, not %v", v.key, want, v.value) }

func (v t) text() (string, error) {
	s, ok := v.value.(string)
	if !ok {
		return "", v.wrong("a text")
	}
	return s, nil
}

// table is empty where there is no value.
func (v t) table() (map[string]any, error) {
	m, ok := v.value.(map[string]any)
	if !ok && v.value != nil {
		return nil, v.wrong("a table")
	}
	return m, nil
}

// tables is an array of tables, however it was written.
func (v t) tables() ([]map[string]any, error) {
	switch list := v.value.(type) {
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

// texts is a table of texts; numbers and truth values are taken for what they read.
func (v t) texts() (map[string]string, error) {
	m, err := v.table()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, key := range slices.Sorted(keys(m)) {
		switch value := m[key].(type) {
		case string, int64, bool:
			out[key] = fmt.Sprint(value)
		default:
			return nil, t{v.key + "." + key, value}.wrong("a text")
		}
	}
	return out, nil
}

// values are those of headers: texts, or lists of them that are joined.
func (v t) values() (map[string]string, error) {
	m, err := v.table()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, key := range slices.Sorted(keys(m)) {
		name := strings.TrimSpace(key)
		if !headerName.MatchString(name) {
			return nil, fmt.Errorf("%q is no name of a header", key)
		}
		switch value := m[key].(type) {
		case string:
			out[name] = joined(value)
		case []any:
			if out[name], err = listText(value); err != nil {
				return nil, fmt.Errorf("%s.%s: %w", v.key, key, err)
			}
		default:
			return nil, t{v.key + "." + key, value}.wrong("a text or a list of texts")
		}
	}
	return out, nil
}

func (v t) status() (int, error) {
	switch value := v.value.(type) {
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

func listText(items []any) (string, error) {
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
