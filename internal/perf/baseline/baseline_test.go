package baseline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/awstest/strict"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/history"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest"
)

const secret = "ghs_secretsecretsecretsecretsecret12"

var (
	monday = time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC)
	here   = measure.Environment{Runner: "ubuntu24", CPU: "EPYC", Cores: 4, Tools: map[string]string{"chrome": "156"}}
)

func run(n int) history.Run {
	series := measure.Series{Key: measure.Key{Meter: "load", Subject: "basic", Metric: "http_reqs"}, Metric: measure.Metric{Unit: measure.PerSecond, Better: measure.Higher}, Head: []measure.Point{{Value: float64(n)}}}
	return history.RunOf(monday.Add(time.Duration(n)*time.Minute), fmt.Sprintf("%040x", n), "", history.Passed, []measure.Series{series})
}

func adds(n int) func(history.File) (history.File, error) {
	return func(f history.File) (history.File, error) {
		f, _, err := f.Add(here, run(n))
		return f, err
	}
}

// soon is a clock on which waits are short.
func soon(d time.Duration) <-chan time.Time { return time.After(d / 100) }

func open(t *testing.T, o Options) Store {
	t.Helper()
	o.Environment, o.After, o.Why = "staging", soon, "staging"
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A place is one kind of store, for all tests that hold for each.
type place struct {
	store func() Store // another process's
	get   func() string
	set   func(string) // as somebody else writes it
	reset string
}

func places() map[string]func(*testing.T) place {
	return map[string]func(*testing.T) place{"folder": inFolder, "local branch": onLocalBranch, "GitHub": onGitHub, "S3": onS3}
}

func inFolder(t *testing.T) place {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "a", FileName("staging"))
	return place{
		store: func() Store { return open(t, Options{Location: Location{Kind: Folder, Path: "a"}, Dir: dir}) },
		get:   func() string { raw, _ := os.ReadFile(path); return string(raw) },
		set: func(s string) {
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(s), 0o600)); err != nil {
				t.Fatal(err)
			}
		},
		reset: "rm " + path,
	}
}

func onLocalBranch(t *testing.T) place {
	t.Helper()
	r := scannertest.New(t)
	r.Write("code.go", "package x\n")
	r.Git("add", ".")
	r.Git("commit", "-q", "-m", "code")
	return place{
		store: func() Store { return open(t, Options{Location: Location{Kind: Git, Branch: "perf/base"}, Dir: r.Dir}) },
		get: func() string {
			if r.Git("branch", "--list", "perf/base") == "" {
				return ""
			}
			return r.Git("show", "perf/base:"+FileName("staging")) + "\n"
		},
		set: func(s string) {
			if r.Git("branch", "--list", "perf/base") == "" {
				r.Git("branch", "perf/base", "main")
			}
			r.Git("switch", "-q", "perf/base")
			r.Write(FileName("staging"), s)
			r.Git("add", ".")
			r.Git("commit", "-q", "-m", "by hand")
			r.Git("switch", "-q", "main")
		},
		reset: "git branch -D perf/base",
	}
}

func connect(t *testing.T, server *githubtest.Server) *github.Client {
	t.Helper()
	c, err := github.New(github.Options{Token: secret, BaseURL: server.URL(), After: soon})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const repo = "acme/shop"

func hub(t *testing.T) *githubtest.Server {
	t.Helper()
	server := githubtest.Start(t, githubtest.Options{})
	server.Files(repo).Set("main", "code.go", []byte("package x\n"))
	return server
}

func onGitHub(t *testing.T) place {
	t.Helper()
	return onServer(t, hub(t))
}

func onServer(t *testing.T, server *githubtest.Server) place {
	t.Helper()
	return place{
		store: func() Store {
			return open(t, Options{Location: Location{Kind: Git, Branch: "performance-baseline"}, Repository: repo, Client: connect(t, server), Workflow: true})
		},
		get:   func() string { return string(server.Files(repo).Get("performance-baseline", FileName("staging"))) },
		set:   func(s string) { server.Files(repo).Set("performance-baseline", FileName("staging"), []byte(s)) },
		reset: "git push origin --delete performance-baseline",
	}
}

func onS3(t *testing.T) place {
	t.Helper()
	return inS3(t, strict.Start(t))
}

func inS3(t *testing.T, endpoint string) place {
	t.Helper()
	account := func(ctx context.Context) (*aws.Account, error) {
		return aws.Connect(ctx, aws.ConnectOptions{Region: "us-east-1", Endpoint: endpoint, Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{AccessKeyID: "test", SecretAccessKey: secret}, nil
		})})
	}
	a, err := account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := bucket.Of(a, "baselines")
	if err := b.Ensure(t.Context(), map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	key := "shop/" + FileName("staging")
	get := func() (string, string) {
		raw, tag, err := b.Get(t.Context(), key, history.MaxSize)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw), tag
	}
	return place{
		store: func() Store {
			return open(t, Options{Location: Location{Kind: S3, Bucket: "baselines", Prefix: "shop"}, Account: account})
		},
		get: func() string { s, _ := get(); return s },
		set: func(s string) {
			_, tag := get()
			if err := b.Replace(t.Context(), key, tag, []byte(s)); err != nil {
				t.Fatal(err)
			}
		},
		reset: "aws s3 rm s3://baselines/shop/" + FileName("staging"),
	}
}

