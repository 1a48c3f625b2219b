package github

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
)

const marker = "<!-- candlefish:preview -->"

func TestCommentsOverManyPages(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{})
	var ours []Comment
	for i := range 1500 {
		one := githubtest.Comment{Number: 7, Author: "ann", Body: fmt.Sprintf("comment %d", i)}
		switch i {
		case 3, 1499: // somebody else's, and one who is called as we are
			one.Author, one.Body = []string{"mallory", "github-actions"}[i%2], marker
		case 120, 1010, 1498:
			one.Author, one.Body, one.Minimized = githubtest.Bot, marker+"\nold", i == 1010
		case 500:
			one.Author = githubtest.Bot // of another action
		}
		id := server.AddComment(shop, one)
		if one.Author == githubtest.Bot && strings.Contains(one.Body, marker) {
			ours = append(ours, Comment{
				ID: id, Author: one.Author, Body: one.Body, Minimized: one.Minimized,
				URL: fmt.Sprintf("https://github.com/acme/shop/pull/7#issuecomment-%d", id),
			})
		}
	}
	found, err := c.Comments(t.Context(), shop, 7, marker)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Found{Ours: ours, Foreign: 2, Pages: 15}, found, cmpopts.IgnoreUnexported(Comment{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := count(server, "GET /repos/acme/shop/issues/7/comments"); got != 15 || c.Requests() != 18 {
		t.Errorf("%d pages in %d requests, want 15 in 18: who we are takes two, what is hidden one", got, c.Requests())
	}
	if _, err := c.Comments(t.Context(), shop, 7, "<!-- another -->"); err != nil || c.Requests() != 33 {
		t.Errorf("the second time: %d requests, error %v, want 15 more", c.Requests(), err)
	}
}

func TestCommentsWithoutTheOtherAPI(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{})
	server.Inject(githubtest.Fault{Path: "/graphql", Do: githubtest.Forbidden("Resource not accessible by integration")})
	server.AddComment(shop, githubtest.Comment{Number: 7, Author: githubtest.Bot, Body: marker, Minimized: true})
	found, err := c.Comments(t.Context(), shop, 7, marker)
	if err != nil || len(found.Ours) != 1 || found.Ours[0].Minimized {
		t.Errorf("%+v, error %v", found, err)
	}
}

func TestALimitInTheMiddle(t *testing.T) {
	t.Parallel()
	c, server, clock := open(t, githubtest.Options{Login: "ann"})
	for range 250 {
		server.AddComment(shop, githubtest.Comment{Number: 7, Author: "ann", Body: "hello"})
	}
	server.Inject(githubtest.Fault{Skip: 2, Times: 1, Do: githubtest.SecondaryLimit(5e9)})
	found, err := c.Comments(t.Context(), shop, 7, marker)
	if err != nil || found.Pages != 3 || c.Requests() != 5 || len(clock.waits) != 1 {
		t.Errorf("%+v in %d requests, waits %v, error %v", found, c.Requests(), clock.waits, err)
	}
}

func TestLifeOfAComment(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{})
	ctx := t.Context()
	body := marker + "\n<b>&amp; ü 🎭</b>"
	made, err := c.CreateComment(ctx, shop, 7, body)
	if err != nil || made.Body != body || made.Author != githubtest.Bot || made.ID == 0 {
		t.Fatalf("%+v, error %v", made, err)
	}
	if edited, err := c.EditComment(ctx, shop, made.ID, "gone"); err != nil || edited.Body != "gone" || edited.ID != made.ID {
		t.Errorf("%+v, error %v", edited, err)
	}
	for range 2 {
		if err := c.DeleteComment(ctx, shop, made.ID); err != nil || len(server.Comments(shop, 7)) != 0 {
			t.Errorf("%v, error %v", server.Comments(shop, 7), err)
		}
	}
	if _, err := c.EditComment(ctx, shop, made.ID, "back"); !errors.Is(err, ErrNotFound) {
		t.Errorf("edit of a deleted one: %v", err)
	}
	if _, err := c.CreateComment(ctx, shop, 8, body); !errors.Is(err, ErrNotFound) {
		t.Errorf("comment on no pull request: %v", err)
	}
}

// A create that failed may have been done: the comment is looked for before it is created
// again, and in the end there is exactly one.
func TestWriteCommentAfterFailures(t *testing.T) {
	t.Parallel()
	post, patch := githubtest.Fault{Method: "POST", Path: "/comments"}, githubtest.Fault{Method: "PATCH", Path: "/comments"}
	with := func(f githubtest.Fault, times int, do githubtest.Failure) githubtest.Fault {
		f.Times, f.Do = times, do
		return f
	}
	for name, test := range map[string]struct {
		before string // the comment, "" for none
		fault  githubtest.Fault
		fails  string
		posts  int
	}{
		"one 502":                  {"", with(post, 1, githubtest.Answer(502, "")), "", 2},
		"three 502":                {"", with(post, 3, githubtest.Answer(502, "")), "", 4},
		"made, the answer is lost": {"", with(post, 1, githubtest.Lost()), "", 1},
		"always 502":               {"", with(post, 0, githubtest.Answer(502, "")), "502 Bad Gateway", 4},
		"forbidden":                {"", with(post, 0, githubtest.Forbidden("no")), "403", 1},
		"edited":                   {marker + "\nold", githubtest.Fault{Path: "-"}, "", 0},
		"edited after a 502":       {marker + "\nold", with(patch, 1, githubtest.Answer(502, "")), "", 0},
		"deleted in the meantime":  {marker + "\nold", with(patch, 1, githubtest.Answer(404, `{"message":"Not Found"}`)), "", 0},
		"unchanged":                {marker + "\nnew", githubtest.Fault{Path: "-"}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, server, _ := open(t, githubtest.Options{})
			if test.before != "" {
				for range 2 { // a second one of ours goes
					server.AddComment(shop, githubtest.Comment{Number: 7, Author: githubtest.Bot, Body: test.before})
				}
			}
			server.Inject(test.fault)
			one, changed, err := c.WriteComment(t.Context(), shop, 7, marker, marker+"\nnew")
			if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("error %v, want %q", err, test.fails)
			}
			all := server.Comments(shop, 7)
			if err == nil && (len(all) != 1 || all[0].Body != marker+"\nnew" || one.ID != all[0].ID || changed && name == "unchanged") {
				t.Errorf("changed %t, %+v, all: %+v", changed, one, all)
			}
			if got := count(server, "POST /repos/acme/shop/issues/7/comments"); got != test.posts {
				t.Errorf("%d creates, want %d", got, test.posts)
			}
		})
	}
}

