package netlify

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

func TestPublish(t *testing.T) {
	t.Parallel()
	s, a, _ := setup(t, netlifytest.Behaviour{Process: 2})
	dir := netlifytest.Folder(t, map[string]string{
		"index.html": "<p>commit abc</p>", "copy.html": "<p>commit abc</p>", "empty.txt": "", "css/a b%.css": "p{}", "ünï/x.html": "x",
		".well-known/security.txt": "hi", ".env": "SECRET=1", "a/.hidden/x": "no", "__MACOSX/x": "no", "a/__MACOSXfoo": "no",
		"_redirects": "/old /new 301!\n/app/* /index.html 200", "_headers": "/*\n  X-A: b", "sub/_redirects": "not read",
		"node_modules/x.js": "published, since this is no root", "netlify.toml": "[build.environment]\nS = \"secret\"\n[[headers]]\nfor = \"/c\"\ncomment = \"x\"\n[headers.values]\nB = \"c\"",
	})
	var seen []Progress
	var warnings []string
	d, stats, err := a.Publish(t.Context(), Upload{SiteID: "site", Dir: dir, Alias: "pr-12", Title: "Préview #1", Warn: func(w string) { warnings = append(warnings, w) }, Progress: func(p Progress) { seen = append(seen, p) }})
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0], "left out by their names") || !strings.Contains(warnings[1], `unknown key "comment" is ignored`) {
		t.Errorf("warnings %q", warnings)
	}
	got := s.Deploys()[0]
	wantFiles := []string{".well-known/security.txt", "copy.html", "css/a b%.css", "empty.txt", "index.html", "netlify.toml", "node_modules/x.js", "ünï/x.html"}
	if files := slices.Sorted(maps.Keys(got.Files)); !slices.Equal(files, wantFiles) {
		t.Errorf("files %q, want %q", files, wantFiles)
	}
	if got.Alias != "pr-12" || got.Title != "Préview #1" || got.Draft || got.State != "ready" {
		t.Errorf("%+v", got)
	}
	config, err := s.Content(d.ID, "netlify.toml")
	if err != nil {
		t.Fatal(err)
	}
	has(t, config, `from = "/old"`, "force = true", "status = 301", `for = "/*"`, `X-A = "b"`, `for = "/c"`)
	if strings.Contains(config, "secret") {
		t.Errorf("the generated netlify.toml holds the build's environment: %s", config)
	}
	if d.State != "ready" || d.AliasURL != s.SiteURL("pr-12") || !strings.Contains(d.URL, d.ID) || d.Alias != "pr-12" || d.SiteID != "site" || d.Created.IsZero() {
		t.Errorf("%+v", d)
	}
	want := map[string]int{"create": 1, "update": 1, "file": 7, "poll": 5}
	if diff := cmp.Diff(want, stats.Requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(stats.Requests, s.Requests()); diff != "" {
		t.Errorf("counted (-own +server):\n%s", diff)
	}
	if stats.Files != 8 || stats.Uploads != 7 || stats.Required != 7 || stats.Retries != 0 || stats.Bytes == 0 || stats.UploadedBytes == 0 {
		t.Errorf("%+v", stats)
	}
	var phases []Phase
	for _, p := range seen {
		phases = append(phases, p.Phase)
	}
	if want := []Phase{PhaseHashing, PhaseComparing, PhaseUploading, PhaseWaiting}; !slices.Equal(phases, want) {
		t.Errorf("phases %q, want %q", phases, want)
	}
	for _, c := range []struct{ path, want string }{{"/", "commit abc"}, {"app/some/where", "commit abc"}, {"/css/a%20b%25.css", "p{}"}} {
		if err := a.Serves(t.Context(), d, c.path, c.want); err != nil {
			t.Error(err)
		}
	}
}

func TestPublishOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	s, a, _ := setup(t, netlifytest.Behaviour{Prepare: 3})
	files := map[string]string{}
	for i := range 150 {
		files[fmt.Sprintf("%d/page.html", i)] = fmt.Sprint("page ", i)
	}
	u := Upload{SiteID: "site", Alias: "pr-1", Dir: netlifytest.Folder(t, files)}
	_, first, err := a.Publish(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(u.Dir, "7/page.html"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, second, err := a.Publish(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	_, third, err := a.Publish(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	if first.Uploads != 150 || second.Uploads != 1 || second.UploadedBytes != 7 || third.Uploads != 0 {
		t.Errorf("uploads %d, %d, %d; want 150, 1, 0", first.Uploads, second.Uploads, third.Uploads)
	}
	if second.Requests["poll"] < 4 {
		t.Errorf("%d looks, want at least the 4 until it is prepared", second.Requests["poll"])
	}
	if n := len(s.Deploys()); n != 3 {
		t.Errorf("%d deploys", n)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	reset := func(c *clock, in time.Duration) http.Header {
		return http.Header{"X-Ratelimit-Reset": {strconv.FormatInt(c.Now().Add(in).Unix(), 10)}}
	}
	for _, c := range []struct {
		name     string
		behave   netlifytest.Behaviour
		fault    netlifytest.Fault
		reset    time.Duration // of a rate limit
		err      []string      // parts of it; none for success
		requests map[string]int
		paused   time.Duration // the longest pause
	}{
		{"rate limit with its end", netlifytest.Behaviour{}, netlifytest.Fault{Op: "create", Times: 2, Status: 429}, 42 * time.Second, nil,
			map[string]int{"create": 3, "update": 1, "file": 3, "poll": 3}, 42*time.Second + 250*time.Millisecond},
		{"rate limit with Retry-After", netlifytest.Behaviour{}, netlifytest.Fault{Op: "file", Times: 1, Status: 429, Header: http.Header{"Retry-After": {"17"}}}, 0, nil,
			map[string]int{"create": 1, "update": 1, "file": 4, "poll": 3}, 17*time.Second + 250*time.Millisecond},
		{"rate limit that outlasts us", netlifytest.Behaviour{}, netlifytest.Fault{Op: "update", Times: 1, Status: 429}, time.Hour, []string{"20m0s", "1h0m", "429", "was cancelled"},
			map[string]int{"create": 1, "update": 1, "cancel": 1}, 0},
		{"500 on everything once", netlifytest.Behaviour{}, netlifytest.Fault{Op: "update", Times: 1, Status: 500}, 0, nil,
			map[string]int{"create": 1, "update": 2, "file": 3, "poll": 3}, 6250 * time.Millisecond},
		{"500 for ever", netlifytest.Behaviour{}, netlifytest.Fault{Op: "poll", Times: 99, Status: 502, Message: "bad gateway"}, 0, []string{"tried 5 times", "502", "bad gateway", "was cancelled"},
			map[string]int{"create": 1, "update": 1, "file": 3, "poll": 5, "cancel": 1}, 18750 * time.Millisecond},
		{"reset uploads", netlifytest.Behaviour{}, netlifytest.Fault{Op: "file", Times: 2, Reset: true}, 0, nil, // one upload may meet both
			map[string]int{"create": 1, "update": 1, "file": 5, "poll": 3}, 6250 * time.Millisecond},
		{"resets for ever", netlifytest.Behaviour{}, netlifytest.Fault{Op: "update", Times: 99, Reset: true}, 0, []string{"tried 5 times", "reset", "was cancelled"},
			map[string]int{"create": 1, "update": 5, "cancel": 1}, 18750 * time.Millisecond},
		{"401 in the middle", netlifytest.Behaviour{}, netlifytest.Fault{Op: "poll", Times: 99, Status: 401}, 0, []string{"refuses the token (401)", "revoked", "was cancelled"},
			map[string]int{"create": 1, "update": 1, "file": 3, "poll": 1, "cancel": 1}, 0},
		{"422 is final", netlifytest.Behaviour{}, netlifytest.Fault{Op: "update", Times: 99, Status: 422, Message: "too many files"}, 0, []string{"422", "too many files"},
			map[string]int{"create": 1, "update": 1, "cancel": 1}, 0},
		{"400 is final", netlifytest.Behaviour{}, netlifytest.Fault{Op: "create", Times: 99, Status: 400, Message: "no"}, 0, []string{"400", "no"},
			map[string]int{"create": 1}, 0},
		{"no such site", netlifytest.Behaviour{}, netlifytest.Fault{Op: "create", Times: 99, Status: 404}, 0, []string{`no site "site"`},
			map[string]int{"create": 1}, 0},
		{"deleted meanwhile", netlifytest.Behaviour{}, netlifytest.Fault{Op: "poll", Times: 99, Status: 404}, 0, []string{"is gone"},
			map[string]int{"create": 1, "update": 1, "file": 3, "poll": 1, "cancel": 1}, 0},
		{"a failed deploy", netlifytest.Behaviour{Fail: "post-processing: no space"}, netlifytest.Fault{}, 0, []string{`"error"`, "post-processing: no space"},
			map[string]int{"create": 1, "update": 1, "file": 3, "poll": 3, "cancel": 1}, time.Second},
		{"stuck", netlifytest.Behaviour{Stuck: true}, netlifytest.Fault{}, 0, []string{`"processing"`, "20m0s", "was cancelled"}, nil, time.Second},
		{"digests asked for again", netlifytest.Behaviour{Lose: 2}, netlifytest.Fault{}, 0, nil,
			map[string]int{"create": 1, "update": 1, "file": 5, "poll": 9}, time.Second},
		{"digests asked for without end", netlifytest.Behaviour{Lose: 1 << 30}, netlifytest.Fault{}, 0, []string{"still requires", `("index.html")`, "after 4 rounds", "was cancelled"}, nil, time.Second},
		{"what can't be cancelled", netlifytest.Behaviour{Fail: "x"}, netlifytest.Fault{Op: "cancel", Times: 9, Status: 503}, 0, []string{"could not be cancelled", "left behind", "503", ": x"},
			map[string]int{"create": 1, "update": 1, "file": 3, "poll": 3, "cancel": 2}, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, a, clock := setup(t, c.behave)
			if c.reset > 0 {
				c.fault.Header = reset(clock, c.reset)
			}
			if c.fault.Op != "" {
				s.Inject(c.fault)
			}
			d, stats, err := a.Publish(t.Context(), small(t))
			if (err != nil) != (len(c.err) > 0) {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				has(t, err.Error(), c.err...)
			} else if d.State != "ready" {
				t.Errorf("%+v", d)
			}
			if d.ID == "" && c.requests["create"] > 0 && stats.Requests["update"] > 0 {
				t.Error("a deploy that was created is not named")
			}
			if diff := cmp.Diff(s.Requests(), stats.Requests); diff != "" {
				t.Errorf("counted (-server +own):\n%s", diff)
			}
			if c.requests != nil {
				if diff := cmp.Diff(c.requests, stats.Requests); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
			}
			if c.paused != 0 && clock.longest() != c.paused {
				t.Errorf("the longest pause was %s, want %s", clock.longest(), c.paused)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	var got []int
	for n := 1; n <= 8; n++ {
		got = append(got, int(backoff(n)/time.Second))
	}
	if want := []int{5, 5, 10, 15, 25, 40, 65, 90}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestCancelInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"update", "file", "poll"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			s, a, _ := setup(t, netlifytest.Behaviour{}, netlifytest.Fault{Op: op, Times: 99, Hold: make(chan struct{})})
			ctx, stop := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() {
				_, _, err := a.Publish(ctx, small(t))
				done <- err
			}()
			for s.Requests()[op] == 0 {
				select {
				case err := <-done:
					t.Fatalf("it ended before: %v", err)
				default:
					time.Sleep(time.Millisecond)
				}
			}
			stop(fmt.Errorf("signal: %w", context.Canceled))
			err := <-done
			if err == nil {
				t.Fatal("no error")
			}
			has(t, err.Error(), "interrupted: signal", "was cancelled")
			if n := s.Requests()["cancel"]; n != 1 {
				t.Errorf("%d cancellations", n)
			}
			if d := s.Deploys()[0]; d.State != "error" {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	s, a, _ := setup(t, netlifytest.Behaviour{Process: 1})
	var both sync.WaitGroup
	for _, alias := range []string{"pr-1", "pr-2"} {
		u := Upload{SiteID: "site", Alias: alias, Dir: netlifytest.Folder(t, map[string]string{"index.html": "this is " + alias, "same": "same"})}
		both.Go(func() {
			d, _, err := a.Publish(t.Context(), u)
			if err == nil {
				err = a.Serves(t.Context(), d, "/", "this is "+alias)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if s.SiteURL("pr-1") == s.SiteURL("pr-2") {
		t.Error("one address for both")
	}
}

func TestTokenNowhere(t *testing.T) {
	t.Parallel()
	echo := "no access for " + token
	for _, c := range []struct {
		behave netlifytest.Behaviour
		fault  netlifytest.Fault
	}{
		{netlifytest.Behaviour{Fail: echo}, netlifytest.Fault{}},
		{netlifytest.Behaviour{}, netlifytest.Fault{Op: "create", Times: 99, Status: 401, Message: echo}},
		{netlifytest.Behaviour{}, netlifytest.Fault{Op: "create", Times: 99, Status: 500, Message: echo}},
		{netlifytest.Behaviour{}, netlifytest.Fault{Op: "update", Times: 99, Reset: true}},
		{netlifytest.Behaviour{Fail: echo}, netlifytest.Fault{Op: "cancel", Times: 99, Status: 400, Message: echo}},
	} {
		_, a, _ := setup(t, c.behave, c.fault)
		u := small(t)
		var told strings.Builder
		u.Progress = func(p Progress) { fmt.Fprintf(&told, "%+v", p) }
		d, stats, err := a.Publish(t.Context(), u)
		if err == nil {
			t.Fatal("no error")
		}
		if text := fmt.Sprintf("%v %+v %+v %s", err, d, stats, told.String()); strings.Contains(text, token) {
			t.Errorf("the token is in %s", text)
		}
	}
	_, err := (&Account{Token: token, BaseURL: "http://" + token + "@127.0.0.1:1"}).Deploys(t.Context(), "site", "")
	if err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("a token in the address: %v", err)
	}
}

func TestBadUploads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*Upload)
		want   []string
	}{
		{"all at once", func(u *Upload) { *u = Upload{SiteID: "a/b", Alias: "PR_1"} }, []string{`site "a/b"`, `alias "PR_1"`, "no folder"}},
		{"a long alias", func(u *Upload) { u.Alias = strings.Repeat("a", 38) }, []string{"37"}},
		{"no such folder", func(u *Upload) { u.Dir = "/no/such" }, []string{"/no/such"}},
		{"an empty folder", func(u *Upload) { u.Dir = t.TempDir() }, []string{"nothing to publish"}},
		{"names", func(u *Upload) { u.Dir = netlifytest.Folder(t, map[string]string{"a#b": "", "c/d?": "", "e": ""}) }, []string{`"a#b"`, `"c/d?"`}},
		{"no such config", func(u *Upload) { u.Config = "/no/such/netlify.toml" }, []string{"/no/such"}},
		{"no such functions", func(u *Upload) { u.Functions = "/no/functions" }, []string{"functions", "/no/functions"}},
		{"rules", func(u *Upload) {
			u.Dir = netlifytest.Folder(t, map[string]string{"_redirects": "/a\n/b c", "_headers": "X: y", "netlify.toml": "[[redirects]]\nfrom = 1"})
		}, []string{"_redirects, line 1", "_redirects, line 2", "_headers, line 1", "netlify.toml: redirects, entry 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, a, _ := setup(t, netlifytest.Behaviour{})
			u := small(t)
			c.change(&u)
			_, _, err := a.Publish(t.Context(), u)
			if err == nil {
				t.Fatal("no error")
			}
			has(t, err.Error(), c.want...)
			if len(s.Requests()) != 0 {
				t.Errorf("asked %v", s.Requests())
			}
		})
	}
	if _, _, err := (&Account{}).Publish(t.Context(), small(t)); err == nil {
		t.Error("no token, no error")
	}
}

func TestPublishFunctions(t *testing.T) {
	t.Parallel()
	s, a, _ := setup(t, netlifytest.Behaviour{}, netlifytest.Fault{Op: "function", From: 1, Times: 1, Status: 502})
	u := small(t)
	zip, err := zipOf("handler.js", "exports.handler = 1")
	if err != nil {
		t.Fatal(err)
	}
	u.Functions = netlifytest.Folder(t, map[string]string{
		"api.zip": string(zip), "hello.mjs": "export default () => 1", ".keep": "",
		"manifest.json": `{"functions": [{"name": "api", "path": "/build/api.zip", "runtime": "js", "runtimeVersion": "nodejs22.x", "schedule": "@daily", "timeout": 12, "invocationMode": "background"}]}`,
	})
	_, stats, err := a.Publish(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	d := s.Deploys()[0]
	if names := slices.Sorted(maps.Keys(d.Functions)); !slices.Equal(names, []string{"api", "hello"}) || d.Schedules["api"] != "@daily" {
		t.Errorf("%+v", d)
	}
	if stats.Functions != 2 || stats.Requests["function"] != 3 || stats.Uploads != 5 || stats.Retries != 1 {
		t.Errorf("%+v", stats)
	}
	if slices.Sort(d.Retries); !slices.Equal(d.Retries, []string{"", "1"}) {
		t.Errorf("X-Nf-Retry-Count of uploads: %q", d.Retries)
	}
}

// A file that changes after it was hashed must not be published under the old digest.
func TestFileThatChanges(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"other", "longer than it was", "s"} {
		s, a, _ := setup(t, netlifytest.Behaviour{})
		u := Upload{SiteID: "site", Alias: "pr-1", Dir: netlifytest.Folder(t, map[string]string{"index.html": "first"})}
		u.Progress = func(p Progress) {
			if p.Phase == PhaseComparing {
				if err := os.WriteFile(filepath.Join(u.Dir, "index.html"), []byte(text), 0o600); err != nil {
					t.Error(err)
				}
			}
		}
		_, stats, err := a.Publish(t.Context(), u)
		if err == nil {
			t.Fatal("no error")
		}
		has(t, err.Error(), "index.html", "changed after it was hashed", "was cancelled")
		if stats.Requests["file"] != 1 {
			t.Errorf("%v", stats.Requests)
		}
		if len(s.Deploys()) != 1 {
			t.Errorf("%+v", s.Deploys())
		}
	}
}

func TestFiveAtATime(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s, a, _ := setup(t, netlifytest.Behaviour{}, netlifytest.Fault{Op: "file", Times: 99, Hold: release})
	files := map[string]string{}
	for i := range 12 {
		files[fmt.Sprint(i)] = fmt.Sprint("content ", i)
	}
	done := make(chan error)
	go func() {
		_, _, err := a.Publish(t.Context(), Upload{SiteID: "site", Alias: "pr-1", Dir: netlifytest.Folder(t, files)})
		done <- err
	}()
	for s.Requests()["file"] < uploaders {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond) // in which a sixth would come
	if n := s.Requests()["file"]; n != uploaders {
		t.Errorf("%d uploads at a time", n)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := s.Requests()["file"]; n != 12 {
		t.Errorf("%d uploads", n)
	}
}
