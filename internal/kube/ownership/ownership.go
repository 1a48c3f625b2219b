// Package ownership says which tools beside a release write the objects of a
// rollout, what of a release each would undo and when, and how to allow the
// release: the exact settings for these objects.
//
// It is pure: it reads labels, annotations and managedFields. What an Application,
// a Kustomization or a HelmRelease says about the objects is not read, so a finding
// says what the tool does by default.
package ownership

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Tool is a program that writes objects from a description of its own.
type Tool string

// The tools that are recognized.
const (
	ArgoCD      Tool = "Argo CD"
	Flux        Tool = "Flux"      // a Kustomization
	FluxHelm    Tool = "Flux Helm" // a HelmRelease
	Helm        Tool = "Helm"
	Fleet       Tool = "Fleet"
	ConfigSync  Tool = "Config Sync"
	instanceKey      = "argocd.argoproj.io/instance"
	trackingKey      = "argocd.argoproj.io/tracking-id"
)

// An Owner is a tool that writes an object.
type Owner struct {
	Tool Tool
	// Name of the Application, Kustomization or release, with its namespace if the
	// object says it; "" if it does not.
	Name string
	// Exempt is the annotation by which the object is left alone, "" for none.
	Exempt string
}

// marks are the labels and annotations that name an owner, with the key of its
// namespace.
var marks = []struct {
	tool            Tool
	name, namespace string
}{
	// https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
	{ArgoCD, instanceKey, ""},
	// https://fluxcd.io/flux/components/kustomize/kustomizations/
	{Flux, "kustomize.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/namespace"},
	{FluxHelm, "helm.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/namespace"},
	{Fleet, "fleet.cattle.io/bundle-id", ""},
	{ConfigSync, "configmanagement.gke.io/managed", ""},
	// https://helm.sh/docs/chart_best_practices/labels/; Argo CD renders charts too, and
	// sets the label but not these annotations.
	{Helm, "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"},
}

// managers are the field managers of the same tools.
var managers = map[string]Tool{
	"argocd-controller":             ArgoCD,
	"argocd-application-controller": ArgoCD,
	"kustomize-controller":          Flux,
	"helm-controller":               FluxHelm,
	"fleetagent":                    Fleet,
	"helm":                          Helm,
}

// Of returns the owners of an object, the ones that undo changes by themselves
// first. kind and group are those of the object.
func Of(obj metav1.Object, group, kind string) []Owner {
	value := func(key string) string { return cmp.Or(obj.GetAnnotations()[key], obj.GetLabels()[key]) }
	var owners []Owner
	add := func(o Owner) {
		if !slices.ContainsFunc(owners, func(x Owner) bool { return x.Tool == o.Tool }) {
			o.Exempt = exempt(o.Tool, value)
			owners = append(owners, o)
		}
	}
	if app := tracked(value(trackingKey), obj, group, kind); app != "" {
		add(Owner{Tool: ArgoCD, Name: app})
	}
	for _, m := range marks {
		name := value(m.name)
		if name == "" {
			continue
		}
		if ns := value(m.namespace); m.namespace != "" && ns != "" {
			name = ns + "/" + name
		}
		if m.tool == ConfigSync {
			name = ""
		}
		add(Owner{Tool: m.tool, Name: name})
	}
	for _, f := range obj.GetManagedFields() {
		if tool, ok := managers[f.Manager]; ok && f.Subresource == "" {
			add(Owner{Tool: tool})
		}
	}
	// A HelmRelease is installed by Helm's code, with Helm's annotations: the
	// controller is the one to ask.
	if slices.ContainsFunc(owners, func(o Owner) bool { return o.Tool == FluxHelm }) {
		owners = slices.DeleteFunc(owners, func(o Owner) bool { return o.Tool == Helm })
	}
	return owners
}

// tracked returns the Application of a tracking ID,
// <application>:<group>/<kind>:<namespace>/<name>. Argo CD leaves an object alone
// whose ID is that of another one: somebody copied its annotations.
func tracked(id string, obj metav1.Object, group, kind string) string {
	app, object, ok := strings.Cut(id, ":")
	if !ok || object != fmt.Sprintf("%s/%s:%s/%s", group, kind, obj.GetNamespace(), obj.GetName()) {
		return ""
	}
	return app
}

// exempt returns the annotation or label by which a tool leaves an object alone.
func exempt(tool Tool, value func(key string) string) string {
	is := func(key string, values ...string) string {
		if slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, value(key)) }) {
			return key + ": " + value(key)
		}
		return ""
	}
	switch tool {
	case Flux:
		return cmp.Or(is("kustomize.toolkit.fluxcd.io/reconcile", "disabled"), is("kustomize.toolkit.fluxcd.io/ssa", "IfNotPresent", "Ignore"))
	case FluxHelm:
		return is("helm.toolkit.fluxcd.io/driftDetection", "disabled")
	case ArgoCD, Helm, Fleet, ConfigSync: // they have none
	}
	return ""
}
