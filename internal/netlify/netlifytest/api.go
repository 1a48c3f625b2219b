package netlifytest

import (
	"crypto/sha1" // Netlify's choice
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netlify/open-api/v2/go/models"
)

func (s *Server) routes() http.Handler {
	mux, a := http.NewServeMux(), api{s}
	for pattern, op := range map[string]struct {
		name   string
		answer func(*call) error
	}{
		"POST /api/v1/sites/{site}/deploys":            {"create", a.create},
		"PUT /api/v1/sites/{site}/deploys/{id}":        {"update", a.update},
		"GET /api/v1/sites/{site}/deploys/{id}":        {"poll", a.poll},
		"DELETE /api/v1/sites/{site}/deploys/{id}":     {"delete", a.remove},
		"GET /api/v1/sites/{site}/deploys":             {"list", a.list},
		"PUT /api/v1/deploys/{id}/files/{path...}":     {"file", a.file},
		"PUT /api/v1/deploys/{id}/functions/{name...}": {"function", a.function},
		"POST /api/v1/deploys/{id}/cancel":             {"cancel", a.cancel},
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", s.opts.Now().UTC().Format(http.TimeFormat))
			c := &call{ResponseWriter: w, Request: r, op: op.name}
			f := s.fault(c)
			if !s.authorized(c, f) || f.fails() && s.fail(c, f, op.answer) {
				return
			}
			if err := op.answer(c); err != nil {
				c.refuse(err)
			}
		})
	}
	mux.HandleFunc("GET "+ownPath+"{id}/{path...}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		d := s.find(r.PathValue("id"))
		s.mu.Unlock()
		s.page(w, r, d, "/"+r.PathValue("path"))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if s.opts.Also != nil && s.opts.Also(w, r) {
			return
		}
		s.unexpected(r.Method + " " + r.URL.Path)
		http.Error(w, `{"message":"not made for this"}`, http.StatusNotImplemented)
	})
	return mux
}

// ownPath is the prefix of the paths of deploys' own URLs.
const ownPath = "/_deploys/"

func (s *Server) unexpected(what string) {
	if s.opts.Unexpected != nil {
		s.opts.Unexpected(what)
	}
}

// A call is a request and its response.
type call struct {
	http.ResponseWriter
	*http.Request
	op string
}

// A refusal is an error with a status.
type refusal struct {
	status int
	text   string
}

func (e refusal) Error() string { return e.text }

var errNotFound = refusal{http.StatusNotFound, "Not Found"}

func (c *call) refuse(err error) {
	said := refusal{http.StatusInternalServerError, err.Error()}
	errors.As(err, &said)
	c.json(said.status, models.Error{Code: int64(said.status), Message: said.text})
}

func (c *call) json(status int, v any) {
	c.ResponseWriter.Header().Set("Content-Type", "application/json")
	c.WriteHeader(status)
	_ = json.NewEncoder(c.ResponseWriter).Encode(v) // a client that went away
}

// fault counts a request, and returns the fault that it meets, if any.
func (s *Server) fault(c *call) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[c.op]++
	n := s.requests[c.op]
	i := slices.IndexFunc(s.faults, func(f Fault) bool { return f.Op == c.op && n >= f.From && n < f.From+f.Times })
	if i < 0 {
		return Fault{}
	}
	return s.faults[i]
}

// authorized checks the token, which a server that fails may not come to.
func (s *Server) authorized(c *call, f Fault) bool {
	token, ok := strings.CutPrefix(c.Request.Header.Get("Authorization"), "Bearer ")
	if ok && token != "" && (s.opts.Token == "" || token == s.opts.Token) || f.fails() {
		return true
	}
	c.refuse(refusal{http.StatusUnauthorized, "Access Denied"})
	return false
}

// fail applies a fault, and reports whether that was the answer.
func (s *Server) fail(c *call, f Fault, answer func(*call) error) bool {
	if f.Hold != nil {
		select {
		case <-f.Hold:
			return false
		case <-c.Request.Context().Done():
			return true
		}
	}
	if f.Done {
		_ = answer(&call{ResponseWriter: nowhere{}, Request: c.Request, op: c.op})
		s.hide(c.op, f.Lists)
	}
	if f.Reset {
		reset(c.ResponseWriter)
		return true
	}
	_, _ = io.Copy(io.Discard, c.Body)
	for k, v := range f.Header {
		c.ResponseWriter.Header()[k] = v
	}
	c.refuse(refusal{f.Status, f.Message})
	return true
}

// hide keeps the newest deploy out of some lists, if it was just created.
func (s *Server) hide(op string, lists int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op == "create" && len(s.deploys) > 0 {
		s.deploys[len(s.deploys)-1].hidden = lists
	}
}

// nowhere is where the answer to a request goes that is not answered.
type nowhere struct{}

// Header implements http.ResponseWriter.
func (nowhere) Header() http.Header { return http.Header{} }

// Write implements http.ResponseWriter.
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements http.ResponseWriter.
func (nowhere) WriteHeader(int) {}

// reset resets a connection as a crashed server does.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// An api answers the requests of Netlify's API. Each one locks the Server and acts on its
// deploys.
type api struct{ s *Server }

