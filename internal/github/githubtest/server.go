// Package githubtest is a GitHub in this process: a server with state that implements
// the part of the REST and GraphQL APIs that internal/github uses. It reports other
// requests and answers them with 404, so that a test with unexpected requests fails.
//
// It serves tests, by Start, and a preview without an account, by New. It follows
// GitHub's documented rules where a client depends on them: paging, the length of
// comments, which deployments become inactive, what read-only tokens and apps' tokens
// may not do, and that commits of forks have no pull requests. It does not validate
// what no client here sends.
package githubtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bot is the author of what GITHUB_TOKEN writes.
const Bot = "github-actions[bot]"

// Options configure a server; the zero value is valid.
type Options struct {
	Token    string // the one it knows; "" for any
	Login    string // whose the token is; "" for Bot. With [bot] at its end it is an app's
	ReadOnly bool   // the token may write nothing, as in a fork's pull request
	Admin    bool   // it may delete environments
	NoPulls  bool   // it may not open pull requests, as the settings of Actions have it
	Now      func() time.Time
	// Report is called for every request that the server does not implement.
	Report func(format string, args ...any)
}

// A Server is a GitHub server. It may be used by several goroutines.
type Server struct {
	options Options
	url     string
	http    *http.Server
	mux     *http.ServeMux

	mu       sync.Mutex
	closed   bool
	hub      hub
	faults   faults
	requests []string
}

// New starts a server on the loopback interface. The caller closes it.
func New(o Options) (*Server, error) {
	if o.Login == "" {
		o.Login = Bot
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Report == nil {
		o.Report = func(string, ...any) {}
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve a GitHub: %w", err)
	}
	s := &Server{options: o, url: "http://" + listener.Addr().String()}
	s.hub = hub{options: &s.options, url: s.url, repos: map[string]*repository{}, lastID: 1_000_000}
	s.mux = s.routes()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.http.Serve(listener) }() // until Close
	return s, nil
}

// A TB is the part of testing.TB that Start needs.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Start starts a server for a test, which fails on a request that the server does not
// implement.
func Start(t TB, o Options) *Server {
	t.Helper()
	if o.Report == nil {
		o.Report = t.Errorf
	}
	s, err := New(o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// URL returns the API's URL.
func (s *Server) URL() string { return s.url }

// Close stops the server and its open requests.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
}

// Requests returns the requests so far, such as "GET /user".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// SetReadOnly sets whether the token may only read.
func (s *Server) SetReadOnly(readOnly bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.ReadOnly = readOnly
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	fault := s.faults.of(r)
	s.mu.Unlock()
	if fault != nil {
		fault(w, r, s.mux)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// An answer is the response to a request.
type answer struct {
	status int
	body   any // nil for none
	link   string
}

func refuse(status int, message string, errs ...map[string]string) answer {
	body := map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status)}
	if len(errs) > 0 {
		body["errors"] = errs
	}
	return answer{status: status, body: body}
}

func invalid(resource, field, message string) answer {
	return refuse(http.StatusUnprocessableEntity, "Validation Failed", map[string]string{"resource": resource, "field": field, "code": "unprocessable", "message": message})
}

var (
	notFound     = refuse(http.StatusNotFound, "Not Found")
	inaccessible = refuse(http.StatusForbidden, "Resource not accessible by integration")
)

// A page answers one kind of request, with the server locked.
type page func(repo *repository, r *http.Request) answer

func (s *Server) routes() *http.ServeMux {
	m := http.NewServeMux()
	pulls, comments, deployments, me := pullsAPI{&s.hub}, commentsAPI{&s.hub}, deploymentsAPI{&s.hub}, account{&s.hub}
	contents, git := contentsAPI{&s.hub}, gitAPI{&s.hub}
	const repo = "/repos/{owner}/{repo}"
	for pattern, p := range map[string]page{
		"GET " + repo:                                    contents.repository,
		"GET " + repo + "/contents/{path...}":            contents.get,
		"PUT " + repo + "/contents/{path...}":            contents.put,
		"GET " + repo + "/git/ref/heads/{branch...}":     contents.ref,
		"POST " + repo + "/git/refs":                     contents.createRef,
		"GET " + repo + "/git/blobs/{sha}":               git.blob,
		"POST " + repo + "/git/trees":                    git.createTree,
		"POST " + repo + "/git/commits":                  git.createCommit,
		"POST " + repo + "/pulls":                        contents.createPull,
		"GET " + repo + "/pulls":                         pulls.list,
		"GET " + repo + "/pulls/{number}":                pulls.get,
		"GET " + repo + "/commits/{sha}/pulls":           pulls.of,
		"GET " + repo + "/branches/{branch...}":          pulls.branch,
		"GET " + repo + "/issues/{number}/comments":      comments.list,
		"POST " + repo + "/issues/{number}/comments":     comments.create,
		"GET " + repo + "/issues/comments":               comments.recent,
		"PATCH " + repo + "/issues/comments/{id}":        comments.edit,
		"DELETE " + repo + "/issues/comments/{id}":       comments.delete,
		"GET " + repo + "/deployments":                   deployments.list,
		"POST " + repo + "/deployments":                  deployments.create,
		"DELETE " + repo + "/deployments/{id}":           deployments.delete,
		"GET " + repo + "/deployments/{id}/statuses":     deployments.statuses,
		"POST " + repo + "/deployments/{id}/statuses":    deployments.createStatus,
		"DELETE " + repo + "/environments/{environment}": deployments.deleteEnvironment,
	} {
		m.HandleFunc(pattern, s.serve(p, true))
	}
	m.HandleFunc("GET /user", s.serve(me.user, false))
	m.HandleFunc("POST /graphql", s.serve(me.graphQL, false))
	m.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.report("%s %s: no such page", r.Method, r.URL)
		s.write(w, r, notFound)
	})
	return m
}

