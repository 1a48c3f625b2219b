package preview

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
	"github.com/candlefish/deploy-action/internal/preview/build"
)

// newSite is a peer without AWS.
func newSite(t *testing.T) *peer {
	t.Helper()
	return &peer{t: t, github: githubtest.Start(t, githubtest.Options{}), netlify: netlifytest.NewT(t, netlifytest.Options{}), visit: newFetcher(nil), dir: t.TempDir()}
}

// runEvent is the event of a run that built commit on a branch named f.
func runEvent(from, commit, conclusion string) string {
	head := "null"
	if from != "" {
		head = fmt.Sprintf(`{"full_name":%q}`, from)
	}
	return fmt.Sprintf(`{"action":"completed","repository":{"full_name":%[1]q},"workflow_run":{"id":5,"event":"pull_request","conclusion":%[4]q,"head_sha":%[2]q,"head_branch":"f","head_repository":%[3]s,"repository":{"full_name":%[1]q}}}`,
		repo, commit, head, conclusion)
}

const mallory = "mallory/website"

func TestForksAreRefusedAndTaken(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.github.AddPull(repo, githubtest.Pull{Number: 1, HeadSHA: sha1, HeadRef: "f", HeadRepo: mallory})
	run, frontend := runEvent(mallory, sha1, "success"), map[string]string{"allow-forks": "true", "parts": "frontend"}
	for _, c := range []struct {
		name, event, kind string
		inputs            map[string]string
		code              int
		want              string
	}{
		{"in its own run", pullEvent("opened", "open", mallory), "pull_request", nil, 3, "has no secrets"},
		{"by pull_request_target", pullEvent("opened", "open", mallory), "pull_request_target", map[string]string{"allow-forks": "true"}, 3, "must not take its code"},
		{"by workflow_run, not allowed", run, "workflow_run", nil, 3, "allow-forks is not set"},
		{"with functions", run, "workflow_run", map[string]string{"allow-forks": "true", "functions": "x"}, 3, "may not"},
		{"after a build that failed", runEvent(mallory, sha1, "failure"), "workflow_run", frontend, 3, "did not succeed"},
		{"by workflow_run, allowed", run, "workflow_run", frontend, 0, ""},
	} {
		r := p.step(c.inputs, p.event(c.event), c.kind).Run(p.main)
		if r.Code != c.code || !strings.Contains(r.Log, c.want) {
			t.Errorf("%s: %d, want %d with %q\n%s", c.name, r.Code, c.code, c.want, r.Log)
		}
		if c.code == 3 && r.Outputs["status"] != "refused" {
			t.Errorf("%s: status %q", c.name, r.Outputs["status"])
		}
	}
	if n := len(p.netlify.Deploys()); n != 1 {
		t.Errorf("%d deploys, want the allowed one", n)
	}
}

