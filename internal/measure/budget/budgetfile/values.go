package budgetfile

import (
	"slices"
	"strings"
)

// keysOf refuses keys of an object that are not known, and reports whether it is one.
func (p *problems) keysOf(n *node, what string, known ...string) bool {
	if n.kind != object {
		p.refuse(n.line, "%s is %s: want keys and values: %s", what, n.kind, strings.Join(known, ", "))
		return false
	}
	for _, k := range n.keys {
		if !slices.Contains(known, k.name) {
			p.refuse(k.line, "%s has an unknown key %s: want one of %s", what, quoted(k.name), strings.Join(known, ", "))
		}
	}
	return true
}

// itemsOf returns the items of a list.
func (p *problems) itemsOf(n *node, what string) []*node {
	if n == nil {
		return nil
	}
	if n.kind != list {
		p.refuse(n.line, "%s is %s: want a list", what, n.kind)
		return nil
	}
	return n.items
}

// textOf returns the text of a key, "" if it is not there or wrong.
func (p *problems) textOf(n *node, name string) string {
	v := n.get(name)
	switch {
	case v == nil:
		return ""
	case v.kind != text:
		p.refuse(v.line, "%s is %s: want text", name, v.kind)
		return ""
	case strings.TrimSpace(v.text) == "":
		p.refuse(v.line, "%s is empty: leave it out", name)
	}
	return v.text
}

// chosen returns the text of a key that is one of some; first if it is not there.
func chosen[T ~string](p *problems, n *node, name string, first T, allowed ...T) T {
	v := n.get(name)
	if v == nil {
		return first
	}
	if v.kind != text || !slices.Contains(allowed, T(v.text)) {
		var all []string
		for _, a := range allowed {
			all = append(all, string(a))
		}
		p.refuse(v.line, "%s is %s: want one of %s", name, v.shown(), strings.Join(all, ", "))
		return first
	}
	return T(v.text)
}

// numberOf returns a number between two; ok says whether it is one.
func (p *problems) numberOf(v *node, what string, most float64) (n float64, ok bool) {
	if v.kind == number && v.number >= 0 && v.number <= most {
		return v.number, true
	}
	want := "a number of 0 or more"
	if most == 1 {
		want = "a number from 0 to 1"
	}
	p.refuse(v.line, "%s is %s: want %s", what, v.shown(), want)
	return 0, false
}

// shown is a value as messages show it.
func (n *node) shown() string {
	switch n.kind {
	case text:
		return quoted(n.text)
	case number:
		return n.text
	default:
		return string(n.kind)
	}
}
