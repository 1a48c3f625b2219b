package gatewayapi

import (
	"slices"

	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

var _ router.Abroad = Router{}

// GrantKind implements router.Abroad.
func (Router) GrantKind() router.Kind {
	return router.Kind{Group: group, Version: "v1beta1", Resource: "referencegrants", Name: "ReferenceGrant"}
}

// From implements router.Abroad.
func (r Router) From(grants []router.Object) []string {
	var namespaces []string
	for _, grant := range grants {
		for _, from := range object.List(object.Child(grant, "spec"), "from") {
			if ns := object.Text(from, "namespace"); r.isFrom(from) && !slices.Contains(namespaces, ns) {
				namespaces = append(namespaces, ns)
			}
		}
	}
	return namespaces
}

func (r Router) isFrom(from any) bool {
	return object.Text(from, "group") == group && object.Text(from, "kind") == r.Kind().Name
}

// Granted implements router.Abroad.
func (r Router) Granted(route router.Object, grants []router.Object, service string) bool {
	return slices.ContainsFunc(grants, func(grant router.Object) bool {
		spec := object.Child(grant, "spec")
		return slices.ContainsFunc(object.List(spec, "from"), func(from any) bool {
			return r.isFrom(from) && object.Text(from, "namespace") == object.Namespace(route)
		}) && slices.ContainsFunc(object.List(spec, "to"), func(to any) bool {
			name := object.Text(to, "name")
			return object.Text(to, "group") == "" && object.Text(to, "kind") == "Service" && (name == "" || name == service)
		})
	})
}
