// Package sitemap reads the pages of a site's sitemap, and of the sitemaps that an index
// lists. See https://www.sitemaps.org/protocol.html.
//
// A sitemap is not trusted: its size is bounded, and only the site itself is asked. Its
// addresses name the site as it is known to people; here they become addresses on the
// site that was read, which may be a preview of it.
package sitemap

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
)

// Bounds of the protocol, of one file and unpacked.
const (
	maxSize = 50 << 20 // bytes
	maxURLs = 50_000
)

// A Fetcher requests pages.
type Fetcher interface {
	// Read passes a page of any length to use, if its status is 200.
	Read(ctx context.Context, url string, use func(io.Reader) error) (status int, err error)
}

// A Sitemap is what was read.
type Sitemap struct {
	Pages  []string // addresses on the site
	Left   int      // pages that were read beyond the most that were wanted
	Unread int      // sitemaps of an index that were not read, since there were enough pages

	site string
	most int
	size int64 // the maximum of one file, in bytes
	// others are sitemaps of an index, not read yet.
	others []string
}

// Read reads the sitemap at a path of a site, which is its address without a slash at
// the end, and the sitemaps that it lists, until there are enough pages. found reports
// whether there is one.
func Read(ctx context.Context, f Fetcher, site, path string, most int) (m Sitemap, found bool, err error) {
	m = Sitemap{site: site, most: most, size: maxSize}
	defer func() { m.Unread = len(m.others) }()
	status, err := f.Read(ctx, site+path, func(r io.Reader) error { return m.unpack(path, r, true) })
	if status != http.StatusOK {
		return m, false, err
	}
	if err != nil {
		return m, true, fmt.Errorf("%s: %w", strings.TrimPrefix(path, "/"), err)
	}
	for len(m.others) > 0 && len(m.Pages) < most {
		next := m.others[0]
		m.others = m.others[1:]
		status, err := f.Read(ctx, next, func(r io.Reader) error { return m.unpack(next, r, false) })
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s", status, http.StatusText(status))
		}
		if err != nil {
			return m, true, fmt.Errorf("%s: %w", strings.TrimPrefix(next, site+"/"), err)
		}
	}
	return m, true, nil
}

// unpack reads a sitemap, which may be compressed.
func (m *Sitemap) unpack(address string, r io.Reader, index bool) error {
	if !strings.HasSuffix(address, ".gz") {
		return m.read(r, index)
	}
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	return m.read(unpacked, index)
}

// read reads one sitemap, or an index of sitemaps where one may be. It holds no more than one
// address in memory at a time.
func (m *Sitemap) read(r io.Reader, index bool) error {
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
func (m *Sitemap) open(d *xml.Decoder, t *xml.StartElement, path []string, index bool) error {
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
		if m.others = append(m.others, address); len(m.others) > maxURLs {
			return fmt.Errorf("more than %d sitemaps", maxURLs)
		}
	case !slices.Equal(path, []string{"urlset", "url", "loc"}): // of an image or a video
	case len(m.Pages) == m.most:
		m.Left++
	default:
		m.Pages = append(m.Pages, address)
	}
	return nil
}
