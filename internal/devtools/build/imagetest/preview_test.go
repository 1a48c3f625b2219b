package imagetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

// previews runs both images as the step that publishes the sample and checks its pages in a
// browser. The first one refuses, since it has none; the second one looks at them.
func previews(t *testing.T, plain, withBrowser *Image) {
	const repository, commit = "candlefish/website", "1111111111111111111111111111111111111111"
	github, netlify := githubtest.Start(t, githubtest.Options{}), netlifytest.NewT(t, netlifytest.Options{})
	github.AddPull(repository, githubtest.Pull{Number: 7, HeadSHA: commit, HeadRef: "feature"})
	step := func() *actiontest.Step {
		s := actiontest.NewStep(t, map[string]string{
			"dir": "site", "pr-number": "7", "github-token": "ghs_planted", "netlify-auth-token": "nfp_planted", "netlify-site-id": "site",
			"github-api-url": github.URL(), "netlify-api-url": netlify.URL(), "accessibility": "true", "visual": "true",
		})
		s.Setenv("GITHUB_EVENT_NAME", "workflow_dispatch")
		if err := os.WriteFile(s.Environ()["GITHUB_EVENT_PATH"], []byte(`{"repository":{"full_name":"candlefish/website"}}`), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(s.Workspace, "site"), os.DirFS(filepath.Join(root, "testdata/preview/site"))); err != nil {
			t.Fatal(err)
		}
		return s
	}
	r, _ := plain.Start("/pr-preview", step())
	if r.Code != 2 || !strings.Contains(r.Log, "pr-preview-browser") || len(netlify.Deploys()) != 0 {
		t.Errorf("without a browser: %d, want 2 and the other action's name; %d deploys\n%s", r.Code, len(netlify.Deploys()), r.Log)
	}
	s := step()
	r, _ = withBrowser.Start("/pr-preview", s)
	if r.Code != 0 || r.Outputs["status"] != "ready" || !strings.Contains(r.Summary, "accessibility: home, mobile") || strings.Contains(r.Summary, "| Frontend | `browser`") {
		t.Fatalf("with a browser: %d, %v; log:\n%s\n%s", r.Code, r.Outputs, r.Log, r.Summary)
	}
	if strings.Contains(r.Log, "with npm") {
		t.Errorf("the modules are not in the image:\n%s", r.Log)
	}
	if pictures, _ := filepath.Glob(filepath.Join(s.Workspace, "preview-pictures", "home-*.png")); len(pictures) != 2 {
		t.Errorf("pictures of the front page: %q, want two", pictures)
	}
}