// each runs a test at every place.
func each(t *testing.T, test func(*testing.T, place)) {
	t.Helper()
	for name, at := range places() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, at(t))
		})
	}
}

func commits(t *testing.T, s Store) []string {
	t.Helper()
	f, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, _ := f.Find(here)
	var all []string
	for _, r := range e.Runs {
		all = append(all, strings.TrimLeft(r.Commit, "0"))
	}
	return all
}

func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p place) {
		if f, err := p.store().Load(t.Context()); err != nil || len(f.Environments) != 0 {
			t.Fatalf("no file: %+v, %v", f, err)
		}
		for n := range 3 {
			if err := p.store().Save(t.Context(), adds(n+1)); err != nil {
				t.Fatal(err)
			}
		}
		before := p.get()
		if err := p.store().Save(t.Context(), adds(2)); err != nil || p.get() != before {
			t.Errorf("the same run again: %v", err)
		}
		if got := fmt.Sprint(commits(t, p.store())); got != "[1 2 3]" {
			t.Errorf("runs %s", got)
		}
		failed := errors.New("no")
		if err := p.store().Save(t.Context(), func(f history.File) (history.File, error) { return history.File{}, failed }); !errors.Is(err, failed) || p.get() != before {
			t.Errorf("a change that fails: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.store().Save(ended, adds(9)); err == nil || p.get() != before {
			t.Errorf("an ended run: %v", err)
		}
	})
}

// Ten jobs store at once, the first of them where no file is: no run is lost.
func TestTenJobsAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p place) {
		var wg sync.WaitGroup
		for n := range 10 {
			s := p.store()
			wg.Go(func() {
				if err := s.Save(t.Context(), adds(n+1)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := fmt.Sprint(commits(t, p.store())); got != "[1 2 3 4 5 6 7 8 9 a]" {
			t.Errorf("runs %s", got)
		}
	})
}

// What cannot be read is an error with the command that starts anew, and stays: an
// empty baseline does not take its place.
func TestUnreadableFilesStay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p place) {
		for _, text := range []string{"{}\n", `{"version":99,"environments":[]}` + "\n", "<<<<<<< HEAD\n", "{\"version\":1,\"environments\":[\n"} {
			p.set(text)
			_, err := p.store().Load(t.Context())
			saved := p.store().Save(t.Context(), adds(1))
			for _, err := range []error{err, saved} {
				if status, hint := exit.Of(err); status != exit.CouldNotRun || !strings.HasSuffix(hint, "start a new baseline: "+p.reset) {
					t.Errorf("%q: %v, hint %q, want %q", text, err, hint, p.reset)
				}
			}
			if got := p.get(); got != text {
				t.Errorf("the file was %q and is %q", text, got)
			}
		}
	})
}

