package preview

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/redact"
)

// reportFile is what a run leaves, in report-dir.
const reportFile = "pr-preview-report.json"

// Main runs one goal and returns its exit status.
func Main(env action.Env, args []string) int { return action.Run(env, args, Spec(), work) }

// A session is one run: its inputs and what it is told.
type session struct {
	a      *action.Action
	v      input.Values
	event  github.Event
	goal   Goal
	key    Key
	commit string
	runID  string
}

// work is a run whose inputs are known to be good.
func work(ctx context.Context, a *action.Action, v input.Values) (action.Result, error) {
	s := &session{a: a, v: v, runID: runID(a)}
	if err := s.readEvent(); err != nil {
		return action.Result{}, err
	}
	s.goal = s.toGoal()
	if err := s.complete(); err != nil {
		return action.Result{}, &exit.Error{Status: exit.BadInput, Err: err}
	}
	forge, err := s.forge()
	if err != nil {
		return action.Result{}, err
	}
	keeper, err := s.keeper(ctx, forge)
	if err != nil {
		return action.Result{}, err
	}
	return s.run(ctx, keeper)
}

// runID is the workflow run and attempt, or this machine's moment.
func runID(a *action.Action) string {
	if id := a.Getenv("GITHUB_RUN_ID"); id != "" {
		return id + "." + a.Getenv("GITHUB_RUN_ATTEMPT")
	}
	return "local"
}

// readEvent reads what the workflow was triggered by; outside of one there is none.
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

func (s *session) toGoal() Goal {
	if g := s.v.String("goal"); g != "auto" {
		return Goal(g)
	}
	switch {
	case s.event.Closed:
		return GoalDown
	case s.event.Name == "schedule":
		return GoalSweep
	}
	return GoalUp
}

// complete finds the repository and the pull request, and says all that is missing.
func (s *session) complete() error {
	s.key = Key{Repository: s.v.String("repository"), Number: s.v.Int("pr-number")}
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
	var missing []error
	if s.v.String("github-token") == "" {
		missing = append(missing, errors.New("github-token: required; give the workflow's own, ${{ github.token }}"))
	}
	if s.key.Repository == "" {
		missing = append(missing, errors.New("repository: required where GITHUB_REPOSITORY is not set"))
	}
	derived := s.event.Name == "workflow_run" && s.commit != ""
	if s.v.String("api-code") != "" && s.v.String("api-image") != "" {
		missing = append(missing, errors.New("api-code and api-image: one of them"))
	}
	if s.key.Number == 0 && s.goal != GoalSweep && !derived {
		missing = append(missing, errors.New("pr-number: required where the event is not a pull request's"))
	}
	if (s.v.String("netlify-auth-token") == "") != (s.v.String("netlify-site-id") == "") {
		missing = append(missing, errors.New("netlify-auth-token and netlify-site-id: both or neither"))
	}
	return errors.Join(missing...)
}

// run does what the goal says and makes a result of it.
func (s *session) run(ctx context.Context, k *Keeper) (action.Result, error) {
	if s.goal == GoalSweep {
		swept, err := k.Sweep(ctx, s.key.Repository, s.v.Bool("delete"), s.runID, s.a.RunURL())
		return s.concludeSweep(swept, err)
	}
	if refused, err := s.admit(ctx, k); err != nil || refused != "" {
		if err == nil {
			err = &exit.Error{Status: exit.GateRefused, Err: errors.New(refused), Hint: "docs/preview.md has the two workflows for forks"}
		}
		return action.Result{Outputs: map[string]string{"status": "refused"}}, err
	}
	var r Result
	var err error
	switch s.goal {
	case GoalDown:
		r, err = k.Down(ctx, s.key, s.runID, s.a.RunURL())
	case GoalStatus:
		r, err = k.Look(ctx, s.key)
	default:
		r, err = k.Up(ctx, Want{
			Key: s.key, Commit: s.commit, Dir: s.v.String("dir"), Funcs: s.v.String("functions"), Config: s.v.String("netlify-config"),
			Expires: k.Now().Add(s.v.Duration("expires")), RunID: s.runID, RunURL: s.a.RunURL(), Links: s.v.Int("links"),
		})
	}
	return s.conclude(r, err)
}

// admit finds the pull request of a workflow_run, and refuses forks: what runs in a
// fork's pull request has no secrets, and what has secrets must not take its code.
func (s *session) admit(ctx context.Context, k *Keeper) (refused string, err error) {
	if s.key.Number == 0 {
		prs, err := k.Forge.Of(ctx, s.key.Repository, s.commit)
		if err != nil {
			return "", err
		}
		for _, pr := range prs {
			if pr.Open && pr.Head == s.commit {
				s.key.Number = pr.Number
			}
		}
		if s.key.Number == 0 {
			return fmt.Sprintf("no open pull request of %s is at commit %s", s.key.Repository, short(s.commit)), nil
		}
	}
	if s.goal != GoalUp {
		return "", nil
	}
	pr, err := k.Forge.PullRequest(ctx, s.key)
	if err != nil {
		return "", err
	}
	if s.commit == "" {
		s.commit = pr.Head
	}
	if !pr.Fork {
		return "", nil
	}
	switch {
	case s.event.Name == "pull_request" || s.event.Name == "pull_request_target":
		return fmt.Sprintf("%s is from a fork: a run of its own has no secrets and no token that may write, and a run that has them must not take its code", s.key), nil
	case !s.v.Bool("allow-forks"):
		return fmt.Sprintf("%s is from a fork, and allow-forks is not set", s.key), nil
	case k.Backend != nil || s.v.String("functions") != "":
		return fmt.Sprintf("%s is from a fork: its frontend may be published, its functions and API code may not; set parts: frontend", s.key), nil
	}
	return "", nil
}

