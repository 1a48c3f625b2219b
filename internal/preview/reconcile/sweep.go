package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/preview/result"
)

// An Orphan is a preview whose pull request is closed or whose time is over.
type Orphan struct {
	Key     Key       `json:"-"`
	Number  int       `json:"pr_number"`
	Why     string    `json:"why"`
	Expires time.Time `json:"expires_at"`
	Sites   int       `json:"sites"`
	Stack   bool      `json:"stack"`
	// Remains are resources that AWS did not delete with the stack.
	Remains []string `json:"remains,omitempty"`
	// Removed is the result of its removal; nil in a dry run.
	Removed *result.Result `json:"removed,omitempty"`
	// Error is why it was not removed.
	Error string `json:"error,omitempty"`
	// unlisted is one that only its comment records; it has no expiry.
	unlisted bool
}

// expired reports whether its time is over.
func (o Orphan) expired(now time.Time) bool { return !o.unlisted && !now.Before(o.Expires) }

// A SweepResult is what a sweep found and removed.
type SweepResult struct {
	Orphans []Orphan `json:"strays"`
	// Kept counts the previews that are still needed. Foreign lists stacks and deploys
	// that look like a preview's and lack one of our tags: they are never touched.
	Kept    int      `json:"kept"`
	Foreign []string `json:"foreign,omitempty"`
	DryRun  bool     `json:"dry_run"`
}

// Sweep finds the orphaned previews of a repository, and deletes them if remove is
// true. Unless it can list all open pull requests it deletes nothing.
func (k *Reconciler) Sweep(ctx context.Context, repository string, remove bool, runID, runURL string) (SweepResult, error) {
	s := SweepResult{DryRun: !remove}
	open, err := k.Forge.Open(ctx, repository)
	if err != nil {
		return s, fmt.Errorf("list the open pull requests of %s, without which nothing is swept: %w", repository, err)
	}
	previews, foreign, err := k.previews(ctx, repository)
	if err != nil {
		return s, err
	}
	s.Foreign = foreign
	s.Orphans, s.Kept = orphans(previews, open, k.Now())
	unfinished, err := k.unfinished(ctx, repository, previews, open)
	s.Orphans = append(s.Orphans, unfinished...)
	if !remove {
		return s, err
	}
	errs := []error{err} // what was found can be removed all the same
	for i := range s.Orphans {
		// One that cannot be read or removed does not keep the others.
		if err := k.removeOrphan(ctx, &s.Orphans[i], &s, runID, runURL); err != nil {
			s.Orphans[i].Error = err.Error()
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			errs = append(errs, fmt.Errorf("the sweep ended at #%d: %w", s.Orphans[i].Number, context.Cause(ctx)))
			break
		}
	}
	return s, errors.Join(errs...)
}

// orphans selects the orphans of previews, by number, and counts the others.
func orphans(previews []Orphan, open []PullRequest, now time.Time) (found []Orphan, kept int) {
	for _, p := range previews {
		if p.Why = p.due(open, now); p.Why == "" {
			kept++
			continue
		}
		found = append(found, p)
	}
	slices.SortFunc(found, func(a, b Orphan) int { return cmp.Compare(a.Number, b.Number) })
	return found, kept
}

// due returns why a preview should be gone, empty if it should not.
func (o Orphan) due(open []PullRequest, now time.Time) string {
	if !slices.ContainsFunc(open, func(pr PullRequest) bool { return pr.Key == o.Key }) {
		return "its pull request is not open"
	}
	if o.expired(now) {
		return "it expired on " + o.Expires.UTC().Format(time.RFC3339)
	}
	return ""
}

// recordAge is how long a comment is looked at for a removal that did not end. A sweep every
// night sees it often enough.
const recordAge = 30 * 24 * time.Hour