// A person types what the hint says, and the next run starts a baseline.
func TestResetByItsCommand(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(*testing.T) place{"folder": inFolder, "local branch": onLocalBranch} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := at(t)
			p.set("{}\n")
			if name == "folder" {
				if err := os.Remove(strings.TrimPrefix(p.reset, "rm ")); err != nil {
					t.Fatal(err)
				}
			} else {
				s, _ := p.store().(store)
				l, _ := s.medium.(local)
				scannertest.Open(t, l.dir).Git(strings.Fields(p.reset)[1:]...)
			}
			if err := p.store().Save(t.Context(), adds(1)); err != nil || len(commits(t, p.store())) != 1 {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// A run that was killed while it wrote leaves the old file, and nothing that stops the
// next one.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	p := inFolder(t)
	if err := p.store().Save(t.Context(), adds(1)); err != nil {
		t.Fatal(err)
	}
	s, _ := p.store().(store)
	f, _ := s.medium.(folder)
	if err := os.WriteFile(f.hidden(".next"), []byte(`{"version":1,"env`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(commits(t, p.store())); got != "[1]" {
		t.Errorf("runs %s", got)
	}
	if err := p.store().Save(t.Context(), adds(2)); err != nil || fmt.Sprint(commits(t, p.store())) != "[1 2]" {
		t.Errorf("the next run: %v", err)
	}
}

// The artifacts of two jobs, each in its own folder, are read as one.
func TestArtifactsOfSeveralJobs(t *testing.T) {
	t.Parallel()
	p := inFolder(t)
	s, _ := p.store().(store)
	root, _ := s.medium.(folder)
	for n, name := range []string{"baseline-1", "baseline-2"} {
		one := store{folder{filepath.Join(root.dir, name), root.name}, soon}
		if err := errors.Join(one.Save(t.Context(), adds(1)), one.Save(t.Context(), adds(2+n))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.store().Save(t.Context(), adds(4)); err != nil || fmt.Sprint(commits(t, p.store())) != "[1 2 3 4]" {
		t.Errorf("%v, runs %v", err, commits(t, p.store()))
	}
	broken := filepath.Join(root.dir, "baseline-2", root.name)
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.store().Load(t.Context()); err == nil || !strings.Contains(err.Error(), broken) {
		t.Errorf("with a broken one: %v", err)
	}
}

func TestFolderThatIsAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Location: Location{Kind: Folder, Path: path}})
	if _, err := s.Load(t.Context()); err == nil {
		t.Error("Load: no error")
	}
	if err := s.Save(t.Context(), adds(1)); err == nil {
		t.Error("Save: no error")
	}
}

// The branch is written beside the user's work: index and working tree stay, other
// files of the branch too, and a branch that is checked out is refused.
func TestLocalBranchTouchesNothingElse(t *testing.T) {
	t.Parallel()
	p := onLocalBranch(t)
	s, _ := p.store().(store)
	l, _ := s.medium.(local)
	r := scannertest.Open(t, l.dir)
	r.Write("half.go", "package half\n")
	r.Git("add", "half.go")
	r.Write("code.go", "package y\n")
	status, head := r.Git("status", "--porcelain"), r.Git("rev-parse", "HEAD")
	for n := range 2 {
		if err := p.store().Save(t.Context(), adds(n)); err != nil {
			t.Fatal(err)
		}
	}
	if now := r.Git("status", "--porcelain"); now != status || r.Git("rev-parse", "HEAD") != head || r.Git("branch", "--show-current") != "main" {
		t.Errorf("status was %q and is %q", status, now)
	}
	if got := r.Git("log", "--format=%s %an", "perf/base"); got != "Performance baseline: staging performance gate\nPerformance baseline: staging performance gate" {
		t.Errorf("commits %q", got)
	}
	other := open(t, Options{Location: Location{Kind: Git, Branch: "perf/base"}, Dir: l.dir})
	o, _ := other.(store)
	o.medium = local{l.dir, l.branch, FileName("production"), ""}
	if err := o.Save(t.Context(), adds(7)); err != nil {
		t.Fatal(err)
	}
	if got := r.Git("ls-tree", "--name-only", "perf/base"); got != FileName("production")+"\n"+FileName("staging") {
		t.Errorf("files %q", got)
	}
	r.Git("reset", "-q", "--hard")
	r.Git("switch", "-q", "perf/base")
	if err := p.store().Save(t.Context(), adds(3)); err == nil || !strings.Contains(err.Error(), "type git switch -") {
		t.Errorf("a branch that is checked out: %v", err)
	}
	r.Git("switch", "-") // as the error says
	if err := p.store().Save(t.Context(), adds(3)); err != nil {
		t.Error(err)
	}
}

// A fetched branch of origin is where the local one begins.
func TestLocalBranchBeginsAtOrigin(t *testing.T) {
	t.Parallel()
	p := onLocalBranch(t)
	if err := p.store().Save(t.Context(), adds(1)); err != nil {
		t.Fatal(err)
	}
	s, _ := p.store().(store)
	l, _ := s.medium.(local)
	clone := scannertest.New(t)
	clone.Git("fetch", "-q", l.dir, "refs/heads/perf/base:refs/remotes/origin/perf/base")
	theirs := open(t, Options{Location: Location{Kind: Git, Branch: "perf/base"}, Dir: clone.Dir})
	if err := theirs.Save(t.Context(), adds(2)); err != nil || fmt.Sprint(commits(t, theirs)) != "[1 2]" {
		t.Errorf("%v, runs %v", err, commits(t, theirs))
	}
	clone.Git("push", "-q", l.dir, "perf/base") // a fast-forward
}

func TestOutsideOfARepository(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Location: Location{Kind: Git, Branch: "b"}, Dir: t.TempDir()})
	if _, err := s.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "not a git repository") {
		t.Errorf("Load: %v", err)
	}
	if _, err := Open(t.Context(), Options{Location: Location{Kind: Git, Branch: "b"}, Environment: "staging", Workflow: true}); err == nil || !strings.Contains(err.Error(), "contents: write") {
		t.Errorf("a workflow without token: %v", err)
	}
}

