// Package jsonpatch builds JSON patches (RFC 6902) for Kubernetes objects.
//
// A patch names the fields it changes and leaves all others as they are, byte
// for byte. A patch guarded by the resource version fails with a conflict if
// another client wrote the object since it was read.
package jsonpatch

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A Patch is a list of operations in the order in which the server applies them.
// The zero Patch is empty and unguarded.
type Patch struct {
	guard string
	ops   []op
}

type op struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// Guarded returns an empty patch that the server refuses unless the object still
// has this resource version.
func Guarded(resourceVersion string) Patch { return Patch{guard: resourceVersion} }

// Add returns p with an operation that adds or replaces a member of an object.
func (p Patch) Add(path string, value any) Patch { return p.with(op{"add", path, value}) }

// Replace returns p with an operation that replaces an existing value.
func (p Patch) Replace(path string, value any) Patch { return p.with(op{"replace", path, value}) }

// Remove returns p with an operation that removes an existing value.
func (p Patch) Remove(path string) Patch { return p.with(op{Op: "remove", Path: path}) }

func (p Patch) with(o op) Patch {
	p.ops = append(p.ops[:len(p.ops):len(p.ops)], o)
	return p
}

// Empty reports whether p changes nothing.
func (p Patch) Empty() bool { return len(p.ops) == 0 }

// JSON renders p. It panics on a value that cannot be encoded, which is a
// programming error: all values are Kubernetes types or decoded JSON.
func (p Patch) JSON() []byte {
	ops := p.ops
	if p.guard != "" {
		ops = append([]op{{"replace", "/metadata/resourceVersion", p.guard}}, ops...)
	}
	list := make([]any, len(ops))
	for i, o := range ops {
		list[i] = o
		if o.Op != "remove" { // 0, false and "" are values too
			list[i] = struct {
				Op    string `json:"op"`
				Path  string `json:"path"`
				Value any    `json:"value"`
			}(o)
		}
	}
	raw, err := json.Marshal(list)
	if err != nil {
		panic(fmt.Sprintf("jsonpatch: encode: %v", err))
	}
	return raw
}

// Pointer returns the JSON pointer (RFC 6901) for a path of keys.
func Pointer(keys ...string) string {
	var b strings.Builder
	for _, key := range keys {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
	}
	return b.String()
}
