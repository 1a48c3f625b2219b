package githubtest

import "net/http"

// An Extension is a further API of the server's repositories, that another package
// implements. Its handlers run one at a time, with the server's.
type Extension struct{ s *Server }

// A Reply answers a request.
type Reply struct {
	Status int
	Body   any   // nil for none
	Items  []any // a list, of which the server returns one page; nil for none
}

// Refuse is GitHub's refusal of a request.
func Refuse(status int, message string, errs ...map[string]string) Reply {
	a := refuse(status, message, errs...)
	return Reply{Status: a.status, Body: a.body}
}

// Extend returns an Extension of a server.
func Extend(s *Server) *Extension { return &Extension{s} }

// Handle serves a pattern below a repository, such as "GET /issues/{number}".
func (e *Extension) Handle(method, path string, serve func(repo string, r *http.Request) Reply) {
	e.s.mux.HandleFunc(method+" /repos/{owner}/{repo}"+path, e.s.serve(func(repo *repository, r *http.Request) answer {
		reply := serve(repo.name, r)
		if reply.Items != nil {
			return e.s.hub.paged(r, reply.Items)
		}
		return answer{status: reply.Status, body: reply.Body}
	}, true))
}

// Do runs a function as handlers run.
func (e *Extension) Do(f func()) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	f()
}

// Conversation returns the number of a new conversation of a repository, which can be
// commented: issues and pull requests share their numbers. Call it in a handler, or in
// Do.
func (e *Extension) Conversation(repo string) int {
	r := e.s.hub.repo(repo)
	n := r.conversations
	for number := range r.pulls {
		n = max(n, number)
	}
	r.conversations = n + 1
	return n + 1
}

// Login is the token's user.
func (e *Extension) Login() string { return e.s.options.Login }

// User is a user as GitHub sends one.
func User(login string) map[string]any { return user(login) }

// Decode reads a request's body.
func Decode(r *http.Request, into any) bool { return decode(r, into) }
