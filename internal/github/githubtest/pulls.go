package githubtest

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A Pull is a pull request.
type Pull struct {
	Number   int
	Title    string
	Author   string // "" for ann
	State    string // open, "", or closed
	Merged   bool
	HeadSHA  string
	HeadRef  string
	HeadRepo string // "" for the repository itself
	HeadGone bool   // the head's repository was deleted
	BaseRef  string // "" for main
}

// AddRepo creates a repository unless it exists.
func (s *Server) AddRepo(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hub.repo(name)
}

// AddPull opens a pull request, or replaces it.
func (s *Server) AddPull(repo string, p Pull) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.State, p.Author = cmp.Or(p.State, "open"), cmp.Or(p.Author, "ann")
	p.HeadRepo, p.BaseRef = cmp.Or(p.HeadRepo, repo), cmp.Or(p.BaseRef, "main")
	s.hub.repo(repo).pulls[p.Number] = &p
}

// ChangePull changes a pull request: pushes, closes or reopens it. It does nothing if
// there is none of that number.
func (s *Server) ChangePull(repo string, n int, change func(*Pull)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.hub.repo(repo).pulls[n]; p != nil {
		change(p)
	}
}

// AddBranch creates or moves a branch.
func (s *Server) AddBranch(repo, name, sha string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hub.repo(repo).branches[name] = sha
}

// RenameBranch renames a branch; the old name redirects to it.
func (s *Server) RenameBranch(repo, from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.hub.repo(repo)
	r.branches[to] = r.branches[from]
	r.renamed[from] = to
	delete(r.branches, from)
}

// DeleteBranch deletes a branch.
func (s *Server) DeleteBranch(repo, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.hub.repo(repo).branches, name)
}

// wire renders a pull request as in a list.
func (p *Pull) wire(repo *repository) map[string]any {
	fullName := func(name string) map[string]any {
		return map[string]any{"full_name": name, "fork": name != repo.name}
	}
	var head any
	if !p.HeadGone {
		head = fullName(p.HeadRepo)
	}
	var merged any
	if p.Merged {
		merged = time.Unix(1_780_000_000, 0).UTC().Format(time.RFC3339)
	}
	owner, _, _ := strings.Cut(p.HeadRepo, "/")
	return map[string]any{
		"number": p.Number, "state": p.State, "title": p.Title, "user": user(p.Author), "merged_at": merged,
		"html_url": fmt.Sprintf("https://github.com/%s/pull/%d", repo.name, p.Number),
		"head":     map[string]any{"ref": p.HeadRef, "sha": p.HeadSHA, "label": owner + ":" + p.HeadRef, "repo": head},
		"base":     map[string]any{"ref": p.BaseRef, "sha": strings.Repeat("0", 40), "repo": fullName(repo.name)},
	}
}

// A pullsAPI answers the requests about pull requests and branches.
type pullsAPI struct{ hub *hub }

func (a pullsAPI) get(repo *repository, r *http.Request) answer {
	p := repo.pulls[int(number(r, "number"))]
	if p == nil {
		return notFound
	}
	body := p.wire(repo)
	body["merged"] = p.Merged
	return answer{status: http.StatusOK, body: body}
}

func (a pullsAPI) list(repo *repository, r *http.Request) answer {
	q := r.URL.Query()
	state := cmp.Or(q.Get("state"), "open")
	numbers := slices.Sorted(maps.Keys(repo.pulls))
	if q.Get("direction") != "asc" {
		slices.Reverse(numbers)
	}
	var items []any
	for _, n := range numbers {
		p := repo.pulls[n]
		owner, _, _ := strings.Cut(p.HeadRepo, "/")
		fits := (q.Get("head") == "" || q.Get("head") == owner+":"+p.HeadRef) && (q.Get("base") == "" || q.Get("base") == p.BaseRef)
		if fits && (state == "all" || p.State == state) {
			items = append(items, p.wire(repo))
		}
	}
	return a.hub.paged(r, items)
}

// of finds the commits of the repository, not those of its forks.
func (a pullsAPI) of(repo *repository, r *http.Request) answer {
	var items []any
	known := false
	for _, n := range slices.Sorted(maps.Keys(repo.pulls)) {
		p := repo.pulls[n]
		if p.HeadSHA != r.PathValue("sha") {
			continue
		}
		known = true
		if p.HeadRepo == repo.name && !p.HeadGone {
			items = append(items, p.wire(repo))
		}
	}
	if !known && !slices.Contains(slices.Collect(maps.Values(repo.branches)), r.PathValue("sha")) {
		return refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+r.PathValue("sha"))
	}
	return a.hub.paged(r, items)
}

func (a pullsAPI) branch(repo *repository, r *http.Request) answer {
	name := r.PathValue("branch")
	if to, ok := repo.renamed[name]; ok && repo.branches[name] == "" {
		name = to
	}
	sha, ok := repo.branches[name]
	if !ok {
		return refuse(http.StatusNotFound, "Branch not found")
	}
	return answer{status: http.StatusOK, body: map[string]any{"name": name, "commit": map[string]any{"sha": sha}, "protected": false}}
}
