package manifest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Redacted stands for a value of a Secret.
const Redacted = "(redacted)"

// maxValue bounds a value in a line of a diff, in runes.
const maxValue = 120

// Changes returns what makes an object another one, one line a field, for people:
// "+ path: value", "- path: value" and "~ path: old -> new". Either may be nil.
// Items of a list are told by their name if all have one. What only a cluster
// writes is left out, and values of Secrets are redacted.
func Changes(before, after map[string]any) []string {
	d := differ{}
	if (Object{Fields: before}).Is("", "Secret") || (Object{Fields: after}).Is("", "Secret") {
		d.secret = true
	}
	from, to := map[string]any{}, map[string]any{}
	if before != nil {
		from = Object{Fields: before}.Clone().asWritten().Fields
	}
	if after != nil {
		to = Object{Fields: after}.Clone().asWritten().Fields
	}
	d.diff("", from, to)
	return d.lines
}

type differ struct {
	secret bool
	lines  []string
}

func (d *differ) diff(path string, before, after any) {
	if reflect.DeepEqual(before, after) {
		return
	}
	a, aMap := before.(map[string]any)
	b, bMap := after.(map[string]any)
	if (aMap || before == nil) && (bMap || after == nil) && (len(a) > 0 || len(b) > 0) {
		keys := append(sorted(a), sorted(b)...)
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			d.diff(join(path, key), a[key], b[key])
		}
		return
	}
	x, xList := before.([]any)
	y, yList := after.([]any)
	if (xList || before == nil) && (yList || after == nil) && len(x)+len(y) > 0 {
		d.diffLists(path, x, y)
		return
	}
	switch {
	case before == nil:
		d.lines = append(d.lines, fmt.Sprintf("+ %s: %s", path, d.show(path, after)))
	case after == nil:
		d.lines = append(d.lines, fmt.Sprintf("- %s: %s", path, d.show(path, before)))
	default:
		d.lines = append(d.lines, fmt.Sprintf("~ %s: %s -> %s", path, d.show(path, before), d.show(path, after)))
	}
}

func (d *differ) diffLists(path string, a, b []any) {
	if !named(a) || !named(b) {
		for i := range max(len(a), len(b)) {
			d.diff(path+"["+strconv.Itoa(i)+"]", item(a, i), item(b, i))
		}
		return
	}
	var names []string
	byName := func(list []any) map[string]any {
		m := map[string]any{}
		for _, v := range list {
			name, _ := v.(map[string]any)["name"].(string)
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			m[name] = v
		}
		return m
	}
	from, to := byName(a), byName(b)
	for _, name := range names {
		d.diff(path+"["+name+"]", from[name], to[name])
	}
}

func item(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// named reports whether all items of a list have names, each its own.
func named(list []any) bool {
	seen := map[string]bool{}
	for _, v := range list {
		m, _ := v.(map[string]any)
		name, ok := m["name"].(string)
		if !ok || seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

// show returns a value on one line.
func (d *differ) show(path string, v any) string {
	if d.secret && (strings.HasPrefix(path, "data") || strings.HasPrefix(path, "stringData")) {
		return Redacted
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	text := []rune(string(raw))
	if len(text) > maxValue {
		return string(text[:maxValue]) + fmt.Sprintf("... (%d characters)", len(text))
	}
	return string(text)
}

// Undo returns what applying gives an object back its live values: for each field
// of applied the live one, and nothing for a field that live does not have. Lists
// are taken whole.
func Undo(applied, live map[string]any) map[string]any {
	back := map[string]any{}
	for key, value := range applied {
		now, there := live[key]
		if !there {
			continue
		}
		a, aMap := value.(map[string]any)
		b, bMap := now.(map[string]any)
		if aMap && bMap {
			back[key] = Undo(a, b)
			continue
		}
		back[key] = clone(now)
	}
	return back
}
