// Package jsonrecord writes the exported fields of a struct as JSON for people and
// programs, and reads them back.
//
// Names are in snake_case, times in RFC 3339, durations in seconds (their names end in
// _seconds), types with a text form of their own, such as encoding.TextMarshaler, in
// that form. An empty text, list, map, time, and a struct without content are left out;
// numbers and booleans are always there. A number that is infinite is "inf" or "-inf".
package jsonrecord

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// tag is that of a field with another name, or "-" for one that is not in the file:
// `record:"measured_in"`.
const tag = "record"

// An Entry is a member that stands before the fields.
type Entry struct {
	Name  string
	Value any // for encoding/json
}

// Marshal renders a struct after head, with a line for each field and each item of a
// list.
func Marshal(head []Entry, v any) ([]byte, error) {
	e := encoder{forms: map[reflect.Type][]form{}}
	e.b.WriteString("{")
	first := true
	for _, one := range head {
		e.separate(first, 0)
		first = false
		fmt.Fprintf(&e.b, "%q: ", one.Name)
		if err := e.plain(one.Value); err != nil {
			return nil, fmt.Errorf("%s: %w", one.Name, err)
		}
	}
	if err := e.fields(reflect.ValueOf(v), &first, 0); err != nil {
		return nil, err
	}
	e.b.WriteString("\n}\n")
	return e.b.Bytes(), nil
}

// Unmarshal reads fields into the struct that into points to. Names that are not known
// are ignored: a later version may have more.
func Unmarshal(raw []byte, into any) error { return decode(raw, reflect.ValueOf(into).Elem()) }

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	writesText   = reflect.TypeFor[encoding.TextMarshaler]()
	readsText    = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// nameOf is a field's name in the file: "FilesExpected" is files_expected, "IDs" ids,
// "Took" took_seconds.
func nameOf(f reflect.StructField) string {
	if name := f.Tag.Get(tag); name != "" {
		return name
	}
	var b strings.Builder
	runes := []rune(strings.ReplaceAll(f.Name, "IDs", "Ids"))
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	if f.Type == durationType {
		b.WriteString("_seconds")
	}
	return b.String()
}

// skipped reports whether a field is not in the file.
func skipped(f reflect.StructField) bool {
	return !f.IsExported() || f.Tag.Get(tag) == "-"
}

// A form is how a field is written.
type form struct {
	index    int
	key      string // with quotes and colon
	embedded bool
}

// An encoder writes values. It knows the forms of the types that it has met.
type encoder struct {
	b     bytes.Buffer
	forms map[reflect.Type][]form
}

func (e *encoder) formsOf(t reflect.Type) []form {
	if all, ok := e.forms[t]; ok {
		return all
	}
	var all []form
	for i := range t.NumField() {
		if f := t.Field(i); !skipped(f) {
			all = append(all, form{i, fmt.Sprintf("%q: ", nameOf(f)), f.Anonymous && f.Type.Kind() == reflect.Struct})
		}
	}
	e.forms[t] = all
	return all
}

// fields writes the fields of a struct, those of embedded ones among them. First is
// whether nothing was written of it before.
func (e *encoder) fields(v reflect.Value, first *bool, depth int) error {
	for _, f := range e.formsOf(v.Type()) {
		field := v.Field(f.index)
		if f.embedded {
			if err := e.fields(field, first, depth); err != nil {
				return err
			}
			continue
		}
		if absent(field) {
			continue
		}
		e.separate(*first, depth)
		*first = false
		e.b.WriteString(f.key)
		if err := e.value(field, depth+1); err != nil {
			return fmt.Errorf("%s%w", f.key, err)
		}
	}
	return nil
}

// separate begins an item, on a line of its own near the top.
func (e *encoder) separate(first bool, depth int) {
	if !first {
		e.b.WriteByte(',')
	}
	switch {
	case depth < 2:
		e.b.WriteByte('\n')
		e.b.WriteString("   "[:depth+1])
	case !first:
		e.b.WriteByte(' ')
	}
}

// absent reports whether a value is left out: an empty text, list or time, and a
// struct without content. Numbers and booleans are always there.
func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct, reflect.Pointer:
		return v.IsZero()
	default:
		return false
	}
}

