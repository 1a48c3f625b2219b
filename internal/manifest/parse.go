package manifest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The limits of a file: far above what people write, and below what an alias
// that refers to aliases could grow to.
const (
	maxFile  = 16 << 20 // bytes
	maxNodes = 1 << 18  // after the aliases are followed
	maxDepth = 200
)

// Parse reads the documents of one file, YAML or JSON. It is strict: a key that
// is there twice, a tag, or an unquoted word that YAML versions read differently
// is a problem. Lists are taken apart, and what only a cluster writes is left
// out. An empty document is none.
func Parse(file string, data []byte) ([]Object, Problems) {
	if len(data) > maxFile {
		return nil, Problems{{At: Position{File: file}, Reason: fmt.Sprintf("it has %d bytes, at most %d are read", len(data), maxFile)}}
	}
	var all []Object
	var problems Problems
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return all, problems
		}
		if err != nil {
			return all, append(problems, syntax(file, err))
		}
		objects, wrong := documentObjects(file, &document)
		all, problems = append(all, objects...), append(problems, wrong...)
	}
}

// lineOf finds the line in an error of the YAML parser.
var lineOf = regexp.MustCompile(`line (\d+): `)

func syntax(file string, err error) Problem {
	p := Problem{At: Position{File: file}, Reason: "it is no YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := lineOf.FindStringSubmatch(err.Error()); m != nil {
		p.At.Line, _ = strconv.Atoi(m[1])
		p.Reason = strings.Replace(p.Reason, m[0], "", 1)
	}
	return p
}

// documentObjects returns the objects of one document.
func documentObjects(file string, document *yaml.Node) ([]Object, Problems) {
	if document.Kind == 0 || len(document.Content) == 0 {
		return nil, nil
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return nil, nil
	}
	r := reader{file: file, lines: map[string]int{}}
	fields, ok := r.value(root, "", 0).(map[string]any)
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	o := Object{Fields: fields, At: Position{File: file, Line: root.Line}, lines: r.lines}
	if !ok {
		return nil, Problems{{At: o.At, Reason: "a document must be a Kubernetes object with apiVersion, kind and metadata"}}
	}
	if strings.HasSuffix(o.Kind(), "List") {
		if items, ok := fields["items"].([]any); ok {
			return listItems(o, items)
		}
	}
	if problems := o.identity(); len(problems) > 0 {
		return nil, problems
	}
	return []Object{o.asWritten()}, nil
}

// listItems takes a List apart.
func listItems(list Object, items []any) (all []Object, problems Problems) {
	for i, item := range items {
		path := "items[" + strconv.Itoa(i) + "]"
		fields, ok := item.(map[string]any)
		o := Object{Fields: fields, At: list.at(path), lines: map[string]int{}}
		if !ok {
			problems = append(problems, Problem{At: o.At, Reason: "an item of a list must be a Kubernetes object"})
			continue
		}
		for field, line := range list.lines {
			if below, ok := strings.CutPrefix(field, path+"."); ok {
				o.lines[below] = line
			}
		}
		if wrong := o.identity(); len(wrong) > 0 {
			problems = append(problems, wrong...)
			continue
		}
		all = append(all, o.asWritten())
	}
	return all, problems
}

// identity says what an object lacks to be one.
func (o Object) identity() (problems Problems) {
	say := func(path, format string, args ...any) {
		problems = append(problems, Problem{At: o.at(path), Reason: fmt.Sprintf(format, args...)})
	}
	for _, key := range []string{"apiVersion", "kind"} {
		if o.text(key) == "" {
			say(key, "%s is missing", key)
		}
	}
	meta, isMap := o.Fields["metadata"].(map[string]any)
	switch {
	case !isMap:
		say("metadata", "%s has no metadata", strings.ToLower(o.Kind()))
	case meta["generateName"] != nil && o.Name() == "":
		say("metadata.generateName", "%s has generateName: every release would create another one, and none could be found again; give it a name", strings.ToLower(o.Kind()))
	case o.Name() == "":
		say("metadata", "%s has no name", strings.ToLower(o.Kind()))
	}
	if namespace, there := meta["namespace"]; there && namespace != nil && o.Namespace() == "" {
		say("metadata.namespace", "%s: the namespace is no text", o)
	}
	return problems
}

