package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/preview/result"
	"github.com/candlefish/deploy-action/internal/preview/visit"
)

// maxRounds is how often a run brings a preview to its commit when another run
// changed it in the meantime.
const maxRounds = 3

// cleanUpTimeout bounds the clean-up of a run that was interrupted or superseded.
const cleanUpTimeout = 5 * time.Minute

// closedReason is the reason of a run that was superseded by the end of the pull request.
const closedReason = "the pull request is closed"

// Up brings the preview to the desired commit. Parts that failed are in the Result; an
// error means that the run could not find out what to do.
func (k *Reconciler) Up(ctx context.Context, d Desired) (result.Result, error) {
	r := k.begin(d.Key, result.GoalUp, d.RunURL)
	r.Commit, r.Expires = d.Commit, d.Expires
	why, err := k.superseded(ctx, d)
	if err != nil {
		return r, err
	}
	if why != "" {
		return k.giveUp(ctx, r, d, why, nil)
	}
	made, why, err := k.converge(ctx, d, &r)
	if err != nil {
		// Without knowing whether the pull request is still open, what this run
		// created must not stay.
		return r, errors.Join(err, k.cleanUp(ctx, d, made, false))
	}
	if why != "" {
		return k.giveUp(ctx, r, d, why, made)
	}
	r.EndedAt = k.Now().UTC()
	if len(r.Foreign) > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("alias %s has deploys that are not ours, left alone: %s; the address shows this preview now", d.Alias(), strings.Join(r.Foreign, ", ")))
	}
	if err := k.Forge.RecordDeployment(ctx, d.owner(), cmp.Or(r.Frontend.URL, r.API.URL), d.RunURL, len(r.Failed()) == 0); err != nil {
		r.Warnings = append(r.Warnings, "GitHub's environment is not up to date: "+err.Error())
	}
	k.comment(ctx, d.RunID, &r)
	return k.closedMeanwhile(ctx, r, d)
}

// closedMeanwhile removes the preview again if the pull request was closed, and perhaps
// cleaned up, while the deployment and the comment were written.
func (k *Reconciler) closedMeanwhile(ctx context.Context, r result.Result, d Desired) (result.Result, error) {
	why, err := k.superseded(ctx, d)
	if err != nil || why != closedReason {
		return r, nil // a sweep finds what the comment records
	}
	if _, err := k.remove(ctx, d.Key, d.RunID, d.RunURL, false); err != nil {
		return r, err
	}
	return k.giveUp(ctx, r, d, why, nil)
}

// converge brings both parts to the commit, again if another run changed them in the
// meantime.
func (k *Reconciler) converge(ctx context.Context, d Desired, r *result.Result) (made *Site, why string, err error) {
	for round := 1; ; round++ {
		made, why, err = k.applyOnce(ctx, d, r)
		if err != nil || why != "" || round == maxRounds || len(r.Failed()) > 0 || k.atCommit(ctx, d, *r) {
			return made, why, err
		}
		k.Logf("another run changed the preview in the meantime: bringing it to %s again", result.Short(d.Commit))
	}
}

// applyOnce brings both parts to the commit once. It returns the deploy of this run,
// and why the run was superseded; it asks that before each wait.
func (k *Reconciler) applyOnce(ctx context.Context, d Desired, r *result.Result) (made *Site, why string, err error) {
	if k.applyAPI(ctx, d, r) {
		if why, err = k.superseded(ctx, d); err != nil || why != "" {
			return nil, why, err
		}
		k.visitor().API(ctx, d.Commit, &r.API)
	}
	if why, err = k.superseded(ctx, d); err != nil || why != "" || k.Host == nil {
		return nil, why, err
	}
	if made = k.publish(ctx, d, r); made == nil {
		return nil, "", ctx.Err()
	}
	if why, err = k.superseded(ctx, d); err != nil || why != "" {
		return made, why, err
	}
	k.visitor().Site(ctx, d.Commit, d.Links, &r.Frontend)
	k.visitor().Browser(ctx, &r.Frontend)
	why, err = k.superseded(ctx, d)
	return made, why, err
}

// superseded reads the pull request and returns why this run is no longer the current
// one, empty while it is.
func (k *Reconciler) superseded(ctx context.Context, d Desired) (string, error) {
	pr, err := k.Forge.PullRequest(ctx, d.Key)
	if err != nil {
		return "", fmt.Errorf("check whether %s is still open: %w", d.Key, err)
	}
	return supersededBy(pr, d), nil
}

func supersededBy(pr PullRequest, d Desired) string {
	switch {
	case !pr.Open:
		return closedReason
	case pr.Head != d.Commit:
		return "commit " + result.Short(pr.Head) + " came after " + result.Short(d.Commit)
	}
	return ""
}

// giveUp ends a superseded run: it removes what the run created, unless the run of a
// newer commit will replace it. Nothing of it is ready, whatever was seen before.
func (k *Reconciler) giveUp(ctx context.Context, r result.Result, d Desired, why string, made *Site) (result.Result, error) {
	k.Logf("superseded: %s", why)
	r.Superseded = why
	started := r.API.Status != result.StatusUnused
	err := k.cleanUp(ctx, d, made, why == closedReason && started)
	for _, p := range []*result.Part{&r.Frontend, &r.API} {
		if p.Status != result.StatusUnused {
			*p = result.Part{Name: p.Name, Status: result.StatusSuperseded, ID: p.ID, Took: p.Took, Detail: why}
		}
	}
	if made != nil && err == nil {
		r.Frontend.Detail += "; its own deploy " + made.ID + " was deleted again"
	}
	r.Changes = nil
	r.EndedAt = k.Now().UTC()
	return r, err
}

