package preview

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/preview/api"
	"github.com/candlefish/deploy-action/internal/redact"
)

// A Web asks for pages as a browser would. Pages are cut at a MiB.
type Web interface {
	Get(ctx context.Context, url string) (status int, body string, err error)
}

// A Keeper keeps the previews of one repository. Parts that are nil are not used.
type Keeper struct {
	Forge   Forge
	Host    Host
	Backend Backend
	Web     Web
	Eye     Eye // nil: no browser looks
	Now     func() time.Time
	After   func(time.Duration) <-chan time.Time
	Say     func(string) // progress, for people
	// Secret is told of values that must not be shown; Clean takes them out of
	// what is.
	Secret func(string)
	Clean  func(string) string
}

// A Want is a preview as it should be.
type Want struct {
	Key
	Commit  string
	Dir     string // the built frontend
	Funcs   string // its functions
	Config  string // its netlify.toml
	Expires time.Time
	RunID   string
	RunURL  string
	// Links is how many links of the sitemap are looked at; 0 is none.
	Links int
}

// rounds is how often a preview is brought to its commit again when another run
// was in between.
const rounds = 3

// cleanUp bounds what is undone after a signal or an overtaking.
const cleanUp = 5 * time.Minute

// Up brings the preview to the wanted commit. What could not be done is in the
// Result; an error means that it could not even be found out what to do.
func (k *Keeper) Up(ctx context.Context, w Want) (Result, error) {
	r := Result{Key: w.Key, Repository: w.Repository, Number: w.Number, Goal: GoalUp, Commit: w.Commit, Expires: w.Expires,
		Frontend: Part{Name: "Frontend", Status: Unused}, API: Part{Name: "API", Status: Unused}, StartedAt: k.Now().UTC(), RunURL: w.RunURL}
	why, err := k.overtaken(ctx, w)
	if err != nil {
		return r, err
	}
	if why != "" {
		return k.supersede(ctx, r, w, why, nil)
	}
	var made *Site
	for round := 1; ; round++ {
		made, why, err = k.converge(ctx, w, &r)
		if err != nil || why != "" || round == rounds || len(r.failed()) > 0 || k.stands(ctx, w, r) {
			break
		}
		k.Say("another run changed the preview meanwhile: bringing it to " + short(w.Commit) + " again")
	}
	if err != nil {
		// Not knowing whether the pull request is still there, what this run
		// made must not stay.
		return r, errors.Join(err, k.undo(ctx, w, made, false))
	}
	if why != "" {
		return k.supersede(ctx, r, w, why, made)
	}
	r.EndedAt = k.Now().UTC()
	if err := k.Forge.Announce(ctx, Owner{w.Key, w.Commit, w.Expires}, r.Frontend.URL, w.RunURL, len(r.failed()) == 0); err != nil {
		r.Warnings = append(r.Warnings, "GitHub's environment is not up to date: "+err.Error())
	}
	k.comment(ctx, w.RunID, &r)
	return r, nil
}

// converge brings both parts to the commit once. made is the deploy of this run, and
// why says that the run was overtaken; it is asked before anything is waited for.
func (k *Keeper) converge(ctx context.Context, w Want, r *Result) (made *Site, why string, err error) {
	if k.api(ctx, w, r) {
		if why, err = k.overtaken(ctx, w); err != nil || why != "" {
			return nil, why, err
		}
		k.checkAPI(ctx, w, &r.API)
	}
	if why, err = k.overtaken(ctx, w); err != nil || why != "" || k.Host == nil {
		return nil, why, err
	}
	if made = k.frontend(ctx, w, r); made == nil {
		return nil, "", ctx.Err()
	}
	if why, err = k.overtaken(ctx, w); err != nil || why != "" {
		return made, why, err
	}
	k.checkSite(ctx, w, &r.Frontend)
	k.eyes(ctx, &r.Frontend)
	why, err = k.overtaken(ctx, w)
	return made, why, err
}

// overtaken says why this run is no longer the one, "" while it is.
func (k *Keeper) overtaken(ctx context.Context, w Want) (string, error) {
	pr, err := k.Forge.PullRequest(ctx, w.Key)
	switch {
	case err != nil:
		return "", fmt.Errorf("look whether %s is still open: %w", w.Key, err)
	case !pr.Open:
		return "the pull request is closed", nil
	case pr.Head != w.Commit:
		return "commit " + short(pr.Head) + " came after " + short(w.Commit), nil
	}
	return "", nil
}

// supersede ends a run that was overtaken: what it made goes, unless a newer
// commit's run will replace it anyway.
func (k *Keeper) supersede(ctx context.Context, r Result, w Want, why string, made *Site) (Result, error) {
	k.Say("superseded: " + why)
	r.Superseded = why
	closed := why == "the pull request is closed"
	started := r.API.Status != Unused
	err := k.undo(ctx, w, made, closed && started)
	for _, p := range []*Part{&r.Frontend, &r.API} {
		if p.Status != Unused {
			p.Status, p.Detail = Superseded, why
		}
	}
	r.EndedAt = k.Now().UTC()
	return r, err
}

