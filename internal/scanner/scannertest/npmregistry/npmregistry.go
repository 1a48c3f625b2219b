// Package npmregistry is a registry of npm packages for tests: the endpoint that
// npm audit asks, and the documents of the packages with advisories.
//
// It refuses what npm's registry refuses, so that a test against it says that the
// real npm spoke the real protocol. The advisories are those of GitHub's database.
package npmregistry

import (
	"compress/gzip"
	_ "embed" // data
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// advisories are of GitHub's advisory database, in the form of the endpoint; see
// SOURCE.
//
//go:embed advisories.json
var advisories []byte

// packuments are the versions and dependencies of packages, see SOURCE.
//
//go:embed packuments.json
var packuments []byte

// Server is a registry on loopback.
type Server struct {
	URL string

	mu       sync.Mutex
	asked    map[string][]string
	silent   bool
	packages map[string]document
	known    map[string][]Advisory
}

// An Advisory is one of the endpoint's answer.
type Advisory struct {
	ID       int      `json:"id"`
	URL      string   `json:"url"`
	Title    string   `json:"title"`
	Severity string   `json:"severity"`
	Versions string   `json:"vulnerable_versions"`
	CWE      []string `json:"cwe"`
	CVSS     struct {
		Score  float64 `json:"score"`
		Vector string  `json:"vectorString"`
	} `json:"cvss"`
}

// document is a package: its newest version, and the dependencies of each.
type document struct {
	Latest   string                       `json:"latest"`
	Versions map[string]map[string]string `json:"versions"`
}

// New starts a registry that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{asked: map[string][]string{}}
	for data, into := range map[*[]byte]any{&advisories: &s.known, &packuments: &s.packages} {
		if err := json.Unmarshal(*data, into); err != nil {
			t.Fatalf("the registry's data: %v", err)
		}
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL + "/"
	return s
}

// Silence makes the registry answer that no package has an advisory, as one does
// that lies or has lost its data.
func (s *Server) Silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
}

// Asked returns the versions of a package that npm asked about.
func (s *Server) Asked(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked[name])
}

// ServeHTTP answers as the registry does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/-/npm/v1/security/advisories/bulk" && r.Method == http.MethodPost:
		s.bulk(w, r)
	case r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/-/"):
		s.packument(w, strings.TrimPrefix(r.URL.Path, "/"))
	default:
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, r.Method+" "+r.URL.Path)
	}
}

// bulk answers which advisories are for versions of packages.
func (s *Server) bulk(w http.ResponseWriter, r *http.Request) {
	asked, err := body(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := map[string][]Advisory{}
	for name, versions := range asked {
		s.asked[name] = append(s.asked[name], versions...)
		for _, a := range s.known[name] {
			if !s.silent && slices.ContainsFunc(versions, func(v string) bool { return within(v, a.Versions) }) {
				answer[name] = append(answer[name], a)
			}
		}
	}
	reply(w, answer)
}

// body reads a request: gzip, JSON, names with at least one version each.
func body(r *http.Request) (map[string][]string, error) {
	if got := r.Header.Get("Content-Encoding"); got != "gzip" {
		return nil, fmt.Errorf("the content encoding is %q, want gzip", got)
	}
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		return nil, fmt.Errorf("the content type is %q, want application/json", got)
	}
	unzipped, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(unzipped, 10<<20))
	if err != nil {
		return nil, err
	}
	var asked map[string][]string
	if err := json.Unmarshal(data, &asked); err != nil {
		return nil, err
	}
	for name, versions := range asked {
		if name == "" || len(versions) == 0 {
			return nil, fmt.Errorf("package %q has no version", name)
		}
	}
	return asked, nil
}

// packument answers with the short form of a package's document.
func (s *Server) packument(w http.ResponseWriter, name string) {
	doc, ok := s.packages[name]
	if !ok {
		refuse(w, http.StatusNotFound, "Not found")
		return
	}
	versions := map[string]any{}
	for version, deps := range doc.Versions {
		versions[version] = map[string]any{
			"name": name, "version": version, "dependencies": deps,
			"dist": map[string]string{"tarball": s.URL + name + "/-/" + name + "-" + version + ".tgz"},
		}
	}
	reply(w, map[string]any{"name": name, "dist-tags": map[string]string{"latest": doc.Latest}, "versions": versions})
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": why})
}

// within reports whether a version is in a range of comparators, "<1.2.3" or
// ">=1.0.0 <1.2.3": all that advisories here have.
func within(version, versions string) bool {
	for _, comparator := range strings.Fields(versions) {
		op := strings.TrimRight(comparator, "0123456789.")
		order := slices.Compare(numbers(version), numbers(comparator[len(op):]))
		ok := map[string]bool{"<": order < 0, "<=": order <= 0, ">=": order >= 0, ">": order > 0}
		if !ok[op] {
			return false
		}
	}
	return true
}

func numbers(version string) []int {
	var parts []int
	for part := range strings.SplitSeq(version, ".") {
		n, _ := strconv.Atoi(part)
		parts = append(parts, n)
	}
	return parts
}
