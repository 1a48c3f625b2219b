package github

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
)

const (
	token = "ghs_0123456789abcdefghijABCDEFGHIJ012345"
	shop  = "acme/shop"
	sha1  = "1111111111111111111111111111111111111111"
	sha2  = "2222222222222222222222222222222222222222"
)

// A clock stands still but for what is waited.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.waits = append(c.waits, d)
	fired := make(chan time.Time, 1)
	fired <- c.now
	return fired
}

// open starts a GitHub with one open pull request, #7, and a client of it.
func open(t *testing.T, o githubtest.Options) (*Client, *githubtest.Server, *clock) {
	t.Helper()
	clk := &clock{now: time.Now()}
	o.Token, o.Now = token, clk.Now
	server := githubtest.Start(t, o)
	server.AddPull(shop, githubtest.Pull{Number: 7, Title: "faster", HeadSHA: sha1, HeadRef: "faster"})
	server.AddBranch(shop, "faster", sha1)
	c, err := New(Options{Token: token, BaseURL: server.URL(), Now: clk.Now, After: clk.After})
	if err != nil {
		t.Fatal(err)
	}
	return c, server, clk
}

// count is how many of the server's requests are of a method and path.
func count(server *githubtest.Server, request string) int {
	n := 0
	for _, one := range server.Requests() {
		if one == request {
			n++
		}
	}
	return n
}

const (
	get  = "GET /repos/acme/shop/pulls/7"
	post = "POST /repos/acme/shop/issues/7/comments"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	m := time.Minute
	for _, test := range []struct {
		name    string
		failure githubtest.Failure
		times   int
		waits   []time.Duration
		after   time.Duration // of the error; 0 for success
	}{
		{"secondary, 30 s", githubtest.SecondaryLimit(30 * time.Second), 2, []time.Duration{m / 2, m / 2}, 0},
		{"secondary, no time", githubtest.SecondaryLimit(0), 2, []time.Duration{m, 2 * m}, 0},
		{"secondary, no end", githubtest.SecondaryLimit(0), 0, []time.Duration{m, 2 * m}, 4 * m},
		{"secondary, long", githubtest.SecondaryLimit(time.Hour), 0, nil, time.Hour},
		{"429 without a word", githubtest.Answer(http.StatusTooManyRequests, ""), 1, []time.Duration{m}, 0},
		{"abuse", githubtest.Forbidden("You have triggered an abuse detection mechanism"), 1, []time.Duration{m}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, request := range []string{get, post} {
				c, server, clock := open(t, githubtest.Options{})
				method, _, _ := strings.Cut(request, " ")
				server.Inject(githubtest.Fault{Method: method, Times: test.times, Do: test.failure})
				var err error
				if request == get {
					_, err = c.PullRequest(t.Context(), shop, 7)
				} else {
					_, err = c.CreateComment(t.Context(), shop, 7, "hello")
				}
				if diff := cmp.Diff(test.waits, clock.waits); diff != "" {
					t.Errorf("%s: waits (-want +got):\n%s", request, diff)
				}
				if want := len(test.waits) + 1; c.Requests() != want || count(server, request) != want {
					t.Errorf("%s: %d requests, the server saw %v, want %d", request, c.Requests(), server.Requests(), want)
				}
				limit, ok := errors.AsType[*RateLimitError](err)
				if ok != (test.after > 0) || ok && (limit.RetryAfter() != test.after || !limit.Secondary) || !ok && err != nil {
					t.Errorf("%s: error %v, want a limit of %v", request, err, test.after)
				}
			}
		})
	}
}

func TestPrimaryLimit(t *testing.T) {
	t.Parallel()
	for reset, waits := range map[time.Duration]int{20 * time.Second: 1, 50 * time.Minute: 0} {
		c, server, clock := open(t, githubtest.Options{})
		server.Inject(githubtest.Fault{Times: 1, Do: githubtest.PrimaryLimit(clock.now.Add(reset))})
		_, err := c.PullRequest(t.Context(), shop, 7)
		limit, limited := errors.AsType[*RateLimitError](err)
		if len(clock.waits) != waits || limited != (waits == 0) {
			t.Errorf("reset in %v: waits %v, error %v", reset, clock.waits, err)
		}
		if limited && (limit.Secondary || limit.RetryAfter() > reset || limit.RetryAfter() < reset-time.Second) {
			t.Errorf("reset in %v: %+v", reset, limit)
		}
		// go-github would now refuse by the wall clock.
		if _, err := c.PullRequest(t.Context(), shop, 7); err != nil {
			t.Errorf("the next request: %v", err)
		}
	}
}

func TestNoWaitBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	c, server, clock := open(t, githubtest.Options{})
	server.Inject(githubtest.Fault{Do: githubtest.SecondaryLimit(30 * time.Second)})
	ctx, cancel := context.WithTimeout(t.Context(), 29*time.Second)
	defer cancel()
	_, err := c.PullRequest(ctx, shop, 7)
	if _, ok := errors.AsType[*RateLimitError](err); !ok || len(clock.waits) != 0 {
		t.Errorf("waits %v, error %v, want the limit at once", clock.waits, err)
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	s := time.Second
	bad := githubtest.Answer(http.StatusBadGateway, "<html>")
	for _, test := range []struct {
		name    string
		request string
		failure githubtest.Failure
		times   int
		waits   []time.Duration
		want    string
	}{
		{"read, passes", get, bad, 3, []time.Duration{s, 2 * s, 4 * s}, ""},
		{"read, stays", get, bad, 0, []time.Duration{s, 2 * s, 4 * s}, "read acme/shop#7: 502 Bad Gateway: no reason given"},
		{"read, cut off", get, githubtest.Lost(), 1, []time.Duration{s}, ""},
		{"read, half an answer", get, githubtest.Answer(http.StatusOK, `{"number":7`), 1, []time.Duration{s}, ""},
		{"read, a page", get, githubtest.Answer(http.StatusOK, "<html>"), 0, nil, "read acme/shop#7: invalid character '<'"},
		{"read, nothing", get, githubtest.Answer(http.StatusOK, ""), 0, nil, "read acme/shop#7: a pull request without a number"},
		{"write, broken", post, bad, 0, nil, "comment on acme/shop#7: 502 Bad Gateway"},
		{"write, cut off", post, githubtest.Lost(), 0, nil, "comment on acme/shop#7: EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, server, clock := open(t, githubtest.Options{})
			server.Inject(githubtest.Fault{Times: test.times, Do: test.failure})
			var err error
			if test.request == get {
				_, err = c.PullRequest(t.Context(), shop, 7)
			} else {
				_, err = c.CreateComment(t.Context(), shop, 7, "hello")
			}
			if (err != nil) != (test.want != "") || err != nil && !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if diff := cmp.Diff(test.waits, clock.waits); diff != "" || c.Requests() != len(test.waits)+1 {
				t.Errorf("%d requests, waits (-want +got):\n%s", c.Requests(), diff)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{})
	server.Inject(githubtest.Fault{Do: githubtest.Held(nil)})
	ctx, cancel := context.WithCancel(t.Context())
	c.wire.base = roundTrip(func(req *http.Request) (*http.Response, error) {
		cancel()
		return http.DefaultTransport.RoundTrip(req)
	})
	if _, err := c.PullRequest(ctx, shop, 7); !errors.Is(err, context.Canceled) || c.Requests() != 1 {
		t.Errorf("%d requests, error %v", c.Requests(), err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestForbidden(t *testing.T) {
	t.Parallel()
	calls := map[string]func(*Client) error{
		"pull-requests: write": func(c *Client) error { _, err := c.CreateComment(t.Context(), shop, 7, "x"); return err },
		"deployments: write":   func(c *Client) error { _, err := c.Deploy(t.Context(), shop, "pr-7", sha1, "", nil); return err },
		"administers":          func(c *Client) error { _, err := c.DeleteEnvironment(t.Context(), shop, "pr-7"); return err },
	}
	for want, do := range calls {
		c, _, _ := open(t, githubtest.Options{ReadOnly: true})
		err := do(c)
		refused, ok := errors.AsType[*ForbiddenError](err)
		if !ok || !strings.Contains(refused.Hint, want) || refused.Said != "Resource not accessible by integration" || refused.What == "" || c.Requests() != 1 {
			t.Errorf("error %v (%+v), want one with a hint at %q", err, refused, want)
		}
	}
	c, server, _ := open(t, githubtest.Options{})
	server.Inject(githubtest.Fault{Do: githubtest.Forbidden("Unable to create comment because issue is locked.")})
	_, err := c.CreateComment(t.Context(), shop, 7, "x")
	if refused, ok := errors.AsType[*ForbiddenError](err); !ok || refused.Hint != "unlock the conversation" {
		t.Errorf("locked: %v (%+v)", err, refused)
	}
}

// Whatever GitHub, a proxy or the network answers, the token is in no error.
func TestNoErrorHoldsTheToken(t *testing.T) {
	t.Parallel()
	says := func(status int) githubtest.Failure {
		return githubtest.Answer(status, `{"message":"what is `+token+`?","errors":[{"message":"`+token+`"}]}`)
	}
	elsewhere := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, "http://127.0.0.1:1/?token="+token, http.StatusFound)
	}
	broken := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Location", "http://%zz/"+token)
		w.WriteHeader(http.StatusFound)
	}
	for name, failure := range map[string]githubtest.Failure{
		"400": says(400), "401": says(401), "403": says(403), "404": says(404), "422": says(422), "429": says(429), "500": says(500),
		"a redirect": elsewhere, "a broken redirect": broken, "lost": githubtest.Lost(), "text": githubtest.Answer(200, token),
		"wrong type": githubtest.Answer(200, `{"number":"`+token+`"}`), "wrong state": githubtest.Answer(200, `{"number":7,"state":"`+token+`"}`),
	} {
		c, server, _ := open(t, githubtest.Options{})
		server.Inject(githubtest.Fault{Do: failure})
		_, err := c.PullRequest(t.Context(), shop, 7)
		if err == nil || !strings.Contains(err.Error(), "acme/shop#7") {
			t.Errorf("%s: error %v", name, err)
			continue
		}
		text := err.Error()
		if refused, ok := errors.AsType[*ForbiddenError](err); ok {
			text += refused.Said + refused.Hint
		}
		for cause := err; cause != nil; cause = errors.Unwrap(cause) {
			text += cause.Error()
		}
		if strings.Contains(text, token) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestTheTokenStaysAtItsHost(t *testing.T) {
	t.Parallel()
	other := githubtest.Start(t, githubtest.Options{})
	c, server, _ := open(t, githubtest.Options{})
	server.Inject(githubtest.Fault{Do: func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, other.URL()+r.URL.Path, http.StatusFound)
	}})
	if _, err := c.PullRequest(t.Context(), shop, 7); !errors.Is(err, errForeign) || len(other.Requests()) != 0 {
		t.Errorf("error %v, the other host saw %v", err, other.Requests())
	}
}

func TestARenamedRepositoryIsFollowed(t *testing.T) {
	t.Parallel()
	c, server, _ := open(t, githubtest.Options{})
	server.Inject(githubtest.Fault{Path: "/acme/old/", Do: func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, server.URL()+strings.Replace(r.URL.Path, "/old/", "/shop/", 1), http.StatusTemporaryRedirect)
	}})
	if _, err := c.CreateComment(t.Context(), "acme/old", 7, "hello"); err != nil || len(server.Comments(shop, 7)) != 1 {
		t.Errorf("comments %v, error %v", server.Comments(shop, 7), err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"no token":       {},
		"two lines":      {Token: token + "\n"},
		"a password":     {Token: token, BaseURL: "https://ann:" + token + "@host"},
		"a query":        {Token: token, BaseURL: "https://host/?x=" + token},
		"another scheme": {Token: token, BaseURL: "file:///" + token},
	} {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for base, want := range map[string][2]string{
		"":                         {"https://api.github.com/", "https://api.github.com/graphql"},
		"https://ghe.test/api/v3/": {"https://ghe.test/api/v3/", "https://ghe.test/api/graphql"},
	} {
		c, err := New(Options{Token: token, BaseURL: base})
		if err != nil || c.gh.BaseURL.String() != want[0] || c.graphQL != want[1] {
			t.Errorf("New(%q) asks %s and %s, error %v", base, c.gh.BaseURL, c.graphQL, err)
		}
	}
}

func TestBadNamesAreNotSent(t *testing.T) {
	t.Parallel()
	c, _, _ := open(t, githubtest.Options{})
	ctx := t.Context()
	errs := []error{}
	for _, repo := range []string{"", "shop", "acme/", "acme/..", "acme/shop/x", "acme/shop?x", "../x", "acme/sh op"} {
		_, err := c.PullRequest(ctx, repo, 7)
		errs = append(errs, err)
	}
	_, err1 := c.Comments(ctx, shop, 0, "m")
	_, err2 := c.Comments(ctx, shop, 7, "")
	_, err3 := c.PullRequestsOf(ctx, shop, "main")
	_, err4 := c.BranchExists(ctx, shop, "")
	_, err5 := c.Deploy(ctx, shop, "", sha1, "", nil)
	_, err6 := c.DeactivateDeployments(ctx, shop, "", every)
	_, err7 := c.DeleteEnvironment(ctx, shop, "..")
	errs = append(errs, err1, err2, err3, err4, err5, err6, err7)
	if i := slices.Index(errs, nil); i >= 0 || c.Requests() != 0 {
		t.Errorf("the one at %d is not refused; %d requests", i, c.Requests())
	}
}

func TestATooLargeAnswer(t *testing.T) {
	t.Parallel()
	c, _, _ := open(t, githubtest.Options{})
	c.wire.base = roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(io.MultiReader(strings.NewReader(`{"title":"`), endless{}))}, nil
	})
	if _, err := c.PullRequest(t.Context(), shop, 7); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("error %v", err)
	}
}

type endless struct{}

// Read implements io.Reader.
func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
