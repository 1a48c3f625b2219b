package preview

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/netlify"
	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
	"github.com/candlefish/deploy-action/internal/preview/result"
	"github.com/candlefish/deploy-action/internal/preview/visit"
)

var lives = flag.Int("lives", 8, "how many whole lives TestKilledAtRandomMoments plays, each by a seed of its own")

// Three pull requests at once live through pushes, closings, reopenings, late jobs, sweeps and
// what people do by hand, on strict servers, and their runs are killed at random moments. At
// any time all that is ours is named by a record that a sweep reads, and in the end a sweep
// leaves nothing.
func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	for seed := range *lives {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			l := newLife(t)
			var wg sync.WaitGroup
			for n := 1; n <= 3; n++ {
				wg.Go(func() { l.pull(n, rand.New(rand.NewPCG(uint64(seed), uint64(n)))).live(15) })
			}
			wg.Wait()
			l.end()
		})
	}
}

// A life is the outside world of three pull requests.
type life struct {
	*testing.T
	github  *githubtest.Server
	netlify *netlifytest.Server
	aws     *stacks
	dir     string
	clock   *clock
}

func newLife(t *testing.T) *life {
	t.Helper()
	return &life{T: t, github: githubtest.Start(t, githubtest.Options{Admin: true}), netlify: netlifytest.NewT(t, netlifytest.Options{}),
		aws: &stacks{all: map[string]reconcile.API{}}, dir: t.TempDir(), clock: &clock{now: time.Now()}}
}

// errKilled is what a run that was killed would see, if there were one.
var errKilled = errors.New("this process was killed")

// A process is one run. It is killed with its nth request, before the request is sent or
// after the server has taken it; 0 means never. A gentle end only cancels its context.
type process struct {
	mu      sync.Mutex
	left    int
	sent    bool // the last request is sent
	gentle  bool
	dead    bool
	cancel  context.CancelFunc
	servers http.RoundTripper
}

// hit counts a request. send is whether it leaves the process, alive whether its answer
// arrives.
func (p *process) hit() (send, alive bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return false, false
	}
	p.left--
	if p.left != 0 {
		return true, true
	}
	p.cancel()
	p.dead = !p.gentle
	return p.sent || p.gentle, p.gentle
}

// RoundTrip implements http.RoundTripper.
func (p *process) RoundTrip(r *http.Request) (*http.Response, error) {
	send, alive := p.hit()
	if !send {
		return nil, errKilled
	}
	if !alive { // the server takes the request although nobody waits for the answer
		resp, err := p.servers.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
		if err == nil {
			_ = resp.Body.Close()
		}
		return nil, errKilled
	}
	return p.servers.RoundTrip(r)
}

// run is a process with its reconciler.
func (l *life) run(killedAt int, sent, gentle bool) (context.Context, *process, *reconcile.Reconciler) {
	ctx, cancel := context.WithCancel(l.Context())
	l.Cleanup(cancel)
	p := &process{left: killedAt, sent: sent, gentle: gentle, cancel: cancel, servers: &http.Transport{DisableKeepAlives: true}}
	client := &http.Client{Transport: p}
	hub, err := github.New(github.Options{Token: "t", BaseURL: l.github.URL(), Client: client, Now: l.clock.Now, After: l.clock.After})
	if err != nil {
		l.Fatal(err)
	}
	account := &netlify.Account{Token: "t", BaseURL: l.netlify.URL(), Client: client, Now: l.clock.Now, After: l.clock.After}
	return ctx, p, &reconcile.Reconciler{Forge: githubForge{client: hub}, Host: netlifyHost{account: account, site: "site"}, Backend: stacksOf{l.aws, p},
		Fetcher: apiFetcher{fetcher{client}}, Now: l.clock.Now, After: l.clock.After,
		Logf: func(string, ...any) {}, Mask: func(string) {}, Redact: func(s string) string { return s }}
}

// apiFetcher answers for the APIs, whose stacks are no servers.
type apiFetcher struct{ visit.Fetcher }

// Get implements visit.Fetcher.
func (f apiFetcher) Get(ctx context.Context, address string) (int, string, error) {
	if strings.HasPrefix(address, "https://api.test/") {
		return 200, "", ctx.Err()
	}
	return f.Fetcher.Get(ctx, address)
}

// stacks are the stacks of an account, which refuse what AWS refuses.
type stacks struct {
	mu  sync.Mutex
	all map[string]reconcile.API
}

// stacksOf is the account as one process reaches it.
type stacksOf struct {
	*stacks
	process *process
}

