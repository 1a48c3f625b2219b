package github

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
)

var faster = PullRequest{
	Repo: shop, Number: 7, State: "open", HeadSHA: sha1, HeadRef: "faster", HeadRepo: shop,
	BaseRef: "main", Title: "faster", Author: "ann", URL: "https://github.com/acme/shop/pull/7",
}

func TestPullRequest(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{})
	check := func(change func(*githubtest.Pull), want func(*PullRequest)) {
		t.Helper()
		server.ChangePull(shop, 7, change)
		p := faster
		want(&p)
		got, err := c.PullRequest(t.Context(), shop, 7)
		if diff := cmp.Diff(p, got); diff != "" || err != nil {
			t.Errorf("error %v (-want +got):\n%s", err, diff)
		}
	}
	check(func(*githubtest.Pull) {}, func(*PullRequest) {})
	check(func(p *githubtest.Pull) { p.HeadRepo = "mallory/shop" }, func(p *PullRequest) { p.HeadRepo, p.Fork = "mallory/shop", true })
	check(func(p *githubtest.Pull) { p.HeadGone = true }, func(p *PullRequest) { p.HeadRepo, p.Fork = "", true })
	check(func(p *githubtest.Pull) { p.State, p.Merged, p.HeadSHA = "closed", true, sha2 }, func(p *PullRequest) {
		p.HeadRepo, p.Fork, p.State, p.Merged, p.HeadSHA = "", true, "closed", true, sha2
	})
	if _, err := c.PullRequest(t.Context(), shop, 8); !errors.Is(err, ErrNotFound) {
		t.Errorf("#8: %v", err)
	}
	if _, err := c.PullRequest(t.Context(), "acme/none", 8); !errors.Is(err, ErrNotFound) {
		t.Errorf("another repository: %v", err)
	}
}

func TestOpenPullRequests(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 99, 100, 101, 250} {
		c, server, _ := open(t, githubtest.Options{})
		server.ChangePull(shop, 7, func(p *githubtest.Pull) { p.State = "closed" })
		for i := range n {
			server.AddPull(shop, githubtest.Pull{Number: 100 + i, HeadSHA: sha2})
		}
		pulls, err := c.OpenPullRequests(t.Context(), shop)
		if len(pulls) != n || err != nil {
			t.Fatalf("%d of %d, error %v", len(pulls), n, err)
		}
		for i, p := range pulls {
			if p.Number != 100+i {
				t.Errorf("#%d at %d", p.Number, i)
			}
		}
	}
}

// Who cleans up deletes what is not on the list.
func TestAnIncompleteListIsAnError(t *testing.T) {
	t.Parallel()
	link := func(next int) githubtest.Failure {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Link", fmt.Sprintf(`<http://x/?page=%d>; rel="next"`, next))
			_, _ = w.Write([]byte("[]"))
		}
	}
	for name, test := range map[string]struct {
		failure githubtest.Failure
		want    string
	}{
		"broken":          {githubtest.Answer(http.StatusBadGateway, ""), "502"},
		"limited":         {githubtest.SecondaryLimit(0), "rate limit"},
		"forbidden":       {githubtest.Forbidden("Resource not accessible by integration"), "403"},
		"empty":           {githubtest.Answer(http.StatusOK, ""), "page 2 contains no list"},
		"null":            {githubtest.Answer(http.StatusOK, "null"), "page 2 contains no list"},
		"no list":         {githubtest.Answer(http.StatusOK, "{}"), "cannot unmarshal"},
		"a null item":     {githubtest.Answer(http.StatusOK, "[null]"), "without a number"},
		"the first again": {link(1), "page 2 is followed by page 1"},
		"one is left out": {link(4), "page 2 is followed by page 4"},
		"a proxy's page":  {githubtest.Answer(http.StatusOK, "<html>"), "invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, server, _ := open(t, githubtest.Options{})
			for i := range 250 {
				server.AddPull(shop, githubtest.Pull{Number: 100 + i, HeadSHA: sha2})
			}
			server.Inject(githubtest.Fault{Skip: 1, Do: test.failure})
			pulls, err := c.OpenPullRequests(t.Context(), shop)
			if pulls != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d, error %v, want %q", len(pulls), err, test.want)
			}
		})
	}
}

func TestAFullPageWithoutALinkIsNotTheEnd(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{})
	for i := range 149 {
		server.AddPull(shop, githubtest.Pull{Number: 100 + i, HeadSHA: sha2})
	}
	server.Inject(githubtest.Fault{Do: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(noLink{w}, r)
	}})
	if pulls, err := c.OpenPullRequests(t.Context(), shop); len(pulls) != 150 || err != nil {
		t.Errorf("%d, error %v", len(pulls), err)
	}
}

// noLink is a proxy that loses a header.
type noLink struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w noLink) WriteHeader(status int) {
	w.Header().Del("Link")
	w.ResponseWriter.WriteHeader(status)
}

func TestPullRequestsOf(t *testing.T) {
	t.Parallel()
	forked := faster
	forked.Number, forked.HeadSHA, forked.HeadRepo, forked.Fork, forked.URL = 8, sha2, "mallory/shop", true, "https://github.com/acme/shop/pull/8"
	for _, test := range []struct {
		name, sha string
		want      []PullRequest
		requests  int
	}{
		{"of the repository", sha1, []PullRequest{faster}, 1},
		{"of a fork", sha2, []PullRequest{forked}, 2},
		{"of an earlier push", strings.Repeat("3", 40), nil, 2},
	} {
		c, server, _ := open(t, githubtest.Options{})
		server.AddPull(shop, githubtest.Pull{Number: 8, Title: "faster", HeadSHA: sha2, HeadRef: "faster", HeadRepo: "mallory/shop"})
		got, err := c.PullRequestsOf(t.Context(), shop, test.sha)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil || c.Requests() != test.requests {
			t.Errorf("%s: %d requests, error %v (-want +got):\n%s", test.name, c.Requests(), err, diff)
		}
	}
}

func TestBranchExists(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{})
	server.AddBranch(shop, "ann/fix#1 %2F", sha2)
	server.AddBranch(shop, "before", sha2)
	server.RenameBranch(shop, "before", "after")
	for branch, want := range map[string]bool{"faster": true, "ann/fix#1 %2F": true, "ann/fix": false, "none": false, "before": false, "after": true} {
		if got, err := c.BranchExists(t.Context(), shop, branch); got != want || err != nil {
			t.Errorf("BranchExists(%q) = %v, %v, want %v", branch, got, err, want)
		}
	}
	if _, err := c.BranchExists(t.Context(), "acme/hidden", "faster"); !errors.Is(err, ErrNotFound) {
		t.Errorf("of a repository that is not seen: %v", err)
	}
}