// undo removes what this run made: its deploy, and the stack where nobody else
// will look after it.
func (k *Keeper) undo(ctx context.Context, w Want, made *Site, stack bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	var errs []error
	if made != nil {
		if err := k.Host.Remove(ctx, *made); err != nil {
			errs = append(errs, fmt.Errorf("remove this run's own deploy %s: %w", made.ID, err))
		}
	}
	if stack && k.Backend != nil {
		if _, left, err := k.Backend.Remove(ctx, w.Key, k.Say); err != nil || len(left) > 0 {
			errs = append(errs, fmt.Errorf("remove stack %s again: left are %q: %w", w.Stack(), left, err))
		}
	}
	return errors.Join(errs...)
}

// api brings the stack to the commit and says whether there is something to look at.
func (k *Keeper) api(ctx context.Context, w Want, r *Result) bool {
	if k.Backend == nil {
		return false
	}
	began := k.Now()
	r.API = Part{Name: "API", Status: Failing, Checks: []Check{}}
	a, err := k.Backend.Apply(ctx, Owner{w.Key, w.Commit, w.Expires}, k.Say)
	r.API.Took = k.Now().Sub(began)
	r.API.URL, r.API.ID, r.Outputs = a.URL(), a.ID, a.Outputs
	for name, value := range a.Outputs {
		if !slices.Contains(api.Outputs, name) { // those of a template of the user's own
			k.Secret(value)
		}
	}
	switch {
	case err != nil:
		r.API.Detail = err.Error()
		return false
	case len(a.Missing) > 0:
		r.API.Detail = fmt.Sprintf("the stack says %s, but these resources do not exist: %q", a.Status, a.Missing)
		return false
	case a.URL() == "":
		r.API.Detail = "the stack has no output ApiUrl"
		return false
	}
	r.Changes = append(r.Changes, a.Changes...)
	return true
}

// frontend publishes the build and returns the deploy that it made.
func (k *Keeper) frontend(ctx context.Context, w Want, r *Result) *Site {
	began := k.Now()
	r.Frontend = Part{Name: "Frontend", Status: Failing}
	if err := writeManifest(w, r.API.URL, k.Now()); err != nil {
		r.Frontend.Detail = err.Error()
		return nil
	}
	site, err := k.Host.Publish(ctx, Build{Dir: w.Dir, Functions: w.Funcs, Config: w.Config, Owner: Owner{w.Key, w.Commit, w.Expires}, Progress: k.Say})
	r.Frontend.Took = k.Now().Sub(began)
	if err != nil {
		r.Frontend.Detail = err.Error()
		return nil
	}
	r.Frontend.URL, r.Frontend.ID = site.AliasURL, site.ID
	r.Changes = append(r.Changes, fmt.Sprintf("%d of %d files uploaded", site.Uploaded, site.Files))
	return &site
}

// stands looks whether both parts are still at the commit, after both were.
func (k *Keeper) stands(ctx context.Context, w Want, r Result) bool {
	if k.Host != nil {
		if _, body, err := k.Web.Get(ctx, r.Frontend.URL+manifestPath); err != nil || commitOf(body) != w.Commit {
			return false
		}
	}
	return k.Backend == nil || k.apiStands(ctx, w, r)
}

// apiStands asks the API itself where it tells its commit, and else the stack's tags.
func (k *Keeper) apiStands(ctx context.Context, w Want, r Result) bool {
	if r.API.Commit != "" {
		_, body, err := k.Web.Get(ctx, health(r.API.URL))
		return err == nil && strings.Contains(body, w.Commit)
	}
	stacks, err := k.Backend.Stacks(ctx)
	if err != nil {
		return true // what was checked a moment ago is the best that is known
	}
	i := slices.IndexFunc(stacks, func(a API) bool { return a.Name == w.Stack() })
	return i >= 0 && stacks[i].Tags[tagCommit] == w.Commit
}

// comment makes the pull request's one comment say what was seen.
func (k *Keeper) comment(ctx context.Context, runID string, r *Result) {
	previous, err := k.Forge.Previous(ctx, r.Key, marker)
	if err != nil {
		r.Warnings = append(r.Warnings, "no comment: "+err.Error())
		return
	}
	last := lastOf(previous)
	if last.Commit == r.Commit && last.newer(runID) {
		r.Warnings = append(r.Warnings, "the comment is by a newer run of the same commit and stays")
		return
	}
	r.CommentURL, _, err = k.Forge.Comment(ctx, r.Key, marker, Body(redact.Deep(*r, k.Clean), runID, last))
	if err != nil {
		r.Warnings = append(r.Warnings, "no comment: "+err.Error())
	}
}
