package workload

import (
	"testing"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
)

// onSandbox returns the sandbox and a namespace of its own with version 1 of the
// sample, which was rolled out once before: its Deployment has a history.
func onSandbox(t *testing.T, replicas int) (*sandbox.Sandbox, string) {
	t.Helper()
	s := sandboxtest.Start(t)
	ns := sandboxtest.Namespace(t, s)
	for _, tag := range []string{"v0", "v1"} {
		sandboxtest.Deploy(t, s, sandbox.Sample{Namespace: ns, Image: sandboxtest.Website(t, s, tag, nil), Replicas: replicas})
	}
	return s, ns
}
