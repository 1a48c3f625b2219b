package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/preview/result"
	"github.com/candlefish/deploy-action/internal/preview/visit"
)

const (
	repo = "candlefish/website"
	sha1 = "1111111111111111111111111111111111111111"
	sha2 = "2222222222222222222222222222222222222222"
)

// A world is GitHub, Netlify and AWS as far as the reconciler's own decisions go. The
// adapters have tests of their own on the real wires.
type world struct {
	mu       sync.Mutex
	pulls    map[int]*PullRequest
	sites    []Site
	live     map[string]string // commit by alias
	stacks   map[string]API
	comments map[int]string
	writes   int
	retired  []Key
	said     []string

	openErr error
	publish func(w *world) error // before a deploy goes live
	apply   func(w *world) error
	gone    bool     // removed deploys are gone
	remains []Remain // what a removal left
	left    []string
	health  int
	pages   map[string]int

	environment Retired
	retireErr   error
	commentErr  error
	recentErr   error
	keptOnAWS   []string
	unasked     []string
	cached      bool   // the address shows the last deploy after its removal
	foreign     string // the commit that the address shows after the removal
	onSites     func(w *world)
	onRemove    func(w *world)
}

func newWorld() *world {
	return &world{pulls: map[int]*PullRequest{7: {Key: Key{repo, 7}, Open: true, Head: sha1}}, live: map[string]string{}, stacks: map[string]API{},
		comments: map[int]string{}, gone: true, health: 200, pages: map[string]int{}}
}

func (w *world) PullRequest(_ context.Context, k Key) (PullRequest, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	pr, ok := w.pulls[k.Number]
	if !ok {
		return PullRequest{}, errors.New("no such pull request")
	}
	return *pr, nil
}

func (w *world) Open(context.Context, string) ([]PullRequest, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.openErr != nil {
		return nil, w.openErr
	}
	var open []PullRequest
	for _, pr := range w.pulls {
		if pr.Open {
			open = append(open, *pr)
		}
	}
	return open, nil
}

func (w *world) WithHead(ctx context.Context, repository, commit string) ([]PullRequest, error) {
	open, err := w.Open(ctx, repository)
	return slices.DeleteFunc(open, func(pr PullRequest) bool { return pr.Head != commit }), err
}

func (w *world) Comment(_ context.Context, k Key, _, body string) (string, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.commentErr != nil {
		return "", false, w.commentErr
	}
	w.comments[k.Number] = body
	w.writes++
	return "https://github.com/c", true, nil
}

func (w *world) PreviousComment(_ context.Context, k Key, _ string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.comments[k.Number], nil
}

func (w *world) RecentComments(context.Context, string, string, time.Time) (map[int]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.comments), w.recentErr
}

func (w *world) RecordDeployment(context.Context, Owner, string, string, bool) error { return nil }

func (w *world) RetireEnvironment(_ context.Context, k Key) (Retired, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retired = append(w.retired, k)
	return w.environment, w.retireErr
}

