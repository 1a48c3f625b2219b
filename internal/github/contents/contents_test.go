package contents_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/contents"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/gitops"
)

const (
	repo = "acme/config"
	path = "apps/web/kustomization.yaml"
	old  = "images:\n- name: web # ours\n  newTag: v1\n"
	want = "images:\n- name: web # ours\n  newTag: v2\n"
)

// start returns a GitHub with the file, and the repository by its client.
func start(t *testing.T, o githubtest.Options) (*githubtest.Server, contents.Repository) {
	t.Helper()
	server := githubtest.Start(t, o)
	server.Files(repo).Set("main", path, []byte(old))
	client, err := github.New(github.Options{Token: "token-of-a-test", BaseURL: server.URL(), After: func(time.Duration) <-chan time.Time { c := make(chan time.Time); close(c); return c }})
	if err != nil {
		t.Fatal(err)
	}
	r, err := contents.New(client, repo)
	if err != nil {
		t.Fatal(err)
	}
	return server, r
}

func change(t *testing.T, mode gitops.Mode) gitops.Change {
	t.Helper()
	f, err := gitops.ParseField("kustomize:web")
	if err != nil {
		t.Fatal(err)
	}
	return gitops.Change{Path: path, Field: f, Image: "web:v2", Mode: mode, Proposal: "candlefish/web-1.1", Title: "web: web:v2", Body: "Run 1.1"}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	server, r := start(t, githubtest.Options{})
	w, err := gitops.Write(t.Context(), r, change(t, gitops.ModeCommit))
	if err != nil || w.Unchanged || !strings.Contains(w.Page, "/acme/config/commit/") {
		t.Fatalf("Write = %+v, %v", w, err)
	}
	if got := string(server.Files(repo).Get("main", path)); got != want {
		t.Errorf("the file is %q, want %q", got, want)
	}
	w, err = gitops.Write(t.Context(), r, change(t, gitops.ModeCommit))
	if err != nil || !w.Unchanged {
		t.Errorf("the second time: %+v, %v", w, err)
	}
	all := server.Files(repo).Commits()
	if len(all) != 1 || all[0].Message != "web: web:v2\n\nRun 1.1" {
		t.Errorf("commits %+v, want one", all)
	}
}

func TestPullRequest(t *testing.T) {
	t.Parallel()
	server, r := start(t, githubtest.Options{})
	w, err := gitops.Write(t.Context(), r, change(t, gitops.ModePullRequest))
	if err != nil || !strings.HasSuffix(w.Page, "/acme/config/pull/1") {
		t.Fatalf("Write = %+v, %v", w, err)
	}
	if main, branch := string(server.Files(repo).Get("main", path)), string(server.Files(repo).Get("candlefish/web-1.1", path)); main != old || branch != want {
		t.Errorf("main has %q, the branch %q", main, branch)
	}
	again, err := gitops.Write(t.Context(), r, change(t, gitops.ModePullRequest)) // the same run once more
	if err != nil || again.Page != w.Page || len(server.Pulls(repo)) != 1 || len(server.Files(repo).Commits()) != 1 {
		t.Errorf("the second time: %+v, %v, %d pull requests, %d commits", again, err, len(server.Pulls(repo)), len(server.Files(repo).Commits()))
	}
}

// Somebody pushes between the reading and the writing: their change stays.
func TestAPushMeanwhileIsKept(t *testing.T) {
	t.Parallel()
	server, r := start(t, githubtest.Options{})
	pushes := 2
	server.Inject(githubtest.Fault{Method: http.MethodPut, Times: pushes, Do: func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		pushes--
		server.Files(repo).Set("main", path, []byte("# push "+string(rune('0'+pushes))+"\n"+old))
		next.ServeHTTP(w, req)
	}})
	if _, err := gitops.Write(t.Context(), r, change(t, gitops.ModeCommit)); err != nil {
		t.Fatal(err)
	}
	if got := string(server.Files(repo).Get("main", path)); got != "# push 0\n"+want {
		t.Errorf("the file is %q", got)
	}
	server.Files(repo).Set("main", path, []byte(old))
	for n := range 9 {
		server.Inject(githubtest.Fault{Method: http.MethodPut, Times: 1, Do: func(w http.ResponseWriter, req *http.Request, next http.Handler) {
			server.Files(repo).Set("main", path, []byte("# "+string(rune('0'+n))+"\n"+old))
			next.ServeHTTP(w, req)
		}})
	}
	if _, err := gitops.Write(t.Context(), r, change(t, gitops.ModeCommit)); !errors.Is(err, gitops.ErrConflict) {
		t.Errorf("pushes without end: %v, want a conflict", err)
	}
}

func TestWhatGitHubRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options githubtest.Options
		before  func(*githubtest.Server)
		change  func(*gitops.Change)
		want    string
	}{
		"a token that may only read": {options: githubtest.Options{ReadOnly: true}, want: "403 Forbidden"},
		"a branch with rules":        {before: func(s *githubtest.Server) { s.Files(repo).Protect("main") }, want: "branch main takes no commit; a pull request may do"},
		"no such file":               {change: func(c *gitops.Change) { c.Path = "nothing.yaml" }, want: "404"},
		"a folder":                   {change: func(c *gitops.Change) { c.Path = "apps/web" }, want: "apps/web"},
		"no such branch":             {change: func(c *gitops.Change) { c.Branch = "nothing" }, want: "404"},
		"no such entry":              {before: func(s *githubtest.Server) { s.Files(repo).Set("main", path, []byte("images: []\n")) }, want: "edit " + path + ": field kustomize:web"},
		"no pull requests by Actions": {
			options: githubtest.Options{NoPulls: true}, change: func(c *gitops.Change) { c.Mode = gitops.ModePullRequest }, want: "not permitted to create or approve pull requests",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, r := start(t, c.options)
			if c.before != nil {
				c.before(server)
			}
			one := change(t, gitops.ModeCommit)
			if c.change != nil {
				c.change(&one)
			}
			if _, err := gitops.Write(t.Context(), r, one); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if n := len(server.Files(repo).Commits()); n > 0 && one.Mode == gitops.ModeCommit {
				t.Errorf("%d commits", n)
			}
		})
	}
}

// The commit arrives and its answer does not: the next look finds it.
func TestALostAnswer(t *testing.T) {
	t.Parallel()
	server, r := start(t, githubtest.Options{})
	server.Inject(githubtest.Fault{Method: http.MethodPut, Times: 1, Do: githubtest.Lost()})
	w, err := gitops.Write(t.Context(), r, change(t, gitops.ModeCommit))
	if err != nil || len(server.Files(repo).Commits()) != 1 || string(server.Files(repo).Get("main", path)) != want {
		t.Errorf("Write = %+v, %v; %d commits", w, err, len(server.Files(repo).Commits()))
	}
}
