package gatewayapi

import (
	"slices"

	"github.com/candlefish/deploy-action/internal/router"
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
		for _, from := range list(child(grant, "spec"), "from") {
			if ns := text(from, "namespace"); r.isFrom(from) && !slices.Contains(namespaces, ns) {
				namespaces = append(namespaces, ns)
			}
		}
	}
	return namespaces
}

func (r Router) isFrom(from any) bool {
	return text(from, "group") == group && text(from, "kind") == r.Kind().Name
}

// Granted implements router.Abroad.
func (r Router) Granted(route router.Object, grants []router.Object, service string) bool {
	return slices.ContainsFunc(grants, func(grant router.Object) bool {
		spec := child(grant, "spec")
		return slices.ContainsFunc(list(spec, "from"), func(from any) bool {
			return r.isFrom(from) && text(from, "namespace") == namespaceOf(route)
		}) && slices.ContainsFunc(list(spec, "to"), func(to any) bool {
			name := text(to, "name")
			return text(to, "group") == "" && text(to, "kind") == "Service" && (name == "" || name == service)
		})
	})
}
