// Package checkstest has check runs for a githubtest.Server. It refuses what GitHub
// refuses, by the rules of https://docs.github.com/en/rest/checks/runs.
package checkstest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
)

// Checks are the check runs of a server.
type Checks struct {
	api     *githubtest.Extension
	url     string
	user    bool
	commits []string
	runs    []*Run
}

// A Run is a check run.
type Run struct {
	ID                                                             int64
	Repository, Name, Commit, ExternalID, Link, Status, Conclusion string
	Title, Summary, Text                                           string
	Annotations                                                    int
	Writes                                                         int // requests that made or changed it
	foreign                                                        bool
}

// New adds check runs to a server whose repositories have these commits.
func New(s *githubtest.Server, commits ...string) *Checks {
	c := &Checks{api: githubtest.Extend(s), url: s.URL(), commits: commits}
	c.api.Handle("POST", "/check-runs", c.create)
	c.api.Handle("PATCH", "/check-runs/{id}", c.update)
	c.api.Handle("GET", "/commits/{ref}/check-runs", c.list)
	return c
}

// AddCommit adds a commit to the repositories.
func (c *Checks) AddCommit(sha string) {
	c.api.Do(func() { c.commits = append(c.commits, sha) })
}

// OfUser makes the token a person's, who may not write check runs.
func (c *Checks) OfUser() { c.api.Do(func() { c.user = true }) }

// Add records a check run of another app, which nobody else may change.
func (c *Checks) Add(r Run) {
	c.api.Do(func() {
		r.ID, r.foreign = int64(len(c.runs)+1), true
		c.runs = append(c.runs, &r)
	})
}

// Runs returns the check runs of a commit, oldest first.
func (c *Checks) Runs(commit string) []Run {
	var all []Run
	c.api.Do(func() {
		for _, r := range c.runs {
			if r.Commit == commit {
				all = append(all, *r)
			}
		}
	})
	return all
}

// request is the body of a write. Fields that are not there stay as they are.
type request struct {
	Name       *string `json:"name"`
	Commit     *string `json:"head_sha"`
	ExternalID *string `json:"external_id"`
	Link       *string `json:"details_url"`
	Status     *string `json:"status"`
	Conclusion *string `json:"conclusion"`
	Output     *struct {
		Title, Summary, Text *string
		Annotations          []struct {
			Path    string
			Start   int    `json:"start_line"`
			End     int    `json:"end_line"`
			Level   string `json:"annotation_level"`
			Message string
		}
	}
}

const (
	maxText        = 65535
	maxAnnotations = 50
)

var (
	statuses    = []string{"queued", "in_progress", "completed"}
	conclusions = []string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
	levels      = []string{"notice", "warning", "failure"}
)

func unprocessable(format string, args ...any) *githubtest.Reply {
	r := githubtest.Refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n"+fmt.Sprintf(format, args...))
	return &r
}

// refusal is GitHub's answer to a wrong body, nil for a right one.
func (q request) refusal() *githubtest.Reply {
	switch {
	case q.Status != nil && !slices.Contains(statuses, *q.Status):
		return unprocessable("%q is not a member of %q.", *q.Status, statuses)
	case q.Conclusion != nil && !slices.Contains(conclusions, *q.Conclusion):
		return unprocessable("%q is not a member of %q.", *q.Conclusion, conclusions)
	case q.Status != nil && *q.Status == "completed" && q.Conclusion == nil:
		return unprocessable("Missing required key \"conclusion\" for a completed check run.")
	case q.Link != nil && !strings.HasPrefix(*q.Link, "http://") && !strings.HasPrefix(*q.Link, "https://"):
		return unprocessable("details_url must use the http or https scheme")
	case q.Output == nil:
		return nil
	case q.Output.Title == nil || *q.Output.Title == "" || q.Output.Summary == nil || *q.Output.Summary == "":
		return unprocessable("\"title\", \"summary\" weren't supplied.")
	case len(q.Output.Annotations) > maxAnnotations:
		return unprocessable("No more than %d items are allowed; %d were supplied.", maxAnnotations, len(q.Output.Annotations))
	}
	for _, s := range []*string{q.Output.Title, q.Output.Summary, q.Output.Text} {
		if s != nil && len(*s) > maxText {
			return unprocessable("Only %d characters are allowed; %d were supplied.", maxText, len(*s))
		}
	}
	for _, a := range q.Output.Annotations {
		if a.Path == "" || a.Start < 1 || a.End < a.Start || a.Message == "" || !slices.Contains(levels, a.Level) {
			return unprocessable("For 'anyOf/0', an annotation needs path, start_line, end_line, annotation_level and message.")
		}
	}
	return nil
}

