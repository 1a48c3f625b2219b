package journey

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/candlefish/deploy-action/internal/meter"
)

// Limits of a file: people review it.
const (
	maxFile     = 256 << 10
	maxJourneys = 50
	maxSteps    = 200
	maxText     = 1000
	maxRepeat   = 20
)

// defaultRepeat is how often a journey is repeated for its heap.
const defaultRepeat = 3

// A Journey is what a user does on the site.
type Journey struct {
	Name    string
	Line    int
	Devices []meter.Device // none for those of the job
	Repeat  int            // repetitions that show what is left in memory; 0 for none
	Steps   []Step
	Script  string // a module, relative to the file's folder, instead of Steps
}

// A Step is one thing that a user does or expects.
type Step struct {
	Kind     string // goto, click, ...
	Of       string // of wait-for and expect: text, visible, hidden, url
	Selector string // of fill and scroll
	Value    string // may have ${NAME}, of a fill
}

// String is the step as the file has it. The name of a variable stands for its value.
func (s Step) String() string {
	switch {
	case s.Kind == "fill":
		return fmt.Sprintf("fill %s with %s", s.Selector, s.Value)
	case s.Selector != "":
		return s.Kind + " to " + s.Selector
	case s.Of != "":
		return fmt.Sprintf("%s %s %s", s.Kind, s.Of, s.Value)
	}
	return s.Kind + " " + s.Value
}

// Parse reads a file of journeys; name is what messages call it. The error has a line
// for each problem, with its line in the file.
func Parse(name string, raw []byte) ([]Journey, error) {
	p := &parser{file: name}
	if doc := p.document(raw); doc != nil {
		p.root(doc)
	}
	if len(p.wrong) > 0 {
		return nil, errors.Join(p.wrong...)
	}
	return p.journeys, nil
}

// A parser collects the journeys of a file and its errors.
type parser struct {
	file     string
	journeys []Journey
	wrong    []error
}

func (p *parser) refuse(line int, format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Errorf("%s:%d: %s", p.file, line, fmt.Sprintf(format, args...)))
}

// document returns the root of the only document of a file.
func (p *parser) document(raw []byte) *yaml.Node {
	if len(raw) > maxFile {
		p.refuse(1, "the file has %d bytes: want at most %d", len(raw), maxFile)
		return nil
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	var doc, second yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		p.refuse(1, "the file is empty: want version: 1 and journeys:")
		return nil
	} else if err != nil {
		p.wrong = append(p.wrong, fmt.Errorf("%s: %w", p.file, err))
		return nil
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		p.refuse(max(second.Line, 1), "there is more behind the first document: want one document")
		return nil
	}
	return doc.Content[0]
}

func (p *parser) root(n *yaml.Node) {
	keys := p.mapping(n, "the file", "version", "journeys")
	if keys == nil {
		return
	}
	if v := keys["version"]; v == nil || v.Value != "1" {
		p.refuse(n.Line, "version: want version: 1")
	}
	list := keys["journeys"]
	switch {
	case list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0:
		p.refuse(n.Line, "journeys: want a list with at least one journey")
	case len(list.Content) > maxJourneys:
		p.refuse(list.Line, "%d journeys: want at most %d", len(list.Content), maxJourneys)
	default:
		for _, one := range list.Content {
			p.journey(one)
		}
	}
}

// mapping returns the values of a mapping by their keys, which must be among known.
func (p *parser) mapping(n *yaml.Node, what string, known ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		p.refuse(n.Line, "%s: want keys and values: %s", what, strings.Join(known, ", "))
		return nil
	}
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			p.refuse(key.Line, "%s: unknown key %q: want one of %s", what, cut(key.Value), strings.Join(known, ", "))
		case values[key.Value] != nil:
			p.refuse(key.Line, "%s: %s is set twice", what, key.Value)
		default:
			values[key.Value] = value
		}
	}
	return values
}

