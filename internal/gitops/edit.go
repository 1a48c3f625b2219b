package gitops

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Edit returns the file with the image in a field. All other bytes stay: comments,
// indentation, quotes, line ends. A file that has the image already is returned as it
// is. An error says what in the file cannot be edited.
func Edit(file []byte, f Field, image string) ([]byte, error) {
	documents, err := read(file)
	if err != nil {
		return nil, err
	}
	e := &editor{file: file, starts: lineStarts(file)}
	if err := e.set(documents, f, parse(image), image); err != nil {
		return nil, fmt.Errorf("field %s: %w", f, err)
	}
	edited := e.apply()
	if bytes.Equal(edited, file) {
		return file, nil
	}
	// Read it again: what the next reader gets is the proof.
	if documents, err = read(edited); err != nil {
		return nil, fmt.Errorf("field %s: the edited file is no YAML: %w", f, err)
	}
	again := &editor{file: edited, starts: lineStarts(edited)}
	if err := again.set(documents, f, parse(image), image); err != nil || len(again.changes) > 0 {
		return nil, fmt.Errorf("field %s: the edited file does not have the image: edit it by hand", f)
	}
	return edited, nil
}

func read(file []byte) ([]*yaml.Node, error) {
	var documents []*yaml.Node
	for dec := yaml.NewDecoder(bytes.NewReader(file)); ; {
		var n yaml.Node
		err := dec.Decode(&n)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the YAML: %w", err)
		}
		documents = append(documents, n.Content...)
	}
}

// A change replaces the bytes from begin to end.
type change struct {
	begin, end int
	text       string
}

// An editor collects the changes of one file.
type editor struct {
	file    []byte
	starts  []int // of the lines
	changes []change
}

func lineStarts(file []byte) []int {
	starts := []int{0}
	for i, b := range file {
		if b == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

func (e *editor) apply() []byte {
	slices.SortStableFunc(e.changes, func(a, b change) int { return a.begin - b.begin })
	var out []byte
	at := 0
	for _, c := range e.changes {
		out = append(append(out, e.file[at:c.begin]...), c.text...)
		at = c.end
	}
	return append(out, e.file[at:]...)
}

// set collects the changes that give the field the image.
func (e *editor) set(documents []*yaml.Node, f Field, r reference, image string) error {
	if f.kustomize != "" {
		return e.kustomize(documents, f.kustomize, r)
	}
	var found []*yaml.Node
	var last error
	for _, d := range documents {
		n, err := follow(d, f.path)
		if err != nil {
			last = err
			continue
		}
		found = append(found, n)
	}
	switch {
	case len(found) > 1:
		return fmt.Errorf("%d documents of the file have it", len(found))
	case len(found) == 0 && last == nil:
		return errors.New("the file is empty")
	case len(found) == 0:
		return last
	}
	n := found[0]
	if n.Kind == yaml.MappingNode {
		return e.helm(n, r)
	}
	switch f.path[len(f.path)-1].key {
	case "tag":
		if r.tag == "" || r.digest != "" {
			return fmt.Errorf("it takes a tag alone, and the release has the image %s", image)
		}
		return e.scalar(n, r.tag)
	case "digest":
		if r.digest == "" {
			return fmt.Errorf("it takes a digest, and the release has the image %s", image)
		}
		return e.scalar(n, r.digest)
	}
	return e.scalar(n, image)
}

// follow leads from a node to the value of a path.
func follow(n *yaml.Node, path []step) (*yaml.Node, error) {
	for _, s := range path {
		var next *yaml.Node
		switch {
		case n.Kind == yaml.AliasNode:
			return nil, fmt.Errorf("line %d is an alias: edit its anchor", n.Line)
		case s.key != "":
			next = value(n, s.key)
		case n.Kind != yaml.SequenceNode:
		case s.index >= 0 && s.index < len(n.Content):
			next = n.Content[s.index]
		case s.where != "":
			next = entry(n, s.where, s.equal)
		}
		if next == nil {
			return nil, fmt.Errorf("the file has no %s", s)
		}
		n = next
	}
	return n, nil
}

// String names what a step looks for.
func (s step) String() string {
	switch {
	case s.key != "":
		return s.key
	case s.where != "":
		return fmt.Sprintf("entry with %s=%s", s.where, s.equal)
	}
	return fmt.Sprintf("entry %d", s.index)
}

// value returns the value of a mapping's key, nil for none.
func value(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// entry returns the first mapping of a list whose key has the value.
func entry(n *yaml.Node, key, equal string) *yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	for _, c := range n.Content {
		if v := value(c, key); v != nil && v.Value == equal {
			return c
		}
	}
	return nil
}

// helm sets repository, tag and digest of a mapping, as far as it has them.
// registry, which many charts divide from the repository, stays.
func (e *editor) helm(n *yaml.Node, r reference) error {
	repository, tag, digest := value(n, "repository"), value(n, "tag"), value(n, "digest")
	if tag == nil && digest == nil {
		return errors.New("the mapping has neither tag nor digest")
	}
	if registry := value(n, "registry"); registry != nil && registry.Value != "" {
		r.repository = strings.TrimPrefix(r.repository, registry.Value+"/")
	}
	if repository != nil {
		if err := e.scalar(repository, r.repository); err != nil {
			return err
		}
	}
	switch {
	case r.digest != "" && digest == nil:
		return errors.New("the mapping has no digest, and the image of the release has one")
	case r.digest == "" && tag == nil:
		return errors.New("the mapping has no tag, and the image of the release has no digest")
	}
	if digest != nil {
		if err := e.scalar(digest, r.digest); err != nil {
			return err
		}
	}
	if tag != nil && r.tag != "" {
		return e.scalar(tag, r.tag)
	}
	return nil
}

// kustomize sets an entry of images: newName, and newTag or digest, of which it takes
// one. https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/.
func (e *editor) kustomize(documents []*yaml.Node, name string, r reference) error {
	var image *yaml.Node
	for _, d := range documents {
		if image = entry(value(d, "images"), "name", name); image != nil {
			break
		}
	}
	if image == nil {
		return fmt.Errorf("the file has no entry of images with name: %s", name)
	}
	want := map[string]string{"newTag": r.tag, "digest": r.digest}
	if r.digest != "" {
		want["newTag"] = ""
	}
	if r.repository != name || value(image, "newName") != nil {
		want["newName"] = r.repository
	}
	if old, fresh := "newTag", "digest"; value(image, old) == nil != (value(image, fresh) == nil) {
		if want[old] != "" {
			old, fresh = fresh, old
		}
		if value(image, old) != nil {
			if err := e.rename(image, old, fresh, want[fresh]); err != nil {
				return err
			}
			delete(want, old)
			delete(want, fresh)
		}
	}
	for _, key := range []string{"newName", "newTag", "digest"} {
		text, wanted := want[key]
		if !wanted {
			continue
		}
		if err := e.key(image, key, text); err != nil {
			return err
		}
	}
	return nil
}

// key sets, adds or removes a scalar of a mapping.
func (e *editor) key(n *yaml.Node, key, text string) error {
	v := value(n, key)
	switch {
	case v == nil && text == "":
		return nil
	case v != nil && text != "":
		return e.scalar(v, text)
	case n.Style&yaml.FlowStyle != 0:
		return fmt.Errorf("line %d: %s cannot be added or removed in braces: edit it by hand", n.Line, key)
	case v != nil:
		return e.removeLine(n, v, key)
	}
	last := n.Content[len(n.Content)-1]
	if last.Kind != yaml.ScalarNode || last.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return fmt.Errorf("line %d: %s cannot be added behind a block: edit it by hand", last.Line, key)
	}
	end := e.lineEnd(last.Line)
	ending := "\n"
	if bytes.HasSuffix(e.file[:end], []byte("\r")) {
		end, ending = end-1, "\r\n"
	}
	e.changes = append(e.changes, change{end, end, ending + strings.Repeat(" ", n.Column-1) + key + ": " + quoted(text)})
	return nil
}

// rename gives a mapping's key another name and value, in its place.
func (e *editor) rename(n *yaml.Node, old, fresh, text string) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i], n.Content[i+1]
		if key.Value != old {
			continue
		}
		begin := e.offset(key)
		if key.Style != 0 || !bytes.HasPrefix(e.file[begin:], []byte(old)) {
			return fmt.Errorf("line %d: %s is no plain key: edit it by hand", key.Line, old)
		}
		e.changes = append(e.changes, change{begin, begin + len(old), fresh})
		return e.scalar(v, text)
	}
	return nil
}

