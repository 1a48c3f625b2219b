package preview

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/awstest/strict"
	"github.com/candlefish/deploy-action/internal/aws/inventory"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/netlify"
	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
	"github.com/candlefish/deploy-action/internal/preview/api"
	"github.com/candlefish/deploy-action/internal/preview/cloudformation"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
	"github.com/candlefish/deploy-action/internal/preview/result"
)

// TestMain gives the AWS SDK the credentials that it looks for in the process.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// A peer is the real adapters, and the real wires behind them: moto_server, and
// servers that speak GitHub's and Netlify's interfaces.
type peer struct {
	t       *testing.T
	github  *githubtest.Server
	netlify *netlifytest.Server
	moto    string
	visit   fetcher
	backend *cloudformation.Backend
	dir     string
	runs    atomic.Int64
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{t: t, github: githubtest.Start(t, githubtest.Options{}), netlify: netlifytest.NewT(t, netlifytest.Options{}), moto: strict.Start(t), visit: newFetcher(nil), dir: t.TempDir()}
	account, err := aws.Connect(t.Context(), aws.ConnectOptions{Region: "us-east-1", Endpoint: p.moto})
	if err != nil {
		t.Fatal(err)
	}
	p.backend = &cloudformation.Backend{Account: account, Code: "../../testdata/preview/api", TestServer: p.moto, Settings: api.Settings{Runtime: "nodejs22.x", Handler: "index.handler"}}
	return p
}

// Get answers for the API, which moto keeps and does not run, with what its function
// is configured to say.
func (p *peer) Get(ctx context.Context, address string) (int, string, error) {
	if !strings.HasPrefix(address, p.moto+"/_api/") {
		return p.visit.Get(ctx, address)
	}
	return p.function(ctx, strings.Split(address, "/")[4])
}

// Read implements visit.Fetcher.
func (p *peer) Read(ctx context.Context, address string, use func(io.Reader) error) (int, error) {
	return p.visit.Read(ctx, address, use)
}

// function answers with what moto has of a function, its environment among it.
func (p *peer) function(ctx context.Context, name string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.moto+"/2015-03-31/functions/"+name+"/configuration", nil)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// A clock is one on which nobody waits.
type clock struct {
	mu  sync.Mutex
	now time.Time
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
	fired := make(chan time.Time, 1)
	fired <- c.now
	return fired
}

// main is Main on a clock of its own.
func (p *peer) main(env action.Env, args []string) int {
	c := &clock{now: time.Now()}
	return program{now: c.Now, after: c.After}.main(env, args)
}

func (p *peer) client() *github.Client {
	p.t.Helper()
	client, err := github.New(github.Options{Token: "t", BaseURL: p.github.URL(), Now: time.Now, After: time.After})
	if err != nil {
		p.t.Fatal(err)
	}
	return client
}

func (p *peer) account() *netlify.Account {
	return &netlify.Account{Token: "t", BaseURL: p.netlify.URL()}
}

// reconciler is a run of its own.
func (p *peer) reconciler() *reconcile.Reconciler {
	p.t.Helper()
	client := p.client()
	b := *p.backend
	b.RunID = fmt.Sprintf("%d.1", p.runs.Add(1))
	return &reconcile.Reconciler{Forge: githubForge{client: client}, Host: netlifyHost{account: p.account(), site: "site"}, Backend: &b, Fetcher: p,
		Now: time.Now, After: time.After, Logf: func(string, ...any) {}, Mask: func(string) {}, Redact: func(s string) string { return s }}
}

// desired is the sample site at a commit, in a folder of its own.
func (p *peer) desired(n int, commit string) reconcile.Desired {
	p.t.Helper()
	run := p.runs.Add(1)
	dir := filepath.Join(p.dir, fmt.Sprint(run))
	if err := os.CopyFS(dir, os.DirFS("../../testdata/preview/site")); err != nil {
		p.t.Fatal(err)
	}
	return reconcile.Desired{Key: reconcile.Key{Repository: repo, Number: n}, Commit: commit, Dir: dir, Expires: time.Now().Add(time.Hour), RunID: fmt.Sprintf("%d.1", run), Links: 10}
}

