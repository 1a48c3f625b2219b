// Package preview is the use case of previews: the action pr-preview and the mage
// targets preview:up, preview:down, preview:status and preview:sweep. It reads inputs and
// event, refuses forks, connects GitHub, Netlify, AWS and a browser to the reconciler,
// and turns its result into outputs, summary and report.
//
// What a preview is and how it converges is in the package reconcile below; each file
// here named after an outside system translates for it.
package preview

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/access"
	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/preview/api"
	"github.com/candlefish/deploy-action/internal/preview/build"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
	"github.com/candlefish/deploy-action/internal/preview/result"
)

// Main runs one goal and returns its exit status.
func Main(env action.Env, args []string) int {
	return program{now: time.Now, after: time.After}.main(env, args)
}

// A program is the clock of a run.
type program struct {
	now   func() time.Time
	after func(time.Duration) <-chan time.Time
}

func (p program) main(env action.Env, args []string) int {
	return action.Run(env, args, Spec(), p.run)
}

// A session is one run: its inputs, and what follows from the event.
type session struct {
	program
	a      *action.Action
	v      input.Values
	event  github.Event
	goal   result.Goal
	key    reconcile.Key
	commit string
	runID  string
	// headers are what the checks of the frontend send; nil for none.
	headers *access.Headers
	// untrusted says that the build came from another run: an artifact, which may be a
	// stranger's.
	untrusted bool
}

// run is a run with valid inputs.
func (p program) run(ctx context.Context, a *action.Action, v input.Values) (action.Result, error) {
	s := &session{program: p, a: a, v: v, runID: runID(a)}
	if err := s.readEvent(); err != nil {
		return action.Result{}, err
	}
	s.goal = goalOf(v.String("goal"), s.event)
	if err := s.complete(); err != nil {
		return action.Result{}, &exit.Error{Status: exit.BadInput, Err: err}
	}
	r, err := s.reconciler(ctx)
	if err != nil {
		return action.Result{}, err
	}
	if err := s.makeReportDir(); err != nil {
		return action.Result{}, err
	}
	return s.reconcile(ctx, r)
}

// runID is the workflow run and attempt, "local" outside a workflow.
func runID(a *action.Action) string {
	if id := a.Getenv("GITHUB_RUN_ID"); id != "" {
		return id + "." + a.Getenv("GITHUB_RUN_ATTEMPT")
	}
	return "local"
}

// readEvent reads the event of the workflow; outside a workflow there is none.
func (s *session) readEvent() error {
	path := s.a.Getenv("GITHUB_EVENT_PATH")
	if path == "" {
		return nil
	}
	payload, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the event: %w", err)
	}
	s.event, err = github.ParseEvent(s.a.Getenv("GITHUB_EVENT_NAME"), payload)
	return err
}

func goalOf(input string, e github.Event) result.Goal {
	switch {
	case input != "auto":
		return result.Goal(input)
	case e.Closed:
		return result.GoalDown
	case e.Name == "schedule":
		return result.GoalSweep
	}
	return result.GoalUp
}

// complete takes repository, pull request and commit from the event where no input has
// them, and reports all missing inputs.
func (s *session) complete() error {
	s.key = reconcile.Key{Repository: s.v.String("repository"), Number: s.v.Int("pr-number")}
	if s.key.Repository == "" {
		s.key.Repository = s.event.Repo
	}
	if s.key.Number == 0 {
		s.key.Number = s.event.Number
	}
	s.commit = s.v.String("commit")
	if s.commit == "" {
		s.commit = s.event.HeadSHA
	}
	return errors.Join(s.readHeaders(), s.missing())
}

// readHeaders reads the headers of the checks, and hides what is secret in them.
func (s *session) readHeaders() (err error) {
	if s.headers, err = access.Parse(s.v.List("check-headers")); err != nil {
		return fmt.Errorf("check-headers: %w", err)
	}
	for _, secret := range s.headers.Secrets() {
		s.a.Mask(secret)
	}
	return nil
}

func (s *session) missing() error {
	var errs []error
	if s.v.String("github-token") == "" {
		errs = append(errs, errors.New("github-token: required; use the workflow's own, ${{ github.token }}"))
	}
	if s.key.Repository == "" {
		errs = append(errs, errors.New("repository: required if GITHUB_REPOSITORY is not set"))
	}
	if s.v.String("api-code") != "" && s.v.String("api-image") != "" {
		errs = append(errs, errors.New("api-code and api-image: only one of them is allowed"))
	}
	findable := s.event.Name == workflowRun && s.commit != "" // the pull request, by its commit
	if s.key.Number == 0 && s.goal != result.GoalSweep && !findable {
		errs = append(errs, errors.New("pr-number: required if the event is not a pull request's"))
	}
	if (s.v.String("netlify-auth-token") == "") != (s.v.String("netlify-site-id") == "") {
		errs = append(errs, errors.New("netlify-auth-token and netlify-site-id: both or neither"))
	}
	if s.goal == result.GoalUp && s.hasFrontend() {
		// Before anything is said in public, and before anything is created.
		if err := build.Check(s.v.String("dir")); err != nil {
			errs = append(errs, fmt.Errorf("dir: %w", err))
		}
	}
	return errors.Join(errs...)
}

