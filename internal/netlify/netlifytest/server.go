// Package netlifytest is a Netlify for tests and for a machine without an account: a
// server in this process that speaks the part of Netlify's API that publishing
// takes, in the words of its swagger, keeps what it is given, and serves it.
//
// Its deploys go through Netlify's states as they are looked at, so that nothing in
// it waits. It can be told to misbehave, by [Fault] and [Behaviour]. What it was not
// made for it answers with 501 and reports: a client that begins to ask for
// something else is found out.
//
// Each alias answers at a port of its own on loopback, since a site's addresses are
// relative to its root. The deploy's own address is a path of the API's port. It
// applies the redirects and headers of the netlify.toml that it was given as far as
// they are plain: paths with a * at the end and :names, rewrites and redirects, no
// conditions, no other hosts.
//
// It is no test of Netlify: limits of an account, its network and its post-processing
// are not here.
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

// Options are what a server is made of. The zero value is a server with one site,
// "site", that takes any token.
type Options struct {
	Token    string // the only one that is taken; "" for any
	SiteID   string // "site" if ""
	SiteName string // "shop" if ""
	// Unexpected is told of each request that the server was not made for;
	// nil for nobody.
	Unexpected func(what string)
	// Also answers what the server does not know, and says whether it did;
	// nil for nothing.
	Also func(http.ResponseWriter, *http.Request) bool
	// Now is the clock of the deploys; nil for the system's.
	Now func() time.Time
	// Behaviour is what deploys go through.
	Behaviour Behaviour
}

// A Behaviour is how deploys fare.
type Behaviour struct {
	Prepare int // looks until an asynchronous comparison is done
	Process int // looks until a complete deploy is ready
	// Fail is the error_message with which complete deploys end; "" for none.
	Fail string
	// Stuck deploys are processed for ever.
	Stuck bool
	// Lose is how often, for each deploy, the first content that it required is
	// lost after all was uploaded, and asked for again.
	Lose int
}

// A Fault is an answer that comes instead of the right one.
type Fault struct {
	// Op is the kind of request: create, update, poll, file, function, cancel,
	// list or delete.
	Op string
	// From is the first request of the kind that it hits, and Times how many
	// from there on; 1 each if 0.
	From, Times int
	Status      int
	Header      http.Header
	Message     string
	// Reset breaks the connection off instead.
	Reset bool
	// Hold keeps the request waiting until it is closed or the client goes
	// away; then the right answer is given.
	Hold <-chan struct{}
}

// A Server is a Netlify.
type Server struct {
	opts Options
	dir  string // of contents, by digest
	http *http.Server
	api  net.Listener
	wg   sync.WaitGroup

	mu       sync.Mutex
	deploys  []*deploy // oldest first
	have     map[string]bool
	aliases  map[string]*alias
	faults   []Fault
	requests map[string]int
	next     int
}

// A deploy is one, with what it consists of.
type deploy struct {
	models.Deploy
	files     map[string]string // path to SHA-1
	functions map[string]string // name to SHA-256
	wanted    []string          // digests that it required at first
	looks     int               // since it is in its state
	lost      int
	retries   []string // X-Nf-Retry-Count of functions
	rules     rules
}

// An alias is a name that answers.
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
	s := &Server{opts: o, dir: dir, have: map[string]bool{}, aliases: map[string]*alias{}, requests: map[string]int{}}
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

// Close ends the server and forgets all it was given.
func (s *Server) Close() error {
	err := s.http.Close()
	s.mu.Lock()
	for _, a := range s.aliases {
		err = errors.Join(err, a.server.Close())
	}
	s.mu.Unlock()
	s.wg.Wait()
	return errors.Join(err, os.RemoveAll(s.dir))
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

// URL is the API's address.
func (s *Server) URL() string { return "http://" + s.api.Addr().String() + "/api/v1" }

// SiteURL is where an alias answers; 404 where nothing is published.
func (s *Server) SiteURL(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.alias(name)
	if err != nil {
		return ""
	}
	return "http://" + a.listener.Addr().String()
}

// alias finds or makes one.
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

// Requests are how many of each kind came, those that met a fault among them.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for k, n := range s.requests {
		out[k] = n
	}
	return out
}

// Know makes the server have contents already, by their SHA-1 or SHA-256. It can't
// serve them.
func (s *Server) Know(sums ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sum := range sums {
		s.have[sum] = true
	}
}

// Add puts a deploy there that is ready and holds nothing. It returns its ID.
func (s *Server) Add(branch, title string, created time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.add(branch, title)
	d.State, d.CreatedAt = "ready", created.UTC().Format(time.RFC3339)
	return d.ID
}

// A Deploy is what a test may look at.
type Deploy struct {
	ID, Alias, Title, State string
	Draft, Async            bool
	Files, Functions        map[string]string
	// Retries are the X-Nf-Retry-Count of uploaded functions, "" for none.
	Retries   []string
	Schedules map[string]string
}

// Deploys are all there are, oldest first.
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
			ID: d.ID, Alias: d.Branch, Title: d.Title, State: d.State, Draft: d.Draft,
			Files: d.files, Functions: d.functions, Retries: slices.Clone(d.retries), Schedules: schedules,
		})
	}
	return out
}

// Content is a file of a deploy as it was uploaded.
func (s *Server) Content(id, path string) (string, error) {
	s.mu.Lock()
	d := s.find(id)
	s.mu.Unlock()
	if d == nil || d.files[path] == "" {
		return "", fmt.Errorf("deploy %s has no file %q", id, path)
	}
	raw, err := os.ReadFile(s.blob(d.files[path]))
	return string(raw), err
}
