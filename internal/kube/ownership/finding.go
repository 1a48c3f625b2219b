package ownership

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// An Object is one that a release changes.
type Object struct {
	Meta        metav1.Object
	Group, Kind string
	// Container gets the image; "" for an object without one.
	Container string
	// During are the JSON pointers of what a release changes and gives back at its
	// end.
	During []string
}

// Deployment describes the user's Deployment.
func Deployment(obj metav1.Object, container string) Object {
	return Object{Meta: obj, Group: "apps", Kind: "Deployment", Container: container, During: []string{"/spec/template", "/spec/paused"}}
}

// Service describes one of the user's Services.
func Service(obj metav1.Object) Object {
	return Object{Meta: obj, Kind: "Service", During: []string{"/spec/selector"}}
}

// weights are the fields of a route in which its weights are.
var weights = map[string][]string{
	"HTTPRoute":       {"/spec/rules"},
	"GRPCRoute":       {"/spec/rules"},
	"TLSRoute":        {"/spec/rules"},
	"VirtualService":  {"/spec/http", "/spec/tls", "/spec/tcp"},
	"DestinationRule": {"/spec/subsets"},
	"Ingress":         {"/metadata/annotations", "/spec/rules"},
}

// Route describes one of the user's routes.
func Route(obj metav1.Object, group, kind string) Object {
	during := weights[kind]
	if during == nil {
		during = []string{"/spec"}
	}
	return Object{Meta: obj, Group: group, Kind: kind, During: during}
}

func (o Object) String() string { return strings.ToLower(o.Kind) + " " + o.Meta.GetName() }

// A Finding is an object with one of its owners.
type Finding struct {
	Object
	Owner
}

// Find returns the owners of all objects.
func Find(objects ...Object) []Finding {
	var found []Finding
	for _, o := range objects {
		for _, owner := range Of(o.Meta, o.Group, o.Kind) {
			found = append(found, Finding{o, owner})
		}
	}
	return found
}

// Reverts reports whether the owner may undo a release by itself, without a person:
// such a finding speaks against a release.
func (f Finding) Reverts() bool { return f.Tool != Helm && f.Exempt == "" }

// Reverting returns the sentences of the findings that speak against a release.
func Reverting(all []Finding) []string {
	var sentences []string
	for _, f := range all {
		if f.Reverts() {
			sentences = append(sentences, f.Sentence())
		}
	}
	return sentences
}

// Sentence says what the owner would undo of a release, and when.
func (f Finding) Sentence() string {
	by := string(f.Tool)
	if f.Tool == FluxHelm {
		by = "Flux"
	}
	if f.Name != "" {
		by += fmt.Sprintf(" (%s %s)", nouns[f.Tool], f.Name)
	}
	s := fmt.Sprintf("%s is managed by %s", f.Object, by)
	if f.Exempt != "" {
		return s + fmt.Sprintf(", which leaves it alone: %s", f.Exempt)
	}
	s += fmt.Sprintf(": %s would put back %s during the release", occasions[f.Tool], fields(f.During))
	if f.Container != "" {
		s += ", and the previous image after the promotion"
	}
	return s
}

// nouns name what an Owner's name is the name of.
var nouns = map[Tool]string{ArgoCD: "application", Flux: "kustomization", FluxHelm: "helmrelease", Helm: "release", Fleet: "bundle"}

// occasions say when a tool writes.
var occasions = map[Tool]string{
	ArgoCD:     "a sync, or its self-heal,",
	Flux:       "each reconciliation",
	FluxHelm:   "its drift detection, if enabled, or an upgrade",
	Helm:       "a helm upgrade",
	Fleet:      "its drift correction",
	ConfigSync: "each reconciliation",
}

// fields writes JSON pointers as people do: spec.template.
func fields(pointers []string) string {
	words := slices.Clone(pointers)
	for i, p := range words {
		words[i] = strings.ReplaceAll(strings.TrimPrefix(p, "/"), "/", ".")
	}
	return strings.Join(words, ", ")
}