// reconcile runs the goal and concludes from its result.
func (s *session) reconcile(ctx context.Context, k *reconcile.Reconciler) (action.Result, error) {
	if s.goal == result.GoalSweep {
		swept, err := k.Sweep(ctx, s.key.Repository, s.v.Bool("delete"), s.runID, s.a.RunURL())
		return s.concludeSweep(swept, err)
	}
	if err := s.admit(ctx, k); err != nil {
		return action.Result{}, err
	}
	if err := s.checkSite(k); err != nil {
		return action.Result{}, err
	}
	var r result.Result
	var err error
	switch s.goal {
	case result.GoalDown:
		r, err = k.Down(ctx, s.key, s.runID, s.a.RunURL())
		if err == nil && r.Superseded != "" && !s.event.Closed {
			err = &exit.Error{Status: exit.GateRefused, Err: fmt.Errorf("nothing was removed: %s of %s", r.Superseded, s.key), Hint: "to remove its preview although it is open, set remove-open: true"}
		}
	case result.GoalStatus:
		r, err = k.Status(ctx, s.key)
	default:
		r, err = k.Up(ctx, s.desired(k.Now()))
	}
	return s.conclude(r, err)
}

// desired is the desired state of the preview.
func (s *session) desired(now time.Time) reconcile.Desired {
	return reconcile.Desired{
		Key: s.key, Commit: s.commit, Dir: s.v.String("dir"), Untrusted: s.untrusted, Functions: s.v.String("functions"), Config: s.v.String("netlify-config"),
		Expires: now.Add(s.v.Duration("expires")), RunID: s.runID, RunURL: s.a.RunURL(), Links: s.v.Int("links"),
	}
}

// reconciler connects what the inputs configure. It sends no request.
func (s *session) reconciler(ctx context.Context) (*reconcile.Reconciler, error) {
	forge, err := s.forge()
	if err != nil {
		return nil, err
	}
	k := &reconcile.Reconciler{Forge: forge, Fetcher: newFetcher(s.headers), Now: s.now, After: s.after,
		Logf: s.a.Printf, Mask: s.a.Mask, Redact: s.a.Redact,
		EvenOpen: s.v.Bool("remove-open"), Partial: s.v.String("parts") != "all"}
	if k.Pages, err = s.pageChecker(); err != nil {
		return nil, err
	}
	if k.Health, err = s.health(); err != nil {
		return nil, err
	}
	if s.hasFrontend() {
		k.Host = s.host()
	}
	if s.hasAPI() {
		if k.Backend, err = s.backend(ctx); err != nil {
			return nil, err
		}
	}
	if k.Host == nil && k.Backend == nil {
		return nil, &exit.Error{Status: exit.BadInput, Err: s.nothingConfigured()}
	}
	return k, nil
}

// nothingConfigured names the inputs that are missing for the parts that were asked for.
func (s *session) nothingConfigured() error {
	code, region := "api-code, api-image or api-template", "aws-region"
	if s.goal != result.GoalUp {
		code = "" // to find or remove a stack, its region is enough
	} else if s.v.String("aws-region") != "" {
		region = ""
	}
	forAPI := strings.TrimSuffix(strings.TrimPrefix(code+" and "+region, " and "), " and ")
	switch s.v.String("parts") {
	case "api":
		return fmt.Errorf("parts: the API was asked for and is not configured: set %s", forAPI)
	case "frontend":
		return errors.New("parts: the frontend was asked for and is not configured: set netlify-auth-token and netlify-site-id")
	}
	return fmt.Errorf("neither part is configured: set netlify-auth-token and netlify-site-id for the frontend, %s for the API", forAPI)
}

// health is how an API shows that it is well.
func (s *session) health() (api.Health, error) {
	statuses, err := api.ParseStatuses(s.v.String("health-status"))
	if err != nil {
		return api.Health{}, &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("health-status: %w", err)}
	}
	return api.Health{Path: s.v.String("health-path"), Statuses: statuses}, nil
}

func (s *session) hasFrontend() bool {
	return s.v.String("netlify-auth-token") != "" && s.v.String("parts") != "api"
}

// hasAPI reports whether the run manages an API. To remove one, its region is enough.
func (s *session) hasAPI() bool {
	if s.v.String("parts") == "frontend" {
		return false
	}
	return s.v.String("api-code") != "" || s.v.String("api-image") != "" || s.v.String("api-template") != "" ||
		s.goal != result.GoalUp && s.v.String("aws-region") != ""
}
