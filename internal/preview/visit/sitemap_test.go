package visit

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/preview/result"
)

// A web is pages by address; others answer 404.
type web map[string]string

func (w web) Get(_ context.Context, address string) (int, string, error) {
	if page, ok := w[address]; ok {
		return 200, page[:min(len(page), 1<<20)], nil
	}
	return 404, "", nil
}

func (w web) Read(_ context.Context, address string, use func(io.Reader) error) (int, error) {
	page, ok := w[address]
	if !ok {
		return 404, nil
	}
	return 200, use(strings.NewReader(page))
}

const site = "https://preview.test"

func urls(names ...string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="x">`)
	for _, name := range names {
		fmt.Fprintf(&b, "<url><loc>\n https://shop.example/%s </loc><image:image><image:loc>https://shop.example/picture</image:loc></image:image></url>", name)
	}
	return b.String() + "</urlset>"
}

func index(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "<sitemap><loc>https://shop.example/%s</loc><lastmod>2026-01-01</lastmod></sitemap>", name)
	}
	return "<sitemapindex>" + b.String() + "</sitemapindex>"
}

func packed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func numbered(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("page-%d/%s", i, strings.Repeat("x", 60)))
	}
	return names
}

func TestLinks(t *testing.T) {
	t.Parallel()
	long := numbered(10_000) // 1.6 MB
	for name, c := range map[string]struct {
		web  web
		most int
		want string // "" for no check
		ok   bool
	}{
		"no sitemap":            {web{}, 10, "", false},
		"pages":                 {web{"/sitemap.xml": urls("a", "b"), "/a": "", "/b": ""}, 10, "2 pages of the sitemap answer", true},
		"a broken page":         {web{"/sitemap.xml": urls("a", "b"), "/a": ""}, 10, "1 pages of the sitemap answer; broken: /b (404 Not Found)", false},
		"more than 1 MiB":       {web{"/sitemap.xml": urls(long...), "/" + long[0]: ""}, 1, "1 pages of the sitemap answer; 9999 were not checked", true},
		"an index":              {web{"/sitemap.xml": index("one.xml", "deep/two.xml.gz"), "/one.xml": urls("a"), "/deep/two.xml.gz": packed(urls("b")), "/a": "", "/b": ""}, 10, "2 pages of the sitemap answer", true},
		"an index, enough":      {web{"/sitemap.xml": index("one.xml", "two.xml"), "/one.xml": urls("a"), "/a": ""}, 1, "1 pages of the sitemap answer; 1 further sitemaps were not read", true},
		"an index without one":  {web{"/sitemap.xml": index("one.xml")}, 10, "one.xml: 404 Not Found", false},
		"an index in an index":  {web{"/sitemap.xml": index("one.xml"), "/one.xml": index("two.xml")}, 10, "one.xml: not a sitemap: it begins with <sitemapindex>", false},
		"an application's page": {web{"/sitemap.xml": "<!doctype html><html><body>loc</body></html>"}, 10, "sitemap.xml: not a sitemap: it begins with <html>", false},
		"cut off":               {web{"/sitemap.xml": "<urlset><url><loc>https://x/a</loc>"}, 10, "sitemap.xml: XML syntax error", false},
		"empty":                 {web{"/sitemap.xml": ""}, 10, "sitemap.xml: EOF", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := web{}
			for path, page := range c.web {
				w[site+path] = page
			}
			p := result.Part{URL: site, Status: result.StatusReady}
			Visitor{Fetcher: w, Now: time.Now, After: time.After}.links(t.Context(), &p, c.most)
			if c.want == "" {
				if len(p.Checks) != 0 {
					t.Errorf("%+v", p.Checks)
				}
				return
			}
			if len(p.Checks) != 1 || !strings.HasPrefix(p.Checks[0].Detail, c.want) || p.Checks[0].OK != c.ok {
				t.Errorf("%+v, want %q", p.Checks, c.want)
			}
		})
	}
}