// Many runs write the first comment at once, and one stays.
func TestWriteCommentAtOnce(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, _, err := c.WriteComment(t.Context(), shop, 7, marker, fmt.Sprint(marker, i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if all := server.Comments(shop, 7); len(all) != 1 {
		t.Errorf("%d comments: %+v", len(all), all)
	}
}

func TestRecentComments(t *testing.T) {
	t.Parallel()
	c, server, clock := open(t, githubtest.Options{})
	server.AddPull(shop, githubtest.Pull{Number: 8, HeadSHA: sha2})
	for i := range 150 {
		server.AddComment(shop, githubtest.Comment{Number: 7 + i%2, Author: "ann", Body: marker})
	}
	old := server.AddComment(shop, githubtest.Comment{Number: 7, Author: githubtest.Bot, Body: marker + "\nold"})
	since := clock.Now().Add(time.Hour)
	clock.After(2 * time.Hour)
	first := server.AddComment(shop, githubtest.Comment{Number: 8, Author: githubtest.Bot, Body: marker + "\nfirst"})
	server.AddComment(shop, githubtest.Comment{Number: 8, Author: githubtest.Bot, Body: marker + "\nsecond"})
	server.AddComment(shop, githubtest.Comment{Number: 8, Author: githubtest.Bot, Body: "another"})
	got, err := c.RecentComments(t.Context(), shop, marker, since)
	if err != nil || len(got) != 1 || got[8].ID != first {
		t.Errorf("%+v, error %v", got, err)
	}
	if _, err := c.EditComment(t.Context(), shop, old, marker+"\nedited"); err != nil {
		t.Fatal(err)
	}
	if got, err = c.RecentComments(t.Context(), shop, marker, since); err != nil || len(got) != 2 || got[7].Body != marker+"\nedited" {
		t.Errorf("after an edit: %+v, error %v", got, err)
	}
	server.Inject(githubtest.Fault{Path: "/issues/comments", Do: githubtest.Answer(500, "")})
	if got, err := c.RecentComments(t.Context(), shop, marker, since); err == nil || got != nil {
		t.Errorf("a list that fails: %+v, error %v", got, err)
	}
}

func TestCommentLength(t *testing.T) {
	t.Parallel()
	c, _, _ := open(t, githubtest.Options{})
	made, err := c.CreateComment(t.Context(), shop, 7, strings.Repeat("🎭", MaxComment))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", MaxComment+1)
	_, err1 := c.CreateComment(t.Context(), shop, 7, long)
	_, err2 := c.EditComment(t.Context(), shop, made.ID, long)
	for _, err := range []error{err1, err2} {
		if err == nil || !strings.Contains(err.Error(), "422 Unprocessable Entity: Validation Failed: Body is too long (maximum is 65536 characters)") {
			t.Errorf("error %v", err)
		}
	}
}

func TestViewer(t *testing.T) {
	t.Parallel()
	closed := githubtest.Fault{Path: "/graphql", Do: githubtest.Forbidden("Resource not accessible by integration")}
	broken := githubtest.Fault{Path: "/user", Do: githubtest.Answer(500, "")}
	for _, test := range []struct {
		name, login string
		fault       githubtest.Fault
		want        string
		requests    int
	}{
		{"a user", "ann", githubtest.Fault{Path: "-"}, "ann", 1},
		{"GITHUB_TOKEN", githubtest.Bot, githubtest.Fault{Path: "-"}, githubtest.Bot, 2},
		{"an app", "candlefish[bot]", githubtest.Fault{Path: "-"}, "candlefish[bot]", 2},
		{"no other API", githubtest.Bot, closed, githubtest.Bot, 2},
		{"trouble", "ann", broken, "", 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, server, _ := open(t, githubtest.Options{Login: test.login})
			server.Inject(test.fault)
			got, err := c.Viewer(t.Context())
			if got != test.want || (err != nil) != (test.want == "") || c.Requests() != test.requests {
				t.Errorf("Viewer = %q, %v in %d requests, want %q in %d", got, err, c.Requests(), test.want, test.requests)
			}
			if again, _ := c.Viewer(t.Context()); again != test.want || test.want != "" && c.Requests() != test.requests {
				t.Errorf("again: %q in %d requests", again, c.Requests())
			}
		})
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := c.CreateComment(t.Context(), shop, 7, fmt.Sprint(marker, i)); err != nil {
				t.Error(err)
			}
			if _, err := c.Comments(t.Context(), shop, 7, marker); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	found, err := c.Comments(t.Context(), shop, 7, marker)
	if err != nil || len(found.Ours) != 20 || len(server.Comments(shop, 7)) != 20 {
		t.Errorf("%d of ours, error %v", len(found.Ours), err)
	}
}