func (e *encoder) value(v reflect.Value, depth int) error {
	switch v.Type() {
	case durationType:
		return e.plain(time.Duration(v.Int()).Seconds())
	case timeType:
		return e.plain(v.Interface())
	}
	if v.Type().Implements(writesText) {
		return e.plain(v.Interface())
	}
	switch v.Kind() {
	case reflect.Pointer:
		return e.value(v.Elem(), depth)
	case reflect.Map:
		return e.members(v, depth)
	case reflect.Float64:
		return e.float(v.Float())
	case reflect.Struct:
		e.b.WriteByte('{')
		err := e.fields(v, new(true), depth+1)
		e.b.WriteByte('}')
		return err
	case reflect.Slice:
		e.b.WriteByte('[')
		for i := range v.Len() {
			e.separate(i == 0, depth)
			if err := e.value(v.Index(i), depth+1); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
		e.b.WriteByte(']')
		return nil
	case reflect.Int, reflect.Int64:
		e.b.WriteString(strconv.FormatInt(v.Int(), 10))
		return nil
	case reflect.String, reflect.Bool:
		return e.plain(v.Interface())
	default:
		return fmt.Errorf("a %s has no form in the file", v.Type())
	}
}

// members writes a map by its keys' order.
func (e *encoder) members(v reflect.Value, depth int) error {
	if v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("a %s has no form in the file", v.Type())
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	e.b.WriteByte('{')
	for i, key := range keys {
		e.separate(i == 0, depth+1)
		if err := e.plain(key.String()); err != nil {
			return err
		}
		e.b.WriteString(": ")
		if err := e.value(v.MapIndex(key), depth+1); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	e.b.WriteByte('}')
	return nil
}

func (e *encoder) float(f float64) error {
	switch {
	case math.IsInf(f, 1):
		return e.plain("inf")
	case math.IsInf(f, -1):
		return e.plain("-inf")
	}
	return e.plain(f) // refuses what is no number
}

func (e *encoder) plain(v any) error {
	raw, err := json.Marshal(v)
	e.b.Write(raw)
	return err
}

// decode reads a value. Names that are not known are ignored.
func decode(raw json.RawMessage, v reflect.Value) error {
	switch v.Type() {
	case durationType:
		var seconds float64
		err := json.Unmarshal(raw, &seconds)
		v.SetInt(int64(time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)))
		return err
	case timeType:
		return json.Unmarshal(raw, v.Addr().Interface())
	}
	if v.Addr().Type().Implements(readsText) {
		return text(raw, v)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decode(raw, v.Elem())
	case reflect.Map:
		return setMembers(raw, v)
	case reflect.Float64:
		return setFloat(raw, v)
	case reflect.Struct:
		members := map[string]json.RawMessage{}
		if err := json.Unmarshal(raw, &members); err != nil {
			return err
		}
		return setFields(members, v)
	case reflect.Slice:
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return err
		}
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
		for i, item := range items {
			if err := decode(item, v.Index(i)); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
		return nil
	default:
		return json.Unmarshal(raw, v.Addr().Interface())
	}
}

func setFields(members map[string]json.RawMessage, v reflect.Value) error {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if skipped(f) {
			continue
		}
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			if err := setFields(members, v.Field(i)); err != nil {
				return err
			}
			continue
		}
		raw, ok := members[nameOf(f)]
		if !ok {
			continue
		}
		if err := decode(raw, v.Field(i)); err != nil {
			return fmt.Errorf("%s: %w", nameOf(f), err)
		}
	}
	return nil
}

// text reads a type that has a form of its own.
func text(raw json.RawMessage, v reflect.Value) error {
	var word string
	if err := json.Unmarshal(raw, &word); err != nil {
		return err
	}
	reads, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	if !ok {
		return errors.New("it reads no text")
	}
	return reads.UnmarshalText([]byte(word))
}

func setMembers(raw json.RawMessage, v reflect.Value) error {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	v.Set(reflect.MakeMap(v.Type()))
	for name, one := range members {
		value := reflect.New(v.Type().Elem()).Elem()
		if err := decode(one, value); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), value)
	}
	return nil
}

func setFloat(raw json.RawMessage, v reflect.Value) error {
	switch string(raw) {
	case `"inf"`:
		v.SetFloat(math.Inf(1))
		return nil
	case `"-inf"`:
		v.SetFloat(math.Inf(-1))
		return nil
	}
	return json.Unmarshal(raw, v.Addr().Interface())
}
