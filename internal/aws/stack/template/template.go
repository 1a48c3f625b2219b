// Package template reads from a CloudFormation template what has to be known
// without CloudFormation: which parameters are secret, which resources must exist
// once the stack is complete, which ones outlive it. It is pure.
//
// What it does not understand, such as the conditions of a macro, is unknown, and
// nothing is concluded from it.
package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Template is what Parse found.
type Template struct {
	Declared  map[string]bool     // the parameters, and whether each must be given
	NoEcho    []string            // names of the secret parameters, sorted
	Resources map[string]Resource // by logical id
	Transform bool                // macros change the resources
}

// A Resource is one resource of a template.
type Resource struct {
	Retained bool // it outlives the stack
	Absent   bool // its condition is known to be false
}

// Parse reads YAML or JSON. Conditions are evaluated with the parameters, and with
// the template's defaults for the others.
func Parse(text []byte, parameters map[string]string) (Template, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return Template{}, fmt.Errorf("read the template: %w", err)
	}
	if len(doc.Content) == 0 || get(doc.Content[0], "Resources") == nil {
		return Template{}, errors.New("read the template: it has no Resources")
	}
	root := doc.Content[0]
	t := Template{Declared: map[string]bool{}, Resources: map[string]Resource{}, Transform: get(root, "Transform") != nil}
	c := conditions{parameters: withDefaults(root, parameters), rules: get(root, "Conditions")}
	for name, p := range pairs(get(root, "Parameters")) {
		t.Declared[name] = get(p, "Default") == nil
		if n := get(p, "NoEcho"); n != nil && strings.EqualFold(n.Value, "true") {
			t.NoEcho = append(t.NoEcho, name)
		}
	}
	slices.Sort(t.NoEcho)
	for id, r := range pairs(get(root, "Resources")) {
		t.Resources[id] = Resource{
			Retained: strings.HasPrefix(scalar(get(r, "DeletionPolicy")), "Retain"),
			Absent:   c.isFalse(scalar(get(r, "Condition"))),
		}
	}
	return t, nil
}

// Fill returns the parameters to send: of offered those that the template declares, and
// all of own, which override them. CloudFormation refuses a parameter that the template
// does not declare, and a missing one without a default; so does Fill, with all of them
// in one error.
func (t Template) Fill(offered, own map[string]string) (map[string]string, error) {
	filled := map[string]string{}
	for name, value := range offered {
		if _, ok := t.Declared[name]; ok {
			filled[name] = value
		}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if _, ok := t.Declared[name]; !ok {
			errs = append(errs, fmt.Errorf("the template declares no parameter %q; it declares %q", name, slices.Sorted(maps.Keys(t.Declared))))
		}
		filled[name] = own[name]
	}
	for _, name := range slices.Sorted(maps.Keys(t.Declared)) {
		if _, ok := filled[name]; !ok && t.Declared[name] {
			errs = append(errs, fmt.Errorf("the template's parameter %q has no default and is not given", name))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return filled, nil
}

// Secrets returns the values of the parameters that the template marks NoEcho.
func (t Template) Secrets(parameters map[string]string) []string {
	var values []string
	for _, name := range t.NoEcho {
		if v := parameters[name]; v != "" {
			values = append(values, v)
		}
	}
	return values
}

// get returns a key of a mapping, nil without it.
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

// withDefaults adds the template's defaults to the given parameters.
func withDefaults(root *yaml.Node, given map[string]string) map[string]string {
	all := map[string]string{}
	for name, p := range pairs(get(root, "Parameters")) {
		if d := get(p, "Default"); d != nil {
			all[name] = d.Value
		}
	}
	maps.Copy(all, given)
	return all
}

// conditions evaluates the template's conditions to true, false or unknown.
type conditions struct {
	parameters map[string]string
	rules      *yaml.Node
}

// isFalse reports whether a condition certainly does not hold.
func (c conditions) isFalse(name string) bool {
	if name == "" {
		return false
	}
	holds, known := c.named(name, 0)
	return known && !holds
}

// maxDepth bounds conditions that refer to each other in a circle.
const maxDepth = 20

func (c conditions) named(name string, depth int) (holds, known bool) {
	rule := get(c.rules, name)
	if rule == nil || depth > maxDepth {
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

// several evaluates Or (decisive is true) or And (decisive is false): one operand
// that is decisive is enough, otherwise all of them must be known.
func (c conditions) several(decisive bool, all []*yaml.Node, depth int) (holds, known bool) {
	known = true
	for _, n := range all {
		h, k := c.eval(n, depth)
		if k && h == decisive {
			return decisive, true
		}
		known = known && k
	}
	return !decisive, known
}

func (c conditions) value(n *yaml.Node) (string, bool) {
	name, arg := function(n)
	if name == "" && n.Kind == yaml.ScalarNode {
		return n.Value, true
	}
	if name == "Ref" {
		v, ok := c.parameters[arg.Value]
		return v, ok
	}
	return "", false
}

// function returns the name of an intrinsic function without Fn::, in either
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