func (p *peer) push(n int, commit string) {
	p.github.AddPull(repo, githubtest.Pull{Number: n, HeadSHA: commit, HeadRef: fmt.Sprint("feature-", n)})
}

func (p *peer) close(n int) {
	p.github.ChangePull(repo, n, func(pr *githubtest.Pull) { pr.State = "closed" })
}

func (p *peer) up(commit string) result.Result {
	p.t.Helper()
	r, err := p.reconciler().Up(p.t.Context(), p.desired(1, commit))
	if err != nil {
		p.t.Fatalf("up: %v", err)
	}
	return r
}

// left is all that there is anywhere, of any kind.
func (p *peer) left() []string {
	p.t.Helper()
	found, err := inventory.Take(p.t.Context(), p.backend.Account, func(map[string]string, string) bool { return true })
	if err != nil {
		p.t.Fatal(err)
	}
	var list []string
	for _, r := range found {
		list = append(list, r.String())
	}
	for _, d := range p.netlify.Deploys() {
		list = append(list, "netlify "+d.ID)
	}
	return list
}

const (
	repo = "candlefish/website"
	sha1 = "1111111111111111111111111111111111111111"
	sha2 = "2222222222222222222222222222222222222222"
	sha3 = "3333333333333333333333333333333333333333"
)

// The whole life: open, push, push while deploying, close while deploying, reopen,
// close, sweep; in the end nothing is left.
func TestWholeLife(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	p.push(1, sha1)
	if r := p.up(sha1); r.Frontend.Commit != sha1 || r.API.Commit != sha1 || len(r.Failed()) > 0 {
		t.Fatalf("opened: %+v", r)
	}
	p.push(1, sha2)
	if r := p.up(sha2); r.Frontend.Commit != sha2 || r.API.Commit != sha2 || !slices.Contains(r.Changes, "1 of 6 files uploaded") {
		t.Errorf("pushed: %+v", r)
	}
	comments := p.github.Comments(repo, 1)
	if len(comments) != 1 || !strings.Contains(comments[0].Body, "Since the last push (`1111111`)") {
		t.Errorf("%d comments: %+v", len(comments), comments)
	}

	t.Log("a push while a run is under way, and both end")
	slow := p.reconciler()
	slow.Host = hostAfter{slow.Host, func() { p.push(1, sha3) }}
	old, err := slow.Up(t.Context(), p.desired(1, sha2))
	if err != nil || !strings.Contains(old.Superseded, "3333333 came after 2222222") {
		t.Errorf("the older run: %v, %+v", err, old)
	}
	if r := p.up(sha3); r.Frontend.Commit != sha3 || r.API.Commit != sha3 {
		t.Errorf("the newer run: %+v", r)
	}

	t.Log("closed while a run is under way, after the cleanup has been here")
	late := p.reconciler()
	late.Host = hostAfter{late.Host, func() {
		p.close(1)
		if _, err := p.reconciler().Down(t.Context(), reconcile.Key{Repository: repo, Number: 1}, "50.1", ""); err != nil {
			t.Error(err)
		}
	}}
	if r, err := late.Up(t.Context(), p.desired(1, sha3)); err != nil || !strings.Contains(r.Superseded, "closed") {
		t.Errorf("the late run: %v, %+v", err, r)
	}
	if left := p.left(); len(left) != 0 {
		t.Errorf("the late run left %q", left)
	}

	t.Log("reopened, and closed without an event: the sweep finds it")
	p.push(1, sha3)
	if r := p.up(sha3); len(r.Failed()) > 0 {
		t.Errorf("reopened: %+v", r)
	}
	p.close(1)
	swept, err := p.reconciler().Sweep(t.Context(), repo, true, "60.1", "")
	if err != nil || len(swept.Orphans) != 1 || len(swept.Orphans[0].Removed.Failed()) > 0 {
		t.Errorf("sweep: %v, %+v", err, swept)
	}
	if left := p.left(); len(left) != 0 {
		t.Errorf("left in the end: %q", left)
	}
	if body := p.github.Comments(repo, 1)[0].Body; !strings.Contains(body, "🧹 Preview Environment Cleaned Up") || !strings.Contains(body, "Verified as gone: Frontend, API. The environment `preview/pr-1` stays") {
		t.Errorf("the comment: %s", body)
	}
	for _, d := range p.github.Deployments(repo) {
		if d.State() != "inactive" {
			t.Errorf("deployment %d of %s is %s", d.ID, d.Environment, d.State())
		}
	}
}

