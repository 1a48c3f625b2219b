package preview

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
)

// opened and closed are runs of the action at these events of pull request 1.
func (p *peer) opened() actiontest.Result {
	p.t.Helper()
	return p.step(nil, p.event(pullEvent("opened", "open", repo)), "pull_request").Run(p.main)
}

func (p *peer) closed(inputs map[string]string) actiontest.Result {
	p.t.Helper()
	return p.step(inputs, p.event(pullEvent("closed", "closed", repo)), "pull_request").Run(p.main)
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode         string
		admin        bool
		up, down     []string // environments
		deployments  int      // in the end
		comment      string
		activeOthers int
	}{
		"one per pull request":          {"per-pull-request", false, []string{"preview/pr-1", "preview/pr-2"}, []string{"preview/pr-1", "preview/pr-2"}, 3, "The environment `preview/pr-1` stays", 1},
		"with an administrator's token": {"per-pull-request", true, []string{"preview/pr-1", "preview/pr-2"}, []string{"preview/pr-2"}, 3, "| Environment | removed | `preview/pr-1` |", 1},
		"one for all":                   {"one", false, []string{"preview"}, []string{"preview"}, 1, "| Environment | removed | `preview` |", 1},
		"none":                          {"none", false, nil, nil, 0, "!Environment |", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSite(t)
			p.github = githubtest.Start(t, githubtest.Options{Admin: c.admin})
			inputs := map[string]string{"environments": c.mode}
			for n := 1; n <= 2; n++ {
				p.push(n, sha1)
				for range 3 - n {
					inputs["pr-number"] = fmt.Sprint(n)
					if r := p.step(inputs, "", "").Run(p.main); r.Code != 0 {
						t.Fatalf("up: %d\n%s", r.Code, r.Log)
					}
				}
			}
			if got := p.github.Environments(repo); !slices.Equal(got, c.up) {
				t.Errorf("environments %q, want %q", got, c.up)
			}
			p.close(1)
			delete(inputs, "pr-number")
			for i := range 2 {
				if r := p.closed(inputs); r.Code != 0 || i == 0 && r.Outputs["status"] != "removed" {
					t.Errorf("down: %d, %v\n%s", r.Code, r.Outputs, r.Log)
				}
				if i == 0 {
					want, absent := strings.CutPrefix(c.comment, "!")
					if body := p.github.Comments(repo, 1)[0].Body; strings.Contains(body, want) == absent {
						t.Errorf("the comment, %q:\n%s", c.comment, body)
					}
				}
			}
			if got := p.github.Environments(repo); !slices.Equal(got, c.down) {
				t.Errorf("environments in the end %q, want %q", got, c.down)
			}
			active := 0
			for _, d := range p.github.Deployments(repo) {
				if d.State() == "success" {
					active++
				}
			}
			if n := len(p.github.Deployments(repo)); n != c.deployments || active != c.activeOthers {
				t.Errorf("%d deployments, %d active; want %d, the other pull request's %d active", n, active, c.deployments, c.activeOthers)
			}
		})
	}
}

// The job of an event may run late, again, or after another event.
func TestClosedButOpenAgain(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.push(1, sha1)
	if r := p.opened(); r.Code != 0 {
		t.Fatalf("up: %d\n%s", r.Code, r.Log)
	}
	comment := p.github.Comments(repo, 1)[0].Body
	r := p.closed(nil)
	if r.Code != 0 || r.Outputs["status"] != "superseded" || len(p.netlify.Deploys()) != 1 || p.github.Comments(repo, 1)[0].Body != comment {
		t.Errorf("the event says closed, GitHub says open: %d, %v\n%s", r.Code, r.Outputs, r.Log)
	}
	byHand := map[string]string{"goal": "down", "pr-number": "1"}
	r = p.step(byHand, "", "").Run(p.main)
	if r.Code != 3 || r.Outputs["status"] != "refused" || !strings.Contains(r.Log, "remove-open: true") || len(p.netlify.Deploys()) != 1 {
		t.Errorf("by hand: %d, %v\n%s", r.Code, r.Outputs, r.Log)
	}
	byHand["remove-open"] = "true"
	r = p.step(byHand, "", "").Run(p.main)
	if r.Code != 0 || r.Outputs["status"] != "removed" || len(p.netlify.Deploys()) != 0 {
		t.Errorf("by hand, although it is open: %d, %v\n%s", r.Code, r.Outputs, r.Log)
	}
}