// unfinished finds the pull requests that are not open and have nothing that is listed
// anywhere, but whose comment says that not everything was removed, or nothing: a removal was
// killed before its end, or a deploy still answered after it was deleted.
func (k *Reconciler) unfinished(ctx context.Context, repository string, listed []Orphan, open []PullRequest) ([]Orphan, error) {
	comments, err := k.Forge.RecentComments(ctx, repository, result.Marker, k.Now().Add(-recordAge))
	if err != nil {
		return nil, fmt.Errorf("read which removals did not end: %w", err)
	}
	var found []Orphan
	for _, n := range slices.Sorted(maps.Keys(comments)) {
		key := Key{repository, n}
		isListed := slices.ContainsFunc(listed, func(o Orphan) bool { return o.Key == key })
		isOpen := slices.ContainsFunc(open, func(pr PullRequest) bool { return pr.Key == key })
		if !isListed && !isOpen && result.StateOf(comments[n]).Unfinished() {
			found = append(found, Orphan{Key: key, Number: n, Why: "its pull request is not open, and its removal did not end", unlisted: true})
		}
	}
	return found, nil
}

// removeOrphan removes one orphan, unless its pull request is open after all: the list
// is minutes old by now, and a pull request that was closed while the list was read may
// have hidden another.
func (k *Reconciler) removeOrphan(ctx context.Context, o *Orphan, s *SweepResult, runID, runURL string) error {
	pr, err := k.Forge.PullRequest(ctx, o.Key)
	if err != nil {
		return fmt.Errorf("check %s again before its preview is removed: %w", o.Key, err)
	}
	if pr.Open && !o.expired(k.Now()) {
		o.Why, s.Kept = "its pull request is open after all: kept", s.Kept+1
		return nil
	}
	k.Logf("removing the preview of #%d: %s", o.Number, o.Why)
	r, err := k.remove(ctx, o.Key, runID, runURL, o.expired(k.Now()))
	if err != nil {
		return fmt.Errorf("remove the preview of %s: %w", o.Key, err)
	}
	o.Removed = &r
	if r.Superseded != "" {
		o.Why = r.Superseded
	}
	return nil
}

// previews lists the repository's previews by their tags, and what only looks like one.
func (k *Reconciler) previews(ctx context.Context, repository string) ([]Orphan, []string, error) {
	all := inventory{}
	var foreign []string
	if k.Host != nil {
		sites, err := k.Host.Sites(ctx, "")
		if err != nil {
			return nil, nil, err
		}
		for _, s := range sites {
			o, err := OwnerOfTitle(s.Title, s.Alias)
			switch {
			case err != nil && aliasForm.MatchString(s.Alias):
				foreign = append(foreign, fmt.Sprintf("deploy %s under alias %s: %v", s.ID, s.Alias, err))
			case err == nil && o.Repository == repository:
				all.of(o).Sites++
			}
		}
	}
	if k.Backend != nil {
		stacks, err := k.Backend.Stacks(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, s := range stacks {
			o, err := OwnerOf(s.Tags)
			switch {
			case err != nil:
				foreign = append(foreign, fmt.Sprintf("stack %s: %v", s.Name, err))
			case o.Repository == repository && s.Name == o.Stack():
				all.of(o).Stack = true
			}
		}
		remains, err := k.Backend.Remains(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range remains {
			if r.Repository == repository {
				p := all.of(r.Owner)
				p.Remains = append(p.Remains, r.What)
			}
		}
	}
	var list []Orphan
	for _, p := range all {
		list = append(list, *p)
	}
	return list, foreign, nil
}

// An inventory collects the parts of each preview.
type inventory map[Key]*Orphan

// of returns the owner's preview, which lives until its last part expires.
func (all inventory) of(o Owner) *Orphan {
	p := all[o.Key]
	if p == nil {
		p = &Orphan{Key: o.Key, Number: o.Number}
		all[o.Key] = p
	}
	if o.Expires.After(p.Expires) {
		p.Expires = o.Expires
	}
	return p
}
