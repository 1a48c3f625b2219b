package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxComment is the maximum length of a comment, in characters.
const maxComment = 65536

// A Comment is a comment of a pull request.
type Comment struct {
	ID        int64 // given by the server
	Number    int   // of the pull request
	Author    string
	Body      string
	Minimized bool
	created   time.Time
	updated   time.Time
}

// AddComment writes a comment as its author would, and returns its id.
func (s *Server) AddComment(repo string, c Comment) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hub.addComment(s.hub.repo(repo), c).ID
}

func (h *hub) addComment(repo *repository, c Comment) *Comment {
	c.ID, c.created = h.id(), h.options.Now().UTC()
	c.updated = c.created
	repo.comments = append(repo.comments, &c)
	return &c
}

// Comments returns the comments of a pull request, oldest first.
func (s *Server) Comments(repo string, n int) []Comment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Comment
	for _, c := range s.hub.repo(repo).comments {
		if c.Number == n {
			all = append(all, *c)
		}
	}
	return all
}

func (c *Comment) node() string { return fmt.Sprintf("IC_%d", c.ID) }

func (c *Comment) wire(repo *repository) map[string]any {
	return map[string]any{
		"id": c.ID, "node_id": c.node(), "user": user(c.Author), "body": c.Body,
		"created_at": c.created.Format(time.RFC3339), "updated_at": c.updated.Format(time.RFC3339),
		"issue_url": fmt.Sprintf("https://api.github.com/repos/%s/issues/%d", repo.name, c.Number),
		"html_url":  fmt.Sprintf("https://github.com/%s/pull/%d#issuecomment-%d", repo.name, c.Number, c.ID),
	}
}

// A commentsAPI answers the requests about comments.
type commentsAPI struct{ hub *hub }

func (a commentsAPI) list(repo *repository, r *http.Request) answer {
	n := int(number(r, "number"))
	if repo.pulls[n] == nil && (n < 1 || n > repo.conversations) {
		return notFound
	}
	var items []any
	for _, c := range repo.comments {
		if c.Number == n {
			items = append(items, c.wire(repo))
		}
	}
	return a.hub.paged(r, items)
}

// recent lists the comments of all conversations, by their creation.
func (a commentsAPI) recent(repo *repository, r *http.Request) answer {
	q := r.URL.Query()
	since, err := time.Parse(time.RFC3339, q.Get("since"))
	if err != nil || q.Get("sort") != "created" || q.Get("direction") != "asc" {
		return invalid("IssueComment", "since", "only what a client here sends is implemented")
	}
	var items []any
	for _, c := range repo.comments {
		if !c.updated.Before(since) {
			items = append(items, c.wire(repo))
		}
	}
	return a.hub.paged(r, items)
}

func (a commentsAPI) create(repo *repository, r *http.Request) answer {
	n := int(number(r, "number"))
	if repo.pulls[n] == nil && (n < 1 || n > repo.conversations) {
		return notFound
	}
	body, bad := commentBody(r)
	if bad != nil {
		return *bad
	}
	c := a.hub.addComment(repo, Comment{Number: n, Author: a.hub.options.Login, Body: body})
	return answer{status: http.StatusCreated, body: c.wire(repo)}
}

func (a commentsAPI) edit(repo *repository, r *http.Request) answer {
	i := commentIndex(repo, r)
	if i < 0 {
		return notFound
	}
	body, bad := commentBody(r)
	if bad != nil {
		return *bad
	}
	repo.comments[i].Body, repo.comments[i].updated = body, a.hub.options.Now().UTC()
	return answer{status: http.StatusOK, body: repo.comments[i].wire(repo)}
}

func (a commentsAPI) delete(repo *repository, r *http.Request) answer {
	i := commentIndex(repo, r)
	if i < 0 {
		return notFound
	}
	repo.comments = slices.Delete(repo.comments, i, i+1)
	return answer{status: http.StatusNoContent}
}

func commentIndex(repo *repository, r *http.Request) int {
	return slices.IndexFunc(repo.comments, func(c *Comment) bool { return c.ID == number(r, "id") })
}

func commentBody(r *http.Request) (body string, bad *answer) {
	var c struct{ Body string }
	a := problems
	switch ok := decode(r, &c); {
	case !ok:
	case strings.TrimSpace(c.Body) == "":
		a = invalid("IssueComment", "data", "Body cannot be blank")
	case utf8.RuneCountInString(c.Body) > maxComment:
		a = invalid("IssueComment", "data", fmt.Sprintf("Body is too long (maximum is %d characters)", maxComment))
	default:
		return c.Body, nil
	}
	return "", &a
}
