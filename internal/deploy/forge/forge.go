// Package forge tells GitHub of a release: a deployment with its statuses, and the
// image in the repository of a GitOps tool.
//
// It never fails or delays a release. Requests are sent beside the rollout; what was
// not sent within a limit after its end is a warning that says what to do by hand.
package forge

import (
	"context"
	"net/http"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/engine"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/deployments"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// The limits of what follows a release.
const (
	// patience bounds the last status of a deployment, and the write-back.
	patience = 10 * time.Second
	// hurry is patience for a process that got a signal: it has 7 s in all.
	hurry = time.Second
	// perRequest bounds one request.
	perRequest = 10 * time.Second
)

// A Forge tells GitHub of one run.
type Forge struct {
	run         *engine.Run
	deployments *follower // nil for none
}

// Open begins to follow a run.
func Open(ctx context.Context, r *engine.Run) *Forge {
	f := &Forge{run: r}
	if recorder := newRecorder(r); recorder != nil {
		f.deployments = follow(context.WithoutCancel(ctx), recorder)
		r.Follow = func(record *release.Record, s rollout.State) { f.deployments.tell(eventOf(r, record, s)) }
	}
	return f
}

// Close tells how the run ended. d is nil after an error that left nothing.
func (f *Forge) Close(ctx context.Context, d *view.Delivery, err error) {
	limit := patience
	if ctx.Err() != nil {
		limit = hurry
	}
	if f.deployments != nil {
		if e, ok := last(f.run, d); ok && err == nil {
			f.deployments.tell(e)
		} else if err != nil { // what this run began has failed
			f.deployments.amend(f.run.ID.ID, deployments.Status{State: deployments.Failure, Description: f.run.Action.Redact(err.Error()), LogURL: f.run.Cfg.RunURL})
		}
		f.run.Follow = nil
		f.run.Told.Deployment = f.deployments.end(limit)
		for _, w := range f.deployments.warnings() {
			f.run.Console.Warn(w)
		}
	}
	if err == nil {
		f.writeBack(ctx, d)
	}
}

// client returns a client of GitHub's API.
func client(r *engine.Run, token string) (*github.Client, error) {
	return github.New(github.Options{Token: token, BaseURL: r.Cfg.Forge.APIURL, Client: &http.Client{Timeout: perRequest}})
}
