package reconcile

import (
	"context"

	"github.com/candlefish/deploy-action/internal/preview/result"
)

// Status reports the state of a preview and changes nothing.
func (k *Reconciler) Status(ctx context.Context, key Key) (result.Result, error) {
	r := k.begin(key, result.GoalStatus, "")
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

func (k *Reconciler) siteStatus(ctx context.Context, d Desired, r *result.Result) error {
	sites, err := k.Host.Sites(ctx, d.Alias())
	if err != nil {
		return err
	}
	r.Frontend.Status = result.StatusAbsent
	for _, s := range sites {
		if o, err := OwnerOfTitle(s.Title, s.Alias); err == nil && o.Key == d.Key {
			r.Frontend = result.Part{Name: result.Frontend, Status: result.StatusFailed, URL: s.AliasURL, ID: s.ID}
			r.Expires = o.Expires
			k.visitor().Site(ctx, d.Commit, d.Links, &r.Frontend)
			return nil
		}
	}
	return nil
}

func (k *Reconciler) apiStatus(ctx context.Context, d Desired, r *result.Result) error {
	stacks, err := k.Backend.Stacks(ctx)
	if err != nil {
		return err
	}
	r.API.Status = result.StatusAbsent
	for _, s := range stacks {
		if s.Name == d.Stack() && d.Owns(s.Tags) == nil {
			r.API = result.Part{Name: result.API, Status: result.StatusFailed, URL: s.URL(), ID: s.ID}
			k.visitor().API(ctx, d.Commit, &r.API)
		}
	}
	return nil
}
