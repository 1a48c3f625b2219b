package netlifytest

import (
	"crypto/sha1" // Netlify's choice
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netlify/open-api/v2/go/models"
)

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, op := range map[string]struct {
		name   string
		answer func(*call) error
	}{
		"POST /api/v1/sites/{site}/deploys":            {"create", s.create},
		"PUT /api/v1/sites/{site}/deploys/{id}":        {"update", s.update},
		"GET /api/v1/sites/{site}/deploys/{id}":        {"poll", s.poll},
		"DELETE /api/v1/sites/{site}/deploys/{id}":     {"delete", s.remove},
		"GET /api/v1/sites/{site}/deploys":             {"list", s.list},
		"PUT /api/v1/deploys/{id}/files/{path...}":     {"file", s.file},
		"PUT /api/v1/deploys/{id}/functions/{name...}": {"function", s.function},
		"POST /api/v1/deploys/{id}/cancel":             {"cancel", s.cancel},
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			c := &call{ResponseWriter: w, Request: r, op: op.name}
			if s.met(c) {
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

// met counts a request, and answers for a fault or a wrong token.
func (s *Server) met(c *call) bool {
	s.mu.Lock()
	s.requests[c.op]++
	n := s.requests[c.op]
	i := slices.IndexFunc(s.faults, func(f Fault) bool { return f.Op == c.op && n >= f.From && n < f.From+f.Times })
	var f Fault
	if i >= 0 {
		f = s.faults[i]
	}
	s.mu.Unlock()
	switch {
	case f.Reset:
		reset(c.ResponseWriter)
		return true
	case f.Hold != nil:
		select {
		case <-f.Hold:
		case <-c.Request.Context().Done():
			return true
		}
	case f.Status != 0:
		_, _ = io.Copy(io.Discard, c.Body)
		for k, v := range f.Header {
			c.ResponseWriter.Header()[k] = v
		}
		c.refuse(refusal{f.Status, f.Message})
		return true
	}
	token, ok := strings.CutPrefix(c.Request.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" || s.opts.Token != "" && token != s.opts.Token {
		c.refuse(refusal{http.StatusUnauthorized, "Access Denied"})
		return true
	}
	return false
}

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

// find requires the lock.
func (s *Server) find(id string) *deploy {
	i := slices.IndexFunc(s.deploys, func(d *deploy) bool { return d.ID == id })
	if i < 0 {
		return nil
	}
	return s.deploys[i]
}

// the deploy of a call, with the lock.
func (s *Server) the(c *call) (*deploy, error) {
	if site := c.PathValue("site"); site != "" && site != s.opts.SiteID {
		return nil, errNotFound
	}
	if d := s.find(c.PathValue("id")); d != nil {
		return d, nil
	}
	return nil, errNotFound
}

// body reads the JSON of a request.
func (c *call) body() (models.DeployFiles, error) {
	var in struct {
		models.DeployFiles
		Files     map[string]string `json:"files"`
		Functions map[string]string `json:"functions"`
		Zip       any               `json:"zip"`
	}
	if err := json.NewDecoder(c.Body).Decode(&in); err != nil {
		return in.DeployFiles, refusal{http.StatusBadRequest, err.Error()}
	}
	in.DeployFiles.Files, in.DeployFiles.Functions = in.Files, in.Functions
	return in.DeployFiles, nil
}

func (s *Server) create(c *call) error {
	in, err := c.body()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.PathValue("site") != s.opts.SiteID {
		return errNotFound
	}
	d := s.add(in.Branch, c.URL.Query().Get("title"))
	d.Draft = in.Draft
	c.json(http.StatusOK, d.Deploy)
	return nil
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

func (s *Server) update(c *call) error {
	in, err := c.body()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.the(c)
	if err != nil {
		return err
	}
	if in.Branch != "" {
		d.Branch = in.Branch
	}
	d.files, _ = in.Files.(map[string]string)
	d.functions, _ = in.Functions.(map[string]string)
	d.FunctionSchedules = in.FunctionSchedules
	d.wanted = nil
	for _, sums := range []map[string]string{d.files, d.functions} {
		for _, sum := range sums {
			if !s.have[sum] && !slices.Contains(d.wanted, sum) {
				d.wanted = append(d.wanted, sum)
			}
		}
	}
	slices.Sort(d.wanted)
	if in.Async {
		d.enter("preparing")
	} else {
		d.enter("uploading")
		s.require(d)
		s.settle(d)
	}
	c.json(http.StatusOK, d.Deploy)
	return nil
}

func (d *deploy) enter(state string) { d.State, d.looks = state, 0 }

// require sets the contents that are missing.
func (s *Server) require(d *deploy) {
	d.Required, d.RequiredFunctions = []string{}, []string{}
	for _, sum := range d.wanted {
		switch {
		case s.have[sum]:
		case len(sum) == sha1.Size*2:
			d.Required = append(d.Required, sum)
		default:
			d.RequiredFunctions = append(d.RequiredFunctions, sum)
		}
	}
}

// settle advances a complete deploy.
func (s *Server) settle(d *deploy) {
	if d.State != "uploading" && d.State != "prepared" || len(d.Required)+len(d.RequiredFunctions) > 0 {
		return
	}
	if d.lost < s.opts.Behaviour.Lose && len(d.wanted) > 0 {
		d.lost++
		delete(s.have, d.wanted[0])
		s.require(d)
		return
	}
	d.enter("uploaded")
}

func (s *Server) poll(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.the(c)
	if err != nil {
		return err
	}
	s.look(d)
	c.json(http.StatusOK, d.Deploy)
	return nil
}

// look advances a deploy by one read.
func (s *Server) look(d *deploy) {
	d.looks++
	b := s.opts.Behaviour
	switch d.State {
	case "preparing":
		if d.looks > b.Prepare {
			d.enter("prepared")
			s.require(d)
		}
	case "prepared", "uploading":
		s.require(d)
		s.settle(d)
	case "uploaded":
		d.enter("processing")
	case "processing":
		if b.Stuck || d.looks <= b.Process {
			return
		}
		if b.Fail != "" {
			d.enter("error")
			d.ErrorMessage = b.Fail
			return
		}
		d.enter("ready")
		d.rules = s.rulesOf(d)
		if a := s.aliases[d.Branch]; a != nil && d.Branch != "" {
			a.now = d
		}
	}
}

func (s *Server) file(c *call) error {
	return s.receive(c, c.PathValue("path"), sha1.New(), func(d *deploy) map[string]string { return d.files }, models.File{Path: c.PathValue("path")})
}

func (s *Server) function(c *call) error {
	if c.URL.Query().Get("runtime") == "" {
		s.unexpected("a function without a runtime")
	}
	return s.receive(c, c.PathValue("name"), sha256.New(), func(d *deploy) map[string]string { return d.functions }, models.Function{Name: c.PathValue("name")})
}

// receive stores a required upload with the right digest.
func (s *Server) receive(c *call, name string, h hash.Hash, of func(*deploy) map[string]string, answer any) error {
	s.mu.Lock()
	d, err := s.the(c)
	want := ""
	if err == nil {
		want = of(d)[name]
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if want == "" {
		s.unexpected(fmt.Sprintf("an upload of %q, which the deploy was not told of", name))
		return refusal{http.StatusUnprocessableEntity, "no such file in this deploy"}
	}
	f, err := os.CreateTemp(s.dir, "upload")
	if err != nil {
		return err
	}
	_, err = io.Copy(io.MultiWriter(f, h), c.Body)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return refusal{http.StatusUnprocessableEntity, fmt.Sprintf("%s has digest %s, not %s", name, got, want)}
	}
	if err := os.Rename(f.Name(), s.blob(want)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.op == "function" {
		d.retries = append(d.retries, c.Request.Header.Get("X-Nf-Retry-Count"))
	}
	s.have[want] = true
	c.json(http.StatusOK, answer)
	return nil
}

// blob returns the path of a content.
func (s *Server) blob(sum string) string { return filepath.Join(s.dir, sum) }

func (s *Server) cancel(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.the(c)
	if err != nil {
		return err
	}
	d.enter("error")
	d.ErrorMessage = "Canceled"
	c.json(http.StatusCreated, d.Deploy)
	return nil
}

func (s *Server) remove(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.the(c)
	if err != nil {
		return err
	}
	s.deploys = slices.DeleteFunc(s.deploys, func(o *deploy) bool { return o == d })
	for _, a := range s.aliases {
		if a.now == d {
			a.now = nil
		}
	}
	c.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) list(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.PathValue("site") != s.opts.SiteID {
		return errNotFound
	}
	q := c.URL.Query()
	all := []models.Deploy{}
	for _, d := range slices.Backward(s.deploys) {
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