// clusterFields are the fields of metadata that only a cluster writes. People
// export objects with them.
var clusterFields = []string{"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}

// lastApplied is kubectl's copy of an object in the object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// asWritten returns the object without what a cluster added. The text of a Secret
// is encoded as the cluster stores it.
func (o Object) asWritten() Object {
	if text, ok := o.Fields["stringData"].(map[string]any); ok && o.Is("", "Secret") {
		for key, value := range text {
			if s, ok := value.(string); ok {
				set(o.Fields, base64.StdEncoding.EncodeToString([]byte(s)), "data", key)
			}
		}
		delete(o.Fields, "stringData")
	}
	delete(o.Fields, "status")
	meta, _ := o.Fields["metadata"].(map[string]any)
	for _, key := range clusterFields {
		delete(meta, key)
	}
	if annotations, ok := meta["annotations"].(map[string]any); ok {
		delete(annotations, lastApplied)
	}
	return o
}

// A reader turns YAML nodes into JSON values.
type reader struct {
	file     string
	lines    map[string]int
	nodes    int
	problems Problems
}

func (r *reader) say(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, Problem{At: Position{File: r.file, Line: n.Line}, Reason: fmt.Sprintf(format, args...)})
}

// value returns the JSON value of a node, and notes the lines of its fields.
func (r *reader) value(n *yaml.Node, path string, depth int) any {
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		if r.nodes <= maxNodes+1 || depth == maxDepth+1 {
			r.say(n, "it is too large or too deep: at most %d values and %d levels are read", maxNodes, maxDepth)
		}
		r.nodes = maxNodes + 1
		return nil
	}
	r.lines[path] = n.Line
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(n.Alias, path, depth+1)
	case yaml.MappingNode:
		return r.mapping(n, path, depth)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			list = append(list, r.value(item, path+"["+strconv.Itoa(i)+"]", depth+1))
		}
		return list
	case yaml.ScalarNode:
		return r.scalar(n)
	case yaml.DocumentNode: // never below another node
	}
	r.say(n, "unexpected YAML")
	return nil
}

func (r *reader) mapping(n *yaml.Node, path string, depth int) any {
	m := make(map[string]any, len(n.Content)/2)
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			r.say(key, "a key must be text")
			continue
		case key.ShortTag() == "!!merge":
			merged = append(merged, value)
			continue
		}
		if _, twice := m[key.Value]; twice {
			r.say(key, "the key %q is there twice", key.Value)
			continue
		}
		m[key.Value] = r.value(value, join(path, key.Value), depth+1)
	}
	for _, value := range merged {
		r.merge(m, value, path, depth)
	}
	return m
}

// merge adds the keys of a merge key's value that m does not have.
func (r *reader) merge(m map[string]any, n *yaml.Node, path string, depth int) {
	lines := r.lines
	r.lines = map[string]int{}
	v := r.value(n, path, depth+1)
	r.lines = lines
	for _, from := range append(listOf(v), listOf([]any{v})...) {
		for key, value := range from {
			if _, there := m[key]; !there {
				m[key] = clone(value)
			}
		}
	}
}

// olderBooleans are booleans to the YAML that kubectl reads, and words to a newer
// one.
var olderBooleans = []string{"yes", "no", "on", "off"}

func (r *reader) scalar(n *yaml.Node) any {
	wrong := func() any {
		r.say(n, "%s is no %s that JSON can have", n.Value, strings.TrimPrefix(n.ShortTag(), "!!"))
		return nil
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) != nil {
			return wrong()
		}
		return b
	case "!!int":
		var i int64
		if n.Decode(&i) != nil {
			return wrong()
		}
		return i
	case "!!float":
		var f float64
		if n.Decode(&f) != nil || f-f != 0 { // not a number, or infinite
			return wrong()
		}
		return f
	case "!!str", "!!timestamp":
		if n.Style == 0 && slices.Contains(olderBooleans, strings.ToLower(n.Value)) {
			r.say(n, "%s is a boolean to some readers of YAML and text to others: write true or false, or put it in quotes", n.Value)
		}
		return n.Value
	}
	r.say(n, "the tag %s cannot be read", n.Tag)
	return nil
}

// join returns the path of a key below path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
