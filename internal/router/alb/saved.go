package alb

import (
	"fmt"
	"hash/fnv"
	"maps"
	"reflect"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/ingress"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// useAnnotation is the port of a backend whose action is in an annotation.
const useAnnotation = "use-annotation"

// A savedIngress is what a release changes of an Ingress, as it was before.
type savedIngress struct {
	Service string      `json:"service"`
	Rules   []savedRule `json:"rules"`
	// Annotations are the actions and conditions of the rules' paths.
	Annotations map[string]string `json:"annotations,omitempty"`
}

type savedRule struct {
	Index int   `json:"index"`
	Paths []any `json:"paths"`
}

func saveIngress(route router.Object, service string) savedIngress {
	saved := savedIngress{Service: service, Annotations: map[string]string{}}
	for i, rule := range object.List(object.Child(route, "spec"), "rules") {
		paths := object.List(object.Child(rule, "http"), "paths")
		leads := false
		for _, path := range paths {
			name, _ := backendOf(path)
			leads = leads || leadsTo(route, path, service)
			for _, key := range []string{"actions." + name, "conditions." + name} {
				if value := ingress.Annotation(route, prefix+key); value != "" {
					saved.Annotations[prefix+key] = value
				}
			}
		}
		if leads {
			saved.Rules = append(saved.Rules, savedRule{i, paths})
		}
	}
	return saved
}

// decode reads a record. Whole numbers are int64, as in objects of the API.
func decode(saved release.Route) (savedIngress, error) {
	var own savedIngress
	if err := object.Decode(saved.Rules, &own); err != nil {
		return own, fmt.Errorf("read the recorded paths of ingress %s: %w", saved.Name, err)
	}
	for i := range own.Rules {
		own.Rules[i].Paths, _ = object.WholeNumbers(own.Rules[i].Paths).([]any)
	}
	return own, nil
}

// backendOf returns the name and the port of a path's backend; the port is a string
// or a number.
func backendOf(path any) (name string, port any) {
	service := object.Child(object.Child(path, "backend"), "service")
	if text := object.Text(object.Child(service, "port"), "name"); text != "" {
		return object.Text(service, "name"), text
	}
	return object.Text(service, "name"), object.Child(service, "port")["number"]
}

// leadsTo reports whether a path leads to a Service, by itself or by an action.
func leadsTo(route router.Object, path any, service string) bool {
	name, port := backendOf(path)
	if port != useAnnotation {
		return name == service
	}
	action, err := parseAction(ingress.Annotation(route, prefix+"actions."+name))
	return err == nil && action.leadsTo(service)
}

// live returns what the Ingress has now of what a release writes.
func (s savedIngress) live(route router.Object, to router.Split) form {
	have := form{paths: map[int][]any{}, annotations: map[string]string{}}
	all := object.List(object.Child(route, "spec"), "rules")
	for _, rule := range s.Rules {
		if rule.Index < len(all) {
			have.paths[rule.Index] = object.List(object.Child(all[rule.Index], "http"), "paths")
		}
	}
	for _, key := range s.keys(to) {
		have.annotations[key] = ingress.Annotation(route, key)
	}
	return have
}

// isOurs reports whether have is the recorded form or a split of it, with or without
// the rules for test requests. For a way back, the weights in the actions may be any.
func (s savedIngress) isOurs(have form, to router.Split) bool {
	like := to
	have, like.Pins = have.withoutTests(), nil
	for like.Weight = router.Original; like.Weight <= 100; like.Weight++ {
		want, err := s.form(like)
		if err != nil {
			continue
		}
		if reflect.DeepEqual(have, want) || to.Weight <= 0 && like.Weight >= 0 && reflect.DeepEqual(have.paths, want.paths) {
			return true
		}
	}
	return false
}

// withoutTests returns the form without the rules for test requests.
func (f form) withoutTests() form {
	own := form{map[int][]any{}, maps.Clone(f.annotations)}
	for i, paths := range f.paths {
		for _, path := range paths {
			name, port := backendOf(path)
			if port != useAnnotation || !strings.HasSuffix(name, testCanary) && !strings.HasSuffix(name, testStable) {
				own.paths[i] = append(own.paths[i], path)
			}
		}
	}
	for key := range own.annotations {
		if strings.HasSuffix(key, testCanary) || strings.HasSuffix(key, testStable) {
			own.annotations[key] = ""
		}
	}
	return own
}

// The names of a path's actions beside that with the weights. maxName leaves room
// for the longest of them and for "conditions." in the 63 characters of a name.
const (
	testCanary = "-test-canary"
	testStable = "-test-stable"
	byHeader   = "-by-header"
	byCookie   = "-by-cookie"
	maxName    = 63 - len("conditions.") - len(testCanary)
)

// actionName returns the name of the action of a backend: the backend's own where
// the annotation is free, so that conditions by that name stay; otherwise it has
// the port.
func (s savedIngress) actionName(name string, port any) string {
	if port == useAnnotation || s.Annotations[prefix+"actions."+name] == "" && len(s.ports()) == 1 {
		return short(name)
	}
	return short(fmt.Sprintf("%s-%v", name, port))
}

// ports lists the ports of the Service that paths lead to.
func (s savedIngress) ports() map[any]bool {
	ports := map[any]bool{}
	for _, rule := range s.Rules {
		for _, path := range rule.Paths {
			if name, port := backendOf(path); name == s.Service && port != useAnnotation {
				ports[port] = true
			}
		}
	}
	return ports
}

func short(name string) string {
	if len(name) <= maxName {
		return name
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(name)) // a hash takes everything
	sum := strconv.FormatUint(uint64(hash.Sum32()), 16)
	return name[:maxName-len(sum)-1] + "-" + sum
}

// keys lists the annotations that a release may write.
func (s savedIngress) keys(to router.Split) []string {
	names := map[string]bool{}
	for _, rule := range s.Rules {
		for _, path := range rule.Paths {
			if name, port := backendOf(path); s.splits(path, to.Service) {
				names[s.actionName(name, port)] = true
			}
		}
	}
	var keys []string
	for name := range maps.Keys(names) {
		for _, suffix := range []string{"", testCanary, testStable, byHeader, byCookie} {
			keys = append(keys, prefix+"actions."+name+suffix, prefix+"conditions."+name+suffix)
		}
	}
	return keys
}

// splits reports whether a recorded path leads to the Service.
func (s savedIngress) splits(path any, service string) bool {
	name, port := backendOf(path)
	if port != useAnnotation {
		return name == service
	}
	action, err := parseAction(s.Annotations[prefix+"actions."+name])
	return err == nil && action.leadsTo(service)
}