// conclude makes all that a run says from its result.
func (s *session) conclude(r Result, err error) (action.Result, error) {
	// Before it is rendered: what is escaped no longer looks like a secret.
	r = redact.Deep(r, s.a.Redact)
	path, reportErr := s.report(r)
	out := action.Result{Outputs: map[string]string{
		"status": statusOf(r, err), "deploy-id": r.Frontend.ID, "comment-url": r.CommentURL, "report": path,
	}}
	if r.Frontend.Status == Ready {
		out.Outputs["url"] = r.Frontend.URL
	}
	if r.API.Status == Ready {
		out.Outputs["api-url"] = r.API.URL
	}
	if len(r.Outputs) > 0 {
		raw, e := json.Marshal(r.Outputs)
		reportErr = errors.Join(reportErr, e)
		out.Outputs["stack-outputs"] = string(raw)
	}
	var left []string
	for _, p := range r.failed() {
		if p.Status == Remaining {
			left = append(left, p.Name+": "+p.Detail)
		}
	}
	out.Outputs["remaining"] = strings.Join(left, "\n")
	if err == nil && r.Goal != "" {
		out.Summary = visible(Body(r, s.runID, last{}))
		if !s.a.OnRunner() {
			s.a.Print(out.Summary)
		}
	}
	for _, w := range r.Warnings {
		s.a.Annotate(action.Annotation{Level: action.Warning, Title: "pr-preview", Message: w})
	}
	if failed := r.failed(); err == nil && len(failed) > 0 {
		var parts []error
		for _, p := range failed {
			parts = append(parts, fmt.Errorf("%s: %s: %s", p.Name, p.Status, p.Detail))
		}
		err = &exit.Error{Status: exit.CouldNotRun, Err: errors.Join(parts...), Hint: "run it again: what is done is not done twice"}
	}
	return out, errors.Join(err, reportErr)
}

func statusOf(r Result, err error) string {
	failed := r.failed()
	done := func(s Status) bool { return r.Frontend.Status == s || r.API.Status == s }
	switch {
	case err != nil:
		return "failed"
	case r.Superseded != "":
		return "superseded"
	case len(failed) > 0 && (done(Ready) || done(Removed)):
		return "partial"
	case len(failed) > 0:
		return "failed"
	case r.Goal == GoalDown && done(Removed):
		return "removed"
	case r.Goal == GoalDown || done(Absent):
		return "nothing"
	}
	return "ready"
}

// concludeSweep is conclude for a sweep.
func (s *session) concludeSweep(swept Sweeping, err error) (action.Result, error) {
	path, reportErr := s.report(swept)
	var b strings.Builder
	fmt.Fprintf(&b, "### Sweep of the previews of %s\n\n%d are still wanted.\n\n", s.key.Repository, swept.Kept)
	var left []string
	for _, stray := range swept.Strays {
		became := "would be removed"
		if stray.Removed != nil {
			became = "removed"
			if failed := stray.Removed.failed(); len(failed) > 0 {
				became = "not gone"
				for _, p := range failed {
					left = append(left, fmt.Sprintf("#%d %s: %s", stray.Number, p.Name, p.Detail))
				}
			}
		}
		fmt.Fprintf(&b, "- #%d: %s; %s\n", stray.Number, stray.Why, became)
	}
	for _, f := range swept.Foreign {
		fmt.Fprintf(&b, "- left alone: %s\n", f)
	}
	out := action.Result{Summary: b.String(), Outputs: map[string]string{"status": "swept", "remaining": strings.Join(left, "\n"), "report": path}}
	if err != nil {
		out.Outputs["status"] = "failed"
	}
	if !s.a.OnRunner() {
		s.a.Print(out.Summary)
	}
	if err == nil && len(left) > 0 {
		err = errors.New(strings.Join(left, "\n"))
	}
	return out, errors.Join(err, reportErr)
}

// report writes the JSON report and returns its path.
func (s *session) report(value any) (string, error) {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.v.String("report-dir"), reportFile)
	if err := os.WriteFile(path, []byte(s.a.Redact(string(raw))+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("write the report: %w", err)
	}
	return path, nil
}

// keeper joins what the inputs give. Nothing of it asks for anything yet.
func (s *session) keeper(ctx context.Context, forge Forge) (*Keeper, error) {
	k := &Keeper{Forge: forge, Web: newVisitor(), Now: time.Now, After: time.After,
		Say: func(line string) { s.a.Print(line) }, Secret: s.a.Mask, Clean: s.a.Redact}
	var err error
	if k.Eye, err = s.eye(); err != nil {
		return nil, err
	}
	parts := s.v.String("parts")
	if s.v.String("netlify-auth-token") != "" && parts != "api" {
		k.Host = s.host()
	}
	wanted := s.v.String("api-code") != "" || s.v.String("api-image") != "" || s.v.String("api-template") != "" || s.goal != GoalUp && s.v.String("aws-region") != ""
	if wanted && parts != "frontend" {
		b, err := s.backend(ctx)
		if err != nil {
			return nil, err
		}
		k.Backend = b
	}
	if k.Host == nil && k.Backend == nil {
		return nil, &exit.Error{Status: exit.BadInput, Err: errors.New("neither part is configured: give netlify-auth-token and netlify-site-id for the frontend, api-code and aws-region for the API")}
	}
	return k, nil
}
