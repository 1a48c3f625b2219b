package preview

import (
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

// Without a browser, up refuses the inputs that need one before anything changes, and
// every other goal works: what was published elsewhere must be removable here.
func TestMissingBrowserStopsOnlyUp(t *testing.T) {
	p := &peer{t: t, github: githubtest.Start(t, githubtest.Options{}), netlify: netlifytest.NewT(t, netlifytest.Options{}), visit: newFetcher(nil), dir: t.TempDir()}
	p.push(1, sha1)
	if r := p.step(nil, p.event(pullEvent("opened", "open", repo)), "pull_request").Run(p.main); r.Code != 0 {
		t.Fatalf("publish without a browser: %d\n%s", r.Code, r.Log)
	}
	t.Setenv("PATH", t.TempDir())
	for _, input := range []string{"accessibility", "visual"} {
		before := len(p.github.Requests()) + len(p.netlify.Requests())
		r := p.step(map[string]string{input: "true"}, p.event(pullEvent("synchronize", "open", repo)), "pull_request").Run(p.main)
		if r.Code != 2 || !strings.Contains(r.Log, "this machine has no browser") || !strings.Contains(r.Log, "pr-preview-browser") {
			t.Errorf("up with %s: %d, want 2 and the action that has a browser\n%s", input, r.Code, r.Log)
		}
		if after := len(p.github.Requests()) + len(p.netlify.Requests()); after != before {
			t.Errorf("up with %s: %d requests before it was refused", input, after-before)
		}
	}
	both := map[string]string{"accessibility": "true", "visual": "true", "pr-number": "1"}
	for _, goal := range []string{"status", "sweep"} {
		both["goal"] = goal
		if r := p.step(both, "", "").Run(p.main); r.Code != 0 {
			t.Errorf("%s: %d\n%s", goal, r.Code, r.Log)
		}
	}
	p.close(1)
	delete(both, "goal")
	r := p.step(both, p.event(pullEvent("closed", "closed", repo)), "pull_request").Run(p.main)
	if r.Code != 0 || r.Outputs["status"] != "removed" || len(p.netlify.Deploys()) != 0 {
		t.Errorf("down: %d, %v, %d deploys left\n%s", r.Code, r.Outputs, len(p.netlify.Deploys()), r.Log)
	}
}
