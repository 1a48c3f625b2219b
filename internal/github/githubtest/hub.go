package githubtest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// A hub is the state of a server: what it has, and whose token it knows. The Server
// locks it.
type hub struct {
	options *Options
	url     string
	repos   map[string]*repository
	lastID  int64
}

type repository struct {
	name         string
	pulls        map[int]*Pull
	branches     map[string]string // name to commit
	renamed      map[string]string // old name to new
	comments     []*Comment        // oldest first
	deployments  []*Deployment     // oldest first
	environments map[string]bool
	files        map[string]tree // by branch
	protected    map[string]bool // branches
	commits      []Commit        // oldest first
	objects      map[string]tree // of trees and commits without a branch
	orphans      []Commit        // that have no parent; Branch is the commit's name
	// conversations is the greatest number of an issue.
	conversations int
}

// repo returns a repository, and creates it if necessary.
func (h *hub) repo(name string) *repository {
	if h.repos[name] == nil {
		h.repos[name] = &repository{
			name: name, pulls: map[int]*Pull{}, branches: map[string]string{}, renamed: map[string]string{}, environments: map[string]bool{},
			files: map[string]tree{}, protected: map[string]bool{}, objects: map[string]tree{},
		}
	}
	return h.repos[name]
}

// id returns a new id, greater than all before.
func (h *hub) id() int64 {
	h.lastID++
	return h.lastID
}

// paged returns one page of a list, with GitHub's Link header.
func (h *hub) paged(r *http.Request, items []any) answer {
	q := r.URL.Query()
	size, err := strconv.Atoi(q.Get("per_page"))
	if err != nil || size < 1 {
		size = 30
	}
	size = min(size, 100)
	number, err := strconv.Atoi(q.Get("page"))
	if err != nil || number < 1 {
		number = 1
	}
	last := max((len(items)+size-1)/size, 1)
	begin := min((number-1)*size, len(items))
	var links []string
	link := func(page int, rel string) {
		q.Set("page", strconv.Itoa(page))
		links = append(links, fmt.Sprintf(`<%s%s?%s>; rel=%q`, h.url, r.URL.EscapedPath(), q.Encode(), rel))
	}
	if number > 1 {
		link(number-1, "prev")
	}
	if number < last {
		link(number+1, "next")
		link(last, "last")
	}
	if number > 1 {
		link(1, "first")
	}
	return answer{status: http.StatusOK, body: append([]any{}, items[begin:min(begin+size, len(items))]...), link: strings.Join(links, ", ")}
}

// An account answers the requests about the token's user, and the queries of the GraphQL
// API.
type account struct{ hub *hub }

func (a account) user(_ *repository, _ *http.Request) answer {
	if strings.HasSuffix(a.hub.options.Login, "[bot]") {
		return inaccessible
	}
	return answer{status: http.StatusOK, body: user(a.hub.options.Login)}
}

func (a account) graphQL(_ *repository, r *http.Request) answer {
	var q struct {
		Query     string
		Variables struct{ IDs []string }
	}
	switch {
	case !decode(r, &q):
		return problems
	case strings.Contains(q.Query, "viewer{login}"):
		return answer{status: http.StatusOK, body: map[string]any{"data": map[string]any{"viewer": map[string]any{"login": a.hub.options.Login}}}}
	case strings.Contains(q.Query, "nodes(ids:$ids)"):
		return answer{status: http.StatusOK, body: map[string]any{"data": map[string]any{"nodes": a.nodes(q.Variables.IDs)}}}
	}
	return refuse(http.StatusBadRequest, "A query that this GitHub does not know")
}

func (a account) nodes(ids []string) []any {
	nodes := []any{}
	for _, id := range ids {
		var found any
		for _, repo := range a.hub.repos {
			for _, c := range repo.comments {
				if c.node() == id {
					found = map[string]any{"id": id, "isMinimized": c.Minimized}
				}
			}
		}
		nodes = append(nodes, found)
	}
	return nodes
}
