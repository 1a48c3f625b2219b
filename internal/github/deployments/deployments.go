// Package deployments records the releases of a lasting environment as GitHub's
// deployments: one for each release, with its statuses.
//
// GitHub itself makes earlier deployments inactive only if the environment is not one
// of production, and those of other targets in it too. So Supersede does it, for one
// target.
package deployments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/github"
)

// A State is one of GitHub's states of a deployment.
type State string

// The states, https://docs.github.com/en/rest/deployments/statuses.
const (
	Queued     State = "queued"
	InProgress State = "in_progress"
	Success    State = "success"
	Failure    State = "failure"
	Error      State = "error"
	Inactive   State = "inactive"
)

// An Environment is one of a repository.
type Environment struct {
	client           *github.Client
	repository, name string
}

// New returns an environment of the repository owner/name.
func New(client *github.Client, repository, name string) (Environment, error) {
	if !github.IsRepository(repository) || name == "" {
		return Environment{}, fmt.Errorf("environment %q of repository %q: want a name, and owner/name", name, repository)
	}
	return Environment{client, repository, name}, nil
}

// A Payload tells the deployments of releases from others, and from each other.
type Payload struct {
	Target string `json:"candlefish_target"` // namespace/deployment
	Run    string `json:"run"`
	Image  string `json:"image"`
}

// A Status is one status of a deployment.
type Status struct {
	State          State
	Description    string // cut at 140 characters
	EnvironmentURL string // "" for none
	LogURL         string // "" for none
}

// A Deployment is one that exists.
type Deployment struct {
	ID      int64
	Payload Payload // zero if it is not a release's
}

func (e Environment) send(ctx context.Context, method, path string, body, answer any, format string, args ...any) error {
	needs := "deployments: read"
	if method != http.MethodGet {
		needs = "deployments: write"
	}
	return e.client.Send(ctx, github.Request{
		What: fmt.Sprintf(format, args...) + fmt.Sprintf(" to %q of %s", e.name, e.repository), Needs: needs, Method: method,
		Path: "repos/" + e.repository + "/deployments" + path, Body: body, Once: method == http.MethodPost,
	}, answer)
}

// Create records a deployment of a commit. GitHub neither merges the default branch
// into it nor waits for checks: the release has begun.
func (e Environment) Create(ctx context.Context, commit, description string, p Payload) (int64, error) {
	body := map[string]any{
		"ref": commit, "environment": e.name, "description": cut(description), "payload": p,
		"auto_merge": false, "required_contexts": []string{},
	}
	var a struct{ ID int64 }
	err := e.send(ctx, http.MethodPost, "", body, &a, "record a deployment of %s", commit)
	if err == nil && a.ID <= 0 {
		err = fmt.Errorf("record a deployment to %q of %s: the response has no id", e.name, e.repository)
	}
	return a.ID, err
}

// SetStatus adds a status to a deployment.
func (e Environment) SetStatus(ctx context.Context, id int64, s Status) error {
	body := map[string]any{"state": s.State, "description": cut(s.Description), "auto_inactive": false}
	for key, value := range map[string]string{"environment_url": s.EnvironmentURL, "log_url": s.LogURL} {
		if value != "" {
			body[key] = value
		}
	}
	return e.send(ctx, http.MethodPost, "/"+strconv.FormatInt(id, 10)+"/statuses", body, nil, "set deployment %d to %s", id, s.State)
}

// looked bounds how many deployments are looked at, newest first.
const looked = 30

// Newest lists the newest deployments of the environment, newest first; of one commit
// only, if commit is not "".
func (e Environment) Newest(ctx context.Context, commit string) ([]Deployment, error) {
	query := url.Values{"environment": {e.name}, "per_page": {strconv.Itoa(looked)}}
	if commit != "" {
		query.Set("sha", commit)
	}
	var a []struct {
		ID      int64
		Payload json.RawMessage
	}
	if err := e.send(ctx, http.MethodGet, "?"+query.Encode(), nil, &a, "list the deployments"); err != nil {
		return nil, err
	}
	all := make([]Deployment, len(a))
	for i, d := range a {
		all[i].ID = d.ID
		_ = json.Unmarshal(d.Payload, &all[i].Payload) // of others it may be anything
	}
	return all, nil
}

// status returns the newest status, zero without one.
func (e Environment) status(ctx context.Context, id int64) (Status, error) {
	var a []struct {
		State       State
		Description string
		URL         string `json:"environment_url"`
		Log         string `json:"log_url"`
	}
	err := e.send(ctx, http.MethodGet, "/"+strconv.FormatInt(id, 10)+"/statuses?per_page=1", nil, &a, "read the status of deployment %d", id)
	if err != nil || len(a) == 0 {
		return Status{}, err
	}
	return Status{State: a[0].State, Description: a[0].Description, EnvironmentURL: a[0].URL, LogURL: a[0].Log}, nil
}

// OfJob reports whether GitHub made a deployment of its own for a job of the workflow
// run: one with an environment of this name. Nothing in a job's environment variables
// says so; the log of such a deployment is a page of the run.
func (e Environment) OfJob(ctx context.Context, commit, run string) (bool, error) {
	all, err := e.Newest(ctx, commit)
	if err != nil {
		return false, err
	}
	for _, d := range all {
		if d.Payload.Target != "" {
			continue
		}
		s, err := e.status(ctx, d.ID)
		if err != nil {
			return false, err
		}
		if strings.Contains(s.LogURL+"/", "/actions/runs/"+run+"/") && (s.State == InProgress || s.State == Queued) {
			return true, nil
		}
	}
	return false, nil
}

// enough is how many deployments that were superseded before end the search for more.
const enough = 3

// Supersede makes the target's successful deployments before id inactive.
func (e Environment) Supersede(ctx context.Context, id int64, target string) error {
	all, err := e.Newest(ctx, "")
	if err != nil {
		return err
	}
	var errs []error
	superseded := 0
	for _, d := range all {
		if d.ID >= id || d.Payload.Target != target {
			continue
		}
		switch s, err := e.status(ctx, d.ID); {
		case err != nil:
			return err
		case s.State == Inactive:
			superseded++
		case s.State == Success:
			errs = append(errs, e.SetStatus(ctx, d.ID, Status{State: Inactive, Description: "superseded"}))
		}
		if superseded == enough {
			break
		}
	}
	return errors.Join(errs...)
}

// maxDescription is GitHub's limit, in characters.
const maxDescription = 140

func cut(text string) string {
	if runes := []rune(text); len(runes) > maxDescription {
		return string(runes[:maxDescription-1]) + "…"
	}
	return text
}