// A fork pushes the commit of somebody's own pull request, or names its number: its build
// is not taken for that pull request's.
func TestForkBuildsAreNotOthers(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.github.AddPull(repo, githubtest.Pull{Number: 1, HeadSHA: sha1, HeadRef: "f"})
	p.github.AddPull(repo, githubtest.Pull{Number: 2, HeadSHA: sha2, HeadRef: "f", HeadRepo: mallory})
	p.github.AddPull(repo, githubtest.Pull{Number: 3, HeadSHA: sha3, HeadRef: "g", HeadRepo: mallory})
	p.github.AddPull(repo, githubtest.Pull{Number: 4, HeadSHA: sha3, HeadRef: "f", HeadRepo: mallory, BaseRef: "next"})
	p.github.AddPull(repo, githubtest.Pull{Number: 5, HeadSHA: sha3, HeadRef: "f", HeadRepo: mallory})
	for _, c := range []struct {
		name, event, commit, number, want string
	}{
		{"the commit of a pull request", runEvent(mallory, sha1, "success"), "", "", "no open pull request of candlefish/website is at commit 1111111 of mallory/website:f"},
		{"its number", runEvent(mallory, sha1, "success"), "", "1", "the run built mallory/website:f, and candlefish/website#1 is from candlefish/website:f"},
		{"its commit, from the artifact", runEvent(mallory, sha2, "success"), sha1, "1", "the run built 2222222, not 1111111"},
		{"another branch's number", runEvent(mallory, sha3, "success"), "", "3", "is from mallory/website:g"},
		{"two at once", runEvent(mallory, sha3, "success"), "", "", "several open pull requests of mallory/website:f, [4 5]"},
		{"a deleted fork", runEvent("", sha2, "success"), "", "", "a deleted repository"},
	} {
		inputs := map[string]string{"allow-forks": "true", "parts": "frontend", "commit": c.commit, "pr-number": c.number}
		r := p.step(inputs, p.event(c.event), "workflow_run").Run(p.main)
		if r.Code != 3 || !strings.Contains(r.Log, c.want) {
			t.Errorf("%s: %d, want 3 with %q\n%s", c.name, r.Code, c.want, r.Log)
		}
	}
	if n, said := len(p.netlify.Deploys()), len(p.github.Comments(repo, 1)); n+said != 0 {
		t.Errorf("%d deploys, %d comments", n, said)
	}
	r := p.step(map[string]string{"allow-forks": "true", "parts": "frontend"}, p.event(runEvent(repo, sha1, "success")), "workflow_run").Run(p.main)
	if r.Code != 0 || len(p.github.Comments(repo, 1)) != 1 {
		t.Errorf("its own build: %d\n%s", r.Code, r.Log)
	}
}

// From the event of a workflow_run to Netlify, with what a fork can put in an artifact.
func TestHostileArtifacts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(dir string) error
		code int
		want string
	}{
		"a manifest that leads out": {func(dir string) error { return os.Symlink("../victim.json", filepath.Join(dir, build.ManifestName)) }, 3, "is a link"},
		"a manifest that leads in":  {func(dir string) error { return os.Symlink("index.html", filepath.Join(dir, build.ManifestName)) }, 3, "is a link"},
		"a page that leads out":     {func(dir string) error { return os.Symlink("../victim.json", filepath.Join(dir, "page.html")) }, 3, "is a link"},
		"a folder that leads out":   {func(dir string) error { return os.Symlink("..", filepath.Join(dir, "all")) }, 3, "is a link"},
		"a manifest null":           {manifest("null"), 1, "want a JSON object"},
		"a deep manifest":           {manifest(`{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}"), 1, "exceeded max depth"},
		"a huge manifest":           {manifest(`{"a":"` + strings.Repeat("x", 2<<20) + `"}`), 1, "at most 1048576 are taken"},
		"a folder as manifest":      {func(dir string) error { return os.Mkdir(filepath.Join(dir, build.ManifestName), 0o700) }, 1, "want a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSite(t)
			p.github.AddPull(repo, githubtest.Pull{Number: 1, HeadSHA: sha1, HeadRef: "f", HeadRepo: mallory})
			dir := p.desired(1, sha1).Dir
			victim := filepath.Join(p.dir, "victim.json")
			if err := os.WriteFile(victim, []byte(`{"secret":"planted"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			r := p.step(map[string]string{"allow-forks": "true", "parts": "frontend", "dir": dir}, p.event(runEvent(mallory, sha1, "success")), "workflow_run").Run(p.main)
			if r.Code != c.code || !strings.Contains(r.Log, c.want) || strings.Contains(r.Log, "panic") {
				t.Errorf("%d, want %d with %q\n%s", r.Code, c.code, c.want, r.Log)
			}
			if raw, err := os.ReadFile(victim); err != nil || string(raw) != `{"secret":"planted"}` {
				t.Errorf("the file outside is now %s, %v", raw, err)
			}
			if n := len(p.netlify.Deploys()); n != 0 {
				t.Errorf("%d deploys", n)
			}
		})
	}
}

