package istio

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// The names of the rules that a release adds begin with these.
const (
	namePreflight = "candlefish-preflight-"
	nameExtra     = "candlefish-extra-"
)

// An edit is a patch of a VirtualService, and the rules as they are after it.
type edit struct {
	patch jsonpatch.Patch
	rules map[string][]any // by protocol
	route router.Object
}

func newEdit(route router.Object) *edit {
	e := &edit{patch: jsonpatch.Guarded(object.Text(object.Child(route, "metadata"), "resourceVersion")), rules: map[string][]any{}, route: route}
	for _, protocol := range protocols {
		e.rules[protocol] = slices.Clone(object.List(object.Child(route, "spec"), protocol))
	}
	return e
}

func (e *edit) insert(protocol string, at int, rule any) {
	e.patch = e.patch.Add(fmt.Sprintf("/spec/%s/%d", protocol, at), rule)
	e.rules[protocol] = slices.Insert(e.rules[protocol], at, rule)
}

func (e *edit) remove(protocol string, at int) {
	e.patch = e.patch.Remove(fmt.Sprintf("/spec/%s/%d", protocol, at))
	e.rules[protocol] = slices.Delete(e.rules[protocol], at, at+1)
}

// field sets a field of a rule, or removes it for nil.
func (e *edit) field(protocol string, at int, key string, value any) {
	path := fmt.Sprintf("/spec/%s/%d/%s", protocol, at, key)
	rule, _ := e.rules[protocol][at].(map[string]any)
	switch _, has := rule[key]; {
	case isNil(value) && has:
		e.patch = e.patch.Remove(path)
	case !isNil(value):
		e.patch = e.patch.Add(path, value)
	}
}

// write gives one of the recorded rules the split.
func (e *edit) write(r release.Route, ours saved, rule savedRule, to router.Split) error {
	at := positionIn(e.rules[rule.Protocol], rule.Index)
	if at < 0 {
		return &router.ConflictError{What: fmt.Sprintf("virtualservice %s: rule %s[%d] is gone; the list of rules", r.Name, rule.Protocol, rule.Index)}
	}
	user, _ := e.rules[rule.Protocol][at].(map[string]any)
	want, err := ours.wanted(rule, user, to)
	if err != nil {
		return fmt.Errorf("%s: %w", rule.where(r), err)
	}
	if have := object.List(user, "route"); !reflect.DeepEqual(have, want.route) {
		if !ours.isOurs(rule, have, to) && (to.Weight > 0 || !ours.differsInWeights(rule, have, to)) {
			return &router.ConflictError{What: rule.where(r)}
		}
		e.field(rule.Protocol, at, "route", want.route)
	}
	if rule.Protocol != "http" {
		return nil
	}
	e.mirror(at, user, want, to)
	at = e.replaceBefore(at, namePreflight, want.pins)
	e.replaceBefore(at, nameExtra, want.before)
	return nil
}

// mirror gives the rule at an index the mirror, or takes ours away.
func (e *edit) mirror(at int, user map[string]any, w want, to router.Split) {
	if !mirrorDiffers(user, w, to) {
		return
	}
	if w.mirror == nil {
		e.field("http", at, "mirror", nil)
		e.field("http", at, "mirrorPercentage", nil)
		return
	}
	e.field("http", at, "mirror", w.mirror)
	e.field("http", at, "mirrorPercentage", w.share)
}

// mirrorDiffers reports whether a rule lacks the mirror of a want, or has one that a
// release added. A mirror of the user's own is none of ours.
func mirrorDiffers(user map[string]any, w want, to router.Split) bool {
	mirror := object.Child(user, "mirror")
	if w.mirror == nil {
		return leadsTo(map[string]any{"destination": mirror}, to.CanaryService, to)
	}
	return !reflect.DeepEqual(mirror, w.mirror) || !reflect.DeepEqual(object.Child(user, "mirrorPercentage"), w.share)
}

// replaceBefore replaces the rules with a name's prefix directly before a rule,
// and returns the rule's new index.
func (e *edit) replaceBefore(at int, prefix string, rules []any) int {
	if reflect.DeepEqual(namedBefore(e.rules["http"], at, prefix), rules) {
		return at
	}
	for i := at - 1; i >= 0 && isOurs(e.rules["http"][i]); i-- {
		if strings.HasPrefix(object.Text(e.rules["http"][i], "name"), prefix) {
			e.remove("http", i)
			at--
		}
	}
	for _, rule := range rules {
		e.insert("http", at, rule)
		at++
	}
	return at
}

// namedBefore returns the rules with a name's prefix directly before an index.
func namedBefore(rules []any, at int, prefix string) []any {
	var found []any
	for i := at - 1; i >= 0 && isOurs(rules[i]); i-- {
		if strings.HasPrefix(object.Text(rules[i], "name"), prefix) {
			found = append(found, rules[i])
		}
	}
	slices.Reverse(found)
	return found
}

func extrasBefore(rules []any, at int) []any { return namedBefore(rules, at, nameExtra) }

// isOurs reports whether a release added a rule.
func isOurs(rule any) bool {
	name := object.Text(rule, "name")
	return strings.HasPrefix(name, namePreflight) || strings.HasPrefix(name, nameExtra)
}

// usersRules returns the rules of a protocol without those that a release added.
func usersRules(route router.Object, protocol string) []any {
	return slices.DeleteFunc(slices.Clone(object.List(object.Child(route, "spec"), protocol)), isOurs)
}

// position returns the index of a recorded rule in its list, -1 if it is gone.
func position(route router.Object, rule savedRule) int {
	return positionIn(object.List(object.Child(route, "spec"), rule.Protocol), rule.Index)
}

func positionIn(rules []any, index int) int {
	for i, rule := range rules {
		if isOurs(rule) {
			continue
		}
		if index == 0 {
			return i
		}
		index--
	}
	return -1
}

// isOurs reports whether destinations are the recorded ones or a split of them.
func (s saved) isOurs(rule savedRule, have []any, to router.Split) bool {
	for to.Weight = router.Original; to.Weight <= 100; to.Weight++ {
		if w, err := s.wanted(rule, nil, to); err == nil && reflect.DeepEqual(have, w.route) {
			return true
		}
	}
	return false
}

// differsInWeights reports whether destinations are a split of the recorded ones but
// for the weights.
func (s saved) differsInWeights(rule savedRule, have []any, to router.Split) bool {
	to.Weight = 0
	w, err := s.wanted(rule, nil, to)
	return err == nil && onlyWeightsDiffer(have, w.route)
}

func isNil(v any) bool {
	m, ok := v.(map[string]any)
	return v == nil || ok && m == nil
}
