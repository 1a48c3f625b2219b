package journey

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/candlefish/deploy-action/internal/meter"
)

// kinds are the steps of a journey file.
var kinds = []string{"goto", "visit", "click", "fill", "press", "hover", "scroll", "wait-for", "expect", "screenshot"}

// step reads one step: a mapping with one key.
func (p *parser) step(n *yaml.Node) (Step, bool) {
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
		p.refuse(n.Line, "a step: want one of %s, and a value", strings.Join(kinds, ", "))
		return Step{}, false
	}
	s := Step{Kind: n.Content[0].Value}
	before, value := len(p.wrong), n.Content[1]
	switch s.Kind {
	case "goto", "visit":
		s.Value = p.path(value, s.Kind)
	case "click", "hover", "press":
		s.Value = p.plain(value, s.Kind)
	case "fill":
		p.fill(value, &s)
	case "scroll":
		p.scroll(value, &s)
	case "wait-for", "expect":
		p.seen(value, &s)
	case "screenshot":
		if s.Value = p.plain(value, s.Kind); s.Value != "" && !files.MatchString(s.Value) {
			p.refuse(value.Line, "screenshot %q: want 1 to 40 small letters, digits and -", cut(s.Value))
		}
	default:
		p.refuse(n.Line, "unknown step %q: want one of %s", cut(s.Kind), strings.Join(kinds, ", "))
	}
	return s, len(p.wrong) == before
}

var (
	files     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	variables = regexp.MustCompile(`\$\{([^}]*)\}`)
	variable  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// plain is a text without variables.
func (p *parser) plain(n *yaml.Node, what string) string {
	text := p.text(n, what)
	if strings.Contains(text, "${") {
		p.refuse(n.Line, "%s %q: variables are for the values of fill alone, so that they get into no address and no report", what, cut(text))
	}
	return text
}

// path is a path of the measured site, with a query if need be. Other sites are none of a
// journey's business: what the job may send goes to its own site alone.
func (p *parser) path(n *yaml.Node, what string) string {
	text := p.plain(n, what)
	u, err := url.Parse(text)
	if text != "" && (err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(text, "/") || strings.ContainsAny(text, ` \`)) {
		p.refuse(n.Line, "%s %q: want a path of the site, such as /workshop", what, cut(text))
	}
	return text
}

func (p *parser) fill(n *yaml.Node, s *Step) {
	keys := p.mapping(n, "fill", "into", "value")
	if keys == nil {
		return
	}
	if keys["into"] == nil || keys["value"] == nil {
		p.refuse(n.Line, `fill: want both into, a selector, and value: fill: {into: "#email", value: ann@example.org}`)
		return
	}
	s.Selector, s.Value = p.plain(keys["into"], "into"), p.text(keys["value"], "value")
	for _, found := range variables.FindAllStringSubmatch(s.Value, -1) {
		if !variable.MatchString(found[1]) {
			p.refuse(n.Line, "value: %q is not the name of a variable", cut(found[1]))
		}
	}
}

func (p *parser) scroll(n *yaml.Node, s *Step) {
	if n.Kind == yaml.MappingNode {
		if keys := p.mapping(n, "scroll", "to"); keys != nil && keys["to"] != nil {
			s.Selector = p.plain(keys["to"], "to")
		} else {
			p.refuse(n.Line, "scroll: want to, a selector")
		}
		return
	}
	s.Value = p.plain(n, "scroll")
	by, err := strconv.Atoi(s.Value)
	if s.Value != "" && s.Value != "end" && s.Value != "top" && (err != nil || by < -100000 || by > 100000 || by == 0) {
		p.refuse(n.Line, "scroll %q: want end, top, a number of pixels, or {to: selector}", cut(s.Value))
	}
}

// seen reads what a step waits for or expects.
func (p *parser) seen(n *yaml.Node, s *Step) {
	ofs := []string{"text", "visible", "hidden", "url"}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || !slices.Contains(ofs, n.Content[0].Value) {
		p.refuse(n.Line, "%s: want one of {text: words}, {visible: selector}, {hidden: selector}, {url: path}", s.Kind)
		return
	}
	s.Of = n.Content[0].Value
	if s.Of == "url" {
		s.Value = p.path(n.Content[1], "url")
		return
	}
	s.Value = p.plain(n.Content[1], s.Of)
}

// defaults are the journeys without a file: through all pages, by their links where
// there are any, with a key and a scroll on each.
func defaults(pages []string) []Journey {
	j := Journey{Name: "pages", Repeat: defaultRepeat}
	for i, page := range pages {
		kind := "visit"
		if i == 0 {
			kind = "goto"
		}
		j.Steps = append(j.Steps, Step{Kind: kind, Value: page}, Step{Kind: "press", Value: "Tab"}, Step{Kind: "scroll", Value: "end"})
	}
	return []Journey{j}
}

// cut shortens a text of a file for a message.
func cut(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return text
}

// on returns the devices of a journey.
func (j Journey) on(job []meter.Device) []meter.Device {
	if len(j.Devices) > 0 {
		return j.Devices
	}
	return job
}
