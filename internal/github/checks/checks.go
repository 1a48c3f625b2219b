// Package checks shows results as a check run of a commit, which pull requests list and
// rules of branches can require.
//
// One check run has one commit, name and external ID: a rerun updates it. GitHub only
// adds annotations and removes none, so that there are none here.
package checks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/github"
)

// Checks are the check runs of a repository.
type Checks struct {
	client     *github.Client
	repository string
}

// New returns the check runs of the repository owner/name.
func New(client *github.Client, repository string) (Checks, error) {
	if !github.IsRepository(repository) {
		return Checks{}, fmt.Errorf("repository %q: want owner/name", repository)
	}
	return Checks{client, repository}, nil
}

// A Conclusion is how a check ended.
type Conclusion string

// The conclusions. What could not be decided is a Failure too: a rule that requires a
// check takes "neutral" and "skipped" for success, and "action_required" asks for a
// button of a GitHub App that is not there.
// https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/collaborating-on-repositories-with-code-quality-features/about-status-checks
const (
	Success Conclusion = "success"
	Failure Conclusion = "failure"
)

// A Check is what a check run says. Texts beyond GitHub's limits are cut, and say so.
type Check struct {
	Name       string // that rules of branches require: "Performance"
	Commit     string // all of its digits
	ExternalID string // tells ours from others of the name: "candlefish-performance/staging"
	Conclusion Conclusion
	Title      string // one line, at most 255 characters
	Summary    string // Markdown, at most 65,535 bytes
	Text       string // more of it, below; "" for none
	Link       string // to the run; "" for none
}

// GitHub's limits.
const (
	maxTitle = 255
	maxText  = 65535
)

var commitID = regexp.MustCompile(`^[0-9a-f]{40}$`)

// wire is a check run as GitHub has it.
type wire struct {
	ID         int64      `json:"id,omitempty"`
	Name       string     `json:"name"`
	HeadSHA    string     `json:"head_sha,omitempty"`
	ExternalID string     `json:"external_id"`
	DetailsURL string     `json:"details_url,omitempty"`
	HTMLURL    string     `json:"html_url,omitempty"`
	Status     string     `json:"status"`
	Conclusion Conclusion `json:"conclusion"`
	Output     output     `json:"output"`
}

type output struct {
	Title   string `json:"title"`
	Summary string `json:"summary"`
	Text    string `json:"text,omitempty"`
}

// Post creates the check run, or updates the one that is there, unless it says the same
// already.
func (c Checks) Post(ctx context.Context, check Check) (page string, changed bool, err error) {
	if err := check.problem(); err != nil {
		return "", false, fmt.Errorf("check run %q of %s: %w", check.Name, c.repository, err)
	}
	want := check.wire()
	old, found, err := c.find(ctx, check)
	if err != nil {
		return "", false, err
	}
	if found && old.same(want) {
		return old.HTMLURL, false, nil
	}
	method, path := http.MethodPost, ""
	if found {
		method, path, want.HeadSHA = http.MethodPatch, "/"+strconv.FormatInt(old.ID, 10), ""
	}
	var got wire
	err = c.send(ctx, method, "/check-runs"+path, want, &got, "write the check run %q of commit %s", check.Name, check.Commit)
	if err == nil && got.ID <= 0 {
		err = fmt.Errorf("write the check run %q of %s: the response has no id", check.Name, c.repository)
	}
	return got.HTMLURL, err == nil, err
}

// problem is what GitHub would refuse.
func (c Check) problem() error {
	switch {
	case !commitID.MatchString(c.Commit):
		return fmt.Errorf("the commit %q is none: want 40 hexadecimal digits", c.Commit)
	case c.Name == "" || c.ExternalID == "" || c.Title == "" || c.Summary == "":
		return errors.New("it needs a name, an external ID, a title and a summary")
	case c.Conclusion != Success && c.Conclusion != Failure:
		return fmt.Errorf("the conclusion is %q, want %s or %s", c.Conclusion, Success, Failure)
	}
	if u, err := url.Parse(c.Link); c.Link != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("the link must begin with http:// or https://")
	}
	return nil
}

func (c Check) wire() wire {
	return wire{
		Name: c.Name, HeadSHA: c.Commit, ExternalID: c.ExternalID, DetailsURL: c.Link, Status: "completed", Conclusion: c.Conclusion,
		Output: output{Title: title(c.Title), Summary: fitted(c.Summary, c.Link), Text: fitted(c.Text, c.Link)},
	}
}

// same reports whether two say the same to people. A check run of another job is
// another one for its link.
func (w wire) same(other wire) bool {
	return w.Status == other.Status && w.Conclusion == other.Conclusion && w.Output == other.Output && w.DetailsURL == other.DetailsURL
}

func title(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxTitle {
		return string(r[:maxTitle-1]) + "…"
	}
	return s
}

// fitted cuts a text after a line, and says where the rest is.
func fitted(s, link string) string {
	if len(s) <= maxText {
		return s
	}
	rest := "\n\nThe rest is cut: GitHub takes 65,535 characters."
	if link != "" {
		rest += " All of it is in the summary of the run: " + link
	}
	head := s[:maxText-len(rest)]
	for !utf8.ValidString(head) && len(head) > 0 && !utf8.RuneStart(s[len(head)]) {
		head = head[:len(head)-1]
	}
	if i := strings.LastIndexByte(head, '\n'); i > 0 {
		head = head[:i]
	}
	return head + rest
}

// find looks for the check run of an earlier attempt, the newest of several.
func (c Checks) find(ctx context.Context, check Check) (wire, bool, error) {
	query := url.Values{"check_name": {check.Name}, "filter": {"all"}, "per_page": {"100"}}
	var all struct {
		Runs []wire `json:"check_runs"`
	}
	err := c.send(ctx, http.MethodGet, "/commits/"+check.Commit+"/check-runs?"+query.Encode(), nil, &all, "list the check runs of commit %s", check.Commit)
	var found wire
	for _, w := range all.Runs {
		if w.ExternalID == check.ExternalID && w.ID > found.ID {
			found = w
		}
	}
	return found, found.ID > 0, err
}

const needsApp = "use the job's GITHUB_TOKEN, or the token of a GitHub App: GitHub lets nobody else write check runs"

func (c Checks) send(ctx context.Context, method, path string, body, answer any, format string, args ...any) error {
	needs := "checks: read"
	if method != http.MethodGet {
		needs = "checks: write"
	}
	err := c.client.Send(ctx, github.Request{
		What: fmt.Sprintf(format, args...) + " of " + c.repository, Needs: needs, Method: method, Path: "repos/" + c.repository + path, Body: body, Once: method == http.MethodPost,
	}, answer)
	if f, ok := errors.AsType[*github.ForbiddenError](err); ok && strings.Contains(f.Said, "authenticate via a GitHub App") {
		return &exit.Error{Status: exit.CouldNotRun, Err: errors.New(f.Error()), Hint: needsApp}
	}
	return err
}