// cleanUp removes what this run created: its deploy, and the stack if no other run
// will.
func (k *Reconciler) cleanUp(ctx context.Context, d Desired, made *Site, stack bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	var errs []error
	if made != nil {
		if err := k.Host.Remove(ctx, *made); err != nil {
			errs = append(errs, fmt.Errorf("remove this run's own deploy %s: %w", made.ID, err))
		}
	}
	if stack && k.Backend != nil {
		removed, err := k.Backend.Remove(ctx, d.Key, k.Logf)
		if err != nil {
			errs = append(errs, fmt.Errorf("remove stack %s again: %w", d.Stack(), err))
		}
		if len(removed.Left) > 0 {
			errs = append(errs, fmt.Errorf("remove stack %s again: AWS did not delete %s", d.Stack(), strings.Join(removed.Left, ", ")))
		}
	}
	return errors.Join(errs...)
}

// applyAPI brings the stack to the commit, and reports whether there is an API to check.
func (k *Reconciler) applyAPI(ctx context.Context, d Desired, r *result.Result) bool {
	if k.Backend == nil {
		return false
	}
	began := k.Now()
	r.API = result.Part{Name: result.API, Status: result.StatusFailed, Checks: []result.Check{}}
	a, err := k.Backend.Apply(ctx, d.owner(), k.Logf)
	r.API.Took = k.Now().Sub(began)
	r.API.URL, r.API.ID, r.Outputs = a.URL(), a.ID, a.Outputs
	for _, value := range a.Secrets {
		k.Mask(value)
	}
	switch {
	case err != nil:
		r.API.Detail = err.Error()
	case len(a.Missing) > 0:
		r.API.Detail = fmt.Sprintf("the stack is %s, but these resources do not exist: %q", a.Status, a.Missing)
	case a.URL() == "":
		r.API.Detail = "the stack has no output ApiUrl"
	default:
		r.Changes = append(r.Changes, a.Changes...)
		return true
	}
	return false
}

// publish publishes the build and returns its deploy, nil if that failed.
func (k *Reconciler) publish(ctx context.Context, d Desired, r *result.Result) *Site {
	began := k.Now()
	r.Frontend = result.Part{Name: result.Frontend, Status: result.StatusFailed}
	if err := prepare(d, r.API.URL, k.Now()); err != nil {
		r.Frontend.Detail = err.Error()
		return nil
	}
	if err := k.checkAlias(ctx, d, r); err != nil {
		r.Frontend.Detail = err.Error()
		return nil
	}
	site, err := k.Host.Publish(ctx, Build{Dir: d.Dir, Functions: d.Functions, Config: d.Config, Owner: d.owner(), Logf: k.Logf})
	r.Frontend.Took = k.Now().Sub(began)
	if err != nil {
		r.Frontend.Detail = err.Error()
		return nil
	}
	r.Frontend.URL, r.Frontend.ID = site.AliasURL, site.ID
	r.Changes = append(r.Changes, fmt.Sprintf("%d of %d files uploaded", site.Uploaded, site.Files))
	return &site
}

// checkAlias returns an error if the alias has another repository's preview, which publishing
// would replace: two repositories can share a site by mistake. A deploy that nobody's preview
// is gets a warning.
func (k *Reconciler) checkAlias(ctx context.Context, d Desired, r *result.Result) error {
	sites, err := k.Host.Sites(ctx, d.Alias())
	if err != nil {
		return fmt.Errorf("look whose previews alias %s has: %w", d.Alias(), err)
	}
	_, foreign := d.split(sites)
	r.Foreign = nil
	for _, s := range foreign {
		if o, err := OwnerOfTitle(s.Title, s.Alias); err == nil {
			return fmt.Errorf("alias %s has the preview of %s, deploy %s, and nothing was published: each repository needs a site of its own", d.Alias(), o.Key, s.ID)
		}
		r.Foreign = append(r.Foreign, s.ID)
	}
	return nil
}

// atCommit verifies that both parts are still at the commit, after both were.
func (k *Reconciler) atCommit(ctx context.Context, d Desired, r result.Result) bool {
	if k.Host != nil {
		if _, body, err := k.Fetcher.Get(ctx, r.Frontend.URL+visit.ManifestPath); err != nil || visit.CommitOf(body) != d.Commit {
			return false
		}
	}
	return k.Backend == nil || k.apiAtCommit(ctx, d, r)
}

// apiAtCommit asks the API itself if it reports its commit, and otherwise reads the
// stack's tags.
func (k *Reconciler) apiAtCommit(ctx context.Context, d Desired, r result.Result) bool {
	if r.API.Commit != "" {
		_, body, err := k.Fetcher.Get(ctx, k.Health.URL(r.API.URL))
		return err == nil && strings.Contains(body, d.Commit)
	}
	stacks, err := k.Backend.Stacks(ctx)
	if err != nil {
		return true // the check a moment ago is the best that is known
	}
	i := slices.IndexFunc(stacks, func(a API) bool { return a.Name == d.Stack() })
	return i >= 0 && stacks[i].Tags[tagCommit] == d.Commit
}