// apply writes what the body has.
func (q request) apply(r *Run) {
	for to, from := range map[*string]*string{&r.Name: q.Name, &r.ExternalID: q.ExternalID, &r.Link: q.Link, &r.Status: q.Status, &r.Conclusion: q.Conclusion} {
		if from != nil {
			*to = *from
		}
	}
	if q.Output != nil {
		r.Title, r.Summary, r.Text = *q.Output.Title, *q.Output.Summary, ""
		if q.Output.Text != nil {
			r.Text = *q.Output.Text
		}
		r.Annotations += len(q.Output.Annotations) // they are added, and none is removed
	}
	r.Writes++
}

func (c *Checks) create(repo string, r *http.Request) githubtest.Reply {
	var q request
	switch {
	case !githubtest.Decode(r, &q):
		return githubtest.Refuse(http.StatusBadRequest, "Problems parsing JSON")
	case c.user:
		return githubtest.Refuse(http.StatusForbidden, "You must authenticate via a GitHub App.")
	case q.Name == nil || *q.Name == "" || q.Commit == nil:
		return *unprocessable("\"name\", \"head_sha\" weren't supplied.")
	case !slices.Contains(c.commits, *q.Commit):
		return githubtest.Refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+*q.Commit)
	}
	if no := q.refusal(); no != nil {
		return *no
	}
	run := &Run{ID: int64(len(c.runs) + 1), Repository: repo, Commit: *q.Commit, Status: "queued"}
	q.apply(run)
	c.runs = append(c.runs, run)
	return githubtest.Reply{Status: http.StatusCreated, Body: c.wire(run)}
}

func (c *Checks) update(repo string, r *http.Request) githubtest.Reply {
	i := slices.IndexFunc(c.runs, func(one *Run) bool {
		return strconv.FormatInt(one.ID, 10) == r.PathValue("id") && one.Repository == repo
	})
	var q request
	switch {
	case i < 0:
		return githubtest.Refuse(http.StatusNotFound, "Not Found")
	case c.user:
		return githubtest.Refuse(http.StatusForbidden, "You must authenticate via a GitHub App.")
	case c.runs[i].foreign:
		return githubtest.Refuse(http.StatusForbidden, "Invalid app_id `15368` - check run can only be modified by the GitHub App that created it.")
	case !githubtest.Decode(r, &q):
		return githubtest.Refuse(http.StatusBadRequest, "Problems parsing JSON")
	case q.Commit != nil:
		return *unprocessable("\"head_sha\" is not a permitted key.")
	}
	if no := q.refusal(); no != nil {
		return *no
	}
	q.apply(c.runs[i])
	return githubtest.Reply{Status: http.StatusOK, Body: c.wire(c.runs[i])}
}

func (c *Checks) list(repo string, r *http.Request) githubtest.Reply {
	if !slices.Contains(c.commits, r.PathValue("ref")) {
		return githubtest.Refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+r.PathValue("ref"))
	}
	name, latest := r.URL.Query().Get("check_name"), r.URL.Query().Get("filter") != "all"
	found := []any{}
	for _, run := range slices.Backward(c.runs) {
		if run.Repository == repo && run.Commit == r.PathValue("ref") && (name == "" || name == run.Name) && (!latest || len(found) == 0) {
			found = append(found, c.wire(run))
		}
	}
	return githubtest.Reply{Status: http.StatusOK, Body: map[string]any{"total_count": len(found), "check_runs": found}}
}

func (c *Checks) wire(r *Run) map[string]any {
	return map[string]any{
		"id": r.ID, "name": r.Name, "head_sha": r.Commit, "external_id": r.ExternalID, "details_url": r.Link, "status": r.Status, "conclusion": r.Conclusion,
		"html_url": fmt.Sprintf("https://github.com/%s/runs/%d", r.Repository, r.ID),
		"output":   map[string]any{"title": r.Title, "summary": r.Summary, "text": r.Text, "annotations_count": r.Annotations},
	}
}
