package judgefile

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/candlefish/deploy-action/internal/analysis/config"
)

// A place is where something stands in the file. Lines and columns begin at 1.
type place struct{ line, column int }

// A decoder puts the nodes of a file into Go values, by the json tags of their fields.
// It goes on where something is wrong, and remembers where everything stands.
type decoder struct {
	found  []problem
	places map[string]place // by path, such as metrics[0].errors.rate
}

// A problem is one with its place. Unread says that the value could not be read.
type problem struct {
	config.Problem
	place
	unread bool
}

// A reader takes the value of one key.
type reader func(n *yaml.Node, path string)

// refuse adds the problem of a value that cannot be read, misplace that of a key.
func (d *decoder) refuse(at *yaml.Node, path, have, want string) {
	d.misplace(at, path, have, want)
	d.found[len(d.found)-1].unread = true
}

func (d *decoder) misplace(at *yaml.Node, path, have, want string) {
	d.found = append(d.found, problem{Problem: config.Problem{Path: path, Have: have, Want: want}, place: place{at.Line, at.Column}})
}

// note remembers where the value of a path stands: a scalar itself, anything else at
// its key.
func (d *decoder) note(path string, key, value *yaml.Node) {
	at := key
	if value.Kind == yaml.ScalarNode && value.Line >= key.Line {
		at = value
	}
	d.places[path] = place{at.Line, at.Column}
}

// object decodes a mapping into a struct. The keys of special are read by their
// readers, whatever the struct has.
func (d *decoder) object(n *yaml.Node, into reflect.Value, path string, special map[string]reader) {
	if n.Kind != yaml.MappingNode {
		d.refuse(n, path, kindOf(n), "a mapping")
		return
	}
	fields := fieldsOf(into, nil)
	m := mappingOf(n, func(at *yaml.Node, key, have, want string) { d.misplace(at, below(path, key), have, want) })
	for _, key := range m.keys {
		name := target(key).Value
		value, at := m.values[name], below(path, name)
		d.note(at, key, value)
		read, isSpecial := special[name]
		field, known := fields[name]
		switch {
		case !isSpecial && !known:
			all := slices.Sorted(maps.Keys(fields))
			for _, other := range slices.Sorted(maps.Keys(special)) {
				if !slices.Contains(all, other) {
					all = append(all, other)
				}
			}
			d.misplace(key, at, "not a known key", knownKeys(name, all))
		case value.ShortTag() == "!!null" && value.Kind == yaml.ScalarNode: // as if it were not there
		case isSpecial:
			read(value, at)
		default:
			d.value(value, field, at)
		}
	}
}

// knownKeys says what may stand instead of a key: the same in another case of letters,
// or any.
func knownKeys(key string, all []string) string {
	for _, k := range all {
		if strings.EqualFold(k, key) {
			return k
		}
	}
	return "one of " + strings.Join(all, ", ")
}

// fieldsOf are the fields of a struct by the keys of their json tags, those of embedded
// structs too.
func fieldsOf(v reflect.Value, into map[string]reflect.Value) map[string]reflect.Value {
	if into == nil {
		into = map[string]reflect.Value{}
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name != "":
			into[name] = v.Field(i)
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			fieldsOf(v.Field(i), into)
		}
	}
	return into
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// value decodes a node into a field of any type that the file may have.
func (d *decoder) value(n *yaml.Node, into reflect.Value, path string) {
	switch {
	case into.Kind() == reflect.Pointer:
		v := reflect.New(into.Type().Elem())
		before := len(d.found)
		d.value(n, v.Elem(), path)
		if len(d.found) == before || v.Elem().Kind() == reflect.Struct {
			into.Set(v)
		}
	case into.Addr().Type().Implements(unmarshaler):
		d.own(n, into, path)
	case into.Kind() == reflect.Struct:
		d.object(n, into, path, nil)
	case into.Kind() == reflect.Slice:
		d.list(n, into, path)
	case into.Kind() == reflect.Map:
		d.table(n, into, path)
	default:
		d.scalar(n, into, path)
	}
}

// own decodes into a type that reads JSON by itself, such as a Duration.
func (d *decoder) own(n *yaml.Node, into reflect.Value, path string) {
	var v any
	err := n.Decode(&v)
	var raw []byte
	if err == nil {
		raw, err = json.Marshal(v)
	}
	if err == nil {
		err = into.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(raw)
	}
	if err == nil {
		return
	}
	if into.Type() == reflect.TypeFor[config.Duration]() {
		d.refuse(n, path, kindOf(n), "a number with a unit, such as 30s or 5m")
		return
	}
	d.refuse(n, path, kindOf(n), err.Error())
}

func (d *decoder) list(n *yaml.Node, into reflect.Value, path string) {
	for i, item := range d.items(n, path) {
		v := reflect.New(into.Type().Elem()).Elem()
		at := fmt.Sprintf("%s[%d]", path, i)
		d.note(at, item, item)
		before := len(d.found)
		if d.value(item, v, at); len(d.found) == before {
			into.Set(reflect.Append(into, v))
		}
	}
}

// items are those of a list.
func (d *decoder) items(n *yaml.Node, path string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		d.refuse(n, path, kindOf(n), "a list")
		return nil
	}
	var items []*yaml.Node
	for _, item := range n.Content {
		items = append(items, target(item))
	}
	return items
}

// table decodes a mapping whose keys are the user's.
func (d *decoder) table(n *yaml.Node, into reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.refuse(n, path, kindOf(n), "a mapping")
		return
	}
	into.Set(reflect.MakeMap(into.Type()))
	m := mappingOf(n, func(at *yaml.Node, key, have, want string) { d.misplace(at, below(path, key), have, want) })
	for _, key := range m.keys {
		name := target(key).Value
		at := below(path, name)
		d.note(at, key, m.values[name])
		v := reflect.New(into.Type().Elem()).Elem()
		before := len(d.found)
		if d.value(m.values[name], v, at); len(d.found) == before {
			into.SetMapIndex(reflect.ValueOf(name), v)
		}
	}
}

// scalar decodes text, a number, or true and false. A number may stand for a text, as
// it is written: 1.10 is no 1.1.
func (d *decoder) scalar(n *yaml.Node, into reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		d.refuse(n, path, kindOf(n), wanted(into.Kind()))
		return
	}
	tag, ok := n.ShortTag(), false
	switch into.Kind() {
	case reflect.String:
		if ok = tag != "!!null"; ok {
			into.SetString(n.Value)
		}
	case reflect.Bool:
		var v bool
		if ok = n.Decode(&v) == nil; ok {
			into.SetBool(v)
		}
	case reflect.Int, reflect.Int64:
		var v int64
		if ok = tag == "!!int" && n.Decode(&v) == nil && !into.OverflowInt(v); ok {
			into.SetInt(v)
		}
	case reflect.Float64:
		var v float64
		ok = (tag == "!!int" || tag == "!!float") && n.Decode(&v) == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
		if ok {
			into.SetFloat(v)
		}
	default:
		panic("judgefile: " + path + " has a type that no file can have: " + into.Type().String())
	}
	if !ok {
		d.refuse(n, path, kindOf(n), wanted(into.Kind()))
	}
}

// wanted says what may stand for a type, for people.
func wanted(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	default:
		return "a number"
	}
}

func below(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}
