// Package netlifytest is a Netlify for tests and for machines without an account: a
// server in this process that implements the part of Netlify's API that publishing
// needs, as its swagger defines it, stores deploys and serves them.
//
// Deploys advance through Netlify's states when they are read, so that nothing waits.
// [Fault] and [Behaviour] make it misbehave. It answers unexpected requests with 501
// and reports them, so that a test notices when a client sends other requests.
//
// Each alias has its own port on loopback, since a site's paths are relative to its
// root. The deploy's own URL is a path of the API's port. The server applies the plain
// redirects and headers of the uploaded netlify.toml: paths with a final * and :names,
// rewrites and redirects, no conditions, no other hosts.
//
// It does not imitate an account's limits, Netlify's network or its post-processing.
package netlifytest

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/netlify/open-api/v2/go/models"
)

// Options configure a server. The zero value has one site, "site", and accepts any
// token.
type Options struct {
	Token    string // the only one that is taken; "" for any
	SiteID   string // "site" if ""
	SiteName string // "shop" if ""
	// Unexpected is called for each request that the server does not implement;
	// may be nil.
	Unexpected func(what string)
	// Also answers requests that the server does not implement, and reports
	// whether it did; may be nil.
	Also func(http.ResponseWriter, *http.Request) bool
	// CLI takes the fields too that netlify-cli sends and the swagger of Netlify's Go
	// client lacks.
	CLI bool
	// Now is the clock of the deploys and of the Date header; nil means the system's.
	Now func() time.Time
	// Protection is the "user:password" that all pages ask for, those that do not exist
	// too; empty means none.
	Protection string
	// Behaviour is how deploys behave.
	Behaviour Behaviour
}

// A Behaviour is how deploys behave.
type Behaviour struct {
	Prepare int // looks until an asynchronous comparison is done
	Process int // looks until a complete deploy is ready
	// Fail is the error_message with which complete deploys fail; empty means none.
	Fail string
	// Stuck deploys are processed forever.
	Stuck bool
	// Fallback makes an alias serve its deploy before the one that is deleted, if
	// there is any; otherwise it answers 404.
	Fallback bool
	// Lose is how often each deploy loses the first content that it required
	// after all uploads, and requires it again.
	Lose int
}

// A Fault replaces a response.
type Fault struct {
	// Op is the kind of request: create, update, poll, file, function, cancel,
	// list or delete.
	Op string
	// From is the first request of the kind that it affects, and Times how many
	// from there on; 0 means 1.
	From, Times int
	Status      int
	Header      http.Header
	Message     string
	// Reset resets the connection instead.
	Reset bool
	// Done carries the request out nevertheless. Lists is how many lists of deploys
	// do not have yet what a create request made.
	Done  bool
	Lists int
	// Hold delays the response until it is closed or the client disconnects.
	Hold <-chan struct{}
}

func (f Fault) fails() bool { return f.Reset || f.Hold != nil || f.Status != 0 }

// A Server is a Netlify server.
type Server struct {
	opts Options
	http *http.Server
	api  net.Listener
	wg   sync.WaitGroup

	mu       sync.Mutex
	deploys  []*deploy // oldest first
	have     contents
	aliases  map[string]*alias
	faults   []Fault
	requests map[string]int
	next     int
}

// An alias is an alias with its server.
type alias struct {
	name     string
	listener net.Listener
	server   *http.Server
	now      *deploy // nil for none
}

// New starts a server on loopback. Close ends it.
func New(o Options) (*Server, error) {
	o.SiteID, o.SiteName = cmp.Or(o.SiteID, "site"), cmp.Or(o.SiteName, "shop")
	if o.Now == nil {
		o.Now = time.Now
	}
	dir, err := os.MkdirTemp("", "netlify")
	if err != nil {
		return nil, err
	}
	s := &Server{opts: o, have: contents{dir, map[string]bool{}}, aliases: map[string]*alias{}, requests: map[string]int{}}
	if s.api, err = net.Listen("tcp", "127.0.0.1:0"); err != nil { //nolint:noctx // loopback
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s.http = s.serve(s.api, s.routes())
	return s, nil
}

func (s *Server) serve(l net.Listener, h http.Handler) *http.Server {
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	s.wg.Go(func() { _ = server.Serve(l) })
	return server
}

// Close stops the server and deletes its content.
func (s *Server) Close() error {
	err := s.http.Close()
	s.mu.Lock()
	for _, a := range s.aliases {
		err = errors.Join(err, a.server.Close())
	}
	s.mu.Unlock()
	s.wg.Wait()
	return errors.Join(err, os.RemoveAll(s.have.dir))
}

// T is the part of testing.TB that NewT needs; this package is also part of programs.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
}

