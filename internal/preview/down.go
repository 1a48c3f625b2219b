package preview

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Down removes the preview and looks whether it is gone. It asks for nothing but
// the key, and may be repeated.
func (k *Keeper) Down(ctx context.Context, key Key, runID, runURL string) (Result, error) {
	r := Result{Key: key, Repository: key.Repository, Number: key.Number, Goal: GoalDown, StartedAt: k.Now().UTC(), RunURL: runURL,
		Frontend: Part{Name: "Frontend", Status: Unused}, API: Part{Name: "API", Status: Unused}}
	if k.Host != nil {
		r.Frontend = k.removeSites(ctx, key)
	}
	if k.Backend != nil {
		r.API = k.removeAPI(ctx, key)
	}
	r.EndedAt = k.Now().UTC()
	if err := k.Forge.Retire(ctx, key); err != nil {
		r.Warnings = append(r.Warnings, "GitHub's environment is not up to date: "+err.Error())
	}
	if r.Frontend.Status == Absent && r.API.Status == Absent {
		if previous, err := k.Forge.Previous(ctx, key, marker); err == nil && previous == "" {
			return r, nil // there never was a preview: nothing to say
		}
	}
	k.comment(ctx, runID, &r)
	return r, nil
}

// removeSites deletes the deploys of the preview's alias that are ours.
func (k *Keeper) removeSites(ctx context.Context, key Key) Part {
	p := Part{Name: "Frontend", Status: Absent, ID: key.Alias()}
	began := k.Now()
	defer func() { p.Took = k.Now().Sub(began) }()
	sites, err := k.Host.Sites(ctx, key.Alias())
	if err != nil {
		p.Status, p.Detail = Remaining, err.Error()
		return p
	}
	var wrong, foreign []string
	gone := 0
	for _, s := range sites {
		o, err := OwnerOfTitle(s.Title, s.Alias)
		if err != nil || o.Key != key {
			foreign = append(foreign, s.ID)
			continue
		}
		k.Say("removing deploy " + s.ID)
		if err := k.removeSite(ctx, s); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", s.ID, err))
			continue
		}
		gone++
	}
	if gone > 0 {
		p.Status = Removed
		p.Detail = fmt.Sprintf("%d deploys, each of which answers no more", gone)
	}
	if len(foreign) > 0 {
		p.Detail = strings.TrimPrefix(fmt.Sprintf("%s; not ours and left alone: %s", p.Detail, strings.Join(foreign, ", ")), "; ")
	}
	if len(wrong) > 0 {
		p.Status, p.Detail = Remaining, strings.Join(wrong, "; ")
	}
	return p
}

func (k *Keeper) removeSite(ctx context.Context, s Site) error {
	if err := k.Host.Remove(ctx, s); err != nil {
		return err
	}
	gone, why, err := k.Host.Gone(ctx, s)
	if err != nil {
		return fmt.Errorf("it was deleted, but whether it is gone is not known: %w", err)
	}
	if !gone {
		return errors.New("it was deleted, but " + why)
	}
	return nil
}

func (k *Keeper) removeAPI(ctx context.Context, key Key) Part {
	p := Part{Name: "API", Status: Absent, ID: key.Stack()}
	began := k.Now()
	existed, left, err := k.Backend.Remove(ctx, key, k.Say)
	p.Took = k.Now().Sub(began)
	switch {
	case err != nil:
		p.Status, p.Detail = Remaining, err.Error()
	case len(left) > 0:
		p.Status, p.Detail = Remaining, fmt.Sprintf("AWS would not delete %s", strings.Join(left, ", "))
	case existed:
		p.Status, p.Detail = Removed, "the stack and all in it, looked for and not found"
	}
	return p
}

// Look says what there is of a preview, and changes nothing.
func (k *Keeper) Look(ctx context.Context, key Key) (Result, error) {
	r := Result{Key: key, Repository: key.Repository, Number: key.Number, Goal: GoalStatus, StartedAt: k.Now().UTC(),
		Frontend: Part{Name: "Frontend", Status: Unused}, API: Part{Name: "API", Status: Unused}}
	pr, err := k.Forge.PullRequest(ctx, key)
	if err != nil {
		return r, err
	}
	r.Commit = pr.Head
	w := Want{Key: key, Commit: pr.Head}
	if k.Host != nil {
		sites, err := k.Host.Sites(ctx, key.Alias())
		if err != nil {
			return r, err
		}
		r.Frontend.Status = Absent
		for _, s := range sites {
			if o, err := OwnerOfTitle(s.Title, s.Alias); err == nil && o.Key == key {
				r.Frontend = Part{Name: "Frontend", Status: Failing, URL: s.AliasURL, ID: s.ID}
				r.Expires = o.Expires
				k.checkSite(ctx, w, &r.Frontend)
				break
			}
		}
	}
	if k.Backend != nil {
		stacks, err := k.Backend.Stacks(ctx)
		if err != nil {
			return r, err
		}
		r.API.Status = Absent
		for _, s := range stacks {
			if s.Name == key.Stack() && key.Owns(s.Tags) == nil {
				r.API = Part{Name: "API", Status: Failing, URL: s.URL(), ID: s.ID}
				k.checkAPI(ctx, w, &r.API)
			}
		}
	}
	r.EndedAt = k.Now().UTC()
	return r, nil
}
