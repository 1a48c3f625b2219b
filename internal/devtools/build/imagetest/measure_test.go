package imagetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/devtools/perfsite"
)

// measures runs the image on the sample website: Lighthouse and its browser work in the
// container, isolated by what it allows, and the tool that the image has not is named.
func measures(t *testing.T, image *Image) {
	site, err := perfsite.Start(perfsite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = site.Close() }()
	step := func(meter string) *actiontest.Step {
		s := actiontest.NewStep(t, map[string]string{"url": site.URL, "meters": meter, "runs": "1", "devices": "desktop", "default-budgets": "false"})
		s.Setenv("GITHUB_EVENT_NAME", "workflow_dispatch")
		if err := os.WriteFile(s.Environ()["GITHUB_EVENT_PATH"], []byte(`{"repository":{"full_name":"candlefish/website"}}`), 0o666); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := step("lighthouse")
	r, _ := image.Run(s, nil)
	if r.Code != 0 || r.Outputs["status"] != "pass" || r.Outputs["performance-desktop"] == "" {
		t.Errorf("lighthouse: exit status %d, outputs %v; log:\n%s", r.Code, r.Outputs, r.Log)
	}
	if reports, _ := filepath.Glob(filepath.Join(s.Workspace, "performance-report/lighthouse/*.html")); len(reports) != 1 {
		t.Errorf("reports of Lighthouse: %q", reports)
	}
	r, _ = image.Run(step("load"), nil)
	if r.Code != 3 || r.Outputs["status"] != "inconclusive" || !strings.Contains(r.Outputs["unmeasured"], "load: missing") {
		t.Errorf("without k6: exit status %d, outputs %v; log:\n%s", r.Code, r.Outputs, r.Log)
	}
}
