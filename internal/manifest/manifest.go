// Package manifest is what a release is made of besides an image: Kubernetes
// objects, as users write them.
//
// It is pure: Parse reads text into objects with their positions, Check finds
// what must not reach a cluster, Copies gives ConfigMaps and Secrets names that
// tell their content, Order and Before sort what is applied, and Changes says
// what an object would change. Package load reads files; package kube/apply
// talks to the cluster.
package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Position is where an object or a field stands.
type Position struct {
	File string
	Line int // from 1; 0 if it is not known
}

// String returns file:line.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// An Object is one Kubernetes object. Fields is its JSON form: maps, lists,
// strings, booleans, int64, float64 and nil.
type Object struct {
	Fields map[string]any
	At     Position

	lines map[string]int // of the fields, by path
}

// A Problem is something in the manifests that prevents a release.
type Problem struct {
	At     Position
	Object string // as String returns it; "" if it is not known
	Reason string
}

// Error returns position, object and reason.
func (p Problem) Error() string {
	if p.Object == "" {
		return fmt.Sprintf("%s: %s", p.At, p.Reason)
	}
	return fmt.Sprintf("%s: %s: %s", p.At, p.Object, p.Reason)
}

// Problems are all of them.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Kind returns the object's kind.
func (o Object) Kind() string { return o.text("kind") }

// APIVersion returns the object's group and version.
func (o Object) APIVersion() string { return o.text("apiVersion") }

// Group returns the object's API group, "" for the core group.
func (o Object) Group() string {
	if group, _, ok := strings.Cut(o.APIVersion(), "/"); ok {
		return group
	}
	return ""
}

// Name returns the object's name.
func (o Object) Name() string { return o.text("metadata", "name") }

// Namespace returns the namespace that the object names, "" for none.
func (o Object) Namespace() string { return o.text("metadata", "namespace") }

// Annotation returns an annotation, "" if there is none.
func (o Object) Annotation(key string) string { return o.text("metadata", "annotations", key) }

// Is reports whether the object has a group and kind.
func (o Object) Is(group, kind string) bool { return o.Group() == group && o.Kind() == kind }

// String names the object as people do: kind and name.
func (o Object) String() string { return strings.ToLower(o.Kind()) + " " + o.Name() }

// ID identifies the object within a cluster, whatever its version.
func (o Object) ID() string {
	return strings.Join([]string{o.Group(), o.Kind(), o.Namespace(), o.Name()}, "/")
}

// Template returns the pod template of a workload, nil if it has none.
func (o Object) Template() map[string]any {
	template, _ := o.Value("spec", "template").(map[string]any)
	return template
}

// Value returns the field at a path of maps, nil if there is none.
func (o Object) Value(path ...string) any {
	var v any = o.Fields
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

func (o Object) text(path ...string) string {
	s, _ := o.Value(path...).(string)
	return s
}

// at returns the position of a field, or of the object.
func (o Object) at(path string) Position {
	if line := o.lines[path]; line > 0 {
		return Position{File: o.At.File, Line: line}
	}
	return o.At
}

func (o Object) problem(path, format string, args ...any) Problem {
	return Problem{At: o.at(path), Object: o.String(), Reason: fmt.Sprintf(format, args...)}
}

// Clone returns a deep copy.
func (o Object) Clone() Object {
	o.Fields, _ = clone(o.Fields).(map[string]any)
	return o
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for key, value := range v {
			c[key] = clone(value)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i := range v {
			c[i] = clone(v[i])
		}
		return c
	}
	return v
}

// set gives the field at a path of maps a value, and makes the maps.
func set(m map[string]any, value any, path ...string) {
	for _, key := range path[:len(path)-1] {
		next, ok := m[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[key] = next
		}
		m = next
	}
	m[path[len(path)-1]] = value
}

// listOf returns the maps of a list, none if v is no list of maps.
func listOf(v any) []map[string]any {
	list, _ := v.([]any)
	var all []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

// sorted returns the keys of a map in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Encode returns objects as a List in JSON, which Parse reads.
func Encode(objects []Object) ([]byte, error) {
	items := make([]any, len(objects))
	for i := range objects {
		items[i] = objects[i].Fields
	}
	raw, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		return nil, fmt.Errorf("encode the manifests: %w", err)
	}
	return raw, nil
}
