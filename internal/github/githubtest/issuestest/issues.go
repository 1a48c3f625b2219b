// Package issuestest has issues, labels and assignees for a githubtest.Server. It
// refuses what GitHub refuses: users who can't be assigned, unknown states, long texts.
package issuestest

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
)

// An Issue is an issue.
type Issue struct {
	Number      int // given by the server
	Title, Body string
	State       string // open, "", or closed
	StateReason string // completed, not_planned, reopened, duplicate
	Author      string // "" for ann
	ClosedBy    string
	Labels      []string
	Assignees   []string
	Pull        bool // a pull request, which GitHub lists among issues
}

// Issues are those of a server.
type Issues struct {
	api   *githubtest.Extension
	repos map[string]*repository
}

// New adds issues to a server.
func New(s *githubtest.Server) *Issues {
	a := &Issues{api: githubtest.Extend(s), repos: map[string]*repository{}}
	handle := func(method, path string, serve func(*repository, *http.Request) githubtest.Reply) {
		a.api.Handle(method, path, func(repo string, r *http.Request) githubtest.Reply { return serve(a.repo(repo), r) })
	}
	handle("GET", "/issues", a.list)
	handle("POST", "/issues", a.create)
	handle("GET", "/issues/{number}", a.get)
	handle("PATCH", "/issues/{number}", a.edit)
	handle("GET", "/assignees/{login}", a.assignee)
	handle("GET", "/labels/{name}", a.label)
	handle("POST", "/labels", a.createLabel)
	return a
}

func (a *Issues) repo(name string) *repository {
	if a.repos[name] == nil {
		a.repos[name] = &repository{name: name, labels: map[string]bool{}, assignable: map[string]bool{}}
	}
	return a.repos[name]
}

// A repository is what one has of them.
type repository struct {
	name       string
	all        []*Issue
	labels     map[string]bool
	assignable map[string]bool
	disabled   bool
}

// Add opens an issue as its author would, and returns its number.
func (a *Issues) Add(repo string, i Issue) int {
	a.api.Do(func() {
		i.Number, i.Author, i.State = a.api.Conversation(repo), cmp.Or(i.Author, "ann"), cmp.Or(i.State, "open")
		r := a.repo(repo)
		r.all = append(r.all, &i)
	})
	return i.Number
}

// All returns the issues of a repository, oldest first.
func (a *Issues) All(repo string) []Issue {
	var all []Issue
	a.api.Do(func() {
		for _, i := range a.repo(repo).all {
			all = append(all, *i)
		}
	})
	return all
}

// Change changes an issue, as a person would. It does nothing if there is none of that
// number.
func (a *Issues) Change(repo string, n int, change func(*Issue)) {
	a.api.Do(func() {
		if i := a.repo(repo).issue(n); i != nil {
			change(i)
		}
	})
}

// Disable turns issues off in the settings of a repository.
func (a *Issues) Disable(repo string) { a.api.Do(func() { a.repo(repo).disabled = true }) }

// AddLabels creates labels.
func (a *Issues) AddLabels(repo string, names ...string) {
	a.api.Do(func() {
		for _, name := range names {
			a.repo(repo).labels[name] = true
		}
	})
}

// Labels returns the labels of a repository, sorted.
func (a *Issues) Labels(repo string) []string {
	var all []string
	a.api.Do(func() { all = slices.Sorted(maps.Keys(a.repo(repo).labels)) })
	return all
}

// AddAssignable makes users assignable to issues.
func (a *Issues) AddAssignable(repo string, logins ...string) {
	a.api.Do(func() {
		for _, login := range logins {
			a.repo(repo).assignable[login] = true
		}
	})
}

func (r *repository) issue(n int) *Issue {
	for _, i := range r.all {
		if i.Number == n {
			return i
		}
	}
	return nil
}

