// Package jsonkeys refuses JSON that can be read in two ways: an object with a key
// twice. RFC 8259 (section 4) leaves open which of the two counts, so that what one
// reader takes for "failed" is "successful" to another.
package jsonkeys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxDepth bounds how deep values may be nested. encoding/json refuses 10,000.
const maxDepth = 1000

// Unique returns an error unless raw is one JSON value whose objects have each key
// once.
func Unique(raw []byte) error { return unique(raw, func(key string) string { return key }) }

// UniqueFold is Unique where keys that differ only in the case of their letters are the
// same one, as they are to encoding/json when it decodes into a struct.
func UniqueFold(raw []byte) error { return unique(raw, strings.ToLower) }

// An object is one whose end was not read yet. A list has no keys.
type object struct {
	keys  map[string]bool
	isKey bool // the next token
}

func unique(raw []byte, same func(string) string) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // a number too large for a float64 is the reader's to refuse
	var open []object
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(open) == 0 {
			return errors.New("no JSON: it is empty")
		}
		if err != nil {
			return fmt.Errorf("no JSON: %w", err)
		}
		if err := step(&open, token, same); err != nil {
			return err
		}
		if len(open) == 0 {
			break
		}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// step takes the next token.
func step(open *[]object, token json.Token, same func(string) string) error {
	stack := *open
	if n := len(stack); n > 0 && stack[n-1].isKey {
		if key, ok := token.(string); ok {
			if stack[n-1].keys[same(key)] {
				return fmt.Errorf("key %.60q is there twice", key)
			}
			stack[n-1].keys[same(key)], stack[n-1].isKey = true, false
			return nil
		}
	}
	switch token {
	case json.Delim('{'):
		*open = append(stack, object{keys: map[string]bool{}, isKey: true})
	case json.Delim('['):
		*open = append(stack, object{})
	case json.Delim('}'), json.Delim(']'):
		*open = stack[:len(stack)-1]
		ended(*open)
	default:
		ended(stack)
	}
	if len(*open) > maxDepth {
		return errors.New("the values are nested too deep")
	}
	return nil
}

// ended says that a value of the innermost object has ended.
func ended(stack []object) {
	if n := len(stack); n > 0 && stack[n-1].keys != nil {
		stack[n-1].isKey = true
	}
}
