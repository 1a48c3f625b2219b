package manifest

import (
	"bytes"
	"encoding/json"
)

// An Object is an object of Kubernetes, or a part of one. Every component reads JSON where it says YAML, so nothing needs quoting rules.
type Object = map[string]any

// Render is v as indented JSON. v is made of maps, slices and plain values.
func Render(v any) []byte {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // maps, slices and strings only
	}
	return append(data, '\n')
}

// Stream is a YAML stream of objects.
func Stream(objects ...Object) []byte {
	var docs [][]byte
	for _, o := range objects {
		docs = append(docs, Render(o))
	}
	return bytes.Join(docs, []byte("---\n"))
}