func (w *world) Publish(_ context.Context, b Build) (Site, error) {
	if w.publish != nil {
		if err := w.publish(w); err != nil {
			return Site{}, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	alias := b.Owner.Alias()
	s := Site{ID: fmt.Sprintf("d%d", len(w.sites)+1), AliasURL: "https://" + alias + ".test", Title: b.Owner.Title(), Alias: alias, Files: 120, Uploaded: 3}
	w.sites = append(w.sites, s)
	w.live[alias] = b.Owner.Commit
	return s, nil
}

func (w *world) Sites(_ context.Context, alias string) ([]Site, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.onSites != nil {
		w.onSites(w)
	}
	return slices.DeleteFunc(slices.Clone(w.sites), func(s Site) bool { return alias != "" && s.Alias != alias }), nil
}

func (w *world) Remove(_ context.Context, s Site) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sites = slices.DeleteFunc(w.sites, func(x Site) bool { return x.ID == s.ID })
	if w.onRemove != nil {
		w.onRemove(w)
	}
	if !w.cached {
		delete(w.live, s.Alias)
	}
	if w.foreign != "" {
		w.live[s.Alias] = w.foreign
	}
	return nil
}

func (w *world) Gone(context.Context, Site) (bool, string, error) {
	return w.gone, "https://d1.test still answers 200", nil
}

// backend is the AWS side of a world.
type backend struct{ *world }

func (w backend) Apply(_ context.Context, o Owner, _ Logf) (API, error) {
	if w.apply != nil {
		if err := w.apply(w.world); err != nil {
			return API{}, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a := API{ID: "arn:" + o.Stack(), Name: o.Stack(), Status: "CREATE_COMPLETE", Outputs: map[string]string{"ApiUrl": "https://api.test/preview"}, Tags: o.Tags()}
	if old, ok := w.stacks[o.Stack()]; ok && old.Tags[tagCommit] != o.Commit {
		a.Changes = []string{"API: modify Function"}
	}
	w.stacks[o.Stack()] = a
	return a, nil
}

func (w backend) Stacks(context.Context) ([]API, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.stacks)), nil
}

func (w backend) Remove(_ context.Context, k Key, _ Logf) (Removal, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, existed := w.stacks[k.Stack()]
	if !existed && len(w.remains) == 0 {
		return Removal{}, nil
	}
	if err := k.Owns(s.Tags); existed && err != nil {
		return Removal{Existed: true}, err
	}
	delete(w.stacks, k.Stack())
	w.remains = nil
	for _, what := range w.left {
		w.remains = append(w.remains, Remain{Owner{Key: k, Expires: time.Now().Add(time.Hour)}, what})
	}
	return Removal{Existed: true, Asked: 3, Left: w.left, Kept: w.keptOnAWS, Unasked: w.unasked}, nil
}

func (w backend) Remains(context.Context) ([]Remain, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.remains), nil
}

func (w *world) Get(_ context.Context, address string) (int, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest, isSite := strings.CutPrefix(address, "https://pr-7.test")
	switch {
	case !isSite:
		return w.health, "", nil
	case w.pages[rest] != 0:
		return w.pages[rest], "", nil
	case w.live["pr-7"] == "":
		return 404, "", nil
	case rest == visit.ManifestPath:
		return 200, fmt.Sprintf(`{"commitSha":%q}`, w.live["pr-7"]), nil
	case rest == "/sitemap.xml":
		return 200, `<urlset><url><loc>https://candlefish.ai/a</loc></url><url><loc>https://candlefish.ai/b?x=1</loc></url><url><loc>/c</loc></url></urlset>`, nil
	}
	return 200, "", nil
}

// Read passes a page on as Get has it.
func (w *world) Read(ctx context.Context, address string, use func(io.Reader) error) (int, error) {
	return readPage(ctx, w, address, use)
}

func readPage(ctx context.Context, w interface {
	Get(context.Context, string) (int, string, error)
}, address string, use func(io.Reader) error) (int, error) {
	status, body, err := w.Get(ctx, address)
	if err == nil && status == 200 {
		err = use(strings.NewReader(body))
	}
	return status, err
}

func (w *world) reconciler() *Reconciler {
	return &Reconciler{Forge: w, Host: w, Backend: backend{w}, Fetcher: w, Now: time.Now, After: time.After, Mask: func(string) {}, Redact: func(s string) string { return s }, Logf: func(format string, args ...any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.said = append(w.said, fmt.Sprintf(format, args...))
	}}
}

func desired(t *testing.T, commit string) Desired {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Desired{Key: Key{repo, 7}, Commit: commit, Dir: dir, Expires: time.Now().Add(time.Hour), RunID: "5.1", Links: 100}
}

func TestUpThenDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := w.reconciler()
		r, err := k.Up(t.Context(), desired(t, sha1))
		if err != nil {
			t.Fatal(err)
		}
		if r.Frontend.Status != result.StatusReady || r.Frontend.Commit != sha1 || r.API.Status != result.StatusReady || len(r.Failed()) != 0 {
			t.Errorf("up: %+v", r)
		}
		body := w.comments[7]
		for _, part := range []string{result.Marker, "🎭 Preview Environment", "**Ready** at `1111111`", "pr-7.test", "3 pages of the sitemap answer"} {
			if !strings.Contains(body, part) {
				t.Errorf("the comment lacks %q:\n%s", part, body)
			}
		}
		w.pulls[7].Head = sha2
		if _, err = k.Up(t.Context(), desired(t, sha2)); err != nil {
			t.Fatal(err)
		}
		if body = w.comments[7]; !strings.Contains(body, "Since the last push (`1111111`): API: modify Function; 3 of 120 files uploaded;") {
			t.Errorf("the comment does not say what changed:\n%s", body)
		}
		w.pulls[7].Open = false
		r, err = k.Down(t.Context(), Key{repo, 7}, "6.1", "")
		if err != nil || r.Frontend.Status != result.StatusRemoved || r.API.Status != result.StatusRemoved || len(w.sites)+len(w.stacks) != 0 {
			t.Errorf("down: %v, %+v", err, r)
		}
		if body = w.comments[7]; !strings.Contains(body, "🧹 Preview Environment Cleaned Up") || !strings.Contains(body, "Nothing is left") {
			t.Errorf("the comment does not say that it is gone:\n%s", body)
		}
		if diff := cmp.Diff([]Key{{repo, 7}}, w.retired); diff != "" {
			t.Errorf("retired (-want +got):\n%s", diff)
		}
		writes := w.writes
		w.pulls[8] = &PullRequest{Key: Key{repo, 8}}
		if r, err = k.Down(t.Context(), Key{repo, 8}, "6.1", ""); err != nil || r.Frontend.Status != result.StatusAbsent || w.writes != writes {
			t.Errorf("a preview that never was: %v, %+v, %d comments", err, r, w.writes-writes)
		}
	})
}

// Whatever happens while a run is under way, it does not bring back what is over.
func TestNoResurrection(t *testing.T) {
	t.Parallel()
	closing := func(w *world) error { w.pulls[7].Open = false; return nil }
	pushing := func(w *world) error { w.pulls[7].Head = sha2; return nil }
	for _, c := range []struct {
		name      string
		change    func(*world)
		why       string
		stackStay bool
	}{
		{"closed before", func(w *world) { w.pulls[7].Open = false }, "closed", false},
		{"pushed before", func(w *world) { w.pulls[7].Head = sha2 }, "commit 2222222 came after 1111111", false},
		{"closed while the stack is made", func(w *world) { w.apply = closing }, "closed", false},
		{"closed while the site is published", func(w *world) { w.publish = closing }, "closed", false},
		{"pushed while the stack is made", func(w *world) { w.apply = pushing }, "came after", true},
		{"pushed while the site is published", func(w *world) { w.publish = pushing }, "came after", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				c.change(w)
				r, err := w.reconciler().Up(t.Context(), desired(t, sha1))
				if err != nil || !strings.Contains(r.Superseded, c.why) {
					t.Errorf("superseded by %q (%v), want %q", r.Superseded, err, c.why)
				}
				if len(w.sites) != 0 || (len(w.stacks) == 1) != c.stackStay {
					t.Errorf("left are %v and %v", w.sites, w.stacks)
				}
				if w.writes != 0 {
					t.Errorf("it commented: %s", w.comments[7])
				}
			})
		})
	}
}

