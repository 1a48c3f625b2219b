package detached

import (
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/kube"
)

// RBAC returns the manifest of a ServiceAccount that may run releases in a
// namespace, with a Role of just these permissions.
func RBAC(namespace, account string, permissions []kube.Permission) string {
	var b strings.Builder
	meta := func(kind, apiVersion string) {
		fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n  namespace: %s\n", apiVersion, kind, account, namespace)
	}
	meta("ServiceAccount", "v1")
	b.WriteString("---\n")
	meta("Role", "rbac.authorization.k8s.io/v1")
	b.WriteString("rules:\n")
	for _, p := range permissions {
		fmt.Fprintf(&b, "  # %s\n  - apiGroups: [%q]\n    resources: [%q]\n    verbs: [%s]\n", p.Why, p.Group, p.Resource, quoted(p.Verbs))
	}
	b.WriteString("---\n")
	meta("RoleBinding", "rbac.authorization.k8s.io/v1")
	fmt.Fprintf(&b, "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %s}\nsubjects:\n  - {kind: ServiceAccount, name: %s, namespace: %s}\n", account, account, namespace)
	return b.String()
}

func quoted(words []string) string {
	var q []string
	for _, w := range words {
		q = append(q, fmt.Sprintf("%q", w))
	}
	return strings.Join(q, ", ")
}
