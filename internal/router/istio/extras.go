package istio

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

var (
	_ router.Extender = Router{}
	_ router.Fitter   = Router{}
	_ router.Inline   = Router{}
)

// Supports implements router.Extender: Istio has all extras.
func (Router) Supports(router.Extras) error { return nil }

// Fits implements router.Fitter: a rule has one mirror, and rules for TLS and TCP
// see neither headers nor cookies.
func (Router) Fits(route router.Object, r release.Route, x router.Extras, _ router.Object) error {
	ours, err := decode(r)
	if err != nil || x == (router.Extras{}) {
		return err
	}
	for _, rule := range ours.Rules {
		if rule.Protocol != "http" {
			return fmt.Errorf("virtualservice %s %s[%d] is a rule for %s, which has no headers, cookies, mirrors or affinity", r.Name, rule.Protocol, rule.Index, rule.Protocol)
		}
		at := position(route, rule)
		if at < 0 {
			continue
		}
		user := object.List(object.Child(route, "spec"), "http")[at]
		if x.Mirror > 0 && (object.Child(user, "mirror") != nil || object.List(user, "mirrors") != nil) {
			return fmt.Errorf("virtualservice %s http[%d] has a mirror already, and a rule has one", r.Name, rule.Index)
		}
	}
	return nil
}

// extras adds to a want what a split does beside the weights. It does so while both
// versions have traffic: before, the canary may have no pods, and after it the
// canary Service is the way back.
func (s saved) extras(w *want, rule savedRule, user map[string]any, entries []any, to router.Split) {
	if to.Weight <= 0 || to.Weight >= 100 {
		return
	}
	i := slices.IndexFunc(entries, func(e any) bool { return isOwn(e, to) })
	own, _ := entries[i].(map[string]any)
	canary := withWeight(s.canaryEntry(own, to), 100)
	x := to.Extras
	if x.Header != "" || s.Made {
		name, value := x.Header, x.Value
		if name == "" {
			name, value = "canary", "true"
		}
		w.before = append(w.before, marked(user, rule, "header", canary, name, map[string]any{"exact": value}))
	}
	if x.Cookie != "" {
		w.before = append(w.before, marked(user, rule, "cookie", canary, "cookie", cookieMatch(x.Cookie, "always")))
	}
	if x.Affinity != "" {
		w.before = append(w.before, marked(user, rule, "affinity", canary, "cookie", cookieMatch(x.Affinity, x.AffinityValue)))
	}
	if x.Mirror > 0 {
		w.mirror, w.share = object.Child(canary, "destination"), map[string]any{"value": int64(x.Mirror)}
	}
}

// marked returns a rule of the user's for the requests with a header, that sends
// them to one destination.
func marked(user map[string]any, rule savedRule, what string, to map[string]any, header string, match map[string]any) map[string]any {
	own := maps.Clone(user)
	if own == nil {
		own = map[string]any{}
	}
	for _, key := range []string{"mirror", "mirrors", "mirrorPercentage"} {
		delete(own, key)
	}
	own["name"] = fmt.Sprintf("%s%s-%d", nameExtra, what, rule.Index)
	own["match"] = withHeader(object.List(user, "match"), header, match)
	own["route"] = []any{to}
	return own
}

// withHeader adds a header to every match; the conditions of one match must all
// hold. A rule without matches takes all requests.
func withHeader(matches []any, header string, match map[string]any) []any {
	if len(matches) == 0 {
		matches = []any{map[string]any{}}
	}
	var narrowed []any
	for _, m := range matches {
		user, _ := m.(map[string]any)
		own := maps.Clone(user)
		if own == nil {
			own = map[string]any{}
		}
		headers := maps.Clone(object.Child(user, "headers"))
		if headers == nil {
			headers = map[string]any{}
		}
		headers[strings.ToLower(header)] = match // Istio compares with lower case
		own["headers"] = headers
		narrowed = append(narrowed, own)
	}
	return narrowed
}

// cookieMatch matches the header Cookie of a request with a cookie of this value.
// Istio's patterns cover the whole header.
func cookieMatch(name, value string) map[string]any {
	return map[string]any{"regex": `^(.*;\s*)?` + regexp.QuoteMeta(name) + "=" + regexp.QuoteMeta(value) + `(;.*)?$`}
}

// marked lets the canary's answers set the cookie of the affinity.
func (s saved) marked(canary map[string]any, to router.Split) map[string]any {
	if to.Extras.Affinity == "" || to.Weight <= 0 || to.Weight >= 100 {
		return canary
	}
	headers, response := maps.Clone(object.Child(canary, "headers")), maps.Clone(object.Child(object.Child(canary, "headers"), "response"))
	add := maps.Clone(object.Child(response, "add"))
	for _, m := range []*map[string]any{&headers, &response, &add} {
		if *m == nil {
			*m = map[string]any{}
		}
	}
	add["Set-Cookie"] = router.SetCookie(to.Extras)
	response["add"], headers["response"], canary["headers"] = add, response, headers
	return canary
}

// PinValues implements router.Inline: any values lead to the versions.
func (Router) PinValues() (canary, stable string) { return "", "" }

// Untestable implements router.Inline: rules for test requests stand in front of the
// user's. A VirtualService beside the user's could not have them: two for one host
// are merged in an order that nobody promises, and in the mesh not at all.
func (Router) Untestable(router.Extras) (before, during string) { return "", "" }

// pinned returns the rules for test requests in front of a rule of the user's.
func (s saved) pinned(rule savedRule, user map[string]any, entries []any, split router.Split) []any {
	i := slices.IndexFunc(entries, func(e any) bool { return isOwn(e, split) })
	own, _ := entries[i].(map[string]any)
	stable, canary := s.pair(own, split)
	var rules []any
	for n, pin := range split.Pins {
		to := stable
		if pin.Service == split.CanaryService {
			to = canary
		}
		pinned := marked(user, rule, "", withWeight(to, 100), split.PinHeader, map[string]any{"exact": pin.Value})
		pinned["name"] = fmt.Sprintf("%s%d-%d", namePreflight, n, rule.Index)
		if pin.Mark != "" {
			pinned["headers"] = withAnswer(object.Child(user, "headers"), split.PinHeader, pin.Mark)
		}
		rules = append(rules, pinned)
	}
	return rules
}

// withAnswer adds a header of the answers to the headers of a rule.
func withAnswer(headers map[string]any, name, value string) map[string]any {
	own, response := maps.Clone(headers), maps.Clone(object.Child(headers, "response"))
	set := maps.Clone(object.Child(response, "set"))
	for _, m := range []*map[string]any{&own, &response, &set} {
		if *m == nil {
			*m = map[string]any{}
		}
	}
	set[name] = value
	response["set"], own["response"] = set, response
	return own
}