func manifest(text string) func(dir string) error {
	return func(dir string) error {
		return os.WriteFile(filepath.Join(dir, build.ManifestName), []byte(text), 0o600)
	}
}

// The build of another run brings no program that is run: neither the bundler of its
// node_modules, nor that of a folder beside it.
func TestBundlersOfOtherRunsAreNotRun(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.github.AddPull(repo, githubtest.Pull{Number: 1, HeadSHA: sha1, HeadRef: "f"})
	mark := filepath.Join(p.dir, "mark")
	project := netlifytest.Folder(t, map[string]string{
		"functions/a.ts": "", "node_modules/@netlify/zip-it-and-ship-it/bin.js": fmt.Sprintf("require('fs').writeFileSync(%q, '')", mark),
	})
	inputs := map[string]string{"parts": "frontend", "functions": filepath.Join(project, "functions"), "functions-project": project}
	r := p.step(inputs, p.event(runEvent(repo, sha1, "success")), "workflow_run").Run(Main)
	if r.Code != 2 || !strings.Contains(r.Log, "bundle them in the job that builds") {
		t.Errorf("%d\n%s", r.Code, r.Log)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the bundler was run")
	}
}

// Closing a fork's pull request runs no code of it, so it may have secrets.
func TestForkPreviewsAreRemovedOnClose(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.github.AddPull(repo, githubtest.Pull{Number: 1, HeadSHA: sha1, HeadRef: "f", HeadRepo: mallory})
	r := p.step(map[string]string{"allow-forks": "true", "parts": "frontend"}, p.event(runEvent(mallory, sha1, "success")), "workflow_run").Run(p.main)
	if r.Code != 0 || len(p.netlify.Deploys()) != 1 {
		t.Fatalf("up: %d\n%s", r.Code, r.Log)
	}
	p.close(1)
	// The job checks nothing out: there is no build.
	r = p.step(map[string]string{"dir": "missing", "parts": "frontend"}, p.event(pullEvent("closed", "closed", mallory)), "pull_request_target").Run(p.main)
	if r.Code != 0 || r.Outputs["status"] != "removed" || len(p.netlify.Deploys()) != 0 {
		t.Errorf("closed: %d, %v\n%s", r.Code, r.Outputs, r.Log)
	}
}

// An empty build is refused before anything is said or done, and the live site stays.
func TestEmptyBuildsReplaceNothing(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.push(1, sha1)
	inputs := map[string]string{"pr-number": "1"}
	if r := p.step(inputs, "", "").Run(p.main); r.Code != 0 {
		t.Fatalf("up: %d\n%s", r.Code, r.Log)
	}
	p.push(1, sha2)
	comment, before := p.github.Comments(repo, 1)[0].Body, len(p.github.Requests())
	empty := t.TempDir()
	if err := manifest(`{"commitSha":"x"}`)(empty); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{empty: "there is nothing to publish", filepath.Join(empty, "missing"): "no such file"} {
		r := p.step(map[string]string{"pr-number": "1", "dir": dir}, "", "").Run(p.main)
		if r.Code != 2 || !strings.Contains(r.Log, want) {
			t.Errorf("%d, want 2 with %q\n%s", r.Code, want, r.Log)
		}
	}
	if len(p.netlify.Deploys()) != 1 || p.github.Comments(repo, 1)[0].Body != comment || len(p.github.Requests()) != before {
		t.Errorf("%d deploys, %d requests to GitHub", len(p.netlify.Deploys()), len(p.github.Requests())-before)
	}
}

// What GitHub does not find was not refused.
func TestUnknownPullRequest(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.github.AddRepo(repo)
	r := p.step(map[string]string{"pr-number": "9"}, "", "").Run(p.main)
	if r.Code != 1 || r.Outputs["status"] != "failed" || !strings.Contains(r.Log, "404") {
		t.Errorf("%d, %v\n%s", r.Code, r.Outputs, r.Log)
	}
}
