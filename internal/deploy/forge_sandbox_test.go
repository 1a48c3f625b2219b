package deploy

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
)

// A release that is paused, promoted by another process and rolled back, as GitHub and
// the GitOps repository see it; then one that a signal ends while GitHub hangs.
func TestGitHubFollowsARelease(t *testing.T) {
	t.Parallel()
	const shop, config, file = "acme/shop", "acme/config", "website/values.yaml"
	commit := strings.Repeat("c", 40)
	w := newWorld(t)
	v1, v2 := w.image("v1", nil), w.image("v2", nil)
	hub := githubtest.Start(t, githubtest.Options{})
	hub.AddBranch(shop, "main", commit)
	hub.Files(config).Set("main", file, fmt.Appendf(nil, "# ours\nwebsite:\n  image: %s # live\n", v1))
	w.env = []string{"GITHUB_REPOSITORY=" + shop, "GITHUB_SHA=" + commit}
	flags := []string{"--github-token=token-of-a-test", "--github-api-url=" + hub.URL(), "--github-deployment=true", "--gitops-repo=" + config, "--gitops-path=" + file, "--gitops-field=website.image"}
	sees := func(image string, states ...string) {
		t.Helper()
		if got, want := string(hub.Files(config).Get("main", file)), "# ours\nwebsite:\n  image: "+image+" # live\n"; got != want {
			t.Errorf("the file is %q, want %q", got, want)
		}
		var got []string
		for _, d := range hub.Deployments(shop) {
			got = append(got, d.State())
		}
		if fmt.Sprint(got) != fmt.Sprint(states) {
			t.Errorf("deployments are %q, want %q", got, states)
		}
	}
	short := append([]string{"--bake-time", "1s", "--keep-warm", "1h", "--propagation-timeout", "20s"}, flags...)
	w.deploy(append(short, "--image", v2, "--steps", "25:pause,100", "--step-duration", "1s")...).ends(0)
	sees(v1, "queued")
	d := hub.Deployments(shop)[0]
	if got, want := d.Statuses[len(d.Statuses)-1].Description, "type: deploy --command promote --namespace "+w.ns+" --deployment-name "+sample.Name; !strings.HasSuffix(got, want) {
		t.Errorf("the description is %q, want %q at its end", got, want)
	}
	p := w.command("promote", flags...)
	p.ends(0)
	sees(v2, "success")
	if out := p.outputs(); out["gitops-status"] != "committed" || !strings.Contains(out["gitops-url"], "/acme/config/commit/") || out["github-deployment-id"] != fmt.Sprint(d.ID) {
		t.Errorf("outputs %q", out)
	}
	w.command("rollback", flags...).ends(0)
	sees(v1, "inactive")

	hub.Inject(githubtest.Fault{Method: http.MethodPost, Skip: 1, Do: githubtest.Held(nil)})
	p = w.deploy(append(short, "--image", v2, "--steps", "25,100", "--step-duration", "60s")...)
	p.reaches(atStep(25))
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	contains(t, p.ends(4), "the GitHub deployment is not up to date", "gh api repos/acme/shop/deployments/")
	if got := w.live(); got != "v1" {
		t.Errorf("version %s answers, want v1", got)
	}
	sees(v1, "inactive", "")
}
