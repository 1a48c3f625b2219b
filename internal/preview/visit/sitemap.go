package visit

import (
	"compress/gzip"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/preview/result"
)

// Bounds of the sitemap protocol (sitemaps.org/protocol.html), of one file and unpacked.
const (
	maxSitemap     = 50 << 20 // bytes
	maxSitemapURLs = 50_000
)

// links requests the sitemap's pages, on the preview itself.
func (v Visitor) links(ctx context.Context, p *result.Part, most int) {
	m, found, err := v.sitemap(ctx, p.URL, most)
	if !found {
		return // it is optional
	}
	if err != nil {
		p.Checks = append(p.Checks, result.Check{Name: "links", Detail: err.Error()})
		return
	}
	var broken []string
	for _, page := range m.pages {
		if status, _, err := v.Fetcher.Get(ctx, page); err != nil || status >= 400 {
			broken = append(broken, fmt.Sprintf("%s (%s)", strings.TrimPrefix(page, p.URL), answer(status, "", err)))
		}
	}
	c := result.Check{Name: "links", OK: len(broken) == 0, Detail: fmt.Sprintf("%d pages of the sitemap answer", len(m.pages)-len(broken))}
	c.Detail += m.rest()
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
	m, _, _ := v.sitemap(ctx, p.URL, maxBrowserPages) // links reports an invalid one
	for _, page := range m.pages {
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

// A sitemap is what was read of a site's sitemap: at most so many pages, as addresses on the
// site, whatever host they name.
type sitemap struct {
	site   string
	most   int
	size   int64 // the maximum of one file, in bytes
	pages  []string
	left   int      // pages beyond most
	others []string // sitemaps of an index, not read yet
}

// rest says what was not checked.
func (m sitemap) rest() string {
	text := ""
	if m.left > 0 {
		text = fmt.Sprintf("; %d were not checked", m.left)
	}
	if len(m.others) > 0 {
		text += fmt.Sprintf("; %d further sitemaps were not read", len(m.others))
	}
	return text
}

// sitemap reads a site's sitemap.xml, and the sitemaps that it lists, until there are enough
// pages.
func (v Visitor) sitemap(ctx context.Context, site string, most int) (m sitemap, found bool, err error) {
	m = sitemap{site: site, most: most, size: maxSitemap}
	const first = "/sitemap.xml"
	status, err := v.Fetcher.Read(ctx, site+first, func(r io.Reader) error { return m.read(r, true) })
	if status != http.StatusOK {
		return m, false, nil
	}
	if err != nil {
		return m, true, fmt.Errorf("%s: %w", strings.TrimPrefix(first, "/"), err)
	}
	for len(m.others) > 0 && len(m.pages) < most {
		next := m.others[0]
		m.others = m.others[1:]
		status, err := v.Fetcher.Read(ctx, next, func(r io.Reader) error { return m.unpack(next, r) })
		if err == nil && status != http.StatusOK {
			err = errors.New(answer(status, "", nil))
		}
		if err != nil {
			return m, true, fmt.Errorf("%s: %w", strings.TrimPrefix(next, site+"/"), err)
		}
	}
	return m, true, nil
}

// unpack reads a sitemap of an index, which may be compressed.
func (m *sitemap) unpack(address string, r io.Reader) error {
	if !strings.HasSuffix(address, ".gz") {
		return m.read(r, false)
	}
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	return m.read(unpacked, false)
}

// read reads one sitemap, or an index of sitemaps where one may be. It holds no more than one
// address in memory at a time.
func (m *sitemap) read(r io.Reader, index bool) error {
	limited := &io.LimitedReader{R: r, N: m.size + 1}
	d := xml.NewDecoder(limited)
	var path []string // of the open elements
	for {
		t, err := d.Token()
		switch {
		case limited.N == 0:
			return fmt.Errorf("longer than %d bytes", m.size)
		case errors.Is(err, io.EOF) && path != nil:
			return nil
		case err != nil:
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			if err := m.open(d, &t, path, index); err != nil {
				return err
			}
			if t.Name.Local == "loc" { // open has read it to its end
				path = path[:len(path)-1]
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		}
	}
}

// open reads an element if it is the root or an address.
func (m *sitemap) open(d *xml.Decoder, t *xml.StartElement, path []string, index bool) error {
	if len(path) == 1 && path[0] != "urlset" && (path[0] != "sitemapindex" || !index) {
		return fmt.Errorf("not a sitemap: it begins with <%s>", path[0])
	}
	if t.Name.Local != "loc" {
		return nil
	}
	var loc string
	if err := d.DecodeElement(&loc, t); err != nil {
		return err
	}
	u, err := url.Parse(strings.TrimSpace(loc))
	if err != nil {
		return fmt.Errorf("%.200q is not a URL", loc)
	}
	address := m.site + "/" + strings.TrimPrefix(u.EscapedPath(), "/")
	switch {
	case slices.Equal(path, []string{"sitemapindex", "sitemap", "loc"}):
		if m.others = append(m.others, address); len(m.others) > maxSitemapURLs {
			return fmt.Errorf("more than %d sitemaps", maxSitemapURLs)
		}
	case !slices.Equal(path, []string{"urlset", "url", "loc"}): // of an image or a video
	case len(m.pages) == m.most:
		m.left++
	default:
		m.pages = append(m.pages, address)
	}
	return nil
}
