package checks_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/checks"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/github/githubtest/checkstest"
)

const (
	repo   = "acme/shop"
	commit = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d"
	secret = "ghs_secretsecretsecretsecretsecret12"
)

func start(t *testing.T, o githubtest.Options) (*githubtest.Server, *checkstest.Checks, checks.Checks) {
	t.Helper()
	server := githubtest.Start(t, o)
	server.AddBranch(repo, "main", commit)
	fake := checkstest.New(server, commit)
	client, err := github.New(github.Options{Token: secret, BaseURL: server.URL(), After: func(time.Duration) <-chan time.Time { c := make(chan time.Time); close(c); return c }})
	if err != nil {
		t.Fatal(err)
	}
	c, err := checks.New(client, repo)
	if err != nil {
		t.Fatal(err)
	}
	return server, fake, c
}

func check() checks.Check {
	return checks.Check{Name: "Performance", Commit: commit, ExternalID: "candlefish-performance/staging", Conclusion: checks.Success, Title: "Pass", Summary: "All *good*", Link: "https://github.com/acme/shop/actions/runs/1"}
}

// A rerun updates the check run, and writes nothing that is there already. Those of
// others, and of another environment, stay.
func TestPostTwice(t *testing.T) {
	t.Parallel()
	_, fake, c := start(t, githubtest.Options{})
	fake.Add(checkstest.Run{Repository: repo, Commit: commit, Name: "Performance", ExternalID: "of somebody else", Status: "completed"})
	page, changed, err := c.Post(t.Context(), check())
	if err != nil || !changed || page != "https://github.com/acme/shop/runs/2" {
		t.Fatalf("%q, %v, %v", page, changed, err)
	}
	if _, changed, err := c.Post(t.Context(), check()); err != nil || changed {
		t.Errorf("the same again: changed %v, %v", changed, err)
	}
	red := check()
	red.Conclusion, red.Title, red.Link = checks.Failure, "Inconclusive: no samples", "https://github.com/acme/shop/actions/runs/1/attempts/2"
	if again, changed, err := c.Post(t.Context(), red); err != nil || !changed || again != page {
		t.Errorf("a rerun: %q, %v, %v", again, changed, err)
	}
	other := check()
	other.ExternalID = "candlefish-performance/production"
	if _, _, err := c.Post(t.Context(), other); err != nil {
		t.Error(err)
	}
	got := fake.Runs(commit)
	if len(got) != 3 || got[0].Writes != 0 || got[1].Writes != 2 || got[1].Conclusion != "failure" || got[1].Title != red.Title || got[1].Link != red.Link || got[1].Status != "completed" || got[2].Conclusion != "success" {
		t.Errorf("%+v", got)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	t.Parallel()
	_, fake, c := start(t, githubtest.Options{})
	long := check()
	long.Title, long.Summary, long.Text = strings.Repeat("é", 300), strings.Repeat("| a | ü |\n", 9000), strings.Repeat("ü", 50000)
	for range 2 { // what is cut is the same the second time
		if _, _, err := c.Post(t.Context(), long); err != nil {
			t.Fatal(err)
		}
	}
	got := fake.Runs(commit)[0]
	for _, s := range []string{got.Summary, got.Text} {
		if len(s) > 65535 || !strings.HasSuffix(s, "All of it is in the summary of the run: "+long.Link) || !utf8.ValidString(s) || strings.Contains(s, "�") {
			t.Errorf("%d bytes that end with %q", len(s), s[len(s)-100:])
		}
	}
	if utf8.RuneCountInString(got.Title) != 255 || got.Writes != 1 {
		t.Errorf("title of %d characters, %d writes", utf8.RuneCountInString(got.Title), got.Writes)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options githubtest.Options
		before  func(*githubtest.Server, *checkstest.Checks)
		change  func(*checks.Check)
		want    string
		hint    string
	}{
		"read only":      {options: githubtest.Options{ReadOnly: true}, want: "403 Forbidden", hint: "grant the job permissions: checks: write"},
		"a person":       {before: func(_ *githubtest.Server, f *checkstest.Checks) { f.OfUser() }, want: "GitHub App", hint: "use the job's GITHUB_TOKEN"},
		"commit unknown": {change: func(c *checks.Check) { c.Commit = strings.Repeat("a", 40) }, want: "No commit found for SHA"},
		"no commit":      {change: func(c *checks.Check) { c.Commit = "HEAD" }, want: "want 40 hexadecimal digits"},
		"no summary":     {change: func(c *checks.Check) { c.Summary = "" }, want: "a title and a summary"},
		"neutral":        {change: func(c *checks.Check) { c.Conclusion = "neutral" }, want: "want success or failure"},
		"link":           {change: func(c *checks.Check) { c.Link = "javascript:x" }, want: "must begin with http"},
		"foreign": {before: func(_ *githubtest.Server, f *checkstest.Checks) {
			f.Add(checkstest.Run{Repository: repo, Commit: commit, Name: "Performance", ExternalID: check().ExternalID})
		}, want: "only be modified by the GitHub App"},
		"down": {before: func(s *githubtest.Server, _ *checkstest.Checks) {
			s.Inject(githubtest.Fault{Do: githubtest.Answer(http.StatusBadGateway, secret)})
		}, want: "502"},
		"the look fails": {before: func(s *githubtest.Server, _ *checkstest.Checks) {
			s.Inject(githubtest.Fault{Method: http.MethodGet, Do: githubtest.Forbidden("Resource not accessible by integration")})
		}, want: "403", hint: "grant the job permissions: checks: read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, fake, to := start(t, c.options)
			if c.before != nil {
				c.before(server, fake)
			}
			one := check()
			if c.change != nil {
				c.change(&one)
			}
			_, changed, err := to.Post(t.Context(), one)
			if err == nil || changed || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
				t.Fatalf("changed %v, %v, want %q", changed, err, c.want)
			}
			_, hint := exit.Of(err)
			if f, ok := errors.AsType[*github.ForbiddenError](err); ok {
				hint = f.Hint
			}
			if !strings.HasPrefix(hint, c.hint) {
				t.Errorf("hint %q, want %q", hint, c.hint)
			}
		})
	}
}
