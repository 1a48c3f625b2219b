// Package alb shifts traffic of Ingresses that are read by the AWS Load Balancer
// Controller: by weights of target groups in a forward action.
//
// A path that leads to the Service gets the port "use-annotation" and an annotation
// with the action
// (https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#actions).
// Service and port in the action are those of the path before, so the controller
// keeps the target group with its registered pods. An action of the user's own is
// extended, and given back as it was.
package alb

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/ingress"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// A Router is the router for the Ingresses of an Application Load Balancer.
type Router struct{}

var (
	_ router.Router     = Router{}
	_ router.Classed    = Router{}
	_ router.Inline     = Router{}
	_ router.Critic     = Router{}
	_ router.Markless   = Router{}
	_ router.Extender   = Router{}
	_ router.Gatewayed  = Router{}
	_ router.Unsplitter = Router{}
)

const prefix = "alb.ingress.kubernetes.io/"

// Cookie is the one that the load balancer keeps users on a target group by.
const Cookie = "AWSALBTG"

// Name implements router.Router.
func (Router) Name() string { return "alb" }

// Kind implements router.Router.
func (Router) Kind() router.Kind { return ingress.Kind }

// ClassKind implements router.Classed.
func (Router) ClassKind() router.Kind { return ingress.ClassKind }

// Reads implements router.Classed; the second controller is that of EKS Auto Mode.
func (Router) Reads(route router.Object, classes []router.Object) bool {
	return ingress.ReadBy(route, classes, []string{"ingress.k8s.aws/alb", "eks.amazonaws.com/alb"}, []string{"alb"})
}

// Save implements router.Router.
func (Router) Save(route router.Object, service string) (release.Route, bool, error) {
	saved := release.Route{Name: object.Text(object.Child(route, "metadata"), "name")}
	own := saveIngress(route, service)
	var err error
	if saved.Rules, err = json.Marshal(own); err != nil {
		return saved, false, fmt.Errorf("record ingress %s: %w", saved.Name, err)
	}
	return saved, len(own.Rules) > 0, nil
}

// Write implements router.Router. It does not change what another client changed;
// but a way back to the Service takes the canary's traffic, whatever the weights in
// the actions are.
func (Router) Write(route router.Object, saved release.Route, to router.Split) (jsonpatch.Patch, error) {
	patch := jsonpatch.Guarded(object.Text(object.Child(route, "metadata"), "resourceVersion"))
	own, err := decode(saved)
	if err != nil {
		return patch, err
	}
	want, err := own.form(to)
	if err != nil {
		return patch, fmt.Errorf("ingress %s: %w", saved.Name, err)
	}
	have := own.live(route, to)
	if reflect.DeepEqual(have, want) {
		return patch, nil
	}
	if !own.isOurs(have, to) {
		return patch, &router.ConflictError{What: "the paths or actions of ingress " + saved.Name}
	}
	return want.patch(patch, have, object.Child(object.Child(route, "metadata"), "annotations") != nil), nil
}

// Drift implements router.Router.
func (Router) Drift(route router.Object, saved release.Route, was router.Split) string {
	own, err := decode(saved)
	if err != nil {
		return err.Error()
	}
	want, err := own.form(was)
	if err != nil || !reflect.DeepEqual(own.live(route, was), want) {
		return "the paths or actions of ingress " + saved.Name
	}
	return ""
}

// Accepted implements router.Router. The controller does not say which generation
// it has applied; the probes and the targets' health show it.
func (Router) Accepted(route router.Object, generation int64) (bool, string) {
	newest, _ := object.Child(route, "metadata")["generation"].(int64)
	return newest >= generation, "the watch is behind"
}

// GatewayKind implements router.Gatewayed: an Ingress has the address itself.
func (Router) GatewayKind() router.Kind { return ingress.Kind }

// Gateways implements router.Gatewayed.
func (Router) Gateways(route router.Object) []router.GatewayRef { return ingress.Itself(route) }

// Host implements router.Gatewayed.
func (Router) Host(route router.Object) string { return ingress.Host(route) }

// URL implements router.Gatewayed: over TLS if the Ingress names a certificate.
func (Router) URL(gateway router.Object, _ string) string {
	tls := len(object.List(object.Child(gateway, "spec"), "tls")) > 0
	if tls || ingress.Annotation(gateway, prefix+"certificate-arn") != "" || ingress.Annotation(gateway, prefix+"ssl-redirect") != "" {
		return ingress.URL(gateway, "https")
	}
	return ingress.URL(gateway, "http")
}

// PinValues implements router.Inline: a rule may ask for any value.
func (Router) PinValues() (canary, stable string) { return "", "" }

// Markless implements router.Markless.
func (Router) Markless() {}

// Untestable implements router.Inline.
func (Router) Untestable(router.Extras) (before, during string) { return "", "" }

// Supports implements router.Extender.
func (Router) Supports(x router.Extras) error {
	switch {
	case x.Mirror > 0:
		return errors.New("an AWS load balancer cannot mirror requests")
	case x.Affinity != "" && x.Affinity != Cookie:
		return fmt.Errorf("an AWS load balancer keeps users on a version by a cookie of its own: name it %s, not %s", Cookie, x.Affinity)
	}
	return nil
}

// A form is what a release writes into an Ingress: the paths of some rules by the
// rule's index, and annotations; those that are absent are "".
type form struct {
	paths       map[int][]any
	annotations map[string]string
}

// patch adds what makes have the form f.
func (f form) patch(p jsonpatch.Patch, have form, annotated bool) jsonpatch.Patch {
	if !annotated {
		p = p.Add("/metadata/annotations", map[string]any{})
	}
	for _, key := range slices.Sorted(maps.Keys(f.annotations)) {
		pointer := jsonpatch.Pointer("metadata", "annotations", key)
		switch want := f.annotations[key]; want {
		case have.annotations[key]:
		case "":
			p = p.Remove(pointer)
		default:
			p = p.Add(pointer, want)
		}
	}
	for _, i := range slices.Sorted(maps.Keys(f.paths)) {
		if !reflect.DeepEqual(f.paths[i], have.paths[i]) {
			p = p.Replace(jsonpatch.Pointer("spec", "rules", strconv.Itoa(i), "http", "paths"), f.paths[i])
		}
	}
	return p
}
