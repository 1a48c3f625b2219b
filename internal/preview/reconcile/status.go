package reconcile

import "context"

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
			r.Frontend = Part{Name: partFrontend, Status: StatusFailed, URL: s.AliasURL, ID: s.ID}
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
			r.API = Part{Name: partAPI, Status: StatusFailed, URL: s.URL(), ID: s.ID}
			k.visitor().api(ctx, d, &r.API)
		}
	}
	return nil
}
