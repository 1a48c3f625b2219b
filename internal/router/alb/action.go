package alb

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// An action is a forward action as the annotation has it. Its keys may have any
// case, as the controller's may.
type action map[string]any

// parseAction reads an action annotation.
func parseAction(text string) (action, error) {
	if text == "" {
		return nil, errors.New("it has no annotation")
	}
	var a action
	if err := object.Decode(json.RawMessage(text), &a); err != nil {
		return nil, err
	}
	object.WholeNumbers(map[string]any(a))
	return a, nil
}

// forward returns the action that a plain backend stands for.
func forward(service string, port any) action {
	return action{"type": "forward", "forwardConfig": map[string]any{
		"targetGroups": []any{map[string]any{"serviceName": service, "servicePort": port}},
	}}
}

func (a action) String() string { return encode(map[string]any(a)) }

// field returns a value by its key in any case, and the key as it is written.
func field(m map[string]any, name string) (key string, value any) {
	for key, value := range m {
		if strings.EqualFold(key, name) {
			return key, value
		}
	}
	return name, nil
}

// groups lists the target groups of a forward action.
func (a action) groups() []map[string]any {
	_, config := field(a, "forwardConfig")
	c, _ := config.(map[string]any)
	_, list := field(c, "targetGroups")
	l, _ := list.([]any)
	var groups []map[string]any
	for _, g := range l {
		if group, ok := g.(map[string]any); ok {
			groups = append(groups, group)
		}
	}
	return groups
}

func serviceOf(group map[string]any) string {
	_, name := field(group, "serviceName")
	text, _ := name.(string)
	return text
}

// weightOf returns the weight of a target group; without one it is 1, which is all
// where it is alone.
func weightOf(group map[string]any) int64 {
	if _, weight := field(group, "weight"); weight != nil {
		n, _ := weight.(int64)
		return n
	}
	return 1
}

func (a action) leadsTo(service string) bool {
	for _, group := range a.groups() {
		if serviceOf(group) == service {
			return true
		}
	}
	return false
}

// withGroups returns the action with other target groups.
func (a action) withGroups(groups []any) action {
	c := action(maps.Clone(map[string]any(a)))
	key, config := field(c, "forwardConfig")
	old, _ := config.(map[string]any)
	own := maps.Clone(old)
	list, _ := field(own, "targetGroups")
	own[list] = groups
	c[key] = own
	return c
}

// group returns a copy of a target group for a Service, with a weight.
func group(of map[string]any, service string, weight int64) map[string]any {
	c := maps.Clone(of)
	name, _ := field(c, "serviceName")
	c[name] = service
	key, _ := field(c, "weight")
	c[key] = weight
	return c
}

// The limits of ELBv2's forward action.
const (
	maxWeight = 999
	maxGroups = 5
)

// weighted returns the action with the Service's weight divided between it and the
// canary Service. The proportions of a split of the user's own stay.
func (a action) weighted(to router.Split) (action, error) {
	var groups []any
	var weights []int64
	add := func(of map[string]any, service string, weight int64) {
		groups, weights = append(groups, group(of, service, weight)), append(weights, weight)
	}
	for _, g := range a.groups() {
		if serviceOf(g) != to.Service {
			add(g, serviceOf(g), 100*weightOf(g))
			continue
		}
		add(g, to.Service, weightOf(g)*int64(100-to.Weight))
		add(g, to.CanaryService, weightOf(g)*int64(to.Weight))
	}
	if len(groups) > maxGroups {
		return nil, fmt.Errorf("it has %d target groups and no room for the canary's: at most %d are allowed", len(groups)-1, maxGroups)
	}
	divisor := divisorFor(weights)
	for i, g := range groups {
		m := g.(map[string]any)
		key, _ := field(m, "weight")
		if m[key] = weights[i] / divisor; weights[i]/divisor > maxWeight {
			return nil, fmt.Errorf("its weights cannot be divided into percents: %d is over %d; make them smaller", weights[i]/divisor, maxWeight)
		}
		if service, _ := field(m, "serviceName"); m[service] == "" {
			delete(m, service) // a target group by its ARN
		}
	}
	return a.withGroups(groups).sticky(to), nil
}

// divisorFor returns 1, or what makes weights that are too large small enough if
// anything does.
func divisorFor(weights []int64) int64 {
	var common, largest int64
	for _, w := range weights {
		largest = max(largest, w)
		for b := w; b != 0; {
			common, b = b, common%b
		}
	}
	if largest <= maxWeight {
		return 1
	}
	return max(common, 1)
}

// stickySeconds is how long a user stays on a version.
const stickySeconds = 3600

// sticky keeps users on a version while both get requests. At the ends nobody may
// stay on the version that has no weight.
func (a action) sticky(to router.Split) action {
	key, config := field(a, "forwardConfig")
	c := maps.Clone(config.(map[string]any))
	name, own := field(c, "targetGroupStickinessConfig")
	between := to.Weight > 0 && to.Weight < 100
	switch {
	case own != nil && !between && len(a.groups()) == 2:
		c[name] = map[string]any{"enabled": false}
	case own == nil && between && to.Extras.Affinity != "":
		c[name] = map[string]any{"enabled": true, "durationSeconds": stickySeconds}
	}
	a[key] = c
	return a
}

// only returns the action with one target group: that of service, renamed.
func (a action) only(service, to string) action {
	var groups []any
	for _, g := range a.groups() {
		if serviceOf(g) == service {
			one := group(g, to, 1)
			key, _ := field(one, "weight")
			delete(one, key)
			groups = append(groups, one)
			break
		}
	}
	own := a.withGroups(groups)
	key, config := field(own, "forwardConfig")
	c := config.(map[string]any)
	name, _ := field(c, "targetGroupStickinessConfig")
	delete(c, name)
	own[key] = c
	return own
}