// NewT starts a server for a test, which fails on any unexpected request.
func NewT(t T, o Options) *Server {
	t.Helper()
	o.Unexpected = func(what string) { t.Errorf("netlifytest: unexpected request: %s", what) }
	s, err := New(o)
	if err != nil {
		t.Fatalf("netlifytest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("netlifytest: %v", err)
		}
	})
	return s
}

// URL returns the API's URL.
func (s *Server) URL() string { return "http://" + s.api.Addr().String() + "/api/v1" }

// SiteURL returns the URL of an alias. It answers 404 without a deploy.
func (s *Server) SiteURL(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.alias(name)
	if err != nil {
		return ""
	}
	return "http://" + a.listener.Addr().String()
}

// alias returns the alias, and starts it if necessary.
func (s *Server) alias(name string) (*alias, error) {
	if a := s.aliases[name]; a != nil {
		return a, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		return nil, err
	}
	a := &alias{name: name, listener: l}
	a.server = s.serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.page(w, r, s.at(a), r.URL.Path) }))
	s.aliases[name] = a
	return a, nil
}

func (s *Server) at(a *alias) *deploy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return a.now
}

// Inject adds a fault.
func (s *Server) Inject(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		f.From, f.Times = max(f.From, 1), max(f.Times, 1)
		s.faults = append(s.faults, f)
	}
}

// Requests counts the requests of each kind, including those with a fault.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for k, n := range s.requests {
		out[k] = n
	}
	return out
}

// Know makes the server treat contents as uploaded, by their SHA-1 or SHA-256. It cannot
// serve them.
func (s *Server) Know(sums ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sum := range sums {
		s.have.sums[sum] = true
	}
}

// Add adds an empty deploy that is ready, and returns its ID.
func (s *Server) Add(branch, title string, created time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.add(branch, title)
	d.State, d.CreatedAt = "ready", created.UTC().Format(time.RFC3339)
	return d.ID
}

// fallback returns what an alias serves after its deploy was deleted, nil for nothing.
// It requires the lock.
func (s *Server) fallback(name string) *deploy {
	if !s.opts.Behaviour.Fallback {
		return nil
	}
	for _, d := range slices.Backward(s.deploys) {
		if d.Branch == name && d.State == "ready" {
			return d
		}
	}
	return nil
}

// A Deploy is a deploy for a test to inspect.
type Deploy struct {
	ID, Alias, Title, State string
	Commit                  string
	Draft, Async            bool
	Files, Functions        map[string]string
	// Retries are the X-Nf-Retry-Count headers of uploaded functions, empty if absent.
	Retries   []string
	Schedules map[string]string
}

// Deploys returns all deploys, oldest first.
func (s *Server) Deploys() []Deploy {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Deploy
	for _, d := range s.deploys {
		schedules := map[string]string{}
		for _, f := range d.FunctionSchedules {
			schedules[f.Name] = f.Cron
		}
		out = append(out, Deploy{
			ID: d.ID, Alias: d.Branch, Title: d.Title, State: d.State, Commit: d.CommitRef, Draft: d.Draft,
			Files: d.files, Functions: d.functions, Retries: slices.Clone(d.retries), Schedules: schedules,
		})
	}
	return out
}

// Content returns a file of a deploy as it was uploaded.
func (s *Server) Content(id, path string) (string, error) {
	s.mu.Lock()
	d := s.find(id)
	s.mu.Unlock()
	if d == nil || d.files[path] == "" {
		return "", fmt.Errorf("deploy %s has no file %q", id, path)
	}
	raw, err := os.ReadFile(s.have.path(d.files[path]))
	return string(raw), err
}

// find requires the lock.
func (s *Server) find(id string) *deploy {
	i := slices.IndexFunc(s.deploys, func(d *deploy) bool { return d.ID == id })
	if i < 0 {
		return nil
	}
	return s.deploys[i]
}

// add requires the lock.
func (s *Server) add(branch, title string) *deploy {
	s.next++
	d := &deploy{Deploy: models.Deploy{
		ID: fmt.Sprintf("%024x", s.next), SiteID: s.opts.SiteID, Name: s.opts.SiteName, Branch: branch, Title: title, State: "new",
		CreatedAt: s.opts.Now().UTC().Format(time.RFC3339), AdminURL: "http://" + s.api.Addr().String() + "/admin",
	}}
	d.DeployURL = "http://" + s.api.Addr().String() + ownPath + d.ID + "/"
	d.DeploySslURL = d.DeployURL
	if branch != "" {
		if a, err := s.alias(branch); err == nil {
			d.DeploySslURL = "http://" + a.listener.Addr().String()
		}
	}
	d.SslURL, d.URL = d.DeploySslURL, d.DeploySslURL
	s.deploys = append(s.deploys, d)
	return d
}
