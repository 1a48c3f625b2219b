package preview

import (
	"context"
	"fmt"

	"github.com/candlefish/deploy-action/internal/netlify"
)

// netlifySite is Netlify as the keeper's Host.
type netlifySite struct {
	account *netlify.Account
	site    string
	// domain is the one below which Netlify gives each alias a name; "" for
	// Netlify's own addresses.
	domain string
}

var _ Host = netlifySite{}

func (s *session) host() netlifySite {
	return netlifySite{&netlify.Account{Token: s.v.String("netlify-auth-token"), BaseURL: s.v.URL("netlify-api-url").String()}, s.v.String("netlify-site-id"), s.v.String("site-domain")}
}

// Publish implements Host.
func (n netlifySite) Publish(ctx context.Context, b Build) (Site, error) {
	d, stats, err := n.account.Publish(ctx, netlify.Upload{
		SiteID: n.site, Dir: b.Dir, Functions: b.Functions, Config: b.Config, Alias: b.Owner.Alias(), Title: b.Owner.Title(),
		Progress: func(p netlify.Progress) { b.Progress(progress(p)) },
	})
	if err != nil {
		return Site{}, err
	}
	site := n.named(d)
	site.Files, site.Uploaded = stats.Files, stats.Uploads
	return site, nil
}

func (n netlifySite) named(d netlify.Deploy) Site {
	s := Site{ID: d.ID, URL: d.URL, AliasURL: d.AliasURL, Title: d.Title, Alias: d.Alias, State: d.State, Created: d.Created}
	if n.domain != "" {
		s.AliasURL = "https://" + d.Alias + "." + n.domain
	}
	return s
}

// Sites implements Host.
func (n netlifySite) Sites(ctx context.Context, alias string) ([]Site, error) {
	deploys, err := n.account.Deploys(ctx, n.site, alias)
	if err != nil {
		return nil, err
	}
	sites := make([]Site, len(deploys))
	for i, d := range deploys {
		sites[i] = n.named(d)
	}
	return sites, nil
}

func (n netlifySite) deploy(s Site) netlify.Deploy {
	return netlify.Deploy{ID: s.ID, SiteID: n.site, Alias: s.Alias, URL: s.URL, AliasURL: s.AliasURL}
}

// Remove implements Host.
func (n netlifySite) Remove(ctx context.Context, s Site) error {
	if err := n.account.Delete(ctx, n.deploy(s)); err != nil {
		return fmt.Errorf("delete deploy %s: %w", s.ID, err)
	}
	return nil
}

// Gone implements Host.
func (n netlifySite) Gone(ctx context.Context, s Site) (bool, string, error) {
	return n.account.Gone(ctx, n.deploy(s))
}

// progress is how far a publication is, for people.
func progress(p netlify.Progress) string {
	text := fmt.Sprintf("frontend: %s, %d of %d files", p.Phase, p.Files, p.TotalFiles)
	if p.TotalBytes > 0 {
		text += fmt.Sprintf(", %.1f of %.1f MB", float64(p.Bytes)/1e6, float64(p.TotalBytes)/1e6)
	}
	if p.State != "" {
		text += ", Netlify says " + p.State
	}
	return text
}
