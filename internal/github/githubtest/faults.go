package githubtest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Failure answers a request instead of the server; next is the server's handler.
type Failure func(w http.ResponseWriter, r *http.Request, next http.Handler)

// A Fault makes requests fail. The first that matches a request applies.
type Fault struct {
	Method string // "" for any
	Path   string // part of the path; "" for any
	Skip   int    // this many go well before
	Times  int    // this many fail; 0 for all
	Do     Failure
}

// Inject adds a fault.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal removes all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// faults are those that still apply, oldest first.
type faults []*Fault

// of returns the failure of a request, nil without one.
func (all *faults) of(r *http.Request) Failure {
	for i, f := range *all {
		if f.Method != "" && f.Method != r.Method || !strings.Contains(r.URL.Path, f.Path) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			return nil
		}
		if f.Times--; f.Times == 0 {
			*all = slices.Delete(*all, i, i+1)
		}
		return f.Do
	}
	return nil
}

func say(w http.ResponseWriter, status int, header map[string]string, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for name, value := range header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// Answer answers with a status and a body.
func Answer(status int, body string) Failure {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { say(w, status, nil, body) }
}

// Forbidden is the response to a token without the permission.
func Forbidden(message string) Failure {
	return Answer(http.StatusForbidden, `{"message":`+strconv.Quote(message)+`,"documentation_url":"https://docs.github.com/rest","status":"403"}`)
}

// PrimaryLimit is the hourly limit, until reset.
func PrimaryLimit(reset time.Time) Failure {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		say(w, http.StatusForbidden, map[string]string{"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": strconv.FormatInt(reset.Unix(), 10)},
			`{"message":"API rate limit exceeded for installation ID 1.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"}`)
	}
}

// SecondaryLimit is the limit of concurrent requests; with after 0 it has no
// Retry-After.
func SecondaryLimit(after time.Duration) Failure {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		header := map[string]string{"X-RateLimit-Remaining": "4000"}
		if after > 0 {
			header["Retry-After"] = strconv.Itoa(int(after.Seconds()))
		}
		say(w, http.StatusForbidden, header,
			`{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`)
	}
}

// Lost processes the request and closes the connection instead of responding.
func Lost() Failure {
	return func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(unheard{}, r)
		panic(http.ErrAbortHandler)
	}
}

// Held delays the request until gate is closed or the client disconnects.
func Held(gate <-chan struct{}) Failure {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		select {
		case <-gate:
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}
}

// unheard discards a response.
type unheard struct{}

// Header implements http.ResponseWriter.
func (unheard) Header() http.Header { return http.Header{} }

// Write implements http.ResponseWriter.
func (unheard) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements http.ResponseWriter.
func (unheard) WriteHeader(int) {}