// wire renders an issue; only a single one has who closed it.
func (i *Issue) wire(repo *repository, single bool) map[string]any {
	labels, assignees := []any{}, []any{}
	for _, l := range i.Labels {
		labels = append(labels, map[string]any{"name": l})
	}
	for _, a := range i.Assignees {
		assignees = append(assignees, githubtest.User(a))
	}
	var reason any
	if i.StateReason != "" {
		reason = i.StateReason
	}
	body := map[string]any{
		"number": i.Number, "title": i.Title, "body": i.Body, "state": i.State, "state_reason": reason, "user": githubtest.User(i.Author), "labels": labels, "assignees": assignees,
		"html_url": fmt.Sprintf("https://github.com/%s/issues/%d", repo.name, i.Number),
	}
	if i.Pull {
		body["pull_request"] = map[string]any{}
	}
	if single {
		body["closed_by"] = nil
		if i.State == "closed" && i.ClosedBy != "" {
			body["closed_by"] = githubtest.User(i.ClosedBy)
		}
	}
	return body
}

var issuesDisabled = githubtest.Refuse(http.StatusGone, "Issues has been disabled in this repository.")

// list lists issues and, as GitHub does, pull requests among them.
func (a *Issues) list(repo *repository, r *http.Request) githubtest.Reply {
	if repo.disabled {
		return issuesDisabled
	}
	q := r.URL.Query()
	state := cmp.Or(q.Get("state"), "open")
	if !slices.Contains([]string{"open", "closed", "all"}, state) {
		return invalid("Issue", "state", "state is not one of open, closed, all")
	}
	var want []string
	if text := q.Get("labels"); text != "" {
		want = strings.Split(text, ",")
	}
	items := []any{}
	for _, i := range slices.Backward(repo.all) {
		fits := state == "all" || i.State == state
		for _, l := range want {
			fits = fits && slices.Contains(i.Labels, l)
		}
		if fits && (q.Get("creator") == "" || q.Get("creator") == i.Author) {
			items = append(items, i.wire(repo, false))
		}
	}
	if q.Get("direction") == "asc" {
		slices.Reverse(items)
	}
	return githubtest.Reply{Items: items}
}

func (a *Issues) get(repo *repository, r *http.Request) githubtest.Reply {
	i := repo.issue(number(r))
	switch {
	case repo.disabled:
		return issuesDisabled
	case i == nil:
		return notFound
	}
	return githubtest.Reply{Status: http.StatusOK, Body: i.wire(repo, true)}
}

// An issueBody is what a request says of an issue; what it leaves out stays.
type issueBody struct {
	Title, Body       *string
	State             *string
	StateReason       *string `json:"state_reason"`
	Labels, Assignees *[]string
}

// refused returns GitHub's refusal of a body, nil for none.
func (b issueBody) refused(repo *repository) *githubtest.Reply {
	bad := func(field, code, message string) *githubtest.Reply {
		a := githubtest.Refuse(http.StatusUnprocessableEntity, "Validation Failed", map[string]string{"resource": "Issue", "field": field, "code": code, "message": message})
		return &a
	}
	if b.Title != nil && (strings.TrimSpace(*b.Title) == "" || utf8.RuneCountInString(*b.Title) > 256) {
		return bad("title", "missing_field", "title is blank or too long (maximum is 256 characters)")
	}
	if b.Body != nil && utf8.RuneCountInString(*b.Body) > maxBody {
		return bad("body", "custom", fmt.Sprintf("body is too long (maximum is %d characters)", maxBody))
	}
	if b.State != nil && *b.State != "open" && *b.State != "closed" {
		return bad("state", "invalid", "")
	}
	if b.StateReason != nil && !slices.Contains([]string{"completed", "not_planned", "duplicate", "reopened"}, *b.StateReason) {
		return bad("state_reason", "invalid", "")
	}
	if b.Assignees != nil {
		for _, login := range *b.Assignees {
			if !repo.assignable[login] {
				return bad("assignees", "invalid", "")
			}
		}
	}
	return nil
}

