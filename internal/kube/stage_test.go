package kube

import (
	"testing"

	"github.com/candlefish/deploy-action/internal/stage"
	"github.com/candlefish/deploy-action/internal/stage/stagetest"
)

// onStage returns the stage and a namespace of its own with version 1 of the
// sample, which was rolled out once before: its Deployment has a history.
func onStage(t *testing.T, replicas int) (*stage.Stage, string) {
	t.Helper()
	s := stagetest.Start(t)
	ns := stagetest.Namespace(t, s)
	for _, tag := range []string{"v0", "v1"} {
		stagetest.Deploy(t, s, stage.Sample{Namespace: ns, Image: stagetest.Website(t, s, tag, nil), Replicas: replicas})
	}
	return s, ns
}
