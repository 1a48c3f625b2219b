package preview

import (
	"context"
	"fmt"
	"net/http"

	"github.com/candlefish/deploy-action/internal/access"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/netlify"
	"github.com/candlefish/deploy-action/internal/netlify/site"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
	"github.com/candlefish/deploy-action/internal/preview/result"
)

// A netlifyHost is Netlify as the reconciler's Host.
type netlifyHost struct {
	account *netlify.Account
	site    string
	// domain is the site's own, below which Netlify serves each alias; empty means
	// Netlify's addresses.
	domain string
	// headers are for the pages of the deploys.
	headers *access.Headers
	// project returns where Netlify's bundler is, empty or nil if none may be run. It is
	// asked when it is known whether strangers made the build.
	project func() string
}

var _ reconcile.Host = netlifyHost{}

// host returns the Netlify site of the inputs.
func (s *session) host() netlifyHost {
	account := &netlify.Account{Token: s.v.String("netlify-auth-token"), BaseURL: s.v.URL("netlify-api-url").String(), Now: s.now, After: s.after}
	if s.headers != nil {
		account.Client = &http.Client{Transport: s.headers.Transport(netlify.NewTransport())}
	}
	return netlifyHost{account: account, site: s.v.String("netlify-site-id"), domain: s.v.String("site-domain"), headers: s.headers, project: s.bundler}
}

// bundler returns the folder whose bundler may be run: none for a build of another run,
// which strangers may have made.
func (s *session) bundler() string {
	if s.untrusted {
		return ""
	}
	return s.v.String("functions-project")
}

// checkSite reads what would be published, before anything is said in public and before
// anything is created: rules that Netlify's parsers refuse are bad input.
func (s *session) checkSite(k *reconcile.Reconciler) error {
	if s.goal != result.GoalUp || k.Host == nil {
		return nil
	}
	src := site.Source{Dir: s.v.String("dir"), Functions: s.v.String("functions"), Config: s.v.String("netlify-config")}
	if err := site.Check(src, s.bundler()); err != nil {
		return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("the site in %s cannot be published: %w", src.Dir, err)}
	}
	return nil
}

// Publish implements reconcile.Host.
func (n netlifyHost) Publish(ctx context.Context, b reconcile.Build) (reconcile.Site, error) {
	project := ""
	if n.project != nil {
		project = n.project()
	}
	d, stats, err := n.account.Publish(ctx, netlify.Upload{
		SiteID: n.site, Dir: b.Dir, Functions: b.Functions, Project: project, Config: b.Config, Alias: b.Owner.Alias(), Title: b.Owner.Title(), Commit: b.Owner.Commit,
		Warn:     func(what string) { b.Logf("frontend: warning: %s", what) },
		Progress: func(p netlify.Progress) { b.Logf("%s", progressLine(p)) },
	})
	if err != nil {
		return reconcile.Site{}, err
	}
	site := n.siteOf(d)
	site.Files, site.Uploaded = stats.Files, stats.Uploads
	return site, nil
}

// siteOf returns a deploy for the reconciler, and lets its pages get the headers.
func (n netlifyHost) siteOf(d netlify.Deploy) reconcile.Site {
	s := reconcile.Site{ID: d.ID, URL: d.URL, AliasURL: d.AliasURL, Title: d.Title, Alias: d.Alias, State: d.State, Created: d.Created}
	if n.domain != "" {
		s.AliasURL = "https://" + d.Alias + "." + n.domain
	}
	n.headers.Trust(s.URL)
	n.headers.Trust(s.AliasURL)
	return s
}

// Sites implements reconcile.Host.
func (n netlifyHost) Sites(ctx context.Context, alias string) ([]reconcile.Site, error) {
	deploys, err := n.account.Deploys(ctx, n.site, alias)
	if err != nil {
		return nil, err
	}
	sites := make([]reconcile.Site, len(deploys))
	for i, d := range deploys {
		sites[i] = n.siteOf(d)
	}
	return sites, nil
}

func (n netlifyHost) deploy(s reconcile.Site) netlify.Deploy {
	return netlify.Deploy{ID: s.ID, SiteID: n.site, Alias: s.Alias, URL: s.URL, AliasURL: s.AliasURL}
}

// Remove implements reconcile.Host.
func (n netlifyHost) Remove(ctx context.Context, s reconcile.Site) error {
	if err := n.account.Delete(ctx, n.deploy(s)); err != nil {
		return fmt.Errorf("delete deploy %s: %w", s.ID, err)
	}
	return nil
}

// Gone implements reconcile.Host.
func (n netlifyHost) Gone(ctx context.Context, s reconcile.Site) (bool, string, error) {
	return n.account.Gone(ctx, n.deploy(s))
}

// progressLine renders the progress of a publication.
func progressLine(p netlify.Progress) string {
	text := fmt.Sprintf("frontend: %s, %d of %d files", p.Phase, p.Files, p.TotalFiles)
	if p.TotalBytes > 0 {
		text += fmt.Sprintf(", %.1f of %.1f MB", float64(p.Bytes)/1e6, float64(p.TotalBytes)/1e6)
	}
	if p.State != "" {
		text += ", Netlify says " + p.State
	}
	return text
}