// A run of an old commit says so, wherever people look, and ends with 0: nothing failed, and
// another run has the preview.
func TestSupersededRun(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.push(1, sha2)
	r := p.opened() // at sha1
	if r.Code != 0 || r.Outputs["status"] != "superseded" || r.Outputs["url"] != "" || len(p.netlify.Deploys()) != 0 {
		t.Errorf("%d, %v", r.Code, r.Outputs)
	}
	for where, text := range map[string]string{"log": r.Log, "summary": r.Summary} {
		if strings.Contains(text, "Ready") || !strings.Contains(text, "commit 2222222 came after 1111111") {
			t.Errorf("the %s:\n%s", where, text)
		}
	}
}

func TestCommentFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  githubtest.Failure
		times  int
		status string
		code   int
	}{
		"one 502":              {githubtest.Answer(502, ""), 1, "ready", 0},
		"made, and no answer":  {githubtest.Lost(), 1, "ready", 0},
		"a locked discussion":  {githubtest.Forbidden("Unable to create comment because issue is locked."), 0, "partial", 1},
		"an invalid answer":    {githubtest.Answer(422, `{"message":"Validation Failed"}`), 0, "partial", 1},
		"somebody else's host": {githubtest.Answer(404, `{"message":"Not Found"}`), 0, "partial", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSite(t)
			p.push(1, sha1)
			p.github.Inject(githubtest.Fault{Method: "POST", Path: "/issues/1/comments", Times: c.times, Do: c.fault})
			r := p.opened()
			if r.Code != c.code || r.Outputs["status"] != c.status || r.Outputs["url"] == "" {
				t.Errorf("%d, %v\n%s", r.Code, r.Outputs, r.Log)
			}
			if n := len(p.github.Comments(repo, 1)); n != 1-c.code {
				t.Errorf("%d comments", n)
			}
			if c.code != 0 && !strings.Contains(r.Log, "the comment was not written: ") {
				t.Errorf("it does not say so:\n%s", r.Log)
			}
		})
	}
}

// The alias of another repository's preview on the same site, on the wire.
func TestSharedSite(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.push(1, sha1)
	if r := p.opened(); r.Code != 0 {
		t.Fatalf("up: %d\n%s", r.Code, r.Log)
	}
	other := newSite(t)
	other.netlify = p.netlify
	const second = "candlefish/shop"
	other.github.AddPull(second, githubtest.Pull{Number: 1, HeadSHA: sha2})
	r := other.step(map[string]string{"repository": second, "pr-number": "1"}, "", "").Run(other.main)
	if r.Code != 1 || !strings.Contains(r.Log, "alias pr-1 has the preview of candlefish/website#1") {
		t.Errorf("%d\n%s", r.Code, r.Log)
	}
	if deploys := p.netlify.Deploys(); len(deploys) != 1 || !strings.Contains(deploys[0].Title, repo) {
		t.Errorf("%+v", deploys)
	}
}

// One pull request that cannot be read is named, and the others are swept.
func TestSweepWithAnUnreadablePullRequest(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	for n := 1; n <= 3; n++ {
		p.push(n, sha1)
		if r := p.step(map[string]string{"pr-number": fmt.Sprint(n)}, "", "").Run(p.main); r.Code != 0 {
			t.Fatalf("up: %d\n%s", r.Code, r.Log)
		}
		p.close(n)
	}
	p.github.Inject(githubtest.Fault{Path: "/pulls/2", Do: githubtest.Answer(410, `{"message":"Gone"}`)})
	r := p.step(map[string]string{"goal": "sweep", "delete": "true"}, "", "").Run(p.main)
	if r.Code != 1 || !strings.Contains(r.Outputs["remaining"], "#2: check") || !strings.Contains(r.Summary, "#2: its pull request is not open; not removed") {
		t.Errorf("%d, %v\n%s", r.Code, r.Outputs, r.Summary)
	}
	var swept reconcile.SweepResult
	if err := json.Unmarshal([]byte(readReport(t, r)), &swept); err != nil || len(swept.Orphans) != 3 || swept.Orphans[1].Error == "" {
		t.Errorf("%v, %+v", err, swept)
	}
	if deploys := p.netlify.Deploys(); len(deploys) != 1 || deploys[0].Alias != "pr-2" {
		t.Errorf("left are %+v", deploys)
	}
	p.github.Heal()
	if r := p.step(map[string]string{"goal": "sweep", "delete": "true"}, "", "").Run(p.main); r.Code != 0 || len(p.netlify.Deploys()) != 0 {
		t.Errorf("again: %d, %v\n%s", r.Code, r.Outputs, r.Summary)
	}
}

