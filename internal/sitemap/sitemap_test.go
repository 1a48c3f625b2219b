package sitemap

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const site = "https://preview.test"

func packed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func list(paths ...string) string {
	var b strings.Builder
	for _, path := range paths {
		fmt.Fprintf(&b, "<url><loc>https://shop.example%s</loc></url>", path)
	}
	return "<urlset>" + b.String() + "</urlset>"
}

func TestPages(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was asked", r.URL) }))
	t.Cleanup(elsewhere.Close)
	index := "<sitemapindex><sitemap><loc>" + elsewhere.URL + "/one.xml.gz</loc></sitemap><sitemap><loc>https://x/two.xml</loc></sitemap></sitemapindex>"
	files := map[string]string{
		"/sitemap.xml": list("/", "/a", "/a", "/b"), "/index.xml": index, "/one.xml.gz": packed(list("/c")), "/two.xml": list("/d"),
		"/packed.xml.gz": packed(list("/e")), "/empty.xml": list(), "/page": "<!doctype html><html></html>", "/half.xml": "<urlset><url>",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away.xml" {
			http.Redirect(w, r, elsewhere.URL+"/sitemap.xml", http.StatusFound)
			return
		}
		text, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
		}
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(server.Close)
	for _, c := range []struct {
		path string
		most int
		want []string
		says string // of the error
	}{
		{"/sitemap.xml", 10, []string{"/", "/a", "/b"}, ""},
		{"/sitemap.xml", 2, []string{"/", "/a"}, ""},
		{"/index.xml", 10, []string{"/c", "/d"}, ""},
		{"/index.xml", 1, []string{"/c"}, ""},
		{"/packed.xml.gz", 10, []string{"/e"}, ""},
		{"/none.xml", 10, nil, "there is none"},
		{"/empty.xml", 10, nil, "it lists no page"},
		{"/page", 10, nil, "not a sitemap: it begins with <html>"},
		{"/half.xml", 10, nil, "XML syntax error"},
		{"/away.xml", 10, nil, "it leads to 127.0.0.1"},
		{"", 10, nil, "want an address"},
	} {
		got, err := Pages(t.Context(), server.Client(), server.URL+c.path, c.most)
		if !slices.Equal(got, c.want) || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("Pages(%q, %d) = %q, %v, want %q, %q", c.path, c.most, got, err, c.want, c.says)
		}
	}
	server.Close()
	if _, err := Pages(t.Context(), server.Client(), server.URL+"/sitemap.xml", 1); err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("a host that is down: %v", err)
	}
}

func TestSitemapsThatAreTooLong(t *testing.T) {
	t.Parallel()
	m := Sitemap{site: site, most: 3, size: 1000}
	bomb := "<urlset>" + strings.Repeat(" ", 100_000) + "</urlset>"
	if err := m.read(strings.NewReader(bomb), true); err == nil || err.Error() != "longer than 1000 bytes" {
		t.Errorf("error %v", err)
	}
	if err := m.unpack("one.xml.gz", strings.NewReader(packed(bomb)), false); err == nil || err.Error() != "longer than 1000 bytes" {
		t.Errorf("unpacked: error %v", err)
	}
}

func FuzzSitemap(f *testing.F) {
	f.Add("<urlset><url><loc>https://a/b</loc></url></urlset>")
	f.Add("<sitemapindex><sitemap><loc>https://shop.example/a</loc></sitemap></sitemapindex>")
	f.Fuzz(func(t *testing.T, body string) {
		m := Sitemap{site: site, most: 3, size: maxSize}
		if m.read(strings.NewReader(body), true) != nil {
			return
		}
		for _, p := range append(m.Pages, m.others...) {
			if !strings.HasPrefix(p, site+"/") {
				t.Errorf("page %q is not on the site", p)
			}
		}
		if m.Left > 0 && len(m.Pages) != 3 {
			t.Errorf("%d pages, %d left", len(m.Pages), m.Left)
		}
	})
}