func (s *Server) serve(p page, ofRepo bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		a := s.admit(p, ofRepo, r)
		s.mu.Unlock()
		s.write(w, r, a)
	}
}

func (s *Server) admit(p page, ofRepo bool, r *http.Request) answer {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || s.options.Token != "" && token != s.options.Token {
		return refuse(http.StatusUnauthorized, "Bad credentials")
	}
	if !ofRepo {
		return p(nil, r)
	}
	repo := s.hub.repos[r.PathValue("owner")+"/"+r.PathValue("repo")]
	if repo == nil {
		return notFound
	}
	if r.Method != http.MethodGet && s.options.ReadOnly {
		return inaccessible
	}
	return p(repo, r)
}

func (s *Server) write(w http.ResponseWriter, _ *http.Request, a answer) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-RateLimit-Limit", "5000")
	h.Set("X-RateLimit-Remaining", "4999")
	h.Set("X-RateLimit-Reset", strconv.FormatInt(s.options.Now().Add(time.Hour).Unix(), 10))
	if a.link != "" {
		h.Set("Link", a.link)
	}
	w.WriteHeader(a.status)
	if a.body != nil {
		_ = json.NewEncoder(w).Encode(a.body) // a client that is gone needs none
	}
}

// report reports an unexpected request, unless the test has ended.
func (s *Server) report(format string, args ...any) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if !closed {
		s.options.Report("githubtest: "+format, args...)
	}
}

// decode reads a request's body.
func decode(r *http.Request, into any) bool {
	return json.NewDecoder(http.MaxBytesReader(nil, r.Body, 8<<20)).Decode(into) == nil
}

var problems = refuse(http.StatusBadRequest, "Problems parsing JSON")

func number(r *http.Request, name string) int64 {
	n, err := strconv.ParseInt(r.PathValue(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func user(login string) map[string]any {
	kind := "User"
	if strings.HasSuffix(login, "[bot]") {
		kind = "Bot"
	}
	return map[string]any{"login": login, "type": kind}
}
