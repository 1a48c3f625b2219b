package forge

import (
	"context"
	"fmt"
	"sync"

	"github.com/candlefish/deploy-action/internal/deploy/engine"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/github/deployments"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A githubRecorder records events as GitHub deployments of one environment.
type githubRecorder struct {
	environment deployments.Environment
	repository  string
	commit, run string // of the workflow
	auto        bool   // make none if the job has one

	mu  sync.Mutex
	own *bool            // whether the job has one, nil until asked
	ids map[string]int64 // by the run of a release; 0 if it has none
}

// newRecorder returns nil if GitHub is told of no deployments.
func newRecorder(r *engine.Run) recorder {
	c, getenv := r.Cfg.Forge, r.Action.Getenv
	repository, commit := getenv("GITHUB_REPOSITORY"), getenv("GITHUB_SHA")
	warn := func(reason string) recorder {
		if c.Deployment == inputs.DeploymentYes {
			r.Console.Warn("no GitHub deployment: " + reason)
		}
		return nil
	}
	switch {
	case c.Deployment == inputs.DeploymentNo || r.Cfg.PlanOnly || r.InCluster:
		return nil
	case c.Deployment == inputs.DeploymentAuto && !r.Action.OnRunner():
		return nil
	case c.Token == "":
		return warn("there is no token; set github-token")
	case repository == "" || commit == "":
		return warn("GITHUB_REPOSITORY and GITHUB_SHA are not set")
	}
	api, err := client(r, c.Token)
	if err != nil {
		return warn(err.Error())
	}
	environment, err := deployments.New(api, repository, r.Cfg.Environment)
	if err != nil {
		return warn(err.Error())
	}
	return &githubRecorder{
		environment: environment, repository: repository, commit: commit, run: getenv("GITHUB_RUN_ID"),
		auto: c.Deployment == inputs.DeploymentAuto, ids: map[string]int64{},
	}
}

// record implements recorder.
func (g *githubRecorder) record(ctx context.Context, e event) (int64, error) {
	id, err := g.find(ctx, e)
	if err != nil || id == 0 {
		return 0, err
	}
	if e.status.State == deployments.Success && !e.fresh {
		own, err := g.ofJob(ctx)
		if err != nil {
			return id, err
		}
		if own { // one of the two is active: that of the job that promotes it
			e.status.State, e.status.Description = deployments.Inactive, "promoted by a job with a deployment of its own"
		}
	}
	if err := g.environment.SetStatus(ctx, id, e.status); err != nil {
		return id, err
	}
	switch {
	case e.status.State == deployments.Success:
		err = g.environment.Supersede(ctx, id, e.payload.Target)
	case e.back != "":
		err = g.reactivate(ctx, id, e)
	}
	return id, err
}

// ofJob reports whether the job has a deployment of its own, which then counts.
func (g *githubRecorder) ofJob(ctx context.Context) (bool, error) {
	if !g.auto || g.run == "" {
		return false, nil
	}
	if g.own == nil {
		own, err := g.environment.OfJob(ctx, g.commit, g.run)
		if err != nil {
			return false, err
		}
		g.own = &own
	}
	return *g.own, nil
}

func (g *githubRecorder) id(run string) (id int64, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id, known = g.ids[run]
	return id, known
}

func (g *githubRecorder) know(run string, id int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ids[run] = id
}

// find returns the deployment of a release, and makes it if the release is this
// process's own. A job that has the environment has a deployment of GitHub's, whose
// statuses GitHub writes.
func (g *githubRecorder) find(ctx context.Context, e event) (int64, error) {
	if id, known := g.id(e.run); known {
		return id, nil
	}
	if !e.fresh {
		return g.search(ctx, e)
	}
	own, err := g.ofJob(ctx)
	if err != nil {
		return 0, err
	}
	id := int64(0)
	if !own {
		if id, err = g.environment.Create(ctx, g.commit, e.payload.Image, e.payload); err != nil {
			return 0, err
		}
	}
	g.know(e.run, id)
	return id, nil
}

// search returns the deployment of a release that another process began, 0 for none.
func (g *githubRecorder) search(ctx context.Context, e event) (int64, error) {
	all, err := g.environment.Newest(ctx, "")
	if err != nil {
		return 0, err
	}
	id := int64(0)
	for _, d := range all {
		if d.Payload.Target == e.payload.Target && d.Payload.Run == e.run {
			id = d.ID
			break
		}
	}
	g.know(e.run, id)
	return id, nil
}

// reactivate makes the newest earlier deployment of the image that serves again
// active.
func (g *githubRecorder) reactivate(ctx context.Context, id int64, e event) error {
	all, err := g.environment.Newest(ctx, "")
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.ID < id && d.Payload.Target == e.payload.Target && d.Payload.Image == e.back {
			again := e.status
			again.State, again.Description = deployments.Success, "serves again"
			return g.environment.SetStatus(ctx, d.ID, again)
		}
	}
	return nil
}

// byHand implements recorder.
func (g *githubRecorder) byHand(e event) string {
	id, _ := g.id(e.run)
	if id == 0 {
		return ""
	}
	return fmt.Sprintf("; to set it, type: gh api repos/%s/deployments/%d/statuses -f state=%s", g.repository, id, e.status.State)
}

// eventOf returns what a state of a rollout is to GitHub. How this run's own release
// ends is told by last, once it is proven.
func eventOf(r *engine.Run, record *release.Record, s rollout.State) event {
	e := event{
		run: record.Run.ID, fresh: record.Run.ID == r.ID.ID,
		payload: deployments.Payload{Target: record.Namespace + "/" + record.Deployment, Run: record.Run.ID, Image: record.Image},
		status:  deployments.Status{State: deployments.InProgress, Description: record.Image, EnvironmentURL: r.Cfg.Forge.EnvironmentURL, LogURL: r.Cfg.RunURL},
	}
	if s.Phase == rollout.PhasePending {
		e.status.State = deployments.Queued
	}
	return e
}

// last returns the event of the end of a rollout that this run drove; ok is false if
// it has nothing to tell.
func last(r *engine.Run, d *view.Delivery) (e event, ok bool) {
	if d == nil || d.Found == nil || d.Found.Record == nil || d.Asked || d.Planned || d.Unchanged {
		return event{}, false
	}
	record, s := d.Found.Record, d.State
	e = eventOf(r, record, s)
	e.status.Description = s.Reason
	switch word := r.StatusWord(d); {
	case d.Unproven != nil:
		e.status.State, e.status.Description = deployments.Failure, d.Unproven.Error()
	case word == "promoted":
		e.status.State, e.status.Description = deployments.Success, record.Image
	case word == "paused":
		e.status.State = deployments.Queued
		e.status.Description = fmt.Sprintf("paused at %d %%; type: %s", s.Weight, r.Command("promote", record.Namespace, record.Deployment))
	case word == "rolled-back":
		e.status.State, e.back = deployments.Inactive, d.Previous
	case word == exit.AbortFailed.String():
		e.status.State = deployments.Error
	case !s.Phase.Terminal():
		return event{}, false // the next process of this run goes on
	default:
		e.status.State = deployments.Failure
	}
	e.status.Description = r.Action.Redact(e.status.Description)
	return e, true
}
