package imagetest

import (
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
)

const root = "../../../.."

// The image that the Dockerfile makes takes its inputs from the runner, refuses
// bad ones without touching anything, and sets its outputs.
func TestImage(t *testing.T) {
	t.Parallel()
	sandboxtest.NeedRoot(t)
	image := Build(t, root)

	t.Run("bad inputs", func(t *testing.T) {
		step := actiontest.NewStep(t, map[string]string{"steps": "5,101", "probe-rate": "0"})
		r, _ := image.Run(step, nil)
		if r.Code != 2 || r.Outputs["status"] != "bad-input" {
			t.Errorf("exit status %d, outputs %v; log:\n%s", r.Code, r.Outputs, r.Log)
		}
		for _, want := range []string{`steps (input steps)`, `probe-rate (input probe-rate)`} {
			if !strings.Contains(r.Log, want) || !strings.Contains(r.Summary, want) {
				t.Errorf("%q is not in the log and the summary:\n%s\n%s", want, r.Log, r.Summary)
			}
		}
	})

	t.Run("help", func(t *testing.T) {
		r, _ := image.Run(actiontest.NewStep(t, nil), nil, "--help")
		if r.Code != 0 || !strings.Contains(r.Log, "--rollback-on-error") {
			t.Errorf("exit status %d; log:\n%s", r.Code, r.Log)
		}
	})

	t.Run("deploys", func(t *testing.T) { deploys(t, image) })

	t.Run("previews", func(t *testing.T) { previews(t, image, image.BuildBrowser(t, root)) })

	t.Run("scans", func(t *testing.T) { scans(t, image.BuildSecurity(t, root)) })

	t.Run("measures", func(t *testing.T) { measures(t, image.BuildPerformance(t, root)) })
}
