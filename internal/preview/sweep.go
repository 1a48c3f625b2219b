package preview

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// A Stray is a preview that has no reason to be there any more.
type Stray struct {
	Key     Key       `json:"-"`
	Number  int       `json:"pr_number"`
	Why     string    `json:"why"`
	Expires time.Time `json:"expires_at"`
	Sites   int       `json:"sites"`
	Stack   bool      `json:"stack"`
	// Removed is what became of it; nil in a dry run.
	Removed *Result `json:"removed,omitempty"`
}

// A Sweeping is what a sweep found and did.
type Sweeping struct {
	Strays []Stray `json:"strays"`
	// Kept are previews that are still wanted, and Foreign what looks like a
	// preview and lacks one of our tags: it is never touched.
	Kept    int      `json:"kept"`
	Foreign []string `json:"foreign,omitempty"`
	DryRun  bool     `json:"dry_run"`
}

// Sweep finds the previews of a repository whose pull request is closed or whose
// time is over, and removes them unless it only looks. When the pull requests
// cannot be listed, all of them, nothing is removed.
func (k *Keeper) Sweep(ctx context.Context, repository string, remove bool, runID, runURL string) (Sweeping, error) {
	s := Sweeping{DryRun: !remove}
	open, err := k.Forge.Open(ctx, repository)
	if err != nil {
		return s, fmt.Errorf("list the open pull requests of %s, without which nothing is swept: %w", repository, err)
	}
	found, foreign, err := k.found(ctx, repository)
	if err != nil {
		return s, err
	}
	s.Foreign = foreign
	for _, f := range found {
		f.Why = f.due(open, k.Now())
		if f.Why == "" {
			s.Kept++
			continue
		}
		s.Strays = append(s.Strays, f)
	}
	slices.SortFunc(s.Strays, func(a, b Stray) int { return cmp.Compare(a.Number, b.Number) })
	if !remove {
		return s, nil
	}
	for i := range s.Strays {
		stray := &s.Strays[i]
		// The list is minutes old by now, and one that was closed while it was
		// read may have hidden another.
		pr, err := k.Forge.PullRequest(ctx, stray.Key)
		if err != nil {
			return s, fmt.Errorf("look at %s again before its preview is removed: %w", stray.Key, err)
		}
		if pr.Open && k.Now().Before(stray.Expires) {
			stray.Why, s.Kept = "its pull request is open after all: kept", s.Kept+1
			continue
		}
		k.Say(fmt.Sprintf("removing the preview of #%d: %s", stray.Number, stray.Why))
		r, err := k.Down(ctx, stray.Key, runID, runURL)
		if err != nil {
			return s, err
		}
		stray.Removed = &r
	}
	return s, nil
}

// due says why a preview should be gone, "" when it should not.
func (s Stray) due(open []PullRequest, now time.Time) string {
	if !slices.ContainsFunc(open, func(pr PullRequest) bool { return pr.Key == s.Key }) {
		return "its pull request is not open"
	}
	if !now.Before(s.Expires) {
		return "its time was over on " + s.Expires.UTC().Format(time.RFC3339)
	}
	return ""
}

// found lists the repository's previews by their tags, and what only looks like one.
func (k *Keeper) found(ctx context.Context, repository string) ([]Stray, []string, error) {
	previews := map[Key]*Stray{}
	var foreign []string
	note := func(o Owner) *Stray {
		p := previews[o.Key]
		if p == nil {
			p = &Stray{Key: o.Key, Number: o.Number}
			previews[o.Key] = p
		}
		if o.Expires.After(p.Expires) {
			p.Expires = o.Expires
		}
		return p
	}
	if k.Host != nil {
		sites, err := k.Host.Sites(ctx, "")
		if err != nil {
			return nil, nil, err
		}
		for _, s := range sites {
			if o, err := OwnerOfTitle(s.Title, s.Alias); err == nil && o.Repository == repository {
				note(o).Sites++
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
				note(o).Stack = true
			}
		}
	}
	var list []Stray
	for _, p := range previews {
		list = append(list, *p)
	}
	return list, foreign, nil
}
