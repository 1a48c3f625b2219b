package netlify

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// A Serving says what an alias shows now.
type Serving struct {
	// Deploy is the one that the alias serves as Netlify's API has it; its ID is
	// empty if no deploy of the alias is ready. Its title names the owner, since
	// Netlify keeps titles and a deploy has no tags.
	Deploy Deploy
	// URL is the alias's address, empty if it is unknown.
	URL string
	// Status is what the address answered, 0 without an address. An alias without a
	// deploy answers 404; so may a site that has no page at its root.
	Status int
}

// None reports whether nothing is left under the alias: no deploy is ready, and its
// address is known and answers 404.
func (s Serving) None() bool { return s.Deploy.ID == "" && s.Status == http.StatusNotFound }

// Serving returns the deploy that an alias serves now: of those that are ready, the one
// that was published last. It also requests the alias's address, since the API and the
// network that serves pages may disagree: address is the one that is known of a deploy
// that may be gone; empty means that of the alias's newest deploy.
func (a *Account) Serving(ctx context.Context, siteID, alias, address string) (Serving, error) {
	deploys, err := a.Deploys(ctx, siteID, alias)
	if err != nil {
		return Serving{}, err
	}
	s := Serving{URL: address}
	for _, d := range deploys { // newest first
		if s.URL == "" {
			s.URL = d.AliasURL
		}
		if d.State == "ready" && !d.Draft && (s.Deploy.ID == "" || d.Published.After(s.Deploy.Published)) {
			s.Deploy = d
		}
	}
	if s.URL == "" {
		return s, nil
	}
	s.Status, err = a.visited(ctx, s.URL)
	if err != nil {
		return s, fmt.Errorf("look what alias %q serves: %w", alias, err)
	}
	return s, nil
}

// visited requests an address, with retries, and returns the status of the first answer.
func (a *Account) visited(ctx context.Context, address string) (status int, err error) {
	if u, err := url.Parse(address); err != nil || u.Host == "" {
		return 0, fmt.Errorf("%q is not an address", address)
	}
	c, err := a.newCall()
	if err != nil {
		return 0, err
	}
	err = c.do(ctx, "visit", func(ctx context.Context, _ int) (err error) {
		status, _, err = c.visit(ctx, address, false)
		return err
	})
	return status, err
}