// apply changes an issue. Labels that do not exist are dropped, as for a token that
// may not create them.
func (b issueBody) apply(repo *repository, i *Issue, who string) {
	set := func(to, from *string) {
		if from != nil {
			*to = *from
		}
	}
	before := i.State
	set(&i.Title, b.Title)
	set(&i.Body, b.Body)
	set(&i.State, b.State)
	if i.State != before {
		i.StateReason, i.ClosedBy = "", ""
		if i.State == "closed" {
			i.StateReason, i.ClosedBy = "completed", who
		} else if before != "" {
			i.StateReason = "reopened"
		}
	}
	set(&i.StateReason, b.StateReason)
	if b.Labels != nil {
		i.Labels = nil
		for _, l := range *b.Labels {
			if repo.labels[l] {
				i.Labels = append(i.Labels, l)
			}
		}
	}
	if b.Assignees != nil {
		i.Assignees = *b.Assignees
	}
}

func (a *Issues) create(repo *repository, r *http.Request) githubtest.Reply {
	var b issueBody
	switch {
	case repo.disabled:
		return issuesDisabled
	case !githubtest.Decode(r, &b):
		return problems
	case b.Title == nil:
		return githubtest.Refuse(http.StatusUnprocessableEntity, "Validation Failed", map[string]string{"resource": "Issue", "field": "title", "code": "missing_field"})
	}
	if refused := b.refused(repo); refused != nil {
		return *refused
	}
	i := &Issue{Number: a.api.Conversation(repo.name), State: "open", Author: a.api.Login()}
	b.State = nil
	b.apply(repo, i, i.Author)
	repo.all = append(repo.all, i)
	return githubtest.Reply{Status: http.StatusCreated, Body: i.wire(repo, true)}
}

func (a *Issues) edit(repo *repository, r *http.Request) githubtest.Reply {
	var b issueBody
	i := repo.issue(number(r))
	switch {
	case repo.disabled:
		return issuesDisabled
	case i == nil:
		return notFound
	case !githubtest.Decode(r, &b):
		return problems
	}
	if refused := b.refused(repo); refused != nil {
		return *refused
	}
	b.apply(repo, i, a.api.Login())
	return githubtest.Reply{Status: http.StatusOK, Body: i.wire(repo, true)}
}

// assignee answers 204 without a body for a user who can be assigned.
func (a *Issues) assignee(repo *repository, r *http.Request) githubtest.Reply {
	if !repo.assignable[r.PathValue("login")] {
		return notFound
	}
	return githubtest.Reply{Status: http.StatusNoContent}
}

func (a *Issues) label(repo *repository, r *http.Request) githubtest.Reply {
	if !repo.labels[r.PathValue("name")] {
		return notFound
	}
	return githubtest.Reply{Status: http.StatusOK, Body: map[string]any{"name": r.PathValue("name")}}
}

func (a *Issues) createLabel(repo *repository, r *http.Request) githubtest.Reply {
	var l struct{ Name, Color, Description string }
	switch {
	case !githubtest.Decode(r, &l):
		return problems
	case l.Name == "" || len(l.Name) > 50:
		return invalid("Label", "name", "name is too short or too long")
	case len(l.Color) != 6 || strings.Trim(strings.ToLower(l.Color), "0123456789abcdef") != "":
		return invalid("Label", "color", "color must be a 6 character hexadecimal code, without #")
	case len(l.Description) > 100:
		return invalid("Label", "description", "description is too long (maximum is 100 characters)")
	case repo.labels[l.Name]:
		return githubtest.Refuse(http.StatusUnprocessableEntity, "Validation Failed", map[string]string{"resource": "Label", "field": "name", "code": "already_exists"})
	}
	repo.labels[l.Name] = true
	return githubtest.Reply{Status: http.StatusCreated, Body: map[string]any{"name": l.Name, "color": l.Color}}
}

var (
	notFound = githubtest.Refuse(http.StatusNotFound, "Not Found")
	problems = githubtest.Refuse(http.StatusBadRequest, "Problems parsing JSON")
)

// maxBody is the maximum length of an issue, in characters.
const maxBody = 65536

func invalid(resource, field, message string) githubtest.Reply {
	return githubtest.Refuse(http.StatusUnprocessableEntity, "Validation Failed", map[string]string{"resource": resource, "field": field, "code": "unprocessable", "message": message})
}

func number(r *http.Request) int {
	n, _ := strconv.Atoi(r.PathValue("number")) // 0 is no issue
	return n
}
