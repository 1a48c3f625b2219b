package imagetest

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
)

// deploys runs the image as a workflow's step that releases the sample on the
// sandbox, and as one whose job is cancelled at 25 %.
func deploys(t *testing.T, image *Image) {
	s := sandboxtest.Start(t)
	ns := sandboxtest.Namespace(t, s)
	sandboxtest.Deploy(t, s, sample.App{Namespace: ns, Image: sandboxtest.Website(t, s, "v1", nil), Replicas: 1, GracePeriod: 3 * time.Second})
	step := func(tag string, inputs map[string]string) *actiontest.Step {
		inputs["image"], inputs["namespace"], inputs["kubeconfig"] = sandboxtest.Website(t, s, tag, nil), ns, "kubeconfig"
		inputs["response-time-threshold"] = "20s" // how slow this machine is says nothing here
		step := actiontest.NewStep(t, inputs)
		config, err := os.ReadFile(s.Kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(step.Workspace, "kubeconfig"), config, 0o600); err != nil {
			t.Fatal(err)
		}
		return step
	}

	released := step("v2", map[string]string{"steps": "25,100", "step-duration": "5s"})
	r, _ := image.Run(released, nil)
	if r.Code != 0 || r.Outputs["status"] != "promoted" || r.Outputs["failed-requests"] != "0" {
		t.Fatalf("exit status %d, outputs %v; log:\n%s", r.Code, r.Outputs, r.Log)
	}
	if !strings.Contains(r.Summary, "xychart-beta") {
		t.Errorf("the summary has no chart of the weights:\n%s", r.Summary)
	}
	if _, err := os.Stat(filepath.Join(released.Workspace, "canary-deployment-report.json")); err != nil {
		t.Errorf("the report is not in the workspace: %v", err)
	}

	cancelled := step("v3", map[string]string{"steps": "25,100", "step-duration": "60s"})
	cancel := make(chan struct{})
	cancelled.WhenPrinted("the dwell at 25 %", func() { close(cancel) })
	r, last := image.Run(cancelled, cancel)
	if r.Code != 4 || last != syscall.SIGINT {
		t.Errorf("exit status %d, last signal %v, want 4 after SIGINT alone; log:\n%s", r.Code, last, r.Log)
	}
	if r.Outputs["status"] != "aborted" || r.Outputs["rolled-back"] != "true" {
		t.Errorf("outputs %v, want aborted and rolled back", r.Outputs)
	}
}
