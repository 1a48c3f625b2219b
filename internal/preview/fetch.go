package preview

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/candlefish/deploy-action/internal/preview/reconcile"
)

const (
	pageTimeout = 15 * time.Second
	maxPage     = 1 << 20 // bytes read of a page
)

// A fetcher requests pages, each on a connection of its own, past caches.
type fetcher struct{ client *http.Client }

var _ reconcile.Fetcher = fetcher{}

func newFetcher() fetcher {
	return fetcher{&http.Client{Timeout: pageTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}}
}

// Get implements reconcile.Fetcher.
func (f fetcher) Get(ctx context.Context, address string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", errors.New("not a URL")
	}
	req.Header.Set("Cache-Control", "no-cache")
	req.Header.Set("User-Agent", "candlefish-deploy-action preview")
	resp, err := f.client.Do(req)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return 0, "", fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return 0, "", fmt.Errorf("the response is cut off: %w", err)
	}
	return resp.StatusCode, string(body), nil
}
