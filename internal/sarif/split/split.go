// Package split walks through a JSON text and hands out its parts as they are
// written, so that a list of 100,000 items is decoded item by item.
//
// It is strict where readers differ or a file is not whole: text that ends early,
// values nested too deep, and objects that have a key twice are errors. To
// encoding/json keys that differ only in case are the same; they are to this
// package too, except in the bags that [Scanner.Loose] names.
package split

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxDepth bounds how deep values may be nested. The SARIF of real tools stays
// below 30.
const MaxDepth = 200

// few is how many keys of an object are compared one by one, before a map is made.
const few = 24

// ErrTruncated is in the error for a text that ends before its value does.
var ErrTruncated = errors.New("the text ends in the middle: it is not whole")

// A Scanner is a position in a JSON text.
type Scanner struct {
	raw   []byte
	pos   int
	depth int
	loose bool // keys that differ in case are different keys
	// keys are those of all open objects, the innermost last.
	keys [][]byte
	// Loose reports whether the values below a key are bags of a user's names, whose
	// case counts.
	Loose func(key []byte) bool
}

// New returns a Scanner at the start of a text.
func New(raw []byte) *Scanner { return &Scanner{raw: raw} }

// Pos returns how many bytes have been passed.
func (s *Scanner) Pos() int { return s.pos }

// fail says where something is wrong.
func (s *Scanner) fail(format string, args ...any) error {
	if s.pos >= len(s.raw) {
		return fmt.Errorf("at byte %d: %w", s.pos, ErrTruncated)
	}
	return fmt.Errorf("at byte %d: %s", s.pos, fmt.Sprintf(format, args...))
}

// space passes white space and returns the next byte, 0 at the end.
func (s *Scanner) space() byte {
	for s.pos < len(s.raw) {
		switch c := s.raw[s.pos]; c {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// End returns an error if anything but white space follows.
func (s *Scanner) End() error {
	if s.space(); s.pos < len(s.raw) {
		return s.fail("something follows the value")
	}
	return nil
}

// Next returns the first byte of the next value: '{', '[', '"', 'n', ...; 0 at the end.
func (s *Scanner) Next() byte { return s.space() }

// Raw passes one value and returns it as it is written.
func (s *Scanner) Raw() ([]byte, error) {
	s.space()
	begin := s.pos
	if err := s.value(); err != nil {
		return nil, err
	}
	return s.raw[begin:s.pos], nil
}

// Object passes an object. Each is called behind every key and must pass its value.
func (s *Scanner) Object(each func(key string) error) error {
	return s.object(func(key []byte) error { return each(string(key)) })
}

func (s *Scanner) object(each func(key []byte) error) error {
	if err := s.open('{', "an object"); err != nil {
		return err
	}
	first, many := len(s.keys), map[string]bool(nil)
	if s.space() == '}' {
		s.shut(first)
		return nil
	}
	for {
		if s.space() != '"' {
			return s.fail("want a key in quotes")
		}
		key, err := s.key()
		if err != nil {
			return err
		}
		if err := s.unique(first, key, &many); err != nil {
			return err
		}
		if s.space() != ':' {
			return s.fail("want a colon behind the key")
		}
		s.pos++
		if err := s.below(key, each); err != nil {
			return err
		}
		more, err := s.next('}')
		if err != nil {
			return err
		}
		if !more {
			s.shut(first)
			return nil
		}
	}
}

// below passes the value of a key.
func (s *Scanner) below(key []byte, each func([]byte) error) error {
	before := s.loose
	s.loose = before || s.Loose != nil && s.Loose(key)
	err := each(key)
	s.loose = before
	return err
}

// Array passes a list. Each is called before every item and must pass it.
func (s *Scanner) Array(each func(i int) error) error {
	if err := s.open('[', "a list"); err != nil {
		return err
	}
	if s.space() == ']' {
		s.shut(len(s.keys))
		return nil
	}
	for i := 0; ; i++ {
		if err := each(i); err != nil {
			return err
		}
		more, err := s.next(']')
		if err != nil {
			return err
		}
		if !more {
			s.shut(len(s.keys))
			return nil
		}
	}
}

func (s *Scanner) open(c byte, what string) error {
	if s.space() != c {
		return s.fail("want %s", what)
	}
	if s.depth++; s.depth > MaxDepth {
		return s.fail("the values are nested more than %d deep", MaxDepth)
	}
	s.pos++
	return nil
}

// shut passes the end of a list or of an object, whose keys begin at first.
func (s *Scanner) shut(first int) {
	s.pos++
	s.depth--
	s.keys = s.keys[:first]
}

// next passes a comma and reports that there was one, or stays at the end.
func (s *Scanner) next(end byte) (bool, error) {
	switch s.space() {
	case ',':
		s.pos++
		return true, nil
	case end:
		return false, nil
	}
	return false, s.fail("want a comma or %q", end)
}

// key passes a key and returns it without escapes.
func (s *Scanner) key() ([]byte, error) {
	begin := s.pos
	if err := s.text(); err != nil {
		return nil, err
	}
	written := s.raw[begin:s.pos]
	if bytes.IndexByte(written, '\\') < 0 {
		return written[1 : len(written)-1], nil
	}
	var key string
	if err := json.Unmarshal(written, &key); err != nil {
		return nil, fmt.Errorf("at byte %d: %w", begin, err)
	}
	return []byte(key), nil
}

// unique adds a key to those of its object, which begin at first. Many has the names
// of the keys of an object with many.
func (s *Scanner) unique(first int, key []byte, many *map[string]bool) error {
	mine := s.keys[first:]
	twice := false
	if len(mine) < few {
		twice = slices.ContainsFunc(mine, func(k []byte) bool { return s.same(k, key) })
	} else {
		if *many == nil {
			*many = map[string]bool{}
			for _, k := range mine {
				(*many)[s.name(k)] = true
			}
		}
		name := s.name(key)
		twice = (*many)[name]
		(*many)[name] = true
	}
	if twice {
		return s.fail("the key %.60q is there twice", key)
	}
	s.keys = append(s.keys, key)
	return nil
}

func (s *Scanner) same(a, b []byte) bool {
	if s.loose {
		return bytes.Equal(a, b)
	}
	return bytes.EqualFold(a, b)
}

// name is the same for keys that are the same.
func (s *Scanner) name(key []byte) string {
	if s.loose {
		return string(key)
	}
	return strings.ToLower(strings.ToUpper(string(key)))
}