// An older run's deploy lands between; the newer run brings its own back.
func TestTheNewestCommitWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.pulls[7].Head = sha2
		published := 0
		w.publish = func(w *world) error { published++; return nil }
		k := w.reconciler()
		k.Fetcher = fetcherAfter{w, func() { // once both parts were seen, an older one overwrites the stack
			s := w.stacks[Key{repo, 7}.Stack()]
			if published == 1 && s.Tags != nil {
				s.Tags = Owner{Key{repo, 7}, sha1, time.Now().Add(time.Hour)}.Tags()
				w.stacks[s.Name] = s
			}
		}}
		r, err := k.Up(t.Context(), desired(t, sha2))
		if err != nil || r.Frontend.Commit != sha2 {
			t.Fatalf("%v: %+v", err, r)
		}
		if got := w.stacks[Key{repo, 7}.Stack()].Tags[tagCommit]; got != sha2 || published != 2 {
			t.Errorf("the stack is at %s after %d rounds, want the newest commit after 2", got, published)
		}
	})
}

// fetcherAfter calls then whenever the sitemap was asked for.
type fetcherAfter struct {
	*world
	then func()
}

func (w fetcherAfter) Get(ctx context.Context, address string) (int, string, error) {
	if strings.HasSuffix(address, "sitemap.xml") {
		w.then()
	}
	return w.world.Get(ctx, address)
}

func (w fetcherAfter) Read(ctx context.Context, address string, use func(io.Reader) error) (int, error) {
	return readPage(ctx, w, address, use)
}

func TestPartialFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*world)
		front  result.Status
		api    result.Status
		want   string
	}{
		{"the stack fails", func(w *world) { w.apply = func(*world) error { return errors.New("role: not allowed") } }, result.StatusReady, result.StatusFailed, "**Partly ready** at `1111111`: the API is not."},
		{"the site fails", func(w *world) { w.publish = func(*world) error { return errors.New("error: too large") } }, result.StatusFailed, result.StatusReady, "the Frontend is not"},
		{"both", func(w *world) {
			w.apply = func(*world) error { return errors.New("a") }
			w.publish = func(*world) error { return errors.New("b") }
		}, result.StatusFailed, result.StatusFailed, "**Not ready**"},
		{"the API is sick", func(w *world) { w.health = 502 }, result.StatusReady, result.StatusFailed, "its health check fails: 502 Bad Gateway"},
		{"a page is broken", func(w *world) { w.pages["/b"] = 404 }, result.StatusFailed, result.StatusReady, "/b"},
		{"the front page is broken", func(w *world) { w.pages["/"] = 500 }, result.StatusFailed, result.StatusReady, "front page: 500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				c.change(w)
				r, err := w.reconciler().Up(t.Context(), desired(t, sha1))
				if err != nil || r.Frontend.Status != c.front || r.API.Status != c.api {
					t.Errorf("%v: frontend %s (%s), api %s (%s)", err, r.Frontend.Status, r.Frontend.Detail, r.API.Status, r.API.Detail)
				}
				if !strings.Contains(strings.ReplaceAll(w.comments[7], `\`, ""), c.want) {
					t.Errorf("the comment lacks %q:\n%s", c.want, w.comments[7])
				}
			})
		})
	}
}

func TestDownSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := w.reconciler()
		if _, err := k.Up(t.Context(), desired(t, sha1)); err != nil {
			t.Fatal(err)
		}
		w.sites = append(w.sites, Site{ID: "theirs", Alias: "pr-7", Title: "by hand"})
		w.gone, w.left = false, []string{"PreviewBucket"}
		w.pulls[7].Open = false
		r, err := k.Down(t.Context(), Key{repo, 7}, "6.1", "")
		if err != nil || r.Frontend.Status != result.StatusRemaining || r.API.Status != result.StatusRemaining || len(r.Failed()) != 2 {
			t.Errorf("%v: %+v", err, r)
		}
		for _, part := range []string{"Not everything is gone", "still answers 200", "PreviewBucket"} {
			if !strings.Contains(w.comments[7], part) {
				t.Errorf("the comment lacks %q:\n%s", part, w.comments[7])
			}
		}
		if len(w.sites) != 1 || w.sites[0].ID != "theirs" {
			t.Errorf("sites %v: only what is not ours may stay", w.sites)
		}
	})
}

func TestSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := w.reconciler()
		now := time.Now()
		add := func(n int, open bool, expires time.Time) {
			key := Key{repo, n}
			o := Owner{key, sha1, expires}
			w.stacks[key.Stack()] = API{Name: key.Stack(), Tags: o.Tags()}
			w.sites = append(w.sites, Site{ID: fmt.Sprint("s", n), Alias: key.Alias(), Title: o.Title()})
			w.pulls[n] = &PullRequest{Key: key, Open: open, Head: sha1}
		}
		add(1, true, now.Add(time.Hour))
		add(2, false, now.Add(time.Hour))
		add(3, true, now.Add(-time.Hour))
		other := Owner{Key{"someone/else", 4}, sha1, now.Add(-time.Hour)}
		w.stacks["candlefish-api-preview-pr-4"] = API{Name: "candlefish-api-preview-pr-4", Tags: other.Tags()}
		w.stacks["candlefish-api-preview-pr-5"] = API{Name: "candlefish-api-preview-pr-5", Tags: map[string]string{tagNumber: "5"}}

		s, err := k.Sweep(t.Context(), repo, false, "1.1", "")
		if err != nil || !s.DryRun || s.Kept != 1 || len(s.Orphans) != 2 || len(s.Foreign) != 1 || len(w.sites) != 3 {
			t.Fatalf("dry run: %v, %+v", err, s)
		}
		if s.Orphans[0].Why != "its pull request is not open" || !strings.HasPrefix(s.Orphans[1].Why, "it expired on") {
			t.Errorf("reasons %q, %q", s.Orphans[0].Why, s.Orphans[1].Why)
		}
		w.openErr = errors.New("page 3 of 7: 502")
		if _, err := k.Sweep(t.Context(), repo, true, "1.1", ""); err == nil || len(w.sites) != 3 {
			t.Errorf("without the list of pull requests: %v, %d sites", err, len(w.sites))
		}
		w.openErr = nil
		s, err = k.Sweep(t.Context(), repo, true, "1.1", "")
		if err != nil || len(w.sites) != 1 || len(w.stacks) != 3 {
			t.Errorf("%v: left are %v and %v", err, w.sites, w.stacks)
		}
		for _, orphan := range s.Orphans {
			if orphan.Removed == nil || len(orphan.Removed.Failed()) > 0 {
				t.Errorf("%+v", orphan)
			}
		}
	})
}

func TestOwners(t *testing.T) {
	t.Parallel()
	o := Owner{Key{repo, 12}, sha1, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	if got, err := OwnerOf(o.Tags()); err != nil || got != o {
		t.Errorf("OwnerOf(%v) = %+v, %v", o.Tags(), got, err)
	}
	if got, err := OwnerOfTitle(o.Title(), "pr-12"); err != nil || got != o {
		t.Errorf("OwnerOfTitle(%q) = %+v, %v", o.Title(), got, err)
	}
	for tag := range o.Tags() {
		tags := o.Tags()
		delete(tags, tag)
		_, err := OwnerOf(tags)
		needed := tag != tagEnvironment && tag != tagCreatedBy && tag != tagCommit
		if (err != nil) != needed {
			t.Errorf("without %s: %v", tag, err)
		}
	}
	if err := (Key{repo, 13}).Owns(o.Tags()); err == nil {
		t.Error("another pull request owns it too")
	}
	for _, text := range []string{"", "Preview for PR #12", o.Title() + " ", strings.Replace(o.Title(), "#12", "#13", 1)} {
		if _, err := OwnerOfTitle(text, "pr-12"); err == nil {
			t.Errorf("title %q is taken for ours", text)
		}
	}
}