func TestGitHubBranch(t *testing.T) {
	t.Parallel()
	server := hub(t)
	p := onServer(t, server)
	for n := range 2 {
		if err := p.store().Save(t.Context(), adds(n)); err != nil {
			t.Fatal(err)
		}
	}
	want := []githubtest.Commit{{Branch: "performance-baseline", Path: FileName("staging"), Message: "Performance baseline: staging"}}
	if got := server.Files(repo).Commits(); len(got) != 2 || got[0] != want[0] || got[1] != want[0] || server.Files(repo).Get("performance-baseline", "code.go") != nil {
		t.Errorf("commits %+v", got)
	}
	if where := p.store().Where(); where != FileName("staging")+" on branch performance-baseline of acme/shop" {
		t.Error(where)
	}
}

// A token without permission sees 404 for files that exist: that is no empty baseline.
func TestGitHubRefusals(t *testing.T) {
	t.Parallel()
	notFound := githubtest.Answer(http.StatusNotFound, `{"message":"Not Found"}`)
	for name, c := range map[string]struct {
		faults []githubtest.Fault
		rules  bool
		load   bool // is an error too
		want   string
	}{
		"no contents: read":  {faults: []githubtest.Fault{{Path: "/contents/", Do: notFound}, {Path: "/git/", Do: notFound}}, load: true, want: "404"},
		"no contents: write": {faults: []githubtest.Fault{{Method: http.MethodPut, Do: githubtest.Forbidden("Resource not accessible by integration")}}, want: "403 Forbidden"},
		"rules":              {rules: true, want: "the rules of branch performance-baseline forbid it"},
		"never the newest": {faults: []githubtest.Fault{{Method: http.MethodPut, Do: githubtest.Answer(http.StatusConflict, `{"message":"is at 1 but expected 2"}`)}},
			want: "somebody else wrote the baseline meanwhile"},
		"down": {faults: []githubtest.Fault{{Do: githubtest.Answer(http.StatusBadGateway, `{"message":"no `+secret+`"}`)}}, load: true, want: "502"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := hub(t)
			p := onServer(t, server)
			if err := p.store().Save(t.Context(), adds(1)); err != nil {
				t.Fatal(err)
			}
			before := p.get()
			if c.rules {
				server.Files(repo).Protect("performance-baseline")
			}
			for _, f := range c.faults {
				server.Inject(f)
			}
			if _, err := p.store().Load(t.Context()); (err != nil) != c.load {
				t.Errorf("Load: %v", err)
			}
			err := p.store().Save(t.Context(), adds(2))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) || p.get() != before {
				t.Errorf("Save: %v, want %q", err, c.want)
			}
		})
	}
}

// The commit arrives and its answer does not: the run is in the file once.
func TestGitHubLostAnswer(t *testing.T) {
	t.Parallel()
	server := hub(t)
	p := onServer(t, server)
	for n, path := range []string{"/git/refs", "/contents/"} {
		server.Inject(githubtest.Fault{Method: [...]string{http.MethodPost, http.MethodPut}[n], Path: path, Times: 1, Do: githubtest.Lost()})
		_ = p.store().Save(t.Context(), adds(n)) // the first is created once, and not tried again
		if err := p.store().Save(t.Context(), adds(n)); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(commits(t, p.store())); got != "[ 1]" {
		t.Errorf("runs %s", got)
	}
	server.Inject(githubtest.Fault{Method: http.MethodPut, Times: 2, Do: githubtest.SecondaryLimit(time.Second)})
	if err := p.store().Save(t.Context(), adds(3)); err != nil {
		t.Errorf("after a rate limit: %v", err)
	}
}

// S3 answers 409 to one of two writes at the same time.
func TestS3Conflict(t *testing.T) {
	t.Parallel()
	to, err := url.Parse(strict.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	conflicts := 2
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-Match") == "" || conflicts == 0 {
			proxy.ServeHTTP(w, r)
			return
		}
		conflicts--
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte("<Error><Code>ConditionalRequestConflict</Code><Message>The conditional request cannot succeed due to a conflicting operation against this resource.</Message></Error>"))
	}))
	defer front.Close()
	p := inS3(t, front.URL)
	for n := range 2 {
		if err := p.store().Save(t.Context(), adds(n)); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(commits(t, p.store())); got != 2 || conflicts != 0 {
		t.Errorf("%d runs, %d conflicts left", got, conflicts)
	}
}
