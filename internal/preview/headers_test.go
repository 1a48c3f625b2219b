package preview

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/access"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
	"github.com/candlefish/deploy-action/internal/preview/result"
)

// A site that asks everybody for a password is checked, removed and verified as gone with
// check-headers, and nothing of the password is shown anywhere.
func TestProtectedSite(t *testing.T) {
	t.Parallel()
	const login = "anna:planted-password"
	secret := base64.StdEncoding.EncodeToString([]byte(login))
	p := &peer{t: t, github: githubtest.Start(t, githubtest.Options{}), netlify: netlifytest.NewT(t, netlifytest.Options{Protection: login}), visit: newFetcher(nil), dir: t.TempDir()}
	p.push(1, sha1)
	headers := map[string]string{"check-headers": "Authorization: Basic " + secret + "\nX-Echo: planted-too", "links": "5"}
	for _, c := range []struct{ action, state, status string }{{"opened", "open", "ready"}, {"closed", "closed", "removed"}} {
		if c.state == "closed" {
			p.close(1)
		}
		step := p.step(headers, p.event(pullEvent(c.action, c.state, repo)), "pull_request")
		r := step.Run(Main)
		if r.Code != 0 || r.Outputs["status"] != c.status {
			t.Errorf("%s: %d, %v\n%s", c.action, r.Code, r.Outputs, r.Log)
		}
		for _, want := range []string{secret, login, "planted-password", "planted-too"} {
			if !slices.Contains(r.Masks, want) {
				t.Errorf("%s does not mask %q", c.action, want)
			}
		}
		report, err := os.ReadFile(r.Outputs["report"])
		if err != nil {
			t.Fatal(err)
		}
		shown := r.Log + r.Summary + fmt.Sprint(r.Outputs) + string(report) + p.github.Comments(repo, 1)[0].Body
		for line := range strings.Lines(shown) {
			if !strings.HasPrefix(line, "::add-mask::") && (strings.Contains(line, "planted") || strings.Contains(line, secret)) {
				t.Errorf("%s shows the password: %s", c.action, line)
			}
		}
	}
	if n := len(p.netlify.Deploys()); n != 0 {
		t.Errorf("%d deploys are left", n)
	}
}

// Lines that are no headers are input errors before anything changes, and are not shown.
func TestBadCheckHeaders(t *testing.T) {
	t.Parallel()
	p := &peer{t: t, github: githubtest.Start(t, githubtest.Options{}), netlify: netlifytest.NewT(t, netlifytest.Options{}), visit: newFetcher(nil), dir: t.TempDir()}
	r := p.step(map[string]string{"check-headers": "X-Key: good\nplanted", "pr-number": "1"}, "", "").Run(Main)
	if r.Code != 2 || !strings.Contains(r.Log, "check-headers: line 2: want NAME: value") || strings.Contains(r.Log+r.Summary, "planted") {
		t.Errorf("%d\n%s", r.Code, r.Log)
	}
	if n := len(p.github.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// A fork's preview does not get the headers: its redirect rules could pass them on.
func TestForksGetNoHeaders(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	client, err := github.New(github.Options{Token: "t", BaseURL: p.github.URL(), Now: time.Now, After: time.After})
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]int{repo: 1, mallory: 0} {
		p.github.AddPull(repo, githubtest.Pull{Number: 1, HeadSHA: sha1, HeadRef: "f", HeadRepo: from})
		s := &session{goal: result.GoalUp, key: reconcile.Key{Repository: repo, Number: 1}, commit: sha1}
		s.event, err = github.ParseEvent("workflow_run", []byte(runEvent(from, sha1, "success")))
		if err == nil {
			s.headers, err = access.Parse([]string{"X-Key: planted"})
		}
		if err == nil {
			s.v, err = Spec().Parse([]string{"--allow-forks"}, func(string) string { return "" })
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := s.admit(t.Context(), &reconcile.Reconciler{Forge: githubForge{client: client}}); err != nil {
			t.Errorf("%s: %v", from, err)
		}
		s.headers.Trust("https://preview.example")
		if got := s.headers.For(&url.URL{Scheme: "https", Host: "preview.example"}); len(got) != want {
			t.Errorf("a preview of %s gets %d headers, want %d", from, len(got), want)
		}
	}
}
