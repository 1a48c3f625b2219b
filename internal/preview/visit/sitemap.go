package visit

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/candlefish/deploy-action/internal/preview/result"
	"github.com/candlefish/deploy-action/internal/sitemap"
)

// sitemapPath is where a site has its sitemap.
const sitemapPath = "/sitemap.xml"

// links requests the sitemap's pages, on the preview itself.
func (v Visitor) links(ctx context.Context, p *result.Part, most int) {
	m, found, err := sitemap.Read(ctx, v.Fetcher, p.URL, sitemapPath, most)
	if !found {
		return // it is optional
	}
	if err != nil {
		p.Checks = append(p.Checks, result.Check{Name: "links", Detail: err.Error()})
		return
	}
	var broken []string
	for _, page := range m.Pages {
		if status, _, err := v.Fetcher.Get(ctx, page); err != nil || status >= 400 {
			broken = append(broken, fmt.Sprintf("%s (%s)", strings.TrimPrefix(page, p.URL), answer(status, "", err)))
		}
	}
	c := result.Check{Name: "links", OK: len(broken) == 0, Detail: fmt.Sprintf("%d pages of the sitemap answer", len(m.Pages)-len(broken))}
	c.Detail += rest(m)
	if len(broken) > 0 {
		c.Detail += "; broken: " + strings.Join(broken[:min(len(broken), 10)], ", ")
		p.Status, p.Detail = result.StatusFailed, c.Detail
	}
	p.Checks = append(p.Checks, c)
}

// maxBrowserPages is how many pages the browser checks: the front page and the first
// of the sitemap.
const maxBrowserPages = 5

// Browser checks the frontend's pages in a browser.
func (v Visitor) Browser(ctx context.Context, p *result.Part) {
	if v.Pages == nil || p.Status != result.StatusReady {
		return
	}
	pages := []string{p.URL + "/"}
	m, _, _ := sitemap.Read(ctx, v.Fetcher, p.URL, sitemapPath, maxBrowserPages) // links reports an invalid one
	for _, page := range m.Pages {
		if u, err := url.Parse(page); err == nil && u.Path != "/" && len(pages) < maxBrowserPages {
			pages = append(pages, page)
		}
	}
	checks, err := v.Pages.CheckPages(ctx, pages)
	if err != nil {
		checks = append(checks, result.Check{Name: "browser", Detail: err.Error()})
	}
	p.Checks = append(p.Checks, checks...)
}

// rest says what was not checked.
func rest(m sitemap.Sitemap) string {
	text := ""
	if m.Left > 0 {
		text = fmt.Sprintf("; %d were not checked", m.Left)
	}
	if m.Unread > 0 {
		text += fmt.Sprintf("; %d further sitemaps were not read", m.Unread)
	}
	return text
}
