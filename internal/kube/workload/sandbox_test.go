package workload

import (
	"testing"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
)

// onSandbox returns the sandbox and a new namespace with version 1 of the
// sample. An earlier revision gives its Deployment a history.
func onSandbox(t *testing.T, replicas int) (*sandbox.Sandbox, string) {
	t.Helper()
	s := sandboxtest.Start(t)
	ns := sandboxtest.Namespace(t, s)
	for _, tag := range []string{"v0", "v1"} {
		sandboxtest.Deploy(t, s, sample.App{Namespace: ns, Image: sandboxtest.Website(t, s, tag, nil), Replicas: replicas})
	}
	return s, ns
}