// do is one request that changes or reads the account.
func (s stacksOf) do(f func() error) error {
	send, alive := s.process.hit()
	if !send {
		return errKilled
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := f(); err != nil {
		return err
	}
	if !alive {
		return errKilled
	}
	return nil
}

// Apply implements reconcile.Backend: it reads the stack, and then makes or updates it.
func (s stacksOf) Apply(_ context.Context, o reconcile.Owner, _ reconcile.Logf) (a reconcile.API, err error) {
	check := func() error {
		if old, ok := s.all[o.Stack()]; ok {
			return o.Owns(old.Tags)
		}
		return nil
	}
	if err := s.do(check); err != nil {
		return a, err
	}
	a = reconcile.API{ID: "arn:" + o.Stack(), Name: o.Stack(), Status: "CREATE_COMPLETE", Tags: o.Tags(), Outputs: map[string]string{"ApiUrl": "https://api.test/" + o.Stack()}}
	err = s.do(func() error {
		s.all[o.Stack()] = a
		return nil
	})
	return a, err
}

// Stacks implements reconcile.Backend.
func (s stacksOf) Stacks(context.Context) (list []reconcile.API, err error) {
	err = s.do(func() error {
		list = slices.Collect(maps.Values(s.all))
		return nil
	})
	return list, err
}

// Remove implements reconcile.Backend.
func (s stacksOf) Remove(_ context.Context, k reconcile.Key, _ reconcile.Logf) (r reconcile.Removal, err error) {
	err = s.do(func() error {
		old, ok := s.all[k.Stack()]
		r.Existed = ok
		if !ok {
			return nil
		}
		return k.Owns(old.Tags)
	})
	if err != nil || !r.Existed {
		return r, err
	}
	return r, s.do(func() error {
		delete(s.all, k.Stack())
		return nil
	})
}

// Remains implements reconcile.Backend.
func (s stacksOf) Remains(context.Context) ([]reconcile.Remain, error) {
	return nil, s.do(func() error { return nil })
}

// A pull is one pull request of a life.
type pull struct {
	*life
	key     reconcile.Key
	rand    *rand.Rand
	open    bool
	commits int
	runs    int
	kills   bool // runs are killed
}

func (l *life) pull(n int, r *rand.Rand) *pull {
	p := &pull{life: l, key: reconcile.Key{Repository: repo, Number: n}, rand: r, kills: true}
	p.push()
	return p
}

func (p *pull) commit() string { return fmt.Sprintf("%020d%020d", p.key.Number, p.commits) }

func (p *pull) push() {
	p.commits++
	p.open = true
	p.github.AddPull(repo, githubtest.Pull{Number: p.key.Number, HeadSHA: p.commit(), HeadRef: fmt.Sprint("feature-", p.key.Number)})
}

func (p *pull) set(open bool) {
	p.open = open
	state := map[bool]string{true: "open", false: "closed"}[open]
	p.github.ChangePull(repo, p.key.Number, func(pr *githubtest.Pull) { pr.State = state })
}

// live plays events. After each one all that is ours has a record.
func (p *pull) live(events int) {
	for range events {
		switch p.rand.IntN(9) {
		case 0, 1:
			p.push()
			p.up()
		case 2:
			p.up() // again, or of a closed pull request
		case 3, 4:
			p.set(false)
			p.down()
		case 5:
			p.set(false) // and no job comes
		case 6:
			p.set(true)
			p.up()
		case 7:
			p.byHand()
		case 8:
			p.sweep()
		}
		p.recorded()
	}
	p.set(false)
	p.down() // the last job, which may be killed too: the sweep has to end it
	p.recorded()
}

// start begins a run that may be killed. done reports whether it lived to its end.
func (p *pull) start() (ctx context.Context, k *reconcile.Reconciler, runID string, done func() bool) {
	at := 0
	if p.kills && p.rand.IntN(3) > 0 {
		at = 1 + p.rand.IntN(45)
	}
	ctx, process, k := p.run(at, p.rand.IntN(2) == 0, p.rand.IntN(4) == 0)
	p.runs++
	return ctx, k, fmt.Sprintf("%d.1", p.key.Number*1000+p.runs), func() bool { return ctx.Err() == nil && !process.dead }
}

func (p *pull) up() {
	ctx, k, id, done := p.start()
	dir := filepath.Join(p.dir, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte(p.commit()), 0o600); err != nil {
		p.Error(err)
	}
	r, err := k.Up(ctx, reconcile.Desired{Key: p.key, Commit: p.commit(), Dir: dir, Expires: p.clock.Now().Add(90 * 24 * time.Hour), RunID: id})
	if !done() {
		return
	}
	switch {
	case err != nil || len(r.Failed()) > 0 || r.CommentError != "":
		p.Errorf("%s: up: %v, %+v, %s", p.key, err, r.Failed(), r.CommentError)
	case (r.Superseded == "") != p.open:
		p.Errorf("%s: up: superseded by %q, open %t", p.key, r.Superseded, p.open)
	case p.open && (p.shown() != p.commit() || !strings.Contains(p.comment(), "**Ready** at `"+result.Short(p.commit()))):
		p.Errorf("%s: up at %s: the alias shows %q; the comment:\n%s", p.key, p.commit(), p.shown(), p.comment())
	}
}

func (p *pull) down() {
	ctx, k, id, done := p.start()
	before := len(p.ours())
	r, err := k.Down(ctx, p.key, id, "")
	if !done() {
		return
	}
	switch {
	case err != nil || len(r.Failed()) > 0 || r.CommentError != "":
		p.Errorf("%s: down: %v, %+v, %s", p.key, err, r.Failed(), r.CommentError)
	case p.open && (r.Superseded == "" || len(p.ours()) != before):
		p.Errorf("%s: down of an open one: superseded by %q, %d of %d are left", p.key, r.Superseded, len(p.ours()), before)
	case !p.open:
		p.gone("down")
	}
}

// gone checks that nothing is left of a closed pull request, and that the comment says so.
func (p *pull) gone(what string) {
	if left := p.ours(); len(left) > 0 {
		p.Errorf("%s: %s left %q", p.key, what, left)
	}
	if c := p.comment(); c != "" && !strings.Contains(c, "Nothing is left") {
		p.Errorf("%s: %s: the comment:\n%s", p.key, what, c)
	}
}

// sweep is one of all pull requests, of which the others live on.
func (p *pull) sweep() {
	ctx, k, id, done := p.start()
	_, err := k.Sweep(ctx, repo, true, id, "")
	if done() && err != nil {
		p.Errorf("%s: sweep: %v", p.key, err)
	}
	if done() && !p.open {
		p.gone("sweep")
	}
}

// byHand removes something as people do.
func (p *pull) byHand() {
	ctx, _, k := p.run(0, false, false)
	var err error
	switch p.rand.IntN(3) {
	case 0:
		sites, _ := k.Host.Sites(ctx, p.key.Alias())
		for _, s := range sites {
			err = errors.Join(err, k.Host.Remove(ctx, s))
		}
	case 1:
		for _, c := range p.github.Comments(repo, p.key.Number) {
			err = errors.Join(err, k.Forge.(githubForge).client.DeleteComment(ctx, repo, c.ID))
		}
	case 2:
		_, err = k.Forge.(githubForge).client.DeleteEnvironment(ctx, repo, p.key.Environment())
	}
	if err != nil {
		p.Error(err)
	}
}

// ours lists what there is of the pull request.
func (p *pull) ours() []string {
	var all []string
	for _, d := range p.netlify.Deploys() {
		if d.Alias == p.key.Alias() {
			all = append(all, "deploy "+d.ID+" "+d.Title)
		}
	}
	p.aws.mu.Lock()
	defer p.aws.mu.Unlock()
	if s, ok := p.aws.all[p.key.Stack()]; ok {
		all = append(all, "stack "+s.Name)
	}
	for _, d := range p.github.Deployments(repo) {
		if d.Environment == p.key.Environment() && d.State() != "inactive" {
			all = append(all, fmt.Sprintf("deployment %d to %s", d.ID, d.Environment))
		}
	}
	return all
}

// recorded checks that each deploy and stack names its owner, and that a sweep would find all
// that is ours if the pull request is closed.
func (p *pull) recorded() {
	for _, d := range p.netlify.Deploys() {
		if o, err := reconcile.OwnerOfTitle(d.Title, d.Alias); err != nil || o.Repository != repo {
			p.Errorf("deploy %s has no owner: %v", d.ID, err)
		}
	}
	if p.open || len(p.ours()) == 0 {
		return
	}
	ctx, _, k := p.run(0, false, false)
	s, err := k.Sweep(ctx, repo, false, "x", "")
	if err != nil || !slices.ContainsFunc(s.Orphans, func(o reconcile.Orphan) bool { return o.Key == p.key }) {
		if left := p.ours(); len(left) > 0 { // another's sweep may have removed it meanwhile
			p.Errorf("%s: %q is left, and a sweep finds %+v, %v", p.key, left, s.Orphans, err)
		}
	}
}

func (p *pull) comment() string {
	all := p.github.Comments(repo, p.key.Number)
	if len(all) > 1 {
		p.Errorf("%s: %d comments", p.key, len(all))
	}
	if len(all) == 0 {
		return ""
	}
	return all[0].Body
}

// shown is the commit that the alias shows.
func (p *pull) shown() string {
	_, body, err := newFetcher(nil).Get(p.Context(), p.netlify.SiteURL(p.key.Alias())+visit.ManifestPath)
	if err != nil {
		p.Error(err)
	}
	return visit.CommitOf(body)
}

// end closes all pull requests, and sweeps.
func (l *life) end() {
	for n := 1; n <= 3; n++ {
		l.github.ChangePull(repo, n, func(pr *githubtest.Pull) { pr.State = "closed" })
	}
	for i := range 2 {
		ctx, _, k := l.run(0, false, false)
		s, err := k.Sweep(ctx, repo, true, fmt.Sprintf("%d.1", 9000+i), "")
		if err != nil || i == 1 && len(s.Orphans) > 0 {
			l.Errorf("sweep %d: %v, %+v", i+1, err, s.Orphans)
		}
	}
	for n := 1; n <= 3; n++ {
		p := &pull{life: l, key: reconcile.Key{Repository: repo, Number: n}}
		p.gone("the last sweep")
	}
}
