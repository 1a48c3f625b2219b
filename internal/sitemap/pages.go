package sitemap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Pages returns the paths of the pages that the sitemap at an address lists, each once
// and at most so many. No other host than its own is asked, whatever it and its
// redirects name. That there is no sitemap, or no page in it, is an error.
func Pages(ctx context.Context, client *http.Client, address string, most int) ([]string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return nil, fmt.Errorf("sitemap %q: want an address such as https://example.com/sitemap.xml", address)
	}
	site := u.Scheme + "://" + u.Host
	own := *client
	own.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if r.URL.Scheme != u.Scheme || r.URL.Host != u.Host || len(via) > 5 {
			return fmt.Errorf("it leads to %s", r.URL.Host)
		}
		return nil
	}
	f := fetcher{&own}
	m, found, err := Read(ctx, f, site, u.RequestURI(), most)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the sitemap %s: %w", site+u.Path, err)
	case !found:
		return nil, fmt.Errorf("read the sitemap %s: there is none", site+u.Path)
	}
	var paths []string
	for _, page := range m.Pages {
		if path := strings.TrimPrefix(page, site); !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("read the sitemap %s: it lists no page", site+u.Path)
	}
	return paths, nil
}

// A fetcher is a Fetcher by a client.
type fetcher struct{ client *http.Client }

// Read implements Fetcher.
func (f fetcher) Read(ctx context.Context, address string, use func(io.Reader) error) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, errors.New("not a URL")
	}
	resp, err := f.client.Do(req)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return 0, fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, use(resp.Body)
}