// text returns a scalar's text of one line; "" after a refusal.
func (p *parser) text(n *yaml.Node, what string) string {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		p.refuse(n.Line, "%s: anchors and aliases are not read; write the value", what)
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null" || strings.TrimSpace(n.Value) == "":
		p.refuse(n.Line, "%s: want a text", what)
	case len(n.Value) > maxText:
		p.refuse(n.Line, "%s: %d bytes: want at most %d", what, len(n.Value), maxText)
	case strings.ContainsFunc(n.Value, unicode.IsControl):
		p.refuse(n.Line, "%s %q: want one line without control characters", what, cut(n.Value))
	default:
		return n.Value
	}
	return ""
}

// names are what reports, files and baselines call a journey.
var names = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9 /_.-]{0,59}$`)

func (p *parser) journey(n *yaml.Node) {
	keys := p.mapping(n, "a journey", "name", "devices", "repeat", "steps", "script")
	if keys == nil {
		return
	}
	j := Journey{Line: n.Line, Repeat: defaultRepeat}
	if keys["name"] == nil {
		p.refuse(n.Line, "the journey has no name")
	} else if j.Name = p.text(keys["name"], "name"); j.Name != "" && !names.MatchString(j.Name) {
		p.refuse(keys["name"].Line, "name %q: want 1 to 60 letters, digits, spaces and any of / _ . -", cut(j.Name))
	}
	if slices.ContainsFunc(p.journeys, func(other Journey) bool { return j.Name != "" && other.Name == j.Name }) {
		p.refuse(n.Line, "two journeys are named %q", j.Name)
	}
	j.Devices = p.devices(keys["devices"])
	if r := keys["repeat"]; r != nil {
		var err error
		if j.Repeat, err = strconv.Atoi(r.Value); err != nil || j.Repeat < 0 || j.Repeat == 1 || j.Repeat > maxRepeat {
			p.refuse(r.Line, "repeat %q: want 0, or 2 to %d repetitions", cut(r.Value), maxRepeat)
		}
	}
	switch steps, script := keys["steps"], keys["script"]; {
	case (steps == nil) == (script == nil):
		p.refuse(n.Line, "journey %q: want either steps or a script", j.Name)
	case script != nil:
		j.Script = p.script(script)
	default:
		j.Steps = p.steps(steps)
	}
	p.journeys = append(p.journeys, j)
}

func (p *parser) devices(n *yaml.Node) []meter.Device {
	if n == nil {
		return nil
	}
	known := []meter.Device{meter.Desktop, meter.Mobile}
	var all []meter.Device
	if n.Kind == yaml.SequenceNode {
		for _, one := range n.Content {
			if d := meter.Device(one.Value); slices.Contains(known, d) && !slices.Contains(all, d) {
				all = append(all, d)
			}
		}
	}
	if len(all) == 0 || len(all) != len(n.Content) {
		p.refuse(n.Line, "devices: want a list with desktop, mobile or both")
	}
	return all
}

func (p *parser) script(n *yaml.Node) string {
	text := p.text(n, "script")
	if text != "" && (path.Ext(text) != ".mjs" || !isBelow(text)) {
		p.refuse(n.Line, "script %q: want the path of an .mjs file, below the folder of this file", cut(text))
	}
	return text
}

// isBelow reports whether a path with slashes stays in its folder.
func isBelow(name string) bool {
	clean := path.Clean(name)
	return !path.IsAbs(name) && clean != ".." && !strings.HasPrefix(clean, "../") && !strings.Contains(name, `\`)
}

func (p *parser) steps(n *yaml.Node) []Step {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 || len(n.Content) > maxSteps {
		p.refuse(n.Line, "steps: want a list of 1 to %d steps", maxSteps)
		return nil
	}
	var all []Step
	for _, one := range n.Content {
		if s, ok := p.step(one); ok {
			all = append(all, s)
		}
	}
	if len(all) > 0 && all[0].Kind != "goto" {
		p.refuse(n.Content[0].Line, "the first step is %s: want goto, so that the journey begins at a known page", all[0].Kind)
	}
	return all
}