// hostAfter does something when a deploy has been published.
type hostAfter struct {
	reconcile.Host
	then func()
}

func (h hostAfter) Publish(ctx context.Context, b reconcile.Build) (reconcile.Site, error) {
	s, err := h.Host.Publish(ctx, b)
	h.then()
	return s, err
}

// Two pull requests, and two pushes to each, all at once: each ends at its newest
// commit and none touches the other's.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	ends := map[string]result.Result{}
	for _, n := range []int{1, 2} {
		p.push(n, sha2)
		for _, commit := range []string{sha1, sha2} {
			wg.Go(func() {
				r, err := p.reconciler().Up(t.Context(), p.desired(n, commit))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				ends[fmt.Sprint(n, commit[:1])] = r
				mu.Unlock()
			})
		}
	}
	wg.Wait()
	for name, r := range ends {
		if strings.HasSuffix(name, "1") != (r.Superseded != "") {
			t.Errorf("%s: superseded by %q", name, r.Superseded)
		}
		if r.Superseded == "" && (r.Frontend.Commit != sha2 || len(r.Failed()) > 0) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	stacks, err := p.backend.Stacks(t.Context())
	if err != nil || len(stacks) != 2 {
		t.Fatalf("%v, %d stacks", err, len(stacks))
	}
	p.close(1)
	if _, err := p.reconciler().Down(t.Context(), reconcile.Key{Repository: repo, Number: 1}, "90.1", ""); err != nil {
		t.Error(err)
	}
	stacks, _ = p.backend.Stacks(t.Context())
	if len(stacks) != 1 || stacks[0].Name != (reconcile.Key{Repository: repo, Number: 2}).Stack() || len(p.netlify.Deploys()) != 1 {
		t.Errorf("after the first is down: %+v, %d deploys", stacks, len(p.netlify.Deploys()))
	}
}

func TestCommentsOnGitHub(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	p.push(1, sha1)
	for i := range 1500 {
		c := githubtest.Comment{Number: 1, Author: "ann", Body: fmt.Sprint("comment ", i)}
		if i == 700 {
			c.Body = result.Marker + "\nmine now"
		}
		if i == 1300 {
			c.Author, c.Body = githubtest.Bot, result.Marker+"\nours"
		}
		p.github.AddComment(repo, c)
	}
	k := p.reconciler()
	k.Backend = nil
	if _, err := k.Up(t.Context(), p.desired(1, sha1)); err != nil {
		t.Fatal(err)
	}
	all := p.github.Comments(repo, 1)
	if len(all) != 1500 || !strings.Contains(all[1300].Body, "🎭 Preview Environment") || all[700].Body != result.Marker+"\nmine now" {
		t.Errorf("%d comments; ours: %.60q; theirs: %q", len(all), all[1300].Body, all[700].Body)
	}
	p.github.SetReadOnly(true)
	r, err := k.Up(t.Context(), p.desired(1, sha1))
	if err != nil || r.Frontend.Status != result.StatusReady || len(r.Warnings) == 0 || !strings.Contains(strings.Join(r.Warnings, " "), "403") {
		t.Errorf("with a token that may only read: %v, %+v", err, r.Warnings)
	}
}

func readReport(t *testing.T, r actiontest.Result) string {
	t.Helper()
	raw, err := os.ReadFile(r.Outputs["report"])
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// A whole run of the action, on the runner's files.
func (p *peer) step(inputs map[string]string, event, name string) *actiontest.Step {
	p.t.Helper()
	all := map[string]string{
		"dir": p.desired(1, sha1).Dir, "github-token": "ghs_planted", "netlify-auth-token": "nfp_planted", "netlify-site-id": "site",
		"github-api-url": p.github.URL(), "netlify-api-url": p.netlify.URL(), "report-dir": p.t.TempDir(), "links": "0",
	}
	maps.Copy(all, inputs)
	step := actiontest.NewStep(p.t, all)
	step.Setenv("GITHUB_REPOSITORY", repo)
	step.Setenv("GITHUB_EVENT_NAME", name)
	step.Setenv("GITHUB_EVENT_PATH", event)
	return step
}

func (p *peer) event(text string) string {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), "event.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func pullEvent(action, state, from string) string {
	return fmt.Sprintf(`{"action":%q,"number":1,"repository":{"full_name":%q},"pull_request":{"number":1,"state":%q,"head":{"sha":%q,"repo":{"full_name":%q}},"base":{"repo":{"full_name":%q}}}}`,
		action, repo, state, sha1, from, repo)
}

