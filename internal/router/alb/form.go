package alb

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// form returns what a split writes.
func (s savedIngress) form(to router.Split) (form, error) {
	f := form{paths: map[int][]any{}, annotations: map[string]string{}}
	for _, key := range s.keys(to) {
		f.annotations[key] = s.Annotations[key]
	}
	for _, rule := range s.Rules {
		if to.Weight == router.Original {
			f.paths[rule.Index] = rule.Paths
			continue
		}
		for _, path := range rule.Paths {
			if !s.splits(path, to.Service) {
				f.paths[rule.Index] = append(f.paths[rule.Index], path)
				continue
			}
			paths, err := s.split(f, path, to)
			if err != nil {
				return f, err
			}
			f.paths[rule.Index] = append(f.paths[rule.Index], paths...)
		}
	}
	return f, nil
}

// split returns the paths that take the place of one, and adds their annotations.
// The load balancer takes the first rule that fits; those for test requests and for
// header and cookie come first.
func (s savedIngress) split(f form, path any, to router.Split) ([]any, error) {
	backend, port := backendOf(path)
	own := forward(backend, port)
	if port == useAnnotation {
		var err error
		if own, err = parseAction(s.Annotations[prefix+"actions."+backend]); err != nil {
			return nil, fmt.Errorf("action %s: %w", backend, err)
		}
	}
	weighted, err := own.weighted(to)
	if err != nil {
		return nil, fmt.Errorf("action %s: %w", backend, err)
	}
	name, conditions := s.actionName(backend, port), s.Annotations[prefix+"conditions."+backend]
	var paths []any
	for _, only := range alone(to) {
		condition, err := withHeader(conditions, only.header, only.value)
		if err != nil {
			return nil, fmt.Errorf("conditions of %s: %w", backend, err)
		}
		f.annotations[prefix+"actions."+name+only.suffix] = own.only(to.Service, only.service).String()
		f.annotations[prefix+"conditions."+name+only.suffix] = condition
		paths = append(paths, withAction(path, name+only.suffix))
	}
	f.annotations[prefix+"actions."+name] = weighted.String()
	f.annotations[prefix+"conditions."+name] = conditions
	return append(paths, withAction(path, name)), nil
}

// A lead is a rule that sends some requests to one Service alone.
type lead struct{ suffix, header, value, service string }

// alone lists the rules beside the weights. Without a weight the user's header and
// cookie lead nobody to the canary.
func alone(to router.Split) []lead {
	var list []lead
	for _, pin := range to.Pins {
		suffix := testStable
		if pin.Service == to.CanaryService {
			suffix = testCanary
		}
		list = append(list, lead{suffix, to.PinHeader, pin.Value, pin.Service})
	}
	if to.Weight > 0 && to.Extras.Header != "" {
		list = append(list, lead{byHeader, to.Extras.Header, to.Extras.Value, to.CanaryService})
	}
	if to.Weight > 0 && to.Extras.Cookie != "" {
		list = append(list, lead{byCookie, "Cookie", "*" + to.Extras.Cookie + "=always*", to.CanaryService})
	}
	return list
}

// withHeader adds a header to the conditions of a rule.
func withHeader(conditions, header, value string) (string, error) {
	var all []any
	if conditions != "" {
		if err := json.Unmarshal([]byte(conditions), &all); err != nil {
			return "", err
		}
	}
	all = append(all, map[string]any{
		"field": "http-header", "httpHeaderConfig": map[string]any{"httpHeaderName": header, "values": []string{value}},
	})
	return encode(all), nil
}

// withAction returns a path whose backend is the action of a name.
func withAction(path any, name string) any {
	p, _ := path.(map[string]any)
	backend := maps.Clone(object.Child(p, "backend"))
	backend["service"] = map[string]any{"name": name, "port": map[string]any{"name": useAnnotation}}
	own := maps.Clone(p)
	own["backend"] = backend
	return own
}

// encode renders what this package built or decoded, which has no value that cannot
// be encoded.
func encode(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("alb: encode: %v", err))
	}
	return string(raw)
}

// suffixed reports whether a name is that of an action beside the weights.
func suffixed(name string) bool {
	return slices.ContainsFunc([]string{testCanary, testStable, byHeader, byCookie}, func(suffix string) bool {
		return len(name) > len(suffix) && name[len(name)-len(suffix):] == suffix
	})
}
