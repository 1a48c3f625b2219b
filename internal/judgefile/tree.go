package judgefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxSize bounds a file, in bytes: one with a thousand metrics has some 200 kB.
const maxSize = 1 << 20

// A mapping is one of YAML with its merge keys (<<) merged: the keys in the order in
// which they stand.
type mapping struct {
	keys   []*yaml.Node
	values map[string]*yaml.Node
	merges int
}

// treeOf reads the one document of a file; nil for an empty one. What cannot be read
// any further is an error. Where a second document begins is its line; 0 for none.
func treeOf(raw []byte) (root *yaml.Node, second int, err error) {
	if len(raw) > maxSize {
		return nil, 0, fmt.Errorf("it has %d bytes, want at most 1 MiB", len(raw))
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	var document, another yaml.Node
	switch err := d.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, 0, nil
	case err != nil:
		return nil, 0, err
	}
	switch err := d.Decode(&another); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, 0, err
	default:
		second = max(another.Line, 1)
	}
	return target(document.Content[0]), second, nil
}

// target is the node that an alias stands for, or the node itself.
func target(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// maxMerges bounds what is merged into one mapping: an anchor may contain itself, also
// twice.
const maxMerges = 100

// mappingOf takes n apart; refuse is told of keys that are no text, or there twice.
func mappingOf(n *yaml.Node, refuse func(at *yaml.Node, key, have, want string)) mapping {
	m := mapping{values: map[string]*yaml.Node{}}
	m.take(n, refuse)
	return m
}

func (m *mapping) take(n *yaml.Node, refuse func(at *yaml.Node, key, have, want string)) {
	own := map[string]*yaml.Node{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		at, key, value := n.Content[i], target(n.Content[i]), target(n.Content[i+1])
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null":
			refuse(at, "", "a key that is "+kindOf(key), "a name")
		case key.ShortTag() == "!!merge":
			merged = append(merged, value)
		case own[key.Value] != nil:
			refuse(at, key.Value, "there twice", fmt.Sprintf("it once; the first is in line %d", own[key.Value].Line))
		default:
			own[key.Value] = at
			m.add(at, key.Value, value)
		}
	}
	for _, value := range merged {
		m.merge(value, refuse)
	}
}

// add adds a key unless it is there: what a mapping has itself comes before what is
// merged into it.
func (m *mapping) add(at *yaml.Node, key string, value *yaml.Node) {
	if m.values[key] == nil {
		m.keys, m.values[key] = append(m.keys, at), value
	}
}

// merge takes what stands beside the key <<: a mapping, or a list of them.
func (m *mapping) merge(value *yaml.Node, refuse func(at *yaml.Node, key, have, want string)) {
	if m.merges++; m.merges > maxMerges {
		if m.merges == maxMerges+1 {
			refuse(value, "<<", "too much", fmt.Sprintf("at most %d mappings, none of which contains itself", maxMerges))
		}
		return
	}
	switch value.Kind {
	case yaml.MappingNode:
		m.take(value, refuse)
	case yaml.SequenceNode:
		for _, item := range value.Content {
			m.merge(target(item), refuse)
		}
	default:
		refuse(value, "<<", kindOf(value), "a mapping")
	}
}

// kindOf says what a node is, for people.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "empty"
	}
	return fmt.Sprintf("%.80q", strings.ToValidUTF8(n.Value, "\uFFFD"))
}
