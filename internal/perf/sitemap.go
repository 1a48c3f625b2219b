package perf

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/access"
	"github.com/candlefish/deploy-action/internal/sitemap"
)

// sitemapTime is how long reading a sitemap may take.
const sitemapTime = time.Minute

// readSitemap adds the pages of the sitemap to those of the inputs. The headers of a
// protected site go to its own origin alone.
func (s *session) readSitemap(ctx context.Context) error {
	u := s.v.URL("sitemap")
	if u == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sitemapTime)
	defer cancel()
	headers, err := access.Parse(s.v.List("headers"))
	if err != nil {
		return badInput("headers: %w", err)
	}
	headers.Trust(s.URL)
	client := &http.Client{Transport: headers.Transport(http.DefaultTransport)}
	pages, err := sitemap.Pages(ctx, client, u.String(), s.v.Int("max-pages"))
	if err != nil {
		return fmt.Errorf("read the pages of the sitemap: %w", err)
	}
	for _, page := range pages {
		if !slices.Contains(s.Pages, page) {
			s.Pages = append(s.Pages, page)
		}
	}
	s.a.Printf("%s are measured, of the sitemap at most %d", count(len(s.Pages), "page"), s.v.Int("max-pages"))
	return nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
