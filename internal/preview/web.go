package preview

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// pageLimit is how long one page may take, and maxPage how much of it is read.
const (
	pageLimit = 15 * time.Second
	maxPage   = 1 << 20
)

// A visitor asks for pages on connections of its own, so that no cache but the
// host's answers.
type visitor struct{ client *http.Client }

func newVisitor() visitor {
	return visitor{&http.Client{Timeout: pageLimit, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}}
}

// Get implements Web.
func (v visitor) Get(ctx context.Context, address string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", errors.New("not an address")
	}
	req.Header.Set("Cache-Control", "no-cache")
	req.Header.Set("User-Agent", "candlefish-deploy-action preview")
	resp, err := v.client.Do(req)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return 0, "", fmt.Errorf("it does not answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return 0, "", fmt.Errorf("it breaks off: %w", err)
	}
	return resp.StatusCode, string(body), nil
}
