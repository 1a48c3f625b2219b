package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Down removes the preview and verifies that it is gone. It needs nothing but the key,
// and may be repeated.
func (k *Reconciler) Down(ctx context.Context, key Key, runID, runURL string) (Result, error) {
	r := k.begin(key, GoalDown, runURL)
	if k.Host != nil {
		r.Frontend = k.removeSites(ctx, key)
	}
	if k.Backend != nil {
		r.API = k.removeAPI(ctx, key)
	}
	r.EndedAt = k.Now().UTC()
	if err := k.Forge.RetireEnvironment(ctx, key); err != nil {
		r.Warnings = append(r.Warnings, "GitHub's environment is not up to date: "+err.Error())
	}
	if r.Frontend.Status == StatusAbsent && r.API.Status == StatusAbsent {
		if previous, err := k.Forge.PreviousComment(ctx, key, Marker); err == nil && previous == "" {
			return r, nil // there never was a preview: nothing to report
		}
	}
	k.comment(ctx, runID, &r)
	return r, nil
}

// removeSites deletes the deploys of the preview's alias that are ours.
func (k *Reconciler) removeSites(ctx context.Context, key Key) Part {
	p := Part{Name: "Frontend", Status: StatusAbsent, ID: key.Alias()}
	began := k.Now()
	sites, err := k.Host.Sites(ctx, key.Alias())
	if err != nil {
		p.Status, p.Detail, p.Took = StatusRemaining, err.Error(), k.Now().Sub(began)
		return p
	}
	ours, foreign := key.split(sites)
	var failures []string
	for _, s := range ours {
		k.Logf("removing deploy %s", s.ID)
		if err := k.removeSite(ctx, s); err != nil {
			failures = append(failures, fmt.Sprintf("%s: %v", s.ID, err))
		}
	}
	p.Status, p.Detail = removal(len(ours), foreign, failures)
	p.Took = k.Now().Sub(began)
	return p
}

// split tells the preview's own deploys from others under its alias, given by ID.
func (k Key) split(sites []Site) (ours []Site, foreign []string) {
	for _, s := range sites {
		if o, err := OwnerOfTitle(s.Title, s.Alias); err == nil && o.Key == k {
			ours = append(ours, s)
		} else {
			foreign = append(foreign, s.ID)
		}
	}
	return ours, foreign
}

// removal is the status of a frontend of which some deploys were to be removed.
func removal(ours int, foreign, failures []string) (Status, string) {
	if len(failures) > 0 {
		return StatusRemaining, strings.Join(failures, "; ")
	}
	status := StatusAbsent
	var details []string
	if ours > 0 {
		status = StatusRemoved
		details = append(details, fmt.Sprintf("deploys removed and verified as gone: %d", ours))
	}
	if len(foreign) > 0 {
		details = append(details, "not ours and left alone: "+strings.Join(foreign, ", "))
	}
	return status, strings.Join(details, "; ")
}

func (k *Reconciler) removeSite(ctx context.Context, s Site) error {
	if err := k.Host.Remove(ctx, s); err != nil {
		return err
	}
	gone, why, err := k.Host.Gone(ctx, s)
	if err != nil {
		return fmt.Errorf("it was deleted, but could not be verified as gone: %w", err)
	}
	if !gone {
		return errors.New("it was deleted, but " + why)
	}
	return nil
}

func (k *Reconciler) removeAPI(ctx context.Context, key Key) Part {
	p := Part{Name: "API", Status: StatusAbsent, ID: key.Stack()}
	began := k.Now()
	existed, left, err := k.Backend.Remove(ctx, key, k.Logf)
	p.Took = k.Now().Sub(began)
	switch {
	case err != nil:
		p.Status, p.Detail = StatusRemaining, err.Error()
	case len(left) > 0:
		p.Status, p.Detail = StatusRemaining, "AWS did not delete "+strings.Join(left, ", ")
	case existed:
		p.Status, p.Detail = StatusRemoved, "the stack and its resources, verified as gone"
	}
	return p
}

// Status reports the state of a preview and changes nothing.
func (k *Reconciler) Status(ctx context.Context, key Key) (Result, error) {
	r := k.begin(key, GoalStatus, "")
	pr, err := k.Forge.PullRequest(ctx, key)
	if err != nil {
		return r, err
	}
	r.Commit = pr.Head
	d := Desired{Key: key, Commit: pr.Head}
	if k.Host != nil {
		if err := k.siteStatus(ctx, d, &r); err != nil {
			return r, err
		}
	}
	if k.Backend != nil {
		if err := k.apiStatus(ctx, d, &r); err != nil {
			return r, err
		}
	}
	r.EndedAt = k.Now().UTC()
	return r, nil
}

func (k *Reconciler) siteStatus(ctx context.Context, d Desired, r *Result) error {
	sites, err := k.Host.Sites(ctx, d.Alias())
	if err != nil {
		return err
	}
	r.Frontend.Status = StatusAbsent
	for _, s := range sites {
		if o, err := OwnerOfTitle(s.Title, s.Alias); err == nil && o.Key == d.Key {
			r.Frontend = Part{Name: "Frontend", Status: StatusFailed, URL: s.AliasURL, ID: s.ID}
			r.Expires = o.Expires
			k.visitor().site(ctx, d, &r.Frontend)
			return nil
		}
	}
	return nil
}

func (k *Reconciler) apiStatus(ctx context.Context, d Desired, r *Result) error {
	stacks, err := k.Backend.Stacks(ctx)
	if err != nil {
		return err
	}
	r.API.Status = StatusAbsent
	for _, s := range stacks {
		if s.Name == d.Stack() && d.Owns(s.Tags) == nil {
			r.API = Part{Name: "API", Status: StatusFailed, URL: s.URL(), ID: s.ID}
			k.visitor().api(ctx, d, &r.API)
		}
	}
	return nil
}
