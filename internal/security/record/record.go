// Package record is security-report.json: a [verdict.Result] that later jobs and
// `mage security:explain` read.
//
// Names are in snake_case, times in RFC 3339, durations in seconds (their names end
// in _seconds), severities in words. What is not known is left out or, of counts, -1.
// The file follows the fields of a Result: a new field is a new name, and existing
// names keep their meaning as long as [Schema] stays. Hashes of secrets are left out.
package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

// Schema is the version of the format.
const Schema = 1

// Name is the name of the file.
const Name = "security-report.json"

// Marshal renders a result, with a line for each field and each item of a list.
func Marshal(r verdict.Result) ([]byte, error) {
	e := encoder{forms: map[reflect.Type][]form{}}
	fmt.Fprintf(&e.b, "{\n \"schema_version\": %d", Schema)
	if err := e.fields(reflect.ValueOf(r), new(false), 0); err != nil {
		return nil, fmt.Errorf("render %s: %w", Name, err)
	}
	e.b.WriteString("\n}\n")
	return e.b.Bytes(), nil
}

// Unmarshal reads what Marshal rendered, also in a later version of the same
// schema, which may have more fields.
func Unmarshal(raw []byte) (verdict.Result, error) {
	var r verdict.Result
	var head struct {
		Schema int `json:"schema_version"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return r, fmt.Errorf("read %s: %w", Name, err)
	}
	if head.Schema != Schema {
		return r, fmt.Errorf("read %s: schema_version is %d, want %d", Name, head.Schema, Schema)
	}
	if err := decode(raw, reflect.ValueOf(&r).Elem()); err != nil {
		return verdict.Result{}, fmt.Errorf("read %s: %w", Name, err)
	}
	switch r.Verdict {
	case verdict.Pass, verdict.Refused, verdict.Inconclusive:
		return r, nil
	}
	return verdict.Result{}, fmt.Errorf("read %s: %q is no verdict", Name, r.Verdict)
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	severityType = reflect.TypeFor[finding.Severity]()
	secretType   = reflect.TypeFor[finding.Secret]()
)

// nameOf is a field's name in the file: "FilesExpected" is files_expected, "IDs" ids,
// "Took" took_seconds.
func nameOf(f reflect.StructField) string {
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
func skipped(of reflect.Type, f reflect.StructField) bool {
	return !f.IsExported() || of == secretType && f.Name == "Hash"
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
		if f := t.Field(i); !skipped(t, f) {
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
	case severityType:
		return e.plain(finding.Severity(v.Int()).String())
	case timeType:
		return e.plain(v.Interface())
	}
	switch v.Kind() {
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
	case reflect.String, reflect.Float64, reflect.Bool:
		return e.plain(v.Interface())
	default:
		return fmt.Errorf("a %s has no form in the file", v.Type())
	}
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
	case severityType:
		return severity(raw, v)
	case timeType:
		return json.Unmarshal(raw, v.Addr().Interface())
	}
	switch v.Kind() {
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
		if skipped(t, f) {
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

func severity(raw json.RawMessage, v reflect.Value) error {
	var word string
	if err := json.Unmarshal(raw, &word); err != nil {
		return err
	}
	for _, s := range finding.Severities() {
		if s.String() == word {
			v.SetInt(int64(s))
			return nil
		}
	}
	return errors.New("unknown severity " + word)
}
