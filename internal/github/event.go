package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// MaxEvent is the maximum size of an event, in bytes: GitHub sends no more.
const MaxEvent = 25 << 20

// An Event is the validated event that started a workflow.
type Event struct {
	Name   string // as GITHUB_EVENT_NAME
	Action string // opened, synchronize, closed, completed, ...; may be empty
	Repo   string // owner/name of where the workflow runs
	// Number is the pull request's, 0 if the event has none. A workflow_run has
	// none: use PullRequestsOf(HeadSHA).
	Number   int
	HeadSHA  string // may be empty
	HeadRepo string // the commit's repository; empty if it was deleted
	// HeadBranch is the commit's branch, of workflow_run; may be empty.
	HeadBranch string
	Fork       bool  // the commit is in another repository, or in a deleted one
	RunID      int64 // of workflow_run
	// Trigger and Conclusion are the event and the conclusion of that run.
	Trigger, Conclusion string
	Closed              bool // whether the pull request is
}

type wireRepo struct {
	FullName string `json:"full_name"`
}

type wireEvent struct {
	Action      string    `json:"action"`
	Repository  *wireRepo `json:"repository"`
	Number      int       `json:"number"`
	PullRequest *struct {
		Number int    `json:"number"`
		State  string `json:"state"`
		Head   struct {
			SHA  string    `json:"sha"`
			Repo *wireRepo `json:"repo"`
		} `json:"head"`
		Base struct {
			Repo *wireRepo `json:"repo"`
		} `json:"base"`
	} `json:"pull_request"`
	WorkflowRun *struct {
		ID             int64     `json:"id"`
		Event          string    `json:"event"`
		Conclusion     string    `json:"conclusion"`
		HeadSHA        string    `json:"head_sha"`
		HeadBranch     string    `json:"head_branch"`
		HeadRepository *wireRepo `json:"head_repository"`
		Repository     *wireRepo `json:"repository"`
	} `json:"workflow_run"`
}

// ParseEvent parses the event of a workflow, from GITHUB_EVENT_NAME and the file at
// GITHUB_EVENT_PATH. It supports pull_request, pull_request_target, workflow_run,
// workflow_dispatch and schedule. Any other event, and a missing field, is an error.
func ParseEvent(name string, payload []byte) (Event, error) {
	e, err := parseEvent(name, payload)
	if err != nil {
		return Event{}, fmt.Errorf("event %q: %w", name, err)
	}
	return e, nil
}

func parseEvent(name string, payload []byte) (Event, error) {
	fill, ok := map[string]func(*Event, wireEvent) error{
		"pull_request": pullRequestEvent, "pull_request_target": pullRequestEvent, "workflow_run": workflowRunEvent,
		"workflow_dispatch": bareEvent, "schedule": bareEvent,
	}[name]
	if !ok {
		return Event{}, errors.New("want pull_request, pull_request_target, workflow_run, workflow_dispatch or schedule")
	}
	if len(payload) > MaxEvent {
		return Event{}, fmt.Errorf("%d bytes, the maximum is %d", len(payload), MaxEvent)
	}
	var w wireEvent
	if err := json.Unmarshal(payload, &w); err != nil {
		return Event{}, err
	}
	e := Event{Name: name, Action: w.Action}
	if w.Repository == nil || !isRepo(w.Repository.FullName) {
		return Event{}, errors.New("repository.full_name is not of the form owner/name")
	}
	e.Repo = w.Repository.FullName
	if err := fill(&e, w); err != nil {
		return Event{}, err
	}
	return e, nil
}

func bareEvent(*Event, wireEvent) error { return nil }

func pullRequestEvent(e *Event, w wireEvent) error {
	p := w.PullRequest
	switch {
	case p == nil || e.Action == "":
		return errors.New("pull_request or action is missing")
	case p.Number <= 0 || w.Number != p.Number:
		return fmt.Errorf("number %d of pull request %d", w.Number, p.Number)
	case p.State != "open" && p.State != "closed":
		return fmt.Errorf("pull_request.state is %q", p.State)
	case e.Action == "closed" && p.State != "closed":
		return errors.New("its action is closed, and its state is open")
	case p.Base.Repo == nil || p.Base.Repo.FullName != e.Repo:
		return errors.New("pull_request.base.repo is not the repository")
	}
	e.Number, e.Closed = p.Number, p.State == "closed"
	return e.head("pull_request.head", p.Head.SHA, p.Head.Repo)
}

func workflowRunEvent(e *Event, w wireEvent) error {
	r := w.WorkflowRun
	switch {
	case r == nil || e.Action == "":
		return errors.New("workflow_run or action is missing")
	case r.ID <= 0 || r.Event == "":
		return errors.New("workflow_run.id or event is missing")
	case r.Repository == nil || r.Repository.FullName != e.Repo:
		return errors.New("workflow_run.repository is not the repository")
	}
	e.RunID, e.Trigger, e.Conclusion, e.HeadBranch = r.ID, r.Event, r.Conclusion, r.HeadBranch
	return e.head("workflow_run.head", r.HeadSHA, r.HeadRepository)
}

func (e *Event) head(where, sha string, repo *wireRepo) error {
	if !commitID.MatchString(sha) {
		return fmt.Errorf("%s: sha is not a full commit", where)
	}
	e.HeadSHA, e.Fork = sha, true
	if repo == nil {
		return nil
	}
	if !isRepo(repo.FullName) {
		return fmt.Errorf("%s: the repository is not of the form owner/name", where)
	}
	e.HeadRepo, e.Fork = repo.FullName, !strings.EqualFold(repo.FullName, e.Repo)
	return nil
}

func isRepo(name string) bool {
	_, _, err := split(name)
	return err == nil
}
