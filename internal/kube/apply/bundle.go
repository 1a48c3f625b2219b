package apply

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/candlefish/deploy-action/internal/manifest"
)

// A Bundle is what a release applies besides its pods, with what undoes it. It is
// stored in the cluster while the release runs, and its inventory after that.
type Bundle struct {
	Items     []Item `json:"items"`
	Prune     []Ref  `json:"prune,omitempty"`
	Inventory []Ref  `json:"inventory"` // what the release applies in all
	// Previous is the inventory of the release before.
	Previous []Ref `json:"previous,omitempty"`
	// Run is the ID of the run that applies it; "" once it has ended.
	Run string `json:"run,omitempty"`
}

// An Item is one object to apply.
type Item struct {
	Fields map[string]any `json:"fields"`
	// Undo has the live values of the fields; it is empty for a new object.
	Undo    map[string]any `json:"undo,omitempty"`
	Created bool           `json:"created,omitempty"` // it did not exist
	Before  bool           `json:"before,omitempty"`  // it is applied before the first new pod
}

func (i Item) object() manifest.Object { return manifest.Object{Fields: i.Fields} }

// A Ref names an object.
type Ref struct {
	APIVersion string `json:"api_version"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
}

func refOf(o manifest.Object) Ref { return Ref{o.APIVersion(), o.Kind(), o.Name()} }

// String returns the reference as people name it.
func (r Ref) String() string { return strings.ToLower(r.Kind) + " " + r.Name }

// object returns an object with nothing but its identity.
func (r Ref) object() manifest.Object {
	return manifest.Object{Fields: map[string]any{"apiVersion": r.APIVersion, "kind": r.Kind, "metadata": map[string]any{"name": r.Name}}}
}

// same reports whether two references are of one object, whatever the version.
func (r Ref) same(other Ref) bool { return r.object().ID() == other.object().ID() }

// Empty reports whether there is nothing to apply or to remove.
func (b Bundle) Empty() bool { return len(b.Items)+len(b.Prune) == 0 }

// Done returns what is kept of a bundle after its release: the inventory, or that
// of the release before if it was undone.
func (b Bundle) Done(undone bool) Bundle {
	if undone {
		return Bundle{Inventory: b.Previous}
	}
	return Bundle{Inventory: b.Inventory}
}

// encode returns the bundle as compressed JSON.
func (b Bundle) encode() ([]byte, error) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if err := json.NewEncoder(zip).Encode(b); err != nil {
		return nil, fmt.Errorf("encode the manifests: %w", err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("compress the manifests: %w", err)
	}
	return out.Bytes(), nil
}

// maxBundle bounds a decoded bundle, in bytes.
const maxBundle = 64 << 20

// decode reverts encode.
func decode(raw []byte) (b Bundle, err error) {
	zip, err := gzip.NewReader(bytes.NewReader(raw))
	if err == nil {
		d := json.NewDecoder(io.LimitReader(zip, maxBundle))
		d.UseNumber()
		err = d.Decode(&b)
	}
	if err != nil {
		return b, fmt.Errorf("decode the stored manifests: %w", err)
	}
	for i := range b.Items {
		numbers(b.Items[i].Fields)
		numbers(b.Items[i].Undo)
	}
	return b, nil
}

// numbers gives numbers the types that Kubernetes' JSON has: an int64 stays one.
func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = numbers(value)
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	}
	return v
}
