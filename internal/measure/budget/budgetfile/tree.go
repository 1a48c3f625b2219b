package budgetfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A kind is the kind of a value.
type kind string

const (
	object kind = "keys and values"
	list   kind = "a list"
	text   kind = "text"
	number kind = "a number"
	truth  kind = "true or false"
	null   kind = "null"
)

// A node is a value of a JSON or YAML file, with its line.
type node struct {
	kind   kind
	line   int
	text   string
	number float64
	truth  bool
	items  []*node // of a list
	keys   []key   // of an object, each once
	places map[string]int
}

// A key is one of an object's.
type key struct {
	name  string
	line  int
	value *node
}

func (n *node) has(name string) bool { return n.get(name) != nil }

// get returns the value of a key; nil if it is not there.
func (n *node) get(name string) *node {
	i, ok := n.places[name]
	if !ok {
		return nil
	}
	return n.keys[i].value
}

// maxNested bounds how deep values are nested: no format here needs more than eight.
const maxNested = 50

// tree returns the only value of a file; nil if it has none or is wrong.
func (p *problems) tree(raw []byte, isJSON bool) *node {
	problems := len(p.wrong)
	var root *node
	if isJSON {
		root = p.readJSON(raw)
	} else {
		root = p.readYAML(raw)
	}
	if len(p.wrong) > problems {
		return nil
	}
	return root
}

// A jsonReader reads JSON and knows the line that it is in.
type jsonReader struct {
	*problems
	raw []byte
	d   *json.Decoder
	// Up to seen there are so many ends of lines.
	seen, ends int
}

func (p *problems) readJSON(raw []byte) *node {
	r := &jsonReader{problems: p, raw: raw, d: json.NewDecoder(bytes.NewReader(raw))}
	r.d.UseNumber()
	n, err := r.value(0)
	if err == nil {
		if _, err := r.d.Token(); !errors.Is(err, io.EOF) {
			p.refuse(r.line(), "there is more behind the first value: want one")
		}
		return n
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	line := r.line()
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		line = 1 + bytes.Count(raw[:min(int(syntax.Offset), len(raw))], []byte("\n"))
	}
	p.refuse(line, "no JSON: %v", err)
	return nil
}

// line is that of the end of what was read last.
func (r *jsonReader) line() int {
	now := min(int(r.d.InputOffset()), len(r.raw))
	r.ends += bytes.Count(r.raw[r.seen:now], []byte("\n"))
	r.seen = now
	return 1 + r.ends
}

func (r *jsonReader) value(depth int) (*node, error) {
	token, err := r.d.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxNested {
		return nil, errors.New("its values are nested too deep")
	}
	n := &node{line: r.line()}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			n.kind = object
			return n, r.object(n, depth)
		}
		n.kind = list
		for r.d.More() {
			item, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		_, err := r.d.Token()
		return n, err
	case string:
		n.kind, n.text = text, v
	case bool:
		n.kind, n.truth = truth, v
	case json.Number:
		n.kind, n.text = number, v.String()
		r.toNumber(n)
	default:
		n.kind = null
	}
	return n, nil
}

func (r *jsonReader) object(n *node, depth int) error {
	for r.d.More() {
		token, err := r.d.Token()
		if err != nil {
			return err
		}
		name, line := token.(string), r.line() // the decoder allows no other key
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		r.addKey(n, key{name, line, value})
	}
	_, err := r.d.Token()
	return err
}

func (p *problems) addKey(n *node, k key) {
	if n.has(k.name) {
		p.refuse(k.line, "%s is set twice", quoted(k.name))
		return
	}
	if n.places == nil {
		n.places = map[string]int{}
	}
	n.places[k.name] = len(n.keys)
	n.keys = append(n.keys, k)
}

// toNumber fills in the number that a node's text is.
func (p *problems) toNumber(n *node) {
	v, err := strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), 64)
	if whole, intErr := strconv.ParseInt(n.text, 0, 64); err != nil && intErr == nil { // 0x10
		v, err = float64(whole), nil
	}
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		p.refuse(n.line, "%s is no number that can be a limit", quoted(n.text))
	}
	n.number = v
}

func (p *problems) readYAML(raw []byte) *node {
	d := yaml.NewDecoder(bytes.NewReader(raw))
	var doc, second yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		p.refuse(1, "the file is empty")
		return nil
	} else if err != nil {
		p.wrong = append(p.wrong, fmt.Errorf("%s: %w", p.file, err)) // it names the line
		return nil
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		p.refuse(second.Line, "there is more behind the first document: want one document")
		return nil
	}
	return p.fromYAML(doc.Content[0], 0)
}

func (p *problems) fromYAML(y *yaml.Node, depth int) *node {
	n := &node{line: y.Line, text: y.Value, kind: null}
	switch {
	case y.Kind == yaml.AliasNode || y.Anchor != "":
		p.refuse(y.Line, "anchors and aliases are not read: write the value")
	case depth > maxNested:
		p.refuse(y.Line, "the values are nested too deep")
	case y.Kind == yaml.MappingNode:
		n.kind = object
		for i := 0; i+1 < len(y.Content); i += 2 {
			name := y.Content[i]
			if name.Kind != yaml.ScalarNode || name.Anchor != "" || name.Tag == "!!merge" {
				p.refuse(name.Line, "want text as a key")
				continue
			}
			p.addKey(n, key{name.Value, name.Line, p.fromYAML(y.Content[i+1], depth+1)})
		}
	case y.Kind == yaml.SequenceNode:
		n.kind = list
		for _, item := range y.Content {
			n.items = append(n.items, p.fromYAML(item, depth+1))
		}
	default:
		p.scalar(y, n)
	}
	return n
}

func (p *problems) scalar(y *yaml.Node, n *node) {
	switch y.ShortTag() {
	case "!!str":
		n.kind = text
	case "!!int", "!!float":
		n.kind = number
		p.toNumber(n)
	case "!!bool":
		n.kind = truth
		n.truth = strings.EqualFold(y.Value, "true")
	case "!!null":
		n.kind = null
	default:
		p.refuse(y.Line, "values tagged %s are not read", y.ShortTag())
	}
}

// quoted is a text as a message shows it.
func quoted(s string) string {
	const most = 60
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}
