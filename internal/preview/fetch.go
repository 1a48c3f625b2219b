package preview

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/candlefish/deploy-action/internal/access"
	"github.com/candlefish/deploy-action/internal/preview/visit"
)

const (
	pageTimeout = 15 * time.Second
	maxPage     = 1 << 20 // bytes read of a page
)

// A fetcher requests pages, each on a connection of its own, past caches.
type fetcher struct{ client *http.Client }

var _ visit.Fetcher = fetcher{}

// newFetcher returns a fetcher that sends the headers to whom they trust; nil for none.
func newFetcher(headers *access.Headers) fetcher {
	own := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	return fetcher{&http.Client{Timeout: pageTimeout, Transport: headers.Transport(own)}}
}

// Get implements visit.Fetcher.
func (f fetcher) Get(ctx context.Context, address string) (int, string, error) {
	var page string
	status, err := f.request(ctx, address, func(resp *http.Response) error {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
		page = string(body)
		return err
	})
	if err != nil {
		return 0, "", err
	}
	return status, page, nil
}

// Read implements visit.Fetcher.
func (f fetcher) Read(ctx context.Context, address string, use func(io.Reader) error) (int, error) {
	return f.request(ctx, address, func(resp *http.Response) error {
		if resp.StatusCode != http.StatusOK {
			return nil
		}
		return use(resp.Body)
	})
}

func (f fetcher) request(ctx context.Context, address string, use func(*http.Response) error) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, errors.New("not a URL")
	}
	req.Header.Set("Cache-Control", "no-cache")
	req.Header.Set("User-Agent", "candlefish-deploy-action preview")
	resp, err := f.client.Do(req)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return 0, fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := use(resp); err != nil {
		return resp.StatusCode, fmt.Errorf("read the response: %w", err)
	}
	return resp.StatusCode, nil
}
