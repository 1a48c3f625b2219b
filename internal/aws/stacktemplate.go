package aws

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A template is what has to be known of one before CloudFormation has read it:
// which parameters are secret, which resources have to exist afterwards, which
// buckets outlive the stack. What it does not understand, such as the conditions of
// a macro, it takes for unknown and draws no conclusion from.
type template struct {
	noEcho    []string
	resources map[string]templateResource
	transform bool // macros change the resources
}

type templateResource struct {
	retained bool // outlives the stack
	absent   bool // its condition is known to be false
}

// parseTemplate reads YAML or JSON.
func parseTemplate(text []byte, parameters map[string]string) (template, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return template{}, fmt.Errorf("read the template: %w", err)
	}
	if len(doc.Content) == 0 || get(doc.Content[0], "Resources") == nil {
		return template{}, errors.New("read the template: it has no Resources")
	}
	root := doc.Content[0]
	t := template{resources: map[string]templateResource{}, transform: get(root, "Transform") != nil}
	c := conditions{given: defaults(root, parameters), rules: get(root, "Conditions")}
	for name, p := range pairs(get(root, "Parameters")) {
		if n := get(p, "NoEcho"); n != nil && strings.EqualFold(n.Value, "true") {
			t.noEcho = append(t.noEcho, name)
		}
	}
	slices.Sort(t.noEcho)
	for id, r := range pairs(get(root, "Resources")) {
		t.resources[id] = templateResource{
			retained: strings.HasPrefix(scalar(get(r, "DeletionPolicy")), "Retain"),
			absent:   c.isFalse(scalar(get(r, "Condition"))),
		}
	}
	return t, nil
}

// secrets are the values of the parameters that the template says not to show.
func (t template) secrets(parameters map[string]string) []string {
	var values []string
	for _, name := range t.noEcho {
		if v := parameters[name]; v != "" {
			values = append(values, v)
		}
	}
	return values
}

// get is a key of a mapping, nil without it.
func get(n *yaml.Node, key string) *yaml.Node { return pairs(n)[key] }

func pairs(n *yaml.Node) map[string]*yaml.Node {
	m := map[string]*yaml.Node{}
	if n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = n.Content[i+1]
		}
	}
	return m
}

func scalar(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return n.Value
}

// defaults are the parameters with those that were not given.
func defaults(root *yaml.Node, given map[string]string) map[string]string {
	all := map[string]string{}
	for name, p := range pairs(get(root, "Parameters")) {
		if d := get(p, "Default"); d != nil {
			all[name] = d.Value
		}
	}
	for name, v := range given {
		all[name] = v
	}
	return all
}

// conditions are the template's, with three answers: true, false, unknown.
type conditions struct {
	given map[string]string
	rules *yaml.Node
}

// isFalse says that a condition certainly does not hold.
func (c conditions) isFalse(name string) bool {
	if name == "" {
		return false
	}
	holds, known := c.named(name, 0)
	return known && !holds
}

// deepest bounds conditions that name each other in a circle.
const deepest = 20

func (c conditions) named(name string, depth int) (holds, known bool) {
	rule := get(c.rules, name)
	if rule == nil || depth > deepest {
		return false, false
	}
	return c.eval(rule, depth+1)
}

func (c conditions) eval(n *yaml.Node, depth int) (holds, known bool) {
	name, arg := function(n)
	switch name {
	case "Condition":
		return c.named(arg.Value, depth)
	case "Equals":
		if len(arg.Content) != 2 {
			return false, false
		}
		a, knownA := c.value(arg.Content[0])
		b, knownB := c.value(arg.Content[1])
		return a == b, knownA && knownB
	case "Not":
		if len(arg.Content) != 1 {
			return false, false
		}
		holds, known := c.eval(arg.Content[0], depth)
		return !holds, known
	case "And", "Or":
		return c.several(name == "Or", arg.Content, depth)
	}
	return false, false
}

// several is Or, or And: one that decides is enough, otherwise all must be
// known.
func (c conditions) several(decides bool, all []*yaml.Node, depth int) (holds, known bool) {
	known = true
	for _, n := range all {
		h, k := c.eval(n, depth)
		if k && h == decides {
			return decides, true
		}
		known = known && k
	}
	return !decides, known
}

func (c conditions) value(n *yaml.Node) (string, bool) {
	name, arg := function(n)
	if name == "" && n.Kind == yaml.ScalarNode {
		return n.Value, true
	}
	if name == "Ref" {
		v, ok := c.given[arg.Value]
		return v, ok
	}
	return "", false
}

// function is the name of an intrinsic function without Fn::, in either
// spelling, and its argument.
func function(n *yaml.Node) (string, *yaml.Node) {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return n.Tag[1:], n
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 {
		return strings.TrimPrefix(n.Content[0].Value, "Fn::"), n.Content[1]
	}
	return "", n
}
