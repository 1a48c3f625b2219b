package githubtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Deployment is a deployment with its statuses.
type Deployment struct {
	ID                    int64
	Environment           string
	SHA                   string
	Description           string
	Payload               string // JSON
	Transient, Production bool
	Statuses              []Status // oldest first
}

// A Status is one status of a deployment.
type Status struct {
	State, EnvironmentURL, LogURL, Description string
}

// State returns the newest state, empty without one.
func (d Deployment) State() string {
	if len(d.Statuses) == 0 {
		return ""
	}
	return d.Statuses[len(d.Statuses)-1].State
}

// Deployments returns the deployments of a repository, oldest first.
func (s *Server) Deployments(repo string) []Deployment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Deployment
	for _, d := range s.hub.repo(repo).deployments {
		one := *d
		one.Statuses = slices.Clone(d.Statuses)
		all = append(all, one)
	}
	return all
}

// AddDeployment records a deployment as GitHub itself does for a job with an
// environment: its log is the job's page.
func (s *Server) AddDeployment(repo string, d Deployment) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.ID = s.hub.id()
	r := s.hub.repo(repo)
	r.deployments = append(r.deployments, &d)
	r.environments[d.Environment] = true
	return d.ID
}

// Environments returns the names of a repository's environments, sorted.
func (s *Server) Environments(repo string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.hub.repo(repo).environments))
}

func (d *Deployment) wire() map[string]any {
	return map[string]any{
		"id": d.ID, "sha": d.SHA, "ref": d.SHA, "environment": d.Environment, "description": d.Description, "task": "deploy",
		"payload": json.RawMessage(cmp.Or(d.Payload, "{}")), "transient_environment": d.Transient, "production_environment": d.Production,
	}
}

// A deploymentsAPI answers the requests about deployments, their statuses and environments.
type deploymentsAPI struct{ hub *hub }

func (a deploymentsAPI) list(repo *repository, r *http.Request) answer {
	var items []any
	for _, d := range slices.Backward(repo.deployments) {
		q := r.URL.Query()
		if (q.Get("environment") == "" || q.Get("environment") == d.Environment) && (q.Get("sha") == "" || q.Get("sha") == d.SHA) {
			items = append(items, d.wire())
		}
	}
	return a.hub.paged(r, items)
}

func (a deploymentsAPI) create(repo *repository, r *http.Request) answer {
	var q struct {
		Ref, Environment, Description string
		Payload                       json.RawMessage
		AutoMerge                     *bool     `json:"auto_merge"`
		RequiredContexts              *[]string `json:"required_contexts"`
		Transient                     bool      `json:"transient_environment"`
		Production                    *bool     `json:"production_environment"`
	}
	switch {
	case !decode(r, &q):
		return problems
	case !repo.has(q.Ref):
		return refuse(http.StatusUnprocessableEntity, "No ref found for: "+q.Ref)
	case q.AutoMerge == nil || *q.AutoMerge:
		return answer{status: http.StatusAccepted, body: map[string]string{"message": "Auto-merged main into " + q.Ref + " on deployment."}}
	case q.RequiredContexts == nil || len(*q.RequiredContexts) > 0:
		return refuse(http.StatusConflict, "Conflict: Commit status checks failed for "+q.Ref+".")
	}
	d := &Deployment{
		ID: a.hub.id(), Environment: cmp.Or(q.Environment, "production"), SHA: q.Ref, Description: q.Description, Payload: string(q.Payload), Transient: q.Transient,
	}
	d.Production = d.Environment == "production"
	if q.Production != nil {
		d.Production = *q.Production
	}
	repo.deployments = append(repo.deployments, d)
	repo.environments[d.Environment] = true
	return answer{status: http.StatusCreated, body: d.wire()}
}

// has: of a fork's pull request, GitHub keeps the head as refs/pull/N/head.
func (repo *repository) has(sha string) bool {
	for _, p := range repo.pulls {
		if p.HeadSHA == sha {
			return true
		}
	}
	return slices.Contains(slices.Collect(maps.Values(repo.branches)), sha)
}

func (repo *repository) deployment(r *http.Request) *Deployment {
	for _, d := range repo.deployments {
		if d.ID == number(r, "id") {
			return d
		}
	}
	return nil
}

func (st Status) wire() map[string]any {
	return map[string]any{"state": st.State, "environment_url": st.EnvironmentURL, "log_url": st.LogURL, "description": st.Description}
}

func (a deploymentsAPI) statuses(repo *repository, r *http.Request) answer {
	d := repo.deployment(r)
	if d == nil {
		return notFound
	}
	var items []any
	for _, st := range slices.Backward(d.Statuses) {
		items = append(items, st.wire())
	}
	return a.hub.paged(r, items)
}

var states = []string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}

func (a deploymentsAPI) createStatus(repo *repository, r *http.Request) answer {
	d := repo.deployment(r)
	var q struct {
		State, Description string
		EnvironmentURL     string `json:"environment_url"`
		LogURL             string `json:"log_url"`
		AutoInactive       *bool  `json:"auto_inactive"`
	}
	switch {
	case d == nil:
		return notFound
	case !decode(r, &q):
		return problems
	case !slices.Contains(states, q.State):
		return invalid("DeploymentStatus", "state", "State is not included in the list")
	case utf8.RuneCountInString(q.Description) > 140:
		return invalid("DeploymentStatus", "description", "description is too long (maximum is 140 characters)")
	}
	for field, address := range map[string]string{"environment_url": q.EnvironmentURL, "log_url": q.LogURL} {
		if address != "" && !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
			return invalid("DeploymentStatus", field, fmt.Sprintf("%s must use http(s) scheme", field))
		}
	}
	st := Status{State: q.State, EnvironmentURL: q.EnvironmentURL, LogURL: q.LogURL, Description: q.Description}
	if q.State == "success" && (q.AutoInactive == nil || *q.AutoInactive) {
		repo.supersede(d)
	}
	d.Statuses = append(d.Statuses, st)
	return answer{status: http.StatusCreated, body: st.wire()}
}

// supersede is what auto_inactive does: to successful deployments before this
// one, in the same environment, that are neither transient nor of production.
func (repo *repository) supersede(by *Deployment) {
	for _, d := range repo.deployments {
		if d.ID < by.ID && d.Environment == by.Environment && !d.Transient && !d.Production && d.State() == "success" {
			d.Statuses = append(d.Statuses, Status{State: "inactive"})
		}
	}
}

// delete refuses an active deployment, unless it is the only one.
func (a deploymentsAPI) delete(repo *repository, r *http.Request) answer {
	d := repo.deployment(r)
	switch {
	case d == nil:
		return notFound
	case d.State() != "inactive" && len(repo.deployments) > 1:
		return refuse(http.StatusUnprocessableEntity, "We cannot delete an active deployment unless it is the only deployment in a given environment.")
	}
	repo.deployments = slices.DeleteFunc(repo.deployments, func(o *Deployment) bool { return o == d })
	return answer{status: http.StatusNoContent}
}

func (a deploymentsAPI) deleteEnvironment(repo *repository, r *http.Request) answer {
	name := r.PathValue("environment")
	switch {
	case !a.hub.options.Admin:
		return inaccessible
	case !repo.environments[name]:
		return notFound
	}
	delete(repo.environments, name)
	return answer{status: http.StatusNoContent}
}