// Second times on the wire, with what a person may have removed by hand.
func TestSecondTimes(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.github = githubtest.Start(t, githubtest.Options{Admin: true})
	p.push(1, sha1)
	up := func(what string) {
		t.Helper()
		p.push(1, sha1)
		if r := p.opened(); r.Code != 0 || r.Outputs["status"] != "ready" {
			t.Errorf("%s: %d, %v\n%s", what, r.Code, r.Outputs, r.Log)
		}
		if all := p.github.Comments(repo, 1); len(all) != 1 || !strings.Contains(all[0].Body, "is ready") && !strings.Contains(all[0].Body, "**Ready**") {
			t.Errorf("%s: %d comments", what, len(all))
		}
	}
	down := func(what, status string) {
		t.Helper()
		p.close(1)
		r := p.closed(nil)
		if r.Code != 0 || r.Outputs["status"] != status || len(p.netlify.Deploys()) != 0 || len(p.github.Environments(repo)) != 0 {
			t.Errorf("%s: %d, %v, %d deploys\n%s", what, r.Code, r.Outputs, len(p.netlify.Deploys()), r.Log)
		}
		if body := p.github.Comments(repo, 1)[0].Body; !strings.Contains(body, "Verified as gone: Frontend, Environment.") {
			t.Errorf("%s: %s", what, body)
		}
	}
	up("up")
	down("down", "removed")
	down("down twice", "nothing")
	up("up again")
	down("closed again", "removed")
	up("reopened")
	p.deleteByHand()
	up("after somebody deleted deploy, comment and environment")
	p.deleteByHand()
	p.close(1)
	if r := p.closed(nil); r.Code != 0 || len(p.netlify.Deploys()) != 0 {
		t.Errorf("down after somebody deleted all: %d, %v\n%s", r.Code, r.Outputs, r.Log)
	}
}

// deleteByHand deletes all deploys, comments and environments.
func (p *peer) deleteByHand() {
	p.t.Helper()
	ctx := p.t.Context()
	host, client := netlifyHost{account: p.account(), site: "site"}, p.client()
	for _, d := range p.netlify.Deploys() {
		if err := host.Remove(ctx, reconcile.Site{ID: d.ID}); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, c := range p.github.Comments(repo, 1) {
		if err := client.DeleteComment(ctx, repo, c.ID); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, env := range p.github.Environments(repo) {
		if _, err := client.DeleteEnvironment(ctx, repo, env); err != nil {
			p.t.Fatal(err)
		}
	}
}

// An alias that somebody else's deploy has is named, and not claimed to be gone.
func TestForeignDeployUnderTheAlias(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.push(1, sha1)
	if r := p.opened(); r.Code != 0 {
		t.Fatalf("up: %d\n%s", r.Code, r.Log)
	}
	id := p.netlify.Add("pr-1", "by hand", time.Now())
	p.close(1)
	r := p.closed(nil)
	body := p.github.Comments(repo, 1)[0].Body
	if r.Code != 0 || r.Outputs["status"] != "removed" || strings.Contains(body, "Nothing is left") || !strings.Contains(body, "Not ours and left alone: deploys "+id) {
		t.Errorf("%d, %v\n%s", r.Code, r.Outputs, body)
	}
	if deploys := p.netlify.Deploys(); len(deploys) != 1 || deploys[0].ID != id {
		t.Errorf("%+v", deploys)
	}
}