func TestMainByEvents(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	p.push(1, sha1)
	r := p.step(nil, p.event(pullEvent("opened", "open", repo)), "pull_request").Run(p.main)
	if r.Code != 0 || r.Outputs["status"] != "ready" || r.Outputs["url"] == "" || !strings.Contains(r.Summary, "🎭 Preview Environment") {
		t.Errorf("opened: %d, %v\n%s", r.Code, r.Outputs, r.Log)
	}
	if strings.Contains(r.Log+r.Summary+fmt.Sprint(r.Outputs), "_planted") {
		t.Errorf("a token is shown:\n%s", r.Log)
	}
	p.close(1)
	r = p.step(nil, p.event(pullEvent("closed", "closed", repo)), "pull_request").Run(p.main)
	if r.Code != 0 || r.Outputs["status"] != "removed" || r.Outputs["remaining"] != "" || len(p.netlify.Deploys()) != 0 {
		t.Errorf("closed: %d, %v\n%s", r.Code, r.Outputs, r.Log)
	}
}

// What a stack hands back may be secret, and so may what a failure says.
func TestStackOutputsStaySecret(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	step := p.step(nil, "", "")
	r := step.Run(func(env action.Env, args []string) int {
		return action.Run(env, args, Spec(), func(_ context.Context, a *action.Action, v input.Values) (action.Result, error) {
			s := &session{a: a, v: v, runID: "1.1"}
			a.Mask("postgres://planted") // as the reconciler does when it learns of it
			return s.conclude(result.Result{
				Goal: result.GoalUp, Commit: sha1, Outputs: map[string]string{"ApiUrl": "https://api", "DatabaseURL": "postgres://planted"},
				Frontend: result.Part{Name: "Frontend", Status: result.StatusFailed, Detail: "the build log says postgres://planted"}, API: result.Part{Name: "API", Status: result.StatusReady},
				Warnings: []string{"postgres://planted"},
			}, nil)
		})
	})
	report, err := os.ReadFile(r.Outputs["report"])
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.ReplaceAll(r.Log, "::add-mask::postgres://planted", "")
	for where, text := range map[string]string{"log": shown, "summary": r.Summary, "report": string(report)} {
		if strings.Contains(text, "planted") {
			t.Errorf("the %s shows the secret:\n%s", where, text)
		}
	}
	if r.Code != 1 || r.Outputs["status"] != "partial" || strings.Contains(fmt.Sprint(r.Outputs), "planted") {
		t.Errorf("%d, %v", r.Code, r.Outputs)
	}
}

func TestBadInputs(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	for name, c := range map[string]struct {
		inputs map[string]string
		want   string
	}{
		"goal":           {map[string]string{"goal": "destroy"}, "goal"},
		"several":        {map[string]string{"links": "-1", "expires": "1s", "commit": "abc"}, "commit"},
		"half a site":    {map[string]string{"netlify-site-id": "", "pr-number": "1"}, "both or neither"},
		"no number":      {nil, "pr-number: required"},
		"nothing at all": {map[string]string{"netlify-site-id": "", "netlify-auth-token": "", "pr-number": "1"}, "neither part is configured"},
	} {
		r := p.step(c.inputs, "", "").Run(p.main)
		if r.Code != 2 || !strings.Contains(r.Log, c.want) {
			t.Errorf("%s: %d, want 2 with %q\n%s", name, r.Code, c.want, r.Log)
		}
	}
	if n := len(p.github.Requests()); n != 0 {
		t.Errorf("%d requests were sent with bad inputs", n)
	}
}
