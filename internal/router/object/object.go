// Package object reads decoded JSON from outside: objects of the API server, and the
// parts of them that a release has recorded. A value that is missing or of another
// type counts as empty.
package object

import (
	"bytes"
	"encoding/json"
)

// Child returns the object under a key of v.
func Child(v any, key string) map[string]any {
	m, _ := v.(map[string]any)
	c, _ := m[key].(map[string]any)
	return c
}

// List returns the list under a key of v.
func List(v any, key string) []any {
	m, _ := v.(map[string]any)
	l, _ := m[key].([]any)
	return l
}

// Text returns the string under a key of v.
func Text(v any, key string) string {
	m, _ := v.(map[string]any)
	s, _ := m[key].(string)
	return s
}

// Number returns the whole number under a key of v.
func Number(v any, key string) int64 {
	m, _ := v.(map[string]any)
	n, _ := m[key].(int64)
	return n
}

// Name returns the name of an object.
func Name(o map[string]any) string { return Text(Child(o, "metadata"), "name") }

// Namespace returns the namespace of an object.
func Namespace(o map[string]any) string { return Text(Child(o, "metadata"), "namespace") }

// Decode reads recorded JSON into v and keeps its numbers as json.Number; WholeNumbers
// converts them.
func Decode(raw json.RawMessage, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(v)
}

// WholeNumbers converts the numbers in v to int64, which objects of the API use, and
// those that are not whole to float64.
func WholeNumbers(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = WholeNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = WholeNumbers(v[k])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // the API refuses a weight that is not a whole number
		return f
	}
	return v
}
