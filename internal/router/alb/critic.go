package alb

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/ingress"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// Criticize implements router.Critic.
func (Router) Criticize(route router.Object, saved release.Route, with router.Surroundings) (obstacles, warnings []string) {
	own, err := decode(saved)
	if err != nil {
		return []string{err.Error()}, nil
	}
	for _, weight := range []int{1, 99} {
		_, err := own.form(router.Split{Service: own.Service, CanaryService: own.Service + "-canary", Weight: weight})
		if err != nil {
			obstacles = append(obstacles, fmt.Sprintf("ingress %s: %v", saved.Name, err))
			break
		}
	}
	if backend := object.Child(object.Child(route, "spec"), "defaultBackend"); object.Text(object.Child(backend, "service"), "name") == own.Service {
		obstacles = append(obstacles, fmt.Sprintf("the default backend of ingress %s leads to service %s, and test requests need a rule: give the Ingress a path / instead", saved.Name, own.Service))
	}
	annotations, _ := object.Child(with.Service, "metadata")["annotations"].(map[string]any)
	for key := range annotations {
		if strings.HasPrefix(key, prefix+"auth-") {
			obstacles = append(obstacles, fmt.Sprintf("service %s has %s, which the controller ignores for an action with two Services: users would get in without it; annotate ingress %s instead", own.Service, key, saved.Name))
			break
		}
	}
	target := cmp.Or(ingress.Annotation(with.Service, prefix+"target-type"), ingress.Annotation(route, prefix+"target-type"))
	kind := object.Text(object.Child(with.Service, "spec"), "type")
	if target != "ip" && (target == "instance" || kind == "NodePort" || kind == "LoadBalancer") {
		obstacles = append(obstacles, fmt.Sprintf("ingress %s registers nodes as targets, so the load balancer cannot tell the versions' pods: annotate it with %starget-type: ip", saved.Name, prefix))
	} else if !with.Gated {
		warnings = append(warnings, fmt.Sprintf("namespace %s has no label elbv2.k8s.aws/pod-readiness-gate-inject=enabled: pods are ready before the load balancer has them, and a node's drain or another rollout of yours can leave it without targets; type: kubectl label namespace %s elbv2.k8s.aws/pod-readiness-gate-inject=enabled",
			with.Namespace, with.Namespace))
	}
	return obstacles, warnings
}

// Unsplit implements router.Unsplitter.
func (Router) Unsplit(saved release.Route, s router.Split) (release.Route, error) {
	own, err := decode(saved)
	if err != nil {
		return saved, err
	}
	if err := own.unsplit(s); err != nil {
		return saved, fmt.Errorf("ingress %s: %w", saved.Name, err)
	}
	whole := saved
	if whole.Rules, err = json.Marshal(own); err != nil {
		return saved, fmt.Errorf("record ingress %s: %w", saved.Name, err)
	}
	return whole, nil
}

// unsplit takes the canary out of the recorded paths and actions.
func (s *savedIngress) unsplit(by router.Split) error {
	for i, rule := range s.Rules {
		var paths []any
		for _, path := range rule.Paths {
			name, port := backendOf(path)
			a, err := parseAction(s.Annotations[prefix+"actions."+name])
			if port != useAnnotation || err != nil {
				paths = append(paths, path)
				continue
			}
			if suffixed(name) {
				delete(s.Annotations, prefix+"actions."+name)
				delete(s.Annotations, prefix+"conditions."+name)
				continue
			}
			if !a.leadsTo(by.CanaryService) {
				paths = append(paths, path)
				continue
			}
			whole, err := a.merged(by)
			if err != nil {
				return fmt.Errorf("action %s: %w", name, err)
			}
			if groups := whole.groups(); len(groups) == 1 {
				_, service := field(groups[0], "servicePort")
				delete(s.Annotations, prefix+"actions."+name)
				paths = append(paths, withService(path, by.Service, service))
				continue
			}
			s.Annotations[prefix+"actions."+name] = whole.String()
			paths = append(paths, path)
		}
		s.Rules[i].Paths = paths
	}
	return nil
}

// merged returns the action without the canary, its weight added to the Service's,
// and all weights divided by 100.
func (a action) merged(by router.Split) (action, error) {
	var groups []any
	var canary int64
	for _, g := range a.groups() {
		if serviceOf(g) == by.CanaryService {
			canary += weightOf(g)
		}
	}
	for _, g := range a.groups() {
		weight := weightOf(g)
		switch serviceOf(g) {
		case by.CanaryService:
			continue
		case by.Service:
			weight += canary
		}
		if weight%100 != 0 {
			return nil, fmt.Errorf("the weights are not those of a release")
		}
		groups = append(groups, group(g, serviceOf(g), weight/100))
	}
	return a.withGroups(groups), nil
}

// withService returns a path whose backend is a Service.
func withService(path any, service string, port any) any {
	own := withAction(path, service).(map[string]any)
	where := map[string]any{"number": port}
	if _, named := port.(string); named {
		where = map[string]any{"name": port}
	}
	object.Child(object.Child(own, "backend"), "service")["port"] = where
	return own
}