// the deploy of a call, with the lock.
func (a api) the(c *call) (*deploy, error) {
	if site := c.PathValue("site"); site != "" && site != a.s.opts.SiteID {
		return nil, errNotFound
	}
	if d := a.s.find(c.PathValue("id")); d != nil {
		return d, nil
	}
	return nil, errNotFound
}

// body reads the JSON of a request, which must be what the swagger describes.
func (a api) body(c *call) (models.DeployFiles, error) {
	var in struct {
		models.DeployFiles
		Files     map[string]string `json:"files"`
		Functions map[string]string `json:"functions"`
		Zip       any               `json:"zip"`
	}
	raw, err := io.ReadAll(c.Body)
	if err == nil && !json.Valid(raw) {
		return in.DeployFiles, refusal{http.StatusBadRequest, "not JSON"}
	}
	if err == nil {
		err = checkBody(raw, a.s.opts.CLI)
	}
	if err == nil {
		err = json.Unmarshal(raw, &in)
	}
	if err != nil {
		return in.DeployFiles, refusal{http.StatusUnprocessableEntity, err.Error()}
	}
	in.DeployFiles.Files, in.DeployFiles.Functions = in.Files, in.Functions
	return in.DeployFiles, nil
}

func (a api) create(c *call) error {
	in, err := a.body(c)
	if err != nil {
		return err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if c.PathValue("site") != a.s.opts.SiteID {
		return errNotFound
	}
	d := a.s.add(in.Branch, c.URL.Query().Get("title"))
	d.Draft = in.Draft
	c.json(http.StatusOK, d.Deploy)
	return nil
}

func (a api) update(c *call) error {
	in, err := a.body(c)
	if err != nil {
		return err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	d, err := a.the(c)
	if err != nil {
		return err
	}
	if ref := c.URL.Query().Get("commit_ref"); ref != "" {
		d.CommitRef = ref
	}
	d.plan(in, a.s.have, a.s.opts.Behaviour)
	c.json(http.StatusOK, d.Deploy)
	return nil
}

func (a api) poll(c *call) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	d, err := a.the(c)
	if err != nil {
		return err
	}
	if d.look(a.s.have, a.s.opts.Behaviour) {
		d.rules = a.s.rulesOf(d)
		d.PublishedAt = a.s.opts.Now().UTC().Format(time.RFC3339)
		if at := a.s.aliases[d.Branch]; at != nil && d.Branch != "" {
			at.now = d
		}
	}
	c.json(http.StatusOK, d.Deploy)
	return nil
}

func (a api) file(c *call) error {
	return a.receive(c, c.PathValue("path"), sha1.New(), func(d *deploy) map[string]string { return d.files }, models.File{Path: c.PathValue("path")})
}

func (a api) function(c *call) error {
	if c.URL.Query().Get("runtime") == "" {
		a.s.unexpected("a function without a runtime")
	}
	return a.receive(c, c.PathValue("name"), sha256.New(), func(d *deploy) map[string]string { return d.functions }, models.Function{Name: c.PathValue("name")})
}

// receive stores a required upload with the right digest.
func (a api) receive(c *call, name string, h hash.Hash, of func(*deploy) map[string]string, answer any) error {
	a.s.mu.Lock()
	d, err := a.the(c)
	want := ""
	if err == nil {
		want = of(d)[name]
	}
	a.s.mu.Unlock()
	if err != nil {
		return err
	}
	if want == "" {
		a.s.unexpected(fmt.Sprintf("an upload of %q, which the deploy was not told of", name))
		return refusal{http.StatusUnprocessableEntity, "no such file in this deploy"}
	}
	if err := a.s.have.save(c.Body, h, name, want); err != nil {
		return err
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if c.op == "function" {
		d.retries = append(d.retries, c.Request.Header.Get("X-Nf-Retry-Count"))
	}
	a.s.have.sums[want] = true
	c.json(http.StatusOK, answer)
	return nil
}

func (a api) cancel(c *call) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	d, err := a.the(c)
	if err != nil {
		return err
	}
	d.enter("error")
	d.ErrorMessage = "Canceled"
	c.json(http.StatusCreated, d.Deploy)
	return nil
}

func (a api) remove(c *call) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	d, err := a.the(c)
	if err != nil {
		return err
	}
	a.s.deploys = slices.DeleteFunc(a.s.deploys, func(o *deploy) bool { return o == d })
	for _, at := range a.s.aliases {
		if at.now == d {
			at.now = a.s.fallback(at.name)
		}
	}
	c.WriteHeader(http.StatusNoContent)
	return nil
}

func (a api) list(c *call) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if c.PathValue("site") != a.s.opts.SiteID {
		return errNotFound
	}
	q := c.URL.Query()
	all := []models.Deploy{}
	for _, d := range slices.Backward(a.s.deploys) {
		if d.hidden > 0 {
			d.hidden--
			continue
		}
		if b, state := q.Get("branch"), q.Get("state"); (b == "" || b == d.Branch) && (state == "" || state == d.State) {
			all = append(all, d.Deploy)
		}
	}
	page, size := number(q.Get("page"), 1), min(number(q.Get("per_page"), 100), 100)
	from := min((page-1)*size, len(all))
	c.json(http.StatusOK, all[from:min(from+size, len(all))])
	return nil
}

func number(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return n
	}
	return otherwise
}
