package nginx

import (
	"errors"
	"fmt"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/ingress"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// Supports implements router.Extender.
func (Router) Supports(x router.Extras) error {
	switch {
	case x.Mirror > 0:
		return errors.New("NGINX mirrors no share of the requests: its mirror-target copies all of them and holds up the user's connection until the copy is answered")
	case x.Affinity != "":
		return fmt.Errorf("NGINX keeps users on a version only by the cookie of the user's own Ingress: annotate it with %saffinity=cookie and %ssession-cookie-name=%s, which a release then follows", prefix, prefix, x.Affinity)
	}
	return nil
}

// Criticize implements router.Critic.
func (Router) Criticize(route router.Object, saved release.Route, with router.Surroundings) (obstacles, warnings []string) {
	if ingress.Annotation(route, prefix+"ssl-passthrough") == "true" {
		obstacles = append(obstacles, fmt.Sprintf("ingress %s passes TLS through (%sssl-passthrough), so NGINX sees no requests that it could split", saved.Name, prefix))
	}
	if ingress.Annotation(route, prefix+"affinity") == "cookie" {
		warnings = append(warnings, fmt.Sprintf("ingress %s has session affinity: users with its cookie stay on the stable version until the hand-over, whatever the weight", saved.Name))
	}
	for _, other := range with.Others {
		name := object.Text(object.Child(other, "metadata"), "name")
		if name == saved.Name {
			continue
		}
		if name == canaryName(saved.Name) {
			obstacles = append(obstacles, fmt.Sprintf("ingress %s exists and does not belong to a rollout, which needs that name: rename it", name))
			continue
		}
		if at := overlap(route, other); isCanary(other) && at != "" {
			obstacles = append(obstacles, fmt.Sprintf("ingress %s is a canary for %s already, and NGINX takes one for a host and path: delete it, or end the release that made it", name, at))
		}
	}
	return obstacles, warnings
}

// overlap returns a host and path that two Ingresses have in common, "" for none.
func overlap(a, b router.Object) string {
	key := func(p ingress.Path) string {
		if p.Rule < 0 {
			return "the default backend"
		}
		return p.Host + object.Text(p.Path, "path")
	}
	for _, p := range ingress.Paths(a) {
		for _, q := range ingress.Paths(b) {
			if key(p) == key(q) {
				return key(p)
			}
		}
	}
	return ""
}