// removeLine removes the line of a key, unless something else is on it.
func (e *editor) removeLine(n, v *yaml.Node, key string) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i+1] != v {
			continue
		}
		begin := e.starts[n.Content[i].Line-1]
		if v.Line != n.Content[i].Line || strings.TrimSpace(string(e.file[begin:e.offset(n.Content[i])])) != "" {
			return fmt.Errorf("line %d: %s cannot be removed, the line has more: edit it by hand", v.Line, key)
		}
		end := e.lineEnd(v.Line)
		if end < len(e.file) {
			end++
		}
		e.changes = append(e.changes, change{begin: begin, end: end})
	}
	return nil
}

// lineEnd returns the offset of a line's end, before its \n.
func (e *editor) lineEnd(line int) int {
	if line < len(e.starts) {
		return e.starts[line] - 1
	}
	return len(e.file)
}

// offset returns where a node begins: its column counts characters.
func (e *editor) offset(n *yaml.Node) int {
	at := e.starts[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(e.file[at:])
		at += size
	}
	return at
}

// scalar replaces the text of a scalar, in the quotes that it has.
func (e *editor) scalar(n *yaml.Node, text string) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d is no scalar", n.Line)
	}
	if n.Value == text && (n.Tag == "!!str" || text == "") {
		return nil
	}
	if n.Line < 1 || n.Line > len(e.starts) {
		return errors.New("the value has no place in the file")
	}
	begin := e.offset(n)
	old, fresh := n.Value, quoted(text)
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		old, fresh = `"`+n.Value+`"`, `"`+text+`"`
	case n.Style&yaml.SingleQuotedStyle != 0:
		old, fresh = `'`+n.Value+`'`, `'`+text+`'`
	case n.Tag == "!!null" && n.Value == "":
		return fmt.Errorf("line %d has no value: write one first", n.Line)
	}
	if !bytes.HasPrefix(e.file[begin:], []byte(old)) { // an anchor, a tag, escapes or a block
		return fmt.Errorf("line %d is written in a way that cannot be edited: write it as a plain or quoted string", n.Line)
	}
	e.changes = append(e.changes, change{begin, begin + len(old), fresh})
	return nil
}

// quoted returns a text as YAML: in quotes if it would else be read as another type,
// as the tag 1.10 would.
func quoted(text string) string {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err == nil && len(n.Content) == 1 && n.Content[0].Kind == yaml.ScalarNode && n.Content[0].Tag == "!!str" && n.Content[0].Value == text {
		return text
	}
	return `"` + text + `"`
}
